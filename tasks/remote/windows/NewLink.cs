namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text;
    using System.Text.RegularExpressions;
    using Microsoft.Win32.SafeHandles;

    // A symbolic link or junction to make.
    public sealed class NewLink
    {
        // A target in the spelling of the frames.
        static readonly Regex Drive = new Regex("\\A/([A-Za-z])(/|\\z)", RegexOptions.CultureInvariant);

        readonly string target; // as Windows writes it
        readonly bool folder;
        readonly bool junction;

        public NewLink(string target, Dictionary<string, object> meta)
        {
            object value;
            Dictionary<string, object> windows = meta.TryGetValue("windows", out value)
                ? value as Dictionary<string, object> : null;
            uint attributes = windows != null && windows.TryGetValue("attributes", out value) ? (uint)Convert.ToInt64(value) : 0;
            this.target = Drive.Replace(target, "$1:/").Replace('/', '\\');
            folder = (attributes & Standing.Folder) != 0;
            junction = windows != null && windows.TryGetValue("reparse", out value)
                && Convert.ToInt64(value) == Standing.Junction;
        }

        public void Make(string path)
        {
            if (!junction)
            {
                NativeWrite.MakeSymlink(path, target, folder);
                return;
            }
            NativeWrite.MakeFolder(path);
            try
            {
                using (SafeFileHandle handle = NativeWrite.Open(
                    path, NativeWrite.GenericWrite, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself))
                {
                    NativeWrite.MakeJunction(handle, Buffer(target));
                }
            }
            catch (Refused)
            {
                NativeWrite.RemoveFolder(path);
                throw;
            }
        }

        // Whether a link that stands there leads to the same.
        public bool IsAt(string path)
        {
            byte[] buffer = NativeWrite.ReparseData(path);
            return buffer != null && IsIn(buffer);
        }

        // The same of its REPARSE_DATA_BUFFER: both names of the target count.
        public bool IsIn(byte[] buffer)
        {
            uint tag = BitConverter.ToUInt32(buffer, 0);
            int names = tag == Standing.Junction ? 16 : 20;
            if ((tag != Standing.Junction && tag != Standing.Symlink) || (tag == Standing.Junction) != junction)
            {
                return false;
            }
            for (int at = 8; at <= 12; at += 4)
            {
                int start = names + BitConverter.ToUInt16(buffer, at);
                int length = BitConverter.ToUInt16(buffer, at + 2);
                if (start + length <= buffer.Length)
                {
                    string name = Encoding.Unicode.GetString(buffer, start, length);
                    if (WritePath.Same(Plain(name), Plain(target)))
                    {
                        return true;
                    }
                }
            }
            return false;
        }

        static string Plain(string target)
        {
            return target.StartsWith("\\??\\", StringComparison.Ordinal) ? target.Substring(4) : target;
        }

        // REPARSE_DATA_BUFFER of a mount point: the path as the kernel has it, then as it is shown.
        public static byte[] Buffer(string target)
        {
            byte[] real = Encoding.Unicode.GetBytes("\\??\\" + Plain(target));
            byte[] shown = Encoding.Unicode.GetBytes(Plain(target));
            byte[] buffer = new byte[16 + real.Length + 2 + shown.Length + 2];
            BitConverter.GetBytes(Standing.Junction).CopyTo(buffer, 0);
            Put(buffer, 4, buffer.Length - 8);
            Put(buffer, 10, real.Length);
            Put(buffer, 12, real.Length + 2);
            Put(buffer, 14, shown.Length);
            real.CopyTo(buffer, 16);
            shown.CopyTo(buffer, 16 + real.Length + 2);
            return buffer;
        }

        static void Put(byte[] buffer, int at, int value)
        {
            BitConverter.GetBytes((ushort)value).CopyTo(buffer, at);
        }
    }
}
