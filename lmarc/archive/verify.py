"""Verify an archive: one pass over all of it, compared with its Index row by row (spec §10.3)."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from lmarc.archive.groups import GroupTables
from lmarc.archive.index import Index
from lmarc.archive.lines import LineTable
from lmarc.archive.opening import Ending
from lmarc.archive.source import Source
from lmarc.archive.stream import Data, StreamReader
from lmarc.archive.tables import ENDS, ENTRIES_BEGIN, as_numpy, rows_at
from lmarc.errors import CorruptError, FormatError
from lmarc.format.chunk import ChunkHeader
from lmarc.format.model import ModelHeader
from lmarc.format.record import RecordHeader

if TYPE_CHECKING:
    from typing import IO

__all__ = ["SourceFile", "Verified", "sequential", "verify_archive", "verify_stream"]

_BLOCK: Final = 8 << 20  # bytes of one read


class Verified(NamedTuple):
    """What was found to be sound."""

    member_count: int
    chunk_count: int
    content_size: int  # bytes, holes counted
    archive_size: int  # bytes


class SourceFile(io.RawIOBase):
    """A source from its start to `size`, as a file that is read once."""

    def __init__(self, source: Source, size: int) -> None:
        super().__init__()
        self._source = source
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what comes next."""
        view = memoryview(buffer).cast("B")
        count = min(len(view), self._size - self._position)
        if count:
            view[:count] = self._source.read(self._position, self._position + count)
        self._position += count
        return count


def sequential(source: Source, size: int) -> IO[bytes]:
    """Return a source as a buffered file that is read once from its start."""
    return io.BufferedReader(SourceFile(source, size), _BLOCK)


class _Verifier(StreamReader):
    """Compares what comes with the rows of the Index."""

    def __init__(
        self,
        file: IO[bytes],
        index: Index,
        jobs: int | None,
        max_size: int | None,
        model: str | None,
    ) -> None:
        super().__init__(file, jobs=jobs, max_size=max_size, model=model)
        self._truth = index
        self._columns = {name: as_numpy(index.chunks[name]) for name in index.chunks.schema.names}
        self._model_rows = index.models.to_pylist()

    def on_group(self, group: GroupTables) -> None:
        """Compare the tables of a group."""
        index = self._truth
        rows = index.entries.slice(group.first_entry, group.begins.num_rows)
        if not rows.select(ENTRIES_BEGIN.names).equals(group.begins):
            raise CorruptError("entries_begin and the Index differ", offset=self.offset)
        pieces = index.pieces.slice(self.piece_count, group.pieces_table.num_rows)
        if not pieces.equals(group.pieces_table):
            raise CorruptError("pieces and the Index differ", offset=self.offset)
        ended = as_numpy(group.ends["entry"]).astype(np.int64)
        if len(ended) and ended[-1] >= index.entries.num_rows:
            raise CorruptError("ends and the Index differ", offset=self.offset)
        ends = rows_at(index.entries.select(ENDS.names[1:]), ended)
        if not ends.equals(group.ends.select(ENDS.names[1:])):
            raise CorruptError("ends and the Index differ", offset=self.offset)

    def on_chunk(self, offset: int, record: RecordHeader, chunk: ChunkHeader) -> None:
        """Compare a chunk with its row."""
        found = {
            "offset": offset,
            "stored_size": record.record_size,
            "content_size": chunk.content_size,
            "codec": chunk.codec,
            "model_slot": chunk.model_slot,
            "content_class": chunk.content_class,
            "payload_checksum": record.payload_checksum,
            "content_checksum": chunk.content_checksum,
        }
        number = chunk.chunk_number
        if number >= self._truth.chunks.num_rows:
            raise CorruptError(f"chunk {number} is not in the Index", offset=offset)
        for name, value in found.items():
            if self._columns[name][number] != value:
                raise CorruptError(f"{name} of chunk {number} and the Index differ", offset=offset)

    def on_model(self, offset: int, model: ModelHeader) -> None:
        """Compare a model with its row."""
        found = {
            "kind": model.kind,
            "size": model.model_size,
            "sha256": model.model_sha256,
            "offset": offset,
            "embedded": int(model.embedded),
        }
        if model.slot >= len(self._model_rows) or self._model_rows[model.slot] != found:
            raise CorruptError(f"model {model.slot} and the Index differ", offset=offset)


def verify_archive(
    source: Source,
    index: Index,
    ending: Ending,
    *,
    jobs: int | None = None,
    lines: LineTable,
    max_size: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    model: str | None = None,
) -> Verified:
    """Read all of an archive and check everything; `index` is that of `ending`, so are `lines`.

    Raises
    ------
    FormatError
        The first thing that is wrong.
    LimitError
        More content than `max_size`, or more holes than 1 TiB and that.
    """
    with sequential(source, ending.size) as file:
        verifier = _Verifier(file, index, jobs, max_size, model)
        found = _run(verifier, progress, _LineChecker(index, lines))
    if verifier.footer != ending.footer:
        raise FormatError("the last Footer is not the one that the archive was opened by")
    return found


def verify_stream(
    file: IO[bytes],
    *,
    jobs: int | None = None,
    max_size: int | None = None,
    model: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Verified:
    """Read all of an archive from a pipe and check all but the rows of its Index.

    Parameters
    ----------
    file : binary file object
        Read to its end, never sought.
    jobs : int, optional
        Threads that decode; as many as there are processors otherwise.
    max_size : int, optional
        Bytes of content, holes counted, beyond which nothing is checked. Holes of more than 1 TiB
        are refused unless this is more.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.
    progress : callable, optional
        Gets the bytes of archive read and of content checked so far, now and then.

    Raises
    ------
    FormatError
        The first thing that is wrong.
    LimitError
        More content or holes than allowed.
    """
    path = None if model is None else os.path.abspath(model)
    return _run(StreamReader(file, jobs=jobs, max_size=max_size, model=path), progress)


class _LineChecker:
    """Compares what the line indexes say with the pieces, which come in their order."""

    def __init__(self, index: Index, lines: LineTable) -> None:
        self._sizes = index.entry_sizes
        self._lines = lines
        self._piece = 0

    def take(self, data: Data) -> None:
        """Compare the next piece."""
        if self._lines:
            end = data.position + len(data.data)
            is_end = data.number < len(self._sizes) and end == self._sizes[data.number]
            self._lines.check(self._piece, data.data, ends_member=bool(is_end))
            self._piece += 1


def _run(
    reader: StreamReader,
    progress: Callable[[int, int], object] | None,
    checker: _LineChecker | None = None,
) -> Verified:
    content_size = 0
    with closing(reader.events()) as events:
        for event in events:
            if isinstance(event, Data):
                content_size += len(event.data)
                if checker is not None:
                    checker.take(event)
                if progress is not None:
                    progress(reader.offset, content_size)
    return Verified(reader.entry_count, reader.chunk_count, reader.content_size, reader.offset)
