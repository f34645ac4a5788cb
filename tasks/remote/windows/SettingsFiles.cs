namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Runtime.InteropServices;
    using System.Text.RegularExpressions;
    using Microsoft.Win32.SafeHandles;

    // Files of settings, which are small: read whole, and replaced whole where they are as expected.
    public sealed class SettingsFiles
    {
        const int MaxContent = 512 * 1024;
        const int MaxFound = 2000;
        const int Deepest = 48;

        readonly WindowsFiles files;
        readonly string home; // as it is written to
        readonly WriteScope scope; // null while nothing may be written

        public SettingsFiles(WindowsFiles files, string home, WriteScope scope)
        {
            this.files = files;
            this.home = home;
            this.scope = scope;
        }

        // What `file` answers; of a large file only its hash.
        public Dictionary<string, object> Read(string path)
        {
            Entry entry = files.Look(path);
            Verdict verdict = FileMarks.Judge(entry);
            if (verdict.Kind != Kind.File)
            {
                throw new Skip(verdict.Reason ?? "special", verdict.Detail ?? "it is no file");
            }
            string place = Paths.Live(path);
            using (SafeFileHandle file = WindowsFiles.Open(place, Native.ReadData, true, Native.OpenNoRecall))
            {
                if (file.IsInvalid)
                {
                    throw Skip.Of(Marshal.GetLastWin32Error());
                }
                string final = NativeWrite.FinalPath(file);
                if (final != null && !WritePath.IsAt(final, place) && !WritePath.Within(final, home))
                {
                    throw new Skip("outside", "the path leads out of the home");
                }
                WindowsFiles.Inspect(file, entry);
                byte[] data = new byte[MaxContent + 1];
                int count = Content.Read(file, data, 0, data.Length);
                Dictionary<string, object> answer = new Dictionary<string, object>();
                answer["size"] = entry.Size;
                answer["mtime"] = Standing.ToUnix(entry.Written);
                answer["mode"] = FileMarks.Mode(Kind.File, entry.Attributes);
                if (count <= MaxContent)
                {
                    answer["size"] = count;
                    answer["sha256"] = Digest.Of(data, 0, count);
                    answer["content"] = Convert.ToBase64String(data, 0, count);
                    return answer;
                }
                using (Digest digest = new Digest())
                {
                    while (count > 0)
                    {
                        digest.Update(data, count);
                        count = Content.Read(file, data, 0, data.Length);
                    }
                    answer["sha256"] = digest.Finish();
                }
                return answer;
            }
        }

        // What `glob` answers: files only, links not followed. What `exclude` describes (a name, or with / a whole path) is not
        // looked into.
        public Dictionary<string, object> Find(string pattern, List<object> exclude)
        {
            List<string> found = new List<string>();
            denied.Clear();
            names.Clear();
            paths.Clear();
            foreach (object one in exclude ?? new List<object>())
            {
                string text = Paths.Decode(one);
                (text.IndexOf('/') < 0 ? names : paths).Add(text.IndexOf('/') < 0 ? Pattern(text) : PathPattern(text));
            }
            Collect("/", Paths.Parts(pattern), 0, found, false, MaxFound + 1, 0);
            bool more = found.Count > MaxFound;
            if (more)
            {
                found.RemoveRange(MaxFound, found.Count - MaxFound);
            }
            found.Sort(Paths.Compare);
            Dictionary<string, object> answer = new Dictionary<string, object>();
            answer["paths"] = found;
            answer["more"] = more;
            answer["denied"] = new List<string>(denied);
            return answer;
        }

        readonly List<string> denied = new List<string>();
        // What is left out: names, and whole paths.
        readonly List<Regex> names = new List<Regex>();
        readonly List<Regex> paths = new List<Regex>();

        bool IsLeftOut(string path)
        {
            return names.Exists(delegate(Regex one) { return one.IsMatch(Paths.Name(path)); })
                || paths.Exists(delegate(Regex one) { return one.IsMatch(path); });
        }

        // A whole path: ** stands for any folders, at its end for everything.
        static Regex PathPattern(string text)
        {
            string[] parts = text.Split('/');
            System.Text.StringBuilder regex = new System.Text.StringBuilder("\\A");
            for (int index = 0; index < parts.Length; index++)
            {
                bool last = index == parts.Length - 1;
                regex.Append(parts[index] == "**" ? (last ? ".+" : "(?:[^/]+/)*")
                    : Regex.Escape(parts[index]).Replace("\\*", "[^/]*") + (last ? "" : "/"));
            }
            return new Regex(regex.Append("\\z").ToString(), RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
        }

        // Whether a pattern names a file or folder.
        public bool IsThere(string pattern)
        {
            List<string> found = new List<string>();
            Collect("/", Paths.Parts(pattern), 0, found, true, 1, 0);
            return found.Count > 0;
        }

        void Collect(string folder, string[] parts, int at, List<string> found, bool folders, int most, int depth)
        {
            string part = parts[at];
            bool last = at == parts.Length - 1;
            if (depth > Deepest || found.Count >= most)
            {
                return;
            }
            if (part.IndexOfAny(wild) < 0)
            {
                string path = Paths.Join(folder, part);
                if (!last)
                {
                    Collect(path, parts, at + 1, found, folders, most, depth);
                }
                else if (Is(path, folders))
                {
                    found.Add(path);
                }
                return;
            }
            bool deep = part == "**";
            Regex name = deep ? null : Pattern(part);
            if (deep && !last)
            {
                Collect(folder, parts, at + 1, found, folders, most, depth + 1);
            }
            foreach (Entry entry in List(folder))
            {
                Kind kind = FileMarks.Judge(entry).Kind;
                string path = Paths.Join(folder, entry.Name);
                if (IsLeftOut(path))
                {
                    continue;
                }
                if (last && (deep || name.IsMatch(entry.Name)) && (kind == Kind.File || (folders && kind == Kind.Folder))
                    && found.Count < most)
                {
                    found.Add(path);
                }
                if (kind == Kind.Folder && deep)
                {
                    Collect(path, parts, at, found, folders, most, depth + 1);
                }
                else if (kind == Kind.Folder && !last && name.IsMatch(entry.Name))
                {
                    Collect(path, parts, at + 1, found, folders, most, depth + 1);
                }
            }
        }

        static readonly char[] wild = new char[] { '*' };

        static Regex Pattern(string part)
        {
            string text = Regex.Escape(part).Replace("\\*", ".*");
            return new Regex("\\A" + text + "\\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
        }

        List<Entry> List(string folder)
        {
            try
            {
                return files.List(folder);
            }
            catch (Skip skip)
            {
                if (skip.Reason == "denied")
                {
                    denied.Add(folder);
                    return new List<Entry>();
                }
                if (skip.Reason == "vanished")
                {
                    return new List<Entry>();
                }
                throw;
            }
        }

        bool Is(string path, bool folders)
        {
            try
            {
                Kind kind = FileMarks.Judge(files.Look(path)).Kind;
                return kind == Kind.File || (folders && kind == Kind.Folder);
            }
            catch (Skip skip)
            {
                if (skip.Reason == "vanished")
                {
                    return false;
                }
                throw;
            }
        }

        // The content of a file, where nothing (null) or a file of this hash stands. Returns the hash, read back.
        public string Put(string path, byte[] content, string expect)
        {
            string local = WritePath.Local(path);
            object standing = Expected(path, local, expect);
            MakeFolders(WritePath.Parent(local));
            Place place = scope.Folders.Find(local);
            NewFile file = new NewFile(0);
            try
            {
                file.Path = local;
                file.Place = place.Path;
                file.Open(place.Folder, scope.Temporary.Next(), scope.Meta.Access);
                file.Append(content, 0);
                file.Complete(false);
                scope.Meta.SetNew(file.Handle, file.Temp, file.Place, new Dictionary<string, object>());
                file.Flush();
                file.Announced = Digest.Of(content, 0, content.Length);
                file.Prove(delegate { });
                scope.Entries.Move(file.Reopened(), file.Temp, place, standing);
                file.Temp = null;
                Durable.Folders(new string[] { place.Folder.Path });
                return file.Sha256;
            }
            finally
            {
                file.Discard();
            }
        }

        public void Remove(string path, string expect)
        {
            string local = WritePath.Local(path);
            object standing = Expected(path, local, expect);
            if (standing != null)
            {
                scope.Entries.Remove(scope.Folders.Find(local), standing);
            }
        }

        // What stands there, as plans have it: [type, size, mtime] or null. Refuses what has another hash.
        object Expected(string path, string local, string expect)
        {
            Standing there = There(local);
            string hash = null;
            if (there != null)
            {
                hash = (string)Read(path)["sha256"];
            }
            if (hash != expect)
            {
                throw new Refused("conflict", "it was changed meanwhile");
            }
            return there == null ? null : new List<object> { there.Kind, there.Size, there.Mtime };
        }

        static Standing There(string local)
        {
            try
            {
                return Entries.At(local);
            }
            catch (Refused refused)
            {
                if (refused.Reason == "vanished")
                {
                    return null;
                }
                throw;
            }
        }

        void MakeFolders(string local)
        {
            if (WritePath.IsDrive(local) || There(local) != null)
            {
                return;
            }
            MakeFolders(WritePath.Parent(local));
            Place place = scope.Folders.Find(local);
            NativeWrite.MakeFolder(place.Path);
            using (SafeFileHandle handle = scope.OpenForMeta(place.Path))
            {
                WriteFolders.RefuseElsewhere(handle, place.Path);
                scope.Meta.Set(handle, place.Path, new Dictionary<string, object>(), false);
            }
        }
    }
}
