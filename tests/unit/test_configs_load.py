"""The configuration: what it refuses, in which words, and what goes over what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.load import load_config
from configs.model import AppConfig

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "app.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {})
    assert caught.value.hint
    # whoever prints the chain of causes must not print what was typed in the wrong place
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value).replace(str(path), "app.yaml")


def test_all_problems_of_shape_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
repository:
  location: "s3://firstbell-{site}/repository"
  password: correct horse battery staple
retention:
  keep_dayly: 3
  keep_last: -1
  keep_weekly: many
  keep_within: 3 fortnights
snapshot:
  include: [Documents, "{home}", {desktop}, "{hoem}/x"]
  exclude: ["{home}/Downloads", "!keep", "[ab].iso"]
  max_file_size: 2 gigs
  default_excludes: perhaps
s3: on
sites:
  north:
    repositry: {}
  "bad name!": {}
doors: {}
""",
    )
    assert (
        refused(path)
        == """\
app.yaml: 17 problems
  At 'repository.password': this is not a reference to a secret. Put the secret into an environment variable and write \
'env:NAME', into a file only its owner can read and write 'file:/path/to/it', or into a Prefect secret block and write \
'block:secret/name'
  At 's3': here belong indented lines 'key: value'
  At 'snapshot.include.0': 'Documents' is no full path; begin with '{home}/', with '/' or, on Windows, with 'C:\\'
  At 'snapshot.include.2': put this into quotes: "{desktop}"
  At 'snapshot.include.3': unknown placeholder '{hoem}'; here there are {home}, {user}, {desktop}, {documents}, \
{downloads}, {pictures}, {music}, {videos}. Did you mean 'home'?
  At 'snapshot.exclude.0': '{home}/Downloads': patterns have no placeholders; write '~/' for every teacher's home
  At 'snapshot.exclude.1': '!keep': an exclude cannot be taken back; write '\\!' for the character
  At 'snapshot.exclude.2': '[ab].iso': there are no sets of characters; write '\\[' for the character
  At 'snapshot.default_excludes': this must be true or false
  At 'snapshot.max_file_size': '2 gigs' is not a size; write for example '2 GiB', '500 MiB' or a number of bytes
  At 'retention.keep_last': this must be at least 0
  At 'retention.keep_weekly': this must be a whole number
  At 'retention.keep_within': '3 fortnights' is not a duration; write for example '36h', '14d', '2w', '6m' (months) \
or '1y'
  At 'retention.keep_dayly': unknown key. Did you mean 'keep_daily'?
  At 'sites.north.repositry': unknown key. Did you mean 'repository'?
  At 'sites.bad name!': only letters, digits, '.', '_' and '-', beginning with a letter or digit
  At 'doors': unknown key."""
    )


def test_all_problems_of_consistency_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
repository:
  location: "s3://firstbell-{sit}/repository"
  password: "block:secret/{school}"
sites:
  north: {time_zone: Mars/Olympus}
  South_Campus:
    repository: {location: "s3://firstbell-{site}"}
  west:
    repository: {location: ~/firstbell}
  east:
    repository: {location: "s3:"}
""",
    )
    assert (
        refused(path)
        == """\
app.yaml: 6 problems
  At 'repository.location': unknown placeholder '{sit}'; here there are {site}, {group}, {host}. Did you mean 'site'?
  At 'repository.password': unknown placeholder '{school}'; here there are {site}, {group}, {host}.
  At 'sites.north.time_zone': 'Mars/Olympus' is no time zone; write for example 'Europe/Berlin'
  At 'sites.South_Campus.repository.location': 'firstbell-South_Campus' cannot be the name of a bucket: 3 to 63 \
lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit
  At 'sites.west.repository.location': '~/firstbell' is no location; write 's3://bucket/prefix' or the full path of a \
folder, beginning with '/'
  At 'sites.east.repository.location': 's3:' names no bucket; write 's3://bucket/prefix' or \
