"""Windows in the inventory: paths and accounts as Windows has them, WinRM, and what would travel readable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from configs.folders import check_exclude, check_folder, portable_path
from configs.load import load_config
from configs.yaml_file import parse_yaml
from inventory.csv_import import import_csv
from inventory.errors import InventoryError
from inventory.explain import explain
from inventory.folders import check_fingerprint, check_home
from inventory.load import load_inventory
from inventory.model import Host

GROUPS = """\
pcs:
  site: north
  transport: winrm
  user: NORTH\\svc-firstbell
  winrm: {password: 'env:PASSWORD_{host}', ca_file: /etc/ca.pem}
"""
Load = Callable[[str], Host]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def one(host: str, defaults: str = "user: firstbell\nbecome: sudo\n") -> Host:
        (tmp_path / "defaults.yaml").write_text(defaults)
        (tmp_path / "groups.yaml").write_text(GROUPS)
        (tmp_path / "hosts.yaml").write_text(f"pc: {host}\n")
        return load_inventory(tmp_path, {}).host("pc")

    return one


def refused(load: Load, host: str) -> str:
    with pytest.raises(InventoryError) as caught:
        load(host)
    return str(caught.value)


def test_winrm_means_windows_and_its_own_port(load: Load) -> None:
    host = load("{groups: [pcs]}")
    assert (host.platform, host.transport, host.port) == ("windows", "winrm", 5986)
    assert (host.winrm.scheme, host.winrm.auth, host.winrm.password) == ("https", "ntlm", "env:PASSWORD_pc")
    assert (host.user, host.become, host.shadow_copy) == ("NORTH\\svc-firstbell", None, "auto")
    assert load("{groups: [pcs], winrm: {scheme: http, ca_file: null}}").port == 5985
    assert load("{groups: [pcs], port: 15986}").port == 15986
    assert load("{site: north}").port == 22
    over_ssh = load("{site: north, platform: windows}")
    assert (over_ssh.port, over_ssh.transport, over_ssh.become) == (22, "ssh", None)


def test_each_key_of_winrm_is_taken_from_the_nearest_layer(load: Load, tmp_path: Path) -> None:
    host = load("{groups: [pcs], winrm: {auth: kerberos}}")
    assert (host.winrm.auth, host.winrm.ca_file) == ("kerberos", "/etc/ca.pem")
    assert host.sources["winrm.ca_file"] == "groups.yaml, line 5"
    rows = {row.key: row for row in explain(load_inventory(tmp_path, {}), "pc")}
    assert rows["winrm.password"].value == "env:PASSWORD_pc"
    assert rows["become"].source == "there is no sudo on Windows"
    assert not any(key.startswith("ssh.") for key in rows)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("{groups: [pcs], winrm: {auth: basic, scheme: http}}", "'basic' over http would send the password readable"),
        (
            "{groups: [pcs], winrm: {auth: certificate, scheme: http, ca_file: null}}",
            "'certificate' over http would not protect",
        ),
        ("{groups: [pcs], winrm: {scheme: http}}", "there is no certificate over http"),
        ("{groups: [pcs], winrm: {auth: certificate}}", "'certificate' needs 'winrm.key_file'"),
        ("{groups: [pcs], winrm: {password: null}}", "'ntlm' needs a password"),
        ("{site: north, transport: winrm, winrm: {auth: plaintext}}", "this must be one of 'ntlm', 'kerberos'"),
        ("{groups: [pcs], platform: linux}", "'winrm' reaches Windows only"),
        ("{groups: [pcs], winrm: {message_encryption: never}}", "'message_encryption' is not known here"),
        ("{groups: [pcs], winrm: {server_cert_validation: ignore}}", "Use https with 'ca_file' or 'fingerprint'"),
        ("{groups: [pcs], winrm: {password: hunter2}}", "this is not a reference to a secret"),
        ("{groups: [pcs], winrm: {fingerprint: '0123456789012345678901234567890123456789'}}", "SHA-1 thumbprint"),
        ("{groups: [pcs], winrm: {password: 'env:X_{room}'}}", "unknown placeholder '{room}'"),
        ("{groups: [pcs], winrm: {ca_file: ca.pem}}", "'ca.pem' is no full path of a file on the worker"),
        ("{groups: [pcs], homes: {a: '\\\\\\\\server\\\\homes\\\\a'}}", "is a folder of a server"),
        ("{site: north, transport: winrm, user: null, winrm: {password: 'env:P'}}", "this host has no user"),
    ],
)
def test_what_is_refused_and_how_to_mend_it(load: Load, host: str, text: str) -> None:
    said = refused(load, host)
    assert text in said
    assert "hunter2" not in said


def test_a_ticket_or_a_certificate_needs_no_password(load: Load) -> None:
    assert load("{groups: [pcs], user: null, winrm: {auth: kerberos, password: null}}").user is None
    assert load("{groups: [pcs], winrm: {auth: certificate, certificate_file: /c, key_file: /k, password: null}}").user


def test_paths_and_accounts_as_windows_has_them(load: Load) -> None:
    host = load(
        r"{groups: [pcs], teachers: ['NORTH\a.ito', m@north.example], homes: {'NORTH\a.ito': 'd:\Users\a.ito\'}, "
        r"include: ['{home}\Desktop', 'C:/Projects'], exclude: ['~\Downloads\cache\', 'Temp\x']}"
    )
    assert host.teachers == ("NORTH\\a.ito", "m@north.example")
    assert host.homes == {"NORTH\\a.ito": "/D/Users/a.ito"}
    assert host.include == ("{home}/Desktop", "/C/Projects")
    assert host.exclude == ("~/Downloads/cache/", "Temp\\x")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("C:\\Users\\a.ito", "/C/Users/a.ito"),
        ("c:/Users/a.ito/", "/C/Users/a.ito"),
        ("D:\\", "/D"),
        ("\\\\?\\C:\\Users\\a", "/C/Users/a"),
        ("/home/a\\b", "/home/a\\b"),
        ("{desktop}\\Exams", "{desktop}/Exams"),
    ],
)
def test_a_path_of_windows(written: str, kept: str) -> None:
    assert portable_path(written) == kept


@pytest.mark.parametrize("written", ["\\\\server\\share", "C:", "C:\\a:b"])
def test_no_path_of_this_computer(written: str) -> None:
    with pytest.raises(ValueError, match=r"server|whole drive|no name on Windows"):
        check_home(written)


def test_a_folder_may_not_go_up() -> None:
    with pytest.raises(ValueError, match=r"holds '\.\.'"):
        check_folder("C:\\Users\\..\\x")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("C:\\Temp\\*.iso", "/C/Temp/*.iso"),
        ("~\\Old [1]\\", "~/Old \\[1]/"),
        ("c:/Temp/", "/C/Temp/"),
        ("Local\\Cache\\", "Local/Cache/"),
        ("*.\\[old]", "*.\\[old]"),
        ("\\!x", "\\!x"),
    ],
)
def test_a_pattern_of_windows(written: str, kept: str) -> None:
    assert check_exclude(written) == kept


def test_a_fingerprint_in_each_spelling() -> None:
    digits = "".join(f"{number:02X}" for number in range(32))
    colons = ":".join(f"{number:02x}" for number in range(32))
    assert check_fingerprint(digits) == check_fingerprint(colons) == check_fingerprint(check_fingerprint(digits))
    with pytest.raises(ValueError, match="no SHA-256"):
        check_fingerprint("SHA256:abc")


def test_a_backslash_within_double_quotes_is_told() -> None:
    problems = parse_yaml(b'homes: {a: "C:\\Users\\a"}').problems
    assert "put a Windows path into single quotes" in problems[0].text


def test_port_22_of_a_winrm_host_is_worth_a_look(tmp_path: Path) -> None:
    (tmp_path / "defaults.yaml").write_text("port: 22\n")
    (tmp_path / "groups.yaml").write_text(GROUPS)
    (tmp_path / "hosts.yaml").write_text("pc: {groups: [pcs]}\n")
    assert load_inventory(tmp_path, {}).warnings == (
        "host 'pc' is reached over WinRM on port 22 (defaults.yaml, line 1); leave 'port' out for 5986",
    )


SHEET = """\
computer,school,os,transport,port,teachers
a,North,Windows 11 Pro,,,a.ito
b,North,Windows 10,WinRM (HTTPS),15986,NORTH\\m.okafor
c,North,Windows 11,OpenSSH,,
d,North,Debian,,,
"""


def test_a_sheet_with_windows_computers(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text(SHEET)
    report = import_csv(tmp_path / "sheet.csv", tmp_path / "inventory", write=True)
    assert report.count("added") == 4
    hosts = load_inventory(tmp_path / "inventory", {}).hosts
    assert [(one.platform, one.transport, one.port) for one in hosts.values()] == [
        ("windows", "winrm", 5986),
        ("windows", "winrm", 15986),
        ("windows", "ssh", 22),
        ("linux", "ssh", 22),
    ]
    assert hosts["b"].teachers == ("NORTH\\m.okafor",)
    assert hosts["a"].winrm.password == "env:FIRSTBELL_WINRM_PASSWORD"
    assert import_csv(tmp_path / "sheet.csv", tmp_path / "inventory", write=False).count("unchanged") == 4


def test_a_sheet_does_not_overrule_how_windows_is_reached(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "defaults.yaml").write_text("site: north\nuser: x\ntransport: ssh\n")
    (folder / "hosts.yaml").write_text("a:\n")
    (tmp_path / "sheet.csv").write_text("computer,os\na,Windows 11\n")
    import_csv(tmp_path / "sheet.csv", folder, write=True)
    assert load_inventory(folder, {}).host("a").transport == "ssh"


def test_a_sheet_needs_to_know_how_to_log_in(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "defaults.yaml").write_text("site: north\nuser: x\n")
    (folder / "hosts.yaml").write_text("a:\n")
    (tmp_path / "sheet.csv").write_text("computer,os\nb,Windows 11\n")
    with pytest.raises(InventoryError, match="does not say how to log in"):
        import_csv(tmp_path / "sheet.csv", folder, write=True)


def test_patterns_of_windows_in_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text("snapshot:\n  include: ['{home}', 'D:\\Shared']\n  exclude: ['~\\Videos\\*.mov', 'C:\\Temp\\']\n")
    snapshot = load_config(path, {}).snapshot
    assert snapshot.include == ("{home}", "/D/Shared")
    assert snapshot.exclude == ("~/Videos/*.mov", "/C/Temp/")
