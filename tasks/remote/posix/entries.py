"""What a host says about an entry: attributes, and rows of a folder."""


class LinuxXattrs:
    """Extended attributes by the system's own calls. Access lists are among them (``system.posix_acl_access``)."""

    UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS)

    def __init__(self):
        self.without = set()  # devices whose file systems have none

    def names(self, target, device):
        if device in self.without:
            return []
        try:
            return os.listxattr(target, follow_symlinks=isinstance(target, int))
        except OSError as error:
            if error.errno in self.UNSUPPORTED:
                self.without.add(device)
            return []

    def get(self, target, name):
        return os.getxattr(target, name, follow_symlinks=isinstance(target, int))

    def set(self, fd, name, value):
        os.setxattr(fd, name, value)

    def drop_access_lists(self, fd, device, named):
        """Remove access lists that a new entry has inherited from its folder, and that are not to be set."""
        for name in self.names(fd, device):
            if name.startswith("system.posix_acl_") and name not in named:
                os.removexattr(fd, name)


class MacXattrs:
    """Extended attributes of macOS, for which Python has no calls. Its access lists are not among them."""

    NOFOLLOW = 1  # XATTR_NOFOLLOW, <sys/xattr.h>

    def __init__(self):
        import ctypes

        self.ctypes = ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)
        for name in ("listxattr", "flistxattr", "getxattr", "fgetxattr"):
            getattr(self.libc, name).restype = ctypes.c_ssize_t

    def check(self, result):
        if result < 0:
            number = self.ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def names(self, target, device):
        size_t = self.ctypes.c_size_t
        by_fd = isinstance(target, int)
        call = self.libc.flistxattr if by_fd else self.libc.listxattr
        options = 0 if by_fd else self.NOFOLLOW
        try:
            size = self.check(call(target, None, size_t(0), options))
            if size == 0:
                return []
            buffer = self.ctypes.create_string_buffer(size)
            size = self.check(call(target, buffer, size_t(size), options))
        except OSError:
            return []
        return [os.fsdecode(name) for name in buffer.raw[:size].split(b"\0") if name]

    def get(self, target, name):
        size_t = self.ctypes.c_size_t
        zero = self.ctypes.c_uint32(0)
        by_fd = isinstance(target, int)
        call = self.libc.fgetxattr if by_fd else self.libc.getxattr
        options = 0 if by_fd else self.NOFOLLOW
        name = os.fsencode(name)
        size = self.check(call(target, name, None, size_t(0), zero, options))
        buffer = self.ctypes.create_string_buffer(size or 1)
        return buffer.raw[: self.check(call(target, name, buffer, size_t(size), zero, options))]

    def set(self, fd, name, value):
        name = os.fsencode(name)
        self.check(self.libc.fsetxattr(fd, name, value, self.ctypes.c_size_t(len(value)), self.ctypes.c_uint32(0), 0))

    def drop_access_lists(self, fd, device, named):
        pass


class NoXattrs:
    """For an interpreter without the calls."""

    def names(self, target, device):
        return []

    def get(self, target, name):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def set(self, fd, name, value):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def drop_access_lists(self, fd, device, named):
        pass


def xattr_calls():
    if hasattr(os, "listxattr"):
        return LinuxXattrs()
    try:
        return MacXattrs()
    except (ImportError, OSError, AttributeError):
        return NoXattrs()


class Rows:
    """Writes rows, and remembers which names of users and groups the worker knows already."""

    def __init__(self):
        self.xattrs = xattr_calls()
        self.names = {"users": {}, "groups": {}}
        self.fresh = {}

    def name_of(self, kind, number):
        try:
            name = pwd.getpwuid(number).pw_name if kind == "users" else grp.getgrgid(number).gr_name
        except (KeyError, OSError, OverflowError):
            name = ""
        self.names[kind][number] = name
        if name:
            self.fresh.setdefault(kind, {})[str(number)] = name

    def header(self, fields):
        """Return the header's fields with the names that are new."""
        if self.fresh:
            fields.update(self.fresh)
            self.fresh = {}
        return fields

    def row(self, name, place, entry, fd=None):
        """Return the row of an entry as JSON text, and what of it had to be left out (mostly an empty list).

        ``place`` is its path where that is short enough for the system, else None; ``fd`` is then the folder it is in.
        """
        mode = entry.st_mode
        kind = TYPES.get(stat.S_IFMT(mode), "other")
        target = xattrs = extra = None
        lost = []
        size = 0
        if kind == "file" or kind == "dir":
            if kind == "file":
                size = entry.st_size
            found, lost = self.xattrs_of(name, place, entry, fd)
            xattrs = found or None
        elif kind == "symlink":
            target = encode_path(os.readlink(name if fd is not None else place, dir_fd=fd))
        elif kind == "dev" or kind == "chardev":
            extra = {"rdev": entry.st_rdev}
        if entry.st_uid not in self.names["users"]:
            self.name_of("users", entry.st_uid)
        if entry.st_gid not in self.names["groups"]:
            self.name_of("groups", entry.st_gid)
        text = encode_json(
            (
                encode_path(name),
                kind,
                mode,
                entry.st_uid,
                entry.st_gid,
                size,
                entry.st_mtime_ns,
                entry.st_ctime_ns,
                entry.st_ino,
                entry.st_dev,
                entry.st_nlink,
                target,
                xattrs,
                extra,
            )
        )
        return text, lost

    def xattrs_of(self, name, place, entry, fd):
        if place is not None:
            return self.collect(place, entry)
        # Too long a path, and no call takes a folder and a name: open it, which needs the right to read it.
        try:
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        except OSError:
            return [], []
        try:
            return self.collect(opened, entry)
        finally:
            os.close(opened)

    def collect(self, target, entry):
        names = self.xattrs.names(target, entry.st_dev)
        if not names:
            return None, []
        found = []
        lost = []
        total = 0
        for name in names:
            try:
                value = self.xattrs.get(target, name)
            except OSError as error:
                if error.errno not in (errno.ENODATA, getattr(errno, "ENOATTR", errno.ENODATA)):
                    lost.append(("unreadable", "extended attribute %s: %s" % (name, os.strerror(error.errno or 0))))
                continue
            total += len(name) + len(value)
            if total > MAX_XATTRS:
                total -= len(name) + len(value)
                lost.append(("too-large", "extended attribute %s of %d bytes" % (name, len(value))))
                continue
            found.append((name, base64.b64encode(value).decode("ascii")))
        return found, lost
