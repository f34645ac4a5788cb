namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Net;
    using System.Text.RegularExpressions;
    using System.Threading;
#pragma warning disable

    // Stores and fetches segments by presigned URLs, several at once.
    public sealed class Spool
    {
        const int Threads = 4;
        const int Tries = 5;
        const int FreshUrls = 3;
        // While nothing has ever been answered, a wrong address or a firewall is more likely than a slow server.
        const int UnprovenTries = 3;
        const int UnprovenTimeout = 15000;
        const int AnswerTimeout = 300000;
        const int MoveTimeout = 60000;
        const int Chunk = 64 * 1024;
        const int LongestWait = 5000;

        static readonly List<WebExceptionStatus> NobodyThere = new List<WebExceptionStatus>
        {
            WebExceptionStatus.NameResolutionFailure,
            WebExceptionStatus.ProxyNameResolutionFailure,
            WebExceptionStatus.ConnectFailure,
            WebExceptionStatus.TrustFailure,
            WebExceptionStatus.SecureChannelFailure,
            WebExceptionStatus.Timeout,
            WebExceptionStatus.UnknownError,
        };

        readonly object gate = new object();
        readonly Queue<SpoolPiece> jobs = new Queue<SpoolPiece>();
        readonly Dictionary<long, string> puts = new Dictionary<long, string>();
        readonly Dictionary<long, string> gets = new Dictionary<long, string>();
        readonly ISpoolOwner owner;
        readonly Seal seal;
        readonly IWebProxy proxy;
        readonly Random random = new Random();
        // Before the second try, in ms; before each further one twice as long.
        readonly int firstWait;
        int threads;
        int idle;
        volatile bool proven;
        bool stopped;

        // "proxy" is an address, "system", or null for none.
        public Spool(byte[] key, string proxy, int firstWait, ISpoolOwner owner)
        {
            this.owner = owner;
            this.firstWait = firstWait;
            seal = new Seal(key);
            this.proxy = NewProxy(proxy);
            ServicePointManager.Expect100Continue = false;
            ServicePointManager.DefaultConnectionLimit = Math.Max(16, ServicePointManager.DefaultConnectionLimit);
            if (ServicePointManager.SecurityProtocol != 0)
            {
                // Not "the system's choice": an old .NET Framework then leaves TLS 1.2 out.
                ServicePointManager.SecurityProtocol |= (SecurityProtocolType)3072;
            }
        }

        // Where segment "number" is to be put, or got.
        public void Offer(long number, string url, bool get)
        {
            lock (gate)
            {
                (get ? gets : puts)[number] = url;
                Monitor.PulseAll(gate);
            }
        }

        public void Store(SpoolPiece piece)
        {
            Add(piece, false);
        }

        public void Fetch(SpoolPiece piece)
        {
            lock (gate)
            {
                gets[piece.Number] = piece.Url;
            }
            Add(piece, true);
        }

        // Begins nothing more; what is under way may still end.
        public void Stop()
        {
            lock (gate)
            {
                stopped = true;
                jobs.Clear();
                Monitor.PulseAll(gate);
            }
        }

        void Add(SpoolPiece piece, bool get)
        {
            lock (gate)
            {
                piece.Begun = true;
                piece.Get = get;
                jobs.Enqueue(piece);
                if (idle < jobs.Count && threads < Threads && !stopped)
                {
                    threads++;
                    Thread thread = new Thread(Work);
                    thread.IsBackground = true;
                    thread.Name = "spool";
                    thread.Start();
                }
                Monitor.PulseAll(gate);
            }
        }

        void Work()
        {
            MemoryStream buffer = new MemoryStream();
            while (true)
            {
                SpoolPiece piece;
                lock (gate)
                {
                    idle++;
                    while (jobs.Count == 0 && !stopped)
                    {
                        Monitor.Wait(gate);
                    }
                    idle--;
                    if (stopped)
                    {
                        return;
                    }
                    piece = jobs.Dequeue();
                }
                try
                {
                    Do(piece, buffer);
                }
                catch (Exception error)
                {
                    // Whatever it is, the link goes on without the spool.
                    Break(error.GetType().Name);
                }
            }
        }

        void Do(SpoolPiece piece, MemoryStream buffer)
        {
            if (!piece.Get)
            {
                seal.Close(piece.Number, Seal.FromHelper, piece.Plain, piece.Count, buffer);
                piece.SealedSize = (int)buffer.Length;
            }
            string said = "";
            for (int fresh = 0; fresh <= FreshUrls; fresh++)
            {
                if (fresh > 0)
                {
                    Forget(piece);
                    owner.Want(piece.Number, piece.Get, said);
                }
                string url = Url(piece);
                for (int attempt = 1; attempt <= Tries; attempt++)
                {
                    if (url == null || piece.Inline)
                    {
                        return;
                    }
                    try
                    {
                        Once(piece, url, buffer);
                        return;
                    }
                    catch (SpoolFailed failed)
                    {
                        said = failed.Message;
                        if (failed.NoAnswer && !proven && attempt >= UnprovenTries)
                        {
                            Break(said);
                            return;
                        }
                        if (!failed.Again)
                        {
                            break;
                        }
                        Pause(attempt);
                    }
                }
                if (!proven && fresh >= 1)
                {
                    break;
                }
            }
            Break(said);
        }

        void Once(SpoolPiece piece, string url, MemoryStream buffer)
        {
            if (piece.Get)
            {
                byte[] segment = Get(url, piece.SealedSize);
                byte[] content;
                try
                {
                    content = seal.Open(piece.Number, Seal.FromWorker, segment, segment.Length, piece.Count);
                }
                catch (InvalidDataException error)
                {
                    throw new SpoolFailed(error.Message, false, false);
                }
                proven = true;
                Forget(piece);
                owner.Fetched(piece, content);
            }
            else
            {
                Put(url, buffer);
                proven = true;
                Forget(piece);
                owner.Stored(piece);
            }
        }

        void Break(string why)
        {
            lock (gate)
            {
                if (stopped)
                {
                    return;
                }
            }
            Stop();
            owner.Broken(why);
        }

        // Waits for the URL of a segment; null when the spool was given up.
        string Url(SpoolPiece piece)
        {
            Dictionary<long, string> urls = piece.Get ? gets : puts;
            lock (gate)
            {
                string url = null;
                while (!stopped && !urls.TryGetValue(piece.Number, out url))
                {
                    Monitor.Wait(gate);
                }
                return stopped ? null : url;
            }
        }

        void Forget(SpoolPiece piece)
        {
            lock (gate)
            {
                (piece.Get ? gets : puts).Remove(piece.Number);
            }
        }

        // Half of it by chance, so that four threads do not come back together.
        void Pause(int attempt)
        {
            int pause = Math.Min(LongestWait, firstWait << (attempt - 1)) / 2;
            lock (gate)
            {
                pause = stopped ? 0 : pause + random.Next(pause + 1);
            }
            Thread.Sleep(pause);
        }

        void Put(string url, MemoryStream content)
        {
            HttpWebRequest request = NewRequest(url, "PUT");
            request.AllowWriteStreamBuffering = false;
            request.SendChunked = false;
            request.ContentLength = content.Length;
            Answer(request, delegate
            {
                using (Stream body = request.GetRequestStream())
                {
                    // The timeout is for each write: a slow line must get a chunk away in it, not the whole.
                    for (int at = 0; at < content.Length; at += Chunk)
                    {
                        body.Write(content.GetBuffer(), at, Math.Min(Chunk, (int)content.Length - at));
                    }
                }
                using (HttpWebResponse response = Response(request))
                using (Stream body = response.GetResponseStream())
                {
                    // Read to its end, or the connection is not used again.
                    body.CopyTo(Stream.Null);
                }
            });
        }

        byte[] Get(string url, int size)
        {
            HttpWebRequest request = NewRequest(url, "GET");
            byte[] content = new byte[size];
            Answer(request, delegate
            {
                using (HttpWebResponse response = Response(request))
                using (Stream body = response.GetResponseStream())
                {
                    int at = 0;
                    int count = 1;
                    while (at < size && count > 0)
                    {
                        count = body.Read(content, at, size - at);
                        at += count;
                    }
                    if (at < size || body.ReadByte() >= 0)
                    {
                        throw new SpoolFailed("the answer of the S3 server is not complete", true, false);
                    }
                }
            });
            return content;
        }

        HttpWebRequest NewRequest(string url, string method)
        {
            HttpWebRequest request = (HttpWebRequest)WebRequest.Create(url);
            request.Method = method;
            request.Proxy = proxy;
            request.Timeout = proven ? AnswerTimeout : UnprovenTimeout;
            request.ReadWriteTimeout = MoveTimeout;
            request.AllowAutoRedirect = false;
            request.ServicePoint.Expect100Continue = false;
            return request;
        }

        // A redirection is no success: nothing was stored.
        static HttpWebResponse Response(HttpWebRequest request)
        {
            HttpWebResponse response = (HttpWebResponse)request.GetResponse();
            int status = (int)response.StatusCode;
            if (status < 200 || status > 299)
            {
                response.Close();
                throw new SpoolFailed("HTTP status " + status, false, false);
            }
            return response;
        }

        static void Answer(HttpWebRequest request, Action action)
        {
            try
            {
                action();
            }
            catch (WebException error)
            {
                HttpWebResponse response = error.Response as HttpWebResponse;
                if (response == null)
                {
                    throw new SpoolFailed(Describe(error), true, NobodyThere.Contains(error.Status));
                }
                using (response)
                {
                    int status = (int)response.StatusCode;
                    bool again = status >= 500 || status == 408 || status == 429;
                    throw new SpoolFailed("HTTP status " + status + Code(response), again, false);
                }
            }
            catch (IOException)
            {
                throw new SpoolFailed("the connection to the S3 server broke off", true, false);
            }
        }

        static string Describe(WebException error)
        {
            switch (error.Status)
            {
                case WebExceptionStatus.NameResolutionFailure:
                    return "the name of the S3 server is not known";
                case WebExceptionStatus.ProxyNameResolutionFailure:
                    return "the name of the proxy is not known";
                case WebExceptionStatus.ConnectFailure:
                    return "no connection to the S3 server";
                case WebExceptionStatus.TrustFailure:
                    return "the certificate of the S3 server is not trusted";
                case WebExceptionStatus.SecureChannelFailure:
                    return "no TLS connection to the S3 server";
                case WebExceptionStatus.Timeout:
                    return "the S3 server did not answer in time";
                default:
                    return "the connection to the S3 server broke off (" + error.Status + ")";
            }
        }

        // The S3 error code alone: the rest of the answer quotes what was signed.
        static string Code(HttpWebResponse response)
        {
            try
            {
                using (StreamReader reader = new StreamReader(response.GetResponseStream()))
                {
                    char[] text = new char[4096];
                    int count = reader.ReadBlock(text, 0, text.Length);
                    Match found = Regex.Match(new string(text, 0, count), "<Code>([A-Za-z]{1,64})</Code>");
                    return found.Success ? " " + found.Groups[1].Value : "";
                }
            }
            catch (IOException)
            {
                return "";
            }
            catch (WebException)
            {
                return "";
            }
        }

        static IWebProxy NewProxy(string proxy)
        {
            if (string.IsNullOrEmpty(proxy))
            {
                return null;
            }
            if (proxy == "system")
            {
                IWebProxy system = WebRequest.GetSystemWebProxy();
                system.Credentials = CredentialCache.DefaultCredentials;
                return system;
            }
            Uri address = new Uri(proxy);
            WebProxy given = new WebProxy(new Uri(address.GetLeftPart(UriPartial.Scheme) + address.Authority));
            string[] account = address.UserInfo.Split(new char[] { ':' }, 2);
            if (account.Length == 2)
            {
                given.Credentials = new NetworkCredential(
                    Uri.UnescapeDataString(account[0]), Uri.UnescapeDataString(account[1]));
            }
            else
            {
                given.UseDefaultCredentials = true;
            }
            return given;
        }
    }
#pragma warning restore
}
