"""Secrets that live in Prefect: what stands behind ``block:secret/NAME``.

The last module that knows Prefect. Anybody with access to the Prefect API can read a block in clear, so ``file:`` and
``env:`` on the worker are the better places for a school's master passwords (docs/design.md, section 6).
"""

from __future__ import annotations

from typing import Any

from configs.errors import ConfigError


def resolve_block(name: str) -> str:
    """Return the secret in the Prefect block ``secret/NAME``.

    Raises:
        ConfigError: there is no such block, it holds no text, or no Prefect server can be asked. Never names a value.
    """
    kind, _, block = name.partition("/")
    reference = f"block:{name}"
    if kind != "secret" or not block:
        raise ConfigError(
            f"the secret '{reference}' is of a kind that is not known", hint="Write 'block:secret/' and its name."
        )
    # Importing Prefect takes seconds: only a command that meets such a reference pays for it.
    import httpx
    from prefect.blocks.system import Secret
    from prefect.settings import get_current_settings

    if not get_current_settings().api.url:
        # Without an address Prefect would start a server of its own, which knows no block of anybody.
        raise ConfigError(
            f"the secret '{reference}' lies in Prefect, and no Prefect server is configured here",
            hint="Set PREFECT_API_URL, or refer to the secret by 'env:' or 'file:'.",
        )
    value: object
    try:
        # Not .get(): it reads the text as JSON where it can, and a password such as 12345 comes out as a number.
        loaded: Any = Secret.load(block, _sync=True)  # type: ignore[call-arg]
        value = loaded.value.get_secret_value()
    except ValueError:
        raise ConfigError(
            f"the secret '{reference}' is not there: Prefect has no block of that name",
            hint=f"Make a block of type Secret called '{block}' in the Prefect UI, under Blocks.",
        ) from None
    except httpx.HTTPError as error:
        raise ConfigError(
            f"the secret '{reference}' could not be read: the Prefect server did not answer ({type(error).__name__})",
            hint="Check PREFECT_API_URL and that the server runs.",
        ) from None
    if not isinstance(value, str) or not value:
        raise ConfigError(
            f"the secret '{reference}' holds no text", hint=f"Put the secret into the block '{block}' as plain text."
        )
    return value
