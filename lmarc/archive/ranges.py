"""Many ranges of many members at once: which chunks they need, and what goes where.

A chunk that several ranges touch is read and decoded once. How chunks are read is the caller's
affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmarc.archive.index import Index
    from lmarc.archive.reader import Archive

__all__ = ["Gather", "read_together"]

Span = tuple[int, int, int]  # entry, position, end


class Gather:
    """Puts together the bytes of ranges from chunks that come in any order.

    Parameters
    ----------
    index : Index
        Says where the bytes are.
    spans : sequence of (entry, position, end)
        Files and ranges within their sizes.
    """

    def __init__(self, index: Index, spans: Sequence[Span]) -> None:
        self._results: list[bytearray | Exception] = []
        # Chunk -> (range, place in it, offset in the chunk's content, size).
        self._wanted: dict[int, list[tuple[int, int, int, int]]] = {}
        # How many bytes of each chunk's content are needed, from its beginning.
        self.ends: dict[int, int] = {}
        for number, (entry, position, end) in enumerate(spans):
            self._results.append(bytearray(max(0, end - position)))
            if position >= end:
                continue
            pieces = index.pieces_of(entry, position, end)
            columns = (column.tolist() for column in pieces[1:])
            for chunk, start, size, offset in zip(*columns, strict=True):
                first, last = max(start, position), min(start + size, end)
                part = (number, first - position, offset + first - start, last - first)
                self._wanted.setdefault(chunk, []).append(part)
                self.ends[chunk] = max(self.ends.get(chunk, 0), part[2] + part[3])

    @property
    def chunks(self) -> list[int]:
        """The chunks that are needed, ascending."""
        return sorted(self._wanted)

    def put(self, chunk: int, content: bytes | Exception) -> None:
        """Take the content of a chunk, or why it cannot be had: then its ranges cannot either."""
        for number, place, offset, size in self._wanted[chunk]:
            result = self._results[number]
            if isinstance(content, Exception):
                self._results[number] = content
            elif isinstance(result, bytearray):
                result[place : place + size] = memoryview(content)[offset : offset + size]

    def results(self) -> list[bytes | Exception]:
        """Return the bytes of each range, holes as zeros, or why they cannot be had."""
        return [r if isinstance(r, Exception) else bytes(r) for r in self._results]


def read_together(archive: Archive, spans: Sequence[tuple[int, int, int]]) -> list[bytes]:
    """Return the bytes of ranges of files, near chunks in one read, each decoded once.

    Parameters
    ----------
    archive : Archive
        Where they are.
    spans : sequence of (entry, position, end)
        Files and ranges within their sizes.

    Raises
    ------
    CorruptError, SourceError
        A chunk is damaged or cannot be read.
    """
    gather = Gather(archive.index, spans)
    reader, ends = archive.chunk_reader, gather.ends
    for batch in reader.batches(gather.chunks):
        for chunk, content in reader.contents(batch, ends).items():
            gather.put(chunk, content)
    return [part for part in gather.results() if not isinstance(part, Exception)]
