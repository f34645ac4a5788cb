namespace Firstbell
{
    using System;
    using System.ComponentModel;

    // One request cannot be served; told by an `error` frame.
    public sealed class RequestError : Exception
    {
        public readonly string Code;

        public RequestError(string code, string message) : base(message)
        {
            Code = code;
        }
    }

    // The worker sent what the contract does not allow, or there is no need to go on: the helper ends.
    public sealed class ProtocolError : Exception
    {
        public ProtocolError(string message) : base(message)
        {
        }
    }

    // An entry cannot be read, and why. Reasons as SkipReason in tasks/events.py.
    public sealed class Skip : Exception
    {
        public readonly string Reason;
        public readonly string Detail;

        public Skip(string reason, string detail) : base(reason)
        {
            Reason = reason;
            Detail = detail;
        }

        // For an error number of Windows.
        public static Skip Of(int error)
        {
            return new Skip(Errors.ReadReason(error), Errors.Text(error));
        }
    }

    // Error numbers of Windows (winerror.h).
    public static class Errors
    {
        public const int FileNotFound = 2;
        public const int PathNotFound = 3;
        public const int AccessDenied = 5;
        public const int NoMoreFiles = 18;
        public const int SharingViolation = 32;
        public const int LockViolation = 33;
        public const int HandleEof = 38;
        public const int NotSupported = 50;
        public const int InvalidParameter = 87;
        public const int InvalidName = 123;
        public const int InvalidLevel = 124;
        public const int DirectoryName = 267;
        public const int NotAllAssigned = 1300;

        public static string ReadReason(int error)
        {
            switch (error)
            {
                case FileNotFound:
                case PathNotFound:
                case 15: // ERROR_INVALID_DRIVE
                case 21: // ERROR_NOT_READY: an empty card reader
                case InvalidName:
                case DirectoryName:
                case 303: // ERROR_DELETE_PENDING
                    return "vanished";
                case AccessDenied:
                case 1314: // ERROR_PRIVILEGE_NOT_HELD
                case 1920: // ERROR_CANT_ACCESS_FILE
                    return "denied";
                case 206: // ERROR_FILENAME_EXCED_RANGE
                    return "name";
            }
            return IsCloud(error) ? "cloud-only" : "unreadable";
        }

        // ERROR_CLOUD_FILE_PROVIDER_NOT_RUNNING and its kin: the content would have to come from the cloud.
        public static bool IsCloud(int error)
        {
            return (error >= 362 && error <= 398) || (error >= 404 && error <= 408) || error == 426 || error == 434;
        }

        public static string Text(int error)
        {
            switch (error)
            {
                case SharingViolation:
                    return "another program holds the file open and shares it with nobody";
                case LockViolation:
                    return "another program has locked a part of the file";
            }
            return new Win32Exception(error).Message;
        }
    }
}
