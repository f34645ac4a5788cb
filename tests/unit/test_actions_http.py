"""A call to an imaging server, a real one on loopback: what is sent, and what its answers mean."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from configs.maintenance import HttpAction
from tasks.actions.base import ActionOrder
from tasks.actions.http import HttpCall
from tasks.errors import ActionFailed, ActionUnknown, ConfigError
from tests.support.certificate import make_certificate

TOKEN = "eyJhbGciOi.c2VjcmV0LXRva2Vu.c2lnbmF0dXJl"
SECRETS = {"env:AWX": "Bearer hunter2hunter2"}


def order(**changes: Any) -> ActionOrder:
    values: dict[str, Any] = {
        "plan": "lab3-summer",
        "site": "north",
        "host": "lab3-07",
        "address": "10.3.0.7",
        "mac": "3c:52:82:0a:1b:2c",
        "serial": "VMware-56 4d",
        "clearance": TOKEN,
        "expiry": datetime.now(UTC) + timedelta(hours=1),
    }
    return ActionOrder(**{**values, **changes})


class Imager:
    """An imaging server that answers as it is told, and remembers what it was asked."""

    def __init__(self, *, tls: tuple[Path, Path] | None = None) -> None:
        self.status, self.answer, self.headers = 201, b'{"job": 7}', dict[str, str]()
        #: ``cut``: it takes the request and hangs up; ``half``: the same within its answer; ``late``: it says nothing.
        self.manner = ""
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.stop = threading.Event()
        imager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                imager.asked.append((self.command, self.path, dict(self.headers), body))
                if imager.manner == "late":
                    imager.stop.wait(10)
                if imager.manner in ("cut", "late"):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(imager.status)
                for name, value in imager.headers.items():
                    self.send_header(name, value)
                more = 10 if imager.manner == "half" else 0
                self.send_header("Content-Length", str(len(imager.answer) + more))
                self.end_headers()
                self.wfile.write(imager.answer)

            do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if tls is not None else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def serving(*, tls: tuple[Path, Path] | None = None) -> Iterator[Imager]:
    imager = Imager(tls=tls)
    thread = threading.Thread(target=imager.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield imager
    finally:
        imager.stop.set()
        imager.server.shutdown()
        thread.join()
        imager.server.server_close()


@pytest.fixture
def imager() -> Iterator[Imager]:
    with serving() as one:
        yield one


def call(url: str, **more: Any) -> HttpCall:
    config = HttpAction.model_validate({"kind": "http", "url": url, **more})
    return HttpCall(config, lambda reference: SecretStr(SECRETS[reference]))


def test_what_is_sent(imager: Imager) -> None:
    action = call(
        f"{imager.url}/host/{{mac}}/{{serial}}/task?plan={{plan}}",
        method="PUT",
        headers={"Content-Type": "application/json"},
        secret_headers={"Authorization": "env:AWX"},
        body='{"host": "{host}", "clearance": "{clearance}", "numbers": {"a": 1}}',
    )
    result = action.start(order())
    assert not result.done
    assert result.text == '127.0.0.1 answered 201 Created: {"job": 7}'
    ((method, path, headers, body),) = imager.asked
    assert (method, path) == ("PUT", "/host/3c%3A52%3A82%3A0a%3A1b%3A2c/VMware-56%204d/task?plan=lab3-summer")
    assert headers["Authorization"] == SECRETS["env:AWX"]
    assert json.loads(body) == {"host": "lab3-07", "clearance": TOKEN, "numbers": {"a": 1}}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_means_that_nothing_has_begun(imager: Imager, status: int) -> None:
    imager.status, imager.answer = status, f"no: {TOKEN} {SECRETS['env:AWX']}".encode()
    with pytest.raises(ActionFailed, match=f"answered {status}") as caught:
        call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}).start(order())
    assert not isinstance(caught.value, ActionUnknown)
    assert "no: [secret] [secret]" in str(caught.value)
    assert len(imager.asked) == 1


@pytest.mark.parametrize("status", [206, 302, 303, 408, 409, 500, 502, 503])
def test_any_other_answer_is_an_unknown_outcome(imager: Imager, status: int) -> None:
    with serving() as elsewhere:
        imager.status, imager.headers = status, {"Location": f"{elsewhere.url}/steal"}
        with pytest.raises(ActionUnknown, match=f"answered {status}"):
            call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}).start(order())
        assert len(imager.asked) == 1
        assert not elsewhere.asked


@pytest.mark.parametrize("manner", ["cut", "late"])
def test_no_answer_is_an_unknown_outcome_and_is_not_tried_again(
    imager: Imager, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imager.manner = manner
    action = call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}, body="{clearance}")
    # The smallest that a plan can say is a minute.
    monkeypatch.setattr(action, "_config", action._config.model_copy(update={"timeout_minutes": 1 / 60}))
    with pytest.raises(ActionUnknown, match="was sent, and no answer came"):
        action.start(order())
    assert len(imager.asked) == 1


def test_an_answer_that_is_cut_off_counts_by_its_first_line(imager: Imager) -> None:
    imager.manner = "half"
    assert call(f"{imager.url}/x").start(order()).text == "127.0.0.1 answered 201 Created"


def test_nobody_there_means_that_nothing_has_begun() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ActionFailed, match=r"127\.0\.0\.1 was not reached") as caught:
        call(f"http://127.0.0.1:{port}/x").start(order())
    assert not isinstance(caught.value, ActionUnknown)


def test_the_certificate_is_checked(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with serving(tls=(certificate, key)) as imager:
        with pytest.raises(ActionFailed, match=r"was not reached.*certificate") as caught:
            call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}).start(order())
        assert not isinstance(caught.value, ActionUnknown)
        assert not imager.asked
        action = call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}, ca_file=str(certificate))
        assert action.start(order()).text.startswith("127.0.0.1 answered 201")
    with pytest.raises(ActionFailed, match="cannot be used as an authority"):
        call("https://127.0.0.1:1/x", ca_file=str(tmp_path / "none.pem")).start(order())


def test_no_proxy_of_the_environment_gets_the_secret(imager: Imager, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}).start(order())
        assert not proxy.asked
        assert len(imager.asked) == 1


def test_a_secret_that_is_no_header_is_not_told(imager: Imager, monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in ("line one\nX-Injected: two", "snowman ☃ secret"):
        monkeypatch.setitem(SECRETS, "env:AWX", secret)
        with pytest.raises(ActionFailed) as caught:
            call(f"{imager.url}/x", secret_headers={"Authorization": "env:AWX"}).start(order())
        assert not isinstance(caught.value, ActionUnknown)
        assert "one" not in str(caught.value)
        assert "snowman" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert not imager.asked


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"url": "http://imager.example/x", "secret_headers": {"Authorization": "env:AWX"}}, "travel readable"),
        ({"url": "http://imager.example/x", "body": "{clearance}"}, "travel readable"),
        ({"url": "http://127.0.0.1.evil.example/x", "body": "{clearance}"}, "travel readable"),
        ({"url": "https://imager.example/{clearance}"}, "others can read"),
        ({"url": "https://{address}/x"}, "the server of"),
        ({"url": "https://imager.example/{hots}"}, "is no placeholder"),
        ({"url": "https://imager.example/x", "body": "{clearance_file}"}, "cannot be in"),
        (
            {
                "url": "https://imager.example/x",
                "headers": {"authorization": "x"},
                "secret_headers": {"Authorization": "env:AWX"},
            },
            "stands in 'headers' and in 'secret_headers'",
        ),
    ],
)
def test_what_is_refused_before_anything_is_done(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        call(**more)


def test_nothing_is_sent_without_a_good_clearance(imager: Imager) -> None:
    with pytest.raises(ActionFailed, match="expired"):
        call(f"{imager.url}/x").start(order(expiry=datetime.now(UTC)))
    with pytest.raises(ActionFailed, match=r"'\{mac\}', which is not known"):
        call(f"{imager.url}/{{mac}}").start(order(mac=""))
    assert not imager.asked


def test_values_cannot_leave_their_place_in_the_body(imager: Imager) -> None:
    with pytest.raises(ActionFailed, match="not passed on"):
        call(f"{imager.url}/x", body='{"serial": "{serial}"}').start(order(serial='", "host": "other'))
    assert not imager.asked
