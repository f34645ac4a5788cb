"""Inventories: resolution, origins, what is refused and in which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inventory.errors import InventoryError
from inventory.explain import explain
from inventory.load import load_inventory
from inventory.model import Inventory

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def files(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return files


def refused(folder: Path, **more: object) -> str:
    with pytest.raises(InventoryError) as caught:
        load_inventory(folder, {}, **more)  # type: ignore[arg-type]
    assert caught.value.hint
    assert caught.value.__cause__ is None
    return str(caught.value).replace(str(folder), "inventory")


DEFAULTS = """\
user: firstbell
port: 2201
teachers: [everybody]
ssh:
  key_files: [file:/etc/firstbell/key]
  password: block:secret/{site}-account
"""
GROUPS = """\
north: {site: north, title: North, port: 2202, exclude: ["*.iso"], platform: linux}
lab-3:
  title: Lab 3
  kind: room
  port: 2203
  ssh: {use_agent: true, password: "env:LAB_{host}"}
"""
HOSTS = """\
lab3-07:
  groups: [lab-3, north]
  address: 10.3.0.7
  teachers: [a.ito, m.okafor]
  homes: {a.ito: /srv/homes/a.ito}
lab3-08:
  groups: [north, lab-3]
  teachers: []
  ssh: {password: null}
  become: sudo
"""


def test_host_over_groups_in_order_over_defaults(write: Write) -> None:
    inventory = load_inventory(write(defaults=DEFAULTS, groups=GROUPS, hosts=HOSTS), {})
    seven, eight = inventory.host("lab3-07"), inventory.host("lab3-08")
    assert (seven.port, eight.port) == (2203, 2202)
    assert (seven.teachers, eight.teachers) == (("a.ito", "m.okafor"), ())
    assert (seven.address, eight.address) == ("10.3.0.7", "lab3-08")
    assert seven.homes == {"a.ito": "/srv/homes/a.ito"}
    assert (seven.ssh.password, eight.ssh.password) == ("env:LAB_lab3-07", None)
    assert seven.ssh.key_files == eight.ssh.key_files == ("/etc/firstbell/key",)
    assert seven.ssh.use_agent
    assert (seven.become, eight.become) == (None, "sudo")
    assert seven.exclude == ("*.iso",)
    assert inventory.sites() == ("north",)
    assert inventory.groups == {"north": "North", "lab-3": "Lab 3"}


def test_folders_of_the_host_or_of_the_configuration(write: Write) -> None:
    inventory = load_inventory(
        write(defaults="user: x\nsite: n", hosts='a:\n  include: ["{documents}"]\nb:\n'),
        {},
    )
    assert inventory.host("a").folders(("{home}", "/srv")) == ("{documents}",)
    assert inventory.host("b").folders(("{home}", "/srv")) == ("{home}", "/srv")


def test_explain_names_file_and_line(write: Write) -> None:
    inventory = load_inventory(write(defaults=DEFAULTS, groups=GROUPS, hosts=HOSTS), {})
    rows = {row.key: (row.value, row.source) for row in explain(inventory, "LAB3-07")}
    assert rows == {
        "name": ("lab3-07", ""),
        "site": ("north", "groups.yaml, line 1"),
        "groups": ("[lab-3, north]", "hosts.yaml, line 2"),
        "address": ("10.3.0.7", "hosts.yaml, line 3"),
        "platform": ("linux", "groups.yaml, line 1"),
        "transport": ("ssh", "built in"),
        "port": ("2203", "groups.yaml, line 5"),
        "user": ("firstbell", "defaults.yaml, line 1"),
        "become": ("null", "built in"),
        "teachers": ("[a.ito, m.okafor]", "hosts.yaml, line 4"),
        "homes": ("{a.ito: /srv/homes/a.ito}", "hosts.yaml, line 5"),
        "include": ('["{home}"]', "built in"),
        "exclude": ('["*.iso"]', "groups.yaml, line 1"),
        "mac": ("null", "built in"),
        "serial": ("null", "built in"),
        "wake_address": ("255.255.255.255", "built in"),
        "wake_port": ("9", "built in"),
        "notes": ("", "built in"),
        "ssh.key_files": ("[/etc/firstbell/key]", "defaults.yaml, line 5"),
        "ssh.key_passphrase": ("null", "built in"),
        "ssh.password": ("env:LAB_lab3-07", "groups.yaml, line 6"),
        "ssh.use_agent": ("true", "groups.yaml, line 6"),
        "ssh.use_ssh_config": ("false", "built in"),
        "ssh.known_hosts": ("null", "built in"),
        "ssh.jump": ("null", "built in"),
    }
    sources = {row.key: row.source for row in explain(inventory, "lab3-08")}
    assert sources["address"] == "the host's name"


def test_several_files_of_hosts(write: Write) -> None:
    folder = write(
        defaults="user: x\nsite: n", hosts="a:", hosts__north="b: {address: 10.0.0.1}", hosts__south="c:\nd:\n"
    )
    (folder / "hosts" / ".swap.yaml").write_text("half written: [", encoding="utf-8")
    inventory = load_inventory(folder, {})
    assert list(inventory.hosts) == ["a", "b", "c", "d"]
    assert inventory.host("b").sources["address"] == "hosts/north.yaml, line 1"


def test_all_problems_at_once(write: Write) -> None:
    folder = write(
        defaults="uesr: firstbell\nuser: x\nport: 70000\n",
        groups="north: {site: north}\nbroken: {prot: 22}\n",
        hosts="""\
