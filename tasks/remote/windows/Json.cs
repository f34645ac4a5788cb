namespace Firstbell
{
    using System;
    using System.Collections;
    using System.Collections.Generic;
    using System.Globalization;
    using System.Text;

    // JSON as the frames need it. .NET Framework's own reader turns dates into "\/Date(ms)\/" and stops at 2 MiB.
    // Read: Dictionary<string, object>, List<object>, string, long, double, bool, null. Written: ASCII, one line.
    public static class Json
    {
        const int Deepest = 64;

        // The value of one document. Throws FormatException when the text is none.
        public static object Parse(string text)
        {
            int at = 0;
            object value = Value(text, ref at, 0);
            Blank(text, ref at);
            if (at != text.Length)
            {
                throw Wrong(at);
            }
            return value;
        }

        // Dictionaries, lists and arrays, text, numbers, truth, null. Half a surrogate pair is written as its escape.
        public static string Write(object value)
        {
            StringBuilder into = new StringBuilder();
            Write(value, into);
            return into.ToString();
        }

        public static void Write(object value, StringBuilder into)
        {
            string text = value as string;
            IDictionary fields;
            IEnumerable items;
            if (value == null)
            {
                into.Append("null");
            }
            else if (text != null)
            {
                Quote(text, into);
            }
            else if (value is bool)
            {
                into.Append((bool)value ? "true" : "false");
            }
            else if (value is double || value is float)
            {
                into.Append(Convert.ToDouble(value).ToString("R", CultureInfo.InvariantCulture));
            }
            else if ((fields = value as IDictionary) != null)
            {
                string comma = "{";
                foreach (DictionaryEntry field in fields)
                {
                    into.Append(comma);
                    Quote((string)field.Key, into);
                    into.Append(':');
                    Write(field.Value, into);
                    comma = ",";
                }
                into.Append(fields.Count == 0 ? "{}" : "}");
            }
            else if ((items = value as IEnumerable) != null)
            {
                int count = 0;
                into.Append('[');
                foreach (object item in items)
                {
                    if (count++ > 0)
                    {
                        into.Append(',');
                    }
                    Write(item, into);
                }
                into.Append(']');
            }
            else
            {
                into.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
            }
        }

        static void Quote(string text, StringBuilder into)
        {
            into.Append('"');
            foreach (char c in text)
            {
                if (c == '"' || c == '\\')
                {
                    into.Append('\\').Append(c);
                }
                else if (c < ' ' || c > '~')
                {
                    into.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                }
                else
                {
                    into.Append(c);
                }
            }
            into.Append('"');
        }

        static object Value(string text, ref int at, int depth)
        {
            if (depth > Deepest)
            {
                throw Wrong(at);
            }
            Blank(text, ref at);
            switch (at < text.Length ? text[at] : '\0')
            {
                case '{':
                    return Fields(text, ref at, depth);
                case '[':
                    return Items(text, ref at, depth);
                case '"':
                    return Text(text, ref at);
                case 't':
                    return Word(text, ref at, "true", true);
                case 'f':
                    return Word(text, ref at, "false", false);
                case 'n':
                    return Word(text, ref at, "null", null);
                default:
                    return Number(text, ref at);
            }
        }

        static object Fields(string text, ref int at, int depth)
        {
            Dictionary<string, object> fields = new Dictionary<string, object>();
            at++;
            if (Next(text, ref at, '}'))
            {
                return fields;
            }
            do
            {
                Blank(text, ref at);
                string name = Text(text, ref at);
                if (!Next(text, ref at, ':'))
                {
                    throw Wrong(at);
                }
                fields[name] = Value(text, ref at, depth + 1);
            }
            while (Next(text, ref at, ','));
            if (!Next(text, ref at, '}'))
            {
                throw Wrong(at);
            }
            return fields;
        }

        static object Items(string text, ref int at, int depth)
        {
            List<object> items = new List<object>();
            at++;
            if (Next(text, ref at, ']'))
            {
                return items;
            }
            do
            {
                items.Add(Value(text, ref at, depth + 1));
            }
            while (Next(text, ref at, ','));
            if (!Next(text, ref at, ']'))
            {
                throw Wrong(at);
            }
            return items;
        }

        static string Text(string text, ref int at)
        {
            if (at >= text.Length || text[at] != '"')
            {
                throw Wrong(at);
            }
            int start = ++at;
            while (at < text.Length && text[at] != '"' && text[at] != '\\')
            {
                at++;
            }
            if (at < text.Length && text[at] == '"')
            {
                return text.Substring(start, at++ - start);
            }
            StringBuilder into = new StringBuilder(text, start, at - start, Math.Max(16, 2 * (at - start)));
            while (at < text.Length && text[at] != '"')
            {
                char c = text[at++];
                into.Append(c == '\\' ? Escaped(text, ref at) : c);
            }
            if (at++ >= text.Length)
            {
                throw Wrong(at);
            }
            return into.ToString();
        }

        static char Escaped(string text, ref int at)
        {
            char c = at < text.Length ? text[at++] : '\0';
            switch (c)
            {
                case '"':
                case '\\':
                case '/':
                    return c;
                case 'b':
                    return '\b';
                case 'f':
                    return '\f';
                case 'n':
                    return '\n';
                case 'r':
                    return '\r';
                case 't':
                    return '\t';
            }
            ushort unit;
            if (c != 'u' || at + 4 > text.Length || !ushort.TryParse(
                text.Substring(at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out unit))
            {
                throw Wrong(at);
            }
            at += 4;
            return (char)unit;
        }

        static object Number(string text, ref int at)
        {
            int start = at;
            while (at < text.Length && (char.IsDigit(text[at]) || "+-.eE".IndexOf(text[at]) >= 0))
            {
                at++;
            }
            string digits = text.Substring(start, at - start);
            long whole;
            double real;
            if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out whole))
            {
                return whole;
            }
            if (double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out real))
            {
                return real;
            }
            throw Wrong(start);
        }

        static object Word(string text, ref int at, string word, object value)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0)
            {
                throw Wrong(at);
            }
            at += word.Length;
            return value;
        }

        static bool Next(string text, ref int at, char wanted)
        {
            Blank(text, ref at);
            if (at < text.Length && text[at] == wanted)
            {
                at++;
                return true;
            }
            return false;
        }

        static void Blank(string text, ref int at)
        {
            while (at < text.Length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
            {
                at++;
            }
        }

        static FormatException Wrong(int at)
        {
            return new FormatException("not JSON at character " + at.ToString(CultureInfo.InvariantCulture));
        }
    }
}
