"""The loop that serves requests."""


class Server:
    """Serves requests in the order they arrive."""

    def __init__(self, reader, sink):
        self.source = Input(reader)
        self.output = Output(sink)
        self.rows = Rows()
        self.reader = Reader()
        self.writer = Writer()
        self.facts = Facts()
        self.pages = {}  # id of a request -> (its reply, what is left of its answer)
        self.parts = {}  # id of a request that comes in several frames -> its document so far

    def run(self):
        """Serve until ``bye`` or the end of the input; return the exit code."""
        try:
            while True:
                frame = self.source.frame()
                if frame is None:
                    self.writer.settle()
                    return 0
                header, payload = frame
                if header["t"] not in ("write", "finish", "put"):
                    self.writer.settle()
                if header["t"] == "hello" and header.get("v") != PROTOCOL_VERSION:
                    self.error(header, "version", "this helper speaks version %d" % PROTOCOL_VERSION)
                    return 98
                self.serve(header, payload)
                if header["t"] == "bye":
                    return 0
        finally:
            for signal_number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(signal_number, signal.SIG_IGN)
            self.writer.cleanup()

    def error(self, header, code, message):
        self.writer.settle()
        Reply(self.output, header["id"]).fail(code, message)

    def serve(self, header, payload):
        call = getattr(self, "on_" + header["t"].replace("-", "_"), None)
        if call is None:
            self.error(header, "unknown", "no request %r" % header["t"])
            return
        try:
            call(header, payload)
        except RequestError as error:
            self.error(header, error.code, str(error))
        except (ProtocolError, BrokenPipeError, ConnectionError):
            raise
        except Exception as error:  # one request's failure is its own; the worker decides what that means
            self.error(header, "internal", "%s: %s" % (type(error).__name__, error))

    @staticmethod
    def document(payload):
        try:
            return json.loads(payload.decode("utf-8"))
        except ValueError as error:
            raise RequestError("bad-request", "the payload is not JSON: %s" % error)

    def reply(self, header):
        return Reply(self.output, header["id"])

    def results(self, reply, results):
        """Send results in as few frames as they fit."""
        texts, size = [], 0
        for result in results:
            text = encode_json(result)
            if texts and size + len(text) > SOFT_PAYLOAD:
                reply.send("item", None, ("[%s]" % ",".join(texts)).encode("ascii"))
                texts, size = [], 0
            texts.append(text)
            size += len(text) + 1
        if texts:
            reply.send("item", None, ("[%s]" % ",".join(texts)).encode("ascii"))
        reply.finish()

    def page(self, number, reply, rest, maximum):
        """Send the next page of an answer."""
        left = maximum
        for cost in rest:
            left -= cost
            if maximum and left <= 0:
                self.pages[number] = (reply, rest)
                reply.finish(more=True)
                return
        reply.finish()

    # ---- one method for each request

    def on_hello(self, header, payload):
        self.reply(header).send("hello", self.facts.hello())
        self.output.flush()

    def on_facts(self, header, payload):
        reply = self.reply(header)
        reply.send_json("item", self.facts.document(self.document(payload).get("users")))
        reply.finish()

    def joined(self, header, payload):
        """Return the document of a request once its last frame is here, before that None."""
        document = self.document(payload)
        if header["id"] in self.parts:
            begun = self.parts.pop(header["id"])
            if isinstance(begun, list):
                begun.extend(document)
            else:
                for key, value in document.items():
                    begun[key] = (begun.get(key) or []) + value if value else begun.get(key)
            document = begun
        if header.get("part"):
            self.parts[header["id"]] = document
            return None
        return document

    def on_list(self, header, payload):
        document = self.joined(header, payload)
        if document is None:
            return
        reply = self.reply(header)
        walk = Walk(reply, self.rows, document)
        self.page(header["id"], reply, walk.run(), int(header.get("max", 0)))

    def on_read(self, header, payload):
        reply = self.reply(header)
        rest = self.reader.read(reply, self.document(payload))
        self.page(header["id"], reply, rest, int(header.get("max", 0)))

    def on_ranges(self, header, payload):
        known = self.joined(header, payload)
        if known is None:
            return
        reply = self.reply(header)
        rest = self.reader.ranges(reply, decode_path(header["path"]), known)
        self.page(header["id"], reply, rest, int(header.get("max", 0)))

    def on_more(self, header, payload):
        reply, rest = self.pages.pop(header.get("of"), (None, None))
        if reply is None:
            self.reply(header).finish()
        elif not header.get("max"):
            rest.close()
            self.reply(header).finish()
        else:
            reply.renumber(header["id"])
            self.page(header["of"], reply, rest, int(header["max"]))

    def on_stat(self, header, payload):
        reply = self.reply(header)
        texts, size = [], 0
        for value in self.document(payload):
            text = self.row_at(decode_path(value))
            if texts and size + len(text) > MAX_PAYLOAD - SOFT_PAYLOAD:
                reply.send("item", self.rows.header({}), ("[%s]" % ",".join(texts)).encode("ascii"))
                texts, size = [], 0
            texts.append(text)
            size += len(text) + 1
        if texts:
            reply.send("item", self.rows.header({}), ("[%s]" % ",".join(texts)).encode("ascii"))
        reply.finish()

    def row_at(self, path):
        parts_of(path)
        try:
            with Place(path) as place:
                entry = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
                name = split(path)[1] if place.fd is None else place.name
                return self.rows.row(name, path if place.fd is None else None, entry, place.fd)[0]
        except OSError as error:
            # Nothing, or nothing that the account may see: what is written there will tell.
            if READ_REASONS.get(error.errno) in ("vanished", "name", "denied"):
                return "null"
            raise RequestError("unreadable", "%r: %s" % (path, os.strerror(error.errno or 0)))

    def on_hash(self, header, payload):
        reply = self.reply(header)
        self.reader.hash(reply, self.document(payload))
        reply.finish()

    def on_allow_write(self, header, payload):
        self.writer.allow(self.document(payload)["roots"])
        self.reply(header).finish()

    def on_write(self, header, payload):
        self.writer.write(header, payload)

    def on_finish(self, header, payload):
        self.writer.finish(header, payload)

    on_put = on_finish

    def on_commit(self, header, payload):
        reply = self.reply(header)
        self.writer.begin_commit(reply, lambda results: self.results(reply, results))

    def on_make(self, header, payload):
        reply = self.reply(header)
        self.results(reply, self.writer.each(reply, self.document(payload), self.writer.make))

    def on_meta(self, header, payload):
        reply = self.reply(header)
        self.results(reply, self.writer.each(reply, self.document(payload), self.writer.meta))

    def on_remove(self, header, payload):
        reply = self.reply(header)
        self.results(reply, self.writer.each(reply, self.document(payload), self.writer.remove))

    def on_settings(self, header, payload, write=False):
        document = self.joined(header, payload)
        if document is None:
            return
        reply = self.reply(header)
        person = Person(document["user"], document["home"])
        request = {"user": person.user, "home": person.home, "ops": document["ops"], "write": write}
        texts, size = [], 0
        for line in person.run(document["program"], request, reply):
            text = line.decode("utf-8").strip()
            if texts and size + len(text) > SOFT_PAYLOAD:
                reply.send("item", None, ("[%s]" % ",".join(texts)).encode("ascii"))
                texts, size = [], 0
            texts.append(text)
            size += len(text) + 1
        if texts:
            reply.send("item", None, ("[%s]" % ",".join(texts)).encode("ascii"))
        reply.finish()

    def on_set_settings(self, header, payload):
        self.writer.require()
        self.on_settings(header, payload, True)

    def on_bye(self, header, payload):
        self.reply(header).finish()


def stop(number, _):
    raise Stop(number)


def main(reader, token):
    """Serve frames from a buffered reader of standard input; ``token`` marks where they begin on standard output."""
    os.umask(0o077)
    gc.set_threshold(50000, 20, 20)  # nearly nothing here is cyclic garbage
    for fd in (0, 1):
        os.set_blocking(fd, True)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server = Server(reader, 1)
        server.output.add(("\nfirstbell-helper %s\n" % token).encode("ascii"))
        code = server.run()
    except Stop as reason:
        code = 128 + reason.args[0]
    except (BrokenPipeError, ConnectionError):
        code = 0  # nobody is there to read
    except ProtocolError as error:
        os.write(2, ("firstbell helper: %s\n" % error).encode("utf-8", "replace"))
        code = 99
    except BaseException as error:
        os.write(2, ("firstbell helper: %s: %s\n" % (type(error).__name__, error)).encode("utf-8", "replace"))
        code = 99
    # Not sys.exit: a thread that waits for a slow disk must not hold us up.
    os._exit(code)


# The bootstrap of launcher.py has read us from standard input, and hands over what it has read beyond.
main(globals()["READER"], globals()["TOKEN"])
