namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Security.Principal;

    // Carries out the operations on one person's settings: `settings` and `set-settings` of PROTOCOL.md. Each has its own
    // answer, also when it fails.
    public sealed class Settings
    {
        readonly WindowsFiles files;
        // What is asked as the administrator is the same for everybody, and takes its time: asked once, until something
        // is written.
        readonly Dictionary<string, SettingsCommand> commands = new Dictionary<string, SettingsCommand>();

        public Settings(Helper helper)
        {
            files = helper.Live;
        }

        // The answers to {"user", "home", "ops"}, in order. Without a `scope` nothing may be written.
        public List<string> Serve(Dictionary<string, object> document, WriteScope scope, Action tick)
        {
            string home = Paths.Decode(WriteScope.Field(document, "home"));
            Person person = Find(WriteScope.Field(document, "user") as string, home);
            List<Dictionary<string, object>> ops = Server.Items(document["ops"]).ConvertAll<Dictionary<string, object>>(Server.Map);
            List<string> answers = new List<string>();
            if (scope != null)
            {
                commands.Clear();
            }
            using (SettingsRun run = new SettingsRun(files, person, home, scope, commands))
            {
                run.Begin(ops);
                foreach (Dictionary<string, object> op in ops)
                {
                    answers.Add(Json.Write(Answer(run, op, tick)));
                    tick();
                }
            }
            return answers;
        }

        // The one with this home; of a home that is a link the name tells.
        static Person Find(string user, string home)
        {
            foreach (Person person in People.All())
            {
                if (home.Equals(Paths.FromWindows(person.Home), StringComparison.OrdinalIgnoreCase))
                {
                    return person;
                }
            }
            if (string.IsNullOrEmpty(user))
            {
                return null;
            }
            List<object> names = new List<object> { user };
            return People.Named().Find(delegate(Person person) { return person.IsOneOf(names); });
        }

        static Dictionary<string, object> Answer(SettingsRun run, Dictionary<string, object> op, Action tick)
        {
            string reason, detail;
            try
            {
                Dictionary<string, object> answer = run.Do(op, tick);
                answer["ok"] = true;
                return answer;
            }
            catch (Refused refused)
            {
                reason = refused.Reason;
                detail = refused.Message;
            }
            catch (Skip skip)
            {
                reason = skip.Reason;
                detail = skip.Detail;
            }
            catch (RequestError error)
            {
                reason = error.Code;
                detail = error.Message;
            }
            catch (SystemException error)
            {
                // What .NET throws of files, the registry and malformed operations.
                Refused refused = Refused.Of(error);
                reason = refused.Reason;
                detail = refused.Message;
            }
            Dictionary<string, object> failed = new Dictionary<string, object>();
            failed["ok"] = false;
            failed["reason"] = reason;
            failed["detail"] = detail;
            return failed;
        }
    }

    // The operations of one request.
    public sealed class SettingsRun : IDisposable
    {
        const string Uninstall = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall";
        const string ShellFolders = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders";

        readonly Person person; // null when nobody has that home
        readonly WriteScope scope;
        readonly SettingsFiles files;
        readonly RegistryKeys registry;
        readonly WindowsFiles disk;
        readonly string home;
        readonly Dictionary<string, SettingsCommand> commands;

        public SettingsRun(
            WindowsFiles disk, Person person, string home, WriteScope scope, Dictionary<string, SettingsCommand> commands)
        {
            this.commands = commands;
            this.disk = disk;
            this.person = person;
            this.home = home;
            this.scope = scope;
            string place = Paths.Live(home);
            files = new SettingsFiles(disk, place == null ? home : WriteFolders.Real(place), scope);
            registry = new RegistryKeys(person);
        }

        public void Dispose()
        {
            registry.Dispose();
        }

        // Commands that only ask run while the rest is done.
        public void Begin(List<Dictionary<string, object>> ops)
        {
            foreach (Dictionary<string, object> op in ops)
            {
                if (scope == null && "command".Equals(WriteScope.Field(op, "op")) && WriteScope.Field(op, "argv") != null
                    && !commands.ContainsKey(Key(op)) && Permitted(op))
                {
                    commands[Key(op)] = new SettingsCommand(op);
                }
            }
        }

        public Dictionary<string, object> Do(Dictionary<string, object> op, Action tick)
        {
            Dictionary<string, object> answer = new Dictionary<string, object>();
            if ("command".Equals(WriteScope.Field(op, "op")))
            {
                return Command(op, tick);
            }
            if (person == null)
            {
                throw new Refused("no-profile", "nobody has a profile at " + home);
            }
            switch (WriteScope.Field(op, "op") as string)
            {
                case "identity":
                    return Identity();
                case "file":
                    return files.Read(Paths.Decode(op["path"]));
                case "glob":
                    return files.Find(Paths.Decode(op["pattern"]), WriteScope.Field(op, "exclude") as List<object>);
                case "programs":
                    return Programs(op);
                case "registry":
                    return registry.Read(op);
                case "put":
                    Require();
                    answer["sha256"] = files.Put(Paths.Decode(op["path"]), Convert.FromBase64String((string)op["content"]),
                        WriteScope.Field(op, "expect") as string);
                    return answer;
                case "remove":
                    Require();
                    files.Remove(Paths.Decode(op["path"]), WriteScope.Field(op, "expect") as string);
                    return answer;
                case "registry-set":
                    Require();
                    if (!scope.Folders.Holds(WritePath.Local(home)))
                    {
                        throw new Refused("outside", "the plan does not name this person");
                    }
                    registry.Set(op);
                    return answer;
            }
            throw new Refused("unsupported", "no operation '" + WriteScope.Field(op, "op") + "'");
        }

        void Require()
        {
            if (scope == null)
            {
                throw new Refused("refused", "writing is not allowed yet");
            }
        }

        Dictionary<string, object> Command(Dictionary<string, object> op, Action tick)
        {
            SettingsCommand command;
            if (!Permitted(op))
            {
                throw new Refused("first-sign-in", "only the person, signed in, can ask Windows for this");
            }
            if (scope != null || !commands.TryGetValue(Key(op), out command))
            {
                command = new SettingsCommand(op);
            }
            // With `aside` it only begins: whoever asks for the same later has its answer.
            return WriteScope.Field(op, "aside") as bool? ?? false ? new Dictionary<string, object>() : command.Result(tick);
        }

        static string Key(Dictionary<string, object> op)
        {
            return Json.Write(new object[] { op["argv"], WriteScope.Field(op, "input"), WriteScope.Field(op, "as") });
        }

        // Nobody gets into another person's session: what is asked as the person must be asked by that person.
        bool Permitted(Dictionary<string, object> op)
        {
            if ("administrator".Equals(WriteScope.Field(op, "as")))
            {
                return true;
            }
            using (WindowsIdentity self = WindowsIdentity.GetCurrent())
            {
                return person != null && self.User != null && self.User.Value == person.Sid;
            }
        }

        // By what this profile is told from a new one of the same person, and where Windows keeps what.
        Dictionary<string, object> Identity()
        {
            Dictionary<string, object> answer = new Dictionary<string, object>();
            Dictionary<string, object> folders = new Dictionary<string, object>();
            Entry entry = disk.Look(home);
            using (UserKeys keys = UserKeys.Open(person))
            {
                answer["signed_in"] = keys.Loaded;
                Add(folders, "appdata", keys.Expanded(ShellFolders, "AppData"));
                Add(folders, "localappdata", keys.Expanded(ShellFolders, "Local AppData"));
            }
            Add(folders, "programdata", Environment.GetEnvironmentVariable("ProgramData"));
            Add(folders, "programfiles", Environment.GetEnvironmentVariable("ProgramFiles"));
            Add(folders, "windows", Environment.GetEnvironmentVariable("SystemRoot"));
            answer["account"] = person.Sid + ":" + entry.Id.ToString("x") + ":" + Born();
            answer["uid"] = -1;
            answer["gid"] = -1;
            answer["folders"] = folders;
            return answer;
        }

        // When the profile was made: the registry's file is the one thing in it that no restore brings back.
        string Born()
        {
            try
            {
                return disk.Look(Paths.Join(home, "NTUSER.DAT")).Created.ToString("x");
            }
            catch (Skip)
            {
                return "";
            }
        }

        // `text` as a path on the wire; one that is on no drive (\\server\...) is told as such, empty.
        static void Add(Dictionary<string, object> folders, string name, string text)
        {
            if (!string.IsNullOrEmpty(text))
            {
                folders[name] = Paths.FromWindows(text) ?? "";
            }
        }

        // Which of these there are: patterns of paths, of names under which programs are installed, and keys.
        Dictionary<string, object> Programs(Dictionary<string, object> op)
        {
            Dictionary<string, object> answer = new Dictionary<string, object>();
            answer["commands"] = new List<object>();
            answer["paths"] = Those(op, "paths", IsThere);
            List<string> installed = null;
            answer["programs"] = Those(op, "programs", delegate(string pattern)
            {
                installed = installed ?? Installed();
                System.Text.RegularExpressions.Regex name = RegistryKeys.Patterns(new List<object> { pattern });
                return installed.Exists(delegate(string one) { return name.IsMatch(one); });
            });
            answer["keys"] = Those(op, "keys", delegate(string key) { return registry.Has(key, OfflineHive()); });
            if (op.ContainsKey("running"))
            {
                answer["running"] = Those(op, "running", IsRunning);
            }
            return answer;
        }

        // Of somebody who is not signed in nothing runs that would write over their settings.
        bool IsRunning(string program)
        {
            string name = program.EndsWith(".exe", StringComparison.OrdinalIgnoreCase)
                ? program.Substring(0, program.Length - 4) : program;
            System.Diagnostics.Process[] found = RegistryKeys.IsLoaded(person)
                ? System.Diagnostics.Process.GetProcessesByName(name) : new System.Diagnostics.Process[0];
            foreach (System.Diagnostics.Process one in found)
            {
                one.Dispose();
            }
            return found.Length > 0;
        }

        static List<object> Those(Dictionary<string, object> op, string field, Predicate<string> there)
        {
            return (WriteScope.Field(op, field) as List<object> ?? new List<object>()).FindAll(
                delegate(object one) { return there((string)one); });
        }

        // Programs of 32 bits lie in a folder of their own.
        bool IsThere(string pattern)
        {
            string programs = Paths.FromWindows(Environment.GetEnvironmentVariable("ProgramFiles") ?? "");
            string older = Paths.FromWindows(Environment.GetEnvironmentVariable("ProgramFiles(x86)") ?? "");
            return files.IsThere(pattern) || (programs != null && older != null
                && pattern.StartsWith(programs + "/", StringComparison.OrdinalIgnoreCase)
                && files.IsThere(older + pattern.Substring(programs.Length)));
        }

        // By the keys that "Apps & features" reads; to ask Win32_Product would repair each of them.
        List<string> Installed()
        {
            List<string> names = new List<string>();
            foreach (string where in new string[] { Uninstall, Uninstall.Replace("SOFTWARE\\", "SOFTWARE\\WOW6432Node\\") })
            {
                using (Microsoft.Win32.RegistryKey machine = Facts.Machine())
                using (Microsoft.Win32.RegistryKey list = machine.OpenSubKey(where))
                {
                    foreach (string name in list == null ? new string[0] : list.GetSubKeyNames())
                    {
                        using (Microsoft.Win32.RegistryKey key = list.OpenSubKey(name))
                        {
                            names.Add(key.GetValue("DisplayName") as string ?? "");
                        }
                    }
                }
            }
            using (UserKeys keys = UserKeys.Open(person))
            {
                foreach (string name in keys.Below(Uninstall))
                {
                    names.Add(keys.Expanded(Uninstall + "\\" + name, "DisplayName"));
                }
            }
            return names;
        }

        Hive OfflineHive()
        {
            if (offline == null && !RegistryKeys.IsLoaded(person))
            {
                offline = Hive.Load(person.Home + "\\NTUSER.DAT");
            }
            return offline;
        }

        Hive offline;
    }
}
