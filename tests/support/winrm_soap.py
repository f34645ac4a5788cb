"""The envelopes of a WinRM server: what it reads of a request, what it answers.

After MS-WSMV and DSP0226; only what a shell needs: Create, Command, Send, Receive, Signal, Delete.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
CMD_SHELL = f"{SHELL}/cmd"
TERMINATE = f"{SHELL}/signal/terminate"
CTRL_C = f"{SHELL}/signal/ctrl_c"

#: WSManFault codes of wsmerror.h.
TIMED_OUT = 2150858793
INVALID_SELECTORS = 2150858843
SCHEMA_VALIDATION = 2150858817
ACTION_NOT_SUPPORTED = 2150858778
MAX_SHELLS = 2150859173
MAX_COMMANDS = 2150859241
ACCESS_DENIED = 5
#: Windows' ERROR_INVALID_PARAMETER: our choice for what no source tells, such as a command nobody knows.
INVALID_PARAMETER = 87

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


class SoapFault(Exception):
    """What the server refuses, as it says it."""

    def __init__(self, code: int, subcode: str, reason: str, *, blame: str = "s:Sender") -> None:
        super().__init__(reason)
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.blame = blame


def timed_out() -> SoapFault:
    """Return what an operation ends with whose time has run out."""
    return SoapFault(
        TIMED_OUT,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
        blame="s:Receiver",
    )


def invalid(reason: str) -> SoapFault:
    """Return what a request ends with that is not as the schema wants it."""
    return SoapFault(SCHEMA_VALIDATION, "w:SchemaValidationError", reason)


@dataclass(frozen=True, slots=True)
class Request:
    """One request; durations in seconds, ``body`` the first element of the body."""

    action: str
    message_id: str
    resource: str
    shell_id: str
    operation_timeout: float
    envelope_limit: int
    options: dict[str, str]
    body: ElementTree.Element | None

    def text(self, tag: str) -> str:
        """Return the text of an element of the shell's namespace in the body, empty when there is none."""
        found = None if self.body is None else self.body.find(f".//{{{SHELL}}}{tag}")
        return "" if found is None else found.text or ""

    def find(self, tag: str) -> ElementTree.Element:
        """Return an element of the shell's namespace below the body's. Raises ``SoapFault``."""
        found = None if self.body is None else self.body.find(f".//{{{SHELL}}}{tag}")
        if found is None:
            raise invalid(f"the element {tag} is missing")
        return found


def seconds(duration: str) -> float:
    """Return an ISO 8601 duration in seconds. Raises ``SoapFault``."""
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()):
        raise invalid(f"{duration!r} is not a duration")
    days, hours, minutes, rest = (float(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def parse(data: bytes) -> Request:
    """Read a request. Raises ``SoapFault``."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise invalid(f"not well-formed: {error}") from error
    header, body = root.find(f"{{{SOAP}}}Header"), root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or header is None or body is None:
        raise invalid("not a SOAP envelope")

    def text(namespace: str, tag: str, default: str = "") -> str:
        found = header.find(f"{{{namespace}}}{tag}")
        return default if found is None else (found.text or default)

    selectors = {one.get("Name", ""): one.text or "" for one in header.iter(f"{{{WSMAN}}}Selector")}
    return Request(
        action=text(ADDRESSING, "Action"),
        message_id=text(ADDRESSING, "MessageID"),
        resource=text(WSMAN, "ResourceURI"),
        shell_id=selectors.get("ShellId", ""),
        operation_timeout=seconds(text(WSMAN, "OperationTimeout", "PT60S")),
        envelope_limit=int(text(WSMAN, "MaxEnvelopeSize", "153600")),
        options={one.get("Name", ""): one.text or "" for one in header.iter(f"{{{WSMAN}}}Option")},
        body=next(iter(body), None),
    )


def stream_data(element: ElementTree.Element) -> bytes:
    """Return what a Stream element carries. Raises ``SoapFault``."""
    try:
        return base64.b64decode(element.text or "", validate=True)
    except binascii.Error as error:
        raise invalid(f"not base64: {error}") from error


def envelope(relates_to: str, action: str, body: str) -> bytes:
    """Return an answer."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:x="{TRANSFER}" '
        f'xmlns:w="{WSMAN}" xmlns:rsp="{SHELL}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:To>{ADDRESSING}/role/anonymous</a:To><a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault_envelope(relates_to: str, fault: SoapFault) -> bytes:
    """Return a refusal."""
    reason = escape(fault.reason)
    return envelope(
        relates_to,
        f"{ADDRESSING}/fault",
        f"<s:Fault><s:Code><s:Value>{fault.blame}</s:Value><s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault xmlns:f="{FAULT}" Code="{fault.code}" Machine="127.0.0.1"><f:Message>{reason}</f:Message>'
        "</f:WSManFault></s:Detail></s:Fault>",
    )


def shell_created(shell_id: str) -> str:
    """Return the body of the answer to Create."""
    return (
        f"<x:ResourceCreated><a:Address>http://127.0.0.1/wsman</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{CMD_SHELL}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        f"</x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId></rsp:Shell>"
    )


def output(command_id: str, pieces: dict[str, bytes], exit_code: int | None, *, done: bool) -> str:
    """Return the body of the answer to Receive: what came on each stream, and whether that was all."""
    text = ""
    for name, piece in pieces.items():
        if piece:
            data = base64.b64encode(piece).decode()
            text += f'<rsp:Stream Name="{name}" CommandId="{command_id}">{data}</rsp:Stream>'
        if done:
            text += f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"></rsp:Stream>'
    if done:
        text += (
            f'<rsp:CommandState CommandId="{command_id}" State="{SHELL}/CommandState/Done">'
            f"<rsp:ExitCode>{exit_code}</rsp:ExitCode></rsp:CommandState>"
        )
    else:
        text += f'<rsp:CommandState CommandId="{command_id}" State="{SHELL}/CommandState/Running"></rsp:CommandState>'
    return f"<rsp:ReceiveResponse>{text}</rsp:ReceiveResponse>"
