"""Lines of members: counted when an archive is written, found when it is read (spec §6.1)."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lmarc.archive.records import Model
from lmarc.archive.validate import numbers
from lmarc.codec.base import ContentClass
from lmarc.errors import CorruptError
from lmarc.format.limits import MAX_MODEL_SIZE, NO_MODEL
from lmarc.format.lines import LineIndex
from lmarc.format.model import ModelHeader, ModelKind
from lmarc.routing.group import PackedChunk

if TYPE_CHECKING:
    from lmarc.archive.index import Index

__all__ = ["INDEXED", "LineCounter", "LineTable", "Tallies", "line_index_slots", "tally"]

I64 = npt.NDArray[np.int64]
Tallies: TypeAlias = Sequence[tuple[int, int]]  # see `tally`; empty where nobody wants them

# What `index_lines` may be: the members whose lines are counted when they are archived.
INDEXED: Final = ("jsonl", "text", "none")

_JSONL: Final = (b".jsonl", b".ndjson", b".jsonlines")
_NEWLINE: Final = 0x0A
_SPARSE: Final = 1  # bit of a member's flags


class LineCounter:
    """Counts the lines of members while their chunks close.

    Parameters
    ----------
    index_lines : str
        One of `INDEXED`: members whose name says JSON lines, all that were taken for text, or none.
    first_entry, first_piece : int
        Entries and pieces that the archive has already.
    """

    def __init__(self, index_lines: str, *, first_entry: int = 0, first_piece: int = 0) -> None:
        if index_lines not in INDEXED:
            raise ValueError(f"index_lines is {index_lines!r}, expected one of {INDEXED}")
        self._which = index_lines
        self._first_entry = first_entry
        self._wanted = bytearray()  # a byte an entry: whether it is counted
        self._piece = first_piece  # number of the next piece
        self._pieces = array("Q")
        self._lines = array("I")
        # Class of content -> (entry, its last row, whether that row counts a line without a
        # newline): a member's pieces come one after the other among those of its class.
        self._open: dict[int, tuple[int, int, bool]] = {}

    def begin(self, name: bytes, content_class: int, *, sparse: bool = False) -> None:
        """Decide on the next entry; one with holes is never counted."""
        by_name = name.lower().endswith(_JSONL)
        wanted = by_name or (self._which == "text" and content_class == ContentClass.TEXT)
        self._wanted.append(wanted and self._which != "none" and not sparse)

    def wants(self, chunk: PackedChunk) -> bool:
        """Whether lines of any member in a chunk are counted."""
        return any(self._wanted[entry - self._first_entry] for entry in chunk.entries)

    def tally(self, chunk: PackedChunk) -> Tallies:
        """Count the lines in a chunk's pieces, if any of them is wanted."""
        return tally(chunk.content, chunk.sizes) if self.wants(chunk) else []

    def take(self, content_class: int, entries: list[int], tallies: Tallies) -> None:
        """Take what was counted in the next chunk: its class, and the entry of each piece."""
        for place, entry in enumerate(entries):
            if self._wanted[entry - self._first_entry]:
                count, cut = tallies[place]
                before, row, before_cut = self._open.get(content_class, (-1, 0, False))
                if before == entry and before_cut:
                    self._lines[row] -= 1  # that line goes on here
                self._open[content_class] = (entry, len(self._lines), bool(cut))
                self._pieces.append(self._piece)
                self._lines.append(count + cut)
            self._piece += 1

    def add(self, chunk: PackedChunk) -> None:
        """Take the next chunk, whose content is here."""
        self.take(chunk.content_class, chunk.entries, self.tally(chunk))

    def model(self, slot: int) -> Model | None:
        """Return the Model record of what was counted; None where that is nothing."""
        if not self._pieces or slot == NO_MODEL:
            return None
        pieces = np.frombuffer(self._pieces, np.uint64).astype(np.int64)
        lines = np.frombuffer(self._lines, np.uint32).astype("<u4").tobytes()
        data = LineIndex(_runs(pieces), lines).pack()
        if len(data) > MAX_MODEL_SIZE:
            return None
        digest = hashlib.sha256(data).digest()
        return Model(ModelHeader(slot, ModelKind.LINE_INDEX, True, len(data), digest), data)


