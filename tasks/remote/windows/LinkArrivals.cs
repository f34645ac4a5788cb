namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Text;
    using System.Threading;
#pragma warning disable

    // What the lines of the worker bring, in order: pieces of the input, references to the spool, and what it says of it.
    public sealed partial class LineLink
    {
        void Act(char kind, byte[] body)
        {
            switch (kind)
            {
                case 'd':
                    if (body.Length > 0)
                    {
                        unread += body.Length;
                        SpoolPiece piece = new SpoolPiece();
                        piece.Plain = body;
                        piece.Count = body.Length;
                        piece.Ready = piece.Inline = true;
                        arrived.Enqueue(piece);
                    }
                    break;
                case 's':
                    SpoolPiece segment = Reference(Fields(body));
                    arrived.Enqueue(segment);
                    fetching.AddLast(segment);
                    Prefetch();
                    break;
                case 'i':
                    Replace(body);
                    break;
                case 'k':
                    Hello(Fields(body));
                    break;
                case 'u':
                    Offers(Json.Parse(Encoding.UTF8.GetString(body)) as List<object>);
                    break;
                case 'x':
                    ended = true;
                    aborted = aborted || Encoding.ASCII.GetString(body) == "abort";
                    break;
            }
        }

        static Dictionary<string, object> Fields(byte[] body)
        {
            return (Dictionary<string, object>)Json.Parse(Encoding.UTF8.GetString(body));
        }

        void Hello(Dictionary<string, object> fields)
        {
            object size;
            object proxy;
            if (fields.TryGetValue("segment", out size) && size is long)
            {
                segmentSize = (int)Math.Max(Spooled, Math.Min((long)size, 64 * 1024 * 1024));
            }
            fields.TryGetValue("proxy", out proxy);
            if (!(bool)fields["spool"])
            {
                return;
            }
            byte[] key = Convert.FromBase64String((string)fields["key"]);
            try
            {
                spool = new Spool(key, proxy as string, FirstSpoolWait, this);
                spooling = true;
            }
            catch (UriFormatException)
            {
                Unusable("the address of the proxy is none");
            }
        }

        void Offers(List<object> offers)
        {
            if (offers == null)
            {
                // The worker cannot use its spool any more.
                spooling = false;
                foreach (SpoolPiece piece in leaving)
                {
                    piece.Inline = !piece.Ready;
                }
                return;
            }
            foreach (List<object> offer in offers)
            {
                if (spool != null)
                {
                    spool.Offer((long)offer[0], (string)offer[1], offer.Count > 2);
                }
            }
        }

        static SpoolPiece Reference(Dictionary<string, object> fields)
        {
            SpoolPiece piece = new SpoolPiece();
            piece.Number = (long)fields["n"];
            piece.SealedSize = checked((int)(long)fields["size"]);
            piece.Count = checked((int)(long)fields["plain"]);
            piece.Url = (string)fields["url"];
            return piece;
        }

        // Fetches the next few segments, not more: they lie in memory until they are read.
        void Prefetch()
        {
            int count = 0;
            foreach (SpoolPiece piece in fetching)
            {
                if (!piece.Begun && !piece.Inline && spool != null)
                {
                    spool.Fetch(piece);
                }
                count++;
                if (count == MaxFetched)
                {
                    return;
                }
            }
        }

        // A part of a segment that could not be fetched.
        void Replace(byte[] body)
        {
            long number = 0;
            for (int i = 0; i < 8; i++)
            {
                number = number << 8 | body[i];
            }
            foreach (SpoolPiece piece in fetching)
            {
                if (piece.Number == number && !piece.Ready)
                {
                    piece.Inline = true;
                    if (piece.Plain == null)
                    {
                        piece.Plain = new byte[piece.Count];
                        piece.SealedSize = 0;
                    }
                    Buffer.BlockCopy(body, 8, piece.Plain, piece.SealedSize, body.Length - 8);
                    piece.SealedSize += body.Length - 8;
                    piece.Ready = piece.SealedSize == piece.Count;
                }
            }
        }

        int ReadInput(byte[] buffer, int offset, int count)
        {
            lock (gate)
            {
                while (arrived.Count == 0 || !arrived.Peek().Ready)
                {
                    if (gone || (arrived.Count == 0 && ended))
                    {
                        return 0;
                    }
                    Monitor.Wait(gate);
                }
                SpoolPiece piece = arrived.Peek();
                count = Math.Min(count, piece.Count - at);
                Buffer.BlockCopy(piece.Plain, at, buffer, offset, count);
                at += count;
                if (piece.Number == 0)
                {
                    unread -= count;
                    Acknowledge();
                }
                if (at == piece.Count)
                {
                    arrived.Dequeue();
                    at = 0;
                    if (piece.Number > 0)
                    {
                        fetching.RemoveFirst();
                        Prefetch();
                    }
                }
                return count;
            }
        }
    }
#pragma warning restore
}
