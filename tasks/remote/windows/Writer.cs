namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using Microsoft.Win32.SafeHandles;

    // Writes what `allow-write` permits; nothing before it. What a frame must not do is refused as a whole; what becomes
    // of each path is a result of its own.
    public sealed class Writer : IWriter
    {
        static readonly HashSet<string> Types = new HashSet<string>
        {
            "allow-write", "make", "write", "finish", "put", "commit", "meta", "remove", "make-profile", "set-settings"
        };

        readonly object guard = new object();
        readonly NewFiles files;
        WriteScope scope; // null until something is allowed
        HashSet<string> dirty = new HashSet<string>(); // folders with names that are not durable yet

        public Writer()
        {
            files = new NewFiles(guard);
        }

        public bool Serves(string type)
        {
            return Types.Contains(type);
        }

        public void Serve(Frame frame, Server server)
        {
            switch (frame.Type)
            {
                case "write":
                    files.Write(frame);
                    return;
                case "finish":
                case "put":
                    files.Finish(frame);
                    return;
            }
            Settle();
            Reply reply = server.Reply(frame);
            switch (frame.Type)
            {
                case "allow-write":
                    Allow(Server.Items(Server.Map(frame.Document())["roots"]));
                    reply.Finish(false);
                    return;
                case "commit":
                    Require();
                    files.BeginCommit(reply, dirty);
                    dirty = new HashSet<string>();
                    return;
                case "make-profile":
                    reply.SendText("item", null, Profiles.Make(Server.Map(frame.Document())["user"] as string));
                    if (scope != null)
                    {
                        scope.Meta.Owners = Owners.FromRegistry();
                    }
                    reply.Finish(false);
                    return;
                case "set-settings":
                    SetSettings(frame, server, reply);
                    return;
                case "make":
                    Each(reply, Server.Items(frame.Document()), Make);
                    return;
                case "meta":
                    Each(reply, Server.Items(frame.Document()), SetMeta);
                    return;
                case "remove":
                    Each(reply, Server.Items(frame.Document()), Remove);
                    return;
            }
            throw new RequestError("unknown", "no request '" + frame.Type + "'");
        }

        void SetSettings(Frame frame, Server server, Reply reply)
        {
            object document;
            Require();
            if (!server.Joined(frame, out document))
            {
                return;
            }
            List<string> answers;
            lock (guard)
            {
                answers = server.Settings.Serve(Server.Map(document), scope, reply.Tick);
                if (files.IsIdle)
                {
                    scope.Folders.Release(null);
                }
            }
            reply.SendItems(answers);
            reply.Finish(false);
        }

        void Allow(List<object> roots)
        {
            lock (guard)
            {
                if (scope == null)
                {
                    WriteScope made = new WriteScope();
                    made.Allow(roots);
                    scope = made;
                    files.Scope = made;
                    return;
                }
                scope.Allow(roots);
            }
        }

        void Require()
        {
            if (scope == null)
            {
                throw new RequestError("refused", "writing is not allowed yet");
            }
        }

        public void Settle()
        {
            files.Settle();
        }

        void Each(Reply reply, List<object> items, Func<Dictionary<string, object>, Place, string> call)
        {
            Require();
            List<string> results = new List<string>();
            foreach (object value in items)
            {
                Dictionary<string, object> item = Server.Map(value);
                string detail = "";
                Refused refusal = WriteScope.Refusal(delegate
                {
                    lock (guard)
                    {
                        Place place = scope.Folders.Find(WritePath.Local(item["path"]));
                        detail = call(item, place);
                        if (call != SetMeta)
                        {
                            dirty.Add(place.Folder.Path);
                        }
                    }
                });
                Dictionary<string, object> result = WriteScope.Result(refusal, detail);
                result["path"] = item["path"];
                results.Add(Json.Write(result));
                reply.Tick();
            }
            lock (guard)
            {
                if (files.IsIdle)
                {
                    scope.Folders.Release(null);
                }
            }
            reply.SendItems(results);
            reply.Finish(false);
        }

        string Make(Dictionary<string, object> item, Place place)
        {
            string operation = item["op"] as string;
            object expect = WriteScope.Field(item, "expect");
            Dictionary<string, object> told = WriteScope.MetaIn(item);
            Standing there = Entries.At(place.Path);
            scope.Entries.RefuseOther(place, there);
            if (operation == "dir")
            {
                return MakeFolder(place, there, expect, told);
            }
            if (operation == "hardlink")
            {
                Place first = scope.Folders.Find(WritePath.Local(WriteScope.Field(item, "target")));
                Standing existing = Entries.At(first.Path);
                if (existing == null)
                {
                    throw Refused.Of(2);
                }
                if (there == null || !there.IsSame(existing))
                {
                    scope.Entries.Create(place, there, expect, scope.Temporary.Next(), delegate(string path)
                    {
                        NativeWrite.MakeHardLink(path, first.Path);
                    });
                }
                return "";
            }
            if (operation != "symlink")
            {
                throw new Refused("unsupported", "Windows has no " + operation);
            }
            NewLink link = new NewLink(Paths.Decode(WriteScope.Field(item, "target")), told);
            if (there != null && there.Kind == "symlink" && link.IsAt(place.Path))
            {
                scope.Entries.Claim(place, there);
                return "";
            }
            scope.Entries.Create(place, there, expect, scope.Temporary.Next(), link.Make);
            return SetMeta(item, place);
        }

        string MakeFolder(Place place, Standing there, object expect, Dictionary<string, object> told)
        {
            if (there != null && there.Kind == "dir")
            {
                scope.Entries.Claim(place, there);
                return "";
            }
            if (there != null)
            {
                scope.Entries.Remove(place, expect);
            }
            NativeWrite.MakeFolder(place.Path);
            using (SafeFileHandle handle = scope.OpenForMeta(place.Path))
            {
                try
                {
                    WriteFolders.RefuseElsewhere(handle, place.Path);
                }
                catch (Refused)
                {
                    NativeWrite.RemoveFolder(place.Path);
                    throw;
                }
                scope.Entries.Claim(place, null);
                return scope.Meta.Set(handle, place.Path, told, false);
            }
        }

        string SetMeta(Dictionary<string, object> item, Place place)
        {
            using (SafeFileHandle handle = scope.OpenForMeta(place.Path))
            {
                WriteFolders.RefuseElsewhere(handle, place.Path);
                return scope.Meta.Set(handle, place.Path, WriteScope.MetaIn(item), true);
            }
        }

        string Remove(Dictionary<string, object> item, Place place)
        {
            scope.Entries.Remove(place, WriteScope.Field(item, "expect"));
            return "";
        }

        public void Cleanup()
        {
            lock (guard)
            {
                files.Cleanup();
                if (scope != null)
                {
                    scope.Dispose();
                }
            }
        }
    }
}
