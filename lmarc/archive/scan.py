"""Find the records of a damaged archive, whatever is missing (spec §11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lmarc.archive.source import Source
from lmarc.errors import FormatError
from lmarc.format._fields import checksum
from lmarc.format.header import ArchiveHeader
from lmarc.format.record import RECORD_MAGIC, RecordHeader

__all__ = ["Found", "Scan", "scan"]

_BLOCK: Final = 8 << 20  # bytes that are searched at once
_HASHED: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A record whose header is intact."""

    offset: int
    header: RecordHeader
    intact: bool  # its payload is all there and has its checksum


@dataclass(slots=True)
class Scan:
    """What a scan has found, in file order."""

    archive_tag: int = 0
    records: list[Found] = field(default_factory=list)
    lost_size: int = 0  # bytes that belong to no record with an intact header


def scan(
    source: Source, size: int, *, progress: Callable[[int, int], object] | None = None
) -> Scan:
    """Find every record of an archive of `size` bytes that has an intact header.

    An archive that lies in a chunk as it is has records too; they are told by their tag, and by
    lying inside a payload that is intact or that ends where another record starts.
    """
    result = Scan()
    tag = _header_tag(source, size)
    found = list(_walk(source, size, tag, progress))
    if tag is None:
        tags = Counter(record.header.archive_tag for record in found)
        tag = max(tags, key=lambda key: (tags[key], -key)) if tags else 0
        found = list(_walk(source, size, tag, progress))
    result.archive_tag = tag
    result.records = found
    covered = min(ArchiveHeader.SIZE, size)
    covered += sum(min(record.header.record_size, size - record.offset) for record in found)
    result.lost_size = max(0, size - covered)
    return result


def _header_tag(source: Source, size: int) -> int | None:
    try:
        return ArchiveHeader.unpack(source.read(0, min(size, ArchiveHeader.SIZE))).archive_tag
    except FormatError:
        return None


def _walk(
    source: Source, size: int, tag: int | None, progress: Callable[[int, int], object] | None
) -> Iterator[Found]:
    """Give records from the start on: from one to the next, or to the next magic."""
    place = min(ArchiveHeader.SIZE, size)
    while place < size:
        header = _record_at(source, place, size, tag)
        if header is None:
            following = _next_record(source, place + 1, size, tag)
            if following is None:
                return
            place = following
            continue
        end = place + header.record_size
        intact = end <= size and _payload_intact(source, place, header)
        yield Found(place, header, intact)
        if progress is not None:
            progress(min(end, size), 0)
        if intact or end == size or _record_at(source, end, size, tag) is not None:
            place = end
        else:
            # Its end cannot be trusted to be where the next record starts: look inside.
            following = _next_record(source, place + RecordHeader.SIZE, size, tag)
            if following is None:
                return
            place = following


def _record_at(source: Source, place: int, size: int, tag: int | None) -> RecordHeader | None:
    if place + RecordHeader.SIZE > size:
        return None
    try:
        header = RecordHeader.unpack(source.read(place, place + RecordHeader.SIZE), offset=place)
    except FormatError:
        return None
    return header if tag in (None, header.archive_tag) else None


def _next_record(source: Source, place: int, size: int, tag: int | None) -> int | None:
    """Return where the next intact header is, from `place` on."""
    overlap = len(RECORD_MAGIC) - 1
    while place + RecordHeader.SIZE <= size:
        end = min(size, place + _BLOCK)
        block = source.read(place, end)
        at = block.find(RECORD_MAGIC)
        while at >= 0:
            if _record_at(source, place + at, size, tag) is not None:
                return place + at
            at = block.find(RECORD_MAGIC, at + 1)
        if end == size:
            return None
        place = end - overlap
    return None


def _payload_intact(source: Source, offset: int, header: RecordHeader) -> bool:
    import xxhash

    start = offset + RecordHeader.SIZE
    if header.payload_size <= _HASHED:
        payload = source.read(start, start + header.payload_size)
        return checksum(payload) == header.payload_checksum
    digest = xxhash.xxh3_64()
    end = start + header.payload_size
    for place in range(start, end, _BLOCK):
        digest.update(source.read(place, min(end, place + _BLOCK)))
    return digest.intdigest() == header.payload_checksum
