#!/usr/bin/env python3
"""Have FOG deploy its image to one computer that firstbell has cleared; needs Python 3.8: docs/actions.md.

    fog_deploy.py HOST CLEARANCE-FILE KEYS.pem

FOG_URL (``https://fog.school.example/fog``), FOG_API_TOKEN and FOG_USER_TOKEN are in the environment. Exit code 0: the
task is scheduled, and the computer boots into it. 20: the clearance does not hold. Any other: look at FOG.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

#: FOG's number for the task "Deploy".
DEPLOY = 1


def ask(method, path, body):
    """Return FOG's answer."""
    request = urllib.request.Request(  # noqa: S310 - the address is the school's own
        os.environ["FOG_URL"].rstrip("/") + path,
        data=json.dumps(body).encode(),
        method=method,
        headers={
            "Content-Type": "application/json",
            "fog-api-token": os.environ["FOG_API_TOKEN"],
            "fog-user-token": os.environ["FOG_USER_TOKEN"],
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if text.strip() else None


def main(host, clearance, keys):
    """Check the clearance, find the one host of that name in FOG, and schedule its task."""
    check = Path(__file__).resolve().parents[1] / "clearance" / "check.py"
    if subprocess.run([sys.executable, str(check), clearance, host, keys]).returncode:
        return 20
    found = [one for one in ask("GET", "/host", {"name": host})["hosts"] if one["name"].lower() == host.lower()]
    if len(found) != 1:
        sys.stderr.write(f"FOG knows {len(found)} hosts of the name {host}\n")
        return 1
    ask("POST", f"/host/{int(found[0]['id'])}/task", {"taskTypeID": DEPLOY, "wol": 1})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