lab3-07:
  groups: [nroth, north]
  adress: 10.3.0.7
LAB3-07: {groups: [north]}
"-x": {groups: [north]}
lab3-09: {groups: [broken]}
lab3-10: {}
lab3-11:
  site: south
  ssh:
    key_files: [id_ed25519]
    password: hunter2
    jump: {port: 22}
lab3-12: {groups: [north], homes: {b.x: /h}, teachers: [b.y], include: [Desktop]}
lab3-13: [north]
lab3-14: {groups: [north], teachers: ["a b:c"], address: "u@h"}
""",
        hosts__more="lab3-15: {groups: [nroth]}\nlab3-15: {}\n",
    )
    text = refused(folder)
    assert "hunter2" not in text
    assert (
        text
        == """\
inventory: 14 problems
  defaults.yaml, line 3, at 'port': this must be at most 65535
  defaults.yaml, line 1, at 'uesr': unknown key. Did you mean 'user'?
  groups.yaml, line 2, at 'broken.prot': unknown key. Did you mean 'port'?
  hosts.yaml, line 3, at 'lab3-07.adress': unknown key. Did you mean 'address'?
  hosts.yaml, line 4, at 'LAB3-07': this host stands already in hosts.yaml, line 1 (capitals do not matter)
  hosts.yaml, line 5, at '-x': a name has only letters, digits, '.', '_' and '-', begins with a letter or digit, and \
is not too long
  hosts.yaml, line 11, at 'lab3-11.ssh.key_files.0': 'id_ed25519' is no full path of a key file; begin with '/' or '~/'
  hosts.yaml, line 12, at 'lab3-11.ssh.password': this is not a reference to a secret. Put the secret into an \
environment variable and write 'env:NAME', into a file only its owner can read and write 'file:/path/to/it', or into \
a Prefect secret block and write 'block:secret/name'
  hosts.yaml, line 13, at 'lab3-11.ssh.jump.address': field required
  hosts.yaml, line 14, at 'lab3-12.include.0': 'Desktop' is no full path; begin with '{home}/', with '/' or, on \
Windows, with 'C:\\'
  hosts.yaml, line 15, at 'lab3-13': here belong indented lines 'key: value'
  hosts.yaml, line 16, at 'lab3-14.teachers.0': this is no account name
  hosts.yaml, line 16, at 'lab3-14.address': this is no name or address of a computer
  hosts/more.yaml, line 2, at 'lab3-15': stands twice, in line 1 and in line 2; keep one of them"""
    )


def test_problems_of_resolution(write: Write) -> None:
    folder = write(
        groups="north: {site: north}\nsouth: {site: south, user: x}\n",
        hosts="""\
lab3-07: {groups: [north]}
lab3-08: {groups: [south], homes: {b.x: /h}, teachers: [b.y]}
lab3-09: {groups: [nroth], user: x}
lab3-10: {site: north, user: x, ssh: {password: "block:secret/{group}"}}
lab3-11: {site: north, transport: local}
lab3-12: {site: north, ssh: {use_ssh_config: true}}
lab3-13: {user: x}
""",
    )
    assert (
        refused(folder, sites=("north", "south-west"))
        == """\
