namespace Firstbell
{
    using System;
    using System.IO;
    using System.IO.Compression;
    using System.Security.Cryptography;
    using System.Text;

    // A sealed piece of the byte stream, as it lies in the spool; the twin of channels/segment.py:
    // "FBS1" | u64 number | u8 direction | 16 bytes IV | AES-256-CBC(PKCS7, raw deflate(plain)) | HMAC-SHA256 over all that
    // .NET Framework has no AES-GCM. Threads may share one object.
    public sealed class Seal
    {
        public const byte FromHelper = 0;
        public const byte FromWorker = 1;

        const int HeadSize = 29;
        const int MacSize = 32;
        const int Block = 16;
        const int Sample = 64 * 1024;
        const int Part = 256 * 1024;
        static readonly byte[] Magic = Encoding.ASCII.GetBytes("FBS1");

        readonly byte[] encrypt;
        readonly byte[] authenticate;

        public Seal(byte[] key)
        {
            encrypt = Derive(key, "firstbell spool encrypt");
            authenticate = Derive(key, "firstbell spool authenticate");
        }

        // Writes the sealed segment into a stream that is emptied before.
        public void Close(long number, byte direction, byte[] plain, int count, MemoryStream into)
        {
            byte[] iv = new byte[Block];
            using (RandomNumberGenerator random = RandomNumberGenerator.Create())
            {
                random.GetBytes(iv);
            }
            into.SetLength(0);
            into.Write(Magic, 0, Magic.Length);
            into.Write(Number(number), 0, 8);
            into.WriteByte(direction);
            into.Write(iv, 0, iv.Length);
            using (DeflateStream deflate = new DeflateStream(into, Level(plain, count), true))
            {
                deflate.Write(plain, 0, count);
            }
            using (Aes aes = NewAes(encrypt, iv))
            using (ICryptoTransform transform = aes.CreateEncryptor())
            {
                Encrypt(transform, into);
            }
            byte[] sum = Mac(into.GetBuffer(), (int)into.Length);
            into.Write(sum, 0, sum.Length);
        }

        // All behind the head, in its own place: a stream of its own would take it in small pieces.
        static void Encrypt(ICryptoTransform transform, MemoryStream packed)
        {
            byte[] bytes = packed.GetBuffer();
            int at = HeadSize;
            int left = (int)packed.Length - HeadSize;
            while (left > Block)
            {
                int size = Math.Min(left, Part) / Block * Block;
                if (transform.TransformBlock(bytes, at, size, bytes, at) != size)
                {
                    throw new CryptographicException("blocks were kept back");
                }
                at += size;
                left -= size;
            }
            byte[] last = transform.TransformFinalBlock(bytes, at, left);
            packed.SetLength(at);
            packed.Position = at;
            packed.Write(last, 0, last.Length);
        }

        // HMAC-SHA256 by its definition (RFC 2104): that of .NET Framework is made of its own slow SHA-256.
        byte[] Mac(byte[] bytes, int count)
        {
            byte[] pad = new byte[64];
            byte[] inner = Hash(Padded(pad, 0x36), bytes, count);
            return Hash(Padded(pad, 0x5c), inner, inner.Length);
        }

        static byte[] Hash(byte[] first, byte[] then, int count)
        {
            using (SHA256 hash = new SHA256CryptoServiceProvider())
            {
                hash.TransformBlock(first, 0, first.Length, null, 0);
                // Not the final one: that would be copied.
                hash.TransformBlock(then, 0, count, null, 0);
                hash.TransformFinalBlock(first, 0, 0);
                return hash.Hash;
            }
        }

        byte[] Padded(byte[] pad, byte with)
        {
            for (int i = 0; i < pad.Length; i++)
            {
                pad[i] = (byte)(with ^ (i < authenticate.Length ? authenticate[i] : 0));
            }
            return pad;
        }

        // The content of a segment, which must be the one with this number, direction and size. Throws InvalidDataException
        // when it is another one or was changed; nothing is decrypted then.
        public byte[] Open(long number, byte direction, byte[] segment, int size, int plain)
        {
            int packed = size - HeadSize - MacSize;
            if (packed < Block || packed % Block != 0)
            {
                throw new InvalidDataException("a segment of " + size + " bytes cannot be");
            }
            if (!Same(Mac(segment, size - MacSize), segment, size - MacSize))
            {
                throw new InvalidDataException("a segment was changed on its way");
            }
            byte[] head = new byte[HeadSize - Block];
            Buffer.BlockCopy(Magic, 0, head, 0, 4);
            Buffer.BlockCopy(Number(number), 0, head, 4, 8);
            head[12] = direction;
            if (!Same(head, segment, 0))
            {
                throw new InvalidDataException("another segment lies in the place of segment " + number);
            }
            byte[] iv = new byte[Block];
            Buffer.BlockCopy(segment, HeadSize - Block, iv, 0, Block);
            byte[] content = new byte[plain];
            try
            {
                using (Aes aes = NewAes(encrypt, iv))
                using (ICryptoTransform transform = aes.CreateDecryptor())
                using (MemoryStream from = new MemoryStream(segment, HeadSize, packed, false))
                using (CryptoStream decrypted = new CryptoStream(from, transform, CryptoStreamMode.Read))
                using (DeflateStream inflate = new DeflateStream(decrypted, CompressionMode.Decompress))
                {
                    int at = 0;
                    int count = 1;
                    while (at < plain && count > 0)
                    {
                        count = inflate.Read(content, at, plain - at);
                        at += count;
                    }
                    if (at < plain || inflate.ReadByte() >= 0)
                    {
                        throw new InvalidDataException("a segment does not have the size it was said to have");
                    }
                }
            }
            catch (CryptographicException)
            {
                throw new InvalidDataException("a segment cannot be decrypted");
            }
            return content;
        }

        // Photos, films and documents do not shrink, and trying costs more than all the rest: a sample decides.
        static CompressionLevel Level(byte[] plain, int count)
        {
            if (count < 2 * Sample)
            {
                return CompressionLevel.Fastest;
            }
            MemoryStream packed = new MemoryStream();
            using (DeflateStream deflate = new DeflateStream(packed, CompressionLevel.Fastest, true))
            {
                for (int i = 0; i < 4; i++)
                {
                    deflate.Write(plain, (int)((long)(count - Sample / 4) * i / 3), Sample / 4);
                }
            }
            return packed.Length > Sample / 10 * 9 ? CompressionLevel.NoCompression : CompressionLevel.Fastest;
        }

        static Aes NewAes(byte[] key, byte[] iv)
        {
            Aes aes = Aes.Create();
            aes.KeySize = 256;
            aes.Mode = CipherMode.CBC;
            aes.Padding = PaddingMode.PKCS7;
            aes.Key = key;
            aes.IV = iv;
            return aes;
        }

        static byte[] Derive(byte[] key, string purpose)
        {
            using (HMACSHA256 mac = new HMACSHA256(key))
            {
                return mac.ComputeHash(Encoding.ASCII.GetBytes(purpose));
            }
        }

        static byte[] Number(long number)
        {
            byte[] bytes = new byte[8];
            for (int i = 7; i >= 0; i--, number >>= 8)
            {
                bytes[i] = (byte)number;
            }
            return bytes;
        }

        // In a time that does not tell where they differ.
        static bool Same(byte[] wanted, byte[] found, int at)
        {
            int differ = 0;
            for (int i = 0; i < wanted.Length; i++)
            {
                differ |= wanted[i] ^ found[at + i];
            }
            return differ == 0;
        }
    }
}
