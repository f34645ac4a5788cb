namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Security;
    using System.Security.Principal;
    using System.Threading;
    using Microsoft.Win32;

    // Somebody with a profile on this computer.
    public sealed class Person
    {
        public string Sid;
        public string Name;
        public string Domain;
        // As Windows writes it.
        public string Home;

        // Whether one of these names (a.ito, NORTH\a.ito, a.ito@north.example) may be this person's.
        public bool IsOneOf(List<object> names)
        {
            foreach (object value in names)
            {
                string name = value as string ?? "";
                string domain = "";
                int at = name.IndexOf('\\');
                if (at >= 0)
                {
                    domain = name.Substring(0, at);
                    name = name.Substring(at + 1);
                }
                else if ((at = name.IndexOf('@')) > 0)
                {
                    name = name.Substring(0, at); // the domain of an address need not be that of the network
                }
                if (Same(name, Name) && (domain.Length == 0 || domain == "." || Domain.Length == 0
                    || Same(Label(domain), Label(Domain))))
                {
                    return true;
                }
            }
            return false;
        }

        static string Label(string domain)
        {
            int dot = domain.IndexOf('.');
            return dot < 0 ? domain : domain.Substring(0, dot);
        }

        static bool Same(string one, string other)
        {
            return one.Equals(other, StringComparison.OrdinalIgnoreCase);
        }
    }

    public static class People
    {
        const string ProfileList = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList";
        const int Guest = 0x80;
        const int Temporary = 0x800;

        // Those whose account is of this computer or its domain (S-1-5-21) or of Entra (S-1-12-1); no temporary or broken
        // profiles, nothing of the system. Their names may have to be asked from a domain controller.
        public static List<Person> Named()
        {
            List<Person> people = All();
            int patience = 10000;
            foreach (Person person in people)
            {
                Name(person, ref patience);
            }
            return people;
        }

        // The same by their folders alone.
        public static List<Person> All()
        {
            List<Person> people = new List<Person>();
            using (RegistryKey machine = Facts.Machine())
            using (RegistryKey list = machine.OpenSubKey(ProfileList))
            {
                foreach (string sid in list == null ? new string[0] : list.GetSubKeyNames())
                {
                    if (!sid.StartsWith("S-1-5-21-", StringComparison.OrdinalIgnoreCase)
                        && !sid.StartsWith("S-1-12-1-", StringComparison.OrdinalIgnoreCase)
                        || sid.EndsWith(".bak", StringComparison.OrdinalIgnoreCase))
                    {
                        continue;
                    }
                    using (RegistryKey key = list.OpenSubKey(sid))
                    {
                        object state = key.GetValue("State");
                        string home = key.GetValue("ProfileImagePath") as string;
                        if (home != null && !(state is int && ((int)state & (Guest | Temporary)) != 0))
                        {
                            people.Add(At(sid, home.TrimEnd('\\')));
                        }
                    }
                }
            }
            return people;
        }

        static Person At(string sid, string home)
        {
            Person person = new Person();
            person.Sid = sid;
            person.Home = home;
            person.Domain = "";
            // Of an account that is gone the folder tells, as a rule.
            person.Name = home.Substring(home.LastIndexOf('\\') + 1);
            return person;
        }

        // Asks on a thread aside, for so many ms in all: a domain that does not answer takes its time for each account.
        static void Name(Person person, ref int patience)
        {
            string account = null;
            Thread thread = new Thread(delegate()
            {
                try
                {
                    account = new SecurityIdentifier(person.Sid).Translate(typeof(NTAccount)).Value;
                }
                catch (SystemException)
                {
                    // No such account (IdentityNotMapped), or its domain does not answer: several kinds.
                }
            });
            thread.IsBackground = true;
            int started = Environment.TickCount;
            thread.Start();
            bool answered = thread.Join(Math.Max(patience, 100));
            patience -= Environment.TickCount - started;
            if (answered && account != null)
            {
                int at = account.IndexOf('\\');
                person.Domain = at < 0 ? "" : account.Substring(0, at);
                person.Name = account.Substring(at + 1);
            }
        }
    }

    // The settings of one person: live while the profile is loaded, else from the hive on the disk.
    public sealed class UserKeys : IDisposable
    {
        readonly Person person;
        RegistryKey root;
        Hive hive;

        UserKeys(Person person)
        {
            this.person = person;
        }

        public static UserKeys Open(Person person)
        {
            UserKeys keys = new UserKeys(person);
            try
            {
                using (RegistryKey users = RegistryKey.OpenBaseKey(RegistryHive.Users, RegistryView.Default))
                {
                    keys.root = users.OpenSubKey(person.Sid);
                }
            }
            catch (Exception error)
            {
                if (!(error is SecurityException || error is UnauthorizedAccessException || error is IOException))
                {
                    throw;
                }
            }
            if (keys.root == null)
            {
                keys.hive = Hive.Load(person.Home + "\\NTUSER.DAT");
            }
            return keys;
        }

        // Whether the profile is in use.
        public bool Loaded
        {
            get { return root != null; }
        }

        public void Dispose()
        {
            if (root != null)
            {
                root.Dispose();
            }
        }

        public List<string> Below(string path)
        {
            if (hive != null)
            {
                return hive.Below(path);
            }
            using (RegistryKey key = root == null ? null : root.OpenSubKey(path))
            {
                return new List<string>(key == null ? new string[0] : key.GetSubKeyNames());
            }
        }

        // A text with its variables replaced as they are for this person; "" when there is none.
        public string Expanded(string path, string name)
        {
            string text = null;
            if (hive != null)
            {
                text = hive.Text(path, name);
            }
            else if (root != null)
            {
                using (RegistryKey key = root.OpenSubKey(path))
                {
                    text = key == null ? null
                        : key.GetValue(name, null, RegistryValueOptions.DoNotExpandEnvironmentNames) as string;
                }
            }
            return Replace(text ?? "");
        }

        string Replace(string text)
        {
            foreach (string name in new string[] { "%USERPROFILE%", "%HOMEDRIVE%%HOMEPATH%" })
            {
                int at = text.IndexOf(name, StringComparison.OrdinalIgnoreCase);
                if (at >= 0)
                {
                    text = text.Substring(0, at) + person.Home + text.Substring(at + name.Length);
                }
            }
            int user = text.IndexOf("%USERNAME%", StringComparison.OrdinalIgnoreCase);
            if (user >= 0)
            {
                text = text.Substring(0, user) + person.Name + text.Substring(user + 10);
            }
            // What is left is of the computer (%SystemDrive%), or ours: then the folder will not be there.
            return Environment.ExpandEnvironmentVariables(text);
        }
    }
}
