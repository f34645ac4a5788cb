namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.IO;
    using System.Text;
    using System.Threading;

    // Fields of a header, written as JSON text.
    public sealed class Fields
    {
        readonly StringBuilder text = new StringBuilder();

        public Fields Add(string name, string value)
        {
            Name(name);
            Json.Write(value, text);
            return this;
        }

        public Fields Add(string name, long value)
        {
            Name(name);
            text.Append(value.ToString(CultureInfo.InvariantCulture));
            return this;
        }

        public Fields Add(string name, bool value)
        {
            Name(name);
            text.Append(value ? "true" : "false");
            return this;
        }

        // A value that is JSON text already.
        public Fields AddJson(string name, string json)
        {
            Name(name);
            text.Append(json);
            return this;
        }

        void Name(string name)
        {
            text.Append(",\"").Append(name).Append("\":");
        }

        public override string ToString()
        {
            return text.ToString();
        }
    }

    // The answer to one request: numbers its frames.
    public sealed class Reply
    {
        // JSON payloads end here: what is added last may be large.
        public const int SoftPayload = 640 * 1024;
        static readonly TimeSpan Tick10 = TimeSpan.FromSeconds(10);
        // Once the input is over nobody may want this answer; but what is asked and read at once is still served.
        static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

        public readonly Output Output;
        readonly FrameReader source;
        long number;
        long seq;

        public Reply(Output output, FrameReader source, long number)
        {
            Output = output;
            this.source = source;
            Renumber(number);
        }

        // Go on as the answer to another request: the next page.
        public void Renumber(long id)
        {
            number = id;
            seq = 0;
        }

        public void Send(string kind, Fields fields)
        {
            Header(kind, fields, 0);
        }

        public void Send(string kind, Fields fields, Piece payload)
        {
            Header(kind, fields, payload.Count);
            Output.Add(payload);
        }

        // The payload is ASCII text.
        public void SendText(string kind, Fields fields, string payload)
        {
            byte[] bytes = Encoding.ASCII.GetBytes(payload);
            Header(kind, fields, bytes.Length);
            Output.Add(bytes, 0, bytes.Length);
        }

        void Header(string kind, Fields fields, int length)
        {
            StringBuilder line = new StringBuilder(128);
            line.Append("{\"t\":\"").Append(kind).Append("\",\"id\":").Append(number).Append(",\"seq\":").Append(seq++);
            if (fields != null)
            {
                line.Append(fields.ToString());
            }
            if (length > 0)
            {
                line.Append(",\"length\":").Append(length);
            }
            line.Append("}\n");
            if (line.Length > Frame.MaxHeader || length > Frame.MaxPayload)
            {
                throw new RequestError("too-large", "a header of " + line.Length + " or a payload of " + length + " bytes");
            }
            byte[] bytes = Encoding.ASCII.GetBytes(line.ToString());
            Output.Add(bytes, 0, bytes.Length);
        }

        // Items in as few frames as they fit: each text is one element of a JSON array.
        public void SendItems(IEnumerable<string> texts)
        {
            StringBuilder array = new StringBuilder("[");
            foreach (string text in texts)
            {
                if (array.Length > 1 && array.Length + text.Length > SoftPayload)
                {
                    SendText("item", null, array.Append(']').ToString());
                    array = new StringBuilder("[");
                }
                if (array.Length > 1)
                {
                    array.Append(',');
                }
                array.Append(text);
            }
            if (array.Length > 1)
            {
                SendText("item", null, array.Append(']').ToString());
            }
        }

        public void Finish(bool more)
        {
            Send("done", more ? new Fields().Add("more", true) : null);
            Output.Flush();
        }

        public void Fail(string code, string message)
        {
            seq = -1; // an error may follow any frame of its answer
            Send("error", new Fields().Add("code", code).Add("message", message.Length > 2000 ? message.Substring(0, 2000) : message));
            Output.Flush();
        }

        // Tell that we are alive, when nothing was sent for a while. Throws ProtocolError when nobody is there any more.
        public void Tick()
        {
            if (Output.Quiet > Tick10)
            {
                Send("progress", null);
                Output.Flush();
            }
            if (source != null && source.Over() > Patience)
            {
                throw new ProtocolError("the input ended while a request was served");
            }
        }
    }
}
