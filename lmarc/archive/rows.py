"""A chunk as its row in the Index says: its record is compared with that, and decoded.

Rows carry all that a worker needs to know of a chunk, and pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from lmarc.archive.chunks import CheckedChunk, decode_records, parse_chunk, record_payload
from lmarc.archive.source import Source
from lmarc.codec.base import ModelRef
from lmarc.errors import CorruptError, LmarcError
from lmarc.format.record import RecordHeader, RecordType

__all__ = ["ALL", "ChunkRow", "check_row", "decode_row", "decode_rows"]

ALL: Final[Mapping[int, int]] = {}  # ends of no chunk: all of each is needed


class ChunkRow(NamedTuple):
    """What the Index says of a chunk, and how much of it is needed."""

    number: int
    offset: int  # bytes
    stored_size: int
    content_size: int
    codec: int
    model_slot: int
    content_class: int
    payload_checksum: int
    content_checksum: int
    needed: int | None = None  # bytes of content, from its beginning; all if None

    @property
    def range(self) -> tuple[int, int]:
        """Where the record is."""
        return self.offset, self.offset + self.stored_size


def check_row(
    row: ChunkRow,
    record: memoryview,
    archive_tag: int,
    slot_kinds: list[int],
    model: ModelRef | None,
) -> CheckedChunk:
    """Return a chunk from its record, which must be what its row says.

    Raises
    ------
    CorruptError, UnsupportedVersionError
        It is not.
    """
    offset = row.offset
    payload = record_payload(record, RecordType.CHUNK, archive_tag, offset=offset)
    header = parse_chunk(payload, row.number, slot_kinds, offset=offset)
    payload_checksum = RecordHeader.unpack(
        record[: RecordHeader.SIZE], offset=offset
    ).payload_checksum
    for name, found in (
        ("content_size", header.content_size),
        ("codec", header.codec),
        ("model_slot", header.model_slot),
        ("content_class", header.content_class),
        ("payload_checksum", payload_checksum),
        ("content_checksum", header.content_checksum),
    ):
        if getattr(row, name) != found:
            message = (
                f"{name} of chunk {row.number} is {found}, the Index says {getattr(row, name)}"
            )
            raise CorruptError(message, offset=offset)
    return CheckedChunk(header, payload, model, offset, row.needed)


def decode_row(
    row: ChunkRow,
    record: memoryview,
    archive_tag: int,
    slot_kinds: list[int],
    model: ModelRef | None,
) -> bytes:
    """Return a chunk's content from its record, which must be what its row says.

    Raises
    ------
    CorruptError, ModelError, UnsupportedVersionError
        It is not, or cannot be decoded here.
    """
    (content,) = decode_records([check_row(row, record, archive_tag, slot_kinds, model)])
    if isinstance(content, LmarcError):
        raise content
    return content


def decode_rows(
    source: Source,
    rows: list[ChunkRow],
    archive_tag: int,
    slot_kinds: list[int],
    models: dict[int, ModelRef],
) -> list[bytes | LmarcError]:
    """Read some chunks together and decode them; give its error for one that cannot be."""
    try:
        records = source.read_ranges([row.range for row in rows])
    except LmarcError as exc:
        return [exc] * len(rows)
    contents: dict[int, bytes | LmarcError] = {}
    sound: dict[int, CheckedChunk] = {}
    for row, record in zip(rows, records, strict=True):
        try:
            model = models.get(row.model_slot)
            sound[row.number] = check_row(row, record, archive_tag, slot_kinds, model)
        except LmarcError as exc:
            contents[row.number] = exc
    contents.update(zip(sound, decode_records(list(sound.values())), strict=True))
    return [contents[row.number] for row in rows]
