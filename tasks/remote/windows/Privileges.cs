namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Runtime.InteropServices;

    // Rights that an administrator's token has, but that are switched off until asked for.
    public static class Privileges
    {
        // To read whatever the access lists say.
        public static readonly string[] ForReading = new string[] { "SeBackupPrivilege" };

        // What firstbell needs of a token, in all.
        static readonly string[] Needed = new string[] { "SeBackupPrivilege", "SeRestorePrivilege" };

        // Those of Needed that the account has, on or off: some are switched on only when they are used.
        public static List<string> Held()
        {
            List<string> held = new List<string>();
            IntPtr token;
            if (!Native.OpenProcessToken(Native.GetCurrentProcess(), 0x8, out token)) // TOKEN_QUERY
            {
                return held;
            }
            try
            {
                int size;
                byte[] data = new byte[4096]; // TOKEN_PRIVILEGES: how many, then luid and attributes of each
                if (!Native.GetTokenInformation(token, 3, data, data.Length, out size))
                {
                    return held;
                }
                foreach (string name in Needed)
                {
                    long luid;
                    bool known = Native.LookupPrivilegeValueW(null, name, out luid);
                    for (int at = 4; known && at < 4 + 12 * BitConverter.ToInt32(data, 0); at += 12)
                    {
                        if (BitConverter.ToInt64(data, at) == luid)
                        {
                            held.Add(name);
                        }
                    }
                }
                return held;
            }
            finally
            {
                Native.CloseHandle(token);
            }
        }

        // Switches these on; tells which ones the account has.
        public static List<string> Enable(string[] names)
        {
            List<string> enabled = new List<string>();
            IntPtr token;
            // TOKEN_ADJUST_PRIVILEGES, TOKEN_QUERY
            if (!Native.OpenProcessToken(Native.GetCurrentProcess(), 0x28, out token))
            {
                return enabled;
            }
            try
            {
                foreach (string name in names)
                {
                    long luid;
                    byte[] state = new byte[16]; // TOKEN_PRIVILEGES of one
                    if (!Native.LookupPrivilegeValueW(null, name, out luid))
                    {
                        continue;
                    }
                    state[0] = 1;
                    Buffer.BlockCopy(BitConverter.GetBytes(luid), 0, state, 4, 8);
                    state[12] = 2; // SE_PRIVILEGE_ENABLED
                    // The call itself succeeds also when nothing was switched on.
                    if (Native.AdjustTokenPrivileges(token, false, state, 0, IntPtr.Zero, IntPtr.Zero)
                        && Marshal.GetLastWin32Error() != Errors.NotAllAssigned)
                    {
                        enabled.Add(name);
                    }
                }
            }
            finally
            {
                Native.CloseHandle(token);
            }
            return enabled;
        }
    }
}
