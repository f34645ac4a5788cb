namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Security.AccessControl;
    using System.Security.Principal;

    // What of a stored security descriptor is set again: the entries that somebody made for this very file. Inherited
    // ones come from the folder it is restored into. Pure.
    public sealed class AccessLists
    {
        public byte[] Entries; // an ACL, or null when there is nothing to set
        public bool Closed; // nothing is inherited
        public readonly List<string> Unknown = new List<string>(); // SIDs whose entries were left out

        // The owner of old stands for the owner now, when this computer does not know the old one; entries of others whom
        // it does not know are left out, and a list that lost one is not closed off: nobody could reach the file.
        public static AccessLists Of(byte[] descriptor, SecurityIdentifier owner, Predicate<SecurityIdentifier> knows)
        {
            RawSecurityDescriptor old = new RawSecurityDescriptor(descriptor, 0);
            AccessLists lists = new AccessLists();
            RawAcl from = old.DiscretionaryAcl;
            if (from == null)
            {
                return lists;
            }
            RawAcl into = new RawAcl(from.Revision, from.Count);
            foreach (GenericAce entry in from)
            {
                KnownAce known = entry as KnownAce;
                if (known == null || (entry.AceFlags & AceFlags.Inherited) != 0)
                {
                    continue;
                }
                if (!knows(known.SecurityIdentifier))
                {
                    if (owner == null || old.Owner == null || !old.Owner.Equals(known.SecurityIdentifier))
                    {
                        lists.Unknown.Add(known.SecurityIdentifier.Value);
                        continue;
                    }
                    known.SecurityIdentifier = owner;
                }
                into.InsertAce(into.Count, known);
            }
            lists.Closed = (old.ControlFlags & ControlFlags.DiscretionaryAclProtected) != 0 && lists.Unknown.Count == 0;
            if (into.Count > 0)
            {
                lists.Entries = new byte[into.BinaryLength];
                into.GetBinaryForm(lists.Entries, 0);
            }
            return lists;
        }
    }
}
