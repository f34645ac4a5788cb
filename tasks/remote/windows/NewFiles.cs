namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Threading;

    // Files that are being written, and their commit, which goes on while the content of the next ones arrives.
    public sealed class NewFiles
    {
        // Open at once; a commit is of 2,000 files at most.
        const int MostOpen = 1000;

        readonly object guard; // for all below, but finished and running
        readonly Dictionary<long, NewFile> files = new Dictionary<long, NewFile>();
        WriteScope scope; // null until something is allowed
        int open;
        bool ended;

        List<NewFile> finished = new List<NewFile>();
        Thread running;

        public NewFiles(object guard)
        {
            this.guard = guard;
        }

        public WriteScope Scope
        {
            set { scope = value; }
        }

        // Whether none is under way.
        public bool IsIdle
        {
            get { return files.Count == 0; }
        }

        public void Write(Frame frame)
        {
            NewFile file = Started(frame);
            Try(file, delegate { file.Append(frame.Payload, frame.Number("zero", 0)); });
        }

        NewFile Started(Frame frame)
        {
            NewFile file;
            long number = frame.Number("file", -1);
            lock (guard)
            {
                if (files.TryGetValue(number, out file))
                {
                    return file;
                }
                object path = frame.Value("path");
                if (path == null)
                {
                    throw new ProtocolError("the first frame of a file has no path");
                }
                files[number] = file = new NewFile(number);
                Try(file, delegate { Begin(file, path); });
            }
            return file;
        }

        void Begin(NewFile file, object path)
        {
            if (scope == null)
            {
                throw new Refused("outside", "writing is not allowed yet");
            }
            file.Path = WritePath.Local(path);
            Place place = scope.Folders.Find(file.Path);
            if (scope.Folders.IsNew(place.Folder))
            {
                Entries.Sweep(place.Folder.Path, scope.Temporary);
            }
            if (place.Folder.Encrypts && !scope.Self.Equals(scope.Meta.Owners.Of(place.Path)))
            {
                throw new Refused("unsupported", "its folder encrypts (EFS) what is written for the account that writes it");
            }
            file.Place = place.Path;
            try
            {
                file.Open(place.Folder, scope.Temporary.Next(), scope.Meta.Access);
            }
            finally
            {
                open += file.IsOpen ? 1 : 0;
            }
        }

        // All of the file is here but the proof of its content, which the commit brings.
        public void Finish(Frame frame)
        {
            Dictionary<string, object> document =
                frame.Type == "finish" ? Server.Map(frame.Document()) : frame.Header;
            NewFile file = Started(frame);
            if (WriteScope.Field(document, "abort") != null)
            {
                Discard(file, null);
                lock (guard)
                {
                    files.Remove(file.Number);
                }
                return;
            }
            finished.Add(file);
            file.Expect = WriteScope.Field(document, "expect");
            file.Announced = WriteScope.Field(document, "sha256") as string;
            Try(file, delegate
            {
                if (frame.Type == "put")
                {
                    file.Append(frame.Payload, 0);
                }
                Dictionary<string, object> told = WriteScope.MetaIn(document);
                file.Complete(Meta.IsSparse(told));
                file.Detail = scope.Meta.SetNew(file.Handle, file.Temp, file.Place, told);
                if (open > MostOpen)
                {
                    file.Flush();
                    file.Prove(delegate { });
                    Close(file);
                }
            });
        }

        void Try(NewFile file, Action work)
        {
            if (file.Refusal != null)
            {
                return;
            }
            Refused refusal = WriteScope.Refusal(work);
            if (refusal != null)
            {
                Discard(file, refusal);
            }
        }

        void Discard(NewFile file, Refused refusal)
        {
            lock (guard)
            {
                open -= file.IsOpen ? 1 : 0;
                file.Refusal = refusal;
                file.Discard();
            }
        }

        void Close(NewFile file)
        {
            lock (guard)
            {
                open -= file.IsOpen ? 1 : 0;
                file.Close();
            }
        }

        // Commits what is finished on a thread, which answers; until Settle returns the output belongs to it.
        public void BeginCommit(Reply reply, HashSet<string> changed)
        {
            List<NewFile> batch = finished;
            finished = new List<NewFile>();
            running = new Thread(delegate() { Answer(reply, batch, changed); });
            running.IsBackground = true;
            running.Name = "commit";
            running.Start();
        }

        void Answer(Reply reply, List<NewFile> batch, HashSet<string> changed)
        {
            try
            {
                Commit(reply, batch, changed);
                reply.SendItems(Results(batch));
                reply.Finish(false);
            }
            catch (IOException)
            {
                // Nobody is there to read: the input ends, too.
            }
            catch (ProtocolError)
            {
                // The same.
            }
            catch (Exception error)
            {
                if (!ended)
                {
                    reply.Fail("internal", error.GetType().Name + ": " + error.Message);
                }
            }
        }

        public void Settle()
        {
            Thread thread = running;
            running = null;
            if (thread != null)
            {
                thread.Join();
            }
        }

        // Makes files durable, reads them back, renames those that are right, makes that durable.
        void Commit(Reply reply, List<NewFile> batch, HashSet<string> changed)
        {
            List<NewFile> good = batch.FindAll(delegate(NewFile file) { return file.Refusal == null; });
            Durable.Aside(reply, delegate
            {
                Durable.Files(good, delegate(NewFile file) { Try(file, file.Flush); });
            });
            foreach (NewFile file in good)
            {
                NewFile one = file;
                Try(one, delegate
                {
                    one.Prove(reply.Tick);
                    PutInPlace(one);
                    changed.Add(one.Folder);
                });
                reply.Tick();
            }
            Durable.Aside(reply, delegate { Durable.Folders(changed); });
            lock (guard)
            {
                foreach (NewFile file in batch)
                {
                    files.Remove(file.Number);
                }
                if (files.Count == 0)
                {
                    scope.Folders.Release(null);
                }
            }
        }

        void PutInPlace(NewFile file)
        {
            lock (guard)
            {
                if (ended)
                {
                    throw new Refused("unreadable", "the helper was told to end");
                }
                Place place = scope.Folders.Find(file.Path);
                if (!WritePath.Same(place.Folder.Path, file.Folder))
                {
                    throw new Refused("conflict", "the folder leads elsewhere now");
                }
                open += file.IsOpen ? 0 : 1;
                scope.Entries.Move(file.Reopened(), file.Temp, place, file.Expect);
                file.Temp = null;
                Close(file);
            }
        }

        static IEnumerable<string> Results(List<NewFile> batch)
        {
            foreach (NewFile file in batch)
            {
                Dictionary<string, object> result = WriteScope.Result(file.Refusal, file.Detail);
                result["file"] = file.Number;
                if (file.Sha256 != null)
                {
                    result["sha256"] = file.Sha256;
                }
                if (file.Refusal == null)
                {
                    result["read_back"] = true;
                }
                yield return Json.Write(result);
            }
        }

        // Ends what is under way; nothing temporary stays.
        public void Cleanup()
        {
            ended = true;
            foreach (NewFile file in files.Values)
            {
                file.Discard();
            }
            files.Clear();
        }
    }
}
