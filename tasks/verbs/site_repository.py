"""One open repository for all hosts of a site run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock

from configs.model import RepositoryPlace
from inventory.select import select
from tasks.backends.base import Backend
from tasks.backends.registry import open_backend
from tasks.backends.s3_options import S3Options
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.verbs.context import Context
from tasks.verbs.heap import bound_heap


class OpenRepository:
    """A repository with its lock held and its index loaded; shared by the threads of a site run."""

    def __init__(self, repository: Repository, place: RepositoryPlace) -> None:
        self.repository = repository
        self.place = place
        self._snapshots: list[Snapshot] | None = None
        self._guard = Lock()

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots as they were when the run first asked, newest last; read once per run."""
        with self._guard:
            if self._snapshots is None:
                self._snapshots = self.repository.snapshots()
            return self._snapshots


def repository_place(context: Context, site: str, *, host: str = "") -> RepositoryPlace:
    """Return where the repository of a site (or of one host, when the pattern asks for it) lies."""
    group = ""
    if host:
        groups = context.host(host).groups
        group = groups[0] if groups else ""
    return context.config.repository_for(site, group=group, host=host)


def repository_places(context: Context, site: str) -> tuple[RepositoryPlace, ...]:
    """Return every repository of a site: one, unless the pattern of its location asks for the group or the host.

    Raises ``InventoryError`` for a site that has no host.
    """
    hosts = select(context.inventory, site=site)
    return tuple(dict.fromkeys(repository_place(context, site, host=host.name) for host in hosts))


def repository_backend(context: Context, location: str) -> Backend:
    """Return the backend at a location, with the credentials of the configuration."""
    connections = context.config.s3.connections
    return open_backend(location, s3_options(context), connections=connections, shared=context.stores)


@contextmanager
def open_repository(
    context: Context, site: str, *, host: str = "", location: str = "", lock: bool = True, wait: bool = True
) -> Iterator[OpenRepository]:
    """Open a site's repository, lock it (not exclusively) and load its index; give all back at the end.

    ``location`` picks one of several repositories of a site. ``lock=False`` is for verbs that only look. With
    ``wait=False`` a ``Locked`` may come only from what is called first that writes (see ``Repository.lock``). Raises
    ``NoRepository``, ``WrongPassword``, ``Locked`` or a ``BackendError``.
    """
    bound_heap()
    if location:
        place = next(one for one in repository_places(context, site) if one.location == location)
    else:
        place = repository_place(context, site, host=host)
    backend = repository_backend(context, place.location)
    try:
        repository = Repository.open(backend, context.secret(place.password).get_secret_value())
    except BaseException:
        backend.close()
        raise
    try:
        with repository.lock(wait=wait) if lock else nullcontext():
            repository.load_index()
            yield OpenRepository(repository, place)
    finally:
        repository.close()


def s3_options(context: Context) -> S3Options:
    """Return how to reach S3, its secrets resolved."""
    s3 = context.config.s3
    return S3Options(
        endpoint_url=s3.endpoint_url,
        region=s3.region,
        profile=s3.profile,
        access_key_id=context.secret(s3.access_key_id) if s3.access_key_id else None,
        secret_access_key=context.secret(s3.secret_access_key) if s3.secret_access_key else None,
        ca_bundle=s3.ca_bundle,
        addressing_style=s3.addressing_style,
    )
