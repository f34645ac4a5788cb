namespace Firstbell
{
    using System;

    // What a self-relative security descriptor says (SECURITY_DESCRIPTOR_RELATIVE, ACL and ACE_HEADER in winnt.h).
    public static class Descriptor
    {
        const int DaclPresent = 0x4;
        const byte Inherited = 0x10;

        // Whether its access list has an entry of its own, besides what it inherits from its folder. A descriptor that
        // cannot be understood counts as one that has: it is kept.
        public static bool HasOwnEntries(byte[] data)
        {
            if (data.Length < 20)
            {
                return true;
            }
            if ((BitConverter.ToUInt16(data, 2) & DaclPresent) == 0)
            {
                return false;
            }
            int at = BitConverter.ToInt32(data, 16);
            if (at == 0 || at + 8 > data.Length)
            {
                return true; // everybody may do everything
            }
            int count = BitConverter.ToUInt16(data, at + 4);
            at += 8;
            for (int index = 0; index < count; index++)
            {
                if (at + 4 > data.Length)
                {
                    return true;
                }
                if ((data[at + 1] & Inherited) == 0)
                {
                    return true;
                }
                at += Math.Max(4, (int)BitConverter.ToUInt16(data, at + 2));
            }
            return false;
        }

        // The owner as text (S-1-5-21-...), empty when there is none.
        public static string Owner(byte[] data)
        {
            int at = data.Length < 20 ? 0 : BitConverter.ToInt32(data, 4);
            return at <= 0 ? "" : Sid(data, at);
        }

        static string Sid(byte[] data, int at)
        {
            if (at + 8 > data.Length || at + 8 + 4 * data[at + 1] > data.Length)
            {
                return "";
            }
            long authority = 0;
            for (int index = 2; index < 8; index++)
            {
                authority = authority << 8 | data[at + index];
            }
            string text = "S-" + data[at] + "-" + authority;
            for (int index = 0; index < data[at + 1]; index++)
            {
                text += "-" + BitConverter.ToUInt32(data, at + 8 + 4 * index);
            }
            return text;
        }
    }
}
