"""A real sshd on a free loopback port, run as the current user: for the tests and for the demo.

Needs ``sshd`` and ``ssh-keygen``; the account's own login shell runs the commands, as on any host, but with an empty
home folder: what its ``.bashrc`` does is not our matter, and must not be cut off half-way when a test cuts a session.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

#: How long sshd may take to listen, in seconds.
START_TIMEOUT = 15.0


def find_sshd() -> Path | None:
    """Return the path of sshd, or None where none is installed. sshd insists on being called by its full path."""
    found = shutil.which("sshd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    return Path(found) if found and shutil.which("ssh-keygen") else None


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, kind: str = "ed25519", *, passphrase: str = "", comment: str = "test") -> Path:
    """Make a key pair at ``path`` and ``path``.pub, and return ``path``."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", comment, "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path


def fingerprint(public_key: Path) -> str:
    """Return the ``SHA256:...`` fingerprint of a public key file, as ssh-keygen shows it."""
    argv = ["ssh-keygen", "-l", "-E", "sha256", "-f", str(public_key)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]


class SshServer:
    """An sshd of one's own in ``folder``; ``config`` are further lines of sshd_config.

    ``host_keys`` are the types of its host keys. Its first key is in ``known_hosts``, and ``client_key`` may log in.
    ``before`` is a program that becomes sshd, whose argv follows it, such as ``unshare``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: Sequence[str] = (),
        host_keys: Sequence[str] = ("ed25519",),
        sftp: bool = True,
        before: Sequence[str] = (),
    ) -> None:
        sshd = find_sshd()
        if sshd is None:
            raise FileNotFoundError("sshd and ssh-keygen are needed (Debian: apt-get install openssh-server)")
        self._sshd = sshd
        self._before = tuple(before)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.address = "127.0.0.1"
        self.port = free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.host_keys = tuple(make_key(folder / f"host_{kind}", kind) for kind in host_keys)
        self.client_key = make_key(folder / "client_key")
        self.authorized_keys = folder / "authorized_keys"
        self.authorize(self.client_key)
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(self.known_line(self.host_keys[0]))
        #: The home folder of the programs that it starts; a test may put a ``.bashrc`` there.
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self._config = folder / "sshd_config"
        self._extra = (*config, *(("Subsystem sftp internal-sftp",) if sftp else ()))
        self._log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host_key_fingerprint(self) -> str:
        """The ``SHA256:...`` fingerprint of the first host key."""
        return fingerprint(Path(f"{self.host_keys[0]}.pub"))

    @property
    def log(self) -> str:
        """What sshd has logged so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def known_line(self, host_key: Path) -> str:
        """Return the line of known_hosts for one of the host keys."""
        kind, key = Path(f"{host_key}.pub").read_text().split()[:2]
        return f"[{self.address}]:{self.port} {kind} {key}\n"

    def authorize(self, client_key: Path, options: str = "") -> None:
        """Let one more key log in; ``options`` as in authorized_keys."""
        line = Path(f"{client_key}.pub").read_text()
        with self.authorized_keys.open("a") as file:
            file.write(f"{options} {line}" if options else line)

    def start(self) -> SshServer:
        """Start sshd and wait until it answers; on the same port when it ran before."""
        if os.getuid() == 0:
            # Where sshd confines itself before a login; Debian makes it when its own service starts.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        # The first value of a keyword counts, so that lines of the caller's win.
        lines = [
            *self._extra,
            f"ListenAddress {self.address}:{self.port}",
            *(f'HostKey "{key}"' for key in self.host_keys),
            f'AuthorizedKeysFile "{self.authorized_keys}"',
            "PidFile none",
            f'SetEnv "HOME={self.home}"',
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "MaxStartups 100",
            "UseDNS no",
            "PrintMotd no",
            "LogLevel VERBOSE",
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen(
            [*self._before, str(self._sshd), "-D", "-f", str(self._config), "-E", str(self._log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None:
                _, reason = self._process.communicate()
                raise RuntimeError(f"sshd ended at once: {reason.decode(errors='replace')}{self.log}")
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"sshd does not answer within {START_TIMEOUT:g} s: {self.log}")
            threading.Event().wait(0.02)
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=1.0) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """The process that listens."""
        if self._process is None:
            raise RuntimeError("sshd is not running")
        return self._process.pid

    def sessions(self) -> list[int]:
        """Return the processes that serve connections now: the children of the one that listens."""
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
        return [pid for pid, parent in pairs if parent == self.pid]

    def kill_sessions(self) -> None:
        """Cut each connection hard, with the processes below it, and go on listening."""
        for pid in self.sessions():
            # sshd first: it would tell the other side, in good order, that the program has ended.
            for victim in (pid, *_descendants(pid)):
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def stop(self) -> None:
        """Stop listening and cut each connection; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            self._process = process
            self.kill_sessions()
            self._process = None
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stderr is not None:
            process.stderr.close()

    def change_host_key(self) -> None:
        """Make new host keys of the same types, unknown to ``known_hosts``; shown from the next start on."""
        for host_key in self.host_keys:
            kind = host_key.name.removeprefix("host_")
            host_key.unlink()
            Path(f"{host_key}.pub").unlink()
            make_key(host_key, kind)

    def restart(self) -> SshServer:
        """Stop and start on the same port."""
        self.stop()
        return self.start()

    def __enter__(self) -> SshServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _descendants(pid: int) -> list[int]:
    """Return all processes below ``pid``, the deepest last."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    todo = [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found.extend(below)
        todo.extend(below)
    return found
