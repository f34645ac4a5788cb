"""A playbook of the school's own, run for one computer.

Before it runs, Ansible itself is asked which computers it would touch: a name that is also that of a group, or a play
that ignores the limit, would reach others. Checked with ansible-core 2.19.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from configs.maintenance import AnsibleAction
from tasks.actions.base import ActionOrder, ActionResult
from tasks.actions.clearance_file import private_file
from tasks.actions.program import Ended, in_words, run_program
from tasks.errors import ActionFailed, ActionUnknown
from tasks.transports.redact import Redactor

#: ansible/errors/__init__.py, ExitCode.
_MEANINGS: Final = {
    2: "a task failed on the computer",
    3: "a task failed on the computer",
    4: "Ansible did not reach the computer, or could not read the playbook",
    5: "an option is wrong",
    99: "it was interrupted",
    250: "an unexpected error of Ansible",
}
_QUIET: Final = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_RETRY_FILES_ENABLED": "0",
    "ANSIBLE_NOCOWS": "1",
}
#: How long it may take to say which computers it would touch, in seconds.
_LISTING: Final = 300.0
#: ``hosts (2):`` of ``--list-hosts``, then a line for each.
_HOSTS: Final = re.compile(r"^    hosts \(\d+\):$((?:\n      \S+$)*)", re.MULTILINE)


class Playbook:
    """Runs the playbook of an ``AnsibleAction``; exit code 0 means that the computer is set up."""

    def __init__(self, config: AnsibleAction) -> None:
        self._config = config

    def start(self, order: ActionOrder) -> ActionResult:
        """Run the playbook. What it has to know is in the variables ``firstbell_...``: docs/actions.md."""
        order.check()
        playbook = Path(self._config.playbook).expanduser().absolute()
        if not playbook.is_file():
            raise ActionFailed(
                f"there is no playbook {playbook}",
                hint="Nothing was started. Correct 'action.playbook', a path on the worker.",
                host=order.host,
            )
        with private_file("firstbell.yml", variables(order), host=order.host) as file:
            argv = [self._config.ansible_playbook, "--limit", order.host, "--extra-vars", f"@{file}"]
            if self._config.inventory:
                argv += ["--inventory", str(Path(self._config.inventory).expanduser().absolute())]
            self._check_reach(argv, playbook, order)
            ended = self._run([*argv, str(playbook)], playbook, order, self._config.timeout_minutes * 60.0)
        if ended.code:
            raise ActionUnknown(
                in_words("ansible-playbook", ended, _MEANINGS),
                hint="Look at the computer: it may have begun.",
                host=order.host,
            )
        return ActionResult(done=True, text=ended.text)

    def _check_reach(self, argv: list[str], playbook: Path, order: ActionOrder) -> None:
        """Raise ``ActionFailed`` unless the playbook touches this computer, and no other."""
        try:
            ended = self._run([*argv, "--list-hosts", str(playbook)], playbook, order, _LISTING)
        except ActionUnknown as error:
            raise ActionFailed(error.message, hint="Nothing was started, it was only asked.", host=order.host) from None
        if ended.code:
            raise ActionFailed(
                in_words("ansible-playbook --list-hosts", ended, _MEANINGS),
                hint=f"Nothing was started. Is there a host '{order.host}' in Ansible's inventory?",
                host=order.host,
            )
        found = {name.strip() for block in _HOSTS.findall(ended.text) for name in block.split("\n") if name.strip()}
        if found != {order.host}:
            told = ", ".join(sorted(found)) or "no computer at all"
            raise ActionFailed(
                f"with --limit {order.host}, the playbook would touch {told}",
                hint="Nothing was started. Each of its plays must be about this one computer, or about none.",
                host=order.host,
            )

    def _run(self, argv: list[str], playbook: Path, order: ActionOrder, timeout: float) -> Ended:
        # Beside the playbook, where an ansible.cfg of its own is.
        return run_program(
            argv,
            host=order.host,
            timeout=timeout,
            environment=_QUIET,
            redactor=Redactor([order.clearance]),
            folder=playbook.parent,
        )


def variables(order: ActionOrder) -> str:
    """Return what a playbook is told, as YAML; ``!unsafe`` keeps Ansible from reading a value as a template."""
    told = {**order.values(), "clearance": order.clearance, "clearance_expires": order.expiry.isoformat()}
    # JSON text is YAML text, too.
    return "".join(f"firstbell_{name}: !unsafe {json.dumps(value)}\n" for name, value in told.items())
