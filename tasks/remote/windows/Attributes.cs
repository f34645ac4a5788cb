namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;

    // What an enumeration tells about one entry. Times are FILETIMEs: 100 ns since 1601.
    public sealed class Entry
    {
        public string Name;
        public uint Attributes;
        // The reparse tag, when the attributes say that there is one.
        public uint Tag;
        public long Size;
        public long Created;
        public long Written;
        // The time of the last change to content or metadata, and the file id; 0 where they are not told.
        public long Changed;
        public long Id;

        public bool IsFolder
        {
            get { return (Attributes & FileMarks.Directory) != 0; }
        }

        static readonly Comparison<Entry> byName = delegate(Entry one, Entry other)
        {
            return Paths.Compare(one.Name, other.Name);
        };

        public static void Sort(List<Entry> entries)
        {
            entries.Sort(byName);
        }

        // Nanoseconds since 1970 as text: a FILETIME of the year 1601 is beyond 64 bits of them.
        public static string Nanoseconds(long fileTime)
        {
            long ticks = fileTime - 116444736000000000;
            return ticks == 0 ? "0" : ticks.ToString(CultureInfo.InvariantCulture) + "00";
        }
    }

    // What an entry counts as.
    public enum Kind
    {
        File,
        Folder,
        // A junction or symbolic link: told with its target, never followed.
        Link,
        // Nothing to save; why is in the verdict.
        Left
    }

    public struct Verdict
    {
        public Kind Kind;
        public string Reason;
        public string Rule;
        public string Detail;
    }

    // What attributes and reparse tags mean, decided without a look at the file (learn.microsoft.com, "File Attribute
    // Constants" and "Reparse Point Tags").
    public static class FileMarks
    {
        public const uint ReadOnly = 0x1;
        public const uint Directory = 0x10;
        public const uint Device = 0x40;
        public const uint Sparse = 0x200;
        public const uint Reparse = 0x400;
        public const uint Encrypted = 0x4000;
        const uint Pinned = 0x80000;
        const uint Unpinned = 0x100000;
        // OFFLINE, RECALL_ON_OPEN, RECALL_ON_DATA_ACCESS: to read the content would fetch it from elsewhere.
        const uint Elsewhere = 0x441000;

        const uint MountPoint = 0xA0000003;
        const uint SymbolicLink = 0xA000000C;
        const uint Dedup = 0x80000013;
        const uint NameSurrogate = 0x20000000;

        public static bool IsLink(uint attributes, uint tag)
        {
            return (attributes & Reparse) != 0 && (tag == MountPoint || tag == SymbolicLink);
        }

        public static bool IsCloud(uint tag)
        {
            return (tag & 0xFFFF0FFF) == 0x9000001A;
        }

        // Whether the content is not on this computer. True also of folders, whose names are here.
        public static bool IsElsewhere(uint attributes)
        {
            return (attributes & Elsewhere) != 0;
        }

        public static Verdict Judge(Entry entry)
        {
            return Judge(entry.Attributes, entry.Tag, entry.Size);
        }

        public static Verdict Judge(uint attributes, uint tag, long size)
        {
            Verdict verdict = new Verdict();
            bool folder = (attributes & Directory) != 0;
            verdict.Kind = folder ? Kind.Folder : Kind.File;
            if (IsLink(attributes, tag))
            {
                verdict.Kind = Kind.Link;
                return verdict;
            }
            if ((attributes & Device) != 0)
            {
                return Left(verdict, "special", "it is a device");
            }
            if (!folder && IsElsewhere(attributes))
            {
                return Left(verdict, "cloud-only", CloudState(attributes, tag, size));
            }
            if ((attributes & Reparse) != 0 && !IsCloud(tag) && tag != Dedup)
            {
                string special = Special(tag);
                if (special != null)
                {
                    return Left(verdict, "special", special);
                }
            }
            if (!folder && (attributes & Encrypted) != 0)
            {
                return Left(verdict, "unreadable",
                    "encrypted by Windows (EFS): only its owner, signed in on this computer, can read it; decrypt it there");
            }
            return verdict;
        }

        static Verdict Left(Verdict verdict, string reason, string detail)
        {
            verdict.Kind = Kind.Left;
            verdict.Reason = reason;
            verdict.Detail = detail;
            return verdict;
        }

        static string CloudState(uint attributes, uint tag, long size)
        {
            string state = (attributes & Pinned) != 0 ? "to be kept on this computer, but not downloaded yet"
                : (attributes & Unpinned) != 0 ? "set free by its owner" : "never opened here, or set free";
            string where = (attributes & Reparse) == 0 || IsCloud(tag) ? "in the cloud" : "in an archive";
            return size.ToString(CultureInfo.InvariantCulture) + " bytes " + where + ", " + state;
        }

        // What a reparse point is that holds no content of its own; null for one whose content can be read.
        static string Special(uint tag)
        {
            switch (tag)
            {
                case 0x8000001B:
                    return "the name under which an app from the Store starts";
                case 0x80000023:
                    return "a socket";
                case 0xA000001D:
                    return "a symbolic link of Linux";
                case 0x80000024:
                case 0x80000025:
                case 0x80000026:
                    return "a FIFO or device of Linux";
                case 0x80000018:
                case 0x90001018:
                case 0xA000001F:
                case 0xA0000027:
                    return "a part of a Windows container";
            }
            // Stands for another place, in a way that we do not know.
            return (tag & NameSurrogate) != 0
                ? "a link of an unknown kind (reparse tag 0x" + tag.ToString("X8", CultureInfo.InvariantCulture) + ")" : null;
        }

        // POSIX mode as the stock client has it on Windows (Go's os.FileMode there).
        public static int Mode(Kind kind, uint attributes)
        {
            switch (kind)
            {
                case Kind.Folder:
                    return 16895; // 0o40777
                case Kind.Link:
                    return 41398; // 0o120666
                default:
                    return (attributes & ReadOnly) != 0 ? 33060 : 33206; // 0o100444, 0o100666
            }
        }
    }
}
