namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Security.Principal;
    using Microsoft.Win32.SafeHandles;

    // What `allow-write` permits, and what all writing shares. Whoever uses it holds its lock: a commit goes on while the
    // content of the next files arrives.
    public sealed class WriteScope : IDisposable
    {
        // To give files to others, and to make symbolic links.
        static readonly string[] ForWriting =
        {
            "SeRestorePrivilege", "SeTakeOwnershipPrivilege", "SeCreateSymbolicLinkPrivilege"
        };

        public readonly Temporary Temporary = new Temporary();
        public readonly Meta Meta;
        public readonly SecurityIdentifier Self;
        public WriteFolders Folders;
        public Entries Entries;

        public WriteScope()
        {
            bool privileged = Privileges.Enable(ForWriting).Contains("SeRestorePrivilege");
            using (WindowsIdentity identity = WindowsIdentity.GetCurrent())
            {
                Self = identity.User;
                Meta = new Meta(Owners.FromRegistry(), privileged, identity.Owner);
            }
        }

        // Permits these roots instead of those before.
        public void Allow(List<object> roots)
        {
            List<string> given = new List<string>();
            foreach (object root in roots)
            {
                try
                {
                    given.Add(WritePath.Local(root));
                }
                catch (Refused refused)
                {
                    throw new RequestError("bad-request", refused.Message);
                }
            }
            if (Folders != null)
            {
                Folders.Dispose();
            }
            Folders = new WriteFolders(given);
            Entries = new Entries(Folders);
        }

        // Why something could not be done, or null.
        public static Refused Refusal(Action work)
        {
            try
            {
                work();
                return null;
            }
            catch (Refused refused)
            {
                return refused;
            }
            catch (IOException error)
            {
                return Refused.Of(error);
            }
            catch (UnauthorizedAccessException error)
            {
                return Refused.Of(error);
            }
        }

        // An open file or folder whose metadata may be set, as far as the account may.
        public SafeFileHandle OpenForMeta(string path)
        {
            int error;
            SafeFileHandle handle = NativeWrite.TryOpen(
                path, Meta.Access, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself, out error);
            if (error == 5)
            {
                return NativeWrite.Open(
                    path, NativeWrite.ReadAttributes | NativeWrite.WriteAttributes, NativeWrite.ShareAll,
                    NativeWrite.OpenExisting, NativeWrite.Itself);
            }
            if (error != 0)
            {
                throw Refused.Of(error);
            }
            return handle;
        }

        // What a frame says about one path.
        public static Dictionary<string, object> Result(Refused refusal, string detail)
        {
            Dictionary<string, object> result = new Dictionary<string, object>();
            result["ok"] = refusal == null;
            if (refusal != null)
            {
                result["reason"] = refusal.Reason;
                detail = refusal.Message;
            }
            if (!string.IsNullOrEmpty(detail))
            {
                result["detail"] = detail;
            }
            return result;
        }

        // Null when it is not there.
        public static object Field(Dictionary<string, object> fields, string name)
        {
            object value;
            return fields.TryGetValue(name, out value) ? value : null;
        }

        // The metadata that an item of a request carries.
        public static Dictionary<string, object> MetaIn(Dictionary<string, object> item)
        {
            return Field(item, "meta") as Dictionary<string, object> ?? new Dictionary<string, object>();
        }

        public void Dispose()
        {
            if (Folders != null)
            {
                Folders.Dispose();
            }
            Temporary.Dispose();
        }
    }
}
