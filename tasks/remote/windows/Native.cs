namespace Firstbell
{
    using System;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // The calls of Windows, as they are. Structures are read from byte arrays by offset: a declared WIN32_FIND_DATA whose
    // times are 64-bit numbers would be shifted by its padding, without an error.
    public static class Native
    {
        public const uint ReadData = 0x80000000; // GENERIC_READ
        public const uint ReadAttributes = 0x80;
        public const uint ReadControl = 0x20000;
        public const uint ListFolder = 0x1;
        public const uint Synchronize = 0x100000;
        public const uint ShareAll = 7;
        public const uint OpenExisting = 3;
        public const uint BackupSemantics = 0x02000000;
        public const uint SequentialScan = 0x08000000;
        public const uint OpenReparsePoint = 0x00200000;
        public const uint OpenNoRecall = 0x00100000;

        // FILE_INFO_BY_HANDLE_CLASS
        public const int BasicInfo = 0;
        public const int StreamInfo = 7;
        public const int AttributeTagInfo = 9;
        public const int IdBothDirectoryInfo = 10;

        public static readonly IntPtr InvalidHandle = new IntPtr(-1);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern SafeFileHandle CreateFileW(string name, uint access, uint share, IntPtr security,
            uint disposition, uint flags, IntPtr template);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool GetFileInformationByHandleEx(SafeFileHandle file, int kind, byte[] into, int size);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool GetFileInformationByHandle(SafeFileHandle file, byte[] into);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool ReadFile(SafeFileHandle file, IntPtr into, int size, out int count, IntPtr overlapped);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool SetFilePointerEx(SafeFileHandle file, long distance, IntPtr position, int method);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool DeviceIoControl(SafeFileHandle file, uint code, byte[] input, int inputSize,
            byte[] output, int outputSize, out int count, IntPtr overlapped);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern uint GetFinalPathNameByHandleW(SafeFileHandle file, StringBuilder into, uint size, uint flags);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern IntPtr FindFirstFileExW(string pattern, int level, byte[] into, int search, IntPtr filter,
            int flags);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool FindNextFileW(IntPtr search, byte[] into);

        [DllImport("kernel32.dll", ExactSpelling = true)]
        public static extern bool FindClose(IntPtr search);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern bool GetFileAttributesExW(string name, int level, byte[] into);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern bool GetVolumeInformationW(string root, StringBuilder name, int nameSize, out uint serial,
            out uint longest, out uint flags, StringBuilder system, int systemSize);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        public static extern uint GetDriveTypeW(string root);

        [DllImport("kernel32.dll", ExactSpelling = true)]
        public static extern uint GetLogicalDrives();

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern bool GetDiskFreeSpaceExW(string folder, out ulong free, out ulong total, out ulong allFree);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern uint GetSystemFirmwareTable(uint provider, uint table, byte[] into, uint size);

        [DllImport("kernel32.dll", ExactSpelling = true)]
        public static extern IntPtr GetCurrentProcess();

        [DllImport("kernel32.dll", ExactSpelling = true)]
        public static extern uint SetErrorMode(uint mode);

        [DllImport("kernel32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool CloseHandle(IntPtr handle);

        [DllImport("advapi32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool OpenProcessToken(IntPtr process, uint access, out IntPtr token);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true, ExactSpelling = true)]
        public static extern bool LookupPrivilegeValueW(string system, string name, out long luid);

        [DllImport("advapi32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool AdjustTokenPrivileges(IntPtr token, bool disableAll, byte[] state, int size,
            IntPtr previous, IntPtr returned);

        [DllImport("advapi32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool GetTokenInformation(IntPtr token, int kind, byte[] into, int size, out int needed);

        [DllImport("advapi32.dll", SetLastError = true, ExactSpelling = true)]
        public static extern bool GetKernelObjectSecurity(SafeFileHandle file, uint what, byte[] into, int size,
            out int needed);
    }
}
