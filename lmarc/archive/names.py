"""The names of an archive that grows: lawful, unique, below directories only (spec §7.5).

A writer of millions of members cannot keep their names. Of each it keeps 128 bits of hash and a
type: a sorted array, and a dict of the latest, which is merged into the array when it is full.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from lmarc.archive.messages import show
from lmarc.archive.walk import DIRECTORY, FILE, HARDLINK, SYMLINK
from lmarc.format.limits import (
    MAX_COMPONENT,
    MAX_OWNER_NAME,
    MAX_PATH,
    MAX_XATTR_KEY,
    MAX_XATTR_VALUE,
    MAX_XATTRS,
)

__all__ = ["DIRECTORY", "FILE", "HARDLINK", "SYMLINK", "Names", "check_metadata", "check_name"]

_ANCESTOR: Final = 0  # no entry itself, but entries stand below it

_LOW: Final = (1 << 64) - 1
_RECENT: Final = 1 << 17  # names in the dict before it is merged

_UNLAWFUL: Final = re.compile(
    rb"\0|\A/|/\Z|//|(?:\A|/)\.\.?(?:/|\Z)|[^/]{%d}" % (MAX_COMPONENT + 1)
)


def check_name(name: bytes) -> None:
    """Raise ValueError unless `name` may stand in an archive."""
    if not 0 < len(name) <= MAX_PATH:
        raise ValueError(f"name {show(name)!r} has {len(name)} bytes, expected 1 to {MAX_PATH}")
    if _UNLAWFUL.search(name):
        raise ValueError(
            f"name {show(name)!r} is not lawful: it must be relative, without empty, '.' or '..' "
            f"components, without NUL, its components at most {MAX_COMPONENT} bytes"
        )


def check_metadata(user: bytes, group: bytes, xattrs: Sequence[tuple[bytes, bytes]]) -> int:
    """Raise ValueError unless an archive can hold these; return how many bytes they have."""
    size = len(user) + len(group)
    if max(len(user), len(group)) > MAX_OWNER_NAME or b"\0" in user + group:
        raise ValueError(f"owner {show(user)}:{show(group)} has more than {MAX_OWNER_NAME} bytes")
    if not xattrs:
        return size
    total = 0
    before = b""
    for key, value in xattrs:
        if not 0 < len(key) <= MAX_XATTR_KEY or b"\0" in key or key <= before:
            raise ValueError(f"xattr {show(key)!r} is not lawful or not in order of the keys")
        if len(value) > MAX_XATTR_VALUE:
            raise ValueError(f"xattr {show(key)!r} has {len(value)} bytes, over {MAX_XATTR_VALUE}")
        total += len(key) + len(value)
        before = key
    if total > MAX_XATTRS:
        raise ValueError(f"the xattrs have {total} bytes, expected at most {MAX_XATTRS}")
    return size + total


class Names:
    """All names that an archive has, to keep the next one lawful."""

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}  # 128 bits of hash -> type
        self._high = np.empty(0, np.uint64)  # sorted
        self._low = np.empty(0, np.uint64)
        self._types = np.empty(0, np.uint8)
        self._parent = b""  # the last parent that was found to be lawful

    def get(self, name: bytes) -> int | None:
        """Return the type of an entry, None where there is none of this name."""
        return self._find(xxhash.xxh3_128_intdigest(name)) or None

    def clash(self, name: bytes, entry_type: int) -> str | None:
        """Return why an entry of this name cannot be added, None where it can."""
        known = self._find(xxhash.xxh3_128_intdigest(name))
        if known == _ANCESTOR and entry_type != DIRECTORY:
            return "other members stand below its name, it is no directory"
        if known:
            return "its name is in the archive already"
        parent = name.rpartition(b"/")[0]
        while parent and parent != self._parent:
            known = self._find(xxhash.xxh3_128_intdigest(parent))
            if known is not None:
                if known not in (_ANCESTOR, DIRECTORY):
                    return f"{show(parent)} is in the archive and is no directory"
                break
            parent = parent.rpartition(b"/")[0]
        return None

    def add(self, name: bytes, entry_type: int) -> None:
        """Take note of an entry that does not clash."""
        self._recent[xxhash.xxh3_128_intdigest(name)] = entry_type
        parent = name.rpartition(b"/")[0]
        if parent != self._parent:
            self._parent = parent
            while parent:
                key = xxhash.xxh3_128_intdigest(parent)
                if self._find(key) is not None:
                    break
                self._recent[key] = _ANCESTOR
                parent = parent.rpartition(b"/")[0]
        if len(self._recent) >= max(_RECENT, min(len(self._high) >> 3, 3 * _RECENT)):
            self._merge()

    def _find(self, key: int) -> int | None:
        found = self._recent.get(key)
        if found is not None or not len(self._high):
            return found
        high, low = key >> 64, key & _LOW
        place = int(np.searchsorted(self._high, np.uint64(high)))
        while place < len(self._high) and self._high[place] == high:
            if self._low[place] == low:
                return int(self._types[place])
            place += 1
        return None

    def _merge(self) -> None:
        keys = self._recent
        count = len(keys)
        high = np.fromiter((key >> 64 for key in keys), np.uint64, count)
        low = np.fromiter((key & _LOW for key in keys), np.uint64, count)
        types = np.fromiter(keys.values(), np.uint8, count)
        # An ancestor that became an entry stands twice: the latest, put first, is found first.
        self._high, order = _sorted(np.concatenate([high, self._high]))
        self._low = np.concatenate([low, self._low])[order]
        self._types = np.concatenate([types, self._types])[order]
        self._recent = {}


def _sorted(
    keys: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    order = np.argsort(keys, kind="stable")
    return keys[order], order
