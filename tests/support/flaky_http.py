"""An HTTP server, or proxy, before a real one; it refuses, delays or cuts some requests. No part of the product."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit


@dataclass
class Faults:
    """Every how many-th request of a kind is harmed; 0 is none. May be changed while the server runs.

    ``expired``: the first request for every so many-th object is refused as if its URL were too old. ``refuse_after``:
    so many requests are answered, then none any more. ``moved``: every request is told to go elsewhere.
    """

    refuse_put: int = 0
    refuse_get: int = 0
    cut: int = 0
    expired: int = 0
    delay: float = 0.0
    refuse_after: int | None = None
    moved: bool = False


class FlakyHttp:
    """The server, on a free loopback port; a context manager. ``seen`` has the headers of each PUT."""

    def __init__(self, target: str, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.count: Counter[str] = Counter()
        self.seen: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._objects: set[str] = set()
        self._stop = threading.Event()
        where = urlsplit(target).netloc
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_PUT(self) -> None:
                flaky._handle(self, where)

            do_GET = do_PUT

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FlakyHttp:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, request: BaseHTTPRequestHandler, where: str) -> None:
        with self._lock:
            self.count[request.command] += 1
            self.count["all"] += 1
            number, every = self.count[request.command], self.count["all"]
            if request.command == "PUT":
                self.seen.append(dict(request.headers))
            fault = self._choose(request.command, request.path, number, every)
            self.count[fault] += 1
        size = int(request.headers.get("Content-Length", 0))
        if fault == "cut":
            request.rfile.read(size // 2)
            request.close_connection = True
            return
        body = request.rfile.read(size)
        self._stop.wait(self.faults.delay)
        if fault == "refused":
            self._answer(request, 503, b"<Error><Code>SlowDown</Code></Error>")
        elif fault == "expired":
            self._answer(
                request, 403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            )
        elif fault == "moved":
            self._answer(request, 307, b"<Error><Code>TemporaryRedirect</Code></Error>")
        else:
            # As a proxy it is told the whole address; whatever server that names, the real one answers.
            path = re.sub(r"^http://[^/]*", "", request.path)
            upstream = http.client.HTTPConnection(where, timeout=30)
            with contextlib.closing(upstream):
                upstream.request(request.command, path, body or None, dict(request.headers))
                answer = upstream.getresponse()
                self._answer(request, answer.status, answer.read())

    def _choose(self, command: str, path: str, number: int, every: int) -> str:
        faults = self.faults
        name = urlsplit(path).path
        if faults.moved:
            return "moved"
        if faults.refuse_after is not None and every > faults.refuse_after:
            return "refused"
        if name not in self._objects:
            self._objects.add(name)
            if faults.expired and len(self._objects) % faults.expired == 0:
                return "expired"
        refuse = faults.refuse_put if command == "PUT" else faults.refuse_get
        if refuse and number % refuse == 0:
            return "refused"
        if faults.cut and every % faults.cut == 0:
            return "cut"
        return "passed"

    def _answer(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
