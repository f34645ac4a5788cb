namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Security.Principal;
    using Microsoft.Win32.SafeHandles;

    // Sets what `meta` of PROTOCOL.md names, attributes and times last.
    public sealed class Meta
    {
        // Read-only, hidden, system, archive, not indexed. Others tell how a file is stored, which its new place decides.
        public const uint Settable = 0x1 | 0x2 | 0x4 | 0x20 | 0x2000;
        // Temporary, offline, pinned, unpinned: those that setting others would switch off.
        const uint Kept = 0x100 | 0x1000 | 0x80000 | 0x100000;
        const uint Archive = 0x20; // of a new file
        const uint Normal = 0x80;

        public Owners Owners;
        readonly bool privileged; // may give files to others
        readonly SecurityIdentifier maker; // whose is what we make

        public Meta(Owners owners, bool privileged, SecurityIdentifier maker)
        {
            Owners = owners;
            this.privileged = privileged;
            this.maker = maker;
        }

        // What a handle must be opened for.
        public uint Access
        {
            get
            {
                uint always = NativeWrite.ReadAttributes | NativeWrite.WriteAttributes | NativeWrite.ReadControl;
                return privileged ? always | NativeWrite.WriteOwner | NativeWrite.WriteAccessList : always;
            }
        }

        // Sets it on a file that was just made at `path` and is for `place`. Returns what could not be set, in words;
        // nothing when all could.
        public string SetNew(SafeFileHandle handle, string path, string place, Dictionary<string, object> meta)
        {
            return Set(handle, path, place, meta, true, null);
        }

        // Sets it on an open file or folder; without `times`, the rest.
        public string Set(SafeFileHandle handle, string path, Dictionary<string, object> meta, bool times)
        {
            return Set(handle, path, path, meta, times, NativeWrite.Information(handle));
        }

        string Set(
            SafeFileHandle handle, string path, string place, Dictionary<string, object> meta, bool times, Standing there)
        {
            List<string> missed = new List<string>();
            Dictionary<string, object> windows = Value(meta, "windows") as Dictionary<string, object>;
            SecurityIdentifier owner = Owners.Of(place);
            bool ours = there == null && owner != null && owner.Equals(maker);
            there = there ?? new Standing { Attributes = Archive };
            if (owner != null && !ours)
            {
                SetOwner(handle, owner, missed);
            }
            if (there.Kind != "symlink" && windows != null)
            {
                SetAccess(handle, owner, Value(windows, "sd") as string, missed);
                List<object> streams = Value(windows, "streams") as List<object>;
                if (streams != null)
                {
                    AlternateStreams.Write(handle, path, streams, missed);
                }
            }
            foreach (object xattr in Value(meta, "xattrs") as List<object> ?? new List<object>())
            {
                missed.Add("extended attribute " + ((List<object>)xattr)[0]);
            }
            uint attributes = AttributesOf(there.Attributes, meta, windows);
            long created = times ? Time(windows, "created", "creation time", missed) : 0;
            long written = times ? Time(meta, "mtime", "time", missed) : 0;
            long accessed = times ? Time(meta, "atime", "time", missed) : 0;
            if (!NativeWrite.SetBasic(handle, created, accessed == 0 ? written : accessed, written, attributes))
            {
                missed.Add("attributes");
                missed.Add("time");
            }
            return missed.Count == 0 ? "" : "not set: " + string.Join(", ", missed);
        }

        // Whether the file was sparse when it was saved.
        public static bool IsSparse(Dictionary<string, object> meta)
        {
            object attributes = Value(Value(meta, "windows") as Dictionary<string, object>, "attributes");
            return attributes != null && (Convert.ToInt64(attributes) & Standing.Sparse) != 0;
        }

        // The attributes that a file should have: those of the snapshot, or from a computer without such a mode without
        // write permission is read-only. What cannot be set stays as it is.
        public static uint AttributesOf(uint now, Dictionary<string, object> meta, Dictionary<string, object> windows)
        {
            object told = Value(windows, "attributes");
            object mode = Value(meta, "mode");
            uint wanted = now & Settable;
            if (told != null)
            {
                wanted = (uint)Convert.ToInt64(told) & Settable;
            }
            else if (mode != null && (now & Standing.Folder) == 0)
            {
                bool fixedContent = (Convert.ToInt64(mode) & 0x92) == 0; // 0222
                wanted = fixedContent ? wanted | Standing.ReadOnly : wanted & ~Standing.ReadOnly;
            }
            return Passed((now & Kept) | wanted);
        }

        // What Windows is told so that a file has these attributes: with others that it has, it might refuse them all.
        public static uint Passed(uint attributes)
        {
            uint passed = attributes & (Settable | Kept);
            return passed == 0 ? Normal : passed;
        }

        void SetOwner(SafeFileHandle handle, SecurityIdentifier owner, List<string> missed)
        {
            if (IsOwner(handle, owner))
            {
                return;
            }
            byte[] sid = new byte[owner.BinaryLength];
            owner.GetBinaryForm(sid, 0);
            // Asked again: not every file system keeps what it was given.
            if (!privileged || !NativeWrite.SetOwner(handle, sid) || !IsOwner(handle, owner))
            {
                missed.Add("owner");
            }
        }

        static bool IsOwner(SafeFileHandle handle, SecurityIdentifier owner)
        {
            byte[] sid = NativeWrite.Owner(handle);
            return sid != null && new SecurityIdentifier(sid, 0).Equals(owner);
        }

        void SetAccess(SafeFileHandle handle, SecurityIdentifier owner, string descriptor, List<string> missed)
        {
            if (descriptor == null)
            {
                return;
            }
            try
            {
                AccessLists lists = AccessLists.Of(Convert.FromBase64String(descriptor), owner, Owners.Knows);
                if (lists.Entries != null && !(privileged && NativeWrite.SetAccess(handle, lists.Entries, lists.Closed)))
                {
                    missed.Add("access list");
                }
                foreach (string sid in lists.Unknown)
                {
                    missed.Add("access of " + sid + ", whom this computer does not know");
                }
            }
            catch (Exception error)
            {
                // What a foreign descriptor can be wrong in: none of it is worth the file.
                if (!(error is ArgumentException || error is FormatException || error is OverflowException))
                {
                    throw;
                }
                missed.Add("access list");
            }
        }

        static long Time(Dictionary<string, object> from, string key, string called, List<string> missed)
        {
            object ns = Value(from, key);
            if (ns == null)
            {
                return 0;
            }
            long time = Standing.FromUnix(Convert.ToInt64(ns));
            if (time == 0 && !missed.Contains(called))
            {
                missed.Add(called);
            }
            return time;
        }

        static object Value(Dictionary<string, object> from, string key)
        {
            object value;
            return from != null && from.TryGetValue(key, out value) ? value : null;
        }
    }
}
