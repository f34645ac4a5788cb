namespace Firstbell
{
    using System;
    using System.Collections.Generic;

    // What reads on this computer, put together; helper.ps1 makes one.
    public sealed class Helper : IFiles
    {
        public readonly Paths Paths = new Paths();
        public readonly FileDetails Details = new FileDetails();
        public readonly WindowsFiles Files;
        // Past all shadow copies.
        public readonly WindowsFiles Live;
        readonly Reader reader;

        // Makes shadow copies of these drives and tells Paths; returns what came of it as JSON: {"C": "made" or why not}.
        public Func<string[], string> MakeShadows;

        public Helper()
        {
            Native.SetErrorMode(0x8003); // no dialog asks for a missing disk or a crash
            Files = new WindowsFiles(Paths, Details);
            Live = new WindowsFiles(new Paths(), Details);
            reader = new Reader(Files);
        }

        public IEnumerable<int> Walk(Reply reply, Dictionary<string, object> document, Frame frame)
        {
            if (frame.Flag("shadow") && MakeShadows != null)
            {
                reply.SendText("item", null, "{\"shadow\":" + MakeShadows(DrivesOf(document)) + "}");
            }
            return new Walk(reply, Files, document).Run();
        }

        // Takes over what the facts know of profiles, and tells what cannot be done without more rights.
        public void Own(Facts facts, List<string> privileges)
        {
            foreach (Person person in People.All())
            {
                string home = Firstbell.Paths.FromWindows(person.Home);
                if (home != null)
                {
                    Details.SetOwner(home, person.Sid);
                }
            }
            if (!privileges.Contains("SeBackupPrivilege"))
            {
                facts.Limits.Add("Files that their access list closes to this account are not read: "
                    + "it is no administrator, or its rights are filtered (SeBackupPrivilege is missing).");
            }
        }

        static string[] DrivesOf(Dictionary<string, object> document)
        {
            SortedDictionary<string, bool> drives = new SortedDictionary<string, bool>(StringComparer.Ordinal);
            foreach (string field in new string[] { "roots", "only" })
            {
                object value;
                if (document.TryGetValue(field, out value) && value is List<object>)
                {
                    foreach (object path in (List<object>)value)
                    {
                        string[] parts = Firstbell.Paths.Parts(Firstbell.Paths.Decode(path));
                        if (parts.Length > 0 && parts[0].Length == 1)
                        {
                            drives[parts[0].ToUpperInvariant()] = true;
                        }
                    }
                }
            }
            return new List<string>(drives.Keys).ToArray();
        }

        public IEnumerable<int> Read(Reply reply, List<object> paths)
        {
            return reader.Read(reply, paths);
        }

        public IEnumerable<int> Ranges(Reply reply, string path, List<object> known)
        {
            return reader.Ranges(reply, path, known);
        }

        public IEnumerable<string> Hash(Reply reply, List<object> paths)
        {
            return reader.Hash(reply, paths);
        }

        // The row of what stands at a path now, or "null": nothing, or nothing that the account may see.
        public string Row(string path)
        {
            try
            {
                Entry entry = Live.Look(path);
                Verdict verdict = FileMarks.Judge(entry);
                Kind kind = verdict.Kind != Kind.Left ? verdict.Kind : entry.IsFolder ? Kind.Folder : Kind.File;
                string target = kind == Kind.Link ? Live.Target(path, entry) : null;
                System.Text.StringBuilder into = new System.Text.StringBuilder();
                Firstbell.Row.Write(into, Firstbell.Paths.Name(path), entry, kind, target, Live.Detail(path, entry));
                return into.ToString();
            }
            catch (Skip skip)
            {
                if (skip.Reason == "vanished" || skip.Reason == "name" || skip.Reason == "denied")
                {
                    return "null";
                }
                throw new RequestError("unreadable", path + ": " + skip.Detail);
            }
        }
    }

    // Begins to talk: over lines the mark that we are here comes before the first line.
    public static class Start
    {
        public static int Run(Server server, LineLink link, System.IO.Stream stdout, string token)
        {
            byte[] mark = System.Text.Encoding.ASCII.GetBytes("\nfirstbell-helper " + token + "\n");
            stdout.Write(mark, 0, mark.Length);
            stdout.Flush();
            if (link == null)
            {
                return server.Run();
            }
            link.Start();
            try
            {
                return server.Run();
            }
            finally
            {
                link.Close(20000);
            }
        }
    }
}
