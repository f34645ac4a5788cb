"""The helper's side of the link as a program of its own, under Mono: ``FarSide.cs`` with the product's C#."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_PRODUCT: Final = ("Link*.cs", "Seal.cs", "Spool*.cs", "Json.cs")


def build_far_side(folder: Path) -> list[str]:
    """Compile the program as C# 5 and return the command that runs it."""
    program = folder / "far-side.exe"
    sources = [_ROOT / "tests" / "support" / "FarSide.cs"]
    product = _ROOT / "tasks" / "remote" / "windows"
    sources += [file for pattern in _PRODUCT for file in sorted(product.glob(pattern))]
    done = subprocess.run(
        ["mcs", "-langversion:5", f"-out:{program}", *map(str, sources)], capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"mcs refused the helper's C#:\n{done.stdout}{done.stderr}")
    return ["mono", str(program)]
