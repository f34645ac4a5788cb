"""An imaging program for the demo and the tests: ``python tests/support/imager.py FOLDER --clearance FILE --key PEM``.

``FOLDER`` is that of one computer of ``tests.support.classroom``. It does what such a program does where it counts: it
asks for a clearance for exactly this computer, by the script that schools are given for that, and without one it
touches nothing. Then it erases the homes, and the computer comes back with other host keys.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "docs" / "clearance" / "check.py"


def main(arguments: list[str] | None = None) -> int:
    """Image one computer; exit 20 when its clearance does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clearance", type=Path, help="file with the clearance; without, none is asked for")
    parser.add_argument("--key", type=Path, help="file with the public key of clearances")
    parser.add_argument("--serial", help="another computer comes back: its serial number")
    parser.add_argument("--notes", type=Path, help="file that tells, line by line, what was erased where")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long it takes")
    options = parser.parse_args(arguments)
    if options.clearance is not None:
        code = subprocess.run(
            [sys.executable, "-I", str(CHECK), str(options.clearance), options.folder.name, str(options.key)]
        ).returncode
        if code:
            print(f"{options.folder.name}: not wiped", file=sys.stderr)
            return 20
    # It is started by its path, wherever a worker runs.
    sys.path.insert(0, str(ROOT))
    from tests.support.classroom import reimage

    threading.Event().wait(options.seconds)
    if options.notes is not None:
        erased = sum(1 for _ in (options.folder / "home").glob("*/**/*"))
        with options.notes.open("a") as notes:
            notes.write(json.dumps({"host": options.folder.name, "erased": erased}) + "\n")
    reimage(options.folder, serial=options.serial)
    print(f"{options.folder.name}: imaged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
