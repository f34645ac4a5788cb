namespace Firstbell
{
    using System;
    using System.ComponentModel;
    using System.Globalization;

    // A path cannot be written, and why: Reason is one of PROTOCOL.md's, Message what a person reads.
    public sealed class Refused : Exception
    {
        public readonly string Reason;
        public readonly int Code; // of Windows; 0 when it is not Windows that refused

        public Refused(string reason, string detail)
            : this(reason, detail, 0)
        {
        }

        Refused(string reason, string detail, int code)
            : base(detail)
        {
            Reason = reason;
            Code = code;
        }

        // What an error of Windows (winerror.h) means for a path that is written.
        public static Refused Of(int code)
        {
            return new Refused(ReasonOf(code), WordsOf(code), code);
        }

        // The same for what .NET throws: the low half of its HResult is the error of Windows.
        public static Refused Of(Exception error)
        {
            Refused refused = error as Refused;
            if (refused != null)
            {
                return refused;
            }
            if (((uint)error.HResult & 0xFFFF0000) == 0x80070000)
            {
                return Of(error.HResult & 0xFFFF);
            }
            return new Refused("unreadable", error.GetType().Name + ": " + error.Message);
        }

        static string ReasonOf(int code)
        {
            switch (code)
            {
                case 2: // ERROR_FILE_NOT_FOUND
                case 3: // ERROR_PATH_NOT_FOUND
                case 267: // ERROR_DIRECTORY: it is no folder
                    return "vanished";
                case 5: // ERROR_ACCESS_DENIED
                case 19: // ERROR_WRITE_PROTECT
                case 32: // ERROR_SHARING_VIOLATION
                case 33: // ERROR_LOCK_VIOLATION
                case 1224: // ERROR_USER_MAPPED_FILE
                case 1307: // ERROR_INVALID_OWNER
                case 1314: // ERROR_PRIVILEGE_NOT_HELD
                    return "denied";
                case 39: // ERROR_HANDLE_DISK_FULL
                case 112: // ERROR_DISK_FULL
                case 223: // ERROR_FILE_TOO_LARGE
                case 1295: // ERROR_DISK_QUOTA_EXCEEDED
                    return "no-space";
                case 80: // ERROR_FILE_EXISTS
                case 145: // ERROR_DIR_NOT_EMPTY
                case 183: // ERROR_ALREADY_EXISTS
                    return "conflict";
                case 1: // ERROR_INVALID_FUNCTION
                case 17: // ERROR_NOT_SAME_DEVICE
                case 50: // ERROR_NOT_SUPPORTED
                case 120: // ERROR_CALL_NOT_IMPLEMENTED
                case 123: // ERROR_INVALID_NAME
                case 161: // ERROR_BAD_PATHNAME
                case 206: // ERROR_FILENAME_EXCED_RANGE
                case 1142: // ERROR_TOO_MANY_LINKS
                    return "unsupported";
                default:
                    return "unreadable";
            }
        }

        static string WordsOf(int code)
        {
            switch (code)
            {
                case 5:
                    return "access is denied";
                case 32:
                case 33:
                case 1224:
                    return "another program has it open";
                case 39:
                case 112:
                    return "the disk is full";
                case 145:
                    return "the folder is not empty";
                case 123:
                    return "Windows cannot hold this name";
                case 1314:
                    return "the account lacks the privilege for this";
                default:
                    return string.Format(
                        CultureInfo.InvariantCulture, "{0} ({1})", new Win32Exception(code).Message.TrimEnd('.'), code);
            }
        }
    }
}
