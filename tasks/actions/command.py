"""A program of the school's own that wipes one computer, or has it wiped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from configs.maintenance import CommandAction
from tasks.actions.base import ActionOrder, ActionResult
from tasks.actions.clearance_file import private_file
from tasks.actions.fill import NAMES, check_placeholders, fill
from tasks.actions.program import in_words, run_program
from tasks.errors import ActionUnknown
from tasks.transports.redact import Redactor

#: What the scripts in docs/clearance end with, and what is asked of a school's own: docs/actions.md.
_MEANINGS: Final = {20: "it says that it may not wipe this computer"}


class Command:
    """Runs the program of a ``CommandAction``; exit code 0 means that the computer is set up."""

    def __init__(self, config: CommandAction, secret: Callable[[str], SecretStr]) -> None:
        """Raise ``ConfigError`` for a placeholder that is none; secrets are resolved when it is started."""
        for argument in config.argv[1:]:
            check_placeholders(argument, "action.argv", NAMES | {"clearance_file"})
        # Whatever a computer is called, it does not choose the program.
        check_placeholders(config.argv[0], "action.argv", ())
        self._config = config
        self._secret = secret

    def start(self, order: ActionOrder) -> ActionResult:
        """Run the program. Any exit code but 0 means: look at the computer."""
        order.check()
        environment = {
            name: self._secret(reference).get_secret_value() for name, reference in self._config.environment.items()
        }
        program, *arguments = self._config.argv
        with private_file("clearance", order.clearance, host=order.host) as file:
            ended = run_program(
                [program, *(fill(one, order, clearance_file=str(file)) for one in arguments)],
                host=order.host,
                timeout=self._config.timeout_minutes * 60.0,
                environment=environment,
                redactor=Redactor([order.clearance, *environment.values()]),
            )
        if ended.code:
            raise ActionUnknown(
                in_words(Path(program).name, ended, _MEANINGS),
                hint="Look at the computer: it may have begun.",
                host=order.host,
            )
        return ActionResult(done=True, text=ended.text)
