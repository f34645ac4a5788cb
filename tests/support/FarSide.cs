namespace Firstbell
{
    using System;
    using System.IO;
    using System.Security.Cryptography;
    using System.Text;

    // The far side of a link for tests: reads one command line from the stream and does it until its input ends.
    // Arguments: the spool's first wait, and after which silence the worker is gone, both in ms.
    static class FarSide
    {
        static int Main(string[] arguments)
        {
            LineLink link = new LineLink(Console.OpenStandardInput(), Console.OpenStandardOutput());
            if (arguments.Length > 0)
            {
                link.FirstSpoolWait = int.Parse(arguments[0]);
                link.GoneAfter = int.Parse(arguments[1]);
            }
            link.Start();
            int code = 0;
            try
            {
                Serve(link.Input, link.Output);
            }
            catch (IOException)
            {
                code = 3;
            }
            link.Close(10000);
            if (link.GoneBecause != null)
            {
                Console.Error.WriteLine(link.GoneBecause);
                code = 4;
            }
            return code;
        }

        static void Serve(Stream input, Stream output)
        {
            byte[] buffer = new byte[1024 * 1024];
            string[] words = ReadLine(input).Split(' ');
            int count;
            switch (words[0])
            {
                case "echo":
                    while ((count = input.Read(buffer, 0, buffer.Length)) > 0)
                    {
                        output.Write(buffer, 0, count);
                        output.Flush();
                    }
                    break;
                case "produce":
                    Produce(output, long.Parse(words[1]), int.Parse(words[2]));
                    output.Flush();
                    while (input.Read(buffer, 0, buffer.Length) > 0)
                    {
                    }
                    break;
                case "digest":
                    using (SHA256 hash = new SHA256CryptoServiceProvider())
                    {
                        while ((count = input.Read(buffer, 0, buffer.Length)) > 0)
                        {
                            hash.TransformBlock(buffer, 0, count, null, 0);
                        }
                        hash.TransformFinalBlock(buffer, 0, 0);
                        byte[] text = Encoding.ASCII.GetBytes(BitConverter.ToString(hash.Hash).Replace("-", "").ToLower());
                        output.Write(text, 0, text.Length);
                        output.Flush();
                    }
                    break;
            }
        }

        // Pieces of 1 MiB, flushed one by one as frames are: three of four words are numbers by chance, so it deflates badly.
        static void Produce(Stream output, long size, int seed)
        {
            byte[] piece = new byte[1024 * 1024];
            uint state = (uint)seed;
            while (size > 0)
            {
                for (int i = 0; i < piece.Length; i += 4)
                {
                    state = unchecked(state * 1664525 + 1013904223);
                    uint word = (i & 12) == 12 ? 0x20202020 : state;
                    piece[i] = (byte)word;
                    piece[i + 1] = (byte)(word >> 8);
                    piece[i + 2] = (byte)(word >> 16);
                    piece[i + 3] = (byte)(word >> 24);
                }
                int count = (int)Math.Min(size, piece.Length);
                output.Write(piece, 0, count);
                output.Flush();
                size -= count;
            }
        }

        static string ReadLine(Stream input)
        {
            StringBuilder text = new StringBuilder();
            byte[] one = new byte[1];
            while (input.Read(one, 0, 1) == 1 && one[0] != '\n')
            {
                text.Append((char)one[0]);
            }
            return text.ToString();
        }
    }
}
