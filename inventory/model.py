"""Hosts, and the three layers of files that they are resolved from.

``HostEntry`` over ``GroupEntry`` over ``Defaults``: an entry holds only what its file says. ``Host`` holds everything,
resolved once, with the origin of each value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from configs.base import Model
from configs.problems import did_you_mean
from configs.values import Name, SecretReference
from inventory.errors import InventoryError
from inventory.folders import (
    check_account,
    check_address,
    check_exclude,
    check_fingerprint,
    check_folder,
    check_home,
    check_key_file,
    check_mac,
    check_serial,
    check_worker_file,
    text_or_advice,
)

Platform = Literal["auto", "linux", "macos", "windows"]
TransportName = Literal["ssh", "winrm", "local"]
Become = Literal["sudo"]
Port = Annotated[int, Field(ge=1, le=65535)]
Folder = Annotated[str, BeforeValidator(text_or_advice), AfterValidator(check_folder)]
Exclude = Annotated[str, AfterValidator(check_exclude)]
KeyFile = Annotated[str, AfterValidator(check_key_file)]
Home = Annotated[str, AfterValidator(check_home)]
Account = Annotated[str, AfterValidator(check_account)]
Address = Annotated[str, AfterValidator(check_address)]
WorkerFile = Annotated[str, AfterValidator(check_worker_file)]
Fingerprint = Annotated[str, AfterValidator(check_fingerprint)]
Mac = Annotated[str, AfterValidator(check_mac)]
Serial = Annotated[str, AfterValidator(check_serial)]

#: The ports of the protocols; WinRM has two.
DEFAULT_PORTS: Final[Mapping[str, int]] = {"ssh": 22, "winrm": 5986, "local": 22}
WINRM_HTTP_PORT: Final = 5985

_KEY_FILES = (
    "Private key files on the worker, tried in order. With `use_ssh_config`, empty means those that ssh would try."
)


class JumpHost(Model):
    """The host to go through, where the worker cannot reach a classroom directly."""

    address: Address = Field(description="Name or address of the jump host.", examples=["gate.school.example"])
    port: Port = Field(default=22, description="Its SSH port.", examples=[22])
    user: Account | None = Field(default=None, description="The account there.", examples=["firstbell"])
    key_files: tuple[KeyFile, ...] = Field(default=(), description=_KEY_FILES, examples=[["/etc/firstbell/id_ed25519"]])
    key_passphrase: SecretReference | None = Field(
        default=None, description="Reference to the passphrase of the keys.", examples=["env:FIRSTBELL_JUMP_PASSPHRASE"]
    )
    password: SecretReference | None = Field(
        default=None, description="Reference to the password there.", examples=["env:FIRSTBELL_JUMP_PASSWORD"]
    )
    use_agent: bool = Field(default=False, description="Use the keys of the running ssh-agent.", examples=[True])
    use_ssh_config: bool = Field(
        default=False, description="Let the address be an alias of `~/.ssh/config`.", examples=[True]
    )
    known_hosts: str | None = Field(
        default=None,
        description="File with the host keys to trust, instead of `~/.ssh/known_hosts`.",
        examples=["/etc/firstbell/known_hosts"],
    )


class SshAccess(Model):
    """How to log in over SSH. Each key is taken from the nearest layer that sets it."""

    key_files: tuple[KeyFile, ...] = Field(default=(), description=_KEY_FILES, examples=[["/etc/firstbell/id_ed25519"]])
    key_passphrase: SecretReference | None = Field(
        default=None,
        description="Reference to the passphrase of the keys.",
        examples=["file:/etc/firstbell/id_ed25519.passphrase"],
    )
    password: SecretReference | None = Field(
        default=None,
        description="Reference to the account's password. `{site}` and `{host}` are filled in.",
        examples=["block:secret/{site}-backup-account"],
    )
    use_agent: bool = Field(default=False, description="Use the keys of the running ssh-agent.", examples=[True])
    use_ssh_config: bool = Field(
        default=False,
        description="Let the address be an alias of the worker's `~/.ssh/config` and take user, port and keys from it.",
        examples=[True],
    )
    known_hosts: str | None = Field(
        default=None,
        description="File with the host keys to trust, instead of `~/.ssh/known_hosts`.",
        examples=["/etc/firstbell/known_hosts"],
    )
    jump: JumpHost | None = Field(default=None, description="The host to go through; taken as a whole.")


#: Keys by which other tools turn the encryption of WinRM off.
_UNENCRYPTED: Final = frozenset(
    {"allow_unencrypted", "message_encryption", "server_cert_validation", "unencrypted", "verify"}
)


class WinRmAccess(Model):
    """How to log in over WinRM. Each key is taken from the nearest layer that sets it."""

    scheme: Literal["https", "http"] = Field(
        default="https",
        description=(
            "`https`, or `http` for a computer without a certificate: then only with `ntlm` or `kerberos`, which seal "
            "each message."
        ),
        examples=["https"],
    )
    auth: Literal["ntlm", "kerberos", "certificate", "basic"] = Field(
        default="ntlm",
        description=(
            "How to log in. `kerberos` takes the ticket of the account that runs firstbell, and no password; "
            "`certificate` needs `certificate_file` and `key_file`; `basic` and `certificate` only over https."
        ),
        examples=["kerberos"],
    )
    password: SecretReference | None = Field(
        default=None,
        description="Reference to the account's password. `{site}` and `{host}` are filled in.",
        examples=["block:secret/{site}-backup-account"],
    )
    ca_file: WorkerFile | None = Field(
        default=None,
        description="File with the certificates to trust, where the computers' are signed by an authority of your own.",
        examples=["/etc/firstbell/school-ca.pem"],
    )
    fingerprint: Fingerprint | None = Field(
        default=None,
        description=(
            "SHA-256 of the computer's own certificate: it is trusted, and no other, whoever signed it. Hexadecimal "
            "digits, or `SHA256:` and base64."
        ),
        examples=["SHA256:jVVJ2nYqFhFkYmtE5xrG4bqnXwO8h3cQxkEPmU2pzRo"],
    )
    certificate_file: WorkerFile | None = Field(
        default=None,
        description="Certificate to log in with, on the worker.",
        examples=["/etc/firstbell/winrm.pem"],
    )
    key_file: KeyFile | None = Field(
        default=None,
        description="Private key of that certificate, on the worker.",
        examples=["/etc/firstbell/winrm.key"],
    )

    @model_validator(mode="before")
    @classmethod
    def _never_readable(cls, data: Any) -> Any:
        """Answer whoever looks for the switch that turns encryption or its check off: there is none."""
        found = sorted(_UNENCRYPTED.intersection(data)) if isinstance(data, Mapping) else ()
        if found:
            msg = (
                f"'{found[0]}' is not known here: what is saved never travels readable, and the computer must prove "
                "who it is. Use https with 'ca_file' or 'fingerprint', or http with 'auth: ntlm' or 'kerberos', which "
                "seal each message"
            )
            raise ValueError(msg)
        return data


class Defaults(Model):
    """What holds for every host, unless one of its groups or the host itself says otherwise."""

    site: Name | None = Field(
        default=None,
        description="The school, by its short name. Required, here or in a lower layer.",
        examples=["north"],
    )
    platform: Platform = Field(
        default="auto", description="`linux`, `macos` or `windows`; `auto` asks the host.", examples=["windows"]
    )
    transport: TransportName = Field(
        default="ssh",
        description=(
            "`ssh` (on Windows: its own OpenSSH server), `winrm` for Windows, or `local` for the worker's own computer."
        ),
        examples=["winrm"],
    )
    port: Port | None = Field(
        default=None,
        description="Its port. Left out: 22 for `ssh`; for `winrm` 5986, or 5985 with `winrm.scheme: http`.",
        examples=[22],
    )
    user: Account | None = Field(
        default=None,
        description=(
            "The account that firstbell logs in with; of Windows also `NORTH\\svc-firstbell` or "
            "`svc-firstbell@north.example`. Required for `ssh` unless `ssh.use_ssh_config` is set, and for `winrm` "
            "with `ntlm` or `basic`."
        ),
        examples=["firstbell", "NORTH\\svc-firstbell"],
    )
    become: Become | None = Field(
        default=None,
        description="`sudo` when the account is not root and shall read every teacher's files; not for Windows.",
        examples=["sudo"],
    )
    ssh: SshAccess = Field(default=SshAccess(), description="How to log in over SSH.")
    winrm: WinRmAccess = Field(default=WinRmAccess(), description="How to log in over WinRM.")
    shadow_copy: Literal["auto", "never"] = Field(
        default="auto",
        description=(
            "Windows: `auto` saves from a shadow copy of the disk where the account may make one, so that also open "
            "files are as of one moment; `never` reads the files as they are."
        ),
        examples=["never"],
    )
    teachers: tuple[Account, ...] = Field(
        default=(),
        description=(
            "Account names of the teachers whose files are saved. Empty: everybody with a home on the host. On Windows "
            "the name alone will do, as long as no two domains have the same."
        ),
        examples=[["a.ito", "m.okafor"], ["NORTH\\a.ito"]],
    )
    homes: Mapping[Account, Home] = Field(
        default={},
        description="Where a teacher's home is, if the host itself does not know.",
        examples=[{"a.ito": "/srv/homes/a.ito"}, {"a.ito": "D:\\Users\\a.ito"}],
    )
    include: tuple[Folder, ...] = Field(
        default=("{home}",),
        description="Folders to save, instead of `snapshot.include` of the configuration.",
        examples=[["{home}", "/srv/projects"], ["{home}", "D:\\Projects"]],
    )
    exclude: tuple[Exclude, ...] = Field(
        default=(),
        description="Patterns to leave out, besides `snapshot.exclude` of the configuration.",
        examples=[["*.iso", "~/Downloads/cache/"], ["~\\Downloads\\cache\\"]],
    )
    wake_address: Address = Field(
        default="255.255.255.255",
        description=(
            "Where the packet goes that wakes a computer: the broadcast address of its network. The default reaches "
            "the worker's own network only."
        ),
        examples=["10.3.0.255"],
    )
    wake_port: Port = Field(default=9, description="Its UDP port.", examples=[9])
    notes: str = Field(
        default="", description="Anything worth knowing; firstbell only shows it.", examples=["by the door"]
    )


class GroupEntry(Defaults):
    """What holds for the hosts of a group: a school, a room, a subject."""

    title: str = Field(default="", description="The name as people say it.", examples=["Lab 3"])
    kind: Literal["school", "room", "other"] = Field(
        default="other",
        description="What the group stands for. An import moves a host from one `room` or `school` to another.",
        examples=["room"],
    )


class HostEntry(Defaults):
    """What holds for one host."""

    address: Address | None = Field(
        default=None, description="Name or address in the network. Left out: the host's name.", examples=["10.3.0.7"]
    )
    mac: Mac | None = Field(
        default=None,
        description="MAC address of its network card, to wake it and for imaging servers that know it by that.",
        examples=["3c:52:82:0a:1b:2c"],
    )
    serial: Serial | None = Field(
        default=None,
        description=(
            "The hardware's serial number, as the computer tells it. Left out: what it told when it was last saved. "
            "After a reimage it must be the same."
        ),
        examples=["PF2ABC7D"],
    )
    groups: tuple[Name, ...] = Field(
        default=(),
        description="Its groups. Where two set the same key, the first one in this list wins.",
        examples=[["lab-3", "north"]],
    )


class Host(Model):
    """One computer, everything resolved. Secrets are still references."""

    name: Name
    site: Name
    groups: tuple[Name, ...] = ()
    address: Address
    platform: Platform = "auto"
    transport: TransportName = "ssh"
    port: Port = 22
    #: None only with ``transport: local``, ``ssh.use_ssh_config``, or WinRM by ticket or certificate.
    user: Account | None = None
    ssh: SshAccess = SshAccess()
    winrm: WinRmAccess = WinRmAccess()
    shadow_copy: Literal["auto", "never"] = "auto"
    become: Become | None = None
    teachers: tuple[Account, ...] = ()
    homes: Mapping[Account, Home] = {}
    include: tuple[Folder, ...] = ("{home}",)
    exclude: tuple[Exclude, ...] = ()
    mac: Mac | None = None
    serial: Serial | None = None
    wake_address: Address = "255.255.255.255"
    wake_port: Port = 9
    notes: str = ""
    #: Key ("site", "ssh.password") -> where its value stands ("hosts.yaml, line 12"); a built-in value has none.
    sources: Mapping[str, str] = {}

    def folders(self, configured: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders to save: the inventory's where it names any for this host, else what is configured."""
        return self.include if "include" in self.sources else configured


@dataclass(frozen=True)
class Inventory:
    """All hosts by name, the title of each group, and what a person should look at though it stops nothing."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    #: Which of the groups are rooms.
    rooms: frozenset[str] = frozenset()

    def sites(self) -> tuple[str, ...]:
        """Return the sites that have hosts, sorted."""
        return tuple(sorted({host.site for host in self.hosts.values()}))

    def host(self, name: str) -> Host:
        """Return the host of that name, whatever its capitals.

        Raises:
            InventoryError: there is none; the message names the nearest.
        """
        found = self.hosts.get(name)
        if found is None:
            folded = name.casefold()
            found = next((host for known, host in self.hosts.items() if known.casefold() == folded), None)
        if found is None:
            raise InventoryError(
                f"there is no host '{name}' in the inventory." + did_you_mean(name, self.hosts),
                hint="'firstbell inventory' lists every host.",
            )
        return found
