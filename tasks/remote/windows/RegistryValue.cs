namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using Microsoft.Win32.SafeHandles;

    // One value: its kind as a number (winnt.h: 1 is REG_SZ) and its bytes.
    public sealed class RegistryValue
    {
        const int FileNotFound = 2;
        const int MoreData = 234;
        const int NoMoreItems = 259;
        const int LongestName = 16384;
        // More is no setting.
        public const int Largest = 256 * 1024;

        public string Name;
        public int Kind;
        public byte[] Data; // null when there is too much of it

        // Null when there is none of that name.
        public static RegistryValue Read(SafeRegistryHandle key, string name)
        {
            byte[] data = new byte[1024];
            while (true)
            {
                int kind, size = data.Length;
                int error = NativeRegistry.RegQueryValueExW(key, name, IntPtr.Zero, out kind, data, ref size);
                if (error == MoreData && size <= Largest)
                {
                    data = new byte[Math.Max(size, 2 * data.Length)];
                    continue;
                }
                if (error == FileNotFound)
                {
                    return null;
                }
                if (error != 0 && error != MoreData)
                {
                    throw Refused.Of(error);
                }
                return Of(name, kind, error == 0 ? data : null, size);
            }
        }

        public static List<RegistryValue> All(SafeRegistryHandle key)
        {
            List<RegistryValue> found = new List<RegistryValue>();
            char[] name = new char[LongestName];
            byte[] data = new byte[Largest];
            for (int index = 0; ; index++)
            {
                int kind, length = name.Length, size = data.Length;
                int error = NativeRegistry.RegEnumValueW(
                    key, index, name, ref length, IntPtr.Zero, out kind, data, ref size);
                if (error == NoMoreItems)
                {
                    return found;
                }
                if (error != 0 && error != MoreData)
                {
                    throw Refused.Of(error);
                }
                found.Add(Of(new string(name, 0, length), kind, error == 0 ? data : null, size));
            }
        }

        static RegistryValue Of(string name, int kind, byte[] data, int size)
        {
            RegistryValue value = new RegistryValue { Name = name, Kind = kind };
            if (data != null)
            {
                value.Data = new byte[size];
                Buffer.BlockCopy(data, 0, value.Data, 0, size);
            }
            return value;
        }

        // What a request carries; null for nothing.
        public static RegistryValue In(object field)
        {
            if (field == null)
            {
                return null;
            }
            Dictionary<string, object> fields = Server.Map(field);
            return new RegistryValue
            {
                Kind = Convert.ToInt32(fields["kind"]), Data = Convert.FromBase64String((string)fields["data"])
            };
        }

        // Whether both are nothing, or the same. How many zeros end a text is a whim of whoever wrote it.
        public static bool Same(RegistryValue one, RegistryValue other)
        {
            if (one == null || other == null)
            {
                return one == null && other == null;
            }
            if (one.Kind != other.Kind || one.Data == null || other.Data == null)
            {
                return false;
            }
            int length = one.Length();
            if (length != other.Length())
            {
                return false;
            }
            for (int at = 0; at < length; at++)
            {
                if (one.Data[at] != other.Data[at])
                {
                    return false;
                }
            }
            return true;
        }

        int Length()
        {
            int length = Data.Length;
            bool text = Kind == 1 || Kind == 2 || Kind == 7; // REG_SZ, REG_EXPAND_SZ, REG_MULTI_SZ
            while (text && length >= 2 && length % 2 == 0 && Data[length - 1] == 0 && Data[length - 2] == 0)
            {
                length -= 2;
            }
            return length;
        }
    }
}
