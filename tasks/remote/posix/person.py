"""Settings: a program of the worker, run as the person whose they are."""


class Person:
    """Runs the worker's program for settings (``posix_person.py``) as the person whose home it is, never as root.

    Only where the helper itself is that person, or root. A home that root owns, as on a test bench, is root's.
    """

    #: The program that was loaded last: its text, and its names.
    loaded = ("", {})

    def __init__(self, user, home):
        self.user = user
        self.home = home
        try:
            found = pwd.getpwnam(user)
            self.uid, self.gid = found.pw_uid, found.pw_gid
        except (KeyError, ValueError):
            found = None
            try:
                entry = os.stat(home)
            except OSError as error:
                raise RequestError("unreadable", "the home of %s: %s" % (user, os.strerror(error.errno or 0)))
            self.uid, self.gid = entry.st_uid, entry.st_gid
        self.known = found is not None
        if os.geteuid() not in (0, self.uid):
            raise RequestError("denied", "this account may not act as %s" % user)

    def become(self):
        if os.geteuid() == 0:
            if self.known:
                os.initgroups(self.user, self.gid)
            else:
                os.setgroups([self.gid])
            os.setgid(self.gid)
            os.setuid(self.uid)

    @classmethod
    def load(cls, program):
        """Return the names of a program. What it imports is loaded as who we are: the person may not be let into this
        Python's folder. Loaded once, since each request has a process of its own."""
        if cls.loaded[0] != program:
            names = {"__name__": "firstbell_settings"}
            try:
                exec(compile(program, "firstbell-settings", "exec"), names)
            except Exception as error:
                raise RequestError("internal", "the program for settings failed: %s" % error)
            cls.loaded = (program, names)
        return cls.loaded[1]

    def run(self, program, request, reply):
        """Yield what the program says, line by line."""
        names = self.load(program)
        given, feed = os.pipe()
        take, said = os.pipe()
        why, errors = os.pipe()
        # Not a new interpreter: ours may lie where the person may not look.
        pid = os.fork()
        if pid == 0:
            self.become_program(names, given, said, errors)
        for fd in (given, said, errors):
            os.close(fd)
        lines = queue.Queue()
        trouble = os.fdopen(why, "rb")
        threads = [
            threading.Thread(target=self.feed, args=(os.fdopen(feed, "wb"), request), daemon=True),
            threading.Thread(target=self.take, args=(os.fdopen(take, "rb"), lines), daemon=True),
        ]
        status = None
        try:
            for thread in threads:
                thread.start()
            while True:
                try:
                    line = lines.get(timeout=TICK)
                except queue.Empty:
                    reply.tick()
                    continue
                if line is None:
                    break
                yield line
            words = trouble.read(65536).decode("utf-8", "replace").strip()
            status = os.waitpid(pid, 0)[1]
            if status != 0:
                why = words[-500:] or "it ended with %d" % status
                raise RequestError("internal", "the program for settings failed: %s" % why)
        finally:
            trouble.close()
            if status is None:
                self.end(pid)

    @staticmethod
    def end(pid):
        """End the person's process: it is asked to first, since it ends what it runs then."""
        until = time.monotonic() + 3
        try:
            os.kill(pid, signal.SIGTERM)
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                if time.monotonic() >= until:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
        except OSError:
            pass  # it is gone

    def become_program(self, names, given, said, errors):
        """Be the person's process from here on; never returns."""
        code = 1
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            # Also over the streams of the frames, which are nobody else's.
            for source, target in ((given, 0), (said, 1), (errors, 2)):
                os.dup2(source, target)
            os.closerange(3, 4096)
            sys.stdin, sys.stdout = os.fdopen(0, "r"), os.fdopen(1, "w")
            self.become()
            os.chdir("/")
            names["main"]()
            sys.stdout.flush()
            code = 0
        except BaseException as error:
            os.write(2, ("%s: %s" % (type(error).__name__, error)).encode("utf-8", "replace"))
        finally:
            os._exit(code)

    @staticmethod
    def feed(stream, request):
        try:
            with stream:
                stream.write(encode_json(request).encode("ascii"))
        except OSError:
            pass  # it ended early: its exit code tells

    @staticmethod
    def take(stream, lines):
        with stream:
            for line in stream:
                lines.put(line)
        lines.put(None)
