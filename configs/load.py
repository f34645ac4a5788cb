"""Reading the configuration: a file, then the environment over it, then two passes of checks.

Every problem of a pass is told at once. The first pass is about shape (unknown keys, wrong types), the second,
``check_consistency``, about what the values say together; values of the wrong shape would only echo in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.location import bucket_of, location_problem, overlap
from configs.model import AppConfig
from configs.overrides import apply_overrides
from configs.problems import Problem, did_you_mean, problems_of, render
from configs.values import expand, placeholders
from configs.yaml_file import read_yaml

#: Where the configuration lies when neither the caller nor FIRSTBELL_CONFIG says so.
DEFAULT_PATH = Path("configs/app.yaml")
_SITE_KEYS = ("site", "group", "host")


def config_path(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Return where the configuration lies: ``path``, else what FIRSTBELL_CONFIG says, else ``configs/app.yaml``."""
    environ = os.environ if environ is None else environ
    return Path(path or environ.get("FIRSTBELL_CONFIG") or DEFAULT_PATH)


def load_config(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> AppConfig:
    """Return the configuration from ``path``, else from FIRSTBELL_CONFIG, else from ``configs/app.yaml``.

    Variables ``FIRSTBELL_<SECTION>__<KEY>`` go over the file. ``environ`` is ``os.environ`` unless given.

    Raises:
        ConfigError: there is no such file, or something in it is wrong; every problem stands in the message.
    """
    environ = os.environ if environ is None else environ
    source = config_path(path, environ)
    return config_from(_content(source), environ, source=str(source))


def config_from(content: Any, environ: Mapping[str, str], *, source: str) -> AppConfig:
    """Return the configuration that parsed YAML and the environment give; ``source`` heads the message.

    Raises:
        ConfigError: something is wrong; every problem stands in the message.
    """
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise _refused(source, [Problem("", "here belong lines 'section:' with indented lines 'key: value'")])
    content, origins, problems = apply_overrides(content, environ)
    try:
        config = AppConfig.model_validate(content)
    except ValidationError as error:
        problems += [
            Problem(".".join(path), text + _named_by(origins, path)) for path, text in problems_of(error, AppConfig)
        ]
        # the cause holds the input, which may be a secret in the wrong place
        raise _refused(source, problems) from None
    problems += check_consistency(config)
    if problems:
        raise _refused(source, problems)
    return config


def check_consistency(config: AppConfig) -> list[Problem]:
    """Return what the values say wrongly together: patterns, sites without repository, time zones, mail."""
    return [
        *_pattern_problems(config),
        *_site_problems(config),
        *_shared_repository_problems(config),
        *_spool_problems(config),
        *_ledger_problems(config),
        *(Problem(f"mail.{key}", text) for key, text in config.mail.contradictions()),
    ]


def _content(source: Path) -> Any:
    try:
        document = read_yaml(source)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration at {source}",
            hint=(
                "Copy configs/app.example.yaml there and adapt it, or say where it lies with --config or in the "
                "environment variable FIRSTBELL_CONFIG."
            ),
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the configuration {source} cannot be read: {error.strerror}",
            hint="Check that it is a file and that this account may read it.",
        ) from None
    if document.problems:
        raise _refused(str(source), document.problems)
    return document.content


def _refused(source: str, problems: list[Problem] | tuple[Problem, ...]) -> ConfigError:
    return ConfigError(
        render(source, problems), hint="Correct the file; docs/configuration.md describes every key with an example."
    )


