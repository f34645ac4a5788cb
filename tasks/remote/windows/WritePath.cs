namespace Firstbell
{
    using System;
    using System.Text.RegularExpressions;

    // Paths as they are written to: \\?\C:\Users\x; the root of a drive ends with its backslash. Pure.
    public static class WritePath
    {
        const string Prefix = "\\\\?\\";
        static readonly Regex Drive = new Regex("\\A[A-Za-z]\\z", RegexOptions.CultureInvariant);

        // The path of /C/Users/x as a frame carries it. What Windows could understand otherwise is refused.
        public static string Local(object path)
        {
            string[] names;
            try
            {
                names = Paths.Decode(path).Split('/');
            }
            catch (RequestError)
            {
                throw new Refused("unsupported", "Windows cannot hold a name that is no Unicode");
            }
            if (names[0].Length > 0)
            {
                throw new Refused("outside", "not an absolute path");
            }
            names = Array.FindAll(names, delegate(string name) { return name.Length > 0; });
            if (names.Length == 0 || !Drive.IsMatch(names[0]))
            {
                throw new Refused("outside", "not a path on a drive");
            }
            foreach (string name in names)
            {
                RefuseName(name);
            }
            return Prefix + names[0].ToUpperInvariant() + ":\\" + string.Join("\\", names, 1, names.Length - 1);
        }

        // With \\?\ Windows takes names as they are: also CON, or with a blank or full stop at the end.
        static void RefuseName(string name)
        {
            if (name == "." || name == ".." || name.IndexOf('\0') >= 0)
            {
                throw new Refused("outside", "a path with dots or NUL");
            }
            foreach (char c in name)
            {
                // The colon would be a stream, the back-slash a folder, the rest stands for other names.
                if (c < ' ' || "<>:\"|?*\\".IndexOf(c) >= 0)
                {
                    string told = c < ' ' ? "character " + (int)c : "'" + c + "'";
                    throw new Refused("unsupported", "Windows cannot hold a name with " + told);
                }
            }
            if (name.Length > 255)
            {
                throw new Refused("unsupported", "Windows cannot hold a name of more than 255 characters");
            }
        }

        public static bool IsDrive(string path)
        {
            return path.Length == Prefix.Length + 3;
        }

        // The folder it lies in; that of a drive's root is the root.
        public static string Parent(string path)
        {
            int end = path.LastIndexOf('\\');
            return path.Substring(0, Math.Max(end, Prefix.Length + 2) + (end <= Prefix.Length + 2 ? 1 : 0));
        }

        // Its name; of a drive's root nothing.
        public static string Name(string path)
        {
            return path.Substring(path.LastIndexOf('\\') + 1);
        }

        public static string Join(string folder, string name)
        {
            return folder.EndsWith("\\", StringComparison.Ordinal) ? folder + name : folder + "\\" + name;
        }

        public static bool Same(string one, string other)
        {
            return string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
        }

        // Whether an open file lies at `path`, by what Windows says. The answer may have lost dots and blanks at the ends
        // of names, as under Wine.
        public static bool IsAt(string final, string path)
        {
            return Same(final, path) || Same(Bare(final), Bare(path));
        }

        // Without dots and blanks at the ends of names.
        static string Bare(string path)
        {
            return string.Join("\\", Array.ConvertAll(path.Split('\\'), delegate(string name) { return BareName(name); }));
        }

        public static string BareName(string name)
        {
            return name.TrimEnd(' ', '.');
        }

        public static bool Within(string path, string folder)
        {
            return Same(path, folder) || path.StartsWith(Join(folder, ""), StringComparison.OrdinalIgnoreCase);
        }

        // The path of what lies below a folder when that folder is called otherwise.
        public static string Moved(string path, string folder, string to)
        {
            return Same(path, folder) ? to : Join(to, path.Substring(Join(folder, "").Length));
        }
    }
}