's3:https://server/bucket/prefix'"""
    )


def test_a_site_without_repository(tmp_path: Path) -> None:
    path = write(tmp_path, "repository: {location: null}\nsites: {north: {repository: {location: /srv/n}}, south: }")
    assert refused(path) == (
        "app.yaml: 1 problem\n"
        "  At 'sites.south': this site has no repository: set 'repository.location' here or for all sites"
    )
    assert refused(write(tmp_path, "repository: {location: }")) == (
        "app.yaml: 1 problem\n  At 'repository.location': no site has a repository: set a location here or name the "
        "sites in 'sites'"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b: c", "Line 1, column 5: this is not YAML: a ':' that does not belong here; put a text that contains "
                    "': ' into quotes"),
        ("s3:\n\tregion: x", "Line 2, column 1: this is not YAML: a tab stands where YAML wants spaces"),
        ("snapshot:\n  exclude:\n    - *.iso", "Line 3, column 8: this is not YAML: a text that begins with '*' must "
                                               "stand in quotes"),
        ("s3:\n  region: a\n  region: b", "At 's3.region': stands twice, in line 2 and in line 3; keep one of them"),
        ("- repository", "Here belong lines 'section:' with indented lines 'key: value'"),
        (b"s3:\n  region: \xff", "Line 2 is not UTF-8 text; save the file as UTF-8"),
        ("x: " + "[" * 3000, "Its lists stand in one another too deeply"),
        ("x: " + "[" * 3000 + "]" * 3000, "Its lists stand in one another too deeply"),
        ("? [a]\n: 1", "Line 1, column 3: this is not YAML: a key must be a plain word"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_yaml(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert refused(write(tmp_path, text)) == f"app.yaml: 1 problem\n  {expected}"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "app.yaml", {})
    assert str(caught.value) == f"there is no configuration at {tmp_path / 'app.yaml'}"
    assert caught.value.hint == (
        "Copy configs/app.example.yaml there and adapt it, or say where it lies with --config or in the environment "
        "variable FIRSTBELL_CONFIG."
    )
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "s3: {region: from-argument}")
    (tmp_path / "named.yaml").write_text("s3: {region: from-environment}")
    (tmp_path / "configs").mkdir()
    write(tmp_path / "configs", "s3: {region: from-default}")
    monkeypatch.chdir(tmp_path)
    environ = {"FIRSTBELL_CONFIG": "named.yaml"}
    assert load_config("app.yaml", environ).s3.region == "from-argument"
    assert load_config(None, environ).s3.region == "from-environment"
    assert load_config(None, {}).s3.region == "from-default"


def test_plain_words_stay_words(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, "snapshot: {exclude: [off]}\nsites: {0101: {title: no}}\ns3: {region: 2024-01-01}"), {}
    )
    assert config.snapshot.exclude == ("off",)
    assert config.sites["0101"].title == "no"
    assert config.s3.region == "2024-01-01"


def test_environment_goes_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "s3: {region: file, connections: 3}\nsites: {north-east: {title: File}}")
    config = load_config(
        path,
        {
            "FIRSTBELL_S3__REGION": "environment",
            "FIRSTBELL_SNAPSHOT__EXCLUDE": '["*.iso", "*.vmdk"]',
            "FIRSTBELL_SNAPSHOT__MAX_FILE_SIZE": "3 GiB",
            "FIRSTBELL_SITES__NORTH_EAST__TITLE": "Environment",
            "FIRSTBELL_S3__PROFILE": "",
            "FIRSTBELL_PASSWORD": "not a key",
            "FIRSTBELL_CONFIG": "not a key either",
        },
    )
    assert (config.s3.region, config.s3.connections, config.s3.profile) == ("environment", 3, None)
    assert config.snapshot.exclude == ("*.iso", "*.vmdk")
    assert config.snapshot.max_file_size == 3 * 2**30
    assert config.sites["north-east"].title == "Environment"


def test_problems_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    environ = {
        "FIRSTBELL_S3__CONNECTIONS": "eight",
        "FIRSTBELL_REPOSITRY__LOCATION": "/srv",
        "FIRSTBELL_SNAPSHOT__EXCLUDE": '["*.iso"',
        "FIRSTBELL_S3__REGION__NAME": "x",
        "FIRSTBELL_RETENTION__KEEP_DAYLY": "3",
    }
    assert (
        refused(write(tmp_path, "s3: {region: x}"), environ)
        == """\
