namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.Runtime.InteropServices;
    using System.Text;
    using Microsoft.Win32.SafeHandles;

    // A file that is open for reading, and what it was then.
    sealed class OpenFile : IDisposable
    {
        public SafeFileHandle Handle;
        public Entry Before;
        public bool Live;

        public void Dispose()
        {
            if (Handle != null)
            {
                Handle.Dispose();
            }
        }

        public Entry Now()
        {
            Entry entry = new Entry();
            WindowsFiles.Inspect(Handle, entry);
            return entry;
        }
    }

    // Reads files for one helper; answers are sequences of steps that tell the bytes they have sent.
    public sealed class Reader
    {
        const int MaxRange = 16 * 1024 * 1024;
        const long MaxZero = 256 * 1024 * 1024;
        const int Overhead = 256;
        // From so many files of one folder on, the folder is listed once instead of asked for each name.
        const int Many = 32;

        readonly WindowsFiles files;

        public Reader(WindowsFiles files)
        {
            this.files = files;
        }

        // Sends the content of files, each with its `end` or `skip`.
        public IEnumerable<int> Read(Reply reply, List<object> values)
        {
            List<string> paths = values.ConvertAll<string>(Paths.Decode);
            Listing listing = new Listing();
            for (int index = 0; index < paths.Count; index++)
            {
                reply.Tick();
                OpenFile file;
                try
                {
                    Look(paths, index, listing);
                    file = Open(paths[index], true, listing);
                }
                catch (Skip skip)
                {
                    Tell(reply, index, skip);
                    file = null;
                }
                if (file == null)
                {
                    yield return Overhead;
                    continue;
                }
                using (file)
                {
                    if (file.Before.Size <= Frame.MaxPayload)
                    {
                        yield return Small(reply, index, file) + Overhead;
                        continue;
                    }
                    foreach (int sent in Large(reply, index, file))
                    {
                        yield return sent;
                    }
                }
            }
        }

        // What a folder holds of which many files are to be read, one after the other.
        sealed class Listing
        {
            public string Folder = "";
            public Dictionary<string, Entry> Entries;
        }

        void Look(List<string> paths, int index, Listing listing)
        {
            string folder = Paths.Folder(paths[index]);
            if (folder == listing.Folder)
            {
                return;
            }
            listing.Folder = folder;
            listing.Entries = null;
            int last = index + Many - 1;
            if (folder.Length > 2 && last < paths.Count && Paths.Folder(paths[last]) == folder)
            {
                Dictionary<string, Entry> entries = new Dictionary<string, Entry>(StringComparer.OrdinalIgnoreCase);
                try
                {
                    foreach (Entry entry in files.List(folder))
                    {
                        entries[entry.Name] = entry;
                    }
                    listing.Entries = entries;
                }
                catch (Skip)
                {
                    // Each file tells for itself.
                }
            }
        }

        static void Tell(Reply reply, int index, Skip skip)
        {
            reply.Send("skip", new Fields().Add("file", index).Add("reason", skip.Reason).Add("detail", skip.Detail));
        }

        int Small(Reply reply, int index, OpenFile file)
        {
            Piece piece = Piece.Take();
            try
            {
                piece.Count = Content.Read(file.Handle, piece.Data, 0, (int)file.Before.Size);
                string digest = Digest.Of(piece.Data, 0, piece.Count);
                Fields fields = End(new Fields().Add("file", index), file, piece.Count, digest);
                int count = piece.Count;
                if (count == 0)
                {
                    reply.Send("end", fields);
                }
                else
                {
                    reply.Send("end", fields.Add("offset", 0), piece.Share());
                }
                return count;
            }
            catch (Skip skip)
            {
                Tell(reply, index, skip);
                return 0;
            }
            finally
            {
                piece.Release();
            }
        }

        static Fields End(Fields fields, OpenFile file, long size, string digest)
        {
            fields.Add("size", size).Add("sha256", digest);
            fields.AddJson("before", Version(file.Before)).AddJson("after", Version(file.Now()));
            if (file.Live)
            {
                fields.Add("live", true);
            }
            return fields;
        }

        // What tells one version of a file from another.
        static string Version(Entry entry)
        {
            return "[" + entry.Size + "," + Entry.Nanoseconds(entry.Written) + "," + Entry.Nanoseconds(entry.Changed) + ","
                + entry.Id + "]";
        }

        // One step of reading a large file: what it sends, nothing at the end, and -1 when reading broke off.
        sealed class Run : IDisposable
        {
            public readonly Digest Digest;
            public long Offset;
            public List<KeyValuePair<long, long>> Parts;
            public int Part;
            public bool Short;

            public Run(OpenFile file)
            {
                Parts = Content.Parts(file.Handle, file.Before);
                Digest = Digest.For(file.Before.Size);
            }

            public void Dispose()
            {
                Digest.Dispose();
            }
        }

        IEnumerable<int> Large(Reply reply, int index, OpenFile file)
        {
            Run run;
            try
            {
                run = new Run(file);
            }
            catch (Skip skip)
            {
                Tell(reply, index, skip);
                yield break;
            }
            using (run)
            {
                int sent;
                while ((sent = Step(reply, index, file, run)) > 0)
                {
                    yield return sent;
                }
                yield return Overhead;
            }
        }

        int Step(Reply reply, int index, OpenFile file, Run run)
        {
            try
            {
                long size = file.Before.Size;
                long start = run.Part < run.Parts.Count ? run.Parts[run.Part].Key : size;
                if (run.Offset < start && !run.Short)
                {
                    long zero = Math.Min(start - run.Offset, MaxZero);
                    run.Digest.Zeros(zero);
                    reply.Send("data", new Fields().Add("file", index).Add("offset", run.Offset).Add("zero", zero));
                    run.Offset += zero;
                    return Overhead;
                }
                if (run.Offset >= size || run.Short)
                {
                    reply.Send("end", End(new Fields().Add("file", index), file, run.Offset, run.Digest.Finish()));
                    return 0;
                }
                if (run.Offset == start)
                {
                    Content.Seek(file.Handle, start);
                }
                long end = start + run.Parts[run.Part].Value;
                Piece piece = Piece.Take();
                try
                {
                    int wanted = (int)Math.Min(end - run.Offset, Frame.MaxPayload);
                    piece.Count = Content.Read(file.Handle, piece.Data, 0, wanted);
                    run.Short = piece.Count < wanted; // it was cut short
                    if (piece.Count > 0)
                    {
                        run.Digest.Update(piece);
                        reply.Send("data", new Fields().Add("file", index).Add("offset", run.Offset), piece.Share());
                        run.Offset += piece.Count;
                    }
                    if (run.Offset == end)
                    {
                        run.Part++;
                    }
                    return piece.Count + Overhead;
                }
                finally
                {
                    piece.Release();
                }
            }
            catch (Skip skip)
            {
                Tell(reply, index, skip);
                return 0;
            }
        }

        // Sends what of a file differs from the known ranges, and all behind them.
        public IEnumerable<int> Ranges(Reply reply, string path, List<object> known)
        {
            OpenFile file;
            Digest digest = null;
            try
            {
                file = Open(path, true, null);
            }
            catch (Skip skip)
            {
                Tell(reply, 0, skip);
                yield break;
            }
            using (file)
            using (digest = Digest.For(file.Before.Size))
            {
                long offset = 0;
                int index = 0;
                long sent = 1;
                while (sent > 0)
                {
                    reply.Tick();
                    sent = Range(reply, file, digest, index < known.Count ? known[index] : null, ref offset);
                    index++;
                    yield return (int)Math.Max(0, sent - 1);
                }
            }
        }

        // Sends one range where it differs, and behind the known ones a piece; then the end. Tells how many bytes it has
        // sent and one more, or 0 after the end.
        long Range(Reply reply, OpenFile file, Digest digest, object known, ref long offset)
        {
            List<Piece> pieces = new List<Piece>();
            try
            {
                long size = file.Before.Size;
                long length = Frame.MaxPayload;
                string expected = null;
                if (known != null)
                {
                    List<object> fields = Server.Items(known);
                    length = fields.Count == 3 && fields[1] is long ? (long)fields[1] : 0;
                    expected = fields.Count == 3 ? fields[2] as string : null;
                    bool follows = fields.Count == 3 && fields[0] is long && ((long)fields[0] == offset || offset >= size);
                    if (!follows || length <= 0 || length > MaxRange)
                    {
                        throw new RequestError("bad-request", "ranges must be ascending, without gaps, and small");
                    }
                }
                long wanted = Math.Min(length, size - offset);
                long got = 0;
                while (got < wanted)
                {
                    Piece piece = Piece.Take();
                    pieces.Add(piece);
                    int part = (int)Math.Min(wanted - got, Frame.MaxPayload);
                    piece.Count = Content.Read(file.Handle, piece.Data, 0, part);
                    digest.Update(piece);
                    got += piece.Count;
                    if (piece.Count < part)
                    {
                        break;
                    }
                }
                long sent = 1;
                // On this thread, while the other one hashes the whole file.
                if (known == null || got < length || HashOf(pieces) != expected)
                {
                    long at = offset;
                    foreach (Piece piece in pieces)
                    {
                        if (piece.Count > 0)
                        {
                            reply.Send("data", new Fields().Add("file", 0).Add("offset", at), piece.Share());
                            at += piece.Count;
                        }
                    }
                    sent += got;
                }
                offset += got;
                if (got < length)
                {
                    reply.Send("end", End(new Fields().Add("file", 0), file, offset, digest.Finish()));
                    return 0;
                }
                return sent;
            }
            catch (Skip skip)
            {
                Tell(reply, 0, skip);
                return 0;
            }
            finally
            {
                foreach (Piece piece in pieces)
                {
                    piece.Release();
                }
            }
        }

        static string HashOf(List<Piece> pieces)
        {
            using (Digest digest = new Digest())
            {
                foreach (Piece piece in pieces)
                {
                    digest.Update(piece);
                }
                return digest.Finish();
            }
        }

        // Sends for each file what it holds now; never through a shadow copy.
        public IEnumerable<string> Hash(Reply reply, List<object> paths)
        {
            for (int index = 0; index < paths.Count; index++)
            {
                string outcome = "item";
                try
                {
                    using (OpenFile file = Open(Paths.Decode(paths[index]), false, null))
                    using (Digest digest = Digest.For(file.Before.Size))
                    {
                        long size = HashAll(reply, file, digest);
                        Entry now = file.Now();
                        reply.Send("item", new Fields().Add("file", index).Add("sha256", digest.Finish()).Add("size", size)
                            .AddJson("mtime", Entry.Nanoseconds(now.Written)));
                    }
                }
                catch (Skip skip)
                {
                    Tell(reply, index, skip);
                    outcome = "skip";
                }
                yield return outcome;
            }
        }

        static long HashAll(Reply reply, OpenFile file, Digest digest)
        {
            long size = 0;
            while (true)
            {
                Piece piece = Piece.Take();
                try
                {
                    piece.Count = Content.Read(file.Handle, piece.Data, 0, Frame.MaxPayload);
                    digest.Update(piece);
                    size += piece.Count;
                    if (piece.Count < Frame.MaxPayload)
                    {
                        return size;
                    }
                }
                finally
                {
                    piece.Release();
                }
                reply.Tick();
            }
        }

        // Opens a regular file for reading, shared with everybody; anything else is a Skip. No link on the way is
        // followed, and nothing is fetched from elsewhere.
        OpenFile Open(string path, bool throughShadow, Listing listing)
        {
            bool shadowed = throughShadow && files.Paths.Shadowed(path);
            try
            {
                string place = throughShadow ? files.Paths.Read(path) : Paths.Live(path);
                return OpenAt(path, place, !shadowed, listing);
            }
            catch (Skip skip)
            {
                // What the cloud's own driver serves has no place in a shadow copy.
                if (!shadowed || (skip.Reason != "cloud-only" && skip.Reason != "unreadable"))
                {
                    throw;
                }
            }
            return OpenAt(path, Paths.Live(path), true, null);
        }

        OpenFile OpenAt(string path, string place, bool live, Listing listing)
        {
            if (place == null || path.Length <= 3)
            {
                throw new Skip("vanished", "no file can be there");
            }
            // Looked at before it is opened: to open a placeholder can fetch it, or wake whoever stands behind it.
            Entry listed = null;
            if (listing == null || listing.Entries == null || !listing.Entries.TryGetValue(Paths.Name(path), out listed))
            {
                listed = files.Find(place);
            }
            Verdict verdict = FileMarks.Judge(listed);
            if (verdict.Kind == Kind.Left)
            {
                throw new Skip(verdict.Reason, verdict.Detail);
            }
            if (verdict.Kind != Kind.File)
            {
                throw new Skip("vanished", verdict.Kind == Kind.Link ? "it is a link now" : "it is a folder now");
            }
            // A reparse point that holds content (deduplicated, or kept by the cloud) is read through its driver.
            bool itself = (listed.Attributes & FileMarks.Reparse) == 0;
            OpenFile file = new OpenFile();
            file.Live = live;
            file.Before = listed;
            file.Handle = WindowsFiles.Open(place, Native.ReadData, itself, Native.SequentialScan | Native.OpenNoRecall);
            try
            {
                if (file.Handle.IsInvalid)
                {
                    throw Skip.Of(Marshal.GetLastWin32Error());
                }
                RefuseElsewhere(file.Handle, place);
                WindowsFiles.Inspect(file.Handle, file.Before);
                if ((file.Before.Attributes & FileMarks.Directory) != 0
                    || (itself && (file.Before.Attributes & FileMarks.Reparse) != 0))
                {
                    throw new Skip("vanished", "it is something else now");
                }
                if (FileMarks.IsElsewhere(file.Before.Attributes))
                {
                    throw new Skip("cloud-only", "set free by its owner just now");
                }
                return file;
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }

        // A user could put a link in the place of a folder while we are on the way into it: then the file lies elsewhere.
        static void RefuseElsewhere(SafeFileHandle file, string place)
        {
            StringBuilder into = new StringBuilder(1024);
            uint length = Native.GetFinalPathNameByHandleW(file, into, (uint)into.Capacity, 0);
            if (length > into.Capacity)
            {
                into = new StringBuilder((int)length + 1);
                length = Native.GetFinalPathNameByHandleW(file, into, (uint)into.Capacity, 0);
            }
            if (length == 0)
            {
                length = Native.GetFinalPathNameByHandleW(file, into, (uint)into.Capacity, 2); // VOLUME_NAME_NT: a shadow copy
            }
            if (length == 0)
            {
                return; // a file system that cannot tell
            }
            string real = into.ToString();
            string wanted = Tail(place);
            // The second look: the answer may have lost dots and blanks at the ends of names.
            if (!real.EndsWith(wanted, StringComparison.OrdinalIgnoreCase)
                && !Bare(real).EndsWith(Bare(wanted), StringComparison.OrdinalIgnoreCase))
            {
                throw new Skip("vanished", "a link is on the way to it");
            }
        }

        static string Bare(string path)
        {
            string[] names = path.Split('\\');
            for (int index = 0; index < names.Length; index++)
            {
                names[index] = names[index].TrimEnd(' ', '.');
            }
            return string.Join("\\", names);
        }

        // The path below its drive or shadow copy.
        static string Tail(string place)
        {
            const string shadow = "\\\\?\\GLOBALROOT\\Device\\";
            int at = place.StartsWith(shadow, StringComparison.OrdinalIgnoreCase) ? place.IndexOf('\\', shadow.Length)
                : place.IndexOf('\\', 4);
            return place.Substring(at);
        }
    }
}
