namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.IO;
    using System.Text;
    using System.Threading;
#pragma warning disable

    // Lines to the worker: numbered, kept until they are acknowledged, repeated on demand.
    public sealed partial class LineLink
    {
        // With the gate held.
        void Queue(char kind, string document)
        {
            QueueBytes(kind, Encoding.ASCII.GetBytes(document), 0, document.Length);
        }

        void QueueBytes(char kind, byte[] body, int offset, int count)
        {
            if (lines.Count == 0)
            {
                probed = clock.ElapsedMilliseconds;
            }
            Sent line = new Sent();
            line.Text = Encode(kind, acked + lines.Count + 1, body, offset, count);
            line.Ack = acking;
            lines.Add(line);
            kept += line.Text.Length;
            Monitor.PulseAll(gate);
        }

        byte[] Encode(char kind, long seq, byte[] body, int offset, int count)
        {
            string head = string.Format(CultureInfo.InvariantCulture, "{0} {1} {2}", kind, seq, acking);
            string content = count == 0 ? "-" : Convert.ToBase64String(body, offset, count);
            byte[] text = new byte[head.Length + content.Length + 11];
            // First without the check, at the end of the room: what is hashed is one piece then.
            int start = text.Length - 1 - content.Length - 1 - head.Length;
            Encoding.ASCII.GetBytes(head, 0, head.Length, text, start);
            text[start + head.Length] = (byte)' ';
            Encoding.ASCII.GetBytes(content, 0, content.Length, text, start + head.Length + 1);
            string check = Check(text, start, text.Length - 1 - start);
            Encoding.ASCII.GetBytes(head + " " + check, 0, head.Length + 9, text, 0);
            text[text.Length - 1] = (byte)'\n';
            return text;
        }

        void WriteLines()
        {
            MemoryStream batch = new MemoryStream();
            try
            {
                while (true)
                {
                    lock (gate)
                    {
                        batch.SetLength(0);
                        Cut();
                        Fill();
                        Gather(batch);
                        if (batch.Length == 0)
                        {
                            if (gone || closed)
                            {
                                return;
                            }
                            bool busy = lines.Count > 0 || last < highest || acking != told;
                            Monitor.Wait(gate, busy ? Tick : Math.Min(IdleTick, HeartbeatAfter));
                            continue;
                        }
                        written = clock.ElapsedMilliseconds;
                    }
                    stdout.Write(batch.GetBuffer(), 0, (int)batch.Length);
                    stdout.Flush();
                }
            }
            catch (Exception error)
            {
                Lose("the output failed: " + error.GetType().Name);
            }
        }

        void Fill()
        {
            while (leaving.Count > 0 && kept < Window)
            {
                SpoolPiece piece = leaving.First.Value;
                if (piece.Inline)
                {
                    int count = Math.Min(LinePiece, piece.Count - leftAt);
                    QueueBytes('d', piece.Plain, leftAt, count);
                    leftAt += count;
                    if (leftAt < piece.Count)
                    {
                        continue;
                    }
                    leftAt = 0;
                }
                else if (piece.Ready)
                {
                    Dictionary<string, object> fields = new Dictionary<string, object>();
                    fields["n"] = piece.Number;
                    fields["size"] = piece.SealedSize;
                    fields["plain"] = piece.Count;
                    Queue('s', Json.Write(fields));
                    if (piece.Plain.Length == segmentSize && spare.Count < MaxLeaving)
                    {
                        spare.Push(piece.Plain);
                    }
                }
                else
                {
                    return;
                }
                leaving.RemoveFirst();
                Monitor.PulseAll(gate);
                Cut();
            }
        }

        void Gather(MemoryStream batch)
        {
            long now = clock.ElapsedMilliseconds;
            while (next < lines.Count && batch.Length < Batch)
            {
                Sent line = lines[next++];
                batch.Write(line.Text, 0, line.Text.Length);
                told = Math.Max(told, line.Ack);
            }
            string remark = Remark(now, batch.Length > 0);
            if (remark != null)
            {
                byte[] body = Encoding.ASCII.GetBytes(remark);
                byte[] text = Encode('a', acked + next, body, 0, body.Length);
                batch.Write(text, 0, text.Length);
                told = acking;
            }
            if (told == acking)
            {
                untold = 0;
            }
        }

        // What is to be remarked now, or null.
        string Remark(long now, bool others)
        {
            if (last < highest && now - asked >= askWait)
            {
                askWait = Math.Min(2 * askWait, LongestProbe);
                ask = true;
            }
            if (ask)
            {
                ask = false;
                asked = now;
                return "again";
            }
            bool owed = acking != told && (untold >= MaxUntold || now - owedSince >= AcknowledgeAfter);
            if (answer || owed)
            {
                answer = false;
                return "";
            }
            if (next > 0 && next == lines.Count && now - probed >= probeWait)
            {
                probeWait = Math.Min(2 * probeWait, LongestProbe);
                probed = now;
                return "ack";
            }
            return !others && now - written >= HeartbeatAfter ? "" : null;
        }
    }
#pragma warning restore
}
