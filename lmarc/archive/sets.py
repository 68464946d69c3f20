"""A set of archives that is read as one (spec: v1/set.md).

The indexes of the shards are joined into one, whose numbers of entries, chunks, pieces and slots
run on from shard to shard; whoever fetches chunks goes to the shard that has them. So everything
that reads an `Archive` reads a set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.archive.cache import ChunkCache
from lmarc.archive.fetch import ChunkReader
from lmarc.archive.index import Index, Pieces
from lmarc.archive.reader import Archive
from lmarc.archive.rows import ALL, ChunkRow
from lmarc.archive.setfile import Shard, parse_set, read_set, shard_address
from lmarc.archive.source import open_source
from lmarc.archive.validate import Paths, numbers
from lmarc.archive.verify import Verified
from lmarc.codec.base import ModelRef
from lmarc.errors import CorruptError, LimitError, LmarcError
from lmarc.format.footer import Footer
from lmarc.format.limits import NO_MODEL

if TYPE_CHECKING:
    from lmarc.archive.lines import LineTable

__all__ = ["ArchiveSet"]

I64 = npt.NDArray[np.int64]

_OPENED_AT_ONCE: Final = 16


class ArchiveSet(Archive):
    """Several archives as one; `lmarc.open` makes it of a set file.

    Parameters
    ----------
    url : str
        The set file.
    storage_options : mapping, optional
        For its file system, and that of the shards.
    data : bytes, optional
        The set file's content, if it was read already.
    cache_size, model
        As for `Archive`; the cache is for all shards together.
    """

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        data: bytes | None = None,
        *,
        cache_size: int,
        model: str | None = None,
    ) -> None:
        super().__init__(open_source(url, storage_options), cache_size=cache_size, model=model)
        self._url = url
        self._options = storage_options
        self._data = data
        self._opened: list[Archive] | None = None
        self._reader: _SetReader | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self._url, self._options, self._data, self._cache.capacity, self._model_path)
        return _restore, state

    def __repr__(self) -> str:
        return f"<lmarc.ArchiveSet {self.url!r}>"

    def close(self) -> None:
        """Let go of files and decoded chunks; a later read opens them again."""
        super().close()
        for shard in self._opened or ():
            shard.close()

    @property
    def shards(self) -> list[Archive]:
        """The archives, in order; opened and compared with the set file at first use."""
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    if self._data is None:
                        self._data = read_set(self._source)
                    rows = parse_set(self._data)
                    with ThreadPoolExecutor(_OPENED_AT_ONCE, "lmarc") as pool:
                        self._opened = list(pool.map(self._open, rows))
        return self._opened

    def _open(self, row: Shard) -> Archive:
        source = open_source(shard_address(self._url, row), self._options)
        archive = Archive(source, cache_size=0, model=self._model_path)
        for what, found, expected in (
            ("index_sha256", archive.footer.index_sha256.hex(), row.index_sha256.hex()),
            ("size", archive.size, row.size),
            ("members", len(archive), row.member_count),
        ):
            if found != expected:
                message = f"{what} of shard {archive.url} is {found}, the set says {expected}"
                raise CorruptError(message)
        return archive

    @property
    def index(self) -> Index:
        """The indexes of all shards, joined."""
        if self._parsed is None:
            with self._lock:
                if self._parsed is None:
                    self._parsed = _joined([shard.index for shard in self.shards])
        return self._parsed

    @property
    def chunk_reader(self) -> _SetReader:  # type: ignore[override]
        """What fetches and decodes chunks, from whichever shard has them."""
        if self._reader is None:
            with self._lock:
                if self._reader is None:
                    readers = [shard.chunk_reader for shard in self.shards]
                    self._reader = _SetReader(readers, self.shards, self._cache)
        return self._reader

    @property
    def footer(self) -> Footer:
        """What stands for the whole: its index_sha256 is the SHA-256 of the set file."""
        size = sum(shard.footer.index_size for shard in self.shards)
        return Footer(0, size, hashlib.sha256(self._data or b"").digest())

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(shard.size for shard in self.shards)

    @property
    def line_table(self) -> LineTable:
        """What the line indexes in the shards say."""
        from lmarc.archive.lines import LineTable

        if self._lines is None:
            counts = [len(shard.index.pieces_by_chunk.entry) for shard in self.shards]
            tables = [shard.line_table for shard in self.shards]
            self._lines = LineTable.joined(tables, _firsts(counts))
        return self._lines

    def verify(
        self,
        *,
        jobs: int | None = None,
        max_size: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Verified:
        """Verify each shard, as `Archive.verify`; their names were compared when it was opened."""
        _ = self.index
        read = checked = 0
        found = []

        def on(more_read: int, more_checked: int) -> None:
            if progress is not None:
                progress(read + more_read, checked + more_checked)

        for shard in self.shards:
            left = None if max_size is None else max(0, max_size - checked)
            found.append(shard.verify(jobs=jobs, max_size=left, progress=on))
            read, checked = read + shard.size, checked + found[-1].content_size
        return Verified(*(sum(column) for column in zip(*found, strict=True)))


def _restore(
    url: str,
    storage_options: Mapping[str, Any] | None,
    data: bytes | None,
    cache_size: int,
    model: str | None,
) -> ArchiveSet:
    return ArchiveSet(url, storage_options, data, cache_size=cache_size, model=model)


def _firsts(counts: Sequence[int]) -> list[int]:
    """Return the number that the first thing of each shard has among those of all."""
    return [0, *np.cumsum(counts)[:-1].tolist()]


def _joined(indexes: list[Index]) -> Index:
    """Return one index of several.

    Raises
    ------
    CorruptError
        The names are not lawful together.
    LimitError
        There are more models than slots.
    """
    import pyarrow as pa

    entries = pa.concat_tables([index.entries for index in indexes])
    paths = Paths(entries)
    paths.check_tree(numbers(entries, "type"), 0)
    first_entry = _firsts([index.entries.num_rows for index in indexes])
    first_chunk = _firsts([index.chunks.num_rows for index in indexes])
    first_piece = _firsts([len(index.piece_entries) for index in indexes])
    first_slot = _firsts([index.models.num_rows for index in indexes])
    models = pa.concat_tables([index.models for index in indexes])
    if models.num_rows > NO_MODEL:
        raise LimitError(f"a set has {models.num_rows:,} models, at most {NO_MODEL:,} are allowed")
    by_chunk = [index.pieces_by_chunk for index in indexes]
    orders = [
        np.arange(len(index.piece_entries)) if index.piece_order is None else index.piece_order
        for index in indexes
    ]
    return Index(
        sum(index.size for index in indexes),
        entries,
        pa.concat_tables(map(_with_slots, [index.chunks for index in indexes], first_slot)),
        pa.concat_tables([index.pieces for index in indexes]),
        models,
        paths,
        np.concatenate([index.entry_sizes for index in indexes]),
        Pieces(
            _shifted([pieces.entry for pieces in by_chunk], first_entry),
            _shifted([pieces.chunk for pieces in by_chunk], first_chunk),
            *(np.concatenate([pieces[at] for pieces in by_chunk]) for at in (2, 3, 4)),
        ),
        _shifted(orders, first_piece),
        _shifted([index.piece_entries for index in indexes], first_entry),
        np.concatenate([index.chunk_offsets for index in indexes]),
        np.concatenate([index.chunk_stored_sizes for index in indexes]),
        np.concatenate([index.chunk_content_sizes for index in indexes]),
    )


def _shifted(columns: Sequence[I64], firsts: Sequence[int]) -> I64:
    return np.concatenate(
        [column + first for column, first in zip(columns, firsts, strict=True)]
    ).astype(np.int64)


def _with_slots(chunks: Any, first: int) -> Any:
    """Return a table of chunks with the slots that they have in the set."""
    import pyarrow as pa

    slots = numbers(chunks, "model_slot")
    slots = np.where(slots == NO_MODEL, NO_MODEL, slots + first).astype(np.uint16)
    place = chunks.schema.get_field_index("model_slot")
    return chunks.set_column(place, chunks.schema.field(place), pa.array(slots))


class _SetReader:
    """A `ChunkReader` for all shards, by the numbers that chunks and slots have in the set."""

    def __init__(
        self, readers: list[ChunkReader], shards: list[Archive], cache: ChunkCache
    ) -> None:
        self._readers = readers
        self._cache = cache
        self._first_chunk = _firsts([shard.index.chunks.num_rows for shard in shards])
        self._first_slot = _firsts([shard.index.models.num_rows for shard in shards])

    def _place(self, chunk: int) -> int:
        return int(np.searchsorted(self._first_chunk, chunk, side="right")) - 1

    def _by_shard(self, chunks: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Give runs of chunks that are in one shard: its place, and their numbers in it."""
        for place, run in groupby(chunks, self._place):
            yield place, [chunk - self._first_chunk[place] for chunk in run]

    def rows(self, chunks: Sequence[int]) -> list[ChunkRow]:
        """Return what the indexes say of some chunks; offsets are those in their shards."""
        return [
            row._replace(number=row.number + self._first_chunk[place])
            for place, run in self._by_shard(chunks)
            for row in self._readers[place].rows(run)
        ]

    def contents(self, chunks: Sequence[int], ends: Mapping[int, int] = ALL) -> dict[int, bytes]:
        """Return the content of each chunk, from the cache or in one read for each shard.

        There may be less of one that `ends` has, but no less than it says.
        """
        contents = {}
        missing = []
        for chunk in dict.fromkeys(chunks):
            content = self.cached(chunk, ends.get(chunk))
            if content is None:
                missing.append(chunk)
            else:
                contents[chunk] = content
        for place, run in self._by_shard(sorted(missing)):
            found = self._readers[place].contents(run, self._ends(place, run, ends))
            for number, content in found.items():
                contents[number + self._first_chunk[place]] = content
                self._cache.put(number + self._first_chunk[place], content)
        return contents

    def _ends(self, place: int, run: Sequence[int], ends: Mapping[int, int]) -> dict[int, int]:
        """Return what is to be said to a shard of its chunks; those begun before are read whole."""
        if not ends:
            return {}
        first = self._first_chunk[place]
        return {
            number: ends[first + number]
            for number in run
            if first + number in ends and self._cache.get(first + number) is None
        }

    def cached(self, chunk: int, end: int | None = None) -> bytes | None:
        """Return the content of a chunk, at least up to `end`, if it is at hand."""
        return self._cache.get(chunk, self.size_of(chunk) if end is None else end)

    def size_of(self, chunk: int) -> int:
        """Return how many bytes of content a chunk has."""
        place = self._place(chunk)
        return self._readers[place].size_of(chunk - self._first_chunk[place])

    def fetch(
        self, chunks: Sequence[int], ends: Mapping[int, int] = ALL
    ) -> list[tuple[ChunkRow, memoryview]]:
        """Read the records of some chunks, beside the models that they need."""
        return [
            (row._replace(number=row.number + self._first_chunk[place]), record)
            for place, run in self._by_shard(chunks)
            for row, record in self._readers[place].fetch(run, self._ends(place, run, ends))
        ]

    def decode_fetched(self, row: ChunkRow, record: memoryview) -> bytes:
        """Return the content of a chunk that `fetch` has read, and keep it in the cache."""
        place = self._place(row.number)
        local = row._replace(number=row.number - self._first_chunk[place])
        content = self._readers[place].decode_fetched(local, record)
        self._cache.put(row.number, content)
        return content

    def batches(self, chunks: Sequence[int]) -> Iterator[list[int]]:
        """Cut a list of chunks where a batch would hold too much content, or ends its shard."""
        for place, run in self._by_shard(chunks):
            for batch in self._readers[place].batches(run):
                yield [chunk + self._first_chunk[place] for chunk in batch]

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
        for place, run in self._by_shard(chunks):
            yield from self._readers[place].decode(
                run, workers, executor, self._ends(place, run, ends)
            )

    def model(self, slot: int) -> ModelRef:
        """Return the model in a slot of the set."""
        # Of shards without models, which begin where the next does, the last is found.
        place = int(np.searchsorted(self._first_slot, slot, side="right")) - 1
        return self._readers[place].model(slot - self._first_slot[place])
