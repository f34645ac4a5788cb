"""Files under their temporary names, and the calls of the system that give them others."""


class Libc:
    """Calls that Python does not have; each is None where the system has none."""

    def __init__(self):
        self.syncfs = self.rename_new = None
        try:
            import ctypes

            libc = ctypes.CDLL(None, use_errno=True)
        except (ImportError, OSError):
            return

        def checked(call, *arguments):
            if call(*arguments) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))

        # renameat2(2): RENAME_NOREPLACE is 1; renameatx_np(2) of macOS: RENAME_EXCL is 4.
        rename, flag = ("renameatx_np", 4) if MACOS else ("renameat2", 1)
        if hasattr(libc, rename):
            self.rename_new = lambda fd, old, new: checked(getattr(libc, rename), fd, old, fd, new, flag)
        if not MACOS and hasattr(libc, "syncfs"):
            self.syncfs = lambda fd: checked(libc.syncfs, fd)


class NewFile:
    """A file under its temporary name, until it is renamed."""

    def __init__(self, number, path):
        self.number = number
        self.path = path
        self.folder = b""  # real path of the folder that it is in
        self.temp = None
        self.fd = None
        self.device = 0
        self.size = 0
        self.hole = False  # whether the last bytes so far are a hole
        self.refusal = None
        self.expect = None
        self.announced = None  # the SHA-256 that the worker says it has
        self.sha256 = None  # the one it has, as it was read back
        self.detail = ""


#: Our temporary files, with the process that writes them.
TEMPORARY = re.compile(rb"\.firstbell-([0-9a-f]{8})-[0-9a-f]{16}\.tmp\Z")


class TemporaryNames:
    """Names for temporary files, none of them twice."""

    def __init__(self):
        self.start = b".firstbell-%08x-%s" % (os.getpid(), os.urandom(4).hex().encode("ascii"))
        self.number = 0

    def next(self):
        self.number += 1
        return b"%s%08x.tmp" % (self.start, self.number)


def lives(pid):
    """Tell whether a process runs, also somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            # One that has ended stays a zombie until init looks after it.
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return True  # not Linux
