"""Reading and hashing what is there."""


def version_of(entry):
    """Return what tells one version of a file from another, as the contract writes it."""
    return [entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns, entry.st_ino]


def open_regular(path):
    """Return an open regular file and its stat; anything else is a ``Skip``. Never waits, never follows a symlink."""
    parts_of(path)
    try:
        with Place(path) as place:
            entry = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
            # Looked at before it is opened: to open a FIFO or a device can wake up whoever waits there.
            refuse_special(entry)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            if place.fd is None:
                flags |= O_NOFOLLOW_ANY
            if O_NOATIME and os.geteuid() in (0, entry.st_uid):
                try:
                    fd = os.open(place.name, flags | O_NOATIME, dir_fd=place.fd)
                except PermissionError:
                    fd = os.open(place.name, flags, dir_fd=place.fd)
            else:
                fd = os.open(place.name, flags, dir_fd=place.fd)
    except OSError as error:
        raise skip_of(error)
    try:
        entry = os.fstat(fd)
        refuse_special(entry)  # swapped meanwhile
        if len(path) <= MAX_PATH:
            refuse_elsewhere(fd, path)
    except OSError as error:
        os.close(fd)
        raise skip_of(error)
    except BaseException:
        os.close(fd)
        raise
    return fd, entry


def refuse_special(entry):
    kind = TYPES.get(stat.S_IFMT(entry.st_mode), "other")
    if kind in ("dir", "symlink"):
        raise Skip("vanished", "it is a %s now" % kind)
    if kind != "file":
        raise Skip("special", "it is a %s" % kind)
    if MACOS and getattr(entry, "st_flags", 0) & SF_DATALESS:
        raise Skip("cloud-only")


def read_exact(fd, size, limit=MAX_PAYLOAD):
    """Return up to ``size`` bytes; fewer only at the end of the file."""
    data = os.read(fd, min(size, limit))
    if len(data) == size or not data:
        return data
    parts = [data]
    size -= len(data)
    while size:
        data = os.read(fd, min(size, limit))
        if not data:
            break
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


class Digest:
    """SHA-256 on a thread of its own: a large file is hashed while it is read and sent."""

    def __init__(self, begun=None):
        self.queue = queue.Queue(2)
        self.hash = begun or hashlib.sha256()
        self.thread = threading.Thread(target=self.work)
        self.thread.daemon = True
        self.thread.start()

    def work(self):
        while True:
            data = self.queue.get()
            if data is None:
                return
            self.hash.update(data)

    def update(self, data):
        self.queue.put(data)

    def hexdigest(self):
        self.close()
        return self.hash.hexdigest()

    def close(self):
        if self.thread is not None:
            self.queue.put(None)
            self.thread.join()
            self.thread = None


class PlainDigest:
    """The same for small files, without a thread."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.update = self.hash.update
        self.hexdigest = self.hash.hexdigest

    def close(self):
        pass


def new_digest(size):
    return Digest() if size > THREADED else PlainDigest()


def feed_zeros(digest, count):
    while count > 0:
        piece = min(count, len(ZEROS))
        digest.update(ZEROS if piece == len(ZEROS) else ZEROS[:piece])
        count -= piece


def extents(fd, entry):
    """Yield (offset, length, is hole) over a file's content up to its size."""
    size = entry.st_size
    if entry.st_blocks * 512 >= size or not hasattr(os, "SEEK_HOLE"):
        yield 0, size, False
        return
    offset = 0
    while offset < size:
        try:
            start = min(os.lseek(fd, offset, os.SEEK_DATA), size)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a file system that cannot tell
                yield offset, size - offset, False
                return
            start = size
        if start > offset:
            yield offset, start - offset, True
        if start >= size:
            return
        try:
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        except OSError:
            end = size
        if end <= start:
            end = size
        yield start, end - start, False
        offset = end


class Buffers:
    """Buffers of one file that is being read, taken from a pool and given back to it.

    A piece is sent before the next is read, and Digest holds at most three: of five, the next is always free.
    """

    def __init__(self, pool, digest):
        self.pool = pool
        self.count = 5 if isinstance(digest, Digest) else 1
        self.held = []
        self.turn = 0

    def next(self):
        if len(self.held) < self.count:
            self.held.append(self.pool.pop() if self.pool else memoryview(bytearray(MAX_PAYLOAD)))
            return self.held[-1]
        self.turn = (self.turn + 1) % self.count
        return self.held[(self.turn - 1) % self.count]

    def close(self):
        """Give the buffers back; the digest must be closed."""
        self.pool.extend(self.held[: max(0, 10 - len(self.pool))])
        self.held = []


