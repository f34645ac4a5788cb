namespace Firstbell
{
    using System;
    using System.Collections.Generic;

    // Which name each entry was asked for by: a folder of Windows holds one of two names that differ only in their case,
    // and the second of them must not replace the first. Pure. 16 bytes an entry: there may be a million.
    public sealed class Claims
    {
        readonly Dictionary<ulong, ulong> claimed = new Dictionary<ulong, ulong>();

        // Whether what stands at a path (as its folder holds it) was restored by another name than the one wanted now.
        public bool Other(string standing, string wanted)
        {
            ulong first;
            return claimed.TryGetValue(Hash(standing), out first) && first != Hash(wanted);
        }

        public void Add(string standing, string wanted)
        {
            claimed[Hash(standing)] = Hash(wanted);
        }

        public void Forget(string standing)
        {
            claimed.Remove(Hash(standing));
        }

        // FNV-1a of 64 bits: a chance of one in 10^7 that two of a million agree, and then a file is only told as a conflict.
        static ulong Hash(string text)
        {
            ulong hash = 14695981039346656037;
            foreach (char c in text)
            {
                hash = unchecked((hash ^ c) * 1099511628211);
            }
            return hash;
        }
    }
}
