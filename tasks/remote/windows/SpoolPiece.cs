namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.IO;
    using System.Net;
    using System.Text.RegularExpressions;
    using System.Threading;
#pragma warning disable

    // A large piece of the byte stream that goes through the spool, one way or the other.
    public sealed class SpoolPiece
    {
        public long Number;
        // What it is before it is sealed, or after; while it is fetched, null.
        public byte[] Plain;
        public int Count;
        public int SealedSize;
        // It is stored; or its content is here.
        public bool Ready;
        // It goes through the link after all.
        public bool Inline;
        public string Url;
        internal bool Begun;
        internal bool Get;
    }

    // Whom the spool tells; any thread calls.
    public interface ISpoolOwner
    {
        void Stored(SpoolPiece piece);

        void Fetched(SpoolPiece piece, byte[] content);

        // Fresh URLs are wanted.
        void Want(long number, bool get, string why);

        // It cannot be used from here; nothing is stored or fetched any more.
        void Broken(string why);
    }

    // What a request to the spool came to. The text never has the URL in it, which is a credential.
    sealed class SpoolFailed : Exception
    {
        // The same URL may work later.
        public readonly bool Again;
        // Nothing answered there at all.
        public readonly bool NoAnswer;

        public SpoolFailed(string text, bool again, bool noAnswer) : base(text)
        {
            Again = again;
            NoAnswer = noAnswer;
        }
    }
#pragma warning restore
}
