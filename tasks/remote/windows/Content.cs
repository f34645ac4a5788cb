namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Runtime.InteropServices;
    using System.Security.Cryptography;
    using System.Text;
    using System.Threading;
    using Microsoft.Win32.SafeHandles;

    // Content of open files.
    public static class Content
    {
        // Fills a part of an array as far as the file goes. Throws Skip.
        public static int Read(SafeFileHandle file, byte[] into, int offset, int count)
        {
            int done = 0;
            GCHandle pin = GCHandle.Alloc(into, GCHandleType.Pinned);
            try
            {
                while (done < count)
                {
                    int got;
                    if (!Native.ReadFile(file, Marshal.UnsafeAddrOfPinnedArrayElement(into, offset + done), count - done,
                        out got, IntPtr.Zero))
                    {
                        int error = Marshal.GetLastWin32Error();
                        if (error == Errors.HandleEof)
                        {
                            break;
                        }
                        throw Skip.Of(error);
                    }
                    if (got == 0)
                    {
                        break;
                    }
                    done += got;
                }
            }
            finally
            {
                pin.Free();
            }
            return done;
        }

        public static void Seek(SafeFileHandle file, long offset)
        {
            if (!Native.SetFilePointerEx(file, offset, IntPtr.Zero, 0))
            {
                throw Skip.Of(Marshal.GetLastWin32Error());
            }
        }

        // The parts of a file that hold content, as offset and length, in order; what lies between them are zeros.
        public static List<KeyValuePair<long, long>> Parts(SafeFileHandle file, Entry entry)
        {
            List<KeyValuePair<long, long>> parts = new List<KeyValuePair<long, long>>();
            byte[] query = new byte[16];
            byte[] answer = new byte[16 * 512];
            long from = 0;
            while ((entry.Attributes & FileMarks.Sparse) != 0 && from < entry.Size)
            {
                int size;
                Buffer.BlockCopy(BitConverter.GetBytes(from), 0, query, 0, 8);
                Buffer.BlockCopy(BitConverter.GetBytes(entry.Size - from), 0, query, 8, 8);
                // FSCTL_QUERY_ALLOCATED_RANGES; ERROR_MORE_DATA: there are more than fit.
                bool all = Native.DeviceIoControl(file, 0x940CF, query, 16, answer, answer.Length, out size, IntPtr.Zero);
                if (!all && Marshal.GetLastWin32Error() != 234)
                {
                    parts.Clear();
                    parts.Add(new KeyValuePair<long, long>(0, entry.Size)); // a file system that cannot tell
                    return parts;
                }
                for (int at = 0; at + 16 <= size; at += 16)
                {
                    long offset = BitConverter.ToInt64(answer, at);
                    long length = Math.Min(BitConverter.ToInt64(answer, at + 8), entry.Size - offset);
                    if (length > 0)
                    {
                        parts.Add(new KeyValuePair<long, long>(offset, length));
                        from = offset + length;
                    }
                }
                if (all || size < 16)
                {
                    return parts;
                }
            }
            if ((entry.Attributes & FileMarks.Sparse) == 0)
            {
                parts.Add(new KeyValuePair<long, long>(0, entry.Size));
            }
            return parts;
        }
    }

    // SHA-256, by the system's own code: the managed one is slow, and forbidden where only FIPS-certified code may run.
    public class Digest : IDisposable
    {
        static readonly byte[] zeros = new byte[Frame.MaxPayload];
        protected readonly HashAlgorithm Hash = new SHA256CryptoServiceProvider();

        public static Digest For(long size)
        {
            return size > ThreadedDigest.Least && Environment.ProcessorCount > 1 ? new ThreadedDigest() : new Digest();
        }

        public virtual void Update(Piece piece)
        {
            Hash.TransformBlock(piece.Data, 0, piece.Count, null, 0);
        }

        public void Update(byte[] data, int count)
        {
            Settle();
            Hash.TransformBlock(data, 0, count, null, 0);
        }

        public void Zeros(long count)
        {
            Settle();
            while (count > 0)
            {
                int part = (int)Math.Min(count, zeros.Length);
                Hash.TransformBlock(zeros, 0, part, null, 0);
                count -= part;
            }
        }

        // Waits for what is hashed aside.
        protected virtual void Settle()
        {
        }

        public string Finish()
        {
            Settle();
            Hash.TransformFinalBlock(zeros, 0, 0);
            return Hex(Hash.Hash);
        }

        public static string Of(byte[] data, int offset, int count)
        {
            using (HashAlgorithm hash = new SHA256CryptoServiceProvider())
            {
                return Hex(hash.ComputeHash(data, offset, count));
            }
        }

        public static string Hex(byte[] bytes)
        {
            StringBuilder text = new StringBuilder(2 * bytes.Length);
            foreach (byte part in bytes)
            {
                text.Append("0123456789abcdef"[part >> 4]).Append("0123456789abcdef"[part & 15]);
            }
            return text.ToString();
        }

        public virtual void Dispose()
        {
            ((IDisposable)Hash).Dispose();
        }
    }

    // On a thread of its own: a large file is hashed while it is read and sent.
    sealed class ThreadedDigest : Digest
    {
        public const long Least = 8 * 1024 * 1024;
        const int Waiting = 3;
        readonly Queue<Piece> pieces = new Queue<Piece>();
        bool busy, over;

        public ThreadedDigest()
        {
            Thread thread = new Thread(Work);
            thread.IsBackground = true;
            thread.Start();
        }

        public override void Update(Piece piece)
        {
            lock (pieces)
            {
                while (pieces.Count >= Waiting)
                {
                    Monitor.Wait(pieces);
                }
                pieces.Enqueue(piece.Share());
                Monitor.PulseAll(pieces);
            }
        }

        protected override void Settle()
        {
            lock (pieces)
            {
                while (pieces.Count > 0 || busy)
                {
                    Monitor.Wait(pieces);
                }
            }
        }

        void Work()
        {
            while (true)
            {
                Piece piece;
                lock (pieces)
                {
                    busy = false;
                    Monitor.PulseAll(pieces);
                    while (pieces.Count == 0 && !over)
                    {
                        Monitor.Wait(pieces);
                    }
                    if (pieces.Count == 0)
                    {
                        return;
                    }
                    piece = pieces.Dequeue();
                    busy = true;
                    Monitor.PulseAll(pieces);
                }
                Hash.TransformBlock(piece.Data, 0, piece.Count, null, 0);
                piece.Release();
            }
        }

        public override void Dispose()
        {
            lock (pieces)
            {
                while (pieces.Count > 0)
                {
                    pieces.Dequeue().Release();
                }
                over = true;
                Monitor.PulseAll(pieces);
            }
            Settle();
            base.Dispose();
        }
    }
}
