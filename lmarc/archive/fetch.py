"""Chunks of an archive with an index: fetched in few reads, checked against their rows, cached.

Work that is given away carries all it needs: the source, the rows of its chunks and their models,
not the index. So any executor can run it, in this process or another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Final

import numpy as np
import numpy.typing as npt

from lmarc.archive.cache import ChunkCache
from lmarc.archive.chunks import decode_records, parse_model, record_payload
from lmarc.archive.index import Index
from lmarc.archive.rows import ALL, ChunkRow, check_row, decode_row, decode_rows
from lmarc.archive.source import Source
from lmarc.archive.validate import numbers
from lmarc.archive.workers import Workers
from lmarc.codec.base import TOGETHER, CodecNumber, ModelRef
from lmarc.codec.device import device
from lmarc.errors import CorruptError, LmarcError
from lmarc.format.limits import NO_MODEL
from lmarc.format.model import ModelHeader
from lmarc.format.record import RecordHeader, RecordType

__all__ = ["ChunkReader"]

_BATCH: Final = 4 << 20  # bytes of content that one task gives
_REMOTE_BATCH: Final = 16 << 20
# Of a codec that takes seconds for as much: a task ends soon, and decodes a few chunks together, as
# many as share what is read of a network's weights.
_SLOW_BATCH: Final = 256 << 10
_SLOW_REMOTE_BATCH: Final = 2 << 20
_SLOW: Final = frozenset({CodecNumber.NEURAL, CodecNumber.SUBWORD, CodecNumber.MULTISCALE})
_UNSIGNED: Final = (1 << 64) - 1
# A chunk is decoded as far as it is needed where that spares a quarter of it or more; else all of
# it is, checked and kept.
_PREFIX: Final = 0.75


class ChunkReader:
    """The chunks and models of one archive. Safe to share between threads.

    Parameters
    ----------
    source : Source
        The archive's bytes.
    index : Index
        Its index.
    archive_tag : int
        What every record carries.
    cache : ChunkCache
        Keeps what was decoded.
    model_path : str, optional
        Where to look first for a model that the archive does not embed.
    """

    def __init__(
        self,
        source: Source,
        index: Index,
        archive_tag: int,
        cache: ChunkCache,
        model_path: str | None = None,
    ) -> None:
        self._source = source
        self._index = index
        self._tag = archive_tag
        self._cache = cache
        self._model_path = model_path
        self._models: dict[int, ModelRef] = {}
        self._slot_kinds: list[int] = numbers(index.models, "kind").tolist()
        names = ChunkRow._fields[4:-1]
        self._columns = [numbers(index.chunks, name) for name in names]

    def rows(self, chunks: Sequence[int], ends: Mapping[int, int] = ALL) -> list[ChunkRow]:
        """Return what the Index says of some chunks, and how much of each is to be decoded.

        `ends` says of a chunk how many bytes of its content are needed, from its beginning; of one
        that is not there all are.
        """
        wanted = list(chunks)
        index = self._index
        columns = [
            wanted,
            index.chunk_offsets[wanted].tolist(),
            index.chunk_stored_sizes[wanted].tolist(),
            index.chunk_content_sizes[wanted].tolist(),
            *([value & _UNSIGNED for value in column[wanted].tolist()] for column in self._columns),
        ]
        rows = [ChunkRow(*row) for row in zip(*columns, strict=True)]
        return [self._cut(row, ends[row.number]) if row.number in ends else row for row in rows]

    def _cut(self, row: ChunkRow, end: int) -> ChunkRow:
        """Return a row that asks for the content up to `end`, or for all of it.

        That is cheaper where little is spared, and where its beginning was decoded before: then
        there is more to come.
        """
        spares = end <= _PREFIX * row.content_size and self._cache.get(row.number) is None
        return row._replace(needed=end) if spares else row

    def contents(self, chunks: Sequence[int], ends: Mapping[int, int] = ALL) -> dict[int, bytes]:
        """Return the content of each chunk, from the cache or in one read of the others.

        There may be less of one that `ends` has, but no less than it says.
        """
        contents: dict[int, bytes] = {}
        missing = []
        for chunk in dict.fromkeys(chunks):
            content = self.cached(chunk, ends.get(chunk))
            if content is None:
                missing.append(chunk)
            else:
                contents[chunk] = content
        checked = {
            row.number: check_row(
                row, record, self._tag, self._slot_kinds, self._models.get(row.model_slot)
            )
            for row, record in self.fetch(missing, ends)
        }
        for chunk, found in zip(checked, decode_records(list(checked.values())), strict=True):
            if isinstance(found, LmarcError):
                raise found
            self._cache.put(chunk, found)
            contents[chunk] = found
        return contents

    def cached(self, chunk: int, end: int | None = None) -> bytes | None:
        """Return the content of a chunk, at least up to `end`, if it is in the cache."""
        return self._cache.get(chunk, self.size_of(chunk) if end is None else end)

    def size_of(self, chunk: int) -> int:
        """Return how many bytes of content a chunk has."""
        return int(self._index.chunk_content_sizes[chunk])

    def fetch(
        self, chunks: Sequence[int], ends: Mapping[int, int] = ALL
    ) -> list[tuple[ChunkRow, memoryview]]:
        """Read the records of chunks together, and the models that they are the first to need."""
        rows = self.rows(chunks, ends)
        return list(zip(rows, self._read(rows), strict=True))

    def decode_fetched(self, row: ChunkRow, record: memoryview) -> bytes:
        """Return the content of a chunk whose record was fetched, and keep it in the cache."""
        model = self._models.get(row.model_slot)
        content = decode_row(row, record, self._tag, self._slot_kinds, model)
        self._cache.put(row.number, content)
        return content

    def batches(self, chunks: Sequence[int], workers: int = 1) -> Iterator[list[int]]:
        """Cut a list of chunks where a batch would hold too much content.

        Those of a slow codec are dealt out so that `workers` threads have as many each.
        """
        wanted = np.asarray(list(chunks), np.int64)
        sizes = self._index.chunk_content_sizes[wanted]
        slow = np.isin(self._columns[0][wanted], list(_SLOW))
        largest = np.where(slow, self._slow_batch(sizes[slow], workers), self._batch)
        batch: list[int] = []
        size = 0.0  # of 1
        for chunk, share in zip(wanted.tolist(), (sizes / largest).tolist(), strict=True):
            if batch and size + share > 1:
                yield batch
                batch, size = [], 0
            batch.append(chunk)
            size += share
        if batch:
            yield batch

    @property
    def _batch(self) -> int:
        return _BATCH if self._source.local else _REMOTE_BATCH

    def _slow_batch(self, sizes: npt.NDArray[np.int64], workers: int) -> int:
        """Return the bytes of content of a batch of chunks, of such sizes, of slow codecs."""
        if device() != "cpu":  # an accelerator takes many chunks together
            return _BATCH
        if not self._source.local:
            return _SLOW_REMOTE_BATCH
        chunk = int(sizes.max(initial=1))
        whole = max(_SLOW_BATCH, min(TOGETHER * chunk, _BATCH))
        return min(whole, max(1, -(-len(sizes) // workers)) * chunk)

    def decode(
        self,
        chunks: Sequence[int],
        workers: int,
        executor: Executor | None,
        ends: Mapping[int, int] = ALL,
    ) -> Generator[memoryview | LmarcError, None, None]:
        """Give the contents of chunks in the order asked for, decoded in parallel.

        There may be less of one that `ends` has, but no less than it says.
        """
        running: deque[Future[list[bytes | LmarcError]]] = deque()
        with Workers(executor, workers) as pool:
            try:
                for batch in self.batches(chunks, workers):
                    running.append(self._submit(pool, batch, ends))
                    if len(running) > workers:
                        yield from map(_viewed, running.popleft().result())
                while running:
                    yield from map(_viewed, running.popleft().result())
            finally:
                for future in running:
                    future.cancel()

    def _submit(
        self, pool: Executor, batch: list[int], ends: Mapping[int, int]
    ) -> Future[list[bytes | LmarcError]]:
        rows = self.rows(batch, ends)
        slots = self._missing(rows)
        ranges = [self._model_range(slot) for slot in slots]
        for slot, record in zip(slots, self._source.read_ranges(ranges), strict=True):
            self._take_model(slot, record)
        needed = {row.model_slot for row in rows} & self._models.keys()
        models = {slot: self._models[slot] for slot in needed}
        return pool.submit(decode_rows, self._source, rows, self._tag, self._slot_kinds, models)

    def model(self, slot: int) -> ModelRef:
        """Return the model in a slot; its bytes only where the archive embeds them."""
        if slot not in self._models:
            (record,) = self._source.read_ranges([self._model_range(slot)])
            self._take_model(slot, record)
        return self._models[slot]

    def _read(self, rows: list[ChunkRow]) -> list[memoryview]:
        """Read Chunk records, and beside them the models that they are the first to need."""
        slots = self._missing(rows)
        ranges = [self._model_range(slot) for slot in slots]
        records = self._source.read_ranges(ranges + [row.range for row in rows])
        for slot, record in zip(slots, records[: len(slots)], strict=True):
            self._take_model(slot, record)
        return records[len(slots) :]

    def _missing(self, rows: list[ChunkRow]) -> list[int]:
        slots = {row.model_slot for row in rows} - {NO_MODEL}
        return sorted(slots - self._models.keys())

    def _model_range(self, slot: int) -> tuple[int, int]:
        row = self._index.models.slice(slot, 1).to_pylist()[0]
        fixed = RecordHeader.SIZE + ModelHeader.SIZE
        return row["offset"], row["offset"] + fixed + row["size"] * row["embedded"]

    def _take_model(self, slot: int, record: memoryview) -> None:
        row = self._index.models.slice(slot, 1).to_pylist()[0]
        offset = row.pop("offset")
        payload = record_payload(record, RecordType.MODEL, self._tag, offset=offset)
        header, model = parse_model(payload, slot, offset=offset, path=self._model_path)
        found = {
            "kind": header.kind,
            "size": header.model_size,
            "sha256": header.model_sha256,
            "embedded": int(header.embedded),
        }
        if found != row:
            raise CorruptError("the Model record is not the one in the Index", offset=offset)
        self._models[slot] = model


def _viewed(content: bytes | LmarcError) -> memoryview | LmarcError:
    return content if isinstance(content, LmarcError) else memoryview(content)
