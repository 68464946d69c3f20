"""The records of a member by their numbers: its lines, found without reading what lies before.

A record is a line: the bytes up to a newline (0a), without it and without a carriage return (0d)
right before it; what stands behind the last newline is a record if it is not empty. So a newline
inside the quotes of a CSV file ends a record, and the header of a CSV file is record 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import numpy.typing as npt

from lmarc.archive.line_cache import load_lines, save_lines
from lmarc.archive.names import FILE
from lmarc.errors import CorruptError, LmarcError

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive

__all__ = ["MemberRecords"]

I64 = npt.NDArray[np.int64]

_SPARSE: Final = 1  # bit of a member's flags
_NEWLINE: Final = 0x0A
_TAIL: Final = -1  # of a piece: what stands behind its last newline


class MemberRecords(Sequence[bytes]):
    """The lines of one member, as a sequence; make one with `Archive.records`.

    Indexing reads the one or two chunks that hold a record. Where the archive has no line index for
    the member, the first use reads it once to count its lines, and keeps the counts in the user's
    cache folder. Safe to share between threads; picklable.

    Parameters
    ----------
    archive : Archive
        Where it is.
    entry : int
        The number of a file.
    lines : int64, shape (pieces,), optional
        Lines that end in each of its pieces, where they are known.

    Raises
    ------
    ValueError
        The member is no file, or has holes.
    """

    def __init__(self, archive: Archive, entry: int, lines: I64 | None = None) -> None:
        member = archive.member(entry)
        if member.type != FILE or member.flags & _SPARSE:
            raise ValueError(f"{member.name!r} in {archive.url} has holes, and so no records")
        self.archive = archive
        self.entry = entry
        self.name = member.name
        rows = archive.index.piece_rows(entry)
        pieces = archive.index.pieces_by_chunk
        self._rows = rows
        self._chunks: list[int] = pieces.chunk[rows].tolist()
        self._offsets: list[int] = pieces.offset[rows].tolist()
        self._sizes: list[int] = pieces.size[rows].tolist()
        self._lines = lines
        self._ends = None if lines is None else np.cumsum(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.archive, self.entry, self._lines)

    def __repr__(self) -> str:
        return f"<lmarc.MemberRecords {self.name!r} of {self.archive.url!r}>"

    @property
    def ends(self) -> I64:
        """Records that end up to and with each chunk of the member: int64, shape (chunks,).

        Records `ends[n - 1]` to `ends[n]` end in the member's chunk number n.
        """
        if self._ends is None:
            lines = self.archive.line_table.lines_of(self._rows)
            if lines is None:
                lines = load_lines(self.archive.footer.index_sha256, self.entry, len(self._rows))
            if lines is None:
                lines = self._count()
                save_lines(self.archive.footer.index_sha256, self.entry, lines)
            self._lines, self._ends = lines, np.cumsum(lines)
        return self._ends

    @property
    def chunks(self) -> list[int]:
        """The numbers of the chunks that hold the member, in its order."""
        return self._chunks

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @overload
    def __getitem__(self, key: int) -> bytes: ...
    @overload
    def __getitem__(self, key: slice) -> list[bytes]: ...
    def __getitem__(self, key: int | slice) -> bytes | list[bytes]:
        if isinstance(key, slice):
            return self.read(range(*key.indices(len(self))))
        return self.read([key])[0]

    def __iter__(self) -> Iterator[bytes]:
        """Give all records in order, decoding ahead; no line index is needed."""
        parts: list[bytes] = []
        for content in self._contents():
            first, *others = content.split(b"\n")
            parts.append(first)
            if others:
                yield _record(parts)
                parts = [others.pop()]
                yield from (record.removesuffix(b"\r") for record in others)
        if any(parts):
            yield _record(parts)

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """Return some records in the order asked for; each chunk is read and decoded once.

        Parameters
        ----------
        numbers : sequence of int
            Negative ones count from the end.

        Raises
        ------
        IndexError
            There is no such record.
        CorruptError, SourceError
            A chunk is damaged or cannot be read, or the line index is wrong.
        """
        wanted = self._find(numbers)
        parts: list[list[bytes]] = [[] for _ in numbers]
        for piece, content in self._pieces(sorted(wanted)):
            newlines = self._newlines(piece, content)
            for place, line in wanted[piece]:
                parts[place].append(_cut(content, newlines, line))
        return [_record(some) for some in parts]

    def _find(self, numbers: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
        """Return for each piece that is needed: (place in the result, line in the piece)."""
        count = len(self)
        given = np.asarray(numbers, np.int64)
        wrong = given[(given < -count) | (given >= count)]
        if len(wrong):
            raise IndexError(f"record {wrong[0]} of {self.name!r}, which has {count}")
        given = np.where(given < 0, given + count, given)
        ends = self.ends
        last = np.searchsorted(ends, given, side="right")
        before = np.concatenate([[0], ends])[last]  # records that end in front of the piece
        lines = given - before
        # The first line to end in a piece may begin where the last line before it ends: behind a
        # newline of this piece.
        first = np.where(lines > 0, last, np.searchsorted(ends, before, side="left"))
        first = np.minimum(first, last)
        wanted: dict[int, list[tuple[int, int]]] = {}
        columns = first.tolist(), last.tolist(), lines.tolist()
        for place, (start, stop, line) in enumerate(zip(*columns, strict=True)):
            for piece in range(start, stop):
                wanted.setdefault(piece, []).append((place, _TAIL))
            wanted.setdefault(stop, []).append((place, line))
        return wanted

    def _pieces(self, pieces: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Give the contents of some of the member's pieces, from the cache or in few reads."""
        reader = self.archive.chunk_reader
        by_chunk = {self._chunks[piece]: piece for piece in pieces}
        for batch in reader.batches(list(by_chunk)):
            contents = reader.contents(batch)
            for chunk in batch:
                piece = by_chunk[chunk]
                start = self._offsets[piece]
                yield piece, contents[chunk][start : start + self._sizes[piece]]

    def _newlines(self, piece: int, content: bytes) -> list[int]:
        """Return where the newlines of a piece are, checked against its count."""
        newlines = np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE)
        found = len(newlines) + self._is_cut(piece, content)
        expected = int(np.diff(self.ends, prepend=0)[piece])
        if found != expected:
            message = f"{found} lines end in piece {piece} of {self.name!r}"
            raise CorruptError(f"{message} in {self.archive.url}, its line index says {expected}")
        return newlines.tolist()

    def _is_cut(self, piece: int, content: bytes) -> bool:
        """Tell whether the piece ends the member in a line without a newline."""
        return piece == len(self._rows) - 1 and content[-1] != _NEWLINE

    def _contents(self) -> Iterator[bytes]:
        with closing(self.archive.decode_chunks(self._chunks)) as decoded:
            for content, start, size in zip(decoded, self._offsets, self._sizes, strict=True):
                if isinstance(content, LmarcError):
                    raise content
                yield bytes(content[start : start + size])

    def _count(self) -> I64:
        counts = [
            content.count(b"\n") + self._is_cut(piece, content)
            for piece, content in enumerate(self._contents())
        ]
        return np.array(counts, np.int64)


def _cut(content: bytes, newlines: list[int], line: int) -> bytes:
    """Return one line of a piece, or what there is of it in the piece."""
    if line == _TAIL:
        return content[newlines[-1] + 1 :] if newlines else content
    start = newlines[line - 1] + 1 if line else 0
    return content[start : newlines[line]] if line < len(newlines) else content[start:]


def _record(parts: Sequence[bytes]) -> bytes:
    return b"".join(parts).removesuffix(b"\r")
