namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Diagnostics;
    using System.Globalization;
    using System.IO;
    using System.Security.Cryptography;
    using System.Text;
    using System.Threading;
#pragma warning disable

    // A reliable byte stream each way, made of numbered, checked, replayable lines over standard input and output that may
    // lose or repeat pieces; the twin of channels/envelope.py, PROTOCOL.md has the kinds of lines. Two threads of its own:
    // one reads lines, one writes them; all else waits for "gate".
    public sealed class LineLink : ISpoolOwner, IDisposable
    {
        const string Numbered = "dskuxni";
        // A piece in one line, before base64; what the worker may not have acknowledged; what may wait to be read.
        const int LinePiece = 48 * 1024;
        const int Window = 4 * 1024 * 1024;
        const int MaxUnread = 4 * 1024 * 1024;
        const int MaxEarly = 8 * 1024 * 1024;
        const int MaxLine = 512 * 1024;
        const int Batch = 256 * 1024;
        // An acknowledgement is due after so many bytes, or so many ms.
        const int MaxUntold = 512 * 1024;
        const int AcknowledgeAfter = 250;
        // From this size on, a piece goes through the spool.
        const int Spooled = 64 * 1024;
        const int InlinePiece = 256 * 1024;
        // Pieces that are not on their way yet; they bound the memory. Fetched ahead.
        const int MaxLeaving = 6;
        const int MaxFetched = 4;
        const int ProbeAfter = 2000;
        const int LongestProbe = 10000;
        const int Tick = 50;
        const int IdleTick = 1000;

        // In ms; the worker counts on these.
        public int HeartbeatAfter = 4000;
        public int GoneAfter = 180000;
        public int FirstSpoolWait = 200;
        // Called once, by any thread, when the worker is not there any more.
        public Action WorkerGone;

        readonly object gate = new object();
        readonly Stream stdin;
        readonly Stream stdout;
        readonly Stopwatch clock = Stopwatch.StartNew();
        readonly SHA256 hash = new SHA256CryptoServiceProvider();
        readonly InputStream input;
        readonly OutputStream output;
        Timer watch;
        bool gone;
        string goneBecause;
        bool closed;
        long heard;
        long written;

        // From the worker.
        long last;
        long before;
        long highest;
        // What came behind a gap.
        readonly Dictionary<long, KeyValuePair<char, byte[]>> early = new Dictionary<long, KeyValuePair<char, byte[]>>();
        int earlySize;
        bool ask;
        bool answer;
        long asked;
        long askWait = ProbeAfter;
        long acking;
        long told;
        long owedSince;
        int untold;
        bool ended;
        bool aborted;
        readonly Queue<SpoolPiece> arrived = new Queue<SpoolPiece>();
        // Those of them that lie in the spool or did.
        readonly LinkedList<SpoolPiece> fetching = new LinkedList<SpoolPiece>();
        int at;
        int unread;

        // To the worker.
        readonly List<Sent> lines = new List<Sent>();
        long acked;
        int next;
        long kept;
        long probed;
        long probeWait = ProbeAfter;
        readonly LinkedList<SpoolPiece> leaving = new LinkedList<SpoolPiece>();
        SpoolPiece current;
        int leftAt;
        bool due;
        long segments;
        int segmentSize = 8 * 1024 * 1024;
        Spool spool;
        bool spooling;
        readonly Stack<byte[]> spare = new Stack<byte[]>();

        sealed class Sent
        {
            public byte[] Text;
            public long Ack;
        }

        // "stdin" and "stdout" belong to the link from now on.
        public LineLink(Stream stdin, Stream stdout)
        {
            this.stdin = stdin;
            this.stdout = stdout;
            input = new InputStream(this);
            output = new OutputStream(this);
        }

        // What the worker sends: read by one thread; 0 is its end, also when the worker is gone.
        public Stream Input
        {
            get { return input; }
        }

        // What the worker gets: written by one thread. Flush lets a piece go; Write throws IOException when the worker is
        // gone or takes no more.
        public Stream Output
        {
            get { return output; }
        }

        // Why the worker is gone, or null.
        public string GoneBecause
        {
            get
            {
                lock (gate)
                {
                    return goneBecause;
                }
            }
        }

        public void Start()
        {
            Begin(ReadLines, "lines in");
            Begin(WriteLines, "lines out");
            watch = new Timer(delegate { Watch(); }, null, 1000, 1000);
        }

        // Sends what is left and the end, and waits until the worker has it, at most so many ms.
        public void Close(int timeout)
        {
            long until = clock.ElapsedMilliseconds + timeout;
            lock (gate)
            {
                if (!closed && !gone)
                {
                    due = true;
                    Monitor.PulseAll(gate);
                    while ((current != null || leaving.Count > 0) && !gone && !aborted && Left(until) > 0)
                    {
                        Monitor.Wait(gate, Left(until));
                    }
                    Queue('x', "");
                    while (lines.Count > 0 && !gone && Left(until) > 0)
                    {
                        Monitor.Wait(gate, Left(until));
                    }
                }
                closed = true;
                Monitor.PulseAll(gate);
            }
            if (spool != null)
            {
                spool.Stop();
            }
            if (watch != null)
            {
                watch.Dispose();
            }
        }

        public void Dispose()
        {
            Close(0);
        }

        int Left(long until)
        {
            return (int)Math.Max(0, until - clock.ElapsedMilliseconds);
        }

        void Begin(ThreadStart work, string name)
        {
            Thread thread = new Thread(work);
            thread.IsBackground = true;
            thread.Name = name;
            thread.Start();
        }

        // Apart from the threads: each of them may be stuck in a pipe.
        void Watch()
        {
            long silence;
            lock (gate)
            {
                silence = clock.ElapsedMilliseconds - heard;
            }
            if (silence > GoneAfter)
            {
                Lose("nothing was heard of the worker for " + silence / 1000 + " s");
            }
        }

        void Lose(string why)
        {
            Action tell;
            lock (gate)
            {
                if (gone || closed)
                {
                    return;
                }
                gone = true;
                goneBecause = why;
                tell = WorkerGone;
                Monitor.PulseAll(gate);
            }
            if (spool != null)
            {
                spool.Stop();
            }
            if (tell != null)
            {
                tell();
            }
        }

        // ---- Lines from the worker ----

        void ReadLines()
        {
            byte[] buffer = new byte[MaxLine];
            int used = 0;
            bool tooLong = false;
            try
            {
                while (true)
                {
                    int count = stdin.Read(buffer, used, buffer.Length - used);
                    if (count <= 0)
                    {
                        Lose("the connection to the worker was closed");
                        return;
                    }
                    int start = 0;
                    int end = Array.IndexOf(buffer, (byte)'\n', used, count);
                    used += count;
                    while (end >= 0)
                    {
                        if (!tooLong)
                        {
                            TakeText(buffer, start, end);
                        }
                        tooLong = false;
                        start = end + 1;
                        end = Array.IndexOf(buffer, (byte)'\n', start, used - start);
                    }
                    Buffer.BlockCopy(buffer, start, buffer, 0, used - start);
                    used -= start;
                    if (used == buffer.Length)
                    {
                        // Damage: no line is as long. Its rest is not one either.
                        tooLong = true;
                        used = 0;
                    }
                }
            }
            catch (Exception error)
            {
                // Whatever happened, nothing more can be understood.
                Lose("the input failed: " + error.GetType().Name);
            }
        }

        // One line, if it is whole. The check is cut out by moving what stands before it over it.
        void TakeText(byte[] buffer, int start, int end)
        {
            if (end > start && buffer[end - 1] == '\r')
            {
                end--;
            }
            int second = Blank(buffer, start + 2, end);
            int third = Blank(buffer, second + 1, end);
            if (end - start < 16 || buffer[start + 1] != ' ' || second < 0 || third < 0 || third + 10 > end
                || buffer[third + 9] != ' ')
            {
                return;
            }
            long seq;
            long ack;
            if (!Digits(buffer, start + 2, second, out seq) || !Digits(buffer, second + 1, third, out ack))
            {
                return;
            }
            char kind = (char)buffer[start];
            string check = Encoding.ASCII.GetString(buffer, third + 1, 8);
            Buffer.BlockCopy(buffer, start, buffer, start + 9, third - start);
            lock (gate)
            {
                if (Check(buffer, start + 9, end - start - 9) != check)
                {
                    return;
                }
            }
            string text = Encoding.ASCII.GetString(buffer, third + 10, end - third - 10);
            byte[] body;
            try
            {
                body = text == "-" ? new byte[0] : Convert.FromBase64String(text);
            }
            catch (FormatException)
            {
                return;
            }
            Take(kind, seq, ack, body);
        }

        static int Blank(byte[] buffer, int start, int end)
        {
            // 20 digits at most stand between two blanks.
            return start <= 0 || start >= end ? -1 : Array.IndexOf(buffer, (byte)' ', start, Math.Min(20, end - start));
        }

        static bool Digits(byte[] buffer, int start, int end, out long number)
        {
            number = 0;
            for (int i = start; i < end; i++)
            {
                if (buffer[i] < '0' || buffer[i] > '9' || end - start > 18)
                {
                    return false;
                }
                number = number * 10 + buffer[i] - '0';
            }
            return end > start;
        }

        // With the gate held: the hash is one for both threads.
        string Check(byte[] buffer, int start, int count)
        {
            byte[] sum = hash.ComputeHash(buffer, start, count);
            return BitConverter.ToString(sum, 0, 4).Replace("-", "").ToLowerInvariant();
        }

        void Take(char kind, long seq, long ack, byte[] body)
        {
            lock (gate)
            {
                heard = clock.ElapsedMilliseconds;
                Acknowledged(ack);
                highest = Math.Max(highest, seq);
                long passed = before;
                if (Numbered.IndexOf(kind) < 0)
                {
                    ask = ask || (seq > last && passed <= last);
                    before = Math.Max(passed, seq);
                    Remarked(Encoding.ASCII.GetString(body));
                }
                else
                {
                    before = seq;
                    if (seq == last + 1)
                    {
                        InOrder(kind, body);
                    }
                    else if (seq <= last)
                    {
                        // The worker does not know that we have it.
                        answer = true;
                    }
                    else
                    {
                        // Asked for when the numbers jump over what is due, and so again whenever a replay does.
                        ask = ask || passed <= last || seq < passed;
                        if (!early.ContainsKey(seq) && earlySize < MaxEarly)
                        {
                            early[seq] = new KeyValuePair<char, byte[]>(kind, body);
                            earlySize += body.Length;
                        }
                    }
                }
                Monitor.PulseAll(gate);
            }
        }

        void InOrder(char kind, byte[] body)
        {
            if (acking == told)
            {
                owedSince = heard;
            }
            int count = 0;
            KeyValuePair<char, byte[]> line = new KeyValuePair<char, byte[]>(kind, body);
            do
            {
                last++;
                count++;
                untold += line.Value.Length;
                earlySize -= count > 1 ? line.Value.Length : 0;
                early.Remove(last);
                Act(line.Key, line.Value);
            }
            while (early.TryGetValue(last + 1, out line));
            // It is repeating what came early: let it know that we have that.
            answer = answer || count > 1;
            ask = ask && last < highest;
            askWait = ProbeAfter;
            asked = heard;
            Acknowledge();
        }

        void Remarked(string said)
        {
            if (said == "again")
            {
                next = 0;
            }
            answer = answer || said == "ack";
        }

        void Acknowledged(long ack)
        {
            int count = (int)Math.Min(Math.Max(0, ack - acked), lines.Count);
            if (count > 0)
            {
                for (int i = 0; i < count; i++)
                {
                    kept -= lines[i].Text.Length;
                }
                lines.RemoveRange(0, count);
                acked += count;
                next = Math.Max(0, next - count);
                probed = heard;
                probeWait = ProbeAfter;
            }
        }

        // What is not read is not acknowledged when it becomes much: so the worker waits.
        void Acknowledge()
        {
            if (unread <= MaxUnread && acking != last)
            {
                acking = last;
                Monitor.PulseAll(gate);
            }
        }

        void Act(char kind, byte[] body)
        {
            switch (kind)
            {
                case 'd':
                    if (body.Length > 0)
                    {
                        unread += body.Length;
                        SpoolPiece piece = new SpoolPiece();
                        piece.Plain = body;
                        piece.Count = body.Length;
                        piece.Ready = piece.Inline = true;
                        arrived.Enqueue(piece);
                    }
                    break;
                case 's':
                    SpoolPiece segment = Reference(Fields(body));
                    arrived.Enqueue(segment);
                    fetching.AddLast(segment);
                    Prefetch();
                    break;
                case 'i':
                    Replace(body);
                    break;
                case 'k':
                    Hello(Fields(body));
                    break;
                case 'u':
                    Offers(Json.Parse(Encoding.UTF8.GetString(body)) as List<object>);
                    break;
                case 'x':
                    ended = true;
                    aborted = aborted || Encoding.ASCII.GetString(body) == "abort";
                    break;
            }
        }

        static Dictionary<string, object> Fields(byte[] body)
        {
            return (Dictionary<string, object>)Json.Parse(Encoding.UTF8.GetString(body));
        }

        void Hello(Dictionary<string, object> fields)
        {
            object size;
            object proxy;
            if (fields.TryGetValue("segment", out size) && size is long)
            {
                segmentSize = (int)Math.Max(Spooled, Math.Min((long)size, 64 * 1024 * 1024));
            }
            fields.TryGetValue("proxy", out proxy);
            if (!(bool)fields["spool"])
            {
                return;
            }
            byte[] key = Convert.FromBase64String((string)fields["key"]);
            try
            {
                spool = new Spool(key, proxy as string, FirstSpoolWait, this);
                spooling = true;
            }
            catch (UriFormatException)
            {
                Unusable("the address of the proxy is none");
            }
        }

        void Offers(List<object> offers)
        {
            if (offers == null)
            {
                // The worker cannot use its spool any more.
                spooling = false;
                foreach (SpoolPiece piece in leaving)
                {
                    piece.Inline = !piece.Ready;
                }
                return;
            }
            foreach (List<object> offer in offers)
            {
                if (spool != null)
                {
                    spool.Offer((long)offer[0], (string)offer[1], offer.Count > 2);
                }
            }
        }

        static SpoolPiece Reference(Dictionary<string, object> fields)
        {
            SpoolPiece piece = new SpoolPiece();
            piece.Number = (long)fields["n"];
            piece.SealedSize = checked((int)(long)fields["size"]);
            piece.Count = checked((int)(long)fields["plain"]);
            piece.Url = (string)fields["url"];
            return piece;
        }

        // Fetches the next few segments, not more: they lie in memory until they are read.
        void Prefetch()
        {
            int count = 0;
            foreach (SpoolPiece piece in fetching)
            {
                if (!piece.Begun && !piece.Inline && spool != null)
                {
                    spool.Fetch(piece);
                }
                count++;
                if (count == MaxFetched)
                {
                    return;
                }
            }
        }

        // A part of a segment that could not be fetched.
        void Replace(byte[] body)
        {
            long number = 0;
            for (int i = 0; i < 8; i++)
            {
                number = number << 8 | body[i];
            }
            foreach (SpoolPiece piece in fetching)
            {
                if (piece.Number == number && !piece.Ready)
                {
                    piece.Inline = true;
                    if (piece.Plain == null)
                    {
                        piece.Plain = new byte[piece.Count];
                        piece.SealedSize = 0;
                    }
                    Buffer.BlockCopy(body, 8, piece.Plain, piece.SealedSize, body.Length - 8);
                    piece.SealedSize += body.Length - 8;
                    piece.Ready = piece.SealedSize == piece.Count;
                }
            }
        }

        int ReadInput(byte[] buffer, int offset, int count)
        {
            lock (gate)
            {
                while (arrived.Count == 0 || !arrived.Peek().Ready)
                {
                    if (gone || (arrived.Count == 0 && ended))
                    {
                        return 0;
                    }
                    Monitor.Wait(gate);
                }
                SpoolPiece piece = arrived.Peek();
                count = Math.Min(count, piece.Count - at);
                Buffer.BlockCopy(piece.Plain, at, buffer, offset, count);
                at += count;
                if (piece.Number == 0)
                {
                    unread -= count;
                    Acknowledge();
                }
                if (at == piece.Count)
                {
                    arrived.Dequeue();
                    at = 0;
                    if (piece.Number > 0)
                    {
                        fetching.RemoveFirst();
                        Prefetch();
                    }
                }
                return count;
            }
        }

        // ---- Lines to the worker ----

        // With the gate held.
        void Queue(char kind, string document)
        {
            QueueBytes(kind, Encoding.ASCII.GetBytes(document), 0, document.Length);
        }

        void QueueBytes(char kind, byte[] body, int offset, int count)
        {
            if (lines.Count == 0)
            {
                probed = clock.ElapsedMilliseconds;
            }
            Sent line = new Sent();
            line.Text = Encode(kind, acked + lines.Count + 1, body, offset, count);
            line.Ack = acking;
            lines.Add(line);
            kept += line.Text.Length;
            Monitor.PulseAll(gate);
        }

        byte[] Encode(char kind, long seq, byte[] body, int offset, int count)
        {
            string head = string.Format(CultureInfo.InvariantCulture, "{0} {1} {2}", kind, seq, acking);
            string content = count == 0 ? "-" : Convert.ToBase64String(body, offset, count);
            byte[] text = new byte[head.Length + content.Length + 11];
            // First without the check, at the end of the room: what is hashed is one piece then.
            int start = text.Length - 1 - content.Length - 1 - head.Length;
            Encoding.ASCII.GetBytes(head, 0, head.Length, text, start);
            text[start + head.Length] = (byte)' ';
            Encoding.ASCII.GetBytes(content, 0, content.Length, text, start + head.Length + 1);
            string check = Check(text, start, text.Length - 1 - start);
            Encoding.ASCII.GetBytes(head + " " + check, 0, head.Length + 9, text, 0);
            text[text.Length - 1] = (byte)'\n';
            return text;
        }

        void WriteLines()
        {
            MemoryStream batch = new MemoryStream();
            try
            {
                while (true)
                {
                    lock (gate)
                    {
                        batch.SetLength(0);
                        Cut();
                        Fill();
                        Gather(batch);
                        if (batch.Length == 0)
                        {
                            if (gone || closed)
                            {
                                return;
                            }
                            bool busy = lines.Count > 0 || last < highest || acking != told;
                            Monitor.Wait(gate, busy ? Tick : Math.Min(IdleTick, HeartbeatAfter));
                            continue;
                        }
                        written = clock.ElapsedMilliseconds;
                    }
                    stdout.Write(batch.GetBuffer(), 0, (int)batch.Length);
                    stdout.Flush();
                }
            }
            catch (Exception error)
            {
                Lose("the output failed: " + error.GetType().Name);
            }
        }

        // What was flushed leaves; what is small waits for more as long as segments are under way.
        void Cut()
        {
            if (!due || current == null)
            {
                return;
            }
            bool large = spooling && current.Count >= Spooled;
            if (leaving.Count == 0 || (large && leaving.Count < 2))
            {
                Depart(large);
            }
        }

        void Depart(bool large)
        {
            SpoolPiece piece = current;
            current = null;
            due = false;
            piece.Inline = !large;
            leaving.AddLast(piece);
            if (large)
            {
                piece.Number = ++segments;
                spool.Store(piece);
            }
            Monitor.PulseAll(gate);
        }

        void Fill()
        {
            while (leaving.Count > 0 && kept < Window)
            {
                SpoolPiece piece = leaving.First.Value;
                if (piece.Inline)
                {
                    int count = Math.Min(LinePiece, piece.Count - leftAt);
                    QueueBytes('d', piece.Plain, leftAt, count);
                    leftAt += count;
                    if (leftAt < piece.Count)
                    {
                        continue;
                    }
                    leftAt = 0;
                }
                else if (piece.Ready)
                {
                    Dictionary<string, object> fields = new Dictionary<string, object>();
                    fields["n"] = piece.Number;
                    fields["size"] = piece.SealedSize;
                    fields["plain"] = piece.Count;
                    Queue('s', Json.Write(fields));
                    if (piece.Plain.Length == segmentSize && spare.Count < MaxLeaving)
                    {
                        spare.Push(piece.Plain);
                    }
                }
                else
                {
                    return;
                }
                leaving.RemoveFirst();
                Monitor.PulseAll(gate);
                Cut();
            }
        }

        void Gather(MemoryStream batch)
        {
            long now = clock.ElapsedMilliseconds;
            while (next < lines.Count && batch.Length < Batch)
            {
                Sent line = lines[next++];
                batch.Write(line.Text, 0, line.Text.Length);
                told = Math.Max(told, line.Ack);
            }
            string remark = Remark(now, batch.Length > 0);
            if (remark != null)
            {
                byte[] body = Encoding.ASCII.GetBytes(remark);
                byte[] text = Encode('a', acked + next, body, 0, body.Length);
                batch.Write(text, 0, text.Length);
                told = acking;
            }
            if (told == acking)
            {
                untold = 0;
            }
        }

        // What is to be remarked now, or null.
        string Remark(long now, bool others)
        {
            if (last < highest && now - asked >= askWait)
            {
                askWait = Math.Min(2 * askWait, LongestProbe);
                ask = true;
            }
            if (ask)
            {
                ask = false;
                asked = now;
                return "again";
            }
            bool owed = acking != told && (untold >= MaxUntold || now - owedSince >= AcknowledgeAfter);
            if (answer || owed)
            {
                answer = false;
                return "";
            }
            if (next > 0 && next == lines.Count && now - probed >= probeWait)
            {
                probeWait = Math.Min(2 * probeWait, LongestProbe);
                probed = now;
                return "ack";
            }
            return !others && now - written >= HeartbeatAfter ? "" : null;
        }

        void WriteOutput(byte[] buffer, int offset, int count)
        {
            lock (gate)
            {
                while (count > 0)
                {
                    ThrowIfOver();
                    int largest = spooling ? segmentSize : InlinePiece;
                    if (current == null)
                    {
                        current = new SpoolPiece();
                        current.Plain = largest == segmentSize && spare.Count > 0 ? spare.Pop() : new byte[Spooled];
                    }
                    int room = largest - current.Count;
                    if (room <= 0)
                    {
                        if (leaving.Count < MaxLeaving)
                        {
                            Depart(spooling);
                        }
                        else
                        {
                            Monitor.Wait(gate);
                        }
                        continue;
                    }
                    int size = Math.Min(room, count);
                    Grow(current, current.Count + size, largest);
                    Buffer.BlockCopy(buffer, offset, current.Plain, current.Count, size);
                    current.Count += size;
                    offset += size;
                    count -= size;
                }
            }
        }

        static void Grow(SpoolPiece piece, int size, int largest)
        {
            if (size > piece.Plain.Length)
            {
                Array.Resize(ref piece.Plain, Math.Min(largest, Math.Max(size, 4 * piece.Plain.Length)));
            }
        }

        void FlushOutput()
        {
            lock (gate)
            {
                ThrowIfOver();
                if (current != null && current.Count > 0)
                {
                    due = true;
                    Monitor.PulseAll(gate);
                }
            }
        }

        void ThrowIfOver()
        {
            if (gone || closed || aborted)
            {
                throw new IOException(gone ? goneBecause : closed ? "the link is closed" : "the worker takes no more");
            }
        }

        // ---- What the spool says ----

        void ISpoolOwner.Stored(SpoolPiece piece)
        {
            lock (gate)
            {
                piece.Ready = !piece.Inline;
                Monitor.PulseAll(gate);
            }
        }

        void ISpoolOwner.Fetched(SpoolPiece piece, byte[] content)
        {
            lock (gate)
            {
                if (!piece.Inline)
                {
                    piece.Plain = content;
                    piece.Ready = true;
                    Queue('n', "{\"got\":[" + piece.Number.ToString(CultureInfo.InvariantCulture) + "]}");
                }
            }
        }

        void ISpoolOwner.Want(long number, bool get, string why)
        {
            Dictionary<string, object> fields = new Dictionary<string, object>();
            fields[get ? "get" : "want"] = new long[] { number };
            fields["why"] = why;
            lock (gate)
            {
                Queue('n', Json.Write(fields));
            }
        }

        void ISpoolOwner.Broken(string why)
        {
            lock (gate)
            {
                spooling = false;
                foreach (SpoolPiece piece in leaving)
                {
                    piece.Inline = !piece.Ready;
                }
                foreach (SpoolPiece piece in fetching)
                {
                    piece.Inline = piece.Inline || !piece.Ready;
                }
                Unusable(why);
            }
        }

        void Unusable(string why)
        {
            Dictionary<string, object> fields = new Dictionary<string, object>();
            fields["broken"] = why;
            Queue('n', Json.Write(fields));
        }

        sealed class InputStream : Stream
        {
            readonly LineLink link;

            public InputStream(LineLink link)
            {
                this.link = link;
            }

            public override bool CanRead
            {
                get { return true; }
            }

            public override bool CanSeek
            {
                get { return false; }
            }

            public override bool CanWrite
            {
                get { return false; }
            }

            public override long Length
            {
                get { throw new NotSupportedException(); }
            }

            public override long Position
            {
                get { throw new NotSupportedException(); }
                set { throw new NotSupportedException(); }
            }

            public override int Read(byte[] buffer, int offset, int count)
            {
                return link.ReadInput(buffer, offset, count);
            }

            public override void Write(byte[] buffer, int offset, int count)
            {
                throw new NotSupportedException();
            }

            public override void Flush()
            {
            }

            public override long Seek(long offset, SeekOrigin origin)
            {
                throw new NotSupportedException();
            }

            public override void SetLength(long value)
            {
                throw new NotSupportedException();
            }
        }

        sealed class OutputStream : Stream
        {
            readonly LineLink link;

            public OutputStream(LineLink link)
            {
                this.link = link;
            }

            public override bool CanRead
            {
                get { return false; }
            }

            public override bool CanSeek
            {
                get { return false; }
            }

            public override bool CanWrite
            {
                get { return true; }
            }

            public override long Length
            {
                get { throw new NotSupportedException(); }
            }

            public override long Position
            {
                get { throw new NotSupportedException(); }
                set { throw new NotSupportedException(); }
            }

            public override int Read(byte[] buffer, int offset, int count)
            {
                throw new NotSupportedException();
            }

            public override void Write(byte[] buffer, int offset, int count)
            {
                link.WriteOutput(buffer, offset, count);
            }

            public override void Flush()
            {
                link.FlushOutput();
            }

            public override long Seek(long offset, SeekOrigin origin)
            {
                throw new NotSupportedException();
            }

            public override void SetLength(long value)
            {
                throw new NotSupportedException();
            }
        }
    }
#pragma warning restore
}