inventory: 6 problems
  hosts.yaml, line 1, at 'lab3-07': this host has no user to log in with; set 'user' here, in a group of it or in \
defaults.yaml
  hosts.yaml, line 2, at 'lab3-08.site': the configuration knows no site 'south' (from groups.yaml, line 2). Did you \
mean 'south-west'?
  hosts.yaml, line 2, at 'lab3-08.homes.b.x': 'b.x' has a home here but is not among the teachers. Did you mean 'b.y'?
  hosts.yaml, line 3, at 'lab3-09.groups.0': there is no group 'nroth' in groups.yaml. Did you mean 'north'?
  hosts.yaml, line 4, at 'lab3-10.ssh': unknown placeholder '{group}' in a reference; here there are {site}, {host}
  hosts.yaml, line 7, at 'lab3-13': this host has no site; set 'site' here, in a group of it or in defaults.yaml"""
    )


def test_a_pasted_key_is_refused_without_repeating_it(write: Write) -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----b3BlbnNzaC1rZXktdjEA"
    text = refused(write(hosts=f"a: {{site: n, user: x, ssh: {{key_files: ['{key}']}}}}"))
    assert "b3BlbnNza" not in text
    assert "this looks like the key itself" in text


def test_a_file_that_is_no_yaml(write: Write) -> None:
    text = refused(write(groups="north: {site: north", hosts="a: {groups: [north]}\nb\n"), sites=("x",))
    assert text == (
        "inventory: 2 problems\n"
        "  groups.yaml: line 1, column 20: this is not YAML: expected ',' or '}', but got '<stream end>'\n"
        "  hosts.yaml: line 3, column 1: this is not YAML: could not find expected ':'"
    )


def test_no_inventory(write: Write, tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").startswith("there is no inventory at ")
    assert refused(write(defaults="user: x")) == "there is no hosts.yaml in inventory"


def test_where_the_inventory_is_looked_for(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("argument", "named", "inventory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hosts.yaml").write_text(f"{name}: {{site: n, user: x}}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    environ = {"FIRSTBELL_INVENTORY": "named"}
    assert list(load_inventory("argument", environ).hosts) == ["argument"]
    assert list(load_inventory(None, environ).hosts) == ["named"]
    assert list(load_inventory(None, {}).hosts) == ["inventory"]


def test_two_hosts_with_one_address_are_told(write: Write) -> None:
    inventory = load_inventory(
        write(
            defaults="user: x\nsite: n",
            hosts="""\
a: {address: 10.0.0.1}
b: {address: 10.0.0.1}
c: {address: 10.0.0.1, port: 2222}
d: {address: 10.0.0.1, ssh: {jump: {address: gate}}}
e: {address: 10.0.0.1, transport: local}
""",
        ),
        {},
    )
    assert inventory.warnings == ("hosts 'a' and 'b' have the same address 10.0.0.1:22",)


def test_a_host_that_is_not_there(write: Write) -> None:
    inventory: Inventory = load_inventory(write(hosts="lab3-07: {site: n, user: x}"), {})
    with pytest.raises(
        InventoryError, match=r"^there is no host 'lab3-70' in the inventory\. Did you mean 'lab3-07'\?$"
    ):
        inventory.host("lab3-70")


def test_a_host_is_frozen_and_equal_to_one_that_was_validated(write: Write) -> None:
    host = load_inventory(write(defaults=DEFAULTS, groups=GROUPS, hosts=HOSTS), {}).host("lab3-07")
    assert type(host).model_validate(host.model_dump()) == host
    with pytest.raises(Exception, match="frozen"):
        host.port = 1  # type: ignore[misc]


def test_a_thousand_hosts_load_quickly(write: Write) -> None:
    import time

    hosts = "".join(
        f"lab{n // 30}-{n % 30:02}:\n  groups: [north]\n  address: 10.0.{n // 250}.{n % 250}\n  teachers: [t{n}]\n"
        for n in range(1000)
    )
    folder = write(defaults=DEFAULTS, groups=GROUPS, hosts=hosts)
    before = time.process_time()
    assert len(load_inventory(folder, {}).hosts) == 1000
    assert time.process_time() - before < 5
