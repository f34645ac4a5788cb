namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text;

    // Paths on the wire (/C/Users/a.ito) and in Windows (\\?\C:\Users\a.ito). A name is UTF-16 that need not be valid
    // Unicode; half a surrogate pair travels as the three bytes that UTF-8 would give it (WTF-8), in base64.
    public sealed class Paths
    {
        // Where a drive's files are read: the drive itself, or its shadow copy.
        readonly Dictionary<char, string> shadows = new Dictionary<char, string>();

        public void SetShadow(char drive, string root)
        {
            shadows[drive] = root;
        }

        public bool Shadowed(string path)
        {
            return path.Length > 1 && shadows.ContainsKey(char.ToUpperInvariant(path[1]));
        }

        // The path as the calls of Windows take it, through the shadow copy where there is one. Null for `/` and for what
        // no path of Windows can be: nothing is there.
        public string Read(string path)
        {
            string root;
            string[] parts = Parts(path);
            if (parts.Length == 0 || !IsPlain(parts))
            {
                return null;
            }
            if (!shadows.TryGetValue(char.ToUpperInvariant(parts[0][0]), out root))
            {
                return Live(parts);
            }
            return root.TrimEnd('\\') + "\\" + string.Join("\\", parts, 1, parts.Length - 1);
        }

        // The same without shadow copies.
        public static string Live(string path)
        {
            string[] parts = Parts(path);
            return parts.Length == 0 || !IsPlain(parts) ? null : Live(parts);
        }

        static string Live(string[] parts)
        {
            return "\\\\?\\" + char.ToUpperInvariant(parts[0][0]) + ":\\" + string.Join("\\", parts, 1, parts.Length - 1);
        }

        // A drive first, and no character that the calls would take for a wildcard or that no name can have.
        static bool IsPlain(string[] parts)
        {
            if (parts[0].Length != 1 || !IsLetter(parts[0][0]))
            {
                return false;
            }
            for (int index = 1; index < parts.Length; index++)
            {
                foreach (char c in parts[index])
                {
                    if (c < ' ' || c == '*' || c == '?' || c == '<' || c == '>' || c == '"' || c == '|')
                    {
                        return false;
                    }
                }
            }
            return true;
        }

        static bool IsLetter(char c)
        {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        }

        // A path of Windows (C:\Users, \\?\C:\Users, \??\C:\Users) on the wire; null for one that is not on a drive.
        public static string FromWindows(string path)
        {
            if (path.StartsWith("\\\\?\\", StringComparison.Ordinal) || path.StartsWith("\\??\\", StringComparison.Ordinal))
            {
                path = path.Substring(4);
            }
            path = path.Replace('/', '\\');
            if (path.Length < 2 || path[1] != ':' || !IsLetter(path[0]) || (path.Length > 2 && path[2] != '\\'))
            {
                return null;
            }
            string text = "/" + char.ToUpperInvariant(path[0]);
            foreach (string part in path.Substring(2).Split(new char[] { '\\' }, StringSplitOptions.RemoveEmptyEntries))
            {
                if (part == ".")
                {
                    continue;
                }
                text = part == ".." ? Folder(text) : text + "/" + part;
            }
            return text == "/" ? null : text;
        }

        // The names in an absolute path; refuses one that is not plain.
        public static string[] Parts(string path)
        {
            if (path.Length == 0 || path[0] != '/')
            {
                throw new RequestError("bad-request", "not an absolute path: " + path);
            }
            if (path.IndexOfAny(forbidden) >= 0)
            {
                throw new RequestError("bad-request", "a path with a back-slash, colon or NUL: " + path);
            }
            string[] parts = path.Split(slash, StringSplitOptions.RemoveEmptyEntries);
            foreach (string part in parts)
            {
                if (part == "." || part == "..")
                {
                    throw new RequestError("bad-request", "a path with dots: " + path);
                }
            }
            return parts;
        }

        static readonly char[] forbidden = new char[] { '\\', ':', '\0' };
        static readonly char[] slash = new char[] { '/' };

        public static string Join(string folder, string name)
        {
            return folder == "/" ? "/" + name : folder + "/" + name;
        }

        public static string Folder(string path)
        {
            int at = path.LastIndexOf('/');
            return at <= 0 ? "/" : path.Substring(0, at);
        }

        public static string Name(string path)
        {
            return path.Substring(path.LastIndexOf('/') + 1);
        }

        // The path or name that a JSON value stands for.
        public static string Decode(object value)
        {
            string text = value as string;
            if (text != null)
            {
                return text;
            }
            Dictionary<string, object> fields = value as Dictionary<string, object>;
            object encoded;
            if (fields != null && fields.TryGetValue("b64", out encoded) && encoded is string)
            {
                try
                {
                    return FromBytes(Convert.FromBase64String((string)encoded));
                }
                catch (FormatException)
                {
                }
            }
            throw new RequestError("bad-request", "not a path: " + Json.Write(value));
        }

        // A path or name as JSON.
        public static string Encode(string text)
        {
            StringBuilder into = new StringBuilder(text.Length + 2);
            Encode(text, into);
            return into.ToString();
        }

        public static void Encode(string text, StringBuilder into)
        {
            if (IsUnicode(text))
            {
                Json.Write(text, into);
            }
            else
            {
                into.Append("{\"b64\":\"").Append(Convert.ToBase64String(ToBytes(text))).Append("\"}");
            }
        }

        public static bool IsUnicode(string text)
        {
            for (int at = 0; at < text.Length; at++)
            {
                if (char.IsSurrogate(text[at]) && !(char.IsHighSurrogate(text[at]) && ++at < text.Length
                    && char.IsLowSurrogate(text[at])))
                {
                    return false;
                }
            }
            return true;
        }

        // UTF-8, and half a surrogate pair as three bytes.
        public static byte[] ToBytes(string text)
        {
            List<byte> bytes = new List<byte>(text.Length + 8);
            for (int at = 0; at < text.Length; at++)
            {
                int point = PointAt(text, at);
                if (point >= 0x10000)
                {
                    at++;
                    bytes.Add((byte)(0xF0 | point >> 18));
                    bytes.Add((byte)(0x80 | point >> 12 & 0x3F));
                    bytes.Add((byte)(0x80 | point >> 6 & 0x3F));
                    bytes.Add((byte)(0x80 | point & 0x3F));
                }
                else if (point >= 0x800)
                {
                    bytes.Add((byte)(0xE0 | point >> 12));
                    bytes.Add((byte)(0x80 | point >> 6 & 0x3F));
                    bytes.Add((byte)(0x80 | point & 0x3F));
                }
                else if (point >= 0x80)
                {
                    bytes.Add((byte)(0xC0 | point >> 6));
                    bytes.Add((byte)(0x80 | point & 0x3F));
                }
                else
                {
                    bytes.Add((byte)point);
                }
            }
            return bytes.ToArray();
        }

        // What ToBytes makes, and nothing else. A name with other bytes cannot be on Windows: FormatException.
        public static string FromBytes(byte[] bytes)
        {
            StringBuilder text = new StringBuilder(bytes.Length);
            for (int at = 0; at < bytes.Length;)
            {
                int first = bytes[at++];
                int more = first < 0x80 ? 0 : first >= 0xC2 && first < 0xE0 ? 1 : first >= 0xE0 && first < 0xF0 ? 2
                    : first >= 0xF0 && first < 0xF5 ? 3 : -1;
                if (more < 0 || at + more > bytes.Length)
                {
                    throw new FormatException("not UTF-8");
                }
                int point = more == 0 ? first : first & (0x3F >> more);
                for (int left = more; left > 0; left--, at++)
                {
                    if ((bytes[at] & 0xC0) != 0x80)
                    {
                        throw new FormatException("not UTF-8");
                    }
                    point = point << 6 | bytes[at] & 0x3F;
                }
                if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10FFFF)))
                {
                    throw new FormatException("not UTF-8");
                }
                if (point >= 0x10000)
                {
                    text.Append((char)(0xD7C0 + (point >> 10))).Append((char)(0xDC00 | point & 0x3FF));
                }
                else
                {
                    text.Append((char)point);
                }
            }
            return text.ToString();
        }

        // The code point that begins here: half a pair counts as itself.
        static int PointAt(string text, int at)
        {
            char c = text[at];
            if (char.IsHighSurrogate(c) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
            {
                return char.ConvertToUtf32(c, text[at + 1]);
            }
            return c;
        }

        // The order of their bytes in UTF-8, which is not that of UTF-16: pairs come last.
        public static int Compare(string one, string other)
        {
            int length = Math.Min(one.Length, other.Length);
            for (int at = 0; at < length; at++)
            {
                if (one[at] == other[at])
                {
                    continue;
                }
                if (one[at] < 0xD800 && other[at] < 0xD800)
                {
                    return one[at] < other[at] ? -1 : 1;
                }
                if (at > 0 && char.IsHighSurrogate(one[at - 1])
                    && (char.IsLowSurrogate(one[at]) || char.IsLowSurrogate(other[at])))
                {
                    at--; // in the middle of a pair, of one of them at least
                }
                return PointAt(one, at).CompareTo(PointAt(other, at));
            }
            if (one.Length == other.Length)
            {
                return 0;
            }
            return one.Length < other.Length ? -1 : 1;
        }
    }
}
