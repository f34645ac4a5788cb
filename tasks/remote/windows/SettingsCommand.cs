namespace Firstbell
{
    using System;
    using System.Collections.Generic;
    using System.Diagnostics;
    using System.Globalization;
    using System.IO;
    using System.Text;
    using System.Threading;

    // A command of the catalog, as the account of the helper, without a shell. It runs aside until it is asked for.
    public sealed class SettingsCommand
    {
        const int MaxOutput = 384 * 1024;
        const int MaxErrors = 4096;

        readonly string[] argv;
        readonly byte[] input;
        readonly int seconds;
        readonly Thread thread;
        Dictionary<string, object> answer;
        Refused refusal;

        public SettingsCommand(Dictionary<string, object> op)
        {
            argv = Server.Items(op["argv"]).ConvertAll<string>(delegate(object word) { return (string)word; }).ToArray();
            input = Convert.FromBase64String(WriteScope.Field(op, "input") as string ?? "");
            seconds = Convert.ToInt32(WriteScope.Field(op, "seconds") ?? 30);
            thread = new Thread(Work);
            thread.IsBackground = true;
            thread.Start();
        }

        // What it said, once it has ended.
        public Dictionary<string, object> Result(Action tick)
        {
            while (!thread.Join(1000))
            {
                tick();
            }
            if (refusal != null)
            {
                throw refusal;
            }
            return answer;
        }

        void Work()
        {
            try
            {
                answer = Run();
            }
            catch (Refused error)
            {
                refusal = error;
            }
            catch (Exception error)
            {
                // On a thread of its own it would end the helper.
                refusal = new Refused("unreadable", error.GetType().Name + ": " + error.Message);
            }
        }

        Dictionary<string, object> Run()
        {
            string program = Program(argv[0]);
            if (program == null)
            {
                throw new Refused("no-program", "there is no program '" + argv[0] + "' on this computer");
            }
            ProcessStartInfo start = new ProcessStartInfo(program, Line(argv));
            start.UseShellExecute = false;
            start.CreateNoWindow = true;
            start.WorkingDirectory = Environment.SystemDirectory;
            start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
            using (Process process = Process.Start(start))
            {
                MemoryStream said = new MemoryStream();
                MemoryStream errors = new MemoryStream();
                Thread output = Reading(process.StandardOutput.BaseStream, said, MaxOutput);
                Thread error = Reading(process.StandardError.BaseStream, errors, MaxErrors);
                Thread writing = Writing(process);
                bool ended = process.WaitForExit(1000 * seconds) && output.Join(2000);
                if (!ended)
                {
                    Kill(process);
                    throw new Refused("late", "'" + argv[0] + "' did not answer within " + seconds + " seconds");
                }
                error.Join(2000);
                writing.Join(2000);
                if (said.Length > MaxOutput)
                {
                    throw new Refused("too-large", "'" + argv[0] + "' said more than " + MaxOutput / 1000 + " kB");
                }
                Dictionary<string, object> told = new Dictionary<string, object>();
                told["exit"] = process.ExitCode;
                told["out"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(Text(said.ToArray())));
                told["err"] = Text(errors.ToArray()).Trim();
                return told;
            }
        }

        Thread Writing(Process process)
        {
            Stream into = process.StandardInput.BaseStream;
            return Started(delegate
            {
                into.Write(input, 0, input.Length);
                into.Close();
            });
        }

        // Reads to the end, and keeps a little more than the most: so that too much is seen, and nobody waits to be read.
        static Thread Reading(Stream from, MemoryStream into, int most)
        {
            return Started(delegate
            {
                byte[] piece = new byte[8192];
                int count;
                while ((count = from.Read(piece, 0, piece.Length)) > 0)
                {
                    if (into.Length <= most)
                    {
                        into.Write(piece, 0, count);
                    }
                }
            });
        }

        static Thread Started(Action work)
        {
            Thread thread = new Thread(delegate()
            {
                try
                {
                    work();
                }
                catch (IOException)
                {
                    // The other side has ended.
                }
                catch (ObjectDisposedException)
                {
                    // The same.
                }
            });
            thread.IsBackground = true;
            thread.Start();
            return thread;
        }

        static void Kill(Process process)
        {
            string killer = Path.Combine(Environment.SystemDirectory, "taskkill.exe");
            try
            {
                if (File.Exists(killer))
                {
                    ProcessStartInfo start = new ProcessStartInfo(killer, "/T /F /PID " + process.Id);
                    start.UseShellExecute = false;
                    start.CreateNoWindow = true;
                    using (Process kill = Process.Start(start))
                    {
                        kill.WaitForExit(5000);
                    }
                }
                if (!process.HasExited)
                {
                    process.Kill();
                }
            }
            catch (SystemException)
            {
                // It has ended just now: InvalidOperation or Win32 errors.
            }
        }

        // Programs of Windows by their names, others by their whole paths (/C/... or C:\...): PATH is the account's own.
        static string Program(string name)
        {
            string file = name.EndsWith(".exe", StringComparison.OrdinalIgnoreCase) ? name : name + ".exe";
            if (name.StartsWith("/", StringComparison.Ordinal))
            {
                string place = Paths.Live(file);
                file = place == null ? file : place.Substring(4);
            }
            if (file.IndexOfAny(new char[] { '\\', '/', ':' }) >= 0)
            {
                return Path.IsPathRooted(file) && File.Exists(file) ? file : null;
            }
            string system = Environment.SystemDirectory;
            string windows = Environment.GetEnvironmentVariable("SystemRoot") ?? "C:\\Windows";
            foreach (string folder in new string[]
            {
                system, windows, Path.Combine(system, "Wbem"), Path.Combine(system, "WindowsPowerShell\\v1.0")
            })
            {
                string path = Path.Combine(folder, file);
                if (File.Exists(path))
                {
                    return path;
                }
            }
            return null;
        }

        // Arguments as programs take them apart again (CommandLineToArgvW).
        public static string Line(string[] argv)
        {
            StringBuilder line = new StringBuilder();
            for (int index = 1; index < argv.Length; index++)
            {
                string word = argv[index];
                line.Append(index > 1 ? " " : "");
                if (word.Length > 0 && word.IndexOfAny(new char[] { ' ', '\t', '\n', '"' }) < 0)
                {
                    line.Append(word);
                    continue;
                }
                line.Append('"');
                int slashes = 0;
                foreach (char c in word)
                {
                    if (c == '"')
                    {
                        line.Append('\\', slashes + 1);
                    }
                    slashes = c == '\\' ? slashes + 1 : 0;
                    line.Append(c);
                }
                line.Append('\\', slashes).Append('"');
            }
            return line.ToString();
        }

        // Programs write in UTF-8 or, most of them, in the code page of the console.
        static string Text(byte[] said)
        {
            string text;
            try
            {
                text = new UTF8Encoding(false, true).GetString(said);
            }
            catch (ArgumentException)
            {
                text = Console(said);
            }
            return text.Replace("\r\n", "\n");
        }

        static string Console(byte[] said)
        {
            try
            {
                return Encoding.GetEncoding(CultureInfo.CurrentCulture.TextInfo.OEMCodePage).GetString(said);
            }
            catch (SystemException)
            {
                return Encoding.GetEncoding(28591).GetString(said); // that code page is not here
            }
        }
    }
}
