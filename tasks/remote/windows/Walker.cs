namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text;

    // A path that was asked for, or that leads to some. Names as Windows compares them: without case.
    sealed class Asked
    {
        public readonly Dictionary<string, Asked> Below = new Dictionary<string, Asked>(StringComparer.OrdinalIgnoreCase);
        public bool Root;

        public void Add(IEnumerable<string> parts)
        {
            Asked node = this;
            foreach (string part in parts)
            {
                Asked below;
                if (!node.Below.TryGetValue(part, out below))
                {
                    node.Below[part] = below = new Asked();
                }
                node = below;
            }
            node.Root = true;
        }

        public List<string> Names()
        {
            List<string> names = new List<string>(Below.Keys);
            names.Sort(Paths.Compare);
            return names;
        }

        // The paths asked for at and below this one.
        public void Roots(string path, List<string> into)
        {
            if (Root)
            {
                into.Add(path);
            }
            foreach (string name in Names())
            {
                Below[name].Roots(Paths.Join(path, name), into);
            }
        }
    }

    // One walk over the roots; Run tells the rows it has sent.
    public sealed class Walk
    {
        const int MostLinks = 40;

        struct Place
        {
            public string Path;
            public Asked Asked;
            public bool Whole;
        }

        readonly Reply reply;
        readonly ILook look;
        readonly Excludes excludes;
        readonly Asked asked = new Asked();
        readonly bool deep;
        readonly Stack<Place> stack = new Stack<Place>();
        readonly HashSet<string> seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        // What is found of one folder, before its frame is complete.
        StringBuilder rows;
        int count;

        public Walk(Reply reply, ILook look, Dictionary<string, object> document)
        {
            this.reply = reply;
            this.look = look;
            object value;
            document.TryGetValue("only", out value);
            if (value != null)
            {
                foreach (object path in Server.Items(value))
                {
                    asked.Add(Paths.Parts(Paths.Decode(path)));
                }
                excludes = new Excludes(new List<object>());
                return;
            }
            deep = true;
            document.TryGetValue("rules", out value);
            excludes = new Excludes(value == null ? new List<object>() : Server.Items(value));
            document.TryGetValue("roots", out value);
            foreach (object path in Server.Items(value))
            {
                AddRoot(Paths.Decode(path), 0);
            }
        }

        // Ask for a root by its real name, and when it leads through a link, for the real place too.
        void AddRoot(string path, int links)
        {
            string[] parts = Paths.Parts(path);
            List<string> real = new List<string>();
            string step = "/";
            for (int index = 0; index < parts.Length; index++)
            {
                Entry entry;
                try
                {
                    entry = look.Look(Paths.Join(step, parts[index]));
                }
                catch (Skip)
                {
                    // Found missing, and told, by the walk.
                    for (int rest = index; rest < parts.Length; rest++)
                    {
                        real.Add(parts[rest]);
                    }
                    break;
                }
                real.Add(entry.Name);
                if (FileMarks.IsLink(entry.Attributes, entry.Tag))
                {
                    Follow(path, Paths.Join(step, entry.Name), entry, parts, index, links);
                    break;
                }
                step = Paths.Join(step, entry.Name);
            }
            asked.Add(real);
        }

        void Follow(string root, string path, Entry entry, string[] parts, int index, int links)
        {
            string target = null;
            try
            {
                target = look.Target(path, entry);
            }
            catch (Skip skip)
            {
                TellSkip(root, skip.Reason, "", skip.Detail);
                return;
            }
            string place = Resolve(Paths.Folder(path), target);
            if (place == null)
            {
                TellSkip(root, "unreadable", "", "it leads to " + target + ", which is not on a disk of this computer");
                return;
            }
            for (int rest = index + 1; rest < parts.Length; rest++)
            {
                place = Paths.Join(place, parts[rest]);
            }
            if (links >= MostLinks)
            {
                TellSkip(root, "loop", "", "it leads through more than " + MostLinks + " links");
            }
            else if (seen.Add(place))
            {
                AddRoot(place, links + 1);
            }
            else if (links > 0)
            {
                TellSkip(root, "loop", "", "it leads to itself");
            }
        }

        // Where a link in a folder leads; null when that is on no drive.
        public static string Resolve(string folder, string target)
        {
            string[] parts = Paths.Parts(folder);
            if (target.StartsWith("\\", StringComparison.Ordinal) && !target.StartsWith("\\\\", StringComparison.Ordinal)
                && !target.StartsWith("\\??\\", StringComparison.Ordinal))
            {
                return Paths.FromWindows(parts[0] + ":" + target);
            }
            if (target.Length > 1 && (target[1] == ':' || target.StartsWith("\\", StringComparison.Ordinal)))
            {
                return Paths.FromWindows(target);
            }
            return Paths.FromWindows(parts[0] + ":\\" + string.Join("\\", parts, 1, parts.Length - 1) + "\\" + target);
        }

        void TellSkip(string path, string reason, string rule, string detail)
        {
            Fields fields = new Fields().AddJson("path", Paths.Encode(path)).Add("reason", reason);
            if (!string.IsNullOrEmpty(rule))
            {
                fields.Add("rule", rule);
            }
            if (!string.IsNullOrEmpty(detail))
            {
                fields.Add("detail", detail);
            }
            reply.Send("skip", fields);
        }

        void SkipAsked(string path, Asked missing, string reason, string detail)
        {
            List<string> roots = new List<string>();
            missing.Roots(path, roots);
            foreach (string root in roots)
            {
                TellSkip(root, reason, "", detail);
            }
        }

        public IEnumerable<int> Run()
        {
            Place place = new Place();
            place.Path = "/";
            place.Asked = asked;
            place.Whole = deep && asked.Root;
            stack.Push(place);
            while (stack.Count > 0)
            {
                place = stack.Pop();
                reply.Tick();
                foreach (int cost in place.Whole ? Folder(place.Path, place.Asked) : Way(place.Path, place.Asked))
                {
                    yield return cost;
                }
            }
        }

        void Begin()
        {
            rows = new StringBuilder();
            count = 0;
        }

        void Add(string path, string name, Entry entry, Kind kind)
        {
            string target = null;
            if (kind == Kind.Link)
            {
                target = look.Target(path, entry);
            }
            // To look at a file that is not on this computer could fetch it.
            Details details = FileMarks.IsElsewhere(entry.Attributes) ? null : look.Detail(path, entry);
            if (count++ > 0)
            {
                rows.Append(',');
            }
            Row.Write(rows, name, entry, kind, target, details);
            if (details != null && details.Lost != null)
            {
                foreach (KeyValuePair<string, string> lost in details.Lost)
                {
                    TellSkip(path, lost.Key, "", lost.Value);
                }
            }
        }

        // Sends what is gathered of a folder; tells how many rows that is.
        int Send(string path, bool last)
        {
            StringBuilder text = new StringBuilder(rows.Length + path.Length + 64);
            text.Append("{\"path\":");
            Paths.Encode(path, text);
            text.Append(",\"rows\":[").Append(rows).Append("],\"last\":").Append(last ? "true}" : "false}");
            reply.SendText("entry", null, text.ToString());
            int sent = count;
            Begin();
            return sent;
        }

        // The rows of a folder that lead to what was asked for.
        IEnumerable<int> Way(string path, Asked here)
        {
            Begin();
            List<Place> folders = new List<Place>();
            // By their real names, which may sort otherwise.
            List<KeyValuePair<Entry, Asked>> found = new List<KeyValuePair<Entry, Asked>>();
            foreach (string name in here.Names())
            {
                Entry entry = LookFor(path, name, here.Below[name]);
                if (entry != null)
                {
                    if (!deep)
                    {
                        entry.Name = name; // whoever asked knows it by this name
                    }
                    found.Add(new KeyValuePair<Entry, Asked>(entry, here.Below[name]));
                }
            }
            found.Sort(delegate(KeyValuePair<Entry, Asked> one, KeyValuePair<Entry, Asked> other)
            {
                return Paths.Compare(one.Key.Name, other.Key.Name);
            });
            foreach (KeyValuePair<Entry, Asked> pair in found)
            {
                reply.Tick();
                WayTo(path, pair.Key, pair.Value, folders);
                if (rows.Length > Reply.SoftPayload)
                {
                    yield return Send(path, false);
                }
            }
            Descend(folders);
            yield return Send(path, true) + 1;
        }

        Entry LookFor(string path, string name, Asked below)
        {
            string child = Paths.Join(path, name);
            try
            {
                return look.Look(child);
            }
            catch (Skip skip)
            {
                SkipAsked(child, below, skip.Reason, skip.Detail);
                return null;
            }
        }

        void WayTo(string path, Entry entry, Asked below, List<Place> folders)
        {
            string child = Paths.Join(path, entry.Name);
            Verdict verdict = FileMarks.Judge(entry);
            if (verdict.Kind == Kind.Left)
            {
                TellSkip(child, verdict.Reason, verdict.Rule, verdict.Detail);
            }
            else
            {
                try
                {
                    Add(child, entry.Name, entry, verdict.Kind);
                }
                catch (Skip skip)
                {
                    SkipAsked(child, below, skip.Reason, skip.Detail);
                    return;
                }
            }
            if (verdict.Kind == Kind.Folder)
            {
                Place place = new Place();
                place.Path = child;
                place.Asked = below;
                place.Whole = deep && below.Root;
                folders.Add(place);
                return;
            }
            foreach (string further in below.Names())
            {
                SkipAsked(Paths.Join(child, further), below.Below[further], "vanished", "no folder is above it");
            }
        }

        void Descend(List<Place> folders)
        {
            for (int index = folders.Count - 1; index >= 0; index--)
            {
                stack.Push(folders[index]);
            }
        }

        List<Entry> Listed(string path)
        {
            try
            {
                if (path == "/")
                {
                    List<Entry> drives = new List<Entry>();
                    foreach (string drive in look.Drives())
                    {
                        drives.Add(look.Look("/" + drive));
                    }
                    return drives;
                }
                return look.List(path);
            }
            catch (Skip skip)
            {
                TellSkip(path, skip.Reason, "", skip.Detail);
                return null;
            }
        }

        // All rows of a folder that no rule excludes.
        IEnumerable<int> Folder(string path, Asked here)
        {
            List<Entry> entries = Listed(path);
            if (entries == null)
            {
                yield break;
            }
            Entry.Sort(entries);
            if (here != null && here.Below.Count > 0)
            {
                TellMissing(path, here, entries);
            }
            Begin();
            List<Place> folders = new List<Place>();
            int looked = 0;
            foreach (Entry entry in entries)
            {
                if ((++looked & 255) == 0)
                {
                    reply.Tick();
                }
                Child(path, entry, here, folders);
                if (rows.Length > Reply.SoftPayload)
                {
                    yield return Send(path, false);
                }
            }
            Descend(folders);
            yield return Send(path, true) + 1;
        }

        void TellMissing(string path, Asked here, List<Entry> entries)
        {
            HashSet<string> names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
            foreach (Entry entry in entries)
            {
                names.Add(entry.Name);
            }
            foreach (string name in here.Names())
            {
                if (!names.Contains(name))
                {
                    SkipAsked(Paths.Join(path, name), here.Below[name], "vanished", "");
                }
            }
        }

        void Child(string path, Entry entry, Asked here, List<Place> folders)
        {
            string child = Paths.Join(path, entry.Name);
            Asked below = null;
            if (here != null)
            {
                here.Below.TryGetValue(entry.Name, out below);
            }
            Verdict verdict = FileMarks.Judge(entry);
            bool whole = true;
            if (below == null || !below.Root)
            {
                Exclude rule = Excluded(child, entry, verdict.Kind);
                if (rule != null)
                {
                    TellSkip(child, rule.Reason, rule.Id, "");
                    if (below == null)
                    {
                        return;
                    }
                    whole = false; // only the way to the root in it
                }
            }
            if (verdict.Kind == Kind.Left)
            {
                TellSkip(child, verdict.Reason, verdict.Rule, verdict.Detail);
                return;
            }
            try
            {
                Add(child, entry.Name, entry, verdict.Kind);
            }
            catch (Skip skip)
            {
                TellSkip(child, skip.Reason, "", skip.Detail);
                return;
            }
            if (verdict.Kind == Kind.Folder)
            {
                Place place = new Place();
                place.Path = child;
                place.Asked = below;
                place.Whole = whole;
                folders.Add(place);
            }
        }

        Exclude Excluded(string path, Entry entry, Kind kind)
        {
            bool folder = kind == Kind.Folder;
            Exclude rule = excludes.Find(path, folder, entry.Size);
            if (rule == null && folder)
            {
                foreach (Exclude tag in excludes.Tags)
                {
                    if (look.HasTag(path, tag.Tag))
                    {
                        return tag;
                    }
                }
            }
            return rule;
        }
    }
}
