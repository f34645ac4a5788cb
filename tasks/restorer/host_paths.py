"""Where paths of the host really are, when a symlink is how it is set up: a ``/home`` on another disk, for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tasks.repository.tree import Node
from tasks.restorer import paths

#: Symlinks followed on one path (Linux's limit).
_MAX_LINKS: Final = 40


class HostPaths:
    """Looks at single paths of a host. It remembers nothing: between two looks the host may change."""

    def __init__(self, look: Callable[[bytes], Node | None]) -> None:
        self.look = look

    def real_path(self, path: bytes) -> bytes:
        """Return where ``path`` leads when symlinks are followed; what is missing at its end is left as it is.

        A link that leads nowhere (a disk that is not mounted) or to no folder is not followed: it is in the way.
        """
        links = 0
        # Each part, and whether a link brought it.
        todo = [(name, False) for name in reversed(path.split(b"/")) if name]
        real = b"/"
        while todo:
            name, of_link = todo.pop()
            if name == b"..":
                real = paths.parent(real)
                continue
            here = paths.join(real, name)
            there = self.look(here)
            if there is None:
                missing = [name, *(part for part, _ in reversed(todo))]
                return path if of_link else paths.join(real, b"/".join(missing))
            if there.type == "dir":
                real = here
            elif there.type == "symlink" and links < _MAX_LINKS:
                links += 1
                if there.linktarget.startswith(b"/"):
                    real = b"/"
                parts = reversed(there.linktarget.split(b"/"))
                todo += [(part, True) for part in parts if part not in (b"", b".")]
            else:
                return path
        return real
