"""Arguments of one walk that overlap: `d d/x`, or two trees that merge under one name.

Member names are unique, and what stands below a name must be a directory. With one argument the
file system sees to that; with several, each thing is compared with what the earlier arguments must
have given. That costs memory for the arguments alone, not for all they hold.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from lmarc.archive.globs import Excludes

__all__ = ["MERGED", "SAME", "Earlier"]

# What `Earlier.clash` may find besides a fault.
SAME: Final = "same"  # this very thing, and what is below it, is in the archive already
MERGED: Final = "merged"  # so is the directory, but not all that is below it


class Earlier:
    """Which names the arguments before this one have taken.

    Parameters
    ----------
    excludes, one_file_system, recurse
        How the walk looks below each argument.
    """

    def __init__(self, excludes: Excludes, one_file_system: bool, recurse: bool) -> None:
        self._excludes = excludes
        self._one_file_system = one_file_system
        self._recurse = recurse
        self._paths: dict[bytes, bytes] = {}  # argument's name -> its path
        self._parents: set[bytes] = set()  # every proper ancestor of such a name

    def add(self, name: bytes, path: bytes) -> None:
        """Take note of an argument that has been walked."""
        self._paths.setdefault(name, path)
        while (cut := name.rfind(b"/")) >= 0:
            name = name[:cut]
            if name in self._parents:
                break
            self._parents.add(name)

    def clash(self, name: bytes, status: os.stat_result) -> str | None:
        """None when the name is free; SAME, MERGED, or a sentence that says what is wrong."""
        if not stat.S_ISDIR(status.st_mode) and name in self._parents:
            return "is no directory, but earlier members stand below that name"
        top = name
        while True:
            if top in self._paths:
                verdict = self._against(top, name, status)
                if verdict is not None:
                    return verdict
            if not top:
                return None
            top = top.rpartition(b"/")[0]

    def _against(self, top: bytes, name: bytes, status: os.stat_result) -> str | None:
        """`clash` with the one argument that is named `top`, an ancestor of `name` or equal."""
        inside = name[len(top) :].strip(b"/").split(b"/") if name != top else []
        at_name, at_path = top, self._paths[top]
        device = -1
        crossed = False
        for depth in range(len(inside) + 1):
            if depth:
                at_name = at_name + b"/" + inside[depth - 1] if at_name else inside[depth - 1]
                at_path = at_path.rstrip(b"/") + b"/" + inside[depth - 1]
            try:
                found = os.lstat(at_path)
            except OSError:
                return None
            is_directory = stat.S_ISDIR(found.st_mode)
            if at_name and self._excludes.match(at_name, is_directory):
                return None
            device = found.st_dev if device < 0 else device
            if depth == len(inside):
                break
            if not is_directory:
                return "stands below an earlier member that is no directory"
            crossed = crossed or found.st_dev != device
        if inside and (not self._recurse or (self._one_file_system and crossed)):
            return None
        if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
            here_only = self._one_file_system and found.st_dev != device
            return MERGED if here_only else SAME
        if is_directory and stat.S_ISDIR(status.st_mode):
            return MERGED
        return "has the name of an earlier member"