def tally(content: bytes, sizes: Sequence[int]) -> Tallies:
    """Return, for each piece of a chunk, its newlines and whether (1) it ends without one."""
    found = []
    end = 0
    for size in sizes:
        start, end = end, end + size
        cut = int(content[end - 1] != _NEWLINE)
        found.append((content.count(b"\n", start, end), cut))
    return found


def _runs(pieces: I64) -> tuple[tuple[int, int], ...]:
    """Return (first, count) of numbers that follow each other."""
    starts = np.flatnonzero(np.diff(pieces, prepend=-2) != 1)
    counts = np.diff(starts, append=len(pieces))
    return tuple(zip(pieces[starts].tolist(), counts.tolist(), strict=True))


class LineTable:
    """How many lines end in the pieces of an archive that its line indexes describe.

    Parameters
    ----------
    index : Index
        The archive's.
    models : sequence of bytes
        The models of kind 4, in order of their slots.

    Raises
    ------
    CorruptError, TruncatedError
        They are not what the specification demands; whether the counts are right only the content
        tells.
    """

    def __init__(self, index: Index, models: Sequence[bytes]) -> None:
        offsets = index.models["offset"].to_pylist()
        all_pieces = [np.zeros(0, np.int64)]
        all_lines = [np.zeros(0, np.int64)]
        for slot, data in zip(line_index_slots(index), models, strict=True):
            lines = LineIndex.unpack(data, offset=offsets[slot])
            chunk = np.searchsorted(index.chunk_offsets, offsets[slot])
            end = int(np.searchsorted(index.pieces_by_chunk.chunk, chunk))
            if lines.runs and sum(lines.runs[-1]) > end:
                message = f"a line index names piece {sum(lines.runs[-1]) - 1}, {end} stand before"
                raise CorruptError(f"{message} it", offset=offsets[slot])
            all_pieces += [np.arange(first, first + count) for first, count in lines.runs]
            all_lines.append(np.frombuffer(lines.lines, "<u4").astype(np.int64))
        self._pieces = np.concatenate(all_pieces)
        self._lines = np.concatenate(all_lines)
        self._check_members(index)

    def _check_members(self, index: Index) -> None:
        pieces = index.pieces_by_chunk
        if (np.diff(self._pieces) <= 0).any():
            raise CorruptError("line indexes do not ascend: two of them name the same piece")
        if (self._lines > pieces.size[self._pieces]).any():
            raise CorruptError("a line index counts more lines than a piece has bytes")
        named = pieces.entry[self._pieces]
        if (numbers(index.entries, "flags")[named] & _SPARSE).any():
            raise CorruptError("a line index names a piece of a member with holes")
        total = np.bincount(pieces.entry, minlength=index.entries.num_rows)
        count = np.bincount(named, minlength=index.entries.num_rows)
        if ((count > 0) & (count != total)).any():
            raise CorruptError("a line index names some pieces of a member and not all")

    @classmethod
    def joined(cls, tables: Sequence[LineTable], first_pieces: Sequence[int]) -> LineTable:
        """Return one table for several archives, whose pieces are numbered from these on."""
        joined = cls.__new__(cls)
        joined._pieces = np.concatenate(
            [table._pieces + first for table, first in zip(tables, first_pieces, strict=True)]
        )
        joined._lines = np.concatenate([table._lines for table in tables])
        return joined

    def __bool__(self) -> bool:
        return len(self._pieces) > 0

    def check(self, piece: int, data: memoryview, *, ends_member: bool) -> None:
        """Raise CorruptError if a piece has a count that is not that of its content."""
        row = int(np.searchsorted(self._pieces, piece))
        if row == len(self._pieces) or self._pieces[row] != piece:
            return
        found = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))
        found += ends_member and data[-1] != _NEWLINE
        if found != self._lines[row]:
            message = f"{found} lines end in piece {piece}, its line index says {self._lines[row]}"
            raise CorruptError(message)

    def lines_of(self, pieces: I64) -> I64 | None:
        """Return how many lines end in each of a member's pieces; None where it has no counts."""
        rows = np.searchsorted(self._pieces, pieces)
        there = rows < len(self._pieces)
        there[there] = self._pieces[rows[there]] == pieces[there]
        return self._lines[rows] if there.all() else None


def line_index_slots(index: Index) -> list[int]:
    """Return the slots that hold line indexes, ascending."""
    return np.flatnonzero(numbers(index.models, "kind") == ModelKind.LINE_INDEX).tolist()
