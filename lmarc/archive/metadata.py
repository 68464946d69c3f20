"""Owners, permissions, times and extended attributes of what was extracted.

The superuser gives files back to their owners, by name where that name exists here and by number
otherwise; anybody else keeps them. Set-user-id and set-group-id bits come back only together with
the owner they were recorded for.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from lmarc.archive.messages import Warn, reason

__all__ = ["Metadata", "Restorer"]


_NO_NUMBER: Final = 0xFFFFFFFF


class Metadata(NamedTuple):
    """What an entry says about a file besides its content."""

    mode: int  # 07777
    mtime: int  # nanoseconds since the epoch
    uid: int  # -1: not recorded
    gid: int
    user: bytes  # '': not recorded
    group: bytes
    xattrs: Sequence[tuple[bytes, bytes]]


@lru_cache(maxsize=4096)
def _uid(user: bytes) -> int | None:
    import pwd

    try:
        return pwd.getpwnam(os.fsdecode(user)).pw_uid
    except (KeyError, ValueError):
        return None


@lru_cache(maxsize=4096)
def _gid(group: bytes) -> int | None:
    import grp

    try:
        return grp.getgrnam(os.fsdecode(group)).gr_gid
    except (KeyError, ValueError):
        return None


class Restorer:
    """Sets metadata through descriptors.

    Parameters
    ----------
    warn : callable
        Gets one sentence for each kind of thing that could not be set.
    same_owner : bool or None
        Whether to give files to the recorded owner; None: when run by the superuser.
    numeric_owner : bool
        Whether to go by numbers alone.
    """

    def __init__(
        self,
        warn: Warn,
        *,
        same_owner: bool | None = None,
        numeric_owner: bool = False,
    ) -> None:
        self._warn = warn
        self._superuser = os.geteuid() == 0
        self._same_owner = self._superuser if same_owner is None else same_owner
        self._numeric_owner = numeric_owner
        self._now = time.time_ns()  # the time of access
        self._warned: set[str] = set()

    def apply(self, descriptor: int, metadata: Metadata) -> None:
        """Set everything on an open file or directory, its time last."""
        mode = metadata.mode & 0o7777
        owned = self._same_owner and self._chown(descriptor, metadata)
        if not owned:
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
        # Before the mode: attributes of users need permission to write.
        for key, value in metadata.xattrs:
            self._set_xattr(descriptor, key, value)
        os.fchmod(descriptor, mode)
        try:
            os.utime(descriptor, ns=(self._now, metadata.mtime))
        except (OSError, OverflowError) as exc:
            self._warn_once("time", f"times of modification were not set: {reason(exc)}")

    def apply_to_symlink(self, parent: int, name: bytes, metadata: Metadata) -> None:
        """Set what a symbolic link can have, on the link itself."""
        if self._same_owner:
            uid, gid = self._owner(metadata)
            if (uid, gid) != (-1, -1):
                try:
                    os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
                except OSError as exc:
                    self._warn_once("owner", f"owners were not set: {reason(exc)}")
        try:
            times = (self._now, metadata.mtime)
            os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)
        except (OSError, OverflowError) as exc:
            self._warn_once("time", f"times of modification were not set: {reason(exc)}")

    def _owner(self, metadata: Metadata) -> tuple[int, int]:
        """The uid and gid to set; -1 leaves one as it is."""
        uid, gid = metadata.uid, metadata.gid
        if not self._numeric_owner:
            if metadata.user and (known := _uid(metadata.user)) is not None:
                uid = known
            if metadata.group and (known := _gid(metadata.group)) is not None:
                gid = known
        # The system takes 2**32 - 1 for -1 as well.
        return (
            uid if 0 <= uid < _NO_NUMBER else -1,
            gid if 0 <= gid < _NO_NUMBER else -1,
        )

    def _chown(self, descriptor: int, metadata: Metadata) -> bool:
        """Give an open file to its owner; whether both user and group are now as recorded."""
        uid, gid = self._owner(metadata)
        if (uid, gid) == (-1, -1):
            return False
        try:
            os.fchown(descriptor, uid, gid)
        except OSError as exc:
            self._warn_once("owner", f"owners were not set: {reason(exc)}")
            return False
        return uid >= 0 and gid >= 0

    def _set_xattr(self, descriptor: int, key: bytes, value: bytes) -> None:
        space = key.split(b".")[0]
        if not self._superuser and space not in (b"user", b"system"):
            return  # security.* and trusted.* are the superuser's to set
        try:
            os.setxattr(descriptor, key, value)
        except (OSError, ValueError) as exc:
            shown = key.decode("utf-8", "backslashreplace")
            self._warn_once(shown, f"extended attributes {shown!r} were not set: {reason(exc)}")

    def _warn_once(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(message)
