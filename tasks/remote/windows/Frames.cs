namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.IO;
    using System.Text;
    using System.Threading;

    // A frame from the worker: a header, and the payload that follows it.
    public sealed class Frame
    {
        public const int MaxHeader = 64 * 1024;
        public const int MaxPayload = 1024 * 1024;

        public readonly Dictionary<string, object> Header;
        public readonly byte[] Payload;
        public readonly string Type;
        public readonly long Id;

        public Frame(Dictionary<string, object> header, byte[] payload)
        {
            Header = header;
            Payload = payload;
            Type = (string)header["t"];
            Id = (long)header["id"];
        }

        public long Number(string name, long otherwise)
        {
            object value;
            return Header.TryGetValue(name, out value) && value is long ? (long)value : otherwise;
        }

        public object Value(string name)
        {
            object value;
            return Header.TryGetValue(name, out value) ? value : null;
        }

        public bool Flag(string name)
        {
            object value = Value(name);
            return value is bool && (bool)value;
        }

        // The payload as one JSON document.
        public object Document()
        {
            try
            {
                return Json.Parse(Encoding.UTF8.GetString(Payload));
            }
            catch (FormatException error)
            {
                throw new RequestError("bad-request", "the payload is not JSON: " + error.Message);
            }
        }
    }

    // Frames from the worker, read by a thread of its own up to a bound.
    public sealed class FrameReader
    {
        const int Held = 8 * 1024 * 1024;
        static readonly byte[] Nothing = new byte[0];

        readonly Stream source;
        readonly byte[] space = new byte[256 * 1024];
        readonly Queue<Frame> frames = new Queue<Frame>();
        int start, end;
        long held;
        bool ended;
        DateTime endedAt;
        string fault;

        public FrameReader(Stream source)
        {
            this.source = source;
        }

        public void Start()
        {
            Thread thread = new Thread(Work);
            thread.IsBackground = true;
            thread.Name = "frames from the worker";
            thread.Start();
        }

        // The next frame, or null at the end of the input. Throws ProtocolError.
        public Frame Next()
        {
            lock (frames)
            {
                while (frames.Count == 0 && !ended)
                {
                    Monitor.Wait(frames);
                }
                if (frames.Count == 0)
                {
                    if (fault != null)
                    {
                        throw new ProtocolError(fault);
                    }
                    return null;
                }
                Frame frame = frames.Dequeue();
                held -= frame.Payload.Length + 512;
                Monitor.PulseAll(frames);
                return frame;
            }
        }

        // How long ago the input ended; nothing while it goes on.
        public TimeSpan Over()
        {
            lock (frames)
            {
                return ended ? DateTime.UtcNow - endedAt : TimeSpan.Zero;
            }
        }

        void Work()
        {
            string why = null;
            try
            {
                Frame frame;
                while ((frame = Read()) != null)
                {
                    lock (frames)
                    {
                        while (held > Held)
                        {
                            Monitor.Wait(frames);
                        }
                        held += frame.Payload.Length + 512;
                        frames.Enqueue(frame);
                        Monitor.PulseAll(frames);
                    }
                }
            }
            catch (IOException)
            {
                // The pipe broke: as good as its end.
            }
            catch (Exception error)
            {
                why = error.Message;
            }
            lock (frames)
            {
                fault = why;
                ended = true;
                endedAt = DateTime.UtcNow;
                Monitor.PulseAll(frames);
            }
        }

        Frame Read()
        {
            byte[] line = Line();
            if (line == null)
            {
                return null;
            }
            Dictionary<string, object> header;
            object type, id, length;
            try
            {
                header = Json.Parse(Encoding.ASCII.GetString(line)) as Dictionary<string, object>;
            }
            catch (FormatException)
            {
                header = null;
            }
            if (header == null || !header.TryGetValue("t", out type) || !(type is string)
                || !header.TryGetValue("id", out id) || !(id is long))
            {
                throw new ProtocolError("what arrived is no frame: "
                    + Encoding.ASCII.GetString(line, 0, Math.Min(80, line.Length)));
            }
            if (!header.TryGetValue("length", out length))
            {
                length = 0L;
            }
            if (!(length is long) || (long)length < 0 || (long)length > Frame.MaxPayload)
            {
                throw new ProtocolError("a frame's length is " + Json.Write(length));
            }
            byte[] payload = (long)length == 0 ? Nothing : new byte[(long)length];
            int have = Math.Min(payload.Length, end - start);
            Buffer.BlockCopy(space, start, payload, 0, have);
            start += have;
            while (have < payload.Length)
            {
                int count = source.Read(payload, have, payload.Length - have);
                if (count <= 0)
                {
                    return null;
                }
                have += count;
            }
            return new Frame(header, payload);
        }

        byte[] Line()
        {
            int looked = start;
            while (true)
            {
                int at = Array.IndexOf(space, (byte)'\n', looked, end - looked);
                if (at >= 0)
                {
                    byte[] line = new byte[at - start];
                    Buffer.BlockCopy(space, start, line, 0, line.Length);
                    start = at + 1;
                    return line;
                }
                if (end - start >= Frame.MaxHeader)
                {
                    throw new ProtocolError("a header is too long");
                }
                looked = end;
                if (end == space.Length)
                {
                    Buffer.BlockCopy(space, start, space, 0, end - start);
                    looked -= start;
                    end -= start;
                    start = 0;
                }
                int count = source.Read(space, end, space.Length - end);
                if (count <= 0)
                {
                    return null;
                }
                end += count;
            }
        }
    }

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

    // Fields of a header, written as JSON text.
    public sealed class Fields
    {
        readonly StringBuilder text = new StringBuilder();

        public Fields Add(string name, string value)
        {
            Name(name);
            Json.Write(value, text);
            return this;
        }

        public Fields Add(string name, long value)
        {
            Name(name);
            text.Append(value.ToString(CultureInfo.InvariantCulture));
            return this;
        }

        public Fields Add(string name, bool value)
        {
            Name(name);
            text.Append(value ? "true" : "false");
            return this;
        }

        // A value that is JSON text already.
        public Fields AddJson(string name, string json)
        {
            Name(name);
            text.Append(json);
            return this;
        }

        void Name(string name)
        {
            text.Append(",\"").Append(name).Append("\":");
        }

        public override string ToString()
        {
            return text.ToString();
        }
    }

    // The answer to one request: numbers its frames.
    public sealed class Reply
    {
        // JSON payloads end here: what is added last may be large.
        public const int SoftPayload = 640 * 1024;
        static readonly TimeSpan Tick10 = TimeSpan.FromSeconds(10);
        // Once the input is over nobody may want this answer; but what is asked and read at once is still served.
        static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

        public readonly Output Output;
        readonly FrameReader source;
        long number;
        long seq;

        public Reply(Output output, FrameReader source, long number)
        {
            Output = output;
            this.source = source;
            Renumber(number);
        }

        // Go on as the answer to another request: the next page.
        public void Renumber(long id)
        {
            number = id;
            seq = 0;
        }

        public void Send(string kind, Fields fields)
        {
            Header(kind, fields, 0);
        }

        public void Send(string kind, Fields fields, Piece payload)
        {
            Header(kind, fields, payload.Count);
            Output.Add(payload);
        }

        // The payload is ASCII text.
        public void SendText(string kind, Fields fields, string payload)
        {
            byte[] bytes = Encoding.ASCII.GetBytes(payload);
            Header(kind, fields, bytes.Length);
            Output.Add(bytes, 0, bytes.Length);
        }

        void Header(string kind, Fields fields, int length)
        {
            StringBuilder line = new StringBuilder(128);
            line.Append("{\"t\":\"").Append(kind).Append("\",\"id\":").Append(number).Append(",\"seq\":").Append(seq++);
            if (fields != null)
            {
                line.Append(fields.ToString());
            }
            if (length > 0)
            {
                line.Append(",\"length\":").Append(length);
            }
            line.Append("}\n");
            if (line.Length > Frame.MaxHeader || length > Frame.MaxPayload)
            {
                throw new RequestError("too-large", "a header of " + line.Length + " or a payload of " + length + " bytes");
            }
            byte[] bytes = Encoding.ASCII.GetBytes(line.ToString());
            Output.Add(bytes, 0, bytes.Length);
        }

        // Items in as few frames as they fit: each text is one element of a JSON array.
        public void SendItems(IEnumerable<string> texts)
        {
            StringBuilder array = new StringBuilder("[");
            foreach (string text in texts)
            {
                if (array.Length > 1 && array.Length + text.Length > SoftPayload)
                {
                    SendText("item", null, array.Append(']').ToString());
                    array = new StringBuilder("[");
                }
                if (array.Length > 1)
                {
                    array.Append(',');
                }
                array.Append(text);
            }
            if (array.Length > 1)
            {
                SendText("item", null, array.Append(']').ToString());
            }
        }

        public void Finish(bool more)
        {
            Send("done", more ? new Fields().Add("more", true) : null);
            Output.Flush();
        }

        public void Fail(string code, string message)
        {
            seq = -1; // an error may follow any frame of its answer
            Send("error", new Fields().Add("code", code).Add("message", message.Length > 2000 ? message.Substring(0, 2000) : message));
            Output.Flush();
        }

        // Tell that we are alive, when nothing was sent for a while. Throws ProtocolError when nobody is there any more.
        public void Tick()
        {
            if (Output.Quiet > Tick10)
            {
                Send("progress", null);
                Output.Flush();
            }
            if (source != null && source.Over() > Patience)
            {
                throw new ProtocolError("the input ended while a request was served");
            }
        }
    }
}
