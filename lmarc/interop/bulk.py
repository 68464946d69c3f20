"""Ranges of members, read and decoded together by an event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from lmarc.archive.ranges import Gather
from lmarc.errors import CorruptError, LmarcError

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive
    from lmarc.archive.rows import ChunkRow

__all__ = ["Bulk", "Run", "Span"]

Span = tuple[int, int, int]  # number of a file, position, end

_FETCHES: Final = 4  # batches of 16 MiB that are read at once; threads are left for decoders
_COPIES: Final = 4  # members that are copied to files at once


class Run(Protocol):
    """Does work in a thread."""

    async def __call__(self, work: Any, /, *arguments: Any) -> Any:
        """Return what `work(*arguments)` returns."""


class Bulk:
    """Reads ranges of one archive's files for any number of tasks of one event loop.

    A chunk that several ranges, or several tasks, want at the same time is read and decoded once.

    Parameters
    ----------
    archive : Archive
        Open, its index read.
    run : Run
        Reads and decodes.
    """

    def __init__(self, archive: Archive, run: Run) -> None:
        self.archive = archive
        self.copies = asyncio.Semaphore(_COPIES)
        self._run = run
        self._fetches = asyncio.Semaphore(_FETCHES)
        # Chunks that some task reads; None is the result where that task was cancelled.
        self._running: dict[int, asyncio.Future[bytes | Exception | None]] = {}

    async def read(self, spans: Sequence[Span], *, ahead: bool = False) -> list[bytes | Exception]:
        """Return the bytes of ranges of files: (entry, position, end), within their sizes.

        An error stands in the place of what could not be read, or of a whole member that does not
        have its SHA-256. `ahead` says that what follows is read next: chunks are decoded whole.
        """
        gather = Gather(self.archive.index, spans)
        if ahead:
            gather.ends.clear()
        chunks = gather.chunks
        while chunks:
            chunks = await self._load(chunks, gather)
        return await self._run(  # type: ignore[no-any-return]
            _checked, self.archive, spans, gather.results()
        )

    async def _load(self, chunks: Sequence[int], gather: Gather) -> list[int]:
        """Put chunks into `gather`; return those that another task has left unread."""
        reader, ends = self.archive.chunk_reader, gather.ends
        loop = asyncio.get_running_loop()
        mine: dict[int, asyncio.Future[bytes | Exception | None]] = {}
        awaited = []
        for chunk in chunks:
            content = reader.cached(chunk, ends.get(chunk))
            if content is not None:
                gather.put(chunk, content)
            elif chunk in self._running:
                awaited.append((chunk, self._running[chunk]))
            else:
                mine[chunk] = self._running[chunk] = loop.create_future()
        try:
            batches = reader.batches(list(mine))
            await asyncio.gather(*(self._fetch(batch, gather) for batch in batches))
        finally:
            for chunk, future in mine.items():
                if self._running.get(chunk) is future:
                    self._running.pop(chunk).set_result(None)
        left = []
        for chunk, future in awaited:
            found = await asyncio.shield(future)
            # Another task may have needed less of the chunk.
            least = ends.get(chunk, reader.size_of(chunk))
            if found is None or (isinstance(found, bytes) and len(found) < least):
                left.append(chunk)
            else:
                gather.put(chunk, found)
        return left

    async def _fetch(self, chunks: list[int], gather: Gather) -> None:
        async with self._fetches:
            try:
                reader = self.archive.chunk_reader
                fetched = await self._run(reader.fetch, chunks, gather.ends)
            except (LmarcError, OSError) as exc:
                for chunk in chunks:
                    self._settle(chunk, exc, gather)
            else:
                await asyncio.gather(
                    *(self._decode(row, record, gather) for row, record in fetched)
                )

    async def _decode(self, row: ChunkRow, record: memoryview, gather: Gather) -> None:
        try:
            content = await self._run(self.archive.chunk_reader.decode_fetched, row, record)
        except LmarcError as exc:
            content = exc
        self._settle(row.number, content, gather)

    def _settle(self, chunk: int, content: bytes | Exception, gather: Gather) -> None:
        self._running.pop(chunk).set_result(content)
        gather.put(chunk, content)


def _checked(
    archive: Archive, spans: Sequence[Span], parts: Sequence[bytes | Exception]
) -> list[bytes | Exception]:
    """Put an error in the place of a whole member that does not have its SHA-256."""
    checked = list(parts)
    for number, ((entry, position, end), part) in enumerate(zip(spans, parts, strict=True)):
        if position == 0 and not isinstance(part, Exception):
            member = archive.member(entry)
            if end == member.size and hashlib.sha256(part).digest() != member.sha256:
                checked[number] = CorruptError(f"{member.name!r} does not have its SHA-256")
    return checked
