namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Diagnostics;
    using System.IO;
    using System.Text;

    // Runs the parts of the helper that need no Windows, for tests: one JSON array of work items on standard input, one
    // JSON array of answers on standard output.
    static class PureParts
    {
        static int Main()
        {
            List<object> answers = new List<object>();
            using (StreamReader reader = new StreamReader(Console.OpenStandardInput(), Encoding.ASCII))
            {
                foreach (object item in (List<object>)Json.Parse(reader.ReadToEnd()))
                {
                    answers.Add(Answer((Dictionary<string, object>)item));
                }
            }
            byte[] text = Encoding.ASCII.GetBytes(Json.Write(answers));
            using (Stream stdout = Console.OpenStandardOutput())
            {
                stdout.Write(text, 0, text.Length);
            }
            return 0;
        }

        static object Answer(Dictionary<string, object> item)
        {
            try
            {
                return Do(item);
            }
            catch (RequestError error)
            {
                return "refused: " + error.Code;
            }
            catch (Skip skip)
            {
                return "skip: " + skip.Reason;
            }
        }

        static byte[] Bytes(object value)
        {
            return Convert.FromBase64String((string)value);
        }

        static object Do(Dictionary<string, object> item)
        {
            switch ((string)item["do"])
            {
                case "name": // from the wire and back
                    return Json.Parse(Paths.Encode(Paths.Decode(item["name"])));
                case "sort":
                    List<string> names = new List<string>();
                    foreach (object name in (List<object>)item["names"])
                    {
                        names.Add(Paths.Decode(name));
                    }
                    names.Sort(Paths.Compare);
                    return names.ConvertAll<object>(delegate(string name) { return Json.Parse(Paths.Encode(name)); });
                case "live":
                    return Paths.Live((string)item["path"]);
                case "shadow":
                    Paths paths = new Paths();
                    paths.SetShadow('C', "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy7\\");
                    return paths.Read((string)item["path"]);
                case "from-windows":
                    return Paths.FromWindows((string)item["path"]);
                case "resolve":
                    return Walk.Resolve((string)item["folder"], (string)item["target"]);
                case "judge":
                    uint attributes = (uint)(long)item["attributes"];
                    Verdict verdict = FileMarks.Judge(attributes, (uint)(long)item["tag"], 5);
                    return verdict.Kind.ToString() + (verdict.Reason == null ? "" : " " + verdict.Reason);
                case "row":
                    return RowOf(item);
                case "exclude":
                    return Excluded((List<object>)item["rules"], (List<object>)item["paths"]);
                case "reparse":
                    byte[] point = Bytes(item["data"]);
                    return ReparsePoint.Target(point, point.Length);
                case "descriptor":
                    byte[] descriptor = Bytes(item["data"]);
                    return new List<object> { Descriptor.HasOwnEntries(descriptor), Descriptor.Owner(descriptor) };
                case "streams":
                    return FileDetails.Names(Bytes(item["data"])).ConvertAll<object>(
                        delegate(KeyValuePair<string, long> one) { return new List<object> { one.Key, one.Value }; });
                case "serial":
                    return Smbios.Serial(Bytes(item["data"]));
                case "hive":
                    Hive hive = new Hive(Bytes(item["data"]));
                    string key = (string)item["key"];
                    return new List<object> { hive.Text(key, (string)item["value"]), hive.Below(key) };
                case "walk":
                    return Walked((List<object>)item["table"], (Dictionary<string, object>)item["request"]);
            }
            throw new RequestError("unknown", (string)item["do"]);
        }

        static object RowOf(Dictionary<string, object> item)
        {
            Entry entry = new Entry();
            entry.Name = Paths.Decode(item["name"]);
            entry.Attributes = (uint)(long)item["attributes"];
            entry.Size = (long)item["size"];
            entry.Written = (long)item["written"];
            entry.Created = (long)item["created"];
            StringBuilder into = new StringBuilder();
            Row.Write(into, entry.Name, entry, FileMarks.Judge(entry).Kind, null, null);
            return into.ToString(); // as text: a time of the year 1601 is no 64-bit number
        }

        static object Excluded(List<object> rules, List<object> paths)
        {
            Excludes excludes = new Excludes(rules);
            List<object> found = new List<object>();
            foreach (object path in paths)
            {
                List<object> one = (List<object>)path;
                Exclude rule = excludes.Find((string)one[0], (bool)one[1], (long)one[2]);
                found.Add(rule == null ? null : rule.Id);
            }
            return found;
        }

        // The frames of a walk over a table, how often a file was touched that must not be, and how long it took, in ms.
        static object Walked(List<object> table, Dictionary<string, object> request)
        {
            Table look = new Table(table);
            using (MemoryStream into = new MemoryStream())
            {
                Output output = new Output(into);
                output.Start();
                Stopwatch clock = Stopwatch.StartNew();
                Reply reply = new Reply(output, null, 1);
                foreach (int cost in new Walk(reply, look, request).Run())
                {
                }
                reply.Finish(false);
                long spent = clock.ElapsedMilliseconds;
                output.Drain();
                return new List<object> { Convert.ToBase64String(into.ToArray()), look.Touched, spent };
            }
        }
    }

    // A file system made of a table of [folder, name, attributes, tag, size, target].
    sealed class Table : ILook
    {
        readonly Dictionary<string, List<Entry>> folders =
            new Dictionary<string, List<Entry>>(StringComparer.OrdinalIgnoreCase);
        readonly Dictionary<string, string> targets = new Dictionary<string, string>();
        // Names of what was opened that is not on this computer.
        public List<object> Touched = new List<object>();

        public Table(List<object> table)
        {
            foreach (object line in table)
            {
                List<object> fields = (List<object>)line;
                Entry entry = new Entry();
                entry.Name = (string)fields[1];
                entry.Attributes = (uint)(long)fields[2];
                entry.Tag = (uint)(long)fields[3];
                entry.Size = (long)fields[4];
                string folder = (string)fields[0];
                if (!folders.ContainsKey(folder))
                {
                    folders[folder] = new List<Entry>();
                }
                folders[folder].Add(entry);
                if (fields[5] != null)
                {
                    targets[Paths.Join(folder, entry.Name)] = (string)fields[5];
                }
            }
        }

        public List<string> Drives()
        {
            return new List<string> { "C" };
        }

        public Entry Look(string path)
        {
            string name = Paths.Name(path);
            if (path.Length == 2)
            {
                Entry drive = new Entry();
                drive.Name = name.ToUpperInvariant();
                drive.Attributes = FileMarks.Directory;
                return drive;
            }
            List<Entry> entries;
            if (folders.TryGetValue(Paths.Folder(path), out entries))
            {
                foreach (Entry entry in entries)
                {
                    if (entry.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                    {
                        return entry;
                    }
                }
            }
            throw new Skip("vanished", "");
        }

        public List<Entry> List(string path)
        {
            List<Entry> entries;
            return folders.TryGetValue(path, out entries) ? new List<Entry>(entries) : new List<Entry>();
        }

        public string Target(string path, Entry entry)
        {
            Touch(path, entry);
            return targets[path];
        }

        public Details Detail(string path, Entry entry)
        {
            Touch(path, entry);
            return null;
        }

        public bool HasTag(string folder, string name)
        {
            return false;
        }

        void Touch(string path, Entry entry)
        {
            if ((entry.Attributes & 0x441000) != 0)
            {
                Touched.Add(path);
            }
        }
    }
}
