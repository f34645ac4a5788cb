namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Threading;
    using System.Threading.Tasks;
    using Microsoft.Win32.SafeHandles;

    // Makes durable what was written.
    public static class Durable
    {
        // Above so many a whole volume at once, if the account may: each file costs 1 to 10 ms of its own.
        const int OneByOne = 8;
        static readonly ParallelOptions AtOnce = new ParallelOptions { MaxDegreeOfParallelism = 4 };

        // Does what may take long on another thread, and tells meanwhile that we are alive.
        public static void Aside(Reply reply, Action work)
        {
            Thread thread = new Thread(delegate() { work(); });
            thread.IsBackground = true;
            thread.Start();
            while (!thread.Join(5000))
            {
                reply.Tick();
            }
        }

        // Calls `flush` for each file unless its volume was flushed.
        public static void Files(List<NewFile> files, Action<NewFile> flush)
        {
            if (files.Count <= OneByOne || !Volumes(files.ConvertAll(delegate(NewFile file) { return file.Folder; })))
            {
                Parallel.ForEach(files, AtOnce, flush);
            }
        }

        public static void Folders(ICollection<string> changed)
        {
            if (changed.Count > OneByOne && Volumes(changed))
            {
                return;
            }
            foreach (string folder in changed)
            {
                int error;
                using (SafeFileHandle handle = NativeWrite.TryOpen(
                    folder, NativeWrite.GenericWrite, NativeWrite.ShareAll, NativeWrite.OpenExisting, NativeWrite.Itself,
                    out error))
                {
                    if (error == 0)
                    {
                        NativeWrite.TryFlush(handle);
                    }
                    // Else it is gone since, or not ours: Windows writes it out in its own time.
                }
            }
        }

        static bool Volumes(IEnumerable<string> paths)
        {
            HashSet<char> letters = new HashSet<char>();
            foreach (string path in paths)
            {
                letters.Add(path[4]);
            }
            foreach (char letter in letters)
            {
                if (!NativeWrite.FlushVolume(letter))
                {
                    return false;
                }
            }
            return true;
        }
    }
}