class Reader:
    """Reads files for one helper; its methods are generators that yield the bytes they have sent."""

    def __init__(self):
        self.pool = []

    def read(self, reply, paths):
        """Send the content of files, each with its ``end`` or ``skip``."""
        for index, value in enumerate(paths):
            reply.tick()
            try:
                fd, before = open_regular(decode_path(value))
            except Skip as skip:
                reply.send("skip", {"file": index, "reason": skip.reason, "detail": skip.detail})
                yield 256
                continue
            try:
                if before.st_size <= MAX_PAYLOAD:
                    self.small(reply, index, fd, before)
                    yield before.st_size + 256
                else:
                    yield from self.large(reply, index, fd, before)
            except OSError as error:
                skip = skip_of(error)
                reply.send("skip", {"file": index, "reason": skip.reason, "detail": skip.detail})
                yield 256
            finally:
                os.close(fd)

    @staticmethod
    def small(reply, index, fd, before):
        data = read_exact(fd, before.st_size) if before.st_size else b""
        digest = hashlib.sha256(data).hexdigest()
        Reader.end(reply, {"file": index}, fd, before, 0, len(data), digest, data)

    @staticmethod
    def end(reply, fields, fd, before, offset, size, digest, data=b""):
        fields["size"] = size
        fields["sha256"] = digest
        fields["before"] = version_of(before)
        fields["after"] = version_of(os.fstat(fd))
        if data:
            fields["offset"] = offset
        reply.send("end", fields, data)

    def large(self, reply, index, fd, before):
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        digest = new_digest(before.st_size)
        buffers = Buffers(self.pool, digest)
        sent = 0
        try:
            for offset, length, hole in extents(fd, before):
                while hole and length:
                    piece = min(length, MAX_ZERO)
                    feed_zeros(digest, piece)
                    reply.send("data", {"file": index, "offset": offset, "zero": piece})
                    offset += piece
                    length -= piece
                    sent = offset
                    reply.output.flush()
                    yield 256
                if not hole:
                    os.lseek(fd, offset, os.SEEK_SET)
                while length:
                    buffer = buffers.next()
                    count = os.readv(fd, [buffer[: min(length, MAX_PAYLOAD)]])
                    if count == 0:
                        break
                    data = buffer[:count]
                    digest.update(data)
                    reply.send("data", {"file": index, "offset": offset}, data)
                    reply.output.flush()
                    offset += count
                    length -= count
                    sent = offset
                    yield count
                if length:
                    break  # it was cut short
            self.end(reply, {"file": index}, fd, before, sent, sent, digest.hexdigest())
        finally:
            digest.close()
            buffers.close()

    def ranges(self, reply, path, known):
        """Send what of a file differs from the known ranges, and all behind them."""
        try:
            fd, before = open_regular(path)
        except Skip as skip:
            reply.send("skip", {"file": 0, "reason": skip.reason, "detail": skip.detail})
            return
        digest = new_digest(before.st_size)
        try:
            size = before.st_size
            offset = 0
            for start, length, sha256 in known:
                if start != offset or not 0 < length <= MAX_RANGE:
                    raise RequestError("bad-request", "ranges must be ascending, without gaps, and small")
                data = read_exact(fd, min(length, size - offset)) if offset < size else b""
                if data:
                    digest.update(data)
                    # On this thread, while the other one hashes the whole file.
                    if len(data) < length or hashlib.sha256(data).hexdigest() != sha256:
                        yield from self.pieces(reply, offset, data)
                    else:
                        yield 0
                reply.tick()
                offset += len(data)
                if len(data) < length:
                    break
            else:
                while offset < size:
                    data = read_exact(fd, min(MAX_PAYLOAD, size - offset))
                    if not data:
                        break
                    digest.update(data)
                    yield from self.pieces(reply, offset, data)
                    offset += len(data)
            self.end(reply, {"file": 0}, fd, before, offset, offset, digest.hexdigest())
        except OSError as error:
            skip = skip_of(error)
            reply.send("skip", {"file": 0, "reason": skip.reason, "detail": skip.detail})
        finally:
            digest.close()
            os.close(fd)

    @staticmethod
    def pieces(reply, offset, data):
        view = memoryview(data)
        for start in range(0, len(data), MAX_PAYLOAD):
            piece = view[start : start + MAX_PAYLOAD]
            if ZEROS.startswith(piece):
                reply.send("data", {"file": 0, "offset": offset + start, "zero": len(piece)})
                yield 256
            else:
                reply.send("data", {"file": 0, "offset": offset + start}, piece)
                yield len(piece)

    def hash(self, reply, paths):
        """Send the SHA-256 of files as they stand now."""
        for index, value in enumerate(paths):
            try:
                fd, before = open_regular(decode_path(value))
                try:
                    size, digest = hash_open(self.pool, fd, before, reply)
                finally:
                    os.close(fd)
            except (Skip, OSError) as error:
                skip = error if isinstance(error, Skip) else skip_of(error)
                reply.send("skip", {"file": index, "reason": skip.reason, "detail": skip.detail})
            else:
                fields = {"file": index, "sha256": digest, "size": size, "mtime": before.st_mtime_ns}
                reply.send("item", fields)
            reply.tick()


def hash_open(pool, fd, before, reply=None, cached=False):
    """Return the size and the SHA-256 of an open file; ``cached``: it comes from memory, no disk is waited for."""
    tick = reply.tick if reply else int
    digest = PlainDigest() if cached else new_digest(before.st_size)
    buffers = Buffers(pool, digest)
    try:
        done = 0
        for offset, length, hole in extents(fd, before):
            if hole:
                for start in range(0, length, MAX_ZERO):
                    feed_zeros(digest, min(MAX_ZERO, length - start))
                    tick()
                done = offset + length
                continue
            os.lseek(fd, offset, os.SEEK_SET)
            while length:
                buffer = buffers.next()
                count = os.readv(fd, [buffer[: min(length, MAX_PAYLOAD)]])
                if count == 0:
                    return done, digest.hexdigest()
                digest.update(buffer[:count])
                length -= count
                done += count
                tick()
        return done, digest.hexdigest()
    finally:
        digest.close()
        buffers.close()
