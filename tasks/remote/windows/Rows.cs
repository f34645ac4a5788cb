namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text;

    // What an enumeration does not tell about an entry, as JSON; null where there is nothing to tell.
    public sealed class Details
    {
        // Base64 of the self-relative security descriptor.
        public string Descriptor;
        // Name and content of the alternate streams.
        public List<KeyValuePair<string, byte[]>> Streams;
        // Reason and words for what had to be left out.
        public List<KeyValuePair<string, string>> Lost;

        public void Lose(string reason, string detail)
        {
            Lost = Lost ?? new List<KeyValuePair<string, string>>();
            Lost.Add(new KeyValuePair<string, string>(reason, detail));
        }
    }

    // Looks at a file system; WindowsFiles.cs, and in tests a table. Paths as on the wire. Throws Skip.
    public interface ILook
    {
        // The letters of the fixed drives.
        List<string> Drives();

        // What stands at a path, by its real name.
        Entry Look(string path);

        // What is in a folder, in no order.
        List<Entry> List(string path);

        // Where a link leads, as Windows writes it.
        string Target(string path, Entry entry);

        // Null when there is nothing to tell.
        Details Detail(string path, Entry entry);

        // Whether a folder holds this cache tag file.
        bool HasTag(string folder, string name);
    }

    // Rows of the contract.
    public static class Row
    {
        public static void Write(StringBuilder into, string name, Entry entry, Kind kind, string target, Details details)
        {
            into.Append('[');
            Paths.Encode(name, into);
            into.Append(kind == Kind.Folder ? ",\"dir\"," : kind == Kind.Link ? ",\"symlink\"," : ",\"file\",");
            into.Append(FileMarks.Mode(kind, entry.Attributes)).Append(",0,0,").Append(kind == Kind.File ? entry.Size : 0);
            into.Append(',').Append(Entry.Nanoseconds(entry.Written)).Append(',');
            into.Append(entry.Changed == 0 ? "0" : Entry.Nanoseconds(entry.Changed)).Append(',').Append(entry.Id);
            into.Append(",0,1,");
            if (target == null)
            {
                into.Append("null");
            }
            else
            {
                Paths.Encode(target, into);
            }
            into.Append(",null,{\"attributes\":").Append(entry.Attributes);
            into.Append(",\"created\":").Append(Entry.Nanoseconds(entry.Created));
            if ((entry.Attributes & FileMarks.Reparse) != 0)
            {
                into.Append(",\"reparse\":").Append(entry.Tag);
            }
            if (details != null)
            {
                Extra(into, details);
            }
            into.Append("}]");
        }

        static void Extra(StringBuilder into, Details details)
        {
            if (details.Descriptor != null)
            {
                into.Append(",\"sd\":\"").Append(details.Descriptor).Append('"');
            }
            if (details.Streams != null)
            {
                string comma = ",\"streams\":[[";
                foreach (KeyValuePair<string, byte[]> stream in details.Streams)
                {
                    into.Append(comma);
                    Json.Write(stream.Key, into);
                    into.Append(",\"").Append(Convert.ToBase64String(stream.Value)).Append("\"]");
                    comma = ",[";
                }
                into.Append(']');
            }
        }
    }
}
