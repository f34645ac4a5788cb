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
    public sealed partial class LineLink : ISpoolOwner, IDisposable
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
    }
#pragma warning restore
}
