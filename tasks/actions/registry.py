"""From the action of a plan to what does it; each is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import SecretStr

from configs.maintenance import Action as ActionConfig
from configs.maintenance import AnsibleAction, CommandAction, HttpAction
from tasks.actions.base import Action


def make_action(config: ActionConfig, secret: Callable[[str], SecretStr]) -> Action:
    """Return the action of a plan; ``secret`` resolves a reference when the action is started.

    Raises ``ConfigError`` for what cannot be started on any computer, such as a placeholder that is none.
    """
    if isinstance(config, CommandAction):
        from tasks.actions.command import Command

        return Command(config, secret)
    if isinstance(config, HttpAction):
        from tasks.actions.http import HttpCall

        return HttpCall(config, secret)
    if isinstance(config, AnsibleAction):
        from tasks.actions.ansible import Playbook

        return Playbook(config)
    from tasks.actions.manual import Manual

    return Manual(config)
