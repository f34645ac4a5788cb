namespace Firstbell
{
    using System;
    using System.Collections.Generic;

    // What stands at a path now. Pure: NativeWrite fills it.
    public sealed class Standing
    {
        public const uint ReadOnly = 0x1;
        public const uint Folder = 0x10;
        public const uint Sparse = 0x200;
        public const uint Reparse = 0x400;
        public const uint Encrypted = 0x4000;

        public const uint Junction = 0xA0000003; // IO_REPARSE_TAG_MOUNT_POINT
        public const uint Symlink = 0xA000000C; // IO_REPARSE_TAG_SYMLINK
        const uint NameSurrogate = 0x20000000; // of a tag: it stands for another place

        // Ticks of 100 ns between 1601, where FILETIME begins, and 1970.
        const long Epoch = 116444736000000000;

        public string Name; // as its folder holds it
        public uint Attributes;
        public uint Tag;
        public long Size;
        public long Written; // FILETIME
        public uint Volume;
        public long Index;

        // As the rows of `stat` have it: file, dir, symlink; a junction is a symlink. What stands for another place in a
        // way that we do not know is other: no plan expects that.
        public string Kind
        {
            get
            {
                if (FileMarks.IsLink(Attributes, Tag))
                {
                    return "symlink";
                }
                return LeadsElsewhere ? "other" : IsFolder ? "dir" : "file";
            }
        }

        public bool IsFolder
        {
            get { return (Attributes & Folder) != 0; }
        }

        // Whether a path through it goes to another place.
        public bool LeadsElsewhere
        {
            get { return (Attributes & Reparse) != 0 && (Tag == 0 || (Tag & NameSurrogate) != 0); }
        }

        // Nanoseconds since 1970.
        public long Mtime
        {
            get { return ToUnix(Written); }
        }

        public bool IsSame(Standing other)
        {
            return Volume == other.Volume && Index == other.Index && Index != 0;
        }

        // Whether what stands there (null: nothing) is what the plan saw: null, or [type, size, mtime].
        public static bool Agrees(Standing there, object expect)
        {
            List<object> seen = expect as List<object>;
            if (there == null || seen == null)
            {
                return there == null && seen == null;
            }
            string kind = there.Kind;
            if (!kind.Equals(seen[0]))
            {
                return false;
            }
            if (kind == "dir")
            {
                return true;
            }
            return there.Mtime == Convert.ToInt64(seen[2]) && (kind != "file" || there.Size == Convert.ToInt64(seen[1]));
        }

        public static long ToUnix(long time)
        {
            return (time - Epoch) * 100;
        }

        // The FILETIME of ns since 1970, rounded down to its 100 ns; 0 for what it cannot hold.
        public static long FromUnix(long ns)
        {
            long ticks = (ns - ((ns % 100) + 100) % 100) / 100;
            return ticks > -Epoch ? ticks + Epoch : 0;
        }
    }
}