app.yaml: 5 problems
  At 'FIRSTBELL_REPOSITRY__LOCATION': unknown section 'repositry'. Did you mean 'repository'?
  At 'FIRSTBELL_S3__REGION__NAME': there is no such key in the configuration
  At 'FIRSTBELL_SNAPSHOT__EXCLUDE': line 1, column 9: this is not YAML: expected ',' or ']', but got '<stream end>'
  At 's3.connections': this must be a whole number (from FIRSTBELL_S3__CONNECTIONS)
  At 'retention.keep_dayly': unknown key. Did you mean 'keep_daily'? (from FIRSTBELL_RETENTION__KEEP_DAYLY)"""
    )


def test_no_secret_in_a_message(tmp_path: Path) -> None:
    path = write(tmp_path, "s3: {secret_access_key: hunter2hunter2, access_key_id: hunter3}")
    assert "hunter" not in refused(path, {"FIRSTBELL_REPOSITORY__PASSWORD": "hunter4"})


@pytest.mark.parametrize(
    ("pattern", "location"),
    [
        ("s3://firstbell-{site}/repository", "s3://firstbell-north/repository"),
        ("/srv/{site}/{group}/{host}", "/srv/north/lab-3/pc"),
        ("s3:http://127.0.0.1:9000/b/{site}", "s3:http://127.0.0.1:9000/b/north"),
    ],
)
def test_where_a_repository_lies(pattern: str, location: str) -> None:
    config = AppConfig.model_validate({"repository": {"location": pattern, "password": "block:secret/{site}-r"}})
    place = config.repository_for("north", group="lab-3", host="pc")
    assert (place.location, place.password) == (location, "block:secret/north-r")


def test_sites_that_share_a_repository_agree_about_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
repository: {location: /srv/all/, password: "env:P"}
sites:
  north: {}
  south: {retention: {keep_last: 9}}
  west: {repository: {password: "env:Q"}}
  east: {repository: {location: /srv/east, password: "env:Q"}, retention: {keep_last: 9}}
""",
    )
    assert (
        refused(path)
        == """\
app.yaml: 2 problems
  At 'sites.south.retention': this site shares the repository /srv/all with 'north', so both must have the same \
retention
  At 'sites.west.repository.password': this site shares the repository /srv/all with 'north', so both must have the \
same password"""
    )


def test_a_pattern_that_needs_a_group(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'repository: {location: "/srv/{group}"}'), {})
    with pytest.raises(ConfigError, match=r"'/srv/\{group\}' needs a group, and there is none here"):
        config.repository_for("north")


def test_a_site_differs(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
snapshot: {exclude: ["*.iso"], max_file_size: 5 GiB, hosts_at_once: 2}
retention: {keep_last: 5}
sites:
  north:
    repository: {location: /srv/north, password: "file:/etc/north"}
    snapshot: {exclude: ["*.mov"], max_file_size: null, include: ["{documents}"]}
    retention: {keep_last: 7}
  south: {}
""",
        ),
        {},
    )
    north, south = config.snapshot_for("north"), config.snapshot_for("south")
    assert north.exclude == ("*.iso", "*.mov")
    assert (north.include, south.include) == (("{documents}",), ("{home}",))
    assert (north.max_file_size, south.max_file_size) == (None, 5 * 2**30)
    assert (north.hosts_at_once, north.virtual_machines_over) == (2, 2 * 2**30)
    assert (config.retention_for("north").keep_last, config.retention_for("south").keep_last) == (7, 5)
    place = config.repository_for("north")
    assert (place.location, place.password) == ("/srv/north", "file:/etc/north")
    assert config.repository_for("south").location == "s3://firstbell-south/repository"


def test_loading_needs_neither_prefect_nor_the_network() -> None:
    code = (
        "import sys, configs.load, inventory.load, inventory.select, inventory.credentials\n"
        "heavy = {'prefect', 'boto3', 'paramiko', 'asyncio', 'ssl'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
