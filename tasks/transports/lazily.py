"""Imports that wait until they are needed: of a library that another one imports for a case that hardly ever comes."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def import_lazily(name: str) -> None:
    """Let ``import name`` give a module that is loaded when something of it is used first; nothing if there is none.

    ``importlib.util.LazyLoader`` is for this, but on Python 3.11 ``import`` itself looks into what it made.
    """
    if name in sys.modules or find_spec(name) is None:
        return
    stand_in = ModuleType(name)

    def load(attribute: str) -> object:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    # What a module does not have, it asks this function for (PEP 562).
    stand_in.__dict__["__getattr__"] = load
    sys.modules[name] = stand_in