def _named_by(origins: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> str:
    """Return which variable of the environment gave the value, if one did."""
    names = [name for key, name in origins.items() if path[: len(key)] == key]
    return f" (from {names[0]})" if names else ""


def _patterns(config: AppConfig) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    yield "repository.location", config.repository.location, _SITE_KEYS
    yield "repository.password", config.repository.password, _SITE_KEYS
    yield "spool.location", config.spool.location, ("site",)
    yield "approval.ledger", config.approval.ledger, ("site",)
    yield "approval.code_key", config.approval.code_key, ("site",)
    for number, reference in enumerate(config.approval.old_code_keys):
        yield f"approval.old_code_keys.{number}", reference, ("site",)
    for name, site in config.sites.items():
        yield f"sites.{name}.repository.location", site.repository.location, _SITE_KEYS
        yield f"sites.{name}.repository.password", site.repository.password, _SITE_KEYS


def _pattern_problems(config: AppConfig) -> Iterator[Problem]:
    for path, pattern, known in _patterns(config):
        for name in placeholders(pattern or ""):
            if name not in known:
                allowed = ", ".join("{" + one + "}" for one in known)
                text = f"unknown placeholder '{{{name}}}'; here there are {allowed}."
                yield Problem(path, text + did_you_mean(name, known))


def _site_problems(config: AppConfig) -> Iterator[Problem]:
    shared = config.repository.location
    if shared is None and not config.sites:
        text = "no site has a repository: set a location here or name the sites in 'sites'"
        yield Problem("repository.location", text)
    if shared is not None and (text := _location_text(shared, "site")):
        yield Problem("repository.location", text)
    for name, site in config.sites.items():
        own = site.repository.location
        if own is None and shared is None:
            text = "this site has no repository: set 'repository.location' here or for all sites"
            yield Problem(f"sites.{name}", text)
        elif own is not None and (text := _location_text(own, name)):
            yield Problem(f"sites.{name}.repository.location", text)
        elif own is None and shared and not _location_text(shared, "site") and (text := _location_text(shared, name)):
            yield Problem(f"sites.{name}", text)
        if not _is_time_zone(site.time_zone):
            text = f"'{site.time_zone}' is no time zone; write for example 'Europe/Berlin'"
            yield Problem(f"sites.{name}.time_zone", text)


def _location_text(pattern: str, site: str) -> str:
    """Return what is wrong with the location once a site is filled in; a wrong placeholder is told elsewhere."""
    if not set(placeholders(pattern)) <= set(_SITE_KEYS):
        return ""
    return location_problem(expand(pattern, {"site": site, "group": "group", "host": "host"})) or ""


def _shared_repository_problems(config: AppConfig) -> Iterator[Problem]:
    """Yield sites that share a repository and differ in what holds for a repository as a whole."""
    first: dict[str, str] = {}
    for name, site in config.sites.items():
        pattern = site.repository.location or config.repository.location
        if pattern is None or not set(placeholders(pattern)) <= set(_SITE_KEYS):
            continue
        location = expand(pattern, {"site": name, "group": "{group}", "host": "{host}"}).rstrip("/")
        other = first.setdefault(location, name)
        if config.retention_for(name) != config.retention_for(other):
            text = f"this site shares the repository {location} with '{other}', so both must have the same retention"
            yield Problem(f"sites.{name}.retention", text)
        if _password(config, name) != _password(config, other):
            text = f"this site shares the repository {location} with '{other}', so both must have the same password"
            yield Problem(f"sites.{name}.repository.password", text)


def _password(config: AppConfig, site: str) -> str:
    reference = config.site(site).repository.password or config.repository.password
    return reference.replace("{site}", site)


def _is_time_zone(name: str) -> bool:
    # only for configured sites, and slow enough to keep out of every start
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _spool_problems(config: AppConfig) -> Iterator[Problem]:
    """Yield why the spool is none. What is left in it is removed, so it must hold nothing else."""
    pattern = config.spool.location
    if pattern is None or not set(placeholders(pattern)) <= {"site"}:
        return
    location = expand(pattern, {"site": "site"})
    if bucket_of(location) is None:
        text = f"'{pattern}' is no place in a bucket, and computers can only reach one; write 's3://bucket/prefix'"
        yield Problem("spool.location", text)
        return
    if wrong := location_problem(location):
        yield Problem("spool.location", wrong)
    for name in config.sites or ("site",):
        spool = expand(pattern, {"site": name})
        for other in config.sites or ("site",):
            repository = config.site(other).repository.location or config.repository.location
            if repository is None or not set(placeholders(repository)) <= set(_SITE_KEYS):
                continue
            known = {"site": other, "group": "group", "host": "host"}
            # A placeholder may become anything, so what stands before the first one of these counts.
            place = expand(repository.partition("{group}")[0].partition("{host}")[0], known)
            if overlap(spool, place):
                text = f"this is where the repository {repository} lies; the spool needs a place of its own"
                yield Problem("spool.location", text)
                return


def _ledger_problems(config: AppConfig) -> Iterator[Problem]:
    """Yield why the place of the ledger is none; what is old in the spool is removed."""
    pattern = config.approval.ledger
    if pattern is None or not set(placeholders(pattern)) <= {"site"}:
        return
    if wrong := location_problem(expand(pattern, {"site": "site"})):
        yield Problem("approval.ledger", wrong)
        return
    spool = config.spool.location
    if spool is None or not set(placeholders(spool)) <= {"site"}:
        return
    names = list(config.sites) or ["site"]
    if any(overlap(expand(spool, {"site": one}), expand(pattern, {"site": two})) for one in names for two in names):
        yield Problem("approval.ledger", "this is where the spool lies, in which what is old is removed")
