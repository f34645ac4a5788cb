"""FC-40 to FC-52: files as the helper lists, reads and writes them, compared with what Windows itself says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.entries import Directory, Skipped
from tasks.remote.rows import ATTRIBUTES, CREATED, DESCRIPTOR, STREAMS, ns_of
from tests.field.bench import Bench, check, copy_of, list_folder, plain, read, walk, why, wire_path, write
from tests.field.outcome import Outcome, failed, not_applicable, passed, verdict

#: 1601, where a FILETIME begins, in ns before 1970.
_EPOCH = 11_644_473_600 * 10**9
#: Attributes that are kept, and that Windows sets by itself: read-only, hidden, system, archive, not indexed.
_KEPT = 0x1 | 0x2 | 0x4 | 0x20 | 0x2000
_MANY = 30


def _made(folder: str) -> list[dict[str, Any]]:
    """Return files with every mix of attributes, and times that no second holds."""
    mixes = [0x20, 0x1, 0x2, 0x4, 0x2000, 0x1 | 0x2 | 0x4 | 0x20]
    return [
        {
            "name": f"{folder}\\kept {number:02d}.bin",
            "size": number * 1000,
            "seed": number,
            "attributes": mixes[number % len(mixes)],
            "created": str(131_000_000_000_000_000 + number * 12_345_678_901),
            "written": str(132_000_000_000_000_000 + number * 98_765_432_101),
        }
        for number in range(_MANY)
    ]


def look(bench: Bench, folder: str) -> dict[str, dict[str, Any]]:
    """Return what Windows itself says of everything in a folder, by its path in it."""
    entries = bench.pc.ask("look", {"folder": folder})["entries"]
    found = [entries] if isinstance(entries, dict) else entries or []
    return {base64.b64decode(one["name"]).decode("utf-16-le", "surrogatepass"): one for one in found}


def differing(ours: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> list[str]:
    """Return in what two looks differ: kinds of difference, not names."""
    kinds = []
    if set(ours) != set(theirs):
        kinds.append(f"{len(set(ours) ^ set(theirs))} names")
    for name in set(ours) & set(theirs):
        one, other = ours[name], theirs[name]
        folder = bool(int(one["attributes"]) & 0x10)
        keys = ("written",) if folder else ("size", "sha256", "written", "created")
        kinds += [key for key in keys if one.get(key) != other.get(key)]
        if not folder and (int(one["attributes"]) ^ int(other["attributes"])) & _KEPT:
            kinds.append("attributes")
    return sorted(set(kinds))


@check("FC-40")
def enumeration(bench: Bench) -> Outcome:
    files = _made("listed")
    bench.pc.ask("make_files", {"folder": bench.folder, "files": files})
    nodes = walk(bench.helper(), bench.wire("listed")).nodes
    theirs = look(bench, bench.inside("listed"))
    wrong: set[str] = set()
    unkept: set[str] = set()
    for file in files:
        node = nodes.get(wire_path(bench.inside(file["name"])))
        seen = theirs.get(file["name"].partition("\\")[2])
        if node is None or seen is None:
            wrong.add("missing")
            continue
        attributes = node.generic_attributes.get(ATTRIBUTES)
        told = {
            "size": node.size,
            "written": node.mtime_ns,
            "created": ns_of(node.generic_attributes.get(CREATED)),
            "attributes": attributes & _KEPT if isinstance(attributes, int) else None,
        }
        wanted = {
            "size": file["size"],
            "written": int(file["written"]) * 100 - _EPOCH,
            "created": int(file["created"]) * 100 - _EPOCH,
            "attributes": file["attributes"],
        }
        windows = {
            "size": int(seen["size"]),
            "written": int(seen["written"]) * 100 - _EPOCH,
            "created": int(seen["created"]) * 100 - _EPOCH,
            "attributes": int(seen["attributes"]) & _KEPT,
        }
        wrong |= {key for key in told if told[key] != windows[key]}
        unkept |= {key for key in wanted if wanted[key] != windows[key]}
    if unkept:
        return failed(
            f"this file system did not keep: {', '.join(sorted(unkept))}; wrong: {', '.join(wrong) or 'none'}"
        )
    return verdict(not wrong, f"wrong: {', '.join(sorted(wrong))}" if wrong else f"{len(files)} files, all values")


@check("FC-41")
def long_paths(bench: Bench) -> Outcome:
    folders = []
    path = bench.wire("long")
    while len(path) < 330:
        path += b"/" + b"a folder with a long name " * 2
        path = path.rstrip()
        folders.append(path)
    bench.pc.ask("make_files", {"folder": bench.inside("long"), "files": []})
    file = path + b"/file.txt"
    bad = write(bench.helper(), [(file, plain(b"file.txt", 4), b"long")], folders)
    if bad:
        return failed(why(bad))
    listed = file in walk(bench.helper(), bench.wire("long")).nodes
    return verdict(listed and read(bench.helper(), file) == b"long", f"{len(file)} characters")


@check("FC-42")
def odd_names(bench: Bench) -> Outcome:
    names = [
        "dot.",
        "blank ",
        "CON",
        "nul.txt",
        "Übung ÄÖÜ.txt",
        "日本語.txt",
        "emoji \U0001f3b8.txt",
        "e\u0301 apart.txt",
    ]
    bench.pc.ask("make_files", {"folder": bench.inside("names"), "files": []})
    files = [(bench.wire("names", name), plain(name.encode(), 3), b"odd") for name in names]
    # These names are our own: they may be told.
    bad = [
        f"{name!r}: {why(results)}"
        for name, file in zip(names, files, strict=True)
        if (results := write(bench.helper(), [file]))
    ]
    nodes = walk(bench.helper(), bench.wire("names")).nodes
    lost = [
        name
        for name, (path, _, _) in zip(names, files, strict=True)
        if path not in nodes or read(bench.helper(), path) != b"odd"
    ]
    told = bench.pc.ask("names", {"folder": bench.inside("names")})["names"]
    theirs = {base64.b64decode(name).decode("utf-16-le", "surrogatepass") for name in told}
    other = sorted(theirs ^ set(names))
    if bad or lost or other:
        return failed(
            f"not written: {'; '.join(bad) or 'none'}; not listed or read: {lost}; Windows has them else: {other}"
        )
    return passed(f"{len(names)} names")


@check("FC-43")
def lone_surrogate(bench: Bench) -> Outcome:
    name = "half \ud83c.txt".encode("utf-8", "surrogatepass")
    bench.pc.ask("make_files", {"folder": bench.inside("half"), "files": []})
    path = bench.wire("half") + b"/" + name
    bad = write(bench.helper(), [(path, plain(name, 4), b"half")])
    if bad:
        return failed(why(bad))
    listed = path in walk(bench.helper(), bench.wire("half")).nodes
    return verdict(listed and read(bench.helper(), path) == b"half", "listed and read" if listed else "not listed")


@check("FC-44")
def streams(bench: Bench) -> Outcome:
    folder, name = bench.inside("streams"), "download.txt"
    made = bench.pc.ask("streams", {"folder": folder, "name": name, "make": True})["zone"]
    node = walk(bench.helper(), wire_path(folder)).nodes[wire_path(f"{folder}\\{name}")]
    found = node.generic_attributes.get(STREAMS) or {}
    if "Zone.Identifier" not in found:
        return failed(f"the helper told {len(found)} streams, and not this one")
    content = read(bench.helper(), wire_path(f"{folder}\\{name}"))
    if isinstance(content, Skipped):
        return failed(f"not read: {content.reason}")
    bad = write(bench.helper(), [(wire_path(f"{folder}\\copy.txt"), copy_of(node, b"copy.txt"), content)])
    if bad:
        return failed(why(bad))
    copied = bench.pc.ask("streams", {"folder": folder, "name": "copy.txt", "make": False})["zone"]
    return verdict(copied == made and "ZoneId=3" in made, "the copy is marked as well")


@check("FC-45")
def junctions(bench: Bench) -> Outcome:
    attributes = bench.pc.ask("junction", {"folder": bench.folder})["attributes"]
    if not attributes & 0x400:
        return not_applicable("this file system makes no junctions")
    found = walk(bench.helper(), bench.wire("loop"))
    node = found.nodes.get(bench.wire("loop", "again"))
    kind = node.type if node else "not listed"
    good = kind == "symlink" and len(found.nodes) == 2
    return verdict(good, f"told as {kind}; {len(found.nodes)} entries in the folder, 2 are there")


@check("FC-46")
def old_junctions(bench: Bench) -> Outcome:
    profile = wire_path(bench.about()["profile"])
    for entry in list_folder(bench.helper(), profile):
        if isinstance(entry, Directory) and entry.path == profile:
            known = (b"Application Data", b"Local Settings", b"My Documents", b"Cookies", b"SendTo", b"Start Menu")
            kinds = [node.type for node in entry.children if node.name in known]
            if not kinds:
                return not_applicable(
                    "the profile of the account has no such junctions (other languages name them else)"
                )
            return verdict(set(kinds) == {"symlink"}, f"{kinds.count('symlink')} of {len(kinds)} told as links")
    return failed("the profile of the account is not listed")


@contextmanager
def held(bench: Bench, name: str, share: str) -> Iterator[bytes]:
    """Have a program on the computer hold a file open; gives its path."""
    values = {"folder": bench.inside("held"), "name": name, "share": share, "content": f"held {share}"}
    link = bench.pc.new_link()
    try:
        probe = bench.pc.begin("hold", values, link)
        try:
            probe.wait_for()
            yield bench.wire("held", name)
        finally:
            probe.close()
    finally:
        link.close()


@check("FC-47")
def held_alone(bench: Bench) -> Outcome:
    with held(bench, "alone.txt", "None") as path:
        got = read(bench.helper(), path)
    return verdict(isinstance(got, Skipped), f"told as {got.reason}" if isinstance(got, Skipped) else "it was read")


@check("FC-48")
def held_shared(bench: Bench) -> Outcome:
    with held(bench, "shared.txt", "ReadWrite") as path:
        got = read(bench.helper(), path)
    return verdict(got == b"held ReadWrite", f"told as {got.reason}" if isinstance(got, Skipped) else "read")


@check("FC-49")
def compressed(bench: Bench) -> Outcome:
    values = {"folder": bench.inside("packed"), "name": "text.txt", "tool": "compact", "option": "/c"}
    told = bench.pc.ask("transform", values)
    if not told["attributes"] & 0x800:
        return not_applicable(f"compact /c did not compress (code {told['code']})")
    got = read(bench.helper(), bench.wire("packed", "text.txt"))
    return verdict(got == b"the same text again and again " * 4000, "read as it was written")


@check("FC-50")
def encrypted(bench: Bench) -> Outcome:
    values = {"folder": bench.inside("sealed"), "name": "text.txt", "tool": "cipher", "option": "/e"}
    told = bench.pc.ask("transform", values)
    if not told["attributes"] & 0x4000:
        return not_applicable(f"cipher /e did not encrypt (code {told['code']})")
    path = bench.wire("sealed", "text.txt")
    skip = walk(bench.helper(), bench.wire("sealed")).skips.get(path)
    got = read(bench.helper(), path)
    if skip is None and isinstance(got, Skipped):
        skip = got
    return verdict(skip is not None, f"told as {skip.reason}: {skip.detail}" if skip else "it was taken like any file")


@check("FC-51")
def attributes_and_times(bench: Bench) -> Outcome:
    bench.pc.ask("make_files", {"folder": bench.folder, "files": _made("from")})
    bench.pc.ask("make_files", {"folder": bench.inside("to"), "files": []})
    copies = []
    for path, node in sorted(walk(bench.helper(), bench.wire("from")).nodes.items()):
        content = read(bench.helper(), path)
        if isinstance(content, Skipped):
            return failed(f"not read: {content.reason}")
        copies.append((bench.wire("to") + b"/" + node.name, node, content))
    bad = write(bench.helper(), copies)
    if bad:
        return failed(why(bad))
    wrong = differing(look(bench, bench.inside("from")), look(bench, bench.inside("to")))
    return verdict(not wrong, f"differing: {', '.join(wrong)}" if wrong else f"{len(copies)} files alike")


@check("FC-52")
def access_lists(bench: Bench) -> Outcome:
    folder = bench.inside("access")
    made = bench.pc.ask("access", {"folder": folder, "name": "own.txt", "make": True})
    node = walk(bench.helper(), wire_path(folder)).nodes[wire_path(f"{folder}\\own.txt")]
    if not node.generic_attributes.get(DESCRIPTOR):
        return failed("the helper told no access list")
    content = read(bench.helper(), wire_path(f"{folder}\\own.txt"))
    if isinstance(content, Skipped):
        return failed(f"not read: {content.reason}")
    bad = write(bench.helper(), [(wire_path(f"{folder}\\copy.txt"), copy_of(node, b"copy.txt"), content)])
    if bad:
        return failed(why(bad))
    copied = bench.pc.ask("access", {"folder": folder, "name": "copy.txt", "make": False})
    if copied["rules"] == made["rules"]:
        return passed("the copy has the same entry")
    return failed(f"{len(made['rules'])} entries of its own, the copy has {len(copied['rules'])}")
