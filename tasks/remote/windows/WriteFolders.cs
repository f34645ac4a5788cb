namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using Microsoft.Win32.SafeHandles;

    // An open folder below a root. As long as it is open Windows lets nobody rename it or what is above it; and one that
    // holds something cannot be made a junction.
    public sealed class WriteFolder
    {
        public string Path; // where it really lies
        public SafeFileHandle Handle;
        public bool Encrypts; // what is made in it, for the account that makes it (EFS)
    }

    // A name in an open folder.
    public sealed class Place
    {
        public WriteFolder Folder;
        public string Name; // nothing for the root of a drive
        public string Path;
    }

    // The folders that the plan allows to write to, and those of them that are open. Not for two threads at once.
    public sealed class WriteFolders : IDisposable
    {
        const int Most = 64;

        // As given, and where that really lies; the longest first.
        readonly List<KeyValuePair<string, string>> roots = new List<KeyValuePair<string, string>>();
        readonly Dictionary<string, WriteFolder> open = new Dictionary<string, WriteFolder>(StringComparer.OrdinalIgnoreCase);
        readonly LinkedList<string> used = new LinkedList<string>(); // the open ones, least recently used first
        readonly HashSet<string> swept = new HashSet<string>(StringComparer.OrdinalIgnoreCase);

        public WriteFolders(IEnumerable<string> given)
        {
            foreach (string root in given)
            {
                roots.Add(new KeyValuePair<string, string>(root, Real(root)));
            }
            roots.Sort(delegate(KeyValuePair<string, string> one, KeyValuePair<string, string> other)
            {
                return other.Key.Length.CompareTo(one.Key.Length);
            });
        }

        // The place of a path, when that lies below a root also after every link in it was followed.
        public Place Find(string path)
        {
            string folder = WritePath.Parent(path);
            string name = WritePath.Name(path);
            foreach (KeyValuePair<string, string> root in roots)
            {
                if (WritePath.Same(path, root.Key))
                {
                    // The folder that a root lies in is no matter of ours: it is only where its name stands.
                    return At(Opened(WritePath.Parent(root.Value), root.Value), WritePath.Name(root.Value));
                }
            }
            foreach (KeyValuePair<string, string> root in roots)
            {
                if (WritePath.Within(folder, root.Key))
                {
                    WriteFolder found = Opened(WritePath.Moved(folder, root.Key, root.Value), root.Value);
                    if (found != null)
                    {
                        return At(found, name);
                    }
                }
            }
            string real = Real(folder);
            foreach (KeyValuePair<string, string> root in roots)
            {
                if (WritePath.Within(real, root.Value))
                {
                    WriteFolder found = Opened(real, root.Value);
                    if (found != null)
                    {
                        return At(found, name);
                    }
                }
            }
            throw new Refused("outside", "not below a folder that the plan allows");
        }

        // Whether a folder is one of the roots, or in one.
        public bool Holds(string path)
        {
            string real = Real(path);
            return roots.Exists(delegate(KeyValuePair<string, string> root) { return WritePath.Within(real, root.Value); });
        }

        // Whether a folder was written to before; from now on it was.
        public bool IsNew(WriteFolder folder)
        {
            return swept.Add(folder.Path);
        }

        // Lets go of a folder that is to be removed, and of those below it.
        public void Release(string path)
        {
            foreach (string held in new List<string>(open.Keys))
            {
                if (path == null || WritePath.Within(held, path))
                {
                    open[held].Handle.Dispose();
                    open.Remove(held);
                    used.Remove(held);
                }
            }
        }

        public void Dispose()
        {
            Release(null);
        }

        // Raises unless an open file lies where it should: a folder on the way to it may have become a link meanwhile.
        public static void RefuseElsewhere(SafeFileHandle handle, string path)
        {
            string final = NativeWrite.FinalPath(handle);
            if (final != null && !WritePath.IsAt(final, path))
            {
                throw new Refused("outside", "the path leads elsewhere");
            }
        }

        static Place At(WriteFolder folder, string name)
        {
            if (folder == null)
            {
                throw new Refused("outside", "the path leads elsewhere");
            }
            string path = name.Length == 0 ? folder.Path : WritePath.Join(folder.Path, name);
            return new Place { Folder = folder, Name = name, Path = path };
        }

        // Null when a link is on the way. Folders on the way are opened one by one, and none of them followed.
        WriteFolder Opened(string path, string root)
        {
            WriteFolder folder;
            if (open.TryGetValue(path, out folder))
            {
                used.Remove(path);
                used.AddLast(path);
                return folder;
            }
            if (!WritePath.Same(path, root) && WritePath.Within(path, root) && Opened(WritePath.Parent(path), root) == null)
            {
                return null;
            }
            SafeFileHandle handle = Reach(path);
            try
            {
                Standing there = NativeWrite.Information(handle);
                string final = NativeWrite.FinalPath(handle);
                if (there.LeadsElsewhere || (final != null && !WritePath.IsAt(final, path)))
                {
                    handle.Dispose();
                    return null;
                }
                if (!there.IsFolder)
                {
                    throw Refused.Of(267); // ERROR_DIRECTORY
                }
                folder = new WriteFolder
                {
                    Path = final != null && WritePath.Same(final, path) ? final : path, Handle = handle,
                    Encrypts = (there.Attributes & Standing.Encrypted) != 0
                };
            }
            catch (Refused)
            {
                handle.Dispose();
                throw;
            }
            while (open.Count >= Most)
            {
                string oldest = used.First.Value;
                open[oldest].Handle.Dispose();
                open.Remove(oldest);
                used.RemoveFirst();
            }
            open[path] = folder;
            used.AddLast(path);
            return folder;
        }

        static SafeFileHandle Reach(string path)
        {
            // Reading must be asked for, or Windows does not mind that we do not share deletion. Who may not look into it
            // may still pass through it; and another program may have it open for renaming.
            uint[] accesses = { NativeWrite.ReadData, NativeWrite.Traverse, 0 };
            int error = 0;
            foreach (uint access in accesses)
            {
                uint wanted = access | NativeWrite.ReadAttributes | NativeWrite.Synchronize;
                uint share = NativeWrite.ShareRead | NativeWrite.ShareWrite;
                SafeFileHandle handle = NativeWrite.TryOpen(
                    path, wanted, share, NativeWrite.OpenExisting, NativeWrite.Itself, out error);
                if (error == 32)
                {
                    handle = NativeWrite.TryOpen(
                        path, wanted, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself, out error);
                }
                if (error == 0)
                {
                    return handle;
                }
                if (error != 5)
                {
                    break;
                }
            }
            throw Refused.Of(error);
        }

        // Where a path leads, as far as it is there.
        public static string Real(string path)
        {
            int error;
            using (SafeFileHandle handle = NativeWrite.TryOpen(
                path, NativeWrite.ReadAttributes, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Followed,
                out error))
            {
                string final = error == 0 ? NativeWrite.FinalPath(handle) : null;
                if (final != null || WritePath.IsDrive(path))
                {
                    return final ?? path;
                }
            }
            return WritePath.Join(Real(WritePath.Parent(path)), WritePath.Name(path));
        }
    }
}
