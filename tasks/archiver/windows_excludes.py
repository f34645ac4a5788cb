r"""What is left out of a Windows profile by standing rule. Paths are ``/C/Users/a.ito/...``, and case does not count.

``AppData`` holds both what nobody could do without (mail archives, bookmarks, templates) and what programs make again
by themselves. Only the latter is named here, folder by folder; a store app's ``LocalCache`` is not among it, since apps
keep files there for want of another place.
"""

from __future__ import annotations

from typing import Final

from tasks.entries import Rule

_ANY: Final = r"[\s\S]*"
_LOCAL: Final = "AppData/Local"
#: What Chromium keeps in each of its profiles, and with it every program that is made of it (Edge, Teams, Slack, ...).
_CHROMIUM: Final = (
    "(?:Cache|Code Cache|GPUCache|CachedData|ShaderCache|GrShaderCache|DawnCache|DawnGraphiteCache|DawnWebGPUCache"
    "|GraphiteDawnCache|Service Worker/CacheStorage|Service Worker/ScriptCache)"
)


def _rule(id_: str, reason: str, *patterns: str, dirs_only: bool = True) -> Rule:
    """Return a rule for paths that end like one of the patterns."""
    return Rule(id_, reason, rf"(?i:{_ANY}/(?:{'|'.join(patterns)}))", dirs_only=dirs_only)


def _at_drive(id_: str, reason: str, *patterns: str, dirs_only: bool) -> Rule:
    """Return a rule for names at the top of a drive."""
    return Rule(id_, reason, rf"(?i:/[A-Z]/(?:{'|'.join(patterns)}))", dirs_only=dirs_only)


WINDOWS_RULES: Final[tuple[Rule, ...]] = (
    _at_drive("trash", "the recycle bin: its owner has thrown this away", r"\$Recycle\.Bin", dirs_only=True),
    _at_drive("system-volume", "Windows' own notes about this disk", "System Volume Information", dirs_only=True),
    _at_drive(
        "paging-file",
        "memory that Windows keeps on the disk while it runs",
        r"(?:pagefile|hiberfil|swapfile)\.sys",
        r"DumpStack\.log\.tmp",
        dirs_only=False,
    ),
    _rule(
        "registry-hive",
        "Windows' own database of this account's settings: it cannot be put back as a file, a new account has its own",
        r"NTUSER\.DAT(?:\.[^/]*|\{[^/]*)?",
        r"ntuser\.(?:ini|pol)",
        rf"{_LOCAL}/Microsoft/Windows/UsrClass\.dat[^/]*",
        dirs_only=False,
    ),
    _rule(
        "temporary",
        "temporary files of programs (AppData\\Local\\Temp), of no use once the program has ended",
        rf"{_LOCAL}(?:Low)?/Temp",
    ),
    _rule(
        "outlook-copy",
        "Outlook's copy of a mailbox on the server: Outlook loads it again; archives (.pst) are saved",
        r"[^/]+\.(?:ost|nst)",
        dirs_only=False,
    ),
    _rule(
        "onedrive-logs",
        "OneDrive's own log files",
        rf"{_LOCAL}/Microsoft/OneDrive/(?:setup/)?logs",
    ),
    _rule(
        "chat-cache",
        "what Teams or Slack keep of conversations on the server: they load it again",
        rf"AppData/Roaming/(?:Microsoft/Teams|Slack)/(?:Application Cache|blob_storage|tmp|logs|{_CHROMIUM})",
        rf"{_LOCAL}/Packages/MSTeams_[^/]+/LocalCache/Microsoft/MSTeams/(?:Logs|EBWebView(?:/[^/]+)?/{_CHROMIUM})",
    ),
    _rule(
        "store-app-cache",
        "temporary files of apps from the Store; what they keep for good is saved",
        rf"{_LOCAL}/Packages/[^/]+/(?:AC|TempState)",
    ),
    _rule(
        "browser-cache",
        "a browser's cache: it loads pages again by itself; bookmarks, passwords and settings are kept",
        rf"AppData/(?:Local|LocalLow|Roaming)/[^/]+(?:/[^/]+){{0,8}}/{_CHROMIUM}",
        r"AppData/(?:Local|Roaming)/Mozilla/Firefox/Profiles/[^/]+/(?:cache2|OfflineCache|startupCache|thumbnails)",
        rf"{_LOCAL}/Microsoft/Windows/(?:INetCache|IECompatCache|IECompatUaCache|WebCache)",
    ),
    _rule(
        "cache",
        "a program's cache, made again by itself",
        rf"{_LOCAL}/(?:D3DSCache|NVIDIA/(?:DXCache|GLCache)|AMD/(?:DxCache|VkCache)|pip/cache|fontconfig/cache)",
        r"AppData/(?:Local|Roaming)/npm-cache",
        rf"{_LOCAL}/Microsoft/(?:Office/[^/]+/OfficeFileCache|FontCache)",
    ),
    _rule(
        "thumbnails",
        "preview pictures and icons, made again from the files",
        rf"{_LOCAL}/Microsoft/Windows/Explorer/(?:thumbcache|iconcache)_[^/]*\.db",
        rf"{_LOCAL}/IconCache\.db",
        r"Thumbs\.db",
        dirs_only=False,
    ),
    _rule(
        "crash-reports",
        "what Windows noted about programs that crashed",
        rf"{_LOCAL}/CrashDumps",
        rf"{_LOCAL}/Microsoft/Windows/WER",
    ),
    _rule(
        "app-names",
        "names under which apps from the Store start: Windows makes them anew",
        rf"{_LOCAL}/Microsoft/WindowsApps",
    ),
)
