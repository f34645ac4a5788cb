"""Makes the boto3 client: credentials and settings where AWS users expect them, our own where firstbell knows better.

This is the only module that imports boto3 when the backend is used, which costs 0.2 s, and a client costs 0.1 s more.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import boto3.session
import botocore.auth
import botocore.loaders
import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tasks.backends.s3_errors import translate
from tasks.backends.s3_options import reveal
from tasks.errors import ConfigError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client

    from tasks.backends.s3_location import S3Location
    from tasks.backends.s3_options import AddressingStyle, S3Options

#: Seconds. Behind the read timeout is the time a server may take for one pack of 16 MiB.
_CONNECT_TIMEOUT: Final = 10.0
_READ_TIMEOUT: Final = 60.0
_DEFAULT_REGION: Final = "us-east-1"
_SIGNATURE: Final = "firstbell-s3v4"
_NAMED_BY_HASH: Final = re.compile(r"/([0-9a-f]{64})(?:\?.*)?$")


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach a location, all lookups done: for a program that does not look where boto3 does."""

    endpoint_url: str
    region: str
    style: AddressingStyle
    ca_bundle: str | None
    #: AWS_ACCESS_KEY_ID and so on; empty when there are no credentials.
    environment: Mapping[str, str] = field(repr=False)


def make_client(location: S3Location, options: S3Options, connections: int) -> S3Client:
    """Return a client for one location; thread-safe, with a pool of ``connections``.

    Raises:
        ConfigError: a setting that no request could work with, such as an unknown profile.
        Denied: no credentials, or they cannot be fetched.
    """
    with _errors(location):
        client = _make_client(_make_session(options), location, options, connections)
        botocore.auth.AUTH_TYPE_MAPS[_SIGNATURE] = _NamedPayloadAuth
        # The stubs do not know that the answer of a hook counts.
        client.meta.events.register("choose-signer.s3.PutObject", cast("Any", _choose_signature))
        return client


def make_signer(location: S3Location, options: S3Options) -> S3Client:
    """Return a client for signing URLs, which asks the server nothing. Raises as ``make_client`` does."""
    with _errors(location):
        return _make_client(_make_session(options), location, options, connections=1, signature="s3v4")


def look_up_access(location: S3Location, options: S3Options) -> S3Access:
    """Return what ``make_client`` would use. Raises as it does."""
    with _errors(location):
        session = _make_session(options)
        client = _make_client(session, location, options, connections=1)
        try:
            credentials = session.get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials else None
            found = {
                "AWS_ACCESS_KEY_ID": frozen.access_key if frozen else None,
                "AWS_SECRET_ACCESS_KEY": frozen.secret_key if frozen else None,
                "AWS_SESSION_TOKEN": frozen.token if frozen else None,
            }
            return S3Access(
                endpoint_url=client.meta.endpoint_url,
                region=client.meta.region_name,
                style=(cast("Any", client.meta.config).s3 or {}).get("addressing_style") or "auto",
                ca_bundle=_ca_bundle(options),
                environment={name: value for name, value in found.items() if value},
            )
        finally:
            client.close()


@contextlib.contextmanager
def _errors(location: S3Location) -> Iterator[None]:
    _quiet_botocore()
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{location}: {error}", hint="Check the settings of the S3 server.") from error
    except BotoCoreError as error:
        raise translate(error, str(location)) from error


def _make_session(options: S3Options) -> boto3.session.Session:
    if (options.access_key_id is None) != (options.secret_access_key is None):
        raise ConfigError("access_key_id and secret_access_key of the S3 server belong together", hint="Give both.")
    models = botocore.session.Session()
    models.register_component("data_loader", _loader())
    session = boto3.session.Session(
        botocore_session=models,
        aws_access_key_id=reveal(options.access_key_id),
        aws_secret_access_key=reveal(options.secret_access_key),
        aws_session_token=reveal(options.session_token),
        profile_name=options.profile,
    )
    # Each boto3 session appends the same folder to the loader's.
    _loader().search_paths[:] = dict.fromkeys(_loader().search_paths)
    return session


@functools.cache
def _loader() -> botocore.loaders.Loader:
    """Return the reader of botocore's service descriptions, which keeps them: 0.03 s per further client, not 0.1 s."""
    return _Loader()


class _Loader(botocore.loaders.Loader):
    """Knows services by the names of their folders: a look into each of 400 cost a fifth of what a client costs."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the services that may have a description; loading one that has none is an error of its own."""
        folders = [Path(path) for path in self.search_paths]
        return sorted({entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()})


def _make_client(
    session: boto3.session.Session,
    location: S3Location,
    options: S3Options,
    connections: int,
    signature: str | None = None,
) -> S3Client:
    bundle = _ca_bundle(options)
    if bundle and not Path(bundle).exists():
        raise ConfigError(f"there is no file with certificates {bundle}", hint="Check s3.ca_bundle or AWS_CA_BUNDLE.")
    endpoint = location.endpoint_url or options.endpoint_url
    # boto3 does not know AWS_REGION, which every other SDK does.
    region = options.region or session.region_name or os.environ.get("AWS_REGION") or location.region
    # botocore's own "auto" asks servers at a host name for names per bucket, which few schools have in their DNS.
    wanted = None if options.addressing_style == "auto" else options.addressing_style
    style: AddressingStyle | None = wanted or ("path" if endpoint else None)

    def make(style: AddressingStyle | None) -> S3Client:
        return session.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region or _DEFAULT_REGION,
            verify=options.ca_bundle,  # None: AWS_CA_BUNDLE, the profile, certifi
            config=Config(
                s3={"addressing_style": style} if style else None,
                max_pool_connections=connections,
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_READ_TIMEOUT,
                tcp_keepalive=True,
                signature_version=signature,  # None: botocore's choice, for URLs still version 2
                # backends.retry does it, for all backends alike
                retries={"total_max_attempts": 1},
                # Other S3 servers refuse the trailing checksums of current SDKs.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                user_agent_extra="firstbell",
            ),
        )

    client = make(style)
    if style is None and not re.search(r"\.amazonaws\.com(\.cn)?$", client.meta.endpoint_url):
        # The environment or the profile names a server of the school's own.
        client.close()
        client = make("path")
    return client


def _ca_bundle(options: S3Options) -> str | None:
    return options.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or None


class _NamedPayloadAuth(S3SigV4Auth):
    """Signs a file that is named by its SHA-256 without hashing it once more.

    Nearly everything in a repository is named so. A server that compares what arrived with the signed hash (Amazon S3
    and MinIO do, SeaweedFS does not) finds content that was damaged after it was named; and it saves 0.65 s of CPU per
    GB, over half of what an upload costs [measured].
    """

    def payload(self, request: AWSRequest) -> str:
        """Return the hash for the signature."""
        found = _NAMED_BY_HASH.search(str(request.url))
        return found[1] if found else str(super().payload(request))


def _choose_signature(signature_version: object, signing_name: str, **_: Any) -> str | None:
    """Return ours for the plain S3 signature; for any other, such as S3 Express, botocore chooses."""
    return _SIGNATURE if signature_version in {"v4", "s3v4"} and signing_name == "s3" else None


def _quiet_botocore() -> None:
    """Keep botocore's debug records out of a log at level DEBUG: they have session tokens and whole bodies in them."""
    log = logging.getLogger("botocore")
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
