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
}
