namespace Firstbell
{
    using System;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // Values of the registry as they are stored: .NET would cut, expand and convert them. Returned are errors of Windows.
    public static class NativeRegistry
    {
        public static readonly IntPtr Users = new IntPtr(unchecked((int)0x80000003)); // HKEY_USERS

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern int RegEnumValueW(SafeRegistryHandle key, int index, char[] name, ref int nameSize,
            IntPtr reserved, out int kind, byte[] data, ref int size);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern int RegQueryValueExW(SafeRegistryHandle key, string name, IntPtr reserved, out int kind,
            byte[] data, ref int size);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern int RegSetValueExW(SafeRegistryHandle key, string name, int reserved, int kind, byte[] data,
            int size);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern int RegDeleteValueW(SafeRegistryHandle key, string name);

        [DllImport("advapi32.dll", ExactSpelling = true)]
        public static extern int RegFlushKey(SafeRegistryHandle key);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern int RegLoadKeyW(IntPtr root, string name, string file);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern int RegUnLoadKeyW(IntPtr root, string name);
    }
}
