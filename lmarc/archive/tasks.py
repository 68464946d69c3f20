"""Work for an executor that reads what it codes: batches of chunks whose content is by reference.

A batch holds some 4 MiB of content, so that a worker that is lost costs little and that giving the
work away costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Final, NamedTuple

from lmarc.archive.lines import Tallies, tally
from lmarc.archive.spans import Span, read_all
from lmarc.codec.base import CodecSettings, EncodedChunk
from lmarc.codec.choose import encode_chunk
from lmarc.routing.group import Data, PackedChunk

__all__ = ["Batches", "Coded", "Slot", "content_of", "encode_batch"]

_BATCH: Final = 4 << 20  # bytes of content

# A chunk's content class, the parts of its content, the sizes of pieces whose lines are counted.
Work = tuple[int, tuple[Data, ...], Sequence[int]]


class Coded(NamedTuple):
    """What a batch has become."""

    chunks: list[EncodedChunk]  # in the order of the batch
    digests: dict[int, bytes]  # SHA-256 of the members that lie in one chunk, by entry
    tallies: list[Tallies]  # of the lines in each chunk, empty where they were not asked for


def encode_batch(batch: Sequence[Work], settings: CodecSettings) -> Coded:
    """Read and encode some chunks, and hash the members that are whole in one of them.

    Raises
    ------
    SourceError
        A file cannot be read, or has changed since it was found.
    """
    import hashlib

    spans = [part for _, parts, _ in batch for part in parts if isinstance(part, Span)]
    read = iter(read_all(spans))
    chunks = []
    digests = {}
    tallies = []
    for content_class, parts, sizes in batch:
        contents = []
        for part in parts:
            data = next(read) if isinstance(part, Span) else bytes(part)  # type: ignore[arg-type]
            if isinstance(part, Span) and part.whole:
                digests[part.entry] = hashlib.sha256(data).digest()
            contents.append(data)
        content = contents[0] if len(contents) == 1 else b"".join(contents)
        chunks.append(encode_chunk(content, content_class, settings))
        tallies.append(tally(content, sizes))
    return Coded(chunks, digests, tallies)


def content_of(chunk: PackedChunk) -> bytes:
    """Return the content of a chunk, read here if it is by reference."""
    if not chunk.parts:
        return chunk.content
    read = iter(read_all([part for part in chunk.parts if isinstance(part, Span)]))
    return b"".join(
        next(read) if isinstance(part, Span) else bytes(part)  # type: ignore[arg-type]
        for part in chunk.parts
    )


class Slot:
    """The place of a chunk in a batch that is, or will be, with the executor."""

    __slots__ = ("_future", "_place")

    def __init__(self, place: int) -> None:
        self._place = place
        self._future: Future[Coded] | None = None

    def given(self, future: Future[Coded]) -> None:
        """Take note of the work that the batch has become."""
        self._future = future

    def result(self, digests: dict[int, bytes]) -> EncodedChunk:
        """Wait for the chunk; put what was hashed beside it into `digests`."""
        if self._future is None:
            raise ValueError("the batch was not flushed")
        coded = self._future.result()
        digests.update(coded.digests)
        return coded.chunks[self._place]

    def tallies(self) -> Tallies:
        """Wait for the chunk; return what was counted in it."""
        return [] if self._future is None else self._future.result().tallies[self._place]

    def cancel(self) -> None:
        """Take the work back if it has not begun."""
        if self._future is not None:
            self._future.cancel()


class Batches:
    """Collects chunks into batches and gives those to an executor, in order.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Runs `encode_batch`.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        # For text and for the rest, which differ in their settings.
        self._open: dict[bool, tuple[CodecSettings, list[Work], list[Slot]]] = {}
        self._sizes = {False: 0, True: 0}

    def add(
        self, chunk: PackedChunk, settings: CodecSettings, *, text: bool, count_lines: bool = False
    ) -> Slot:
        """Add a chunk; its batch goes off when it is full."""
        _, works, slots = self._open.setdefault(text, (settings, [], []))
        slot = Slot(len(works))
        works.append((chunk.content_class, chunk.parts, chunk.sizes if count_lines else ()))
        slots.append(slot)
        self._sizes[text] += sum(chunk.sizes)
        if self._sizes[text] >= _BATCH:
            self._send(text)
        return slot

    def flush(self) -> None:
        """Send off what is not full."""
        for text in list(self._open):
            self._send(text)

    def _send(self, text: bool) -> None:
        settings, works, slots = self._open.pop(text)
        self._sizes[text] = 0
        future = self._executor.submit(encode_batch, works, settings)
        for slot in slots:
            slot.given(future)
