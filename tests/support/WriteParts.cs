namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Globalization;
    using System.Security.Principal;

    // What the writing side decides without asking Windows, for tests: each line of input is a call as JSON, [name,
    // argument, ...]; each line of output what it gives.
    static class WriteParts
    {
        static readonly Claims claims = new Claims();

        static int Main()
        {
            string line;
            while ((line = Console.In.ReadLine()) != null)
            {
                string answer;
                try
                {
                    answer = Json.Write(Call((List<object>)Json.Parse(line)));
                }
                catch (Refused refused)
                {
                    answer = Json.Write(new string[] { refused.Reason, refused.Message });
                }
                Console.Out.WriteLine(answer);
            }
            return 0;
        }

        static object Call(List<object> call)
        {
            string one = call[1] as string;
            string other = call.Count > 2 ? call[2] as string : null;
            switch ((string)call[0])
            {
                case "local":
                    return WritePath.Local(call[1]);
                case "parent":
                    return WritePath.Parent(one);
                case "name":
                    return WritePath.Name(one);
                case "within":
                    return WritePath.Within(one, other);
                case "moved":
                    return WritePath.Moved(one, other, (string)call[3]);
                case "reason":
                    return Refused.Of((int)(long)call[1]).Reason;
                case "run-of":
                    return Temporary.RunOf(one);
                case "claim":
                    claims.Add(one, other);
                    return null;
                case "other":
                    return claims.Other(one, other);
                case "forget":
                    claims.Forget(one);
                    return null;
                case "agrees":
                    return Standing.Agrees(StandingOf(call[1] as List<object>), call[2]);
                case "kind":
                    return StandingOf((List<object>)call[1]).Kind;
                case "filetime":
                    return Standing.FromUnix((long)call[1]);
                case "attributes":
                    Dictionary<string, object> meta = (Dictionary<string, object>)call[2];
                    object windows;
                    meta.TryGetValue("windows", out windows);
                    return Meta.AttributesOf((uint)(long)call[1], meta, windows as Dictionary<string, object>);
                case "junction":
                    return Convert.ToBase64String(NewLink.Buffer(one));
                case "leads-to":
                    Dictionary<string, object> told = new Dictionary<string, object>();
                    told["windows"] = call[3];
                    return new NewLink(one, told).IsIn(Convert.FromBase64String(other));
                case "access":
                    return Access(one, other, (List<object>)call[3]);
            }
            throw new ArgumentException("no such call");
        }

        // [attributes, tag, size, FILETIME of the last write]
        static Standing StandingOf(List<object> fields)
        {
            if (fields == null)
            {
                return null;
            }
            Standing standing = new Standing();
            standing.Attributes = Convert.ToUInt32(fields[0], CultureInfo.InvariantCulture);
            standing.Tag = Convert.ToUInt32(fields[1], CultureInfo.InvariantCulture);
            standing.Size = (long)fields[2];
            standing.Written = (long)fields[3];
            return standing;
        }

        static object Access(string descriptor, string owner, List<object> known)
        {
            AccessLists lists = AccessLists.Of(
                Convert.FromBase64String(descriptor),
                owner == null ? null : new SecurityIdentifier(owner),
                delegate(SecurityIdentifier sid) { return known.Contains(sid.Value); });
            string entries = lists.Entries == null ? null : Convert.ToBase64String(lists.Entries);
            return new object[] { entries, lists.Closed, lists.Unknown };
        }
    }
}
