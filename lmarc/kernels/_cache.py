"""Where the machine code of kernels is kept, and how it is loaded.

Numba notices a change in a kernel's own file only, while steps are inlined across files; so the
cache folder is named by a digest of every source here.  Machine code is executed as it is found, so
a folder counts only where nobody else can write.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
from numba import config
from numba.core.caching import FunctionCache

NAME = "lmarc"


def sources_digest() -> str:
    """Return a name for what the kernels' machine code is made from."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _bases() -> Iterator[tuple[str, str]]:
    """Give pairs: a folder that is there for all, and the first below it that must be ours."""
    if config.CACHE_DIR:  # NUMBA_CACHE_DIR
        yield str(config.CACHE_DIR), NAME
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


def cache_folder() -> str:
    """Return the first folder of the user's cache or the temporary one that can be written.

    Empty where there is none.
    """
    for base, name in _bases():
        folder = base
        try:
            os.makedirs(base, exist_ok=True)
            for part in (name, "kernels", sources_digest()):
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


class KernelCache(FunctionCache):
    """Numba's cache of one function, faster and more forgiving.

    Numba prepares its whole target before it loads machine code, which takes longer than all the
    rest and is needed by the compiler alone.  A file that cannot be read or written is none.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for a signature, or None."""
        try:
            return self._load_overload(sig, target_context)
        except Exception:  # whatever a file that was cut or damaged makes of unpickling
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if the disk takes it; what is damaged there goes."""
        for _ in range(2):
            try:
                super().save_overload(sig, data)
                return
            except Exception:
                with contextlib.suppress(OSError):
                    self.flush()
