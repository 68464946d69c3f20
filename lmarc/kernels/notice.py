"""Who is told that kernels must be compiled. Imports nothing, so asking loads no Numba."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["on_compile", "tell"]

_listeners: list[Callable[[str], object]] = []


def on_compile(listener: Callable[[str], object] | None) -> None:
    """Have `listener` called with one sentence when this process first compiles a kernel.

    None takes the listener back.
    """
    _listeners[:] = [] if listener is None else [listener]


def tell(message: str) -> None:
    """Tell who listens, once."""
    listeners, _listeners[:] = _listeners[:], []
    for listener in listeners:
        listener(message)
