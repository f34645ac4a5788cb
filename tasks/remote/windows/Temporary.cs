namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.Security.Cryptography;
    using System.Text.RegularExpressions;
    using System.Threading;

    // Names of temporary files: .firstbell-<run>-<number>.tmp. A run holds a mutex of that name as long as it lives, so
    // that the files of a dead one are known; process ids are soon given to others.
    public sealed class Temporary : IDisposable
    {
        static readonly Regex Ours = new Regex(
            "\\A\\.firstbell-([0-9a-f]{16})-[0-9a-f]{8}\\.tmp\\z", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase);

        readonly string run;
        readonly Mutex alive;
        readonly Dictionary<string, bool> known = new Dictionary<string, bool>();
        int number;

        public Temporary()
        {
            byte[] random = new byte[8];
            using (RandomNumberGenerator source = RandomNumberGenerator.Create())
            {
                source.GetBytes(random);
            }
            run = BitConverter.ToString(random).Replace("-", "").ToLowerInvariant();
            alive = new Mutex(false, MutexName(run));
        }

        public string Next()
        {
            uint count = (uint)Interlocked.Increment(ref number);
            return string.Format(CultureInfo.InvariantCulture, ".firstbell-{0}-{1:x8}.tmp", run, count);
        }

        // Whether a name is that of a temporary file whose run has ended.
        public bool IsLeft(string name)
        {
            string owner = RunOf(name);
            if (owner == null || owner == run)
            {
                return false;
            }
            bool lives;
            if (!known.TryGetValue(owner, out lives))
            {
                known[owner] = lives = Lives(owner);
            }
            return !lives;
        }

        public static string RunOf(string name)
        {
            Match match = Ours.Match(name);
            return match.Success ? match.Groups[1].Value.ToLowerInvariant() : null;
        }

        public void Dispose()
        {
            alive.Dispose();
        }

        public static bool Lives(string run)
        {
            try
            {
                Mutex.OpenExisting(MutexName(run)).Dispose();
                return true;
            }
            catch (WaitHandleCannotBeOpenedException)
            {
                return false;
            }
            catch (UnauthorizedAccessException)
            {
                return true; // somebody else's
            }
        }

        static string MutexName(string run)
        {
            return "Global\\firstbell-" + run;
        }
    }
}
