namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // The files of this computer, by the calls of Windows; through shadow copies where `Paths` knows some.
    public sealed class WindowsFiles : ILook
    {
        const int ListBuffer = 64 * 1024;
        const int FindData = 592; // sizeof(WIN32_FIND_DATAW)
        static readonly byte[] signature = Encoding.ASCII.GetBytes("Signature: 8a477f597d28d172789f06886806bc55");

        public readonly Paths Paths;
        readonly byte[] buffer = new byte[ListBuffer];
        readonly byte[] found = new byte[FindData];
        readonly FileDetails details;
        // Drives whose file system cannot tell file ids while it lists a folder.
        readonly HashSet<char> withoutIds = new HashSet<char>();

        public WindowsFiles(Paths paths, FileDetails details)
        {
            Paths = paths;
            this.details = details;
        }

        public List<string> Drives()
        {
            List<string> letters = new List<string>();
            uint drives = Native.GetLogicalDrives();
            for (int index = 0; index < 26; index++)
            {
                char letter = (char)('A' + index);
                if ((drives >> index & 1) != 0 && Native.GetDriveTypeW(letter + ":\\") == 3) // DRIVE_FIXED
                {
                    letters.Add(letter.ToString());
                }
            }
            return letters;
        }

        string Place(string path)
        {
            string place = Paths.Read(path);
            if (place == null)
            {
                throw new Skip("vanished", "no path of Windows");
            }
            return place;
        }

        public Entry Look(string path)
        {
            if (path == "/")
            {
                Entry top = new Entry();
                top.Name = "";
                top.Attributes = FileMarks.Directory;
                return top;
            }
            string place = Place(path);
            Entry entry = path.Length == 2 ? Drive(path, place) : Find(place);
            // The listing of a folder may be old for a file that is open or has several names. One that is not on this
            // computer is never opened.
            if (!FileMarks.IsElsewhere(entry.Attributes))
            {
                using (SafeFileHandle file = Open(place, Native.ReadAttributes, true, 0))
                {
                    if (!file.IsInvalid)
                    {
                        Inspect(file, entry);
                    }
                }
            }
            return entry;
        }

        static Entry Drive(string path, string place)
        {
            byte[] data = new byte[36]; // WIN32_FILE_ATTRIBUTE_DATA
            if (!Native.GetFileAttributesExW(place, 0, data))
            {
                throw Skip.Of(Marshal.GetLastWin32Error());
            }
            Entry entry = new Entry();
            entry.Name = path.Substring(1).ToUpperInvariant();
            // Root folders have their volume's marks: hidden, system. They are no folder of a person.
            entry.Attributes = BitConverter.ToUInt32(data, 0);
            entry.Created = BitConverter.ToInt64(data, 4);
            entry.Written = BitConverter.ToInt64(data, 20);
            return entry;
        }

        // What the folder says about one name in it, without opening that.
        public Entry Find(string place)
        {
            IntPtr search = Native.FindFirstFileExW(place, 1, found, 0, IntPtr.Zero, 0);
            if (search == Native.InvalidHandle)
            {
                throw Skip.Of(Marshal.GetLastWin32Error());
            }
            Native.FindClose(search);
            return Found();
        }

        Entry Found()
        {
            Entry entry = new Entry();
            entry.Attributes = BitConverter.ToUInt32(found, 0);
            entry.Created = BitConverter.ToInt64(found, 4);
            entry.Written = BitConverter.ToInt64(found, 20);
            entry.Size = (long)BitConverter.ToUInt32(found, 28) << 32 | BitConverter.ToUInt32(found, 32);
            if ((entry.Attributes & FileMarks.Reparse) != 0)
            {
                entry.Tag = BitConverter.ToUInt32(found, 36);
            }
            int length = 0;
            while (length < 260 && (found[44 + 2 * length] != 0 || found[45 + 2 * length] != 0))
            {
                length++;
            }
            entry.Name = Text(found, 44, length);
            return entry;
        }

        // Not Encoding.Unicode: it would replace half a surrogate pair.
        public static string Text(byte[] data, int offset, int length)
        {
            char[] characters = new char[length];
            Buffer.BlockCopy(data, offset, characters, 0, 2 * length);
            return new string(characters);
        }

        public static SafeFileHandle Open(string place, uint access, bool itself, uint flags)
        {
            return Native.CreateFileW(place, access, Native.ShareAll, IntPtr.Zero, Native.OpenExisting,
                flags | Native.BackupSemantics | (itself ? Native.OpenReparsePoint : 0), IntPtr.Zero);
        }

        // Times, size, id and attributes of an open file or folder.
        public static void Inspect(SafeFileHandle file, Entry entry)
        {
            byte[] basic = new byte[40]; // FILE_BASIC_INFO
            byte[] more = new byte[52]; // BY_HANDLE_FILE_INFORMATION
            if (!Native.GetFileInformationByHandleEx(file, Native.BasicInfo, basic, basic.Length)
                || !Native.GetFileInformationByHandle(file, more))
            {
                throw Skip.Of(Marshal.GetLastWin32Error());
            }
            entry.Created = BitConverter.ToInt64(basic, 0);
            entry.Written = BitConverter.ToInt64(basic, 16);
            entry.Changed = BitConverter.ToInt64(basic, 24);
            uint opened = BitConverter.ToUInt32(basic, 32);
            // 0x40000 means another thing here (it has EAs) than in a listing (its content is elsewhere).
            entry.Attributes = (opened & ~0x40000u) | (entry.Attributes & 0x40000u);
            entry.Size = (long)BitConverter.ToUInt32(more, 32) << 32 | BitConverter.ToUInt32(more, 36);
            entry.Id = (long)((ulong)BitConverter.ToUInt32(more, 44) << 32 | BitConverter.ToUInt32(more, 48));
        }

        public List<Entry> List(string path)
        {
            try
            {
                return ListAt(path, Place(path));
            }
            catch (Skip skip)
            {
                // What the cloud's own driver serves has no place in a shadow copy.
                if (!Paths.Shadowed(path) || (skip.Reason != "cloud-only" && skip.Reason != "unreadable"))
                {
                    throw;
                }
            }
            return ListAt(path, Paths.Live(path));
        }

        List<Entry> ListAt(string path, string place)
        {
            List<Entry> entries = null;
            char drive = char.ToUpperInvariant(path[1]);
            if (!withoutIds.Contains(drive))
            {
                entries = ListByHandle(place);
                if (entries == null)
                {
                    withoutIds.Add(drive);
                }
            }
            return entries ?? ListByName(place);
        }

        // By an open folder: that is sure to be no link, and it tells file ids and times of change. Null where the file
        // system cannot.
        List<Entry> ListByHandle(string place)
        {
            List<Entry> entries = new List<Entry>();
            using (SafeFileHandle folder = OpenFolder(place))
            {
                while (Native.GetFileInformationByHandleEx(folder, Native.IdBothDirectoryInfo, buffer, buffer.Length))
                {
                    int at = 0, next;
                    do
                    {
                        next = BitConverter.ToInt32(buffer, at);
                        Entry entry = Listed(at);
                        if (entry.Name != "." && entry.Name != "..")
                        {
                            entries.Add(entry);
                        }
                        at += next;
                    }
                    while (next != 0);
                }
                int error = Marshal.GetLastWin32Error();
                if (error == Errors.NoMoreFiles || error == Errors.FileNotFound)
                {
                    return entries;
                }
                if (entries.Count == 0 && (error == Errors.InvalidParameter || error == Errors.InvalidLevel
                    || error == Errors.NotSupported || error == 1)) // ERROR_INVALID_FUNCTION
                {
                    return null;
                }
                throw Skip.Of(error);
            }
        }

        static SafeFileHandle OpenFolder(string place)
        {
            SafeFileHandle folder = Open(place, Native.ListFolder | Native.ReadAttributes | Native.Synchronize, true, 0);
            if (folder.IsInvalid)
            {
                throw Skip.Of(Marshal.GetLastWin32Error());
            }
            byte[] tag = new byte[8]; // FILE_ATTRIBUTE_TAG_INFO
            if (Native.GetFileInformationByHandleEx(folder, Native.AttributeTagInfo, tag, tag.Length)
                && FileMarks.IsLink(BitConverter.ToUInt32(tag, 0), BitConverter.ToUInt32(tag, 4)))
            {
                folder.Dispose();
                throw new Skip("vanished", "it is a link now");
            }
            return folder;
        }

        Entry Listed(int at)
        {
            Entry entry = new Entry(); // FILE_ID_BOTH_DIR_INFO
            entry.Created = BitConverter.ToInt64(buffer, at + 8);
            entry.Written = BitConverter.ToInt64(buffer, at + 24);
            entry.Changed = BitConverter.ToInt64(buffer, at + 32);
            entry.Size = BitConverter.ToInt64(buffer, at + 40);
            entry.Attributes = BitConverter.ToUInt32(buffer, at + 56);
            entry.Name = Text(buffer, at + 104, BitConverter.ToInt32(buffer, at + 60) / 2);
            if ((entry.Attributes & FileMarks.Reparse) != 0)
            {
                entry.Tag = BitConverter.ToUInt32(buffer, at + 64);
            }
            entry.Id = BitConverter.ToInt64(buffer, at + 96);
            return entry;
        }

        // By its path, as every file system can.
        public List<Entry> ListByName(string place)
        {
            OpenFolder(place).Dispose();
            List<Entry> entries = new List<Entry>();
            // FindExInfoBasic: no short names; FIND_FIRST_EX_LARGE_FETCH.
            IntPtr search = Native.FindFirstFileExW(place.TrimEnd('\\') + "\\*", 1, found, 0, IntPtr.Zero, 2);
            if (search == Native.InvalidHandle)
            {
                int error = Marshal.GetLastWin32Error();
                if (error == Errors.FileNotFound)
                {
                    return entries; // an empty drive
                }
                throw Skip.Of(error);
            }
            try
            {
                do
                {
                    Entry entry = Found();
                    if (entry.Name != "." && entry.Name != "..")
                    {
                        entries.Add(entry);
                    }
                }
                while (Native.FindNextFileW(search, found));
                int error = Marshal.GetLastWin32Error();
                if (error != Errors.NoMoreFiles)
                {
                    throw Skip.Of(error);
                }
            }
            finally
            {
                Native.FindClose(search);
            }
            return entries;
        }

        public string Target(string path, Entry entry)
        {
            using (SafeFileHandle file = Open(Place(path), Native.ReadAttributes, true, 0))
            {
                byte[] data = new byte[16 * 1024]; // MAXIMUM_REPARSE_DATA_BUFFER_SIZE
                int size;
                if (file.IsInvalid
                    || !Native.DeviceIoControl(file, 0x900A8, null, 0, data, data.Length, out size, IntPtr.Zero))
                {
                    throw Skip.Of(Marshal.GetLastWin32Error()); // FSCTL_GET_REPARSE_POINT
                }
                return ReparsePoint.Target(data, size);
            }
        }

        public Details Detail(string path, Entry entry)
        {
            // To look at a file that is not on this computer could fetch it.
            return path.Length <= 2 || FileMarks.IsElsewhere(entry.Attributes) ? null
                : details.Of(path, Paths.Read(path), entry);
        }

        public bool HasTag(string folder, string name)
        {
            string place = Paths.Read(Paths.Join(folder, name));
            try
            {
                // Most folders have none: one call tells, and nothing is opened.
                if (place == null || FileMarks.Judge(Find(place)).Kind != Kind.File)
                {
                    return false;
                }
            }
            catch (Skip)
            {
                return false;
            }
            using (SafeFileHandle file = Open(place, Native.ReadData, true, 0))
            {
                byte[] begin = new byte[signature.Length];
                if (file.IsInvalid || Content.Read(file, begin, 0, begin.Length) < begin.Length)
                {
                    return false;
                }
                for (int index = 0; index < begin.Length; index++)
                {
                    if (begin[index] != signature[index])
                    {
                        return false;
                    }
                }
                return true;
            }
        }
    }

    // Where a junction or symbolic link leads: REPARSE_DATA_BUFFER (ntifs.h).
    public static class ReparsePoint
    {
        public static string Target(byte[] data, int size)
        {
            uint tag = BitConverter.ToUInt32(data, 0);
            int names = tag == 0xA000000C ? 20 : 16; // a symbolic link has flags before its names
            if (size < names)
            {
                throw new Skip("unreadable", "a link without a target");
            }
            string substitute = Name(data, size, names, 8);
            string printed = Name(data, size, names, 12);
            // The stock client tells the place that counts, without the mark of the kernel.
            if (substitute.StartsWith("\\??\\UNC\\", StringComparison.OrdinalIgnoreCase))
            {
                return "\\\\" + substitute.Substring(8);
            }
            if (substitute.StartsWith("\\??\\Volume{", StringComparison.OrdinalIgnoreCase))
            {
                return "\\\\?\\" + substitute.Substring(4);
            }
            if (substitute.StartsWith("\\??\\", StringComparison.Ordinal))
            {
                return substitute.Substring(4);
            }
            return substitute.Length > 0 ? substitute : printed;
        }

        static string Name(byte[] data, int size, int names, int at)
        {
            int offset = names + BitConverter.ToUInt16(data, at);
            int length = BitConverter.ToUInt16(data, at + 2);
            if (offset + length > size)
            {
                throw new Skip("unreadable", "a link whose target is cut off");
            }
            return WindowsFiles.Text(data, offset, length / 2);
        }
    }
}
