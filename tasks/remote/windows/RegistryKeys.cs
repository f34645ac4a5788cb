namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Security;
    using System.Text.RegularExpressions;
    using Microsoft.Win32;

    // The registry of one person and of the computer, for `settings` and `set-settings`: HKCU is that person's, by the live
    // hive; HKLM is only read.
    public sealed class RegistryKeys : IDisposable
    {
        // Of one answer, in bytes; it must fit into a frame.
        const int MostData = 512 * 1024;
        const int Deepest = 64;

        readonly Person person;
        LoadedHive loaded;
        Refused refusal; // why it could not be

        public RegistryKeys(Person person)
        {
            this.person = person;
        }

        // Unloads the hive, if one had to be loaded.
        public void Dispose()
        {
            LoadedHive hive = loaded;
            loaded = null;
            if (hive != null)
            {
                hive.Dispose();
            }
        }

        public static bool IsLoaded(Person person)
        {
            using (RegistryKey users = RegistryKey.OpenBaseKey(RegistryHive.Users, RegistryView.Registry64))
            using (RegistryKey key = Open(users, person.Sid))
            {
                return key != null;
            }
        }

        // {"key", "names": [exact] or null, "values": [with *] or null, "subtree"} -> {"values": [[key, [[name, kind, data]]]]}
        public Dictionary<string, object> Read(Dictionary<string, object> op)
        {
            string path = Text(op, "key");
            List<object> found = new List<object>();
            long size = 0;
            using (RegistryKey root = Root(path, false))
            using (RegistryKey key = Open(root, Within(path)))
            {
                if (key != null)
                {
                    Regex wanted = Patterns(WriteScope.Field(op, "values") as List<object>);
                    bool subtree = WriteScope.Field(op, "subtree") as bool? ?? false;
                    Read(key, path, WriteScope.Field(op, "names") as List<object>, wanted, subtree ? 0 : Deepest, found, ref size);
                }
            }
            Dictionary<string, object> answer = new Dictionary<string, object>();
            answer["values"] = found;
            return answer;
        }

        static void Read(
            RegistryKey key, string path, List<object> names, Regex wanted, int depth, List<object> found, ref long size)
        {
            List<RegistryValue> values = new List<RegistryValue>();
            if (names == null)
            {
                values = RegistryValue.All(key.Handle);
            }
            else
            {
                foreach (object name in names)
                {
                    RegistryValue value = RegistryValue.Read(key.Handle, (string)name);
                    if (value != null)
                    {
                        values.Add(value);
                    }
                }
            }
            List<object> told = new List<object>();
            foreach (RegistryValue value in values)
            {
                if (value.Data == null || (wanted != null && !wanted.IsMatch(value.Name)))
                {
                    continue;
                }
                size += value.Data.Length + 2 * value.Name.Length + 32;
                told.Add(new object[] { value.Name, value.Kind, Convert.ToBase64String(value.Data) });
            }
            if (told.Count > 0)
            {
                size += 2 * path.Length + 32;
                found.Add(new object[] { path, told });
            }
            if (size > MostData)
            {
                throw new Refused("too-large", "there is more below " + path + " than settings can be");
            }
            if (depth >= Deepest)
            {
                return;
            }
            foreach (string name in key.GetSubKeyNames())
            {
                using (RegistryKey below = Open(key, name))
                {
                    if (below != null)
                    {
                        Read(below, path + "\\" + name, null, wanted, depth + 1, found, ref size);
                    }
                }
            }
        }

        // {"key", "name", "value": {"kind", "data"} or null, "expect"}: only where `expect` stands there.
        public void Set(Dictionary<string, object> op)
        {
            string path = Text(op, "key");
            string name = Text(op, "name");
            RegistryValue value = RegistryValue.In(WriteScope.Field(op, "value"));
            RegistryValue expect = RegistryValue.In(WriteScope.Field(op, "expect"));
            using (RegistryKey root = Root(path, true))
            {
                using (RegistryKey key = Open(root, Within(path)))
                {
                    RegistryValue there = key == null ? null : RegistryValue.Read(key.Handle, name);
                    if (!RegistryValue.Same(there, expect))
                    {
                        throw new Refused("conflict", "it was changed meanwhile");
                    }
                    if (there == null && value == null)
                    {
                        return;
                    }
                }
                using (RegistryKey key = root.CreateSubKey(Within(path), RegistryKeyPermissionCheck.ReadWriteSubTree))
                {
                    int error = value == null ? NativeRegistry.RegDeleteValueW(key.Handle, name)
                        : NativeRegistry.RegSetValueExW(key.Handle, name, 0, value.Kind, value.Data, value.Data.Length);
                    if (error != 0)
                    {
                        throw Refused.Of(error);
                    }
                    if (!RegistryValue.Same(RegistryValue.Read(key.Handle, name), value))
                    {
                        throw new Refused("unreadable", "Windows did not take it");
                    }
                }
            }
        }

        // Whether there is such a key; of somebody who is not signed in by what the hive on the disk says.
        public bool Has(string path, Hive hive)
        {
            if (hive != null && path.StartsWith("HKCU\\", StringComparison.OrdinalIgnoreCase))
            {
                return hive.Has(Within(path));
            }
            using (RegistryKey root = Root(path, false))
            using (RegistryKey key = Open(root, Within(path)))
            {
                return key != null;
            }
        }

        // The key that HKCU or HKLM stands for.
        RegistryKey Root(string path, bool write)
        {
            if (path.StartsWith("HKLM\\", StringComparison.OrdinalIgnoreCase))
            {
                if (write)
                {
                    throw new Refused("unsupported", "what is set for the whole computer is not changed");
                }
                return Facts.Machine();
            }
            if (!path.StartsWith("HKCU\\", StringComparison.OrdinalIgnoreCase))
            {
                throw new Refused("unsupported", "neither HKCU nor HKLM: " + path);
            }
            using (RegistryKey users = RegistryKey.OpenBaseKey(RegistryHive.Users, RegistryView.Registry64))
            {
                RegistryKey live = users.OpenSubKey(person.Sid, write);
                if (live != null)
                {
                    return live;
                }
                if (refusal != null)
                {
                    throw refusal;
                }
                if (!write)
                {
                    throw new Refused("signed-out", "the person is not signed in");
                }
                if (Within(path).StartsWith("Software\\Classes\\", StringComparison.OrdinalIgnoreCase))
                {
                    throw new Refused("unsupported", "this can only be set while the person is signed in");
                }
                if (loaded == null)
                {
                    Load();
                }
                return users.OpenSubKey(loaded.Name, true);
            }
        }

        // Tries it once for all operations of a request.
        void Load()
        {
            try
            {
                loaded = LoadedHive.Load(person);
            }
            catch (Refused error)
            {
                refusal = error;
                throw;
            }
        }

        static string Within(string path)
        {
            return path.Substring(5);
        }

        // Null when there is none.
        static RegistryKey Open(RegistryKey root, string path)
        {
            try
            {
                return root.OpenSubKey(path);
            }
            catch (SecurityException)
            {
                throw new Refused("denied", "this account may not read " + path);
            }
        }

        public static Regex Patterns(List<object> values)
        {
            if (values == null)
            {
                return null;
            }
            List<string> parts = new List<string>();
            foreach (object value in values)
            {
                parts.Add(Regex.Escape((string)value).Replace("\\*", ".*"));
            }
            return new Regex("\\A(?:" + string.Join("|", parts.ToArray()) + ")\\z",
                RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline);
        }

        static string Text(Dictionary<string, object> op, string name)
        {
            string text = WriteScope.Field(op, name) as string;
            if (text == null)
            {
                throw new Refused("bad-request", "no " + name);
            }
            return text;
        }
    }
}
