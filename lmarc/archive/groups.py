"""The tables of an Entries record, checked against each other (spec §7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.archive.index import Pieces
from lmarc.archive.names import FILE
from lmarc.archive.tables import ENDS, ENTRIES_BEGIN, PIECES, unpack_table
from lmarc.archive.validate import SPARSE, Paths, check_ends, check_entries, check_pieces, numbers
from lmarc.errors import CorruptError, LimitError
from lmarc.format.entries import EntriesHeader
from lmarc.format.limits import MAX_ENTRIES_TABLE_SIZE, MAX_GROUP_CONTENT, MAX_GROUP_ENTRIES
from lmarc.format.tables import ENTRIES_TABLES, TablesHeader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Checker", "GroupTables", "parse_group"]

I64 = npt.NDArray[np.int64]


class GroupTables(NamedTuple):
    """What an Entries record says."""

    first_entry: int
    first_chunk: int
    chunk_count: int
    begins: pa.Table  # schema ENTRIES_BEGIN
    pieces_table: pa.Table  # schema PIECES
    ends: pa.Table  # schema ENDS
    pieces: Pieces
    chunk_sizes: I64  # bytes of content, shape (chunk_count,): the sums of pieces
    open_entry: int | None  # the entry that has begun and not ended


def parse_group(
    payload: memoryview,
    entry_count: int | None,
    chunk_count: int | None,
    open_entry: int | None,
    *,
    offset: int,
) -> GroupTables:
    """Parse the payload of an Entries record whose checksum agrees.

    Parameters
    ----------
    entry_count, chunk_count : int or None
        How many came before; None: not known, after a loss.
    open_entry : int or None
        The entry that the group before left open.

    Raises
    ------
    CorruptError, TruncatedError, LimitError
        Anything that the spec forbids within one group.
    """
    header = EntriesHeader.unpack(payload[: EntriesHeader.SIZE], offset=offset)
    for name, found, expected in (
        ("First_Entry", header.first_entry, entry_count),
        ("First_Chunk", header.first_chunk, chunk_count),
    ):
        if expected is not None and found != expected:
            raise CorruptError(f"{name} is {found}, expected {expected}", offset=offset)
    begins, pieces, ends = _tables(payload[EntriesHeader.SIZE :], offset)
    if begins.num_rows > MAX_GROUP_ENTRIES:
        message = f"{begins.num_rows} entries begin in a group, at most {MAX_GROUP_ENTRIES}"
        raise LimitError(message, offset=offset)
    check_entries(begins, Paths(begins), whole=False, offset=offset)
    checked = Checker(header, begins, pieces, ends, open_entry, offset)
    return checked.tables()


def _tables(payload: memoryview, offset: int) -> list[pa.Table]:
    schemas = (ENTRIES_BEGIN, PIECES, ENDS)
    size = TablesHeader.size_of(len(schemas))
    sizes = TablesHeader.unpack(
        payload[:size],
        count=len(schemas),
        tables_size=len(payload) - size,
        largest=MAX_ENTRIES_TABLE_SIZE,
        offset=offset,
    )
    tables = []
    for name, schema, stored_size, table_size in zip(
        ENTRIES_TABLES, schemas, sizes.stored_sizes, sizes.sizes, strict=True
    ):
        frame = payload[size : size + stored_size]
        tables.append(unpack_table(name, frame, table_size, schema, offset=offset))
        size += stored_size
    return tables


class Checker:
    """The relations between the three tables of a group."""

    def __init__(
        self,
        header: EntriesHeader,
        begins: pa.Table,
        pieces: pa.Table,
        ends: pa.Table,
        open_entry: int | None,
        offset: int,
    ) -> None:
        self._header = header
        self._begins = begins
        self._pieces_table = pieces
        self._ends = ends
        self._before = open_entry
        self._offset = offset
        self._types = numbers(begins, "type")

    def _fail(self, message: str) -> CorruptError:
        return CorruptError(message, offset=self._offset)

    def tables(self) -> GroupTables:
        """Return everything, or raise."""
        pieces, chunk_sizes = self._pieces()
        still_open = self._check_ends()
        self._check_members(pieces)
        header = self._header
        return GroupTables(
            header.first_entry,
            header.first_chunk,
            header.chunk_count,
            self._begins,
            self._pieces_table,
            self._ends,
            pieces,
            chunk_sizes,
            still_open,
        )

    def _is_file(self, entries: I64) -> npt.NDArray[np.bool_]:
        """Return which numbers are files that begin here or were left open; others raise."""
        first = self._header.first_entry
        begun = (entries >= first) & (entries < first + len(self._types))
        known = begun if self._before is None else begun | (entries == self._before)
        if not known.all():
            number = int(entries[~known][0])
            raise self._fail(f"entry {number} neither begins in its group nor was left open")
        is_file = ~begun  # only files are left open
        is_file[begun] = self._types[entries[begun] - first] == FILE
        return is_file

    def _pieces(self) -> tuple[Pieces, I64]:
        header = self._header
        chunks, sizes = numbers(self._pieces_table, "chunk"), numbers(self._pieces_table, "size")
        if len(sizes) and (sizes.min() < 1 or sizes.max() > MAX_GROUP_CONTENT):
            raise self._fail("size of a piece is not 1 byte to 16 MiB")
        if header.chunk_count > len(chunks):
            raise self._fail(f"a group of {header.chunk_count} chunks has {len(chunks)} pieces")
        if len(sizes) and int(sizes.sum(dtype=object)) > MAX_GROUP_CONTENT:
            message = f"a group has {sizes.sum(dtype=object)} bytes of content"
            raise LimitError(f"{message}, at most {MAX_GROUP_CONTENT}", offset=self._offset)
        places = chunks - header.first_chunk
        if len(places) and (places.min() < 0 or places.max() >= header.chunk_count):
            raise self._fail("a piece names a chunk of another group")
        totals = np.zeros(header.chunk_count, np.int64)
        np.add.at(totals, places, sizes)
        columns = check_pieces(self._pieces_table, totals, header.first_chunk, self._offset)
        pieces = Pieces(*columns)
        if not self._is_file(pieces.entry).all():
            raise self._fail("a piece belongs to an entry that is no file")
        return pieces, totals

    def _check_ends(self) -> int | None:
        """Check which entries end; return the one that stays open."""
        numbers_ended = numbers(self._ends, "entry")
        if (numbers_ended < 0).any() or (numbers_ended[1:] <= numbers_ended[:-1]).any():
            raise self._fail("ends are not in ascending order")
        check_ends(self._ends, self._is_file(numbers_ended), self._offset)
        first, count = self._header.first_entry, len(self._types)
        expected = list(range(first, first + count))
        if self._before is not None:
            expected.insert(0, self._before)
        ended = numbers_ended.tolist()
        if ended == expected:
            return None
        if not expected or ended != expected[:-1]:
            raise self._fail("an entry is left open that is not the last begun")
        if count and self._types[-1] != FILE:
            raise self._fail("an entry that is no file does not end in its group")
        return expected[-1]

    def _check_members(self, pieces: Pieces) -> None:
        """Check the pieces of each member within this group against each other and its end."""
        order = np.argsort(pieces.entry, kind="stable")
        entries, positions = pieces.entry[order], pieces.position[order]
        stops = positions + pieces.size[order]
        same = entries[1:] == entries[:-1]
        if (positions[1:] < stops[:-1])[same].any():
            raise self._fail("pieces of a member overlap or do not ascend")
        ended = numbers(self._ends, "entry")
        sizes, flags = numbers(self._ends, "size"), numbers(self._ends, "flags")
        if not len(ended):
            return
        rows = np.searchsorted(ended, entries)
        inside = rows < len(ended)
        inside[inside] = ended[rows[inside]] == entries[inside]
        if (stops[inside] > sizes[rows[inside]]).any():
            raise self._fail("a piece reaches beyond the end of its member")
        covered = np.zeros(len(ended), np.int64)
        np.add.at(covered, rows[inside], pieces.size[order][inside])
        # A member that began in an earlier group is counted where its pieces come together.
        here = ended >= self._header.first_entry
        if ((covered != sizes) & here & (flags & SPARSE == 0)).any():
            raise self._fail("pieces do not cover a member that is not Sparse")
