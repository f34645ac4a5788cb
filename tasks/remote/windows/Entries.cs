namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Threading;
    using Microsoft.Win32.SafeHandles;

    // One name in an open folder: what stands there, and changing that only when it is as the plan saw it.
    public sealed class Entries
    {
        // A virus scanner holds a file for a moment after it was closed.
        static readonly int[] Pauses = { 20, 100, 300 }; // ms
        const uint Normal = 0x80;

        readonly WriteFolders folders;
        readonly Claims claims = new Claims();

        public Entries(WriteFolders folders)
        {
            this.folders = folders;
        }

        // What stands there now, or null. The folder knows the name, only the file itself its true size and time.
        public static Standing At(string path)
        {
            Standing told = WritePath.IsDrive(path) ? null : NativeWrite.Find(path);
            if (told == null && !WritePath.IsDrive(path))
            {
                return null;
            }
            int error;
            using (SafeFileHandle handle = NativeWrite.TryOpen(
                path, NativeWrite.ReadAttributes, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself, out error))
            {
                if (error != 0 && told == null)
                {
                    throw Refused.Of(error);
                }
                Standing there = error == 0 ? NativeWrite.Information(handle) : told;
                there.Name = told == null ? "" : told.Name;
                return there;
            }
        }

        // What stands there, when that is what the plan saw; otherwise it is a conflict.
        public Standing Check(Place place, object expect)
        {
            Standing there = At(place.Path);
            RefuseOther(place, there);
            if (Standing.Agrees(there, expect))
            {
                return there;
            }
            if (there == null)
            {
                throw new Refused("conflict", "nothing is there any more");
            }
            string called = there.Name == place.Name ? "" : ", called '" + there.Name + "'";
            throw new Refused("conflict", "a " + there.Kind + " is there that the plan did not see" + called);
        }

        // Refuses the second of two names that are one for Windows.
        public void RefuseOther(Place place, Standing there)
        {
            if (there != null && claims.Other(WritePath.Join(place.Folder.Path, there.Name), place.Path))
            {
                throw new Refused(
                    "conflict", "for Windows it is the same name as '" + there.Name + "', which was restored before");
            }
        }

        // Notes that a name was restored; `there` is what stood there before, or null.
        public void Claim(Place place, Standing there)
        {
            claims.Add(place.Path, place.Path);
            if (there != null && there.Name != place.Name)
            {
                claims.Add(WritePath.Join(place.Folder.Path, there.Name), place.Path);
            }
        }

        // Renames what is open, and lies at `from`, into its place.
        public void Move(SafeFileHandle handle, string from, Place place, object expect)
        {
            Standing there = Check(place, expect);
            bool replace = there != null;
            bool loosened = false;
            if (replace && there.Kind == "dir")
            {
                throw new Refused("conflict", "a folder is there");
            }
            if (replace && there.IsFolder)
            {
                Remove(place, expect); // a link to a folder: nothing is renamed over it
                replace = false;
            }
            else if (replace && (there.Attributes & Standing.ReadOnly) != 0)
            {
                loosened = SetReadOnly(place.Path, there.Attributes, false);
            }
            int error = Rename(handle, from, place.Path, replace);
            if (error != 0)
            {
                if (loosened)
                {
                    SetReadOnly(place.Path, there.Attributes, true);
                }
                throw error == 5 && replace
                    ? new Refused("denied", "access is denied, or another program has it open")
                    : Refused.Of(error);
            }
            Claim(place, there);
        }

        static int Rename(SafeFileHandle handle, string from, string to, bool replace)
        {
            for (int time = 0; ; time++)
            {
                int error = NativeWrite.Rename(handle, to, replace);
                if (error == 1 || error == 50 || error == 87 || error == 120 || error == 124)
                {
                    error = NativeWrite.Move(from, to, replace); // this file system cannot do it by handle
                }
                if ((error != 5 && error != 32) || time >= Pauses.Length)
                {
                    return error;
                }
                Thread.Sleep(Pauses[time]);
            }
        }

        // Makes a name: new, or in the place of what the plan saw there.
        public void Create(Place place, Standing there, object expect, string temporary, Action<string> make)
        {
            string path = there == null ? place.Path : WritePath.Join(place.Folder.Path, temporary);
            if (there != null)
            {
                Check(place, expect);
            }
            make(path);
            int error;
            using (SafeFileHandle handle = NativeWrite.TryOpen(
                path, NativeWrite.Delete | NativeWrite.ReadAttributes, NativeWrite.ShareAll, NativeWrite.OpenExisting,
                NativeWrite.Itself, out error))
            {
                if (error != 0)
                {
                    throw error == 2 ? new Refused("unsupported", "this Windows makes no such links") : Refused.Of(error);
                }
                try
                {
                    WriteFolders.RefuseElsewhere(handle, path);
                    if (there != null)
                    {
                        Move(handle, path, place, expect);
                    }
                    else
                    {
                        Claim(place, null);
                    }
                }
                catch (Refused)
                {
                    NativeWrite.Remove(handle);
                    throw;
                }
            }
        }

        public void Remove(Place place, object expect)
        {
            Standing there = At(place.Path);
            if (there == null)
            {
                if (expect == null)
                {
                    return;
                }
                throw new Refused("vanished", "nothing is there any more");
            }
            Check(place, expect);
            if (there.IsFolder)
            {
                folders.Release(place.Path);
            }
            // Who has it open for writing is refused, and kept out until it is gone.
            uint share = there.IsFolder ? NativeWrite.ShareAll : NativeWrite.ShareRead | NativeWrite.ShareDelete;
            bool loosen = (there.Attributes & Standing.ReadOnly) != 0;
            uint access = NativeWrite.Delete | NativeWrite.ReadAttributes | (loosen ? NativeWrite.WriteAttributes : 0);
            using (SafeFileHandle handle = NativeWrite.Open(
                place.Path, access, share, NativeWrite.OpenExisting, NativeWrite.Itself))
            {
                WriteFolders.RefuseElsewhere(handle, WritePath.Join(place.Folder.Path, there.Name));
                if (!Standing.Agrees(NativeWrite.Information(handle), expect))
                {
                    throw new Refused("conflict", "it was changed just now");
                }
                if (loosen)
                {
                    NativeWrite.SetBasic(handle, 0, 0, 0, Meta.Passed(there.Attributes & ~Standing.ReadOnly));
                }
                try
                {
                    NativeWrite.Remove(handle);
                }
                catch (Refused)
                {
                    if (loosen)
                    {
                        NativeWrite.SetBasic(handle, 0, 0, 0, Meta.Passed(there.Attributes));
                    }
                    throw;
                }
            }
            claims.Forget(WritePath.Join(place.Folder.Path, there.Name));
        }

        // Removes the temporary files that a run which was killed has left in a folder.
        public static void Sweep(string folder, Temporary temporary)
        {
            foreach (string name in NativeWrite.Names(folder, ".firstbell-*.tmp"))
            {
                int error;
                if (!temporary.IsLeft(name))
                {
                    continue;
                }
                string path = WritePath.Join(folder, name);
                using (SafeFileHandle handle = NativeWrite.TryOpen(
                    path, NativeWrite.Delete | NativeWrite.ReadAttributes | NativeWrite.WriteAttributes,
                    NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself, out error))
                {
                    if (error == 0)
                    {
                        NativeWrite.SetBasic(handle, 0, 0, 0, Normal);
                        NativeWrite.TryRemove(handle);
                    }
                }
            }
        }

        static bool SetReadOnly(string path, uint attributes, bool on)
        {
            int error;
            using (SafeFileHandle handle = NativeWrite.TryOpen(
                path, NativeWrite.WriteAttributes, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself,
                out error))
            {
                uint wanted = on ? attributes : attributes & ~Standing.ReadOnly;
                return error == 0 && NativeWrite.SetBasic(handle, 0, 0, 0, Meta.Passed(wanted));
            }
        }
    }
}
