"""How messages show names, which may be any bytes, and what the system said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Warn", "reason", "show"]

Warn: TypeAlias = Callable[[str], object]  # gets one sentence about what was left out or changed


def show(name: bytes) -> str:
    """Show a name in a message: printable, on one line."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def reason(exc: Exception) -> str:
    """Say why the system refused, without the error's number and path."""
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
