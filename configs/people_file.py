"""Reading the file with the people of a school."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.people import PeopleFile, Person
from configs.problems import Problem, did_you_mean, problems_of, render
from configs.yaml_file import read_mapping

_HINT: Final = "Correct the file; configs/people.example.yaml shows every key."


def load_people(path: Path, *, sites: Collection[str] = ()) -> PeopleFile:
    """Return the people in a file; nobody where there is no such file.

    With ``sites``, the schools that are configured, no other may be named.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong; every problem stands in the message.
    """
    try:
        document = read_mapping(
            path, what="the file of people", begins="'people:' with indented lines below", hint=_HINT
        )
    except FileNotFoundError:
        return PeopleFile()
    try:
        found = PeopleFile.model_validate(document.content)
    except ValidationError as error:
        problems = [
            Problem(".".join(where), text, document.line(where)) for where, text in problems_of(error, PeopleFile)
        ]
    else:
        problems = [*_unknown_delegates(found), *_unknown_sites(found, sites), *_shared_accounts(found)]
        if not problems:
            return found
    raise ConfigError(render(str(path), problems), hint=_HINT)


def accounts_of(key: str, person: Person) -> tuple[str, ...]:
    """Return the accounts of a person; the key of the entry where none is named."""
    return person.accounts or (key,)


def _unknown_delegates(found: PeopleFile) -> Iterator[Problem]:
    for key, person in found.people.items():
        for delegate in person.delegates:
            if delegate == key:
                yield Problem(f"people.{key}.delegates", "nobody is a delegate of themselves")
            elif delegate not in found.people:
                text = f"there is no '{delegate}' among the people." + did_you_mean(delegate, found.people)
                yield Problem(f"people.{key}.delegates", text)


def _unknown_sites(found: PeopleFile, sites: Collection[str]) -> Iterator[Problem]:
    for key, person in found.people.items():
        for site in person.sites:
            if sites and site not in sites:
                text = f"there is no site '{site}' in the configuration." + did_you_mean(site, sites)
                yield Problem(f"people.{key}.sites", text)


def _shared_accounts(found: PeopleFile) -> Iterator[Problem]:
    """Yield accounts that two people of one school claim: nobody could tell whom of them to ask."""
    owners: dict[str, list[str]] = {}
    for key, person in found.people.items():
        for account in dict.fromkeys(one.casefold() for one in accounts_of(key, person)):
            for other in owners.setdefault(account, []):
                mine, theirs = person.sites, found.people[other].sites
                if not mine or not theirs or set(mine) & set(theirs):
                    yield Problem(f"people.{key}.accounts", f"'{account}' is an account of '{other}', too")
            owners[account].append(key)
