"""What people read: kept texts, and the promises that a text cannot show."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from tasks.entries import Skipped
from tasks.events import SkipReason
from tasks.reports.json_lines import host_json, path_json, site_json
from tasks.reports.markdown import site_page, teacher_page
from tasks.reports.model import (
    FolderSaved,
    HostReport,
    SiteReport,
    TeacherPage,
    group_skips,
    natural,
)
from tasks.reports.reasons import WORDINGS
from tasks.reports.table import host_block, site_table
from tests.support.golden import check_golden

BERLIN = ZoneInfo("Europe/Berlin")
TAKEN = datetime(2026, 11, 25, 0, 34, 12, tzinfo=UTC)
HOME = b"/home/a.ito"
SKIPS = (
    Skipped(HOME + b"/Documents/Class 4b/marks.xlsx", "denied"),
    Skipped(HOME + b"/Documents/a|b `c` <script>alert(1)</script>.docx", "denied"),
    Skipped(HOME + b"/Desktop/![x](http://tracker.example/p.png)", "denied"),
    Skipped(HOME + b"/Desktop/\xff\x1b[2Jgone\nnew \xe2\x80\xaegpj.exe", "denied"),
    Skipped(HOME + b"/.cache", "excluded", "caches"),
    Skipped(HOME + b"/.thumbnails", "excluded", "caches"),
    Skipped(HOME + b"/mail.sqlite", "changed"),
    Skipped(HOME + b"/disk.img", "too-large", "virtual-machines"),
)
RULES = {"caches": "Caches of programs: they fill again by themselves", "virtual-machines": "A virtual machine"}
GROUPS = group_skips(SKIPS, RULES)

PARTLY = TeacherPage(
    host="lab3-07",
    name="a.ito",
    full_name="Akiko Ito",
    home=HOME,
    state="partial",
    taken=TAKEN,
    files=1204,
    bytes=3_300_000_000,
    folders=(FolderSaved("Desktop", 12, 33_000), FolderSaved("Everything else", 1192, 3_299_967_000)),
    skips=GROUPS,
)
SITE = SiteReport(
    "Northfield Primary School",
    TAKEN,
    3731.0,
    (
        HostReport("pc-10", "complete", 812, 800, 2 << 30, 13 << 20, 11.2, snapshot="9f2c41d0"),
        HostReport("pc-9", "complete-with-acknowledged-skips", 90, 90, 1 << 20, 0, 2.0, GROUPS[-2:]),
        HostReport("lab3-07", "partial", 1204, 0, 3_300_000_000, 3 << 30, 131.0, GROUPS, "1b3ad92c"),
        HostReport(
            "lab3-08",
            "failed",
            message="SSH unreachable (port 22 refused)",
            hint="Switch the computer on, and check that its SSH server runs.",
        ),
        HostReport("pc-33", "failed", message="disk full, 12 GB are needed on /home"),
    ),
)


def test_site_table_text() -> None:
    check_golden("reports/site_table.txt", site_table(SITE))


def test_host_block_text() -> None:
    check_golden("reports/host_block.txt", "\n".join(host_block(host) for host in SITE.hosts))


def test_site_page_text() -> None:
    check_golden("reports/site_page.md", site_page(SITE, BERLIN))


def test_teacher_page_texts() -> None:
    check_golden("reports/teacher_page_partly.md", teacher_page(PARTLY, BERLIN))
    complete = replace(PARTLY, state="complete", skips=(), full_name="")
    check_golden("reports/teacher_page_complete.md", teacher_page(complete, BERLIN))
    failed = replace(PARTLY, state="failed", taken=None, problem="SSH unreachable (port 22 refused)")
    check_golden("reports/teacher_page_failed.md", teacher_page(failed, BERLIN))
    every = group_skips([Skipped(HOME + b"/x", reason) for reason in get_args(SkipReason)], {})
    check_golden("reports/teacher_page_reasons.md", teacher_page(replace(PARTLY, skips=every), BERLIN))


def test_json_results() -> None:
    objects = [*(host_json(host) for host in SITE.hosts), site_json(SITE)]
    check_golden("reports/results.jsonl", "".join(json.dumps(value) + "\n" for value in objects))


def test_every_reason_has_words_and_its_own_rank() -> None:
    assert set(WORDINGS) == set(get_args(SkipReason))
    assert len({words.rank for words in WORDINGS.values()}) == len(WORDINGS)
    for words in WORDINGS.values():
        assert words.sentence.endswith(".")
        assert words.cure.endswith(".")


def test_hosts_come_worst_first_and_in_natural_order() -> None:
    assert [host.host for host in SITE.worst_first] == ["lab3-08", "pc-33", "lab3-07", "pc-9", "pc-10"]
    assert sorted(["pc-10", "pc-9", "pc-", "9-a"], key=natural) == ["9-a", "pc-", "pc-9", "pc-10"]


def test_site_page_names_no_file() -> None:
    page = site_page(SITE, BERLIN)
    for skip in SKIPS:
        name = skip.path.rsplit(b"/", 1)[1].decode("utf-8", "backslashreplace")
        assert name not in page


def test_teacher_page_names_no_file_that_is_covered_by_a_rule() -> None:
    page = teacher_page(PARTLY, BERLIN)
    assert "marks.xlsx" in page
    assert ".thumbnails" not in page


def test_teacher_page_names_what_is_too_large_since_it_has_to_be_copied_by_hand() -> None:
    assert "  - `disk.img`" in teacher_page(PARTLY, BERLIN)


def test_a_file_name_cannot_act_on_the_page() -> None:
    page = teacher_page(PARTLY, BERLIN)
    assert "\x1b" not in page
    assert "\u202e" not in page
    for line in page.splitlines():
        if "tracker.example" in line or "<script>" in line:
            # Within a code span markdown and HTML are text.
            assert line.startswith("- `")
            assert line.endswith("`")
    assert "- `Desktop/\\xff\\x1b[2Jgone\\nnew \\u202egpj.exe`" in page


def test_skips_are_grouped_and_kept_small() -> None:
    many = [Skipped(b"/home/x/%d" % number, "denied") for number in range(10_000)]
    (group,) = group_skips(many, {})
    assert group.count == 10_000
    assert len(group.examples) == 20
    assert not group.acknowledged
    assert "and 9,980 more" in teacher_page(replace(PARTLY, skips=(group,)), BERLIN)


def test_a_skip_without_a_rule_is_acknowledged_only_by_a_person() -> None:
    (open_group,) = group_skips([Skipped(b"/x", "special")], {})
    (accepted,) = group_skips([Skipped(b"/x", "special")], {}, acknowledged=("special",))
    assert (open_group.acknowledged, accepted.acknowledged) == (False, True)


@pytest.mark.parametrize("path", [b"/home/\xff\xfe", b"/a\nb\x1b", "/größe/😀".encode(), b"/\\xff"])
def test_the_exact_path_can_be_got_back_from_json(path: bytes) -> None:
    import base64

    value = json.loads(json.dumps(path_json(path)))
    exact = base64.b64decode(value["path_base64"]) if "path_base64" in value else value["path"].encode()
    assert exact == path


def test_a_partial_host_without_open_skips_says_why() -> None:
    host = HostReport("pc-1", "partial", notes=("the Desktop gave nothing",))
    assert host.what_happened == "the Desktop gave nothing"
