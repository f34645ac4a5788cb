namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.IO;
    using System.Threading;
#pragma warning disable

    // Output on its way: gathered into pieces, which leave by lines or through the spool; and what the spool says of them.
    public sealed partial class LineLink
    {
        // What was flushed leaves; what is small waits for more as long as segments are under way.
        void Cut()
        {
            if (!due || current == null)
            {
                return;
            }
            bool large = spooling && current.Count >= Spooled;
            if (leaving.Count == 0 || (large && leaving.Count < 2))
            {
                Depart(large);
            }
        }

        void Depart(bool large)
        {
            SpoolPiece piece = current;
            current = null;
            due = false;
            piece.Inline = !large;
            leaving.AddLast(piece);
            if (large)
            {
                piece.Number = ++segments;
                spool.Store(piece);
            }
            Monitor.PulseAll(gate);
        }

        void WriteOutput(byte[] buffer, int offset, int count)
        {
            lock (gate)
            {
                while (count > 0)
                {
                    ThrowIfOver();
                    int largest = spooling ? segmentSize : InlinePiece;
                    if (current == null)
                    {
                        current = new SpoolPiece();
                        current.Plain = largest == segmentSize && spare.Count > 0 ? spare.Pop() : new byte[Spooled];
                    }
                    int room = largest - current.Count;
                    if (room <= 0)
                    {
                        if (leaving.Count < MaxLeaving)
                        {
                            Depart(spooling);
                        }
                        else
                        {
                            Monitor.Wait(gate);
                        }
                        continue;
                    }
                    int size = Math.Min(room, count);
                    Grow(current, current.Count + size, largest);
                    Buffer.BlockCopy(buffer, offset, current.Plain, current.Count, size);
                    current.Count += size;
                    offset += size;
                    count -= size;
                }
            }
        }

        static void Grow(SpoolPiece piece, int size, int largest)
        {
            if (size > piece.Plain.Length)
            {
                Array.Resize(ref piece.Plain, Math.Min(largest, Math.Max(size, 4 * piece.Plain.Length)));
            }
        }

        void FlushOutput()
        {
            lock (gate)
            {
                ThrowIfOver();
                if (current != null && current.Count > 0)
                {
                    due = true;
                    Monitor.PulseAll(gate);
                }
            }
        }

        void ThrowIfOver()
        {
            if (gone || closed || aborted)
            {
                throw new IOException(gone ? goneBecause : closed ? "the link is closed" : "the worker takes no more");
            }
        }

        void ISpoolOwner.Stored(SpoolPiece piece)
        {
            lock (gate)
            {
                piece.Ready = !piece.Inline;
                Monitor.PulseAll(gate);
            }
        }

        void ISpoolOwner.Fetched(SpoolPiece piece, byte[] content)
        {
            lock (gate)
            {
                if (!piece.Inline)
                {
                    piece.Plain = content;
                    piece.Ready = true;
                    Queue('n', "{\"got\":[" + piece.Number.ToString(CultureInfo.InvariantCulture) + "]}");
                }
            }
        }

        void ISpoolOwner.Want(long number, bool get, string why)
        {
            Dictionary<string, object> fields = new Dictionary<string, object>();
            fields[get ? "get" : "want"] = new long[] { number };
            fields["why"] = why;
            lock (gate)
            {
                Queue('n', Json.Write(fields));
            }
        }

        void ISpoolOwner.Broken(string why)
        {
            lock (gate)
            {
                spooling = false;
                foreach (SpoolPiece piece in leaving)
                {
                    piece.Inline = !piece.Ready;
                }
                foreach (SpoolPiece piece in fetching)
                {
                    piece.Inline = piece.Inline || !piece.Ready;
                }
                Unusable(why);
            }
        }

        void Unusable(string why)
        {
            Dictionary<string, object> fields = new Dictionary<string, object>();
            fields["broken"] = why;
            Queue('n', Json.Write(fields));
        }
    }
#pragma warning restore
}
