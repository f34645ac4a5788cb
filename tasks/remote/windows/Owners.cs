namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Security.Principal;

    // To whom a path belongs: the profile whose folder holds it.
    public sealed class Owners
    {
        readonly List<KeyValuePair<string, SecurityIdentifier>> homes =
            new List<KeyValuePair<string, SecurityIdentifier>>();
        readonly Dictionary<string, bool> known = new Dictionary<string, bool>();

        public static Owners FromRegistry()
        {
            Owners owners = new Owners();
            foreach (Person person in People.All())
            {
                if (person.Home.Length > 3 && person.Home[1] == ':')
                {
                    owners.Add(WriteFolders.Real("\\\\?\\" + person.Home), person.Sid);
                }
            }
            return owners;
        }

        // Both as Windows writes them; where the folder really lies.
        public void Add(string home, string sid)
        {
            homes.Add(new KeyValuePair<string, SecurityIdentifier>(home, new SecurityIdentifier(sid)));
        }

        // Null when the path is in nobody's profile.
        public SecurityIdentifier Of(string path)
        {
            foreach (KeyValuePair<string, SecurityIdentifier> home in homes)
            {
                if (WritePath.Within(path, home.Key))
                {
                    return home.Value;
                }
            }
            return null;
        }

        // The folder of a profile, or null.
        public string Home(SecurityIdentifier sid)
        {
            foreach (KeyValuePair<string, SecurityIdentifier> home in homes)
            {
                if (home.Value.Equals(sid))
                {
                    return home.Key;
                }
            }
            return null;
        }

        // Whether this computer or its domain can say whose SID that is.
        public bool Knows(SecurityIdentifier sid)
        {
            bool answer;
            if (!known.TryGetValue(sid.Value, out answer))
            {
                try
                {
                    sid.Translate(typeof(NTAccount));
                    answer = true;
                }
                catch (SystemException) // IdentityNotMappedException, and what an absent domain gives
                {
                    answer = false;
                }
                known[sid.Value] = answer;
            }
            return answer;
        }
    }
}
