namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using Microsoft.Win32.SafeHandles;

    // Named streams of a file or folder, such as Zone.Identifier, by which Windows knows what came from the internet.
    public static class AlternateStreams
    {
        // Writes [[name, base64], ...]; names what could not be written. On a file system without them the name would be
        // that of another file, so they are not even tried there.
        public static void Write(SafeFileHandle handle, string path, List<object> streams, List<string> missed)
        {
            bool possible = NativeWrite.HasStreams(handle);
            foreach (object item in streams)
            {
                List<object> stream = Server.Items(item);
                string name = (string)stream[0];
                if (!possible || !IsName(name) || !Write(path + ":" + name, (string)stream[1]))
                {
                    missed.Add("stream " + name);
                }
            }
        }

        static bool IsName(string name)
        {
            return name.Length > 0 && name.Length <= 255 && name.IndexOfAny(new char[] { ':', '\\', '/', '\0' }) < 0;
        }

        static bool Write(string path, string base64)
        {
            int error;
            using (SafeFileHandle handle = NativeWrite.TryOpen(
                path, NativeWrite.GenericWrite, NativeWrite.ShareAll, NativeWrite.OpenAlways, NativeWrite.Itself, out error))
            {
                if (error != 0)
                {
                    return false;
                }
                try
                {
                    byte[] content = Convert.FromBase64String(base64);
                    using (FileStream stream = new FileStream(handle, FileAccess.Write, 1, false))
                    {
                        stream.SetLength(0);
                        stream.Write(content, 0, content.Length);
                    }
                    return true;
                }
                catch (IOException)
                {
                    return false;
                }
                catch (FormatException)
                {
                    return false;
                }
            }
        }
    }
}
