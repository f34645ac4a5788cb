"""Out and in: frames to and from the worker."""


def widen(fd):
    """Let a pipe hold more: fewer switches between us and the other side. Where it is none, or small: nothing."""
    try:
        import fcntl

        fcntl.fcntl(fd, 1031, MAX_PAYLOAD)  # F_SETPIPE_SZ of Linux
    except (ImportError, OSError):
        pass


class Output:
    """Frames on their way out, gathered into writes of about 1 MiB."""

    def __init__(self, fd):
        self.fd = fd
        self.parts = []
        self.size = 0
        self.last = time.monotonic()
        widen(fd)

    def add(self, header, payload=b""):
        self.parts.append(header)
        self.size += len(header)
        if payload:
            self.parts.append(payload)
            self.size += len(payload)
        if self.size >= MAX_PAYLOAD or len(self.parts) >= 1000:  # IOV_MAX is 1024
            self.flush()

    def flush(self):
        parts, self.parts, self.size = self.parts, [], 0
        while parts:
            done = os.writev(self.fd, parts)
            count = 0
            while count < len(parts) and done >= len(parts[count]):
                done -= len(parts[count])
                count += 1
            del parts[:count]
            if done:
                parts[0] = memoryview(parts[0])[done:]
        self.last = time.monotonic()


class Reply:
    """The answer to one request: numbers its frames."""

    def __init__(self, output, number):
        self.output = output
        self.renumber(number)

    def renumber(self, number):
        """Go on as the answer to another request: the next page."""
        self.number = number
        self.seq = 0

    def send(self, kind, fields=None, payload=b""):
        header = {"t": kind, "id": self.number, "seq": self.seq}
        self.seq += 1
        if fields:
            header.update(fields)
        if payload:
            header["length"] = len(payload)
        line = encode_json(header).encode("ascii") + b"\n"
        if len(line) > MAX_HEADER:
            raise RequestError("too-large", "a header of %d bytes" % len(line))
        self.output.add(line, payload)

    def send_json(self, kind, document, fields=None):
        self.send(kind, fields, encode_json(document).encode("ascii"))

    def finish(self, more=False):
        self.send("done", {"more": True} if more else None)
        self.output.flush()

    def fail(self, code, message):
        self.seq = -1  # an error may follow any frame of its answer
        self.send("error", {"code": code, "message": message[:2000]})
        self.output.flush()

    def tick(self):
        """Tell that we are alive, when nothing was sent for a while."""
        if time.monotonic() - self.output.last > TICK:
            self.send("progress")
            self.output.flush()


class Input:
    """Frames from the worker."""

    def __init__(self, reader):
        self.reader = reader
        widen(reader.fileno())
        self.space = memoryview(bytearray(MAX_PAYLOAD))

    def frame(self):
        """Return header and payload of the next frame, or None at the end of the input.

        The payload of ``write`` and ``put`` is good until the next call.
        """
        line = self.reader.readline(MAX_HEADER + 1)
        if not line.endswith(b"\n"):
            if len(line) > MAX_HEADER:
                raise ProtocolError("a header is too long")
            return None
        try:
            header = json.loads(line.decode("ascii"))
            length = header.get("length", 0)
            if not isinstance(header["t"], str) or not isinstance(header["id"], int) or not 0 <= length <= MAX_PAYLOAD:
                raise ValueError("fields")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ProtocolError("what arrived is no frame: %r" % line[:80])
        if not length:
            return header, b""
        if header["t"] not in ("write", "put"):
            payload = self.reader.read(length)
            return None if len(payload) < length else (header, payload)
        # Always the same memory: fresh memory costs as much as the copy into it.
        payload = self.space[:length]
        done = 0
        while done < length:
            count = self.reader.readinto(payload[done:])
            if not count:
                return None
            done += count
        return header, payload
