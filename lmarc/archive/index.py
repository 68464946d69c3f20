"""The index of an archive, validated in full before anything in it is used (spec §7.3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lmarc.archive.tables import CHUNKS, ENTRIES, MODELS, PIECES, unpack_table
from lmarc.archive.validate import (
    Paths,
    check_chunks,
    check_entries,
    check_hard_links,
    check_members,
    check_models,
    check_pieces,
    numbers,
)
from lmarc.errors import CorruptError
from lmarc.format._fields import Buffer
from lmarc.format.footer import Footer
from lmarc.format.index import IndexHeader
from lmarc.format.record import RecordHeader, RecordType
from lmarc.format.tables import INDEX_TABLES, TablesHeader

__all__ = ["Index", "Pieces", "parse_index", "parse_index_payload"]

I64 = npt.NDArray[np.int64]

_SCHEMAS = (ENTRIES, CHUNKS, PIECES, MODELS)


class Pieces(NamedTuple):
    """Where the bytes of members are: int64 arrays, shape (pieces,)."""

    entry: I64
    chunk: I64
    position: I64  # in the member
    size: I64  # bytes
    offset: I64  # in the chunk's content


@dataclass(frozen=True)
class Index:
    """What an Index record says. Rows of `entries` are members, numbered from 0."""

    size: int  # bytes of the Index record
    entries: pa.Table  # schema ENTRIES
    chunks: pa.Table  # schema CHUNKS
    pieces: pa.Table  # schema PIECES
    models: pa.Table  # schema MODELS
    paths: Paths
    # int64, shape (entries,)
    entry_sizes: I64
    pieces_by_chunk: Pieces
    piece_order: I64 | None  # puts pieces in order of entry and position; None: they are
    piece_entries: I64  # shape (pieces,), in that order
    # int64, shape (chunks,)
    chunk_offsets: I64
    chunk_stored_sizes: I64
    chunk_content_sizes: I64

    def piece_rows(self, entry: int) -> I64:
        """Return the numbers of a member's pieces, in order of their positions."""
        low, high = np.searchsorted(self.piece_entries, [entry, entry + 1]).tolist()
        return np.arange(low, high) if self.piece_order is None else self.piece_order[low:high]

    def pieces_of(self, entry: int, position: int, end: int) -> Pieces:
        """Return the pieces that hold bytes of a member from `position` to before `end`."""
        rows = self.piece_rows(entry)
        pieces = self.pieces_by_chunk
        starts = pieces.position[rows]
        first = int(np.searchsorted(starts + pieces.size[rows], position, side="right"))
        last = int(np.searchsorted(starts, end, side="left"))
        return Pieces(*(column[rows[first:last]] for column in pieces))


def parse_index(record: Buffer, footer: Footer, archive_tag: int) -> Index:
    """Parse a whole Index record that `footer` points to.

    Raises
    ------
    CorruptError, TruncatedError, LimitError
        Anything that the spec forbids.
    """
    offset = footer.index_offset
    view = memoryview(record)
    if hashlib.sha256(view).digest() != footer.index_sha256:
        raise CorruptError(
            "the Index does not have the SHA-256 that the Footer names", offset=offset
        )
    header = RecordHeader.unpack(view[: RecordHeader.SIZE], offset=offset)
    header.check_tag(archive_tag, offset=offset)
    if header.record_type != RecordType.INDEX:
        raise CorruptError(f"record is {header.record_type.name}, expected INDEX", offset=offset)
    payload = view[RecordHeader.SIZE :]
    header.check_payload(payload, offset=offset)
    return parse_index_payload(payload, offset)


def parse_index_payload(payload: memoryview, offset: int, end: int | None = None) -> Index:
    """Parse the payload of the Index record at `offset`.

    Chunks and models must lie before `end`, which is `offset` unless the record was moved.
    """
    end = offset if end is None else end
    counts = IndexHeader.unpack(payload[: IndexHeader.SIZE], offset=offset)
    tables = _unpack_tables(payload[IndexHeader.SIZE :], offset)
    entries, chunks, pieces, models = tables
    declared = (counts.entry_count, counts.chunk_count, counts.piece_count, counts.model_count)
    for name, table, count in zip(INDEX_TABLES, tables, declared, strict=True):
        if table.num_rows != count:
            message = f"table {name} has {table.num_rows} rows, the Index says {count}"
            raise CorruptError(message, offset=offset)
    paths = Paths(entries)
    check_entries(entries, paths, whole=True, offset=offset)
    paths.check_tree(numbers(entries, "type"), offset)
    check_hard_links(entries, paths, offset)
    check_chunks(chunks, models.num_rows, end, offset)
    check_models(models, chunks, end, offset)
    content_sizes = numbers(chunks, "content_size")
    rows = Pieces(*check_pieces(pieces, content_sizes, 0, offset))
    order = check_members(rows.entry, rows.position, rows.size, entries, offset)
    return Index(
        RecordHeader.SIZE + len(payload),
        entries,
        chunks,
        pieces,
        models,
        paths,
        numbers(entries, "size"),
        rows,
        order,
        rows.entry if order is None else rows.entry[order],
        numbers(chunks, "offset"),
        numbers(chunks, "stored_size"),
        content_sizes,
    )


def _unpack_tables(payload: memoryview, offset: int) -> list[pa.Table]:
    count = len(_SCHEMAS)
    size = TablesHeader.size_of(count)
    header = TablesHeader.unpack(
        payload[:size], count=count, tables_size=len(payload) - size, offset=offset
    )
    tables = []
    place = size
    for name, schema, stored_size, table_size in zip(
        INDEX_TABLES, _SCHEMAS, header.stored_sizes, header.sizes, strict=True
    ):
        frame = payload[place : place + stored_size]
        tables.append(unpack_table(name, frame, table_size, schema, offset=offset))
        place += stored_size
    return tables
