namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;

    // Serves the requests that change something: allow-write make write finish put commit meta remove. Writer.cs.
    public interface IWriter
    {
        // Whether this type of request is its own.
        bool Serves(string type);

        // Serves one. Throws RequestError for a request that is refused as a whole.
        void Serve(Frame frame, Server server);

        // Before any request that is not its own, and at the end of the input: what still runs aside is completed.
        void Settle();

        // At the end, however it came: what is temporary is removed. Does not throw.
        void Cleanup();
    }

    // Answers the requests that read; Reader.cs and Walker.cs. Each answer is a sequence of steps, and each step tells
    // about how many rows or bytes it has sent.
    public interface IFiles
    {
        IEnumerable<int> Walk(Reply reply, Dictionary<string, object> document, Frame frame);
        IEnumerable<int> Read(Reply reply, List<object> paths);
        IEnumerable<int> Ranges(Reply reply, string path, List<object> known);
        string Row(string path);
        IEnumerable<string> Hash(Reply reply, List<object> paths);
    }

    // Serves requests in the order they arrive, on the thread that called Run.
    public sealed class Server
    {
        public const int ProtocolVersion = 1;

        readonly FrameReader source;
        readonly Output output;
        readonly IFiles files;
        readonly Dictionary<long, Page> pages = new Dictionary<long, Page>();
        // Of a request that comes in several frames, its document so far.
        readonly Dictionary<long, object> parts = new Dictionary<long, object>();

        // The fields of `hello` as JSON, without braces.
        public Func<Fields> Hello;
        // The document of `facts`, given the users asked for or null.
        public Func<List<object>, string> Facts;
        // What `settings` asks.
        public Settings Settings;
        // Nothing may be written without it.
        public IWriter Writer;

        sealed class Page
        {
            public Reply Reply;
            public IEnumerator<int> Rest;
        }

        public Server(Stream input, Stream output, IFiles files)
        {
            source = new FrameReader(input);
            this.output = new Output(output);
            this.files = files;
        }

        // Serves until `bye` or the end of the input; returns the exit code.
        public int Run()
        {
            output.Start();
            source.Start();
            try
            {
                int code = Serve();
                output.Drain();
                return code;
            }
            catch (IOException)
            {
                return 0; // nobody is there to read
            }
            finally
            {
                foreach (Page page in pages.Values)
                {
                    page.Rest.Dispose();
                }
                if (Writer != null)
                {
                    Writer.Cleanup();
                }
            }
        }

        int Serve()
        {
            while (true)
            {
                Frame frame = source.Next();
                if (frame == null)
                {
                    Settle();
                    return 0;
                }
                if (Writer != null && Writer.Serves(frame.Type))
                {
                    Guard(frame, delegate { Writer.Serve(frame, this); });
                    continue;
                }
                Settle();
                if (frame.Type == "hello" && frame.Number("v", 0) != ProtocolVersion)
                {
                    Reply(frame).Fail("version", "this helper speaks version " + ProtocolVersion);
                    return 98;
                }
                Guard(frame, delegate { Dispatch(frame); });
                if (frame.Type == "bye")
                {
                    return 0;
                }
            }
        }

        void Settle()
        {
            if (Writer != null)
            {
                Writer.Settle();
            }
        }

        // One request's failure is its own; the worker decides what that means.
        void Guard(Frame frame, Action serve)
        {
            string code, message;
            try
            {
                serve();
                return;
            }
            catch (RequestError error)
            {
                code = error.Code;
                message = error.Message;
            }
            catch (ProtocolError)
            {
                throw;
            }
            catch (Exception error)
            {
                if (error is IOException && error.Message.StartsWith("nobody reads", StringComparison.Ordinal))
                {
                    throw;
                }
                code = "internal";
                message = error.GetType().Name + ": " + error.Message;
            }
            Settle();
            Reply(frame).Fail(code, message);
        }

        public Reply Reply(Frame frame)
        {
            return new Reply(output, source, frame.Id);
        }

        void Dispatch(Frame frame)
        {
            Reply reply = Reply(frame);
            object document;
            switch (frame.Type)
            {
                case "hello":
                    reply.Send("hello", Hello().Add("v", ProtocolVersion));
                    output.Flush();
                    return;
                case "facts":
                    object users = null;
                    Map(frame.Document()).TryGetValue("users", out users);
                    reply.SendText("item", null, Facts(users as List<object>));
                    reply.Finish(false);
                    return;
                case "list":
                    if (Joined(frame, out document))
                    {
                        Start(frame, reply, files.Walk(reply, Map(document), frame));
                    }
                    return;
                case "read":
                    Start(frame, reply, files.Read(reply, Items(frame.Document())));
                    return;
                case "ranges":
                    if (Joined(frame, out document))
                    {
                        Start(frame, reply, files.Ranges(reply, Paths.Decode(frame.Value("path")), Items(document)));
                    }
                    return;
                case "more":
                    More(frame, reply);
                    return;
                case "stat":
                    reply.SendItems(Rows(reply, Items(frame.Document())));
                    reply.Finish(false);
                    return;
                case "hash":
                    foreach (string item in files.Hash(reply, Items(frame.Document())))
                    {
                        reply.Tick();
                    }
                    reply.Finish(false);
                    return;
                case "bye":
                    reply.Finish(false);
                    return;
                case "settings":
                    if (Joined(frame, out document))
                    {
                        reply.SendItems(Settings.Serve(Map(document), null, reply.Tick));
                        reply.Finish(false);
                    }
                    return;
                case "set-settings":
                case "allow-write":
                case "make":
                case "write":
                case "finish":
                case "put":
                case "commit":
                case "meta":
                case "remove":
                    throw new RequestError("refused", "this helper cannot write");
            }
            throw new RequestError("unknown", "no request '" + frame.Type + "'");
        }

        IEnumerable<string> Rows(Reply reply, List<object> paths)
        {
            foreach (object path in paths)
            {
                reply.Tick();
                yield return files.Row(Paths.Decode(path));
            }
        }

        void Start(Frame frame, Reply reply, IEnumerable<int> answer)
        {
            Page page = new Page();
            page.Reply = reply;
            page.Rest = answer.GetEnumerator();
            Continue(frame.Id, page, frame.Number("max", 0));
        }

        // Sends the next page of an answer.
        void Continue(long id, Page page, long most)
        {
            bool more = false;
            try
            {
                long left = most;
                while (page.Rest.MoveNext())
                {
                    left -= page.Rest.Current;
                    if (most > 0 && left <= 0)
                    {
                        more = true;
                        pages[id] = page;
                        break;
                    }
                }
            }
            finally
            {
                if (!more)
                {
                    page.Rest.Dispose();
                }
            }
            page.Reply.Finish(more);
        }

        void More(Frame frame, Reply reply)
        {
            Page page;
            long of = frame.Number("of", -1);
            long most = frame.Number("max", 0);
            if (!pages.TryGetValue(of, out page))
            {
                reply.Finish(false);
                return;
            }
            pages.Remove(of);
            if (most == 0)
            {
                page.Rest.Dispose();
                reply.Finish(false);
                return;
            }
            page.Reply.Renumber(frame.Id);
            Continue(of, page, most);
        }

        // The document of a request once its last frame is here.
        public bool Joined(Frame frame, out object document)
        {
            object begun;
            document = frame.Document();
            if (parts.TryGetValue(frame.Id, out begun))
            {
                parts.Remove(frame.Id);
                List<object> list = begun as List<object>;
                if (list != null)
                {
                    list.AddRange(Items(document));
                }
                else
                {
                    Join(Map(begun), Map(document));
                }
                document = begun;
            }
            if (frame.Flag("part"))
            {
                parts[frame.Id] = document;
                return false;
            }
            return true;
        }

        static void Join(Dictionary<string, object> begun, Dictionary<string, object> more)
        {
            foreach (KeyValuePair<string, object> field in more)
            {
                object have;
                List<object> list = field.Value as List<object>;
                if (list == null)
                {
                    continue;
                }
                if (begun.TryGetValue(field.Key, out have) && have is List<object>)
                {
                    ((List<object>)have).AddRange(list);
                }
                else
                {
                    begun[field.Key] = list;
                }
            }
        }

        public static Dictionary<string, object> Map(object value)
        {
            Dictionary<string, object> map = value as Dictionary<string, object>;
            if (map == null)
            {
                throw new RequestError("bad-request", "not an object: " + Shown(value));
            }
            return map;
        }

        public static List<object> Items(object value)
        {
            List<object> list = value as List<object>;
            if (list == null)
            {
                throw new RequestError("bad-request", "not an array: " + Shown(value));
            }
            return list;
        }

        static string Shown(object value)
        {
            string text = Json.Write(value);
            return text.Length > 200 ? text.Substring(0, 200) : text;
        }
    }
}
