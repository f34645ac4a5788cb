namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // Looks up a few values in the registry hive of somebody who is not signed in. The file is only read: to load it
    // would lock it, and who signs in meanwhile would get a temporary profile. Its log files are left aside, so that what
    // was changed last may be missing. Format: "Windows registry file format specification" by M. Suhanov.
    public sealed class Hive
    {
        const int Start = 4096; // offsets count from the first hive bin
        const int Largest = 256 * 1024 * 1024;
        const int Deepest = 8;

        readonly byte[] data;

        public Hive(byte[] data)
        {
            this.data = data;
        }

        // Null when there is none that can be read.
        public static Hive Load(string path)
        {
            try
            {
                using (SafeFileHandle file = WindowsFiles.Open("\\\\?\\" + path, Native.ReadData, true, Native.OpenNoRecall))
                {
                    Entry entry = new Entry();
                    if (file.IsInvalid)
                    {
                        return null;
                    }
                    WindowsFiles.Inspect(file, entry);
                    if (entry.Size < Start + 32 || entry.Size > Largest)
                    {
                        return null;
                    }
                    byte[] data = new byte[entry.Size];
                    return Content.Read(file, data, 0, data.Length) == data.Length && data[0] == 'r' && data[1] == 'e'
                        && data[2] == 'g' && data[3] == 'f' ? new Hive(data) : null;
                }
            }
            catch (Skip)
            {
                return null;
            }
        }

        public bool Has(string path)
        {
            try
            {
                return Key(path) > 0;
            }
            catch (InvalidDataException)
            {
                return false;
            }
        }

        public List<string> Below(string path)
        {
            List<string> names = new List<string>();
            try
            {
                int key = Key(path);
                if (key > 0)
                {
                    foreach (int child in Children(key))
                    {
                        names.Add(Name(child, 72, 76, (data[child + 2] & 0x20) != 0));
                    }
                }
            }
            catch (InvalidDataException)
            {
            }
            return names;
        }

        // The value of type REG_SZ or REG_EXPAND_SZ, or null.
        public string Text(string path, string name)
        {
            try
            {
                int key = Key(path);
                return key > 0 ? Value(key, name) : null;
            }
            catch (InvalidDataException)
            {
                return null;
            }
        }

        int Key(string path)
        {
            int key = Cell(Number(36), "nk");
            foreach (string part in path.Split('\\'))
            {
                int found = 0;
                foreach (int child in Children(key))
                {
                    if (part.Equals(Name(child, 72, 76, (data[child + 2] & 0x20) != 0), StringComparison.OrdinalIgnoreCase))
                    {
                        found = child;
                        break;
                    }
                }
                if (found == 0)
                {
                    return 0;
                }
                key = found;
            }
            return key;
        }

        List<int> Children(int key)
        {
            List<int> children = new List<int>();
            if (Number(key + 20) != 0)
            {
                AddChildren(Number(key + 28), children, 0);
            }
            return children;
        }

        void AddChildren(int offset, List<int> into, int depth)
        {
            int list = Cell(offset, null);
            int count = Short(list + 2);
            string kind = Encoding.ASCII.GetString(data, list, 2);
            if (depth > Deepest || into.Count + count > 65536)
            {
                throw new InvalidDataException();
            }
            int step = kind == "lf" || kind == "lh" ? 8 : kind == "li" || kind == "ri" ? 4 : 0;
            for (int index = 0; index < count && step > 0; index++)
            {
                int child = Number(list + 4 + step * index);
                if (kind == "ri")
                {
                    AddChildren(child, into, depth + 1);
                }
                else
                {
                    into.Add(Cell(child, "nk"));
                }
            }
        }

        string Value(int key, string name)
        {
            int count = Number(key + 36);
            if (count <= 0 || count > 65536)
            {
                return null;
            }
            int list = Cell(Number(key + 40), null);
            for (int index = 0; index < count; index++)
            {
                int value = Cell(Number(list + 4 * index), "vk");
                int type = Number(value + 12);
                if ((type == 1 || type == 2) && name.Equals(Name(value, 2, 20, (Short(value + 16) & 1) != 0),
                    StringComparison.OrdinalIgnoreCase))
                {
                    int size = Number(value + 4) & 0x7FFFFFFF;
                    // The highest bit: up to four bytes lie in the place of their offset.
                    int at = Number(value + 4) < 0 ? value + 8 : Cell(Number(value + 8), null);
                    Check(at, size);
                    return Encoding.Unicode.GetString(data, at, size & ~1).TrimEnd('\0');
                }
            }
            return null;
        }

        string Name(int cell, int lengthAt, int at, bool latin)
        {
            int length = Short(cell + lengthAt);
            Check(cell + at, length);
            return latin ? Encoding.GetEncoding(28591).GetString(data, cell + at, length)
                : Encoding.Unicode.GetString(data, cell + at, length);
        }

        // Where the content of a cell begins.
        int Cell(int offset, string kind)
        {
            long at = (long)Start + offset + 4;
            if (offset < 0 || at + 24 > data.Length)
            {
                throw new InvalidDataException();
            }
            if (kind != null && (data[at] != kind[0] || data[at + 1] != kind[1]))
            {
                throw new InvalidDataException();
            }
            return (int)at;
        }

        void Check(int at, int count)
        {
            if (at < 0 || count < 0 || (long)at + count > data.Length)
            {
                throw new InvalidDataException();
            }
        }

        int Number(int at)
        {
            Check(at, 4);
            return BitConverter.ToInt32(data, at);
        }

        int Short(int at)
        {
            Check(at, 2);
            return BitConverter.ToUInt16(data, at);
        }
    }
}
