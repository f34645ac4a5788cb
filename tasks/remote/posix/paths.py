"""Paths: as the worker names them, and opened without following a link."""


def encode_path(path):
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(path).decode("ascii")}


def decode_path(value):
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        return base64.b64decode(value["b64"])
    raise RequestError("bad-request", "not a path: %r" % (value,))


def parts_of(path):
    """Return the names in an absolute path; refuse one that is not plain."""
    if not path.startswith(b"/") or b"\0" in path:
        raise RequestError("bad-request", "not an absolute path: %r" % path[:200])
    parts = [part for part in path.split(b"/") if part]
    if b"." in parts or b".." in parts:
        raise RequestError("bad-request", "a path with dots: %r" % path[:200])
    return parts


def join(folder, name):
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def split(path):
    folder, _, name = path.rpartition(b"/")
    return folder or b"/", name


def open_far(path, flags):
    """Open a folder by an absolute path of any length, without following a symlink anywhere in it.

    A user could put a symlink in the place of a folder while root is on the way into it.
    """
    if len(path) <= MAX_PATH:
        fd = os.open(path, O_FOLDER | O_NOFOLLOW_ANY | flags)
        try:
            refuse_elsewhere(fd, path)
        except BaseException:
            os.close(fd)
            raise
        return fd
    fd = os.open(b"/", O_FOLDER | O_PATH)
    parts = parts_of(path)
    for index, part in enumerate(parts):
        above = fd
        try:
            fd = os.open(part, O_FOLDER | (flags if index == len(parts) - 1 else O_PATH), dir_fd=above)
        finally:
            os.close(above)
    return fd


def refuse_elsewhere(fd, path):
    """Raise ``OSError`` when what was opened is not at this path: a symlink was on the way. Linux knows."""
    if MACOS:
        return  # O_NOFOLLOW_ANY has seen to it
    try:
        there = os.readlink(b"/proc/self/fd/%d" % fd)
    except OSError:
        return  # no /proc
    if there != path and there.startswith(b"/"):
        raise OSError(errno.ELOOP, "a symlink is in the path")


class Place:
    """A path as the system takes it: itself, or for a long one its name and an open folder. A context manager."""

    def __init__(self, path):
        self.fd = None
        self.name = path
        self.path = path

    def __enter__(self):
        if len(self.path) > MAX_PATH:
            folder, self.name = split(self.path)
            self.fd = open_far(folder, O_PATH)
        return self

    def __exit__(self, *_):
        if self.fd is not None:
            os.close(self.fd)


def lstat(path):
    with Place(path) as place:
        return os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)


def realpath(path):
    """Return where a path leads; unlike ``os.path.realpath`` a loop is an error, and what is not there is kept."""
    done = b"/"
    todo = [part for part in path.split(b"/") if part and part != b"."]
    links = 0
    while todo:
        name = todo.pop(0)
        if name == b"..":
            done = split(done)[0]
            continue
        step = join(done, name)
        try:
            with Place(step) as place:
                target = os.readlink(place.name, dir_fd=place.fd)
        except OSError:
            done = step
            continue
        links += 1
        if links > 40:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith(b"/"):
            done = b"/"
        todo[:0] = [part for part in target.split(b"/") if part and part != b"."]
    return done


def within(path, folder):
    return path == folder or folder == b"/" or path.startswith(folder + b"/")


def output_of(*argv):
    """Return what a program of the system says; nothing when it fails."""
    import subprocess

    try:
        return subprocess.check_output(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return b""


def wake(folder):
    """Have a folder mounted that its system mounts when it is opened, such as a home on a file server."""
    try:
        with Place(folder) as place:
            os.close(os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place.fd))
    except OSError:
        pass  # not a folder, or closed to us: the walk will tell


class Mounts:
    """The file systems of this host: where they are mounted, and of what type."""

    VIRTUAL = frozenset(
        "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devfs devpts devtmpfs efivarfs fdescfs fuse.gvfsd-fuse "
        "fuse.lxcfs fuse.portal fusectl hugetlbfs mqueue nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs "
        "tracefs".split()
    )

    def __init__(self):
        self.types = {}
        try:
            if MACOS:
                self.read_macos()
            else:
                self.read_linux()
        except (OSError, ValueError, IndexError):
            pass  # then every change of device counts as another file system

    def read_linux(self):
        with open("/proc/self/mountinfo", "rb") as file:
            for line in file:
                fields = line.split()
                # proc(5): field 5 is the mount point, with octal escapes; the type comes after a lone hyphen.
                point = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8)]), fields[4])
                self.types[point] = fields[fields.index(b"-", 6) + 1].decode("ascii", "replace")

    def read_macos(self):
        for line in output_of("/sbin/mount").splitlines():
            match = re.match(rb".+? on (/.*) \(([a-z0-9_]+)[,)]", line)
            if match:
                self.types[match.group(1)] = match.group(2).decode("ascii")

    def virtual(self, point):
        """Return whether a virtual file system is mounted at this path."""
        return self.types.get(point, "") in self.VIRTUAL

    def virtual_around(self, path):
        """Return whether this path lies in a virtual file system."""
        while path not in self.types and path != b"/":
            path = split(path)[0]
        return self.virtual(path)

    def foreign(self, path):
        """Return whether another file system is mounted at a path whose device is not that of its folder."""
        return path in self.types or not self.types
