"""Write records in file order, and keep the index that grows with them.

A `Group` collects what one Entries record describes. `RecordWriter` writes groups, models and at
the end Index and Footer to a sink; what it keeps of a row goes into compressed tables at once, so
memory does not grow with the archive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final, NamedTuple

import pyarrow as pa
import xxhash

from lmarc.archive.sink import Sink
from lmarc.archive.tables import (
    BATCH_ROWS,
    CHUNKS,
    ENDS,
    ENTRIES,
    ENTRIES_BEGIN,
    MODELS,
    PIECES,
    GrowingTable,
    batch,
    pack_table,
)
from lmarc.codec.base import EncodedChunk
from lmarc.format._fields import Buffer, checksum
from lmarc.format.chunk import ChunkHeader
from lmarc.format.entries import EntriesHeader
from lmarc.format.footer import Footer
from lmarc.format.header import ArchiveHeader
from lmarc.format.index import IndexHeader
from lmarc.format.model import ModelHeader
from lmarc.format.record import RecordHeader, RecordType, pack_record
from lmarc.format.tables import TablesHeader

__all__ = ["Group", "Model", "RecordWriter", "Resume", "WrittenGroup"]

NO_SHA256: Final = bytes(32)
_COPY: Final = 1 << 20  # bytes


def _columns(schema: pa.Schema) -> list[list[Any]]:
    return [[] for _ in schema]


@dataclass(slots=True)
class Group:
    """What one Entries record describes, column by column in the order of the schemas."""

    first_entry: int
    begins: list[list[Any]] = field(default_factory=lambda: _columns(ENTRIES_BEGIN))
    pieces: list[list[Any]] = field(default_factory=lambda: _columns(PIECES))
    ends: list[list[Any]] = field(default_factory=lambda: _columns(ENDS))

    @property
    def entry_count(self) -> int:
        """How many entries begin in it."""
        return len(self.begins[0])

    def begin(self, row: Sequence[Any]) -> None:
        """Begin an entry: its row of entries_begin."""
        for column, value in zip(self.begins, row, strict=True):
            column.append(value)

    def add_pieces(
        self, chunk: int, entries: list[int], positions: list[int], sizes: list[int]
    ) -> None:
        """Add the pieces of one chunk."""
        self.pieces[0] += entries
        self.pieces[1] += [chunk] * len(entries)
        self.pieces[2] += positions
        self.pieces[3] += sizes

    def end(self, entry: int, flags: int = 0, size: int = 0, sha256: bytes = NO_SHA256) -> None:
        """End an entry."""
        entries, all_flags, sizes, digests = self.ends
        entries.append(entry)
        all_flags.append(flags)
        sizes.append(size)
        digests.append(sha256)


class WrittenGroup(NamedTuple):
    """What a group has become: enough to note it again without its chunks."""

    entries_checksum: int  # XXH3-64 of the payload of its Entries record
    size: int  # bytes of its records, those of its models and of the Header before it included
    # The columns of the chunks table but offset: a list each, with one value a chunk.
    chunk_rows: list[list[int]]


@dataclass(frozen=True, slots=True)
class Resume:
    """Where an append goes on, and the rows that its Index repeats."""

    offset: int  # bytes: the end of the archive so far
    header: ArchiveHeader
    tables: tuple[pa.Table, pa.Table, pa.Table, pa.Table]  # entries, chunks, pieces, models


class RecordWriter:
    """Writes an archive's records to a sink, from the Header on or behind an archive's end.

    Parameters
    ----------
    sink : Sink
        Gets the bytes in file order, each once.
    resume : Resume, optional
        What is there already.
    """

    def __init__(self, sink: Sink, resume: Resume | None = None) -> None:
        self._sink = sink
        self.offset = 0  # where the next record goes
        self._header: ArchiveHeader | None = None
        self._entries = GrowingTable(ENTRIES)
        self._chunks = GrowingTable(CHUNKS)
        self._pieces = GrowingTable(PIECES)
        self._models = GrowingTable(MODELS)
        self._entry_rows = _columns(ENTRIES)
        self._chunk_rows = _columns(CHUNKS)
        self._piece_rows = _columns(PIECES)
        self._open_entry: list[Any] | None = None  # the row of the entry that has not ended
        if resume is not None:
            self.offset = resume.offset
            self._header = resume.header
            tables = (self._entries, self._chunks, self._pieces, self._models)
            for growing, table in zip(tables, resume.tables, strict=True):
                growing.write_table(table)

    @property
    def entry_count(self) -> int:
        """Entries that the Index will list as of now."""
        return self._entries.row_count + len(self._entry_rows[0])

    @property
    def chunk_count(self) -> int:
        """Chunks written."""
        return self._chunks.row_count + len(self._chunk_rows[0])

    @property
    def model_count(self) -> int:
        """Models written; the slot of the next."""
        return self._models.row_count

    def write_group(
        self, group: Group, chunks: Sequence[EncodedChunk], models: Sequence[Model] = ()
    ) -> WrittenGroup:
        """Write an Entries record, models that its chunks need first, and the chunks."""
        start, first_row = self.offset, len(self._chunk_rows[0])
        payload = _entries_payload(group, self.chunk_count, len(chunks))
        if self._header is None:
            self._write_header(checksum(payload) & 0xFFFF)
        self._write_record(RecordType.ENTRIES, payload)
        for model in models:
            self.write_model(model)
        for chunk in chunks:
            self._write_chunk(chunk)
        rows = [column[first_row:] for column in self._chunk_rows[1:]]
        written = WrittenGroup(checksum(payload), self.offset - start, rows)
        self._take_rows(group)
        return written

    def pass_group(self, group: Group, written: WrittenGroup, models: Sequence[Model] = ()) -> bool:
        """Take note of a group that an earlier run has written, and write nothing.

        Returns
        -------
        bool
            Whether it is the same group. If not, nothing was noted.
        """
        payload = _entries_payload(group, self.chunk_count, len(written.chunk_rows[0]))
        if checksum(payload) != written.entries_checksum:
            return False
        end = self.offset + written.size
        if self._header is None:
            self._header = ArchiveHeader(archive_tag=checksum(payload) & 0xFFFF)
            self.offset += len(self._header.pack())
        self.offset += RecordHeader.SIZE + len(payload)
        for model in models:
            self._note_model(model)
            self.offset += RecordHeader.SIZE + len(model.header.pack() + model.data)
        for sizes_and_more in zip(*written.chunk_rows, strict=True):
            for column, value in zip(self._chunk_rows, (self.offset, *sizes_and_more), strict=True):
                column.append(value)
            self.offset += sizes_and_more[0]
        if self.offset != end:
            raise ValueError(f"a group ends at byte {self.offset}, the earlier run says {end}")
        self._take_rows(group)
        return True

    def _take_rows(self, group: Group) -> None:
        for rows, new in zip(self._piece_rows, group.pieces, strict=True):
            rows += new
        self._add_entries(group)
        self._flush(BATCH_ROWS)

    def finish(self) -> None:
        """Write Index and Footer; the sink is the caller's to commit."""
        if self._header is None:
            self._write_header(0)
        self._flush(1)
        tables = (self._entries, self._chunks, self._pieces, self._models)
        frames = [table.finish() for table in tables]
        header = IndexHeader(*(table.row_count for table in tables)).pack()
        header += TablesHeader(
            tuple(frame[1] for frame in frames), tuple(frame[2] for frame in frames)
        ).pack()
        index_offset = self.offset
        index_size, index_sha256 = self._write_index(header, [frame[0] for frame in frames])
        version = self._header or ArchiveHeader()
        footer = Footer(
            index_offset,
            index_size,
            index_sha256,
            required_features=version.required_features,
            optional_features=version.optional_features,
        )
        self._sink.barrier()
        self._write_record(RecordType.FOOTER, footer.pack())

    def close(self) -> None:
        """Give memory and temporary files back."""
        for table in (self._entries, self._chunks, self._pieces, self._models):
            table.close()

    def _write(self, data: Buffer) -> None:
        self._sink.write(data)
        self.offset += len(data)

    def _write_header(self, archive_tag: int) -> None:
        self._header = ArchiveHeader(archive_tag=archive_tag)
        self._write(self._header.pack())

    @property
    def _tag(self) -> int:
        return self._header.archive_tag if self._header is not None else 0

    def _write_record(self, record_type: RecordType, payload: bytes) -> None:
        self._write(pack_record(record_type, payload, self._tag))

    def write_model(self, model: Model) -> None:
        """Write a Model record; its slot is `model_count`."""
        self._note_model(model)
        self._write_record(RecordType.MODEL, model.header.pack() + model.data)

    def _note_model(self, model: Model) -> None:
        header = model.header
        row = [header.kind, header.model_size, header.model_sha256, self.offset, header.embedded]
        self._models.write(batch(MODELS, [[int(v) if v is True or v is False else v] for v in row]))

    def _write_chunk(self, chunk: EncodedChunk) -> None:
        start = ChunkHeader(
            self.chunk_count,
            chunk.content_size,
            chunk.content_checksum,
            chunk.codec,
            chunk.model_slot,
            chunk.content_class,
        ).pack()
        digest = xxhash.xxh3_64(start)
        digest.update(chunk.payload)
        payload_size = len(start) + len(chunk.payload)
        header = RecordHeader(RecordType.CHUNK, payload_size, digest.intdigest(), self._tag)
        row = (
            self.offset,
            header.record_size,
            chunk.content_size,
            chunk.codec,
            chunk.model_slot,
            chunk.content_class,
            header.payload_checksum,
            chunk.content_checksum,
        )
        for column, value in zip(self._chunk_rows, row, strict=True):
            column.append(value)
        self._write(header.pack() + start + chunk.payload)

    def _add_entries(self, group: Group) -> None:
        """Move the rows of entries that have ended to the Index; the last may stay open."""
        begins, (_, flags, sizes, digests) = group.begins, group.ends
        if self._open_entry is not None:
            begins = [
                [value, *column] for value, column in zip(self._open_entry, begins, strict=True)
            ]
            self._open_entry = None
        ended = len(flags)
        if len(begins[0]) > ended:
            self._open_entry = [column[-1] for column in begins]
            begins = [column[:-1] for column in begins]
        columns = [*begins[:2], flags, *begins[2:], sizes, digests]
        for rows, new in zip(self._entry_rows, columns, strict=True):
            rows += new

    def _flush(self, at_least: int) -> None:
        """Move rows into the tables, `BATCH_ROWS` at a time, while there are `at_least` many."""
        for table, rows in (
            (self._entries, self._entry_rows),
            (self._chunks, self._chunk_rows),
            (self._pieces, self._piece_rows),
        ):
            while len(rows[0]) >= at_least:
                table.write(batch(table.schema, [column[:BATCH_ROWS] for column in rows]))
                for column in rows:
                    del column[:BATCH_ROWS]

    def _write_index(self, header: bytes, frames: list[IO[bytes]]) -> tuple[int, bytes]:
        """Write the Index record; return its size and SHA-256."""
        digest = xxhash.xxh3_64(header)
        size = len(header)
        for frame in frames:
            while data := frame.read(_COPY):
                digest.update(data)
                size += len(data)
            frame.seek(0)
        record = RecordHeader(RecordType.INDEX, size, digest.intdigest(), self._tag)
        start = record.pack() + header
        sha256 = hashlib.sha256(start)
        self._write(start)
        for frame in frames:
            while data := frame.read(_COPY):
                sha256.update(data)
                self._write(data)
        return record.record_size, sha256.digest()


@dataclass(frozen=True, slots=True)
class Model:
    """A Model record to be."""

    header: ModelHeader
    data: bytes = b""  # the model, where it is embedded


def _entries_payload(group: Group, first_chunk: int, chunk_count: int) -> bytes:
    packed = [
        pack_table(ENTRIES_BEGIN, group.begins),
        pack_table(PIECES, group.pieces),
        pack_table(ENDS, group.ends),
    ]
    sizes = TablesHeader(
        tuple(len(frame) for frame, _ in packed), tuple(size for _, size in packed)
    )
    header = EntriesHeader(group.first_entry, first_chunk, chunk_count)
    return b"".join([header.pack(), sizes.pack(), *(frame for frame, _ in packed)])
