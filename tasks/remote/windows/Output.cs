namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.IO;
    using System.Text;
    using System.Threading;

    // Content in memory that several threads use; the last one gives it back to the pool.
    public sealed class Piece
    {
        public readonly byte[] Data;
        public int Count;
        int users;

        Piece(byte[] data)
        {
            Data = data;
        }

        static readonly Stack<Piece> pool = new Stack<Piece>();

        // Room for one payload; whoever takes it is its one user.
        public static Piece Take()
        {
            Piece piece = null;
            lock (pool)
            {
                if (pool.Count > 0)
                {
                    piece = pool.Pop();
                }
            }
            piece = piece ?? new Piece(new byte[Frame.MaxPayload]);
            piece.users = 1;
            piece.Count = 0;
            return piece;
        }

        public Piece Share()
        {
            Interlocked.Increment(ref users);
            return this;
        }

        public void Release()
        {
            if (Interlocked.Decrement(ref users) == 0)
            {
                lock (pool)
                {
                    if (pool.Count < 16)
                    {
                        pool.Push(this);
                    }
                }
            }
        }
    }

    // Bytes on their way out: small ones gathered, written by a thread of its own, bounded.
    public sealed class Output
    {
        const int Gathered = 256 * 1024;
        const int Small = 32 * 1024;
        const int Held = 4 * 1024 * 1024;

        struct Item
        {
            public byte[] Data;
            public int Offset;
            public int Count;
            public Piece Owner;
            public bool Flush;
        }

        readonly Stream sink;
        readonly Queue<Item> items = new Queue<Item>();
        byte[] current = new byte[Gathered];
        int used;
        long held;
        bool closing, idle = true;
        Exception fault;
        DateTime last = DateTime.UtcNow;

        public Output(Stream sink)
        {
            this.sink = sink;
        }

        public void Start()
        {
            Thread thread = new Thread(Work);
            thread.IsBackground = true;
            thread.Name = "frames to the worker";
            thread.Start();
        }

        // Since something was handed over last.
        public TimeSpan Quiet
        {
            get { return DateTime.UtcNow - last; }
        }

        public void Add(byte[] data, int offset, int count)
        {
            if (count > Small)
            {
                Push();
                Enqueue(data, offset, count, null, false);
                return;
            }
            if (used + count > current.Length)
            {
                Push();
            }
            Buffer.BlockCopy(data, offset, current, used, count);
            used += count;
        }

        // Takes the piece over.
        public void Add(Piece piece)
        {
            if (piece.Count <= Small)
            {
                Add(piece.Data, 0, piece.Count);
                piece.Release();
                return;
            }
            Push();
            Enqueue(piece.Data, 0, piece.Count, piece, false);
        }

        // Let everything go out now.
        public void Flush()
        {
            Push();
            Enqueue(null, 0, 0, null, true);
        }

        // Waits until everything is out. Throws IOException when nobody is there to read.
        public void Drain()
        {
            Flush();
            lock (items)
            {
                while ((items.Count > 0 || !idle) && fault == null)
                {
                    Monitor.Wait(items);
                }
                closing = true;
                Monitor.PulseAll(items);
            }
        }

        void Push()
        {
            if (used > 0)
            {
                byte[] full = current;
                int count = used;
                current = new byte[Gathered];
                used = 0;
                Enqueue(full, 0, count, null, false);
            }
        }

        void Enqueue(byte[] data, int offset, int count, Piece owner, bool flush)
        {
            last = DateTime.UtcNow;
            Item item = new Item();
            item.Data = data;
            item.Offset = offset;
            item.Count = count;
            item.Owner = owner;
            item.Flush = flush;
            lock (items)
            {
                while (held > Held && fault == null)
                {
                    Monitor.Wait(items);
                }
                if (fault != null)
                {
                    throw new IOException("nobody reads the answers: " + fault.Message);
                }
                held += count;
                items.Enqueue(item);
                Monitor.PulseAll(items);
            }
        }

        void Work()
        {
            while (true)
            {
                Item item;
                lock (items)
                {
                    idle = true;
                    Monitor.PulseAll(items);
                    while (items.Count == 0 && !closing)
                    {
                        Monitor.Wait(items);
                    }
                    if (items.Count == 0)
                    {
                        return;
                    }
                    item = items.Dequeue();
                    idle = false;
                }
                try
                {
                    if (item.Flush)
                    {
                        sink.Flush();
                    }
                    else
                    {
                        sink.Write(item.Data, item.Offset, item.Count);
                    }
                }
                catch (Exception error)
                {
                    lock (items)
                    {
                        fault = error;
                        idle = true;
                        Monitor.PulseAll(items);
                    }
                    return;
                }
                if (item.Owner != null)
                {
                    item.Owner.Release();
                }
                lock (items)
                {
                    held -= item.Count;
                    Monitor.PulseAll(items);
                }
            }
        }
    }
}
