"""Counts of lines that were made when they were first needed, in the user's cache folder.

A file is named by the SHA-256 of an archive's Index, which names everything in the archive, and the
number of a member. What cannot be read or written there costs time and nothing else.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
import numpy.typing as npt

__all__ = ["lines_folder", "load_lines", "save_lines"]

I64 = npt.NDArray[np.int64]


def lines_folder() -> str:
    """Return the folder: `lmarc/lines` in `XDG_CACHE_HOME`, or else in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "lmarc", "lines")


def _path(index_sha256: bytes, entry: int) -> str:
    return os.path.join(lines_folder(), f"{index_sha256.hex()}-{entry}")


def load_lines(index_sha256: bytes, entry: int, piece_count: int) -> I64 | None:
    """Return the lines that end in each piece of a member: int64, shape (piece_count,), or None."""
    try:
        with open(_path(index_sha256, entry), "rb") as file:
            data = file.read()
    except OSError:
        return None
    if len(data) != 8 * piece_count:
        return None
    lines = np.frombuffer(data, "<i8").astype(np.int64)
    return lines if (lines >= 0).all() else None


def save_lines(index_sha256: bytes, entry: int, lines: I64) -> None:
    """Keep what `load_lines` is to return; the file appears whole."""
    folder = lines_folder()
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder)
    except OSError:
        return
    try:
        with open(descriptor, "wb") as file:
            file.write(lines.astype("<i8").tobytes())
        os.replace(temporary, _path(index_sha256, entry))
    except OSError:
        os.unlink(temporary)
