"""Writing: under temporary names, each file proven before it gets its own; and removing what we made."""


class Writer:
    """Writes what ``allow-write`` permits; nothing before it."""

    #: Up to so many files of a commit are made durable one by one, more by one syncfs. Measured on ext4, 2,000 small
    #: files: 0.43 s one by one, 0.024 s by syncfs, on a virtual disk; a real one takes 5-10 ms for each. But syncfs
    #: also waits for all that others have written.
    ONE_BY_ONE = 8
    FOLDERS = 64
    #: What macOS alone sets, anew on each computer.
    UNSETTABLE = ("com.apple.macl", "com.apple.provenance", "com.apple.rootless")

    def __init__(self):
        self.roots = None  # [(as given, real)]
        self.folders = {}  # real path -> open folder, least recently used first
        self.loosened = {}  # real path -> the mode to put back
        self.swept = set()  # real paths of folders without leavings of the dead
        self.files = {}
        self.finished = []
        self.dirty = set()  # folders with new names that are not durable yet
        self.xattrs = xattr_calls()
        self.libc = None
        self.ids = {}
        self.pool = []  # of Buffers
        self.names = TemporaryNames()
        self.guard = threading.RLock()  # a commit goes on while the next files arrive: for folders, files, loosened
        self.running = None  # the thread of that commit
        self.ended = False

    def allow(self, roots):
        self.libc = self.libc or Libc()
        given = [b"/" + b"/".join(parts_of(decode_path(root))) for root in roots]
        self.close_folders()
        self.roots = sorted(((root, realpath(root)) for root in given), key=lambda pair: -len(pair[0]))

    def require(self):
        if self.roots is None:
            raise RequestError("refused", "writing is not allowed yet")

    # ---- folders

    def place(self, path):
        """Return an open folder, its real path, and the name in it, for a path inside the roots."""
        if self.roots is None:
            raise Refused("outside", "writing is not allowed yet")
        try:
            path = b"/" + b"/".join(parts_of(path))
        except RequestError as error:
            raise Refused("outside", str(error))
        for given, real in self.roots:
            if path == given:
                folder, name = split(real)
                return self.opened(folder, real), folder, name or b"."
        folder, name = split(path)
        # As a path without symlinks first; when one is in the way, by where it leads.
        for given, real in self.roots:
            if within(folder, given):
                try:
                    inside = real if folder == given else join(real, folder[len(given) :].lstrip(b"/"))
                    return self.opened(inside, real), inside, name
                except OSError as error:
                    if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                        raise
        resolved = realpath(folder)
        for _, real in self.roots:
            if within(resolved, real):
                return self.opened(resolved, real), resolved, name
        raise Refused("outside", "not below a folder that the plan allows")

    def opened(self, path, root):
        """Return the open folder of a real path below a root, reached without following a symlink."""
        fd = self.folders.pop(path, None)
        if fd is None:
            fd = self.reach(path, root)
            while len(self.folders) >= self.FOLDERS:
                os.close(self.folders.pop(next(iter(self.folders))))
        self.folders[path] = fd
        return fd

    def reach(self, path, root):
        start = path
        while start not in self.folders and start != root and within(start, root) and start != b"/":
            start = split(start)[0]
        if start in self.folders:
            fd = os.dup(self.folders[start])
        elif within(path, root):
            start = root
            fd = open_far(root, os.O_RDONLY)
        else:
            return open_far(path, os.O_RDONLY)  # the folder that a root lies in
        for part in path[len(start) :].split(b"/"):
            if part:
                above = fd
                try:
                    fd = self.step(above, part, start)
                finally:
                    os.close(above)
                start = join(start, part)
        return fd

    def step(self, fd, name, path):
        try:
            return os.open(name, O_FOLDER | os.O_RDONLY, dir_fd=fd)
        except PermissionError:
            entry = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISDIR(entry.st_mode):
                raise
            if entry.st_uid == os.geteuid() and entry.st_mode & 0o700 != 0o700:
                self.loosened.setdefault(join(path, name), stat.S_IMODE(entry.st_mode))
                os.chmod(name, stat.S_IMODE(entry.st_mode) | 0o700, dir_fd=fd)
                return os.open(name, O_FOLDER | os.O_RDONLY, dir_fd=fd)
            return os.open(name, O_FOLDER | O_PATH, dir_fd=fd)  # one may pass through it

    def in_folder(self, fd, folder, call):
        """Do what needs a writable folder; when ours is not, make it so until the request is done."""
        try:
            return call()
        except PermissionError:
            entry = os.fstat(fd)
            if entry.st_uid != os.geteuid() or entry.st_mode & 0o700 == 0o700:
                raise
            self.loosened.setdefault(folder, stat.S_IMODE(entry.st_mode))
            os.fchmod(fd, stat.S_IMODE(entry.st_mode) | 0o700)
            return call()

    def tighten(self):
        """Put back the modes of folders that were made writable."""
        loosened, self.loosened = self.loosened, {}
        for folder in sorted(loosened, key=len, reverse=True):
            try:
                fd = self.folders.get(folder)
                if fd is not None:
                    os.fchmod(fd, loosened[folder])
                else:
                    with Place(folder) as place:
                        if stat.S_ISDIR(os.stat(place.name, dir_fd=place.fd, follow_symlinks=False).st_mode):
                            os.chmod(place.name, loosened[folder], dir_fd=place.fd)
            except OSError:
                continue  # gone, or not ours any more

    def close_folders(self):
        for fd in self.folders.values():
            os.close(fd)
        self.folders = {}

    # ---- files

    def write(self, header, payload):
        file = self.files.get(header["file"])
        if file is None:
            file = self.begin(header)
        if file.refusal is None:
            try:
                self.append(file, payload, int(header.get("zero", 0)))
            except OSError as error:
                self.refuse(file, refusal_of(error))

    def begin(self, header):
        if "path" not in header:
            raise ProtocolError("the first frame of a file has no path")
        file = NewFile(header["file"], decode_path(header["path"]))
        temp = self.names.next()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with self.guard:
            self.files[file.number] = file
            try:
                fd, file.folder, _ = self.place(file.path)
                self.sweep(fd, file.folder)
                file.fd = self.in_folder(fd, file.folder, lambda: os.open(temp, flags, 0o600, dir_fd=fd))
                file.temp = temp
            except Refused as refused:
                file.refusal = refused
            except OSError as error:
                file.refusal = refusal_of(error)
        return file

    def sweep(self, fd, folder):
        """Remove the temporary files of helpers that were killed, in a folder that is written to for the first time."""
        if folder in self.swept:
            return
        self.swept.add(folder)
        try:
            for name in os.listdir(fd):
                match = TEMPORARY.match(os.fsencode(name))
                if match and not lives(int(match.group(1), 16)):
                    self.in_folder(fd, folder, lambda: os.unlink(name, dir_fd=fd))
        except OSError:
            return  # a folder that may be written to, but not looked into; it says nothing about the file

    def append(self, file, data, zeros):
        if zeros:
            os.lseek(file.fd, zeros, os.SEEK_CUR)
            file.size += zeros
            file.hole = True
        if not data:
            return
        file.size += len(data)
        start = 0
        for block in range(0, len(data) - HOLE + 1, HOLE):
            # A first look at one byte: the copy is made only where it may be zeros.
            if data[block] == 0 and ZEROS.startswith(data[block : block + HOLE]):
                if block > start:
                    self.write_all(file.fd, memoryview(data)[start:block])
                os.lseek(file.fd, HOLE, os.SEEK_CUR)
                start = block + HOLE
        file.hole = start == len(data)
        if not file.hole:
            self.write_all(file.fd, memoryview(data)[start:] if start else data)

    @staticmethod
    def write_all(fd, data):
        done = os.write(fd, data)
        while done < len(data):
            data = memoryview(data)[done:]
            done = os.write(fd, data)

    def finish(self, header, payload):
        """Complete a file under its temporary name: all but the proof of its content, which ``commit`` brings."""
        document = json.loads(payload.decode("utf-8")) if header["t"] == "finish" else header
        file = self.files.get(header["file"])
        if file is None:
            file = self.begin(header)
        if document.get("abort"):
            self.discard(file)
            with self.guard:
                del self.files[file.number]
            return
        self.finished.append(file)
        file.expect = document.get("expect")
        if file.refusal is not None:
            return
        try:
            if header["t"] == "put":
                self.append(file, payload, 0)
            if file.hole:
                os.ftruncate(file.fd, file.size)
            file.announced = document.get("sha256")
            target = Target(file.fd, None, None, os.fstat(file.fd))
            file.device = target.entry.st_dev
            meta = document.get("meta") or {}
            if file.size <= SMALL_READ or not (meta.get("mode") or 0o400) & 0o400:
                # A small file while it is open, and one that later not even its owner may read; large ones once they
                # are durable, while the next content arrives.
                self.read_back(file, file.fd)
            file.detail = self.set_meta(target, meta)
            os.close(file.fd)
            file.fd = None
        except Refused as refused:
            self.refuse(file, refused)
        except OSError as error:
            self.refuse(file, refusal_of(error))

    def refuse(self, file, refusal):
        file.refusal = refusal
        self.discard(file)

    def discard(self, file):
        """Remove the temporary file."""
        if file.fd is not None:
            os.close(file.fd)
            file.fd = None
        if file.temp is not None:
            try:
                with Place(join(file.folder, file.temp)) as place:
                    os.unlink(place.name, dir_fd=place.fd)
            except OSError:
                pass  # then it is not there
            file.temp = None

    def begin_commit(self, reply, answer):
        """Commit what is finished on a thread, which passes the results to ``answer``; content may arrive meanwhile.

        Until ``settle`` returns, the output belongs to that thread.
        """
        self.require()
        files, self.finished = self.finished, []
        dirty, self.dirty = self.dirty, set()

        def run():
            try:
                answer(self.commit(reply, files, dirty))
            except (BrokenPipeError, ConnectionError):
                pass  # nobody is there to read: the input ends too
            except Exception as error:  # a thread that ends in silence would let the worker wait for ever
                reply.fail("internal", "%s: %s" % (type(error).__name__, error))

        self.running = threading.Thread(target=run)
        self.running.daemon = True
        self.running.start()

    def settle(self):
        """Wait for the commit that is under way, if one is."""
        running, self.running = self.running, None
        if running is not None:
            running.join()

    def commit(self, reply, files, dirty):
        """Make files durable, read them back, rename those that are right, make that durable; return all results."""
        good = [file for file in files if file.refusal is None]
        try:
            self.wait(reply, lambda: self.sync_files(good))
        except OSError as error:
            for file in good:
                self.refuse(file, refusal_of(error))
        for file in good:
            if file.refusal is not None:
                continue
            try:
                self.prove(reply, file)
                with self.guard:
                    if self.ended:
                        raise Refused("unreadable", "the helper was told to end")
                    fd, folder, name = self.place(file.path)
                    if folder != file.folder:
                        raise Refused("conflict", "the folder leads elsewhere now")
                    self.in_folder(fd, folder, lambda: self.move(fd, file.temp, name, file.expect))
                    file.temp = None
                dirty.add(folder)
            except Refused as refused:
                self.refuse(file, refused)
            except OSError as error:
                self.refuse(file, refusal_of(error))
            reply.tick()
        try:
            self.wait(reply, lambda: self.sync_folders(dirty))
        except OSError as error:
            for file in good:
                if file.refusal is None:
                    file.refusal = refusal_of(error)
        with self.guard:
            for file in files:
                self.files.pop(file.number, None)
            if not self.files:
                self.tighten()
        return [self.written({"file": file.number}, file) for file in files]

    def prove(self, reply, file):
        """Read a file back under its temporary name; refuse one that does not have the content announced."""
        if file.sha256 is None:
            with Place(join(file.folder, file.temp)) as place:
                fd = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place.fd)
            try:
                self.read_back(file, fd, reply)
            finally:
                os.close(fd)
        if file.announced and file.announced != file.sha256:
            raise Refused("unreadable", "read back, the content is not the one announced: its SHA-256 differs")

    def read_back(self, file, fd, reply=None):
        if file.size > SMALL_READ:
            # A thread for the hash would cost more than it saves: what was just written is still in memory.
            size, file.sha256 = hash_open(self.pool, fd, os.fstat(fd), reply, cached=True)
        else:
            data = os.pread(fd, file.size + 1, 0)
            if len(data) != file.size:  # some file systems give less than there is
                os.lseek(fd, 0, os.SEEK_SET)
                data = read_exact(fd, file.size + 1)
            size, file.sha256 = len(data), hashlib.sha256(data).hexdigest()
        if size != file.size:
            raise Refused("unreadable", "read back, it has %d bytes instead of %d" % (size, file.size))

    def written(self, fields, file):
        result = self.result(fields, file.refusal, file.detail, file.sha256)
        if file.refusal is None:
            result["read_back"] = True
        return result

    @staticmethod
    def result(fields, refusal, detail="", sha256=None):
        fields["ok"] = refusal is None
        if refusal is not None:
            fields["reason"] = refusal.reason
            detail = refusal.detail
        if detail:
            fields["detail"] = detail
        if sha256:
            fields["sha256"] = sha256
        return fields

    def wait(self, reply, work):
        """Do what may take long on another thread, and tell meanwhile that we are alive."""
        failed = []

        def run():
            try:
                work()
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.daemon = True
        thread.start()
        while thread.is_alive():
            thread.join(TICK / 2)
            reply.tick()
        if failed:
            raise failed[0]

    def sync_files(self, files):
        if len(files) <= self.ONE_BY_ONE or MACOS:
            for file in files:
                with Place(join(file.folder, file.temp)) as place:
                    try:
                        fd = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place.fd)
                    except PermissionError:
                        os.sync()
                        continue
                try:
                    os.fsync(fd)
                    if MACOS and file is files[-1]:
                        import fcntl

                        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # empties the drive's cache, for all files before it
                finally:
                    os.close(fd)
        else:
            self.sync_devices({file.device: file.folder for file in files})

    def sync_folders(self, folders):
        if len(folders) > self.ONE_BY_ONE and not MACOS:
            self.sync_devices({os.stat(folder).st_dev: folder for folder in folders if len(folder) <= MAX_PATH})
            folders = [folder for folder in folders if len(folder) > MAX_PATH]
        for folder in folders:
            try:
                fd = open_far(folder, os.O_RDONLY)
            except OSError:
                continue  # gone since, or only to be passed through: its system writes it out in its own time
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def sync_devices(self, devices):
        for folder in devices.values():
            if self.libc.syncfs is None:
                os.sync()
                return
            fd = open_far(folder, os.O_RDONLY)
            try:
                self.libc.syncfs(fd)
            finally:
                os.close(fd)

    # ---- one name in an open folder

    @staticmethod
    def standing(fd, name):
        try:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @staticmethod
    def agrees(entry, expect):
        """Return whether what stands there is what the plan saw."""
        if expect is None or entry is None:
            return expect is None and entry is None
        kind = TYPES.get(stat.S_IFMT(entry.st_mode), "other")
        if kind != expect[0]:
            return False
        if kind == "dir":
            return True
        return entry.st_mtime_ns == expect[2] and (kind != "file" or entry.st_size == expect[1])

    def check(self, fd, name, expect):
        entry = self.standing(fd, name)
        if not self.agrees(entry, expect):
            if entry is None:
                raise Refused("conflict", "nothing is there any more")
            kind = TYPES.get(stat.S_IFMT(entry.st_mode), "other")
            raise Refused("conflict", "a %s is there that the plan did not see" % kind)
        return entry

    def move(self, fd, temp, name, expect):
        """Rename a finished entry into its place, when that is as the plan saw it."""
        # Nothing is there: keep it so that what comes into being right now is not overwritten. The system looks itself.
        if expect is None and self.libc.rename_new is not None:
            try:
                self.libc.rename_new(fd, temp, name)
                return
            except OSError as error:
                if error.errno == errno.EEXIST:
                    self.check(fd, name, None)
                if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
        entry = self.check(fd, name, expect)
        if entry is not None:
            if stat.S_ISDIR(entry.st_mode):
                raise Refused("conflict", "a folder is there")
            os.rename(temp, name, src_dir_fd=fd, dst_dir_fd=fd)
            return
        try:
            os.link(temp, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise
            self.check(fd, name, None)
            os.rename(temp, name, src_dir_fd=fd, dst_dir_fd=fd)
        else:
            os.unlink(temp, dir_fd=fd)

    def each(self, reply, items, call):
        """Return the results of a request that names paths."""
        self.require()
        results = []
        for item in items:
            refusal = None
            detail = ""
            try:
                fd, folder, name = self.place(decode_path(item["path"]))
                detail = call(item, fd, folder, name)
                if call != self.meta:
                    self.dirty.add(folder)
            except Refused as refused:
                refusal = refused
            except OSError as error:
                refusal = refusal_of(error)
            results.append(self.result({"path": item["path"]}, refusal, detail or ""))
            reply.tick()
        if not self.files:
            self.tighten()
        return results

    def make(self, item, fd, folder, name):
        operation = item["op"]
        meta = dict(item.get("meta") or {})
        entry = self.standing(fd, name)
        if operation == "dir":
            if entry is not None and stat.S_ISDIR(entry.st_mode):
                return ""
            if entry is not None:
                self.check(fd, name, item.get("expect"))
                self.in_folder(fd, folder, lambda: os.unlink(name, dir_fd=fd))
            self.in_folder(fd, folder, lambda: os.mkdir(name, 0o700, dir_fd=fd))
            if meta.get("mode") is not None:
                meta["mode"] |= 0o700
            meta.pop("mtime", None)
            return self.meta({"meta": meta}, fd, folder, name)
        if operation == "hardlink":
            return self.hardlink(item, fd, folder, name, entry)
        if operation == "symlink":
            target = decode_path(item["target"])
            if entry is not None and stat.S_ISLNK(entry.st_mode) and os.readlink(name, dir_fd=fd) == target:
                return ""
            self.create(item, fd, folder, name, entry, lambda new: os.symlink(target, new, dir_fd=fd))
        elif operation == "fifo":
            if entry is not None and stat.S_ISFIFO(entry.st_mode):
                return ""
            if os.mkfifo in os.supports_dir_fd:
                self.create(item, fd, folder, name, entry, lambda new: os.mkfifo(new, 0o600, dir_fd=fd))
            else:  # older macOS
                self.create(item, fd, folder, name, entry, lambda new: os.mkfifo(join(folder, new), 0o600))
        else:
            raise Refused("unsupported", "cannot make a %s" % operation)
        return self.meta({"meta": meta}, fd, folder, name)

    def create(self, item, fd, folder, name, entry, call):
        """Make a name: new, or in the place of what the plan saw there."""
        if entry is None:
            self.in_folder(fd, folder, lambda: call(name))
            return
        self.check(fd, name, item.get("expect"))
        temp = self.names.next()
        self.in_folder(fd, folder, lambda: call(temp))
        try:
            self.move(fd, temp, name, item.get("expect"))
        except BaseException:
            os.unlink(temp, dir_fd=fd)
            raise

    def hardlink(self, item, fd, folder, name, entry):
        source_fd, _, source = self.place(decode_path(item["target"]))
        first = os.stat(source, dir_fd=source_fd, follow_symlinks=False)
        if entry is not None and (entry.st_dev, entry.st_ino) == (first.st_dev, first.st_ino):
            return ""
        self.create(
            item,
            fd,
            folder,
            name,
            entry,
            lambda new: os.link(source, new, src_dir_fd=source_fd, dst_dir_fd=fd, follow_symlinks=False),
        )
        return ""

    def remove(self, item, fd, folder, name):
        entry = self.standing(fd, name)
        if entry is None:
            if item.get("expect") is None:
                return ""
            raise Refused("vanished", "nothing is there any more")
        self.check(fd, name, item.get("expect"))
        if stat.S_ISDIR(entry.st_mode):
            self.close_below(join(folder, name))
            self.in_folder(fd, folder, lambda: os.rmdir(name, dir_fd=fd))
        else:
            self.in_folder(fd, folder, lambda: os.unlink(name, dir_fd=fd))
        return ""

    def close_below(self, path):
        for folder in [folder for folder in self.folders if within(folder, path)]:
            os.close(self.folders.pop(folder))

    def meta(self, item, fd, folder, name):
        entry = os.stat(name, dir_fd=fd, follow_symlinks=False)
        opened = None
        kind = TYPES.get(stat.S_IFMT(entry.st_mode), "other")
        if kind in ("file", "dir"):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_DIRECTORY if kind == "dir" else 0)
            try:
                opened = os.open(name, flags, dir_fd=fd)
            except PermissionError:
                pass  # by its name then
        try:
            if opened is not None:
                entry = os.fstat(opened)
            detail = self.set_meta(Target(opened, fd, name, entry), item.get("meta") or {})
        finally:
            if opened is not None:
                os.close(opened)
        self.loosened.pop(join(folder, name), None)
        return detail

    # ---- metadata

    def set_meta(self, target, meta):
        """Set what ``meta`` names, the time last; return what could not be set, as text."""
        missed = []
        self.set_owner(target, meta, missed)
        kind = stat.S_IFMT(target.entry.st_mode)
        for name, value in meta.get("xattrs") or ():
            try:
                if target.fd is None:
                    raise OSError(errno.EOPNOTSUPP, "")
                self.xattrs.set(target.fd, name, base64.b64decode(value))
            except OSError:
                if name not in self.UNSETTABLE and not self.has_xattr(target.fd, name, value):
                    missed.append("extended attribute " + name)
        if meta.get("mode") is not None and kind != stat.S_IFLNK:
            mode = meta["mode"] & 0o7777
            if target.fd is not None:
                try:
                    named = [name for name, _ in meta.get("xattrs") or ()]
                    self.xattrs.drop_access_lists(target.fd, target.entry.st_dev, named)
                except OSError:
                    missed.append("access list")
            if missed and mode & 0o6000 and ("owner" in missed or "group" in missed):
                mode &= ~0o6000
                missed.append("set-user-id")
            try:
                target.chmod(mode)
            except (OSError, NotImplementedError):
                missed.append("mode")
        if meta.get("mtime") is not None:
            atime = meta.get("atime")
            try:
                target.utime(meta["mtime"] if atime is None else atime, meta["mtime"])
            except (OSError, OverflowError, NotImplementedError):
                missed.append("time")
        return "not set: " + ", ".join(missed) if missed else ""

    def has_xattr(self, fd, name, value):
        try:
            return fd is not None and self.xattrs.get(fd, name) == base64.b64decode(value)
        except OSError:
            return False

    def set_owner(self, target, meta, missed):
        uid = self.id_of("user", meta.get("user"), meta.get("uid"))
        gid = self.id_of("group", meta.get("group"), meta.get("gid"))
        for kind, wanted, have in (("owner", uid, target.entry.st_uid), ("group", gid, target.entry.st_gid)):
            if wanted is None or wanted == have:
                continue
            try:
                if kind == "owner":
                    target.chown(wanted, -1)
                else:
                    target.chown(-1, wanted)
            except (OSError, OverflowError, NotImplementedError):
                missed.append(kind)

    def id_of(self, kind, name, number):
        """Return the number of a user or group here: by its name, else as it was."""
        if not name:
            return number
        if (kind, name) not in self.ids:
            try:
                self.ids[kind, name] = pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
            except (KeyError, ValueError, OSError):
                self.ids[kind, name] = None
        known = self.ids[kind, name]
        return number if known is None else known

    def cleanup(self):
        """Remove every temporary file, put back the modes of folders."""
        with self.guard:
            self.ended = True
            for file in list(self.files.values()):
                self.discard(file)
            self.files = {}
            self.finished = []
            self.tighten()
            self.close_folders()


class Target:
    """What metadata is set on: an open file, or a name in an open folder, not followed."""

    def __init__(self, fd, folder, name, entry):
        self.fd = fd
        self.folder = folder
        self.name = name
        self.entry = entry

    def chown(self, uid, gid):
        if self.fd is not None:
            os.fchown(self.fd, uid, gid)
        else:
            os.chown(self.name, uid, gid, dir_fd=self.folder, follow_symlinks=False)

    def chmod(self, mode):
        if self.fd is not None:
            os.fchmod(self.fd, mode)
        else:
            os.chmod(self.name, mode, dir_fd=self.folder)

    def utime(self, atime, mtime):
        if self.fd is not None:
            os.utime(self.fd, ns=(atime, mtime))
        else:
            os.utime(self.name, ns=(atime, mtime), dir_fd=self.folder, follow_symlinks=False)
