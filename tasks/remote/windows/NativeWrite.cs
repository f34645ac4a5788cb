namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // What writing asks of Windows. Paths carry \\?\; what fails throws Refused. Structures are laid out by hand, by the
    // offsets of the Windows SDK.
    public static class NativeWrite
    {
        public const uint ReadData = 0x1; // FILE_READ_DATA, FILE_LIST_DIRECTORY
        public const uint Traverse = 0x20;
        public const uint ReadAttributes = 0x80;
        public const uint WriteAttributes = 0x100;
        public const uint Delete = 0x10000;
        public const uint ReadControl = 0x20000;
        public const uint WriteAccessList = 0x40000; // WRITE_DAC
        public const uint WriteOwner = 0x80000;
        public const uint Synchronize = 0x100000;
        public const uint GenericWrite = 0x40000000;
        public const uint GenericRead = 0x80000000;

        public const uint ShareRead = 1;
        public const uint ShareWrite = 2;
        public const uint ShareDelete = 4;
        public const uint ShareAll = 7;

        public const uint CreateNew = 1;
        public const uint OpenExisting = 3;
        public const uint OpenAlways = 4;

        // Folders, too, and for backup and restore what their privileges allow; the link itself, not where it leads.
        public const uint Itself = 0x02000000 | 0x00200000; // FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT
        public const uint Followed = 0x02000000;

        const int BasicInfo = 0;
        const int RenameInfo = 3;
        const int DispositionInfo = 4;
        const int AttributeTagInfo = 9;
        const uint NamedStreams = 0x40000; // FILE_NAMED_STREAMS
        const uint SetSparse = 0x900C4; // FSCTL_SET_SPARSE
        const uint SetReparsePoint = 0x900A4; // FSCTL_SET_REPARSE_POINT
        const uint GetReparsePoint = 0x900A8; // FSCTL_GET_REPARSE_POINT
        const uint SetZeroData = 0x980C8; // FSCTL_SET_ZERO_DATA
        const int FileObject = 1; // SE_FILE_OBJECT
        const uint OwnerInformation = 0x1;
        const uint AccessInformation = 0x4;
        const uint Protected = 0x80000000;
        const uint Unprotected = 0x20000000;

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern SafeFileHandle CreateFileW(
            string path, uint access, uint share, IntPtr security, uint disposition, uint flags, IntPtr template);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern uint GetFinalPathNameByHandleW(SafeFileHandle handle, StringBuilder path, uint size, uint flags);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool GetFileInformationByHandle(SafeFileHandle handle, [Out] byte[] information);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool GetFileInformationByHandleEx(
            SafeFileHandle handle, int kind, [Out] byte[] information, int size);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool SetFileInformationByHandle(SafeFileHandle handle, int kind, byte[] information, int size);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern IntPtr FindFirstFileExW(
            string path, int level, [Out] byte[] data, int search, IntPtr filter, uint flags);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool FindNextFileW(IntPtr find, [Out] byte[] data);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool FindClose(IntPtr find);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool GetVolumeInformationByHandleW(
            SafeFileHandle handle, IntPtr name, uint nameSize, out uint serial, out uint longest, out uint flags,
            IntPtr system, uint systemSize);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool FlushFileBuffers(SafeFileHandle handle);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool MoveFileExW(string from, string to, uint flags);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool CreateDirectoryW(string path, IntPtr security);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool RemoveDirectoryW(string path);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool CreateHardLinkW(string path, string existing, IntPtr security);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern byte CreateSymbolicLinkW(string path, string target, uint flags);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool DeviceIoControl(
            SafeFileHandle handle, uint code, byte[] input, int inputSize, [Out] byte[] output, int outputSize,
            out int returned, IntPtr overlapped);

        [DllImport("kernel32.dll")]
        static extern IntPtr LocalFree(IntPtr memory);

        [DllImport("advapi32.dll")]
        static extern int GetSecurityInfo(
            SafeFileHandle handle, int kind, uint what, out IntPtr owner, IntPtr group, IntPtr access, IntPtr audit,
            out IntPtr descriptor);

        [DllImport("advapi32.dll")]
        static extern int SetSecurityInfo(
            SafeFileHandle handle, int kind, uint what, byte[] owner, byte[] group, byte[] access, byte[] audit);

        [DllImport("advapi32.dll")]
        static extern int GetLengthSid(IntPtr sid);

        [DllImport("userenv.dll", CharSet = CharSet.Unicode)]
        static extern int CreateProfile(string sid, string user, StringBuilder path, uint size);

        // An open file or folder; the error of Windows is 0 when it is.
        public static SafeFileHandle TryOpen(
            string path, uint access, uint share, uint disposition, uint flags, out int error)
        {
            SafeFileHandle handle = CreateFileW(path, access, share, IntPtr.Zero, disposition, flags, IntPtr.Zero);
            error = handle.IsInvalid ? Marshal.GetLastWin32Error() : 0;
            return handle;
        }

        public static SafeFileHandle Open(string path, uint access, uint share, uint disposition, uint flags)
        {
            int error;
            SafeFileHandle handle = TryOpen(path, access, share, disposition, flags, out error);
            if (error != 0)
            {
                throw Refused.Of(error);
            }
            return handle;
        }

        // Where an open file really lies: every link in the path followed, short names long. Null when Windows cannot say.
        public static string FinalPath(SafeFileHandle handle)
        {
            StringBuilder path = new StringBuilder(1024);
            uint size = GetFinalPathNameByHandleW(handle, path, (uint)path.Capacity, 0);
            if (size >= path.Capacity)
            {
                path.Capacity = (int)size + 1;
                size = GetFinalPathNameByHandleW(handle, path, (uint)path.Capacity, 0);
            }
            return size == 0 ? null : path.ToString();
        }

        // BY_HANDLE_FILE_INFORMATION, and the reparse tag.
        public static Standing Information(SafeFileHandle handle)
        {
            byte[] data = new byte[52];
            Check(GetFileInformationByHandle(handle, data));
            Standing there = new Standing();
            there.Attributes = BitConverter.ToUInt32(data, 0);
            there.Written = BitConverter.ToInt64(data, 20);
            there.Volume = BitConverter.ToUInt32(data, 28);
            there.Size = Long(data, 32);
            there.Index = Long(data, 44);
            byte[] tag = new byte[8];
            if ((there.Attributes & Standing.Reparse) != 0 && GetFileInformationByHandleEx(handle, AttributeTagInfo, tag, 8))
            {
                there.Tag = BitConverter.ToUInt32(tag, 4);
            }
            return there;
        }

        // What its folder tells of a name (WIN32_FIND_DATAW), or null: nothing there. Opens nothing.
        public static Standing Find(string path)
        {
            byte[] data = new byte[592];
            IntPtr find = FindFirstFileExW(path, 1, data, 0, IntPtr.Zero, 0); // FindExInfoBasic, FindExSearchNameMatch
            if (find == new IntPtr(-1))
            {
                int error = Marshal.GetLastWin32Error();
                if (error == 2)
                {
                    return null;
                }
                throw Refused.Of(error);
            }
            FindClose(find);
            Standing there = new Standing();
            there.Attributes = BitConverter.ToUInt32(data, 0);
            there.Written = BitConverter.ToInt64(data, 20);
            there.Size = Long(data, 28);
            there.Tag = (there.Attributes & Standing.Reparse) != 0 ? BitConverter.ToUInt32(data, 36) : 0;
            there.Name = FoundName(data);
            // Without the dots or blanks at the end that we ask for it is another one: Wine takes it for the same.
            string asked = WritePath.Name(path);
            bool other = asked.Length != there.Name.Length && WritePath.Same(WritePath.BareName(asked), there.Name);
            return other ? null : there;
        }

        // The names in a folder that match a pattern; none when it cannot be looked into.
        public static List<string> Names(string folder, string pattern)
        {
            byte[] data = new byte[592];
            List<string> names = new List<string>();
            IntPtr find = FindFirstFileExW(WritePath.Join(folder, pattern), 1, data, 0, IntPtr.Zero, 0);
            if (find != new IntPtr(-1))
            {
                do
                {
                    names.Add(FoundName(data));
                }
                while (FindNextFileW(find, data));
                FindClose(find);
            }
            return names;
        }

        static string FoundName(byte[] data)
        {
            int end = 44;
            while (end < 564 && (data[end] != 0 || data[end + 1] != 0))
            {
                end += 2;
            }
            // Not Encoding.Unicode: it puts half a surrogate pair right.
            char[] name = new char[(end - 44) / 2];
            Buffer.BlockCopy(data, 44, name, 0, end - 44);
            return new string(name);
        }

        // Times are FILETIMEs; 0 leaves a time as it is.
        public static bool SetBasic(SafeFileHandle handle, long created, long accessed, long written, uint attributes)
        {
            byte[] data = new byte[40];
            BitConverter.GetBytes(created).CopyTo(data, 0);
            BitConverter.GetBytes(accessed).CopyTo(data, 8);
            BitConverter.GetBytes(written).CopyTo(data, 16);
            BitConverter.GetBytes(attributes).CopyTo(data, 32);
            return SetFileInformationByHandle(handle, BasicInfo, data, data.Length);
        }

        // Returns the error of Windows; the handle must have been opened with Delete.
        public static int Rename(SafeFileHandle handle, string to, bool replace)
        {
            byte[] name = new byte[2 * to.Length];
            Buffer.BlockCopy(to.ToCharArray(), 0, name, 0, name.Length);
            int length = 2 * IntPtr.Size; // FILE_RENAME_INFO: whether to replace, a folder's handle, length, name
            byte[] data = new byte[length + 4 + name.Length + 2];
            data[0] = (byte)(replace ? 1 : 0);
            BitConverter.GetBytes(name.Length).CopyTo(data, length);
            name.CopyTo(data, length + 4);
            return SetFileInformationByHandle(handle, RenameInfo, data, data.Length) ? 0 : Marshal.GetLastWin32Error();
        }

        // The same by names, where the file system cannot do it by handle.
        public static int Move(string from, string to, bool replace)
        {
            return MoveFileExW(from, to, 8u | (replace ? 1u : 0u)) ? 0 : Marshal.GetLastWin32Error(); // WRITE_THROUGH, REPLACE
        }

        public static void Remove(SafeFileHandle handle)
        {
            Check(TryRemove(handle));
        }

        // It is gone when the last handle is closed.
        public static bool TryRemove(SafeFileHandle handle)
        {
            return SetFileInformationByHandle(handle, DispositionInfo, new byte[] { 1 }, 1);
        }

        public static void Flush(SafeFileHandle handle)
        {
            Check(FlushFileBuffers(handle));
        }

        public static bool TryFlush(SafeFileHandle handle)
        {
            return FlushFileBuffers(handle);
        }

        // Makes all of a volume durable at once, when the account may; false when it may not.
        public static bool FlushVolume(char letter)
        {
            int error;
            string volume = "\\\\.\\" + letter + ":";
            using (SafeFileHandle handle = TryOpen(volume, GenericWrite, ShareRead | ShareWrite, OpenExisting, 0, out error))
            {
                return error == 0 && FlushFileBuffers(handle);
            }
        }

        public static void MakeFolder(string path)
        {
            Check(CreateDirectoryW(path, IntPtr.Zero));
        }

        // An empty one.
        public static void RemoveFolder(string path)
        {
            Check(RemoveDirectoryW(path));
        }

        public static void MakeHardLink(string path, string existing)
        {
            Check(CreateHardLinkW(path, existing, IntPtr.Zero));
        }

        public static void MakeSymlink(string path, string target, bool folder)
        {
            uint kind = folder ? 1u : 0u; // SYMBOLIC_LINK_FLAG_DIRECTORY
            // With 2, ALLOW_UNPRIVILEGED_CREATE, first: Windows before 10 1703 does not know it.
            if (CreateSymbolicLinkW(path, target, kind | 2) == 0)
            {
                Check(CreateSymbolicLinkW(path, target, kind) != 0);
            }
        }

        public static bool HasStreams(SafeFileHandle handle)
        {
            uint serial, longest, flags;
            return GetVolumeInformationByHandleW(handle, IntPtr.Zero, 0, out serial, out longest, out flags, IntPtr.Zero, 0)
                && (flags & NamedStreams) != 0;
        }

        public static bool MakeSparse(SafeFileHandle handle)
        {
            int returned;
            return DeviceIoControl(handle, SetSparse, null, 0, null, 0, out returned, IntPtr.Zero);
        }

        public static bool MakeHole(SafeFileHandle handle, long from, long to)
        {
            int returned;
            byte[] range = new byte[16];
            BitConverter.GetBytes(from).CopyTo(range, 0);
            BitConverter.GetBytes(to).CopyTo(range, 8);
            return DeviceIoControl(handle, SetZeroData, range, range.Length, null, 0, out returned, IntPtr.Zero);
        }

        // Of a junction or symbolic link (REPARSE_DATA_BUFFER); null when there is none to read.
        public static byte[] ReparseData(string path)
        {
            int error;
            using (SafeFileHandle handle = TryOpen(path, ReadAttributes, ShareAll, OpenExisting, Itself, out error))
            {
                int returned;
                byte[] data = new byte[16 * 1024]; // MAXIMUM_REPARSE_DATA_BUFFER_SIZE
                if (error != 0 || !DeviceIoControl(
                    handle, GetReparsePoint, null, 0, data, data.Length, out returned, IntPtr.Zero) || returned < 20)
                {
                    return null;
                }
                Array.Resize(ref data, returned);
                return data;
            }
        }

        public static void MakeJunction(SafeFileHandle handle, byte[] reparse)
        {
            int returned;
            Check(DeviceIoControl(handle, SetReparsePoint, reparse, reparse.Length, null, 0, out returned, IntPtr.Zero));
        }

        // The owner's SID, or null when it cannot be told.
        public static byte[] Owner(SafeFileHandle handle)
        {
            IntPtr owner, descriptor;
            if (GetSecurityInfo(
                handle, FileObject, OwnerInformation, out owner, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, out descriptor) != 0)
            {
                return null;
            }
            try
            {
                if (owner == IntPtr.Zero)
                {
                    return null;
                }
                byte[] sid = new byte[GetLengthSid(owner)];
                Marshal.Copy(owner, sid, 0, sid.Length);
                return sid;
            }
            finally
            {
                LocalFree(descriptor);
            }
        }

        public static bool SetOwner(SafeFileHandle handle, byte[] sid)
        {
            return SetSecurityInfo(handle, FileObject, OwnerInformation, sid, null, null, null) == 0;
        }

        // Sets the explicit entries; those inherited from the folder are added by Windows unless it is closed off.
        public static bool SetAccess(SafeFileHandle handle, byte[] entries, bool closed)
        {
            uint what = AccessInformation | (closed ? Protected : Unprotected);
            return SetSecurityInfo(handle, FileObject, what, null, null, entries, null) == 0;
        }

        // Returns the HRESULT; throws EntryPointNotFoundException where Windows has no such call (Wine).
        public static int MakeProfile(string sid, string user, out string folder)
        {
            StringBuilder path = new StringBuilder(260);
            int result = CreateProfile(sid, user, path, (uint)path.Capacity);
            folder = path.ToString();
            return result;
        }

        static long Long(byte[] data, int high)
        {
            return ((long)BitConverter.ToUInt32(data, high) << 32) | BitConverter.ToUInt32(data, high + 4);
        }

        static void Check(bool done)
        {
            if (!done)
            {
                throw Refused.Of(Marshal.GetLastWin32Error());
            }
        }
    }
}
