"""The hands that a maintenance has in earnest."""

from __future__ import annotations

from tasks.verbs import maintenance_doing as doing
from tasks.verbs import maintenance_telling as telling
from tasks.verbs.maintenance_hands import Hands


def real_hands() -> Hands:
    """Return what really happens to computers and people."""
    return Hands(
        announce=telling.announce,
        agreement=doing.agreement,
        wake=doing.wake_up,
        save=doing.save,
        prove=doing.prove,
        barriers=doing.barriers,
        clear=doing.clear,
        action=doing.action,
        look=doing.look,
        identify=doing.identify,
        restore=doing.restore,
        compare=doing.compare,
        tell=telling.tell_people,
    )
