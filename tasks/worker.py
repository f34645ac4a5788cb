"""What every task on a worker starts from, and how it tells a failure to Prefect."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from configs.errors import FirstbellError
from tasks.secret_block import resolve_block
from tasks.verbs.context import Context


def load_context() -> Context:
    """Load configuration and inventory as the worker's environment says."""
    return Context.load(resolve_block=resolve_block)


def is_transient(task: Any, run: Any, state: State[Any]) -> bool:
    """Return whether the same work may succeed when it is simply tried again."""
    error = state.data
    return isinstance(error, FirstbellError) and error.transient


def describe(host: str, error: FirstbellError) -> str:
    """Return a failure in one line that opens with the computer's (or the school's) name."""
    text = " ".join(str(error).split())
    return text if text.startswith(f"{host}: ") else f"{host}: {text}"
