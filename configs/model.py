"""The typed configuration: everything of ``configs/app.yaml``.

Each field carries a description and an example; the reference page and ``schema.json`` are rendered from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from configs.approval import ApprovalConfig
from configs.base import Model
from configs.duration import Duration
from configs.errors import ConfigError
from configs.folders import check_exclude, check_folder, text_or_advice
from configs.gate import ClearanceConfig, GateConfig
from configs.location import check_endpoint, check_proxy
from configs.mail import AlertsConfig, LettersConfig, MailConfig
from configs.settings import SettingsConfig
from configs.values import DurationText, Name, SecretReference, Size, expand

#: Where the repository lies unless the configuration says otherwise: one bucket per school.
DEFAULT_LOCATION = "s3://firstbell-{site}/repository"
DEFAULT_PASSWORD = "env:FIRSTBELL_PASSWORD"  # noqa: S105 - a reference, not a password
_LIMITS = frozenset({"max_file_size", "virtual_machines_over"})


Folder = Annotated[str, BeforeValidator(text_or_advice), AfterValidator(check_folder)]
Exclude = Annotated[str, AfterValidator(check_exclude)]
Count = Annotated[int, Field(ge=0)]
EndpointUrl = Annotated[str, AfterValidator(check_endpoint)]
Proxy = Annotated[str, AfterValidator(check_proxy)]


class RepositoryConfig(Model):
    """Where the snapshots are stored, and how."""

    location: str | None = Field(
        default=DEFAULT_LOCATION,
        description=(
            "Where the repository lies: `s3://bucket/prefix`, restic's `s3:https://server/bucket/prefix`, or the full "
            "path of a folder. A pattern: `{site}`, `{group}` (the first group of the host) and `{host}` are filled "
            "in, so that each school has a repository of its own. `null` when every site names its own."
        ),
        examples=["s3://firstbell-{site}/repository", "/srv/firstbell/{site}"],
    )
    password: SecretReference = Field(
        default=DEFAULT_PASSWORD,
        description=(
            "Reference to the password that encrypts the repository. Without it nobody can restore anything: keep a "
            "copy of the password outside of firstbell. `{site}` is filled in."
        ),
        examples=["env:FIRSTBELL_PASSWORD", "file:/etc/firstbell/{site}.password", "block:secret/{site}-repository"],
    )


class S3Config(Model):
    """How to reach the S3 store. What is not said here comes from where AWS tools look for it."""

    endpoint_url: str | None = Field(
        default=None,
        description="Address of an S3 server that is not Amazon's.",
        examples=["https://s3.school.example:9000"],
    )
    region: str | None = Field(default=None, description="Region of the buckets.", examples=["eu-central-1"])
    profile: str | None = Field(
        default=None,
        description="Profile of `~/.aws/config` on the worker to take credentials from.",
        examples=["firstbell"],
    )
    access_key_id: SecretReference | None = Field(
        default=None, description="Reference to the access key id.", examples=["env:FIRSTBELL_S3_KEY_ID"]
    )
    secret_access_key: SecretReference | None = Field(
        default=None, description="Reference to the secret access key.", examples=["file:/etc/firstbell/s3.secret"]
    )
    ca_bundle: str | None = Field(
        default=None,
        description="File with the certificates to trust, for a server with a certificate of your own.",
        examples=["/etc/ssl/certs/school-ca.pem"],
    )
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        default="auto",
        description="Where the bucket's name stands: in the `path` of the address or in its host name (`virtual`).",
        examples=["path"],
    )
    connections: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="How many connections to the store one run keeps open.", examples=[8]
    )


class SpoolConfig(Model):
    """Where Windows computers put what they are asked for, for the minutes until the worker has taken it.

    Only for hosts over WinRM. What lies there is sealed with a key that no other run has, the computer gets no
    credential, only addresses that expire; without a spool everything goes through WinRM itself, which is slow.
    """

    location: str | None = Field(
        default=None,
        description=(
            "A place in a bucket that holds nothing else: `s3://bucket/prefix`. `{site}` is filled in. It is reached "
            "as `s3` says. `null` means that there is none."
        ),
        examples=["s3://firstbell-spool/{site}"],
    )
    url_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=15,
        description="For how long an address that a computer gets is good. Slow lines need longer than fast ones.",
        examples=[15],
    )
    public_endpoint: EndpointUrl | None = Field(
        default=None,
        description="Address under which the computers reach the store, when it is not the one the worker uses.",
        examples=["https://s3.school.example:9000"],
    )
    proxy: Proxy | None = Field(
        default=None,
        description=(
            "The proxy that the computers take to the store: its address, or `system` for what Windows is set to. "
            "`null` means that they reach it directly."
        ),
        examples=["system", "http://proxy.school.example:3128"],
    )


class SnapshotConfig(Model):
    """What a snapshot takes along."""

    include: tuple[Folder, ...] = Field(
        default=("{home}",),
        description=(
            "Folders to save. `{home}` stands for the home of each teacher of the host, `{desktop}`, `{documents}`, "
            "`{downloads}`, `{pictures}`, `{music}` and `{videos}` for that folder in it, whatever its name there is."
        ),
        examples=[["{home}", "/srv/projects"]],
    )
    exclude: tuple[Exclude, ...] = Field(
        default=(),
        description=(
            "Patterns to leave out: `*` and `?` within a name, `**` for any folders, a leading `/` for a full path, "
            "`~/` for every teacher's home, a trailing `/` for folders only. Patterns of the configuration, the site "
            "and the host add up; the report names each file that one left out."
        ),
        examples=[["*.iso", "~/Downloads/cache/"]],
    )
    default_excludes: bool = Field(
        default=True,
        description="Leave out what no teacher misses: caches, the trash, `node_modules`, large virtual machines.",
        examples=[True],
    )
    max_file_size: Size | None = Field(
        default=None,
        ge=0,
        description="Leave out files larger than this. `null` means any size is saved.",
        examples=["50 GiB"],
    )
    virtual_machines_over: Size | None = Field(
        default=2 * 2**30,
        ge=0,
        description="What counts as a large virtual machine: the size of its disk image. `null` means all are saved.",
        examples=["2 GiB"],
    )
    hosts_at_once: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="How many hosts of a site are worked on at the same time.", examples=[4]
    )


class RetentionConfig(Model):
    """Which snapshots `firstbell forget` keeps, for each host. The rules add up, as restic's do.

    Whatever the rules say, the newest complete snapshot of a host is never forgotten.
    """

    keep_last: Count = Field(default=3, description="Keep the last n snapshots.", examples=[3])
    keep_hourly: Count = Field(default=0, description="Keep the last snapshot of each of n hours.", examples=[24])
    keep_daily: Count = Field(default=14, description="Keep the last snapshot of each of n days.", examples=[14])
    keep_weekly: Count = Field(default=8, description="Keep the last snapshot of each of n weeks.", examples=[8])
    keep_monthly: Count = Field(default=12, description="Keep the last snapshot of each of n months.", examples=[12])
    keep_yearly: Count = Field(default=0, description="Keep the last snapshot of each of n years.", examples=[3])
    keep_within: DurationText | None = Field(
        default=None,
        description=(
            "Keep everything made in this time before the newest snapshot: `h` hours, `d` days, `w` weeks, `m` months, "
            "`y` years."
        ),
        examples=["14d"],
    )
    keep_tags: tuple[str, ...] = Field(
        default=(), description="Keep snapshots with one of these tags.", examples=[["exams"]]
    )
    keep_before_restore: DurationText = Field(
        default=Duration(days=90),
        description=(
            "How long a before-image of a restore is kept, so that the restore can be undone; and the snapshot that a "
            "computer was cleared to be wiped on."
        ),
        examples=["90d"],
    )


class SiteRepository(Model):
    """The repository of one site, where it differs."""

    location: str | None = Field(
        default=None, description="Location of this site's repository.", examples=["/srv/firstbell/north"]
    )
    password: SecretReference | None = Field(
        default=None, description="Reference to this repository's password.", examples=["block:secret/north-repository"]
    )


class SiteSnapshot(Model):
    """What a snapshot of one site takes along, where it differs."""

    include: tuple[Folder, ...] | None = Field(
        default=None, description="Folders to save, instead of those above.", examples=[["{home}"]]
    )
    exclude: tuple[Exclude, ...] = Field(
        default=(), description="Patterns to leave out, besides those above.", examples=[["~/Movies/*.mov"]]
    )
    default_excludes: bool | None = Field(default=None, description="As above.", examples=[False])
    max_file_size: Size | None = Field(default=None, ge=0, description="As above.", examples=["20 GiB"])
    virtual_machines_over: Size | None = Field(default=None, ge=0, description="As above.", examples=["8 GiB"])
    hosts_at_once: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="As above.", examples=[8]
    )


class SiteConfig(Model):
    """One school."""

    title: str = Field(
        default="", description="The school's name as people say it.", examples=["Northfield Primary School"]
    )
    time_zone: str = Field(
        default="UTC",
        description="Time zone of the school: reports show its time, and retention counts its days.",
        examples=["Europe/Berlin"],
    )
    repository: SiteRepository = Field(
        default=SiteRepository(), description="The repository of this school, where it differs."
    )
    snapshot: SiteSnapshot = Field(
        default=SiteSnapshot(), description="What is saved at this school, where it differs."
    )
    retention: RetentionConfig | None = Field(
        default=None, description="The retention of this school, instead of the one for all."
    )
    gate: GateConfig | None = Field(default=None, description="The gate of this school, instead of the one for all.")
    calendar: Name | None = Field(
        default=None,
        description="Its school calendar, `<name>.yaml` in `calendars`. Left out: the site's own name.",
        examples=["district"],
    )
    contact: str = Field(
        default="",
        description="Whom to ask at this school, instead of `letters.contact`.",
        examples=["Ms Okafor, room 12"],
    )


@dataclass(frozen=True, slots=True)
class RepositoryPlace:
    """One repository with every placeholder filled in; ``password`` is still a reference."""

    location: str
    password: str


class AppConfig(Model):
    """Everything a site's administrator decides."""

    repository: RepositoryConfig = Field(
        default=RepositoryConfig(), description="Where the snapshots are stored, and how."
    )
    s3: S3Config = Field(default=S3Config(), description="How to reach the S3 store.")
    spool: SpoolConfig = Field(
        default=SpoolConfig(), description="Where Windows computers over WinRM put what they are asked for."
    )
    snapshot: SnapshotConfig = Field(default=SnapshotConfig(), description="What a snapshot takes along.")
    settings: SettingsConfig = Field(
        default=SettingsConfig(), description="Which settings of teachers' profiles are saved with their files."
    )
    retention: RetentionConfig = Field(default=RetentionConfig(), description="Which snapshots are kept.")
    gate: GateConfig = Field(default=GateConfig(), description="What must be true before a computer may be wiped.")
    clearance: ClearanceConfig = Field(
        default=ClearanceConfig(), description="How the permission to wipe a computer is signed."
    )
    approval: ApprovalConfig = Field(
        default=ApprovalConfig(), description="How people prove who they are when they agree, refuse or hold."
    )
    calendars: str = Field(
        default="calendars",
        description=(
            "Folder of the school calendars; when it is no full path, it is sought beside this file. A day that no "
            "calendar covers keeps the gate shut."
        ),
        examples=["calendars", "/etc/firstbell/calendars"],
    )
    maintenance: str = Field(
        default="maintenance",
        description="Folder of the maintenance plans; when it is no full path, it is sought beside this file.",
        examples=["maintenance", "/etc/firstbell/maintenance"],
    )
    people: str = Field(
        default="people.yaml",
        description=(
            "File with the people who are asked and told; when it is no full path, it is sought beside this file."
        ),
        examples=["people.yaml", "/etc/firstbell/people.yaml"],
    )
    mail: MailConfig = Field(default=MailConfig(), description="The mail server that takes letters to people.")
    letters: LettersConfig = Field(default=LettersConfig(), description="What stands in pages and letters.")
    alerts: AlertsConfig = Field(default=AlertsConfig(), description="When somebody is told that nothing was saved.")
    sites: Mapping[Name, SiteConfig] = Field(
        default={},
        description=(
            "The schools, by the short name that the inventory uses. When this is empty, any site of the inventory "
            "will do; otherwise a site that does not stand here is a mistake."
        ),
    )

    def site(self, name: str) -> SiteConfig:
        """Return what is configured for a site; all defaults when it does not stand in ``sites``."""
        return self.sites.get(name) or SiteConfig()

    def repository_for(self, site: str, *, group: str = "", host: str = "") -> RepositoryPlace:
        """Return the one repository of a host (or of a site, when the pattern needs no more).

        Raises:
            ConfigError: the site has no repository, or the pattern needs a group or host that was not given.
        """
        own = self.site(site).repository
        pattern = own.location or self.repository.location
        if pattern is None:
            raise ConfigError(
                f"site '{site}' has no repository", hint="Set 'repository.location' for all sites or for this one."
            )
        names = {"site": site, "group": group, "host": host}
        return RepositoryPlace(_filled(pattern, names), _filled(own.password or self.repository.password, names))

    def spool_for(self, site: str) -> str | None:
        """Return the location of the spool of a site, or None when there is none."""
        return _filled(self.spool.location, {"site": site}) if self.spool.location else None

    def snapshot_for(self, site: str) -> SnapshotConfig:
        """Return what a snapshot of this site takes along: the site's values over the common ones, excludes joined."""
        own = self.site(site).snapshot
        changed: dict[str, Any] = {key: getattr(own, key) for key in own.model_fields_set}
        # null has a meaning of its own (no limit) only for the two sizes
        changed = {key: value for key, value in changed.items() if value is not None or key in _LIMITS}
        return self.snapshot.model_copy(update={**changed, "exclude": (*self.snapshot.exclude, *own.exclude)})

    def retention_for(self, site: str) -> RetentionConfig:
        """Return the retention of this site."""
        return self.site(site).retention or self.retention

    def contact_for(self, site: str) -> str:
        """Return whom to ask at this school; an empty text when nobody is named."""
        return self.site(site).contact or self.letters.contact

    def gate_for(self, site: str) -> GateConfig:
        """Return the gate of this site."""
        return self.site(site).gate or self.gate


def _filled(pattern: str, names: Mapping[str, str]) -> str:
    try:
        return expand(pattern, {name: value for name, value in names.items() if value})
    except KeyError as error:
        name = str(error.args[0])
        raise ConfigError(
            f"'{pattern}' needs a {name}, and there is none here",
            hint=f"Name one {name}, or write the pattern without '{{{name}}}'.",
        ) from None
