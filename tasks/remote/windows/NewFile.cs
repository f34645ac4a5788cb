namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Security.Cryptography;
    using Microsoft.Win32.SafeHandles;

    // A file under its temporary name, until it is renamed.
    public sealed class NewFile
    {
        const int Block = 1024 * 1024;

        public readonly long Number;
        public string Path; // that it will have
        public string Place; // where that really is
        public string Folder; // in which it lies
        public string Temp;
        public Refused Refusal;
        public object Expect;
        public string Announced; // the SHA-256 that the worker says it has
        public string Sha256; // the one it has, as it was read back
        public string Detail = "";

        readonly List<KeyValuePair<long, long>> holes = new List<KeyValuePair<long, long>>();
        SafeFileHandle handle;
        FileStream stream;
        long size;

        public NewFile(long number)
        {
            Number = number;
        }

        public bool IsOpen
        {
            get { return handle != null; }
        }

        // Makes the file beside its place. Only `access` more than reading and writing may be missing.
        public void Open(WriteFolder folder, string name, uint access)
        {
            const uint Needed = NativeWrite.GenericRead | NativeWrite.GenericWrite | NativeWrite.Delete
                | NativeWrite.ReadAttributes | NativeWrite.WriteAttributes;
            int error;
            Folder = folder.Path;
            string path = WritePath.Join(folder.Path, name);
            SafeFileHandle made = null;
            foreach (uint more in new uint[] { access, 0 })
            {
                made = NativeWrite.TryOpen(
                    path, Needed | more, NativeWrite.ShareRead | NativeWrite.ShareDelete, NativeWrite.CreateNew,
                    NativeWrite.Itself, out error);
                if (error == 0)
                {
                    break;
                }
                if (error != 5 || more == 0)
                {
                    throw Refused.Of(error);
                }
            }
            handle = made;
            Temp = path;
            WriteFolders.RefuseElsewhere(handle, path);
            stream = new FileStream(handle, FileAccess.ReadWrite, 1, false);
        }

        public SafeFileHandle Handle
        {
            get { return handle; }
        }

        public void Append(byte[] data, long zeros)
        {
            if (zeros > 0)
            {
                holes.Add(new KeyValuePair<long, long>(size, size + zeros));
                size += zeros;
                stream.Position = size;
            }
            stream.Write(data, 0, data.Length);
            size += data.Length;
        }

        // All content is here: `meta` sets the rest.
        public void Complete(bool sparse)
        {
            if (holes.Count > 0 && holes[holes.Count - 1].Value == size)
            {
                stream.SetLength(size);
            }
            // Only a file that was sparse becomes so: programs may refuse one that is. Not every file system can.
            if (sparse && holes.Count > 0 && NativeWrite.MakeSparse(handle))
            {
                foreach (KeyValuePair<long, long> hole in holes)
                {
                    NativeWrite.MakeHole(handle, hole.Key, hole.Value);
                }
            }
        }

        public void Flush()
        {
            if (handle != null)
            {
                NativeWrite.Flush(handle);
            }
        }

        // Reads the file back; refuses one that does not have the content announced.
        public void Prove(Action tick)
        {
            if (Sha256 == null)
            {
                long read = 0;
                byte[] block = new byte[(int)Math.Min(Block, size + 1)];
                stream.Position = 0;
                using (HashAlgorithm hash = new SHA256CryptoServiceProvider())
                {
                    int count;
                    do
                    {
                        count = stream.Read(block, 0, block.Length);
                        hash.TransformBlock(block, 0, count, null, 0);
                        read += count;
                        tick();
                    }
                    while (count == block.Length);
                    hash.TransformFinalBlock(block, 0, 0);
                    Sha256 = BitConverter.ToString(hash.Hash).Replace("-", "").ToLowerInvariant();
                }
                if (read != size)
                {
                    throw new Refused("unreadable", "read back, it has " + read + " bytes instead of " + size);
                }
            }
            if (Announced != null && Announced != Sha256)
            {
                throw new Refused("unreadable", "read back, the content is not the one announced: its SHA-256 differs");
            }
        }

        // Gives the open file to others, when too many are open; `Reopened` has it again.
        public void Close()
        {
            if (stream != null)
            {
                stream.Dispose();
            }
            else if (handle != null)
            {
                handle.Dispose();
            }
            stream = null;
            handle = null;
        }

        public SafeFileHandle Reopened()
        {
            if (handle == null)
            {
                handle = NativeWrite.Open(
                    Temp, NativeWrite.Delete | NativeWrite.ReadAttributes | NativeWrite.WriteAttributes,
                    NativeWrite.ShareRead | NativeWrite.ShareDelete, NativeWrite.OpenExisting, NativeWrite.Itself);
                WriteFolders.RefuseElsewhere(handle, Temp);
            }
            return handle;
        }

        public void Refuse(Refused refusal)
        {
            Refusal = refusal;
            Discard();
        }

        // Removes the temporary file.
        public void Discard()
        {
            if (Temp != null)
            {
                try
                {
                    NativeWrite.SetBasic(Reopened(), 0, 0, 0, 0x80); // one that is read-only cannot be removed
                    NativeWrite.TryRemove(handle);
                }
                catch (Refused)
                {
                    // Then it is not there, or not ours any more.
                }
            }
            Temp = null;
            Close();
        }
    }
}
