"""From Chunk and Model records as stored to content, with every check (spec §5, §6, §10.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from lmarc.codec.base import ModelRef
from lmarc.codec.choose import CodedChunk, decode_chunks
from lmarc.errors import CorruptError, FormatError, LmarcError, ModelMismatchError
from lmarc.format._fields import Buffer
from lmarc.format.chunk import ChunkHeader
from lmarc.format.limits import NO_MODEL
from lmarc.format.model import ModelHeader
from lmarc.format.record import RecordHeader, RecordType

__all__ = [
    "CheckedChunk", "decode_record", "decode_records", "parse_chunk", "parse_model",
    "record_payload",
]  # fmt: skip

# Model kinds of which a codec of spec §13.1 needs one; 0: none.
_MODEL_KINDS: Final = {
    0: (0,), 1: (0,), 2: (1,), 3: (2, 8), 4: (3, 7), 5: (5,), 6: (6, 8), 7: (0,),
}  # fmt: skip


def parse_chunk(payload: Buffer, number: int, slot_kinds: list[int], *, offset: int) -> ChunkHeader:
    """Return the header of a Chunk record's payload, checked against what came before it.

    Parameters
    ----------
    payload : buffer
        Whose checksum agrees.
    number : int
        The chunk's number.
    slot_kinds : list of int
        Kind of the model in each slot.
    offset : int
        Of the record.
    """
    header = ChunkHeader.unpack(memoryview(payload)[: ChunkHeader.SIZE], offset=offset)
    if header.chunk_number != number:
        message = f"Chunk_Number is {header.chunk_number}, expected {number}"
        raise CorruptError(message, offset=offset)
    stored = len(payload) - ChunkHeader.SIZE
    if stored > header.content_size:
        message = f"coded content has {stored} bytes, its content {header.content_size}"
        raise CorruptError(message, offset=offset)
    slot = header.model_slot
    if slot != NO_MODEL and slot >= len(slot_kinds):
        raise CorruptError(f"Model_Slot {slot} was not declared before its chunk", offset=offset)
    kind = slot_kinds[slot] if slot != NO_MODEL else 0
    wanted = _MODEL_KINDS.get(header.codec, (kind,))
    if kind not in wanted:
        message = f"codec {header.codec} needs a model of kind {' or '.join(map(str, wanted))}"
        raise CorruptError(f"{message}, Model_Slot gives {kind}", offset=offset)
    return header


class CheckedChunk(NamedTuple):
    """A chunk whose header `parse_chunk` has returned, to be decoded."""

    header: ChunkHeader
    payload: Buffer  # of the record
    model: ModelRef | None
    offset: int  # of the record, bytes
    needed: int | None = None  # bytes of content, from its beginning; all if None

    def coded(self) -> CodedChunk:
        """What its codec needs."""
        payload = memoryview(self.payload)[ChunkHeader.SIZE :]
        size = self.header.content_size
        return CodedChunk(self.header.codec, payload, size, self.model, self.needed)


def decode_records(chunks: Sequence[CheckedChunk]) -> list[bytes | LmarcError]:
    """Return the contents of chunks, checked, and its error for one that cannot be decoded.

    Of a chunk of which less is needed there may be less; then its content's checksum says nothing.
    """
    contents: list[bytes | LmarcError] = []
    for chunk, found in zip(chunks, decode_chunks([c.coded() for c in chunks]), strict=True):
        content = found
        if not isinstance(found, LmarcError):
            if chunk.needed is not None and chunk.needed <= len(found) < chunk.header.content_size:
                contents.append(found)
                continue
            try:
                chunk.header.check_content(found, offset=chunk.offset)
            except FormatError as exc:
                content = exc
        elif isinstance(found, FormatError) and found.offset is None:
            content = type(found)(found.message, offset=chunk.offset, section=found.section)
            content.__cause__ = found
        contents.append(content)
    return contents


def decode_record(
    header: ChunkHeader, payload: Buffer, model: ModelRef | None, *, offset: int
) -> bytes:
    """Return the content of a chunk whose header `parse_chunk` has returned."""
    (content,) = decode_records([CheckedChunk(header, payload, model, offset)])
    if isinstance(content, LmarcError):
        raise content
    return content


def parse_model(
    payload: Buffer, slot: int, *, offset: int, path: str | None = None
) -> tuple[ModelHeader, ModelRef]:
    """Return the header of a Model record's payload, and the model, its digest checked.

    `path` is a file to look at first for a model that is only named.

    Raises
    ------
    CorruptError
        Another slot than expected, or bytes that are not those of the model.
    ModelMismatchError
        The embedded model has another digest.
    """
    view = memoryview(payload)
    header = ModelHeader.unpack(view[: ModelHeader.SIZE], offset=offset)
    if header.slot != slot:
        raise CorruptError(f"Slot is {header.slot}, expected {slot}", offset=offset)
    data = view[ModelHeader.SIZE :]
    if len(data) != (header.model_size if header.embedded else 0):
        message = f"the record holds {len(data)} bytes of model, Model_Size is {header.model_size}"
        raise CorruptError(message, offset=offset)
    if not header.embedded:
        return header, ModelRef(header.kind, header.model_sha256, None, path, header.model_size)
    if hashlib.sha256(data).digest() != header.model_sha256:
        raise ModelMismatchError(f"the model in slot {slot} does not have its SHA-256")
    return header, ModelRef(header.kind, header.model_sha256, bytes(data))


def record_payload(
    record: Buffer, record_type: RecordType, archive_tag: int, *, offset: int
) -> memoryview:
    """Return the payload of a whole record, all checked."""
    view = memoryview(record)
    header = RecordHeader.unpack(view[: RecordHeader.SIZE], offset=offset)
    header.check_tag(archive_tag, offset=offset)
    if header.record_type != record_type:
        message = f"record is {header.record_type.name}, expected {record_type.name}"
        raise CorruptError(message, offset=offset)
    payload = view[RecordHeader.SIZE :]
    header.check_payload(payload, offset=offset)
    return payload
