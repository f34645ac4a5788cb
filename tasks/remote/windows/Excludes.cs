namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text;
    using System.Text.RegularExpressions;

    // A standing rule that leaves something out; the contract says how it matches.
    public sealed class Exclude
    {
        const RegexOptions Options = RegexOptions.Singleline | RegexOptions.CultureInvariant;

        public readonly string Id;
        public readonly string Text;
        public readonly string Tag;
        public readonly string Reason;
        readonly bool foldersOnly;
        readonly long least;
        readonly Regex regex;

        public Exclude(Dictionary<string, object> document)
        {
            object value;
            Id = document["id"] as string ?? "";
            foldersOnly = document.TryGetValue("dirs_only", out value) && value is bool && (bool)value;
            least = document.TryGetValue("min_size", out value) && value is long ? (long)value : 0;
            Tag = document.TryGetValue("tag", out value) ? value as string ?? "" : "";
            Text = document.TryGetValue("regex", out value) ? value as string ?? "" : "";
            regex = Text.Length == 0 ? null : Whole(Text, RegexOptions.None);
            Reason = least > 0 ? "too-large" : "excluded";
        }

        public bool FoldersOnly
        {
            get { return foldersOnly; }
        }

        // The expression for the whole of a text. A flag at its start must not reach into others it is joined with.
        public static Regex Whole(string text, RegexOptions more)
        {
            return new Regex("\\A(?:" + text + ")\\z", Options | more);
        }

        public bool Agrees(string path, bool folder, long size)
        {
            if (foldersOnly && !folder)
            {
                return false;
            }
            if (least > 0 && (folder || size < least))
            {
                return false;
            }
            return regex == null || regex.IsMatch(path);
        }
    }

    // All rules of a walk. One compiled expression tells for most entries that no rule matches.
    public sealed class Excludes
    {
        readonly List<Exclude> rules = new List<Exclude>();
        public readonly List<Exclude> Tags = new List<Exclude>();
        readonly Regex forFolders;
        readonly Regex forFiles;

        public Excludes(List<object> documents)
        {
            foreach (object document in documents)
            {
                Exclude rule;
                try
                {
                    rule = new Exclude(Server.Map(document));
                }
                catch (ArgumentException error)
                {
                    throw new RequestError("bad-rule", error.Message);
                }
                catch (KeyNotFoundException)
                {
                    throw new RequestError("bad-rule", "a rule without an id");
                }
                (rule.Tag.Length > 0 ? Tags : rules).Add(rule);
            }
            forFolders = Joined(false);
            forFiles = Joined(true);
        }

        Regex Joined(bool files)
        {
            StringBuilder text = new StringBuilder();
            foreach (Exclude rule in rules)
            {
                if (files && rule.FoldersOnly)
                {
                    continue;
                }
                text.Append(text.Length > 0 ? "|" : "").Append("(?:").Append(rule.Text.Length > 0 ? rule.Text : ".*").Append(')');
            }
            return text.Length == 0 ? null : Exclude.Whole(text.ToString(), RegexOptions.Compiled);
        }

        // The first rule that excludes this entry, or null.
        public Exclude Find(string path, bool folder, long size)
        {
            Regex joined = folder ? forFolders : forFiles;
            if (joined == null)
            {
                return null;
            }
            string text = Paths.IsUnicode(path) ? path : Replaced(path);
            if (!joined.IsMatch(text))
            {
                return null;
            }
            foreach (Exclude rule in rules)
            {
                if (rule.Agrees(text, folder, size))
                {
                    return rule;
                }
            }
            return null;
        }

        static string Replaced(string path)
        {
            return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(path));
        }
    }
}
