"""Ranged reads of an archive, wherever it is: the only place that does them.

A source is pinned to what it first saw (a file's inode, an object's ETag), reads exactly what it is
asked for apart from small gaps between ranges, and is picklable: it makes no request until it is
used again.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from lmarc.archive.urls import cause, is_local, local_path, shown
from lmarc.errors import SourceError

__all__ = ["LocalSource", "Range", "Source", "coalesce", "open_source", "read_coalesced"]

Range = tuple[int, int]  # start, end: bytes of the archive

_GAP: Final = 1 << 20  # bytes between two ranges that are read rather than asked for apart
_LARGEST: Final = 16 << 20  # bytes of one request that joins ranges


class Source(Protocol):
    """An archive's bytes. Safe to share between threads."""

    @property
    def url(self) -> str:
        """The address, for messages."""

    @property
    def local(self) -> bool:
        """Whether a read costs no request."""

    def read_suffix(self, size: int) -> tuple[bytes, int | None]:
        """Return the last `size` bytes, all if there are fewer, and the total where it is known."""

    def total(self) -> int:
        """Return how many bytes there are."""

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes from `start` to `end`."""

    def read_ranges(self, ranges: Sequence[Range]) -> list[memoryview]:
        """Return the bytes of each range; near ones are read together, all at the same time."""

    def close(self) -> None:
        """Give back what is held; the next read takes it again."""


def coalesce(ranges: Sequence[Range], gap: int = _GAP, largest: int = _LARGEST) -> list[Range]:
    """Return fewer ranges that cover all of `ranges`, ascending.

    Ranges at most `gap` bytes apart are joined, while the sum stays within `largest` bytes.
    """
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined:
            first, last = joined[-1]
            if start - last <= gap and max(end, last) - first <= largest:
                joined[-1] = (first, max(end, last))
                continue
        joined.append((start, end))
    return joined


def read_coalesced(
    ranges: Sequence[Range], read_all: Callable[[list[Range]], Sequence[bytes]]
) -> list[memoryview]:
    """Read `ranges` by way of fewer, larger ones; `read_all` returns the bytes of those."""
    joined = coalesce(ranges)
    blocks = [
        (first, memoryview(block))
        for (first, _), block in zip(joined, read_all(joined), strict=True)
    ]
    by_range: dict[Range, memoryview] = {}
    number = 0
    for start, end in sorted(ranges):
        while end > joined[number][1] or start < joined[number][0]:
            number += 1
        first, block = blocks[number]
        by_range[start, end] = block[start - first : end - first]
    return [by_range[item] for item in ranges]


class LocalSource:
    """A file, read by position.

    Parameters
    ----------
    path : str
        Opened at the first read.
    """

    local = True

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._identity: tuple[int, int] | None = None
        self._descriptor = -1
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The path."""
        return self._path

    @property
    def identity(self) -> tuple[int, int] | None:
        """(st_dev, st_ino) of the file, once it has been read from."""
        return self._identity

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_local, (self._path, self._identity, os.uname().nodename)

    def _open(self) -> int:
        with self._lock:
            if self._descriptor < 0:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                status = os.fstat(descriptor)
                identity = (status.st_dev, status.st_ino)
                problem = None
                if stat.S_ISDIR(status.st_mode):
                    os.close(descriptor)
                    raise IsADirectoryError(21, os.strerror(21), self._path)
                if not stat.S_ISREG(status.st_mode):
                    problem = "is no regular file and cannot be read at random"
                elif self._identity not in (None, identity):
                    problem = "was replaced since it was opened"
                if problem is not None:
                    os.close(descriptor)
                    raise SourceError(problem, url=self._path)
                self._descriptor, self._identity = descriptor, identity
            return self._descriptor

    def read_suffix(self, size: int) -> tuple[bytes, int | None]:
        """Return the last `size` bytes, all if there are fewer, and the file's size."""
        total = os.fstat(self._open()).st_size
        return self.read(max(0, total - size), total), total

    def total(self) -> int:
        """Return the file's size."""
        return os.fstat(self._open()).st_size

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes from `start` to `end`."""
        descriptor = self._open()
        try:
            data = os.pread(descriptor, end - start, start)
            while len(data) < end - start:
                more = os.pread(descriptor, end - start - len(data), start + len(data))
                if not more:
                    message = f"ends after {start + len(data)} bytes"
                    raise SourceError(message, url=self._path, start=start, end=end)
                data += more
        except SourceError:
            raise
        except OSError as exc:
            message = f"cannot be read: {exc.strerror}"
            raise SourceError(message, url=self._path, start=start, end=end) from exc
        return data

    def read_ranges(self, ranges: Sequence[Range]) -> list[memoryview]:
        """Return the bytes of each range."""
        return [memoryview(self.read(start, end)) for start, end in ranges]

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Python may have taken `os` away by then, where it ends.
        descriptor = getattr(self, "_descriptor", -1)
        if descriptor >= 0:
            close(descriptor)


def _restore_local(path: str, identity: tuple[int, int] | None, machine: str) -> LocalSource:
    source = LocalSource(path)
    # Another machine has numbers of its own for the same file on a shared disk.
    source._identity = identity if machine == os.uname().nodename else None
    return source


def open_source(url: str, storage_options: Mapping[str, Any] | None = None) -> Source:
    """Return the source for a path or URL. Makes no request.

    Raises
    ------
    ValueError
        No file system is known for the URL's protocol.
    """
    if is_local(url):
        return LocalSource(local_path(url))
    from lmarc.archive.remote import open_remote_source

    try:
        return open_remote_source(url, storage_options)
    except (ValueError, ImportError):
        raise
    except Exception as exc:
        raise SourceError(f"cannot be read: {exc}", url=shown(url)) from cause(exc)
