namespace Firstbell
{
    using System;
    using System.Globalization;
    using System.Security.Principal;

    // Makes the profile of somebody who has not signed in here yet, as the first sign-in would.
    public static class Profiles
    {
        const int AccessDenied = unchecked((int)0x80070005); // E_ACCESSDENIED
        const int AlreadyExists = unchecked((int)0x800700B7);

        // Returns {"home", "made"} as JSON. Throws RequestError no-account, denied or unsupported.
        public static string Make(string user)
        {
            if (string.IsNullOrEmpty(user))
            {
                throw new RequestError("bad-request", "whose profile?");
            }
            SecurityIdentifier sid = Resolve(user);
            string home = Owners.FromRegistry().Home(sid);
            if (home != null)
            {
                if (!IsThere(home))
                {
                    throw new RequestError(
                        "unsupported", "Windows knows a profile of '" + user + "', but its folder is gone: remove that profile");
                }
                return Answer(home, false);
            }
            int result;
            try
            {
                result = NativeWrite.MakeProfile(sid.Value, NameOf(user), out home);
            }
            catch (EntryPointNotFoundException)
            {
                throw new RequestError("unsupported", "this Windows cannot make a profile: it has no CreateProfile");
            }
            if (result == AccessDenied)
            {
                throw new RequestError("denied", "only an administrator can make a profile");
            }
            bool made = result == 0;
            home = made ? home : Owners.FromRegistry().Home(sid);
            if (home == null || (!made && result != AlreadyExists))
            {
                throw new RequestError("unsupported", string.Format(
                    CultureInfo.InvariantCulture, "Windows could not make the profile of '{0}' (0x{1:X8})", user, result));
            }
            return Answer(home, made);
        }

        static string Answer(string home, bool made)
        {
            return "{\"home\":" + Paths.Encode(Paths.FromWindows(home)) + ",\"made\":" + (made ? "true" : "false") + "}";
        }

        static SecurityIdentifier Resolve(string user)
        {
            try
            {
                return (SecurityIdentifier)new NTAccount(user).Translate(typeof(SecurityIdentifier));
            }
            catch (IdentityNotMappedException)
            {
                throw new RequestError("no-account", "this computer knows no account '" + user + "'");
            }
            catch (SystemException error)
            {
                // The domain does not answer, or the name is none.
                throw new RequestError("no-account", "the account '" + user + "' could not be looked up: " + error.Message);
            }
        }

        // The folder is called after it: of SCHOOL\a.ito and a.ito@school.example just a.ito.
        static string NameOf(string user)
        {
            string name = user.Substring(user.LastIndexOf('\\') + 1);
            int at = name.IndexOf('@');
            return at > 0 ? name.Substring(0, at) : name;
        }

        static bool IsThere(string home)
        {
            Standing there;
            try
            {
                there = Entries.At(home);
            }
            catch (Refused)
            {
                return true; // it cannot be looked at
            }
            return there != null && there.IsFolder;
        }
    }
}
