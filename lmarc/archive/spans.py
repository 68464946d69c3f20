"""Content by reference: where it lies, so that whoever codes it reads it there.

A `Span` says which bytes of which file or object; it is what goes to a worker instead of content. A
file is pinned to what it was when it was found: bytes of one that has changed since are never
returned, so that what several workers read of it belongs together.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from lmarc.archive.source import Range, open_source
from lmarc.archive.urls import is_local, shown
from lmarc.errors import SourceError

__all__ = ["Origin", "Span", "digest_of", "read_all"]

T = TypeVar("T")

_BLOCK: Final = 4 << 20  # bytes that are hashed at once
_ZEROS: Final = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Origin:
    """A file or an object, as it was found. Picklable."""

    url: str = field(repr=False)  # an absolute path, or a URL, which may be signed
    size: int  # bytes
    # Nanoseconds of modification of a local file, the ETag on S3, elsewhere fsspec's `ukey`.
    version: int | str | None
    options: Mapping[str, Any] | None = field(default=None, repr=False)  # may hold secrets


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a file that goes into a chunk; it has a size and can be sliced, like bytes."""

    origin: Origin
    start: int  # position
    end: int
    entry: int  # the number of the member
    whole: bool  # whether it was made as all of the member's content

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, part: slice) -> Span:
        first, last, _ = part.indices(len(self))
        whole = self.whole and last - first == len(self)
        return Span(self.origin, self.start + first, self.start + last, self.entry, whole)


def read_all(spans: Sequence[Span]) -> list[bytes]:
    """Return the bytes of each span; those of one file are read together.

    Raises
    ------
    SourceError
        One cannot be read, or is not what it was when it was found.
    """
    by_origin: dict[str, list[int]] = {}
    for place, span in enumerate(spans):
        by_origin.setdefault(span.origin.url, []).append(place)
    found: list[bytes] = [b""] * len(spans)
    for places in by_origin.values():
        ranges = [(spans[place].start, spans[place].end) for place in places]
        for place, data in zip(places, _read(spans[places[0]].origin, ranges), strict=True):
            found[place] = data
    return found


def digest_of(origin: Origin, extents: Sequence[Range] | None) -> bytes:
    """Return the SHA-256 of a whole file.

    Parameters
    ----------
    extents : sequence of (start, end), optional
        Where a sparse file has data; what lies between is zeros, and is not read.

    Raises
    ------
    SourceError
        As for `read_all`.
    """
    digest = hashlib.sha256()
    at = 0
    for start, end in _blocks(extents if extents is not None else [(0, origin.size)]):
        _update_zeros(digest, start - at)
        digest.update(_read(origin, [(start, end)])[0])
        at = end
    _update_zeros(digest, origin.size - at)
    return digest.digest()


def _blocks(extents: Sequence[Range]) -> Iterator[Range]:
    for start, end in extents:
        for at in range(start, end, _BLOCK):
            yield at, min(at + _BLOCK, end)


def _update_zeros(digest: Any, count: int) -> None:
    while count > 0:
        digest.update(_ZEROS[:count])
        count -= len(_ZEROS)


def _read(origin: Origin, ranges: list[Range]) -> list[bytes]:
    if is_local(origin.url):
        return _read_local(origin, ranges)
    source = open_source(origin.url, origin.options)
    if hasattr(source, "etag"):
        source.etag = origin.version  # S3 itself refuses another object than this
        return [bytes(block) for block in source.read_ranges(ranges)]
    found = [bytes(block) for block in source.read_ranges(ranges)]
    filesystem = getattr(source, "filesystem")  # noqa: B009 - of every source that is not local
    path = getattr(source, "_path")  # noqa: B009
    if _guarded(origin, lambda: str(filesystem.ukey(path))) != origin.version:
        raise _changed(origin)
    return found


def _read_local(origin: Origin, ranges: list[Range]) -> list[bytes]:
    def read() -> list[bytes]:
        # O_NONBLOCK: should a FIFO stand here by now, opening it must not wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(origin.url, flags)
        try:
            found = [os.pread(descriptor, end - start, start) for start, end in ranges]
            # Looked at last: a change before this, or between two workers' reads, shows here.
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        sizes = [len(data) for data in found]
        if sizes != [end - start for start, end in ranges] or (
            (status.st_size, status.st_mtime_ns) != (origin.size, origin.version)
        ):
            raise _changed(origin)
        return found

    return _guarded(origin, read)


def _changed(origin: Origin) -> SourceError:
    return SourceError("changed while it was archived", url=shown(origin.url))


def _guarded(origin: Origin, what: Callable[[], T]) -> T:
    try:
        return what()
    except SourceError:
        raise
    except OSError as exc:
        message = f"cannot be read: {exc.strerror or type(exc).__name__}"
        raise SourceError(message, url=shown(origin.url)) from exc
