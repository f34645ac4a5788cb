"""An HTTP server that answers as an S3 server in trouble would: what a healthy one cannot be made to say."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar


@dataclass(frozen=True)
class Answer:
    """One answer: an S3 error code, or a body of which only ``cut`` bytes are sent; None for both drops the line."""

    status: int = 200
    code: str = ""
    message: str = "scripted"
    body: bytes | None = None
    cut: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedS3Server:
    """Gives its answers one by one, to whatever request; ``requests`` keeps (method, path, headers)."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"script": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def location(self) -> str:
        return f"s3:http://127.0.0.1:{self._server.server_address[1]}/bucket/prefix"

    def __enter__(self) -> ScriptedS3Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ClassVar[ScriptedS3Server]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.script.requests.append((self.command, self.path, dict(self.headers.items())))
        answer = self.script.answers.pop(0)
        body = answer.body
        if body is None and not answer.code:
            self.close_connection = True
            return
        if body is None:
            body = f"<Error><Code>{answer.code}</Code><Message>{answer.message}</Message></Error>".encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if answer.cut is None else body[: answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""
