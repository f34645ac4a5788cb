"""Make a repository, check it, and let old snapshots go. How bytes go is the stock restic client's work."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.backends.registry import ensure_location
from tasks.repository.repository import Repository
from tasks.verbs.context import Context
from tasks.verbs.site_repository import repository_backend, repository_place, s3_options


@dataclass(frozen=True, slots=True)
class InitResult:
    """A new repository: where, and its id in hex."""

    location: str
    id: str


def init_repository(context: Context, site: str, *, host: str = "") -> InitResult:
    """Make the repository of a site, its bucket or folder included.

    Raises a ``RepositoryError`` when there is one already: it is left as it is.
    """
    place = repository_place(context, site, host=host)
    password = context.secret(place.password).get_secret_value()
    ensure_location(place.location, s3_options(context))
    backend = repository_backend(context, place.location)
    try:
        repository = Repository.init(backend, password)
        try:
            return InitResult(place.location, repository.config.id)
        finally:
            repository.close()
    finally:
        backend.close()
