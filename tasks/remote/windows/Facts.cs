namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Security.Principal;
    using System.Text;
    using Microsoft.Win32;

    // What there is to know about this computer and its people, from the registry.
    public sealed class Facts
    {
        public const string Version = "1.0.0";
        const string NtVersion = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
        const string ShellFolders = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders";
        const string OneDrive = "Software\\Microsoft\\OneDrive\\Accounts";

        // Name on the wire, name in "User Shell Folders", and where it is when nothing else is said.
        static readonly string[][] known = new string[][]
        {
            new string[] { "desktop", "Desktop", "Desktop" },
            new string[] { "documents", "Personal", "Documents" },
            new string[] { "downloads", "{374DE290-123F-4565-9164-39C4925E467B}", "Downloads" },
            new string[] { "pictures", "My Pictures", "Pictures" },
            new string[] { "music", "My Music", "Music" },
            new string[] { "videos", "My Video", "Videos" },
            new string[] { "favorites", "Favorites", "Favorites" },
        };

        readonly WindowsFiles files;
        public readonly List<string> Limits = new List<string>();

        // What PowerShell knows, as a JSON object.
        public Func<string> More;

        public Facts(WindowsFiles files)
        {
            this.files = files;
        }

        public static RegistryKey Machine()
        {
            return RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64);
        }

        static string Value(string key, string name)
        {
            try
            {
                using (RegistryKey machine = Machine())
                using (RegistryKey opened = machine.OpenSubKey(key))
                {
                    object value = opened == null ? null : opened.GetValue(name);
                    return value == null ? "" : value.ToString().Trim();
                }
            }
            catch (Exception error)
            {
                if (error is System.Security.SecurityException || error is UnauthorizedAccessException || error is IOException)
                {
                    return "";
                }
                throw;
            }
        }

        static string HostName()
        {
            string name = Value("SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters", "Hostname");
            return name.Length > 0 ? name : Environment.MachineName;
        }

        static string SystemName()
        {
            string name = Value(NtVersion, "ProductName");
            string build = Value(NtVersion, "CurrentBuildNumber");
            int number;
            if (int.TryParse(build, out number) && number >= 22000)
            {
                name = name.Replace("Windows 10", "Windows 11"); // the name was never changed there
            }
            string display = Value(NtVersion, "DisplayVersion");
            string revision = Value(NtVersion, "UBR");
            return name + (display.Length > 0 ? " " + display : "")
                + (build.Length > 0 ? " (build " + build + (revision.Length > 0 ? "." + revision : "") + ")" : "");
        }

        static string Now()
        {
            return Entry.Nanoseconds(DateTime.UtcNow.ToFileTimeUtc());
        }

        public static string Serial()
        {
            uint provider = 0x52534D42; // 'RSMB'
            uint size = Native.GetSystemFirmwareTable(provider, 0, null, 0);
            if (size == 0 || size > 1024 * 1024)
            {
                return "";
            }
            byte[] table = new byte[size];
            return Native.GetSystemFirmwareTable(provider, 0, table, size) == size ? Smbios.Serial(table) : "";
        }

        public Fields Hello()
        {
            int pid;
            using (System.Diagnostics.Process self = System.Diagnostics.Process.GetCurrentProcess())
            {
                pid = self.Id;
            }
            return new Fields().Add("helper", Version).Add("platform", "windows").Add("hostname", HostName())
                .Add("serial", Serial()).Add("user", Environment.UserName).Add("uid", -1).AddJson("time", Now())
                .Add("pid", pid).AddJson("limits", Json.Write(Limits)).Add("proves", true);
        }

        // The document of `facts`; `users` are names, or null for all people.
        public string Document(List<object> users)
        {
            StringBuilder text = new StringBuilder("{\"platform\":\"windows\"");
            text.Append(new Fields().Add("system", SystemName()).Add("hostname", HostName()).Add("serial", Serial())
                .Add("machine_id", Value("SOFTWARE\\Microsoft\\Cryptography", "MachineGuid")).Add("python", "")
                .Add("uid", -1).AddJson("time", Now()));
            StringBuilder oneDrive = new StringBuilder();
            List<string> loaded = new List<string>();
            string comma = ",\"users\":[";
            foreach (Person person in People.Named())
            {
                if (users != null && !person.IsOneOf(users))
                {
                    continue;
                }
                text.Append(comma).Append(Profile(person, oneDrive, loaded));
                comma = ",";
            }
            text.Append(comma == "," ? "]" : ",\"users\":[]").Append(",\"disk\":[").Append(Disks()).Append("],\"windows\":{");
            string more = More == null ? "{}" : More();
            more = more.Substring(1, more.Length - 2);
            text.Append(more.Length > 0 ? more + "," : "").Append("\"admin\":").Append(IsAdmin());
            text.Append(",\"privileges\":").Append(Json.Write(Privileges.Held()));
            text.Append(",\"loaded\":").Append(Json.Write(loaded));
            return text.Append(",\"onedrive\":{").Append(oneDrive).Append("}}}").ToString();
        }

        // "null" where it cannot be told.
        static string IsAdmin()
        {
            try
            {
                using (WindowsIdentity self = WindowsIdentity.GetCurrent())
                {
                    return new WindowsPrincipal(self).IsInRole(WindowsBuiltInRole.Administrator) ? "true" : "false";
                }
            }
            catch (Exception error)
            {
                if (error is System.ComponentModel.Win32Exception || error is System.Security.SecurityException
                    || error is InvalidOperationException || error is UnauthorizedAccessException)
                {
                    return "null";
                }
                throw;
            }
        }

        string Disks()
        {
            StringBuilder text = new StringBuilder();
            foreach (string drive in files.Drives())
            {
                ulong free, total, all;
                if (Native.GetDiskFreeSpaceExW(drive + ":\\", out free, out total, out all))
                {
                    text.Append(text.Length > 0 ? "," : "").Append("{\"path\":\"/").Append(drive).Append("\",\"free\":")
                        .Append(free).Append(",\"total\":").Append(total).Append('}');
                }
            }
            return text.ToString();
        }

        // The real name of a folder on the wire; null when it is not there. A folder that we may not look at counts.
        string Real(string path)
        {
            if (path == null)
            {
                return null;
            }
            string step = "/";
            string[] parts = Paths.Parts(path);
            for (int index = 0; index < parts.Length; index++)
            {
                Entry entry;
                try
                {
                    entry = files.Look(Paths.Join(step, parts[index]));
                }
                catch (Skip skip)
                {
                    if (skip.Reason != "denied")
                    {
                        return null;
                    }
                    return Paths.Join(step, string.Join("/", parts, index, parts.Length - index));
                }
                if (FileMarks.IsLink(entry.Attributes, entry.Tag))
                {
                    string target = files.Target(Paths.Join(step, entry.Name), entry);
                    string place = Walk.Resolve(step, target);
                    if (place == null || place.Length > 4096)
                    {
                        return null;
                    }
                    string rest = string.Join("/", parts, index + 1, parts.Length - index - 1);
                    return links++ > 40 ? null : Real(rest.Length > 0 ? place + "/" + rest : place);
                }
                if (!entry.IsFolder)
                {
                    return null;
                }
                step = Paths.Join(step, entry.Name);
            }
            return step;
        }

        int links;

        string Folder(string path)
        {
            links = 0;
            try
            {
                return Real(path);
            }
            catch (Skip)
            {
                return null;
            }
        }

        string Profile(Person person, StringBuilder oneDrive, List<string> loaded)
        {
            string home = Paths.FromWindows(person.Home);
            string real = home == null ? null : Folder(home);
            StringBuilder folders = new StringBuilder();
            if (real != null)
            {
                using (UserKeys keys = UserKeys.Open(person))
                {
                    foreach (string[] one in known)
                    {
                        string told = keys.Expanded(ShellFolders, one[1]);
                        string found = Folder(Paths.FromWindows(told.Length > 0 ? told : person.Home + "\\" + one[2]));
                        // A folder that is the home itself was moved there by mistake; all of the home is saved anyway.
                        if (found != null && !found.Equals(real, StringComparison.OrdinalIgnoreCase))
                        {
                            folders.Append(folders.Length > 0 ? "," : "").Append('"').Append(one[0]).Append("\":");
                            Paths.Encode(found, folders);
                        }
                    }
                    AddOneDrive(person, keys, oneDrive);
                    if (keys.Loaded)
                    {
                        loaded.Add(person.Name);
                    }
                }
            }
            return "{" + new Fields().Add("name", person.Name).Add("uid", -1).Add("gid", -1)
                .AddJson("home", Paths.Encode(real ?? home ?? "/")).Add("full_name", "").Add("exists", real != null)
                .AddJson("folders", "{" + folders + "}").Add("sid", person.Sid).Add("domain", person.Domain)
                .ToString().Substring(1) + "}";
        }

        void AddOneDrive(Person person, UserKeys keys, StringBuilder into)
        {
            StringBuilder accounts = new StringBuilder();
            foreach (string account in keys.Below(OneDrive))
            {
                string folder = Folder(Paths.FromWindows(keys.Expanded(OneDrive + "\\" + account, "UserFolder")));
                if (folder != null)
                {
                    accounts.Append(accounts.Length > 0 ? "," : "").Append("{\"folder\":").Append(Paths.Encode(folder));
                    accounts.Append(",\"account\":").Append(Json.Write(keys.Expanded(OneDrive + "\\" + account, "UserEmail")));
                    accounts.Append('}');
                }
            }
            if (accounts.Length > 0)
            {
                into.Append(into.Length > 0 ? "," : "").Append(Json.Write(person.Name)).Append(":[").Append(accounts).Append(']');
            }
        }
    }

    // Firmware tables (DMTF DSP0134).
    public static class Smbios
    {
        // What boards say that have no serial number.
        static readonly string[] none = new string[]
        {
            "", "0", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified"
        };

        // The serial number of the computer, its board or its case: the first that is one. `table` is RawSMBIOSData.
        public static string Serial(byte[] table)
        {
            string best = "";
            int bestType = int.MaxValue;
            int at = 8;
            while (at + 4 <= table.Length && table[at + 1] >= 4)
            {
                int type = table[at];
                int strings = at + table[at + 1];
                if (type >= 1 && type <= 3 && table[at + 1] > 7)
                {
                    string serial = Text(table, strings, table[at + 7]).Trim();
                    if (type < bestType && Array.IndexOf(none, serial.ToLowerInvariant()) < 0)
                    {
                        best = serial;
                        bestType = type;
                    }
                }
                while (strings + 1 < table.Length && (table[strings] != 0 || table[strings + 1] != 0))
                {
                    strings++;
                }
                at = strings + 2;
            }
            return best;
        }

        static string Text(byte[] table, int at, int number)
        {
            for (int index = 1; number > 0 && at < table.Length && table[at] != 0; index++)
            {
                int end = Array.IndexOf(table, (byte)0, at);
                if (end < 0)
                {
                    return "";
                }
                if (index == number)
                {
                    return Encoding.ASCII.GetString(table, at, end - at);
                }
                at = end + 1;
            }
            return "";
        }
    }
}
