namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Security.Cryptography;
    using System.Text;
    using System.Threading;
#pragma warning disable

    // Lines from the worker: each checked, put in order, and acknowledged when what it brought was read.
    public sealed partial class LineLink
    {
        void ReadLines()
        {
            byte[] buffer = new byte[MaxLine];
            int used = 0;
            bool tooLong = false;
            try
            {
                while (true)
                {
                    int count = stdin.Read(buffer, used, buffer.Length - used);
                    if (count <= 0)
                    {
                        Lose("the connection to the worker was closed");
                        return;
                    }
                    int start = 0;
                    int end = Array.IndexOf(buffer, (byte)'\n', used, count);
                    used += count;
                    while (end >= 0)
                    {
                        if (!tooLong)
                        {
                            TakeText(buffer, start, end);
                        }
                        tooLong = false;
                        start = end + 1;
                        end = Array.IndexOf(buffer, (byte)'\n', start, used - start);
                    }
                    Buffer.BlockCopy(buffer, start, buffer, 0, used - start);
                    used -= start;
                    if (used == buffer.Length)
                    {
                        // Damage: no line is as long. Its rest is not one either.
                        tooLong = true;
                        used = 0;
                    }
                }
            }
            catch (Exception error)
            {
                // Whatever happened, nothing more can be understood.
                Lose("the input failed: " + error.GetType().Name);
            }
        }

        // One line, if it is whole. The check is cut out by moving what stands before it over it.
        void TakeText(byte[] buffer, int start, int end)
        {
            if (end > start && buffer[end - 1] == '\r')
            {
                end--;
            }
            int second = Blank(buffer, start + 2, end);
            int third = Blank(buffer, second + 1, end);
            if (end - start < 16 || buffer[start + 1] != ' ' || second < 0 || third < 0 || third + 10 > end
                || buffer[third + 9] != ' ')
            {
                return;
            }
            long seq;
            long ack;
            if (!Digits(buffer, start + 2, second, out seq) || !Digits(buffer, second + 1, third, out ack))
            {
                return;
            }
            char kind = (char)buffer[start];
            string check = Encoding.ASCII.GetString(buffer, third + 1, 8);
            Buffer.BlockCopy(buffer, start, buffer, start + 9, third - start);
            lock (gate)
            {
                if (Check(buffer, start + 9, end - start - 9) != check)
                {
                    return;
                }
            }
            string text = Encoding.ASCII.GetString(buffer, third + 10, end - third - 10);
            byte[] body;
            try
            {
                body = text == "-" ? new byte[0] : Convert.FromBase64String(text);
            }
            catch (FormatException)
            {
                return;
            }
            Take(kind, seq, ack, body);
        }

        static int Blank(byte[] buffer, int start, int end)
        {
            // 20 digits at most stand between two blanks.
            return start <= 0 || start >= end ? -1 : Array.IndexOf(buffer, (byte)' ', start, Math.Min(20, end - start));
        }

        static bool Digits(byte[] buffer, int start, int end, out long number)
        {
            number = 0;
            for (int i = start; i < end; i++)
            {
                if (buffer[i] < '0' || buffer[i] > '9' || end - start > 18)
                {
                    return false;
                }
                number = number * 10 + buffer[i] - '0';
            }
            return end > start;
        }

        // With the gate held: the hash is one for both threads.
        string Check(byte[] buffer, int start, int count)
        {
            byte[] sum = hash.ComputeHash(buffer, start, count);
            return BitConverter.ToString(sum, 0, 4).Replace("-", "").ToLowerInvariant();
        }

        void Take(char kind, long seq, long ack, byte[] body)
        {
            lock (gate)
            {
                heard = clock.ElapsedMilliseconds;
                Acknowledged(ack);
                highest = Math.Max(highest, seq);
                long passed = before;
                if (Numbered.IndexOf(kind) < 0)
                {
                    ask = ask || (seq > last && passed <= last);
                    before = Math.Max(passed, seq);
                    Remarked(Encoding.ASCII.GetString(body));
                }
                else
                {
                    before = seq;
                    if (seq == last + 1)
                    {
                        InOrder(kind, body);
                    }
                    else if (seq <= last)
                    {
                        // The worker does not know that we have it.
                        answer = true;
                    }
                    else
                    {
                        // Asked for when the numbers jump over what is due, and so again whenever a replay does.
                        ask = ask || passed <= last || seq < passed;
                        if (!early.ContainsKey(seq) && earlySize < MaxEarly)
                        {
                            early[seq] = new KeyValuePair<char, byte[]>(kind, body);
                            earlySize += body.Length;
                        }
                    }
                }
                Monitor.PulseAll(gate);
            }
        }

        void InOrder(char kind, byte[] body)
        {
            if (acking == told)
            {
                owedSince = heard;
            }
            int count = 0;
            KeyValuePair<char, byte[]> line = new KeyValuePair<char, byte[]>(kind, body);
            do
            {
                last++;
                count++;
                untold += line.Value.Length;
                earlySize -= count > 1 ? line.Value.Length : 0;
                early.Remove(last);
                Act(line.Key, line.Value);
            }
            while (early.TryGetValue(last + 1, out line));
            // It is repeating what came early: let it know that we have that.
            answer = answer || count > 1;
            ask = ask && last < highest;
            askWait = ProbeAfter;
            asked = heard;
            Acknowledge();
        }

        void Remarked(string said)
        {
            if (said == "again")
            {
                next = 0;
            }
            answer = answer || said == "ack";
        }

        void Acknowledged(long ack)
        {
            int count = (int)Math.Min(Math.Max(0, ack - acked), lines.Count);
            if (count > 0)
            {
                for (int i = 0; i < count; i++)
                {
                    kept -= lines[i].Text.Length;
                }
                lines.RemoveRange(0, count);
                acked += count;
                next = Math.Max(0, next - count);
                probed = heard;
                probeWait = ProbeAfter;
            }
        }

        // What is not read is not acknowledged when it becomes much: so the worker waits.
        void Acknowledge()
        {
            if (unread <= MaxUnread && acking != last)
            {
                acking = last;
                Monitor.PulseAll(gate);
            }
        }
    }
#pragma warning restore
}
