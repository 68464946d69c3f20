"""Where lmarc keeps what it can make anew: the user's cache, or else the temporary folder.

Machine code that is found there is executed and tables are coded with, so a folder counts only
where nobody else can write.  It imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["cache_folder", "keep"]

NAME = "lmarc"


def _bases() -> Iterator[tuple[str, str]]:
    """Give pairs: a folder that is there for all, and the first below it that must be ours."""
    told = os.environ.get("NUMBA_CACHE_DIR")
    if told:
        yield told, NAME
        return
    yield (
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"),
        NAME,
    )
    try:
        yield tempfile.gettempdir(), f"{NAME}-{os.getuid()}"
    except OSError:
        return


def _is_ours(folder: str) -> bool:
    status = os.lstat(folder)
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.getuid()
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def cache_folder(*parts: str) -> str:
    """Return a folder below the user's cache, or below the temporary folder, that can be written.

    Empty where there is none.
    """
    for base, name in _bases():
        folder = base
        try:
            os.makedirs(base, exist_ok=True)
            for part in (name, *parts):
                folder = os.path.join(folder, part)
                if not os.path.isdir(folder):
                    os.makedirs(folder, mode=0o700, exist_ok=True)
                if not _is_ours(folder):
                    break
            else:
                with tempfile.TemporaryFile(dir=folder):
                    return folder
        except OSError:
            continue
    return ""


def keep(folder: str, name: str, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file that appears whole, if the disk takes it."""
    with contextlib.suppress(OSError):
        handle, path = tempfile.mkstemp(dir=folder, prefix=name)
        try:
            with os.fdopen(handle, "wb") as file:
                for part in parts:
                    file.write(part)
            os.replace(path, Path(folder, name))
        except OSError:
            os.unlink(path)
            raise
