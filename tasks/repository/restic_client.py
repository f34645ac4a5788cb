"""Drives the stock restic client for what firstbell does not do itself: check, forget, prune, unlock.

Secrets reach restic in the environment of its own process alone, never in its arguments. The settings of S3 are looked
up as the S3 backend does it, as restic does not know all the places where AWS users keep them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks.backends.registry import split_location
from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_options import S3Options
from tasks.errors import ConfigError, RepositoryError, ToolMissing
from tasks.repository.restic_errors import failure
from tasks.repository.restic_process import CURE, Finished, run

#: Before it, restic did not read repositories of version 2.
OLDEST: Final = (0, 14, 0)
#: What restic may see of the worker's environment. Not among it are RESTIC_* variables, which could point elsewhere.
_PASSED_ON: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SSL_CERT_(?:FILE|DIR)|(?:https?|no|all)_proxy|SYSTEMROOT",
    re.IGNORECASE,
)
_HOUR: Final = 3600.0
#: Snapshot IDs per call: 64 digits each stay far below the smallest limit for arguments (256 KiB on macOS).
_IDS_PER_CALL: Final = 500
_SUBSET: Final = re.compile(r"\d+/\d+|\d+(?:\.\d+)?%|\d+[kKmMgGtT]?")
_SNAPSHOT_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_SECRET_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, slots=True)
class Stats:
    """What is stored: bytes, blobs (0 where the mode does not count them), and snapshots."""

    size: int
    blobs: int
    snapshots: int


class ResticClient:
    """The stock client on one repository; thread-safe. Any method may raise one of these errors.

    * ``ToolMissing``: restic is not installed, or older than ``OLDEST``;
    * ``NoRepository``, ``WrongPassword``, ``Locked``, ``Denied``, ``StoreUnavailable``, ``RepositoryError``.
    """

    def __init__(
        self,
        location: str,
        password: str,
        environment: Mapping[str, str] | None = None,
        *,
        options: S3Options | None = None,
        cache_dir: Path | None = None,
        program: str = "restic",
        report: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            location: as in ``backends.registry``; a ``memory:`` one is refused.
            password: of the repository.
            environment: variables for restic on top of what it gets anyway, such as AWS_ACCESS_KEY_ID.
            options: settings of the S3 server, as for the backend.
            cache_dir: restic's cache of metadata; None uses a temporary one for each command.
            program: the name or path of the client.
            report: gets every line that restic writes, secrets replaced; called from other threads.
        """
        self.location = location
        self._password = password
        self._extra = dict(environment or {})
        self._options = options or S3Options()
        self._cache_dir = cache_dir
        self._program = program
        self._report = report
        self._version: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        return f"ResticClient({self.location!r})"

    def version(self) -> tuple[int, int, int]:
        """Return the client's version. Raises ``ToolMissing`` when it is absent or too old."""
        if self._version is None:
            environment = self._base_environment()
            finished = run([self._find(environment), "version"], environment, time_limit=30.0)
            found = re.match(r"restic (\d+)\.(\d+)(?:\.(\d+))?", "\n".join(finished.output))
            if not found:
                raise ToolMissing(f"'{self._program}' does not say that it is restic", hint=CURE)
            version = (int(found[1]), int(found[2]), int(found[3] or 0))
            if version < OLDEST:
                raise ToolMissing(f"restic {'.'.join(map(str, version))} is too old", hint=CURE)
            self._version = version
        return self._version

    def check(self, *, read_data: bool | str = False, time_limit: float = 48 * _HOUR) -> tuple[str, ...]:
        """Prove that the repository is sound, and return what restic said.

        Args:
            read_data: True reads all packs; a subset is ``n/t``, ``5%`` or a size such as ``2G``.
            time_limit: in seconds.

        Raises:
            Damaged: it is not sound; the message has restic's findings.
        """
        arguments = ["check"]
        if read_data is True:
            arguments.append("--read-data")
        elif read_data:
            if not _SUBSET.fullmatch(read_data):
                raise ConfigError(f"not a subset of the data: {read_data!r}", hint="Use '1/7', '5%' or '2G'.")
            arguments.append(f"--read-data-subset={read_data}")
        return self.run(arguments, time_limit=time_limit).output

    def forget(self, ids: Sequence[str], *, time_limit: float = 4 * _HOUR) -> None:
        """Remove the snapshots with these IDs (hex); one that is gone already is no error."""
        for snapshot in ids:
            if not _SNAPSHOT_ID.fullmatch(snapshot):
                raise ValueError(f"not the ID of a snapshot: {snapshot!r}")
        for start in range(0, len(ids), _IDS_PER_CALL):
            self.run(["forget", "--json", *ids[start : start + _IDS_PER_CALL]], time_limit=time_limit)

    def prune(self, *, max_unused: str | None = None, time_limit: float = 48 * _HOUR) -> tuple[str, ...]:
        """Remove data that no snapshot refers to, and return what restic said. ``max_unused`` as in restic: ``5%``."""
        more = [f"--max-unused={max_unused}"] if max_unused is not None else []
        return self.run(["prune", *more], time_limit=time_limit).output

    def unlock(self, *, remove_all: bool = False, time_limit: float = _HOUR) -> None:
        """Remove locks that dead processes left; ``remove_all`` removes those of living ones as well."""
        self.run(["unlock", *(["--remove-all"] if remove_all else [])], time_limit=time_limit)

    def stats(self, *, time_limit: float = 4 * _HOUR) -> Stats:
        """Return how much is stored for all snapshots together."""
        finished = self.run(["stats", "--json", "--mode=raw-data"], time_limit=time_limit)
        found = next((line for line in _json_lines(finished.output) if "total_size" in line), None)
        if found is None:
            raise RepositoryError("restic gave no statistics", hint=CURE)
        return Stats(
            int(found["total_size"]), int(found.get("total_blob_count", 0)), int(found.get("snapshots_count", 0))
        )

    def run(self, arguments: Sequence[str], *, time_limit: float) -> Finished:
        """Run any command of restic that ends with 0; none of the ``arguments`` may be a secret."""
        self.version()
        place, options, settings = self._place()
        environment = {**self._base_environment(), **settings, **self._extra, "RESTIC_PASSWORD": self._password}
        secrets = [self._password, *(environment.get(name, "") for name in _SECRET_VARIABLES)]
        with tempfile.TemporaryDirectory(prefix="firstbell-restic-") as temporary:
            cache = self._cache_dir or Path(temporary)
            argv = [self._find(environment), f"--repo={place}", f"--cache-dir={cache}", *options, *arguments]
            finished = run(argv, environment, time_limit=time_limit, secrets=secrets, report=self._report)
        if finished.code:
            raise failure(f"{self.location}: restic {arguments[0]}", finished)
        return finished

    def _place(self) -> tuple[str, list[str], Mapping[str, str]]:
        """Return (location in restic's spelling, options, environment)."""
        scheme, rest = split_location(self.location)
        if scheme == "local":
            return str(Path(rest).expanduser().absolute()), [], {}
        if scheme != "s3":
            raise ConfigError(f"restic cannot open a '{scheme}:' location", hint="Use a directory or S3.")
        from tasks.backends.s3_client import look_up_access

        location = parse_s3_location(rest)
        access = look_up_access(location, self._options)
        lookup = {"path": "path", "virtual": "dns"}.get(access.style, "auto")
        options = ["-o", f"s3.bucket-lookup={lookup}", "-o", f"s3.region={access.region}"]
        if access.ca_bundle:
            options.append(f"--cacert={access.ca_bundle}")
        path = f"{location.bucket}/{location.prefix}".rstrip("/")
        return f"s3:{access.endpoint_url}/{path}", options, access.environment

    def _base_environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}

    def _find(self, environment: Mapping[str, str]) -> str:
        found = shutil.which(self._program, path=environment.get("PATH", os.defpath))
        if not found:
            raise ToolMissing(f"'{self._program}' is not installed on this computer", hint=CURE)
        return found


def _json_lines(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue
