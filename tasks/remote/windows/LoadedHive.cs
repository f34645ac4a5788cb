namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text.RegularExpressions;
    using System.Threading;
    using Microsoft.Win32;

    // The registry hive of somebody who is not signed in, loaded for a moment under a name of ours. Who signs in
    // meanwhile would get a temporary profile: so it is for one request only, and whoever runs next unloads what a killed
    // helper has left.
    public sealed class LoadedHive : IDisposable
    {
        static readonly Regex Ours = new Regex("\\Afirstbell-[0-9a-f]{16}\\z", RegexOptions.IgnoreCase);
        static readonly string[] Needed = { "SeBackupPrivilege", "SeRestorePrivilege" };
        const int Tries = 20;
        const int Pause = 250; // ms
        const int SharingViolation = 32;

        // Below HKEY_USERS.
        public readonly string Name;
        readonly Mutex alive;

        LoadedHive(string name)
        {
            Name = name;
            alive = new Mutex(false, "Global\\" + name);
        }

        public static LoadedHive Load(Person person)
        {
            if (RegistryKeys.IsLoaded(person))
            {
                throw new Refused("conflict", "the person has just signed in");
            }
            Privileges.Enable(Needed);
            LoadedHive hive = new LoadedHive("firstbell-" + Guid.NewGuid().ToString("N").Substring(0, 16));
            int error = NativeRegistry.RegLoadKeyW(NativeRegistry.Users, hive.Name, person.Home + "\\NTUSER.DAT");
            if (error == 0)
            {
                return hive;
            }
            NativeRegistry.RegUnLoadKeyW(NativeRegistry.Users, hive.Name); // should a part of it be there
            hive.alive.Dispose();
            if (error == SharingViolation)
            {
                throw new Refused("conflict", "the person's registry is in use: somebody is just signing in or out");
            }
            throw Refused.Of(error);
        }

        // Writes it back and lets go of it.
        public void Dispose()
        {
            try
            {
                int error = Unload(Name);
                if (error != 0)
                {
                    throw new RequestError("internal", "the registry of the person could not be unloaded again ("
                        + Refused.Of(error).Message + "): restart the computer before that person signs in");
                }
            }
            finally
            {
                alive.Dispose();
            }
        }

        static int Unload(string name)
        {
            int error = 0;
            for (int time = 0; time < Tries; time++)
            {
                // An open key below keeps it loaded.
                GC.Collect();
                GC.WaitForPendingFinalizers();
                error = NativeRegistry.RegUnLoadKeyW(NativeRegistry.Users, name);
                if (error != 5) // ERROR_ACCESS_DENIED: still open somewhere
                {
                    break;
                }
                Thread.Sleep(Pause);
            }
            return error;
        }

        // Unloads what helpers have left that were killed.
        public static void Sweep()
        {
            List<string> left = new List<string>();
            using (RegistryKey users = RegistryKey.OpenBaseKey(RegistryHive.Users, RegistryView.Registry64))
            {
                foreach (string name in users.GetSubKeyNames())
                {
                    if (Ours.IsMatch(name) && !Temporary.Lives(name.Substring("firstbell-".Length)))
                    {
                        left.Add(name);
                    }
                }
            }
            if (left.Count > 0)
            {
                Privileges.Enable(Needed);
                foreach (string name in left)
                {
                    Unload(name);
                }
            }
        }
    }
}
