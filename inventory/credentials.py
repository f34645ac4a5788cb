"""References to secrets, resolved at the last moment: ``env:NAME``, ``file:/path``, ``block:secret/name``.

A message names the reference and never the value, and an error has no cause that could hold it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from configs.errors import ConfigError
from configs.values import check_reference

#: No password, key passphrase or S3 secret is longer; a larger file is not what was meant.
_LARGEST = 64 * 1024
#: Where container runtimes put secrets for everybody in that container, mode 0444.
_CONTAINER_SECRETS = Path("/run/secrets")


def resolve(
    reference: str,
    resolve_block: Callable[[str], str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> SecretStr:
    """Return the secret behind a reference, without the line break that ends a file.

    ``resolve_block`` is asked for ``secret/name``; it raises ``ConfigError`` for a block that does not exist.

    Raises:
        ConfigError: the text is no reference, or there is nothing behind it, or others may read the file.
    """
    try:
        check_reference(reference)
    except ValueError as error:
        text, _, cure = str(error).partition(". ")
        raise ConfigError(f"a secret is configured in clear: {text}", hint=f"{cure}.") from None
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = (os.environ if environ is None else environ).get(name, "")
        if not value:
            raise ConfigError(
                f"the secret '{reference}' is not there: the environment variable {name} is not set",
                hint=f"Set {name} for the process that runs firstbell, for a worker in its service file.",
            )
    elif kind == "file":
        value = _from_file(reference, Path(name).expanduser())
    else:
        value = _from_block(reference, name, resolve_block)
    return SecretStr(value)


def _from_file(reference: str, path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(
                f"the secret '{reference}' is no ordinary file", hint="Write the secret into a file, mode 600."
            )
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & stat.S_IROTH and not path.resolve().is_relative_to(_CONTAINER_SECRETS):
                raise ConfigError(
                    f"the secret '{reference}' can be read by everybody on this computer",
                    hint=f"Run: chmod 600 {path}",
                )
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"the secret '{reference}' is not there: no such file", hint="Write the secret into that file, mode 600."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the secret '{reference}' cannot be read: {error.strerror}",
            hint="Check that it is a file and that the account of this process may read it.",
        ) from None
    text = _text(data)
    if text is None:
        raise ConfigError(
            f"the secret '{reference}' is no text in UTF-8 of at most 64 KiB", hint="Check which file was meant."
        )
    if not text:
        raise ConfigError(f"the secret '{reference}' is empty", hint="Write the secret into that file.")
    return text


def _text(data: bytes) -> str | None:
    if len(data) > _LARGEST:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text.removesuffix("\n").removesuffix("\r")


def _from_block(reference: str, name: str, resolve_block: Callable[[str], str] | None) -> str:
    if resolve_block is None:
        raise ConfigError(
            f"the secret '{reference}' lies in a Prefect block, and this command works without Prefect",
            hint="Run it as a deployment, or refer to the secret by 'env:' or 'file:' on this computer.",
        )
    value = resolve_block(name)
    if not value:
        raise ConfigError(f"the secret '{reference}' is empty", hint="Fill in the block in the Prefect UI.")
    return value
