"""A call to an imaging server that has one computer wiped.

It is made once. An answer that the plan expects means that it has begun there; a refusal (most of 4xx) that it has not;
anything else, also no answer, that nobody knows.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr

from configs.maintenance import HttpAction
from tasks.actions.base import ActionOrder, ActionResult
from tasks.actions.fill import NAMES, as_json, check_placeholders, fill
from tasks.errors import ActionFailed, ActionUnknown, ConfigError
from tasks.transports.redact import Redactor

#: How much of an answer is read and told: bytes, characters.
_LARGEST: Final = 64 * 1024
_LONGEST: Final = 500
#: Refusals of a request as such. Not 408 and 409: those may be about one that was begun.
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 422, 429, 431})
#: What httpx raises before the first byte of a request has gone out.
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
)
_NOTHING: Final = "Nothing was started."


class HttpCall:
    """Makes the call of an ``HttpAction``."""

    def __init__(self, config: HttpAction, secret: Callable[[str], SecretStr]) -> None:
        """Raise ``ConfigError`` for a placeholder that is none, or a secret that would travel readable."""
        self._config = config
        self._secret = secret
        check_placeholders(_authority(config.url), "the server of action.url", ())
        check_placeholders(config.url, "action.url", NAMES)
        check_placeholders(config.body, "action.body", NAMES | {"clearance"})
        doubled = {name.casefold() for name in config.headers} & {name.casefold() for name in config.secret_headers}
        if doubled:
            raise ConfigError(
                f"'{min(doubled)}' stands in 'headers' and in 'secret_headers'", hint="Leave it out of 'headers'."
            )
        is_secret = bool(config.secret_headers) or "{clearance}" in config.body
        if is_secret and config.url.startswith("http://") and not _is_loopback(_authority(config.url)):
            raise ConfigError(
                f"a secret would travel readable to {_authority(config.url)}",
                hint="Write https in 'action.url', and name the school's own authority in 'action.ca_file'.",
            )

    def start(self, order: ActionOrder) -> ActionResult:
        """Make the call, once."""
        order.check()
        config = self._config
        secrets = {name: self._secret(reference) for name, reference in config.secret_headers.items()}
        redactor = Redactor([order.clearance, *(one.get_secret_value() for one in secrets.values())])
        url = fill(config.url, order, quote=lambda value: quote(value, safe=""))
        body = fill(config.body, order, quote=as_json, clearance=order.clearance)
        headers = {**config.headers, **{name: one.get_secret_value() for name, one in secrets.items()}}
        where = urlsplit(url).hostname or ""
        with self._client(order.host) as client:
            status, said = self._call(client, url, headers, body, redactor, order.host, where)
        answer = f"{where} answered {_status(status)}{f': {said}' if said else ''}"
        if status in config.expect:
            return ActionResult(done=False, text=answer)
        if status in _REFUSALS:
            raise ActionFailed(answer, hint=f"{_NOTHING} {_cure(status)}", host=order.host)
        raise ActionUnknown(
            f"{answer}, which is not among the answers that mean it has begun",
            hint="Look at the imaging server, and at the computer.",
            host=order.host,
        )

    def _client(self, host: str) -> httpx.Client:
        try:
            context = ssl.create_default_context(cafile=self._config.ca_file)
        except OSError as error:
            raise ActionFailed(
                f"{self._config.ca_file} cannot be used as an authority's certificate: {error.strerror or error}",
                hint=f"{_NOTHING} Set 'action.ca_file' to a readable PEM file.",
                host=host,
            ) from None
        # No proxy and no .netrc of the worker's environment: a secret goes where the plan says, and nowhere else.
        timeout = self._config.timeout_minutes * 60.0
        return httpx.Client(verify=context, timeout=timeout, follow_redirects=False, trust_env=False)

    def _call(
        self,
        client: httpx.Client,
        url: str,
        headers: Mapping[str, str],
        body: str,
        redactor: Redactor,
        host: str,
        where: str,
    ) -> tuple[int, str]:
        """Return status and the beginning of the answer."""
        config = self._config
        try:
            request = client.build_request(config.method, url, headers=dict(headers), content=body.encode())
        except (httpx.InvalidURL, ValueError, TypeError):
            # Its text could hold a secret.
            raise ActionFailed(
                "the call cannot be made: its address or a header is not as HTTP has it",
                hint=f"{_NOTHING} Look at 'action.url', 'headers' and 'secret_headers'.",
                host=host,
            ) from None
        status = 0
        deadline = time.monotonic() + config.timeout_minutes * 60.0
        try:
            response = client.send(request, stream=True)
            status = response.status_code
            try:
                heard = b""
                for piece in response.iter_bytes():
                    heard += piece
                    # What it says is only for people; nobody waits for a server that never comes to its end.
                    if len(heard) >= _LARGEST or time.monotonic() > deadline:
                        break
            finally:
                response.close()
        except _NOT_SENT as error:
            raise ActionFailed(
                f"{where} was not reached: {redactor.text(_reason(error))}",
                hint=f"{_NOTHING} Check 'action.url', that the server runs, and its certificate ('action.ca_file').",
                host=host,
            ) from None
        except httpx.HTTPError as error:
            if status:
                # It has answered; only what it had to say is cut off.
                return status, ""
            raise ActionUnknown(
                f"the call to {where} was sent, and no answer came: {redactor.text(_reason(error))}",
                hint="It may have begun. Look at the imaging server, and at the computer.",
                host=host,
            ) from None
        return status, _line(redactor.text(heard.decode("utf-8", "replace")))


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.LocalProtocolError):
        return "a header is not as HTTP has it"
    return str(error) or type(error).__name__


def _authority(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]


def _is_loopback(authority: str) -> bool:
    try:
        name = urlsplit(f"//{authority}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _cure(status: int) -> str:
    if status in (401, 403):
        return "Check the secret in 'action.secret_headers', and what it may do on the imaging server."
    if status == 404:
        return "Check 'action.url', and that the imaging server knows this computer."
    return "Check 'action.url', 'method' and 'body'."


def _line(text: str) -> str:
    words = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."
