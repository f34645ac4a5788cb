namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // What one look at a file tells that no listing does: alternate streams, and owner and access list where they are
    // not as expected. The file is opened for its attributes only; nothing is fetched for that, and nobody is disturbed.
    public sealed class FileDetails
    {
        const int MostStream = 64 * 1024;
        const int MostStreams = 256 * 1024;
        const uint HasStreams = 0x40000; // FILE_NAMED_STREAMS
        const uint HasAccessLists = 0x8; // FILE_PERSISTENT_ACLS
        const int OwnerGroupAccess = 7; // OWNER, GROUP, DACL _SECURITY_INFORMATION

        readonly Dictionary<char, uint> volumes = new Dictionary<char, uint>();
        byte[] buffer = new byte[4096];
        // Profile folders on the wire, and who owns what is in them.
        readonly List<KeyValuePair<string, string>> owners = new List<KeyValuePair<string, string>>();

        public void SetOwner(string folder, string sid)
        {
            owners.Add(new KeyValuePair<string, string>(folder, sid));
        }

        public Details Of(string path, string place, Entry entry)
        {
            uint volume = Volume(path, place);
            if ((volume & (HasStreams | HasAccessLists)) == 0)
            {
                return null;
            }
            using (SafeFileHandle file = Open(place, volume))
            {
                if (file.IsInvalid)
                {
                    return null; // reading will tell
                }
                Details details = new Details();
                if ((volume & HasAccessLists) != 0)
                {
                    details.Descriptor = DescriptorOf(file, path);
                }
                if ((volume & HasStreams) != 0 && !FileMarks.IsLink(entry.Attributes, entry.Tag))
                {
                    AddStreams(file, place, details);
                }
                return details.Descriptor == null && details.Streams == null && details.Lost == null ? null : details;
            }
        }

        static SafeFileHandle Open(string place, uint volume)
        {
            if ((volume & HasAccessLists) != 0)
            {
                SafeFileHandle file = WindowsFiles.Open(place, Native.ReadAttributes | Native.ReadControl, true,
                    Native.OpenNoRecall);
                if (!file.IsInvalid)
                {
                    return file;
                }
                file.Dispose();
            }
            return WindowsFiles.Open(place, Native.ReadAttributes, true, Native.OpenNoRecall);
        }

        // What the file system of a path can hold.
        uint Volume(string path, string place)
        {
            uint flags;
            char drive = char.ToUpperInvariant(path[1]);
            if (!volumes.TryGetValue(drive, out flags))
            {
                uint serial, longest;
                if (!Native.GetVolumeInformationW(drive + ":\\", null, 0, out serial, out longest, out flags, null, 0))
                {
                    flags = 0;
                }
                volumes[drive] = flags;
            }
            return flags;
        }

        string DescriptorOf(SafeFileHandle file, string path)
        {
            int needed;
            if (!Native.GetKernelObjectSecurity(file, OwnerGroupAccess, buffer, buffer.Length, out needed))
            {
                if (Marshal.GetLastWin32Error() != 122 || needed > 128 * 1024) // ERROR_INSUFFICIENT_BUFFER
                {
                    return null;
                }
                buffer = new byte[needed];
                if (!Native.GetKernelObjectSecurity(file, OwnerGroupAccess, buffer, buffer.Length, out needed))
                {
                    return null;
                }
            }
            int length = Length(buffer);
            byte[] data = new byte[length];
            Buffer.BlockCopy(buffer, 0, data, 0, length);
            string owner = OwnerFor(path);
            return Descriptor.HasOwnEntries(data) || (owner != null && Descriptor.Owner(data) != owner)
                ? Convert.ToBase64String(data) : null;
        }

        // The buffer keeps what was there before; the descriptor's own parts tell how long it is.
        static int Length(byte[] data)
        {
            int length = 20;
            for (int field = 4; field <= 16; field += 4)
            {
                int at = BitConverter.ToInt32(data, field);
                if (at > 0 && at + 4 <= data.Length)
                {
                    int size = field <= 8 ? 8 + 4 * data[at + 1] : BitConverter.ToUInt16(data, at + 2);
                    length = Math.Max(length, Math.Min(data.Length, at + size));
                }
            }
            return length;
        }

        string OwnerFor(string path)
        {
            foreach (KeyValuePair<string, string> owner in owners)
            {
                if (path.Length > owner.Key.Length && path[owner.Key.Length] == '/'
                    && path.StartsWith(owner.Key, StringComparison.OrdinalIgnoreCase))
                {
                    return owner.Value;
                }
            }
            return null;
        }

        void AddStreams(SafeFileHandle file, string place, Details details)
        {
            while (!Native.GetFileInformationByHandleEx(file, Native.StreamInfo, buffer, buffer.Length))
            {
                if (Marshal.GetLastWin32Error() != 234 || buffer.Length > 1024 * 1024) // ERROR_MORE_DATA
                {
                    return; // none, or a file system without
                }
                buffer = new byte[4 * buffer.Length];
            }
            int total = 0;
            List<KeyValuePair<string, long>> found = Names(buffer);
            foreach (KeyValuePair<string, long> stream in found)
            {
                string words = "alternate stream " + stream.Key + " of " + stream.Value + " bytes";
                if (stream.Value > MostStream || total + stream.Value > MostStreams)
                {
                    details.Lose("too-large", words);
                    continue;
                }
                byte[] content = ContentOf(place + ":" + stream.Key + ":$DATA", (int)stream.Value);
                if (content == null)
                {
                    details.Lose("unreadable", words);
                    continue;
                }
                total += content.Length;
                details.Streams = details.Streams ?? new List<KeyValuePair<string, byte[]>>();
                details.Streams.Add(new KeyValuePair<string, byte[]>(stream.Key, content));
            }
        }

        // Names and sizes of the streams besides the content itself, in FILE_STREAM_INFO.
        public static List<KeyValuePair<string, long>> Names(byte[] data)
        {
            List<KeyValuePair<string, long>> found = new List<KeyValuePair<string, long>>();
            int at = 0, next;
            do
            {
                next = BitConverter.ToInt32(data, at);
                string name = WindowsFiles.Text(data, at + 24, BitConverter.ToInt32(data, at + 4) / 2);
                if (name.EndsWith(":$DATA", StringComparison.OrdinalIgnoreCase) && name != "::$DATA")
                {
                    found.Add(new KeyValuePair<string, long>(name.Substring(1, name.Length - 7),
                        BitConverter.ToInt64(data, at + 8)));
                }
                at += next;
            }
            while (next > 0 && at + 24 <= data.Length);
            return found;
        }

        static byte[] ContentOf(string place, int size)
        {
            using (SafeFileHandle file = WindowsFiles.Open(place, Native.ReadData, false, Native.OpenNoRecall))
            {
                try
                {
                    byte[] content = new byte[size];
                    if (file.IsInvalid || Content.Read(file, content, 0, size) < size)
                    {
                        return null;
                    }
                    return content;
                }
                catch (Skip)
                {
                    return null;
                }
            }
        }
    }
}
