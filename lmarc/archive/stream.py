"""Read an archive in one pass, from a pipe: members begin, have data and end (spec §10.2).

A group at a time is in memory. What comes out of a group has passed every check that can be made
before its chunks are decoded; the SHA-256 of a member is compared before its end is given.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import xxhash

from lmarc.archive.chunks import decode_record, parse_chunk, parse_model
from lmarc.archive.groups import GroupTables, parse_group
from lmarc.archive.messages import show
from lmarc.archive.names import FILE, HARDLINK, Names
from lmarc.archive.validate import SPARSE
from lmarc.archive.workers import Workers, default_jobs
from lmarc.codec.base import ModelRef
from lmarc.errors import CorruptError, LimitError, TruncatedError
from lmarc.format.chunk import ChunkHeader
from lmarc.format.footer import Footer
from lmarc.format.header import ArchiveHeader
from lmarc.format.index import IndexHeader
from lmarc.format.limits import MAX_MODELS
from lmarc.format.model import ModelHeader
from lmarc.format.record import RecordHeader, RecordType

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "MAX_HOLES",
    "BeginEntry",
    "Data",
    "EndEntry",
    "Event",
    "StreamReader",
    "check_holes",
    "read_stream",
]

_COPY: Final = 1 << 20  # bytes
_ZEROS: Final = bytes(_COPY)

# Holes cost an archive nothing and a reader the SHA-256 of their zeros: some ten minutes for these.
MAX_HOLES: Final = 1 << 40  # bytes in all members together, where the user allows no more


class BeginEntry(NamedTuple):
    """An entry begins."""

    number: int
    path: bytes
    type: int  # 1 file, 2 directory, 3 symbolic link, 4 hard link
    mode: int
    mtime: int  # nanoseconds since the epoch
    uid: int
    gid: int
    user: bytes
    group: bytes
    link_target: bytes
    xattrs: list[tuple[bytes, bytes]]


class Data(NamedTuple):
    """Some bytes of a file that has begun; what no data covers is zero."""

    number: int
    position: int  # in the member
    data: memoryview


class EndEntry(NamedTuple):
    """A file, directory or link is complete; size and SHA-256 of a file have been compared."""

    number: int
    flags: int  # bit 0 sparse, bit 1 changed while it was read
    size: int  # bytes, holes counted
    sha256: bytes


Event: TypeAlias = BeginEntry | Data | EndEntry


class _Receiving:
    """A file between its beginning and its end."""

    __slots__ = ("covered", "digest", "position")

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.position = 0  # up to where `digest` has seen it, holes as zeros
        self.covered = 0  # bytes of pieces

    def take(self, data: memoryview) -> None:
        self.digest.update(data)
        self.position += len(data)
        self.covered += len(data)

    def skip(self, position: int) -> None:
        missing = position - self.position
        while missing > 0:
            self.digest.update(_ZEROS[:missing])
            missing -= len(_ZEROS)
        self.position = position


def check_holes(size: int, allowed: int, *, offset: int | None = None) -> None:
    """Raise LimitError where holes of `size` bytes are more than what is allowed."""
    if size > allowed:
        message = f"the members have holes of {size:,} bytes or more"
        raise LimitError(f"{message}, at most {allowed:,} are allowed", offset=offset)


class StreamReader:
    """One pass over an archive.

    Parameters
    ----------
    file : binary file object
        Read to its end, never sought.
    jobs : int, optional
        Threads that decode; as many as there are processors otherwise.
    executor : concurrent.futures.Executor, optional
        Decodes instead of threads of our own.
    max_size : int, optional
        Bytes of content, holes counted, beyond which nothing is decoded.
    max_holes : int, optional
        Bytes of holes beyond which nothing is read; `max_size` where that is more.
    model : str, optional
        Where to look first for a model that the archive does not embed.
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        jobs: int | None = None,
        executor: Executor | None = None,
        max_size: int | None = None,
        max_holes: int = MAX_HOLES,
        model: str | None = None,
    ) -> None:
        self._file = file
        self._jobs = jobs
        self._executor = executor
        self._max_size = max_size
        self._max_holes = max(max_holes, max_size or 0)
        self._holes = 0  # bytes of holes that `digest`s have seen
        self._model_path = model
        self.offset = 0  # bytes read
        self.header = ArchiveHeader()
        self.entry_count = 0
        self.chunk_count = 0
        self.piece_count = 0
        self.models: list[ModelRef] = []
        self.content_size = 0  # bytes of members that have ended, holes counted
        self.footer: Footer | None = None  # the last
        self._names = Names()
        self._open: int | None = None  # number of the entry that has begun and not ended
        self._receiving: dict[int, _Receiving] = {}

    # What a verifier looks at besides; offsets are those of the records.
    def on_group(self, group: GroupTables) -> None:
        """Look at a group whose tables have been checked."""

    def on_chunk(self, offset: int, record: RecordHeader, chunk: ChunkHeader) -> None:
        """Look at a chunk's headers."""

    def on_model(self, offset: int, model: ModelHeader) -> None:
        """Look at a model's header."""

    def events(self) -> Generator[Event, None, None]:
        """Give everything up to the last Footer.

        Raises
        ------
        NotAnArchiveError, UnsupportedVersionError, TruncatedError, CorruptError, LimitError
            At the first thing that is wrong; what was given before it was sound.
        """
        self.header = ArchiveHeader.unpack(self._read(ArchiveHeader.SIZE, short=True))
        with Workers(self._executor, self._jobs or default_jobs()) as pool:
            while True:
                start = self.offset
                data = self._read(RecordHeader.SIZE, short=True)
                if not data and self.footer is not None:
                    return
                if len(data) < RecordHeader.SIZE:
                    raise TruncatedError("the archive ends before its Footer", offset=start)
                record = self._unpack(data, start)
                self.footer = None
                if record.record_type == RecordType.ENTRIES:
                    yield from self._group(self._payload(record, start), start, pool)
                elif record.record_type == RecordType.MODEL:
                    self._model(self._payload(record, start), start)
                elif record.record_type == RecordType.INDEX:
                    self._index(record, start)
                else:
                    message = f"record is {record.record_type.name}, expected ENTRIES or INDEX"
                    raise CorruptError(message, offset=start)

    def _read(self, size: int, *, short: bool = False) -> bytes:
        data = self._file.read(size)
        if len(data) < size and data:
            parts = [data]
            missing = size - len(data)
            while missing and (data := self._file.read(missing)):
                parts.append(data)
                missing -= len(data)
            data = b"".join(parts)
        self.offset += len(data)
        if len(data) < size and not short:
            message = f"a record has {size} bytes more, only {len(data)} are there"
            raise TruncatedError(message, offset=self.offset)
        return data

    def _unpack(self, data: bytes, offset: int) -> RecordHeader:
        record = RecordHeader.unpack(data, offset=offset)
        record.check_tag(self.header.archive_tag, offset=offset)
        return record

    def _payload(self, record: RecordHeader, offset: int) -> memoryview:
        # Memory follows what has come, not what the header declares.
        parts = []
        missing = record.payload_size
        while missing > 0:
            parts.append(self._read(min(missing, 16 * _COPY)))
            missing -= len(parts[-1])
        payload = parts[0] if len(parts) == 1 else b"".join(parts)
        record.check_payload(payload, offset=offset)
        return memoryview(payload)

    def _model(self, payload: memoryview, offset: int) -> None:
        if len(self.models) >= MAX_MODELS:
            raise LimitError(f"more than {MAX_MODELS} models", offset=offset)
        header, model = parse_model(payload, len(self.models), offset=offset, path=self._model_path)
        self.models.append(model)
        self.on_model(offset, header)

    def _group(self, payload: memoryview, offset: int, pool: Executor) -> Iterator[Event]:
        group = parse_group(payload, self.entry_count, self.chunk_count, self._open, offset=offset)
        self._check_names(group, offset)
        total = self.content_size + sum(group.ends["size"].to_pylist())
        if self._max_size is not None and total > self._max_size:
            message = f"the members are {total:,} bytes or more"
            raise LimitError(f"{message}, at most {self._max_size:,} are allowed", offset=offset)
        self.content_size = total
        self.on_group(group)
        yield from self._begins(group)
        left = dict(zip(*_counted(group.pieces.entry), strict=True))
        ends = {end.number: end for end in _ends(group.ends)}
        for number, end in ends.items():
            if number not in left:
                yield self._ended(end, offset)
        first = self.chunk_count
        bounds = np.searchsorted(
            group.pieces.chunk, np.arange(first, first + group.chunk_count + 1)
        )
        columns = [column.tolist() for column in group.pieces]
        for chunk, content in enumerate(self._chunks(group, pool)):
            low, high = int(bounds[chunk]), int(bounds[chunk + 1])
            for row in range(low, high):
                number, position = columns[0][row], columns[2][row]
                size, start = columns[3][row], columns[4][row]
                data = content[start : start + size]
                receiving = self._receiving[number]
                if position < receiving.position:
                    message = f"pieces of entry {number} overlap or do not ascend"
                    raise CorruptError(message, offset=offset)
                self._skip(receiving, position, offset)
                receiving.take(data)
                yield Data(number, position, data)
                left[number] -= 1
                if not left[number] and number in ends:
                    yield self._ended(ends[number], offset)
        self.entry_count += group.begins.num_rows
        self.piece_count += len(columns[0])
        self._open = group.open_entry

    def _check_names(self, group: GroupTables, offset: int) -> None:
        names = self._names
        paths, types = group.begins["path"].to_pylist(), group.begins["type"].to_pylist()
        for row, (name, entry_type) in enumerate(zip(paths, types, strict=True)):
            reason = names.clash(name, entry_type)
            if reason is None and entry_type == HARDLINK:
                target = group.begins["link_target"][row].as_py()
                if names.get(target) != FILE:
                    reason = "it is a hard link to what is no file that stands before it"
            if reason is not None:
                raise CorruptError(f"entry {show(name)!r}: {reason}", offset=offset)
            names.add(name, entry_type)

    def _begins(self, group: GroupTables) -> Iterator[BeginEntry]:
        columns = (column.to_pylist() for column in group.begins.columns)
        for number, row in enumerate(zip(*columns, strict=True), self.entry_count):
            if row[1] == FILE:
                self._receiving[number] = _Receiving()
            yield BeginEntry(number, *row)

    def _ended(self, end: EndEntry, offset: int) -> EndEntry:
        receiving = self._receiving.pop(end.number, None)
        if receiving is not None:
            if receiving.position > end.size or (
                receiving.covered != end.size and not end.flags & SPARSE
            ):
                message = f"pieces cover {receiving.covered} bytes of entry {end.number}"
                raise CorruptError(f"{message}, its size is {end.size}", offset=offset)
            self._skip(receiving, end.size, offset)
            if receiving.digest.digest() != end.sha256:
                message = f"entry {end.number} does not have the SHA-256 that its end names"
                raise CorruptError(message, offset=offset)
        return end

    def _skip(self, receiving: _Receiving, position: int, offset: int) -> None:
        self._holes += position - receiving.position
        check_holes(self._holes, self._max_holes, offset=offset)
        receiving.skip(position)

    def _chunks(self, group: GroupTables, pool: Executor) -> Iterator[memoryview]:
        """Give the contents of a group's chunks; a few are decoded at the same time."""
        running: deque[Future[bytes]] = deque()
        ahead = 2 * (self._jobs or default_jobs())
        try:
            for size in group.chunk_sizes.tolist():
                running.append(self._submit_chunk(size, pool))
                if len(running) > ahead:
                    yield memoryview(running.popleft().result())
            while running:
                yield memoryview(running.popleft().result())
        finally:
            for future in running:
                future.cancel()

    def _submit_chunk(self, size: int, pool: Executor) -> Future[bytes]:
        while True:
            offset = self.offset
            record = self._unpack(self._read(RecordHeader.SIZE), offset)
            payload = self._payload(record, offset)
            if record.record_type != RecordType.MODEL:
                break
            self._model(payload, offset)
        if record.record_type != RecordType.CHUNK:
            message = f"record is {record.record_type.name}, expected CHUNK"
            raise CorruptError(message, offset=offset)
        kinds = [model.kind for model in self.models]
        header = parse_chunk(payload, self.chunk_count, kinds, offset=offset)
        if header.content_size != size:
            message = f"Content_Size is {header.content_size}, the chunk's pieces sum to {size}"
            raise CorruptError(message, offset=offset)
        self.on_chunk(offset, record, header)
        self.chunk_count += 1
        model = self.models[header.model_slot] if header.model_slot < len(self.models) else None
        return pool.submit(_decode, header, bytes(payload), model, offset)

    def _index(self, record: RecordHeader, offset: int) -> None:
        """Check an Index without holding it, and the Footer behind it."""
        if self._open is not None:
            raise CorruptError(f"entry {self._open} has no end before the Index", offset=offset)
        sha256, checksum = hashlib.sha256(record.pack()), xxhash.xxh3_64()
        missing, counts = record.payload_size, b""
        while missing:
            data = self._read(min(missing, _COPY))
            counts = counts or data[: IndexHeader.SIZE]
            sha256.update(data)
            checksum.update(data)
            missing -= len(data)
        if checksum.intdigest() != record.payload_checksum:
            raise CorruptError("Payload_Checksum of the Index is wrong", offset=offset)
        found = (self.entry_count, self.chunk_count, self.piece_count, len(self.models))
        if IndexHeader.unpack(counts, offset=offset) != IndexHeader(*found):
            message = f"the Index does not count {found} entries, chunks, pieces and models"
            raise CorruptError(message, offset=offset)
        start = self.offset
        footer_record = self._unpack(self._read(RecordHeader.SIZE), start)
        if footer_record.record_type != RecordType.FOOTER:
            message = f"record is {footer_record.record_type.name}, expected FOOTER"
            raise CorruptError(message, offset=start)
        footer = Footer.unpack(self._payload(footer_record, start), offset=start)
        if (footer.index_offset, footer.index_size) != (offset, record.record_size):
            raise CorruptError("the Footer points to another Index", offset=start)
        if footer.index_sha256 != sha256.digest():
            raise CorruptError("the Index does not have the SHA-256 of its Footer", offset=start)
        header = self.header
        # "They MUST include every bit that is set in the Header; an append may add bits."
        if (
            header.required_features & ~footer.required_features
            or header.optional_features & ~footer.optional_features
        ):
            raise CorruptError("the Footer lacks a feature of the Header", offset=start)
        if footer.version_minor < header.version_minor:
            message = f"Version_Minor is {footer.version_minor}, the Header has"
            raise CorruptError(f"{message} {header.version_minor}", offset=start)
        self.footer = footer


def _decode(header: ChunkHeader, payload: bytes, model: ModelRef | None, offset: int) -> bytes:
    return decode_record(header, payload, model, offset=offset)


def _counted(entries: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Return each number of an array once, and how often it occurs."""
    numbers, counts = np.unique(entries, return_counts=True)
    return numbers.tolist(), counts.tolist()


def _ends(table: pa.Table) -> Iterator[EndEntry]:
    columns = (column.to_pylist() for column in table.columns)
    return (EndEntry(*row) for row in zip(*columns, strict=True))


def read_stream(
    file: IO[bytes],
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    max_size: int | None = None,
    model: str | None = None,
) -> Generator[Event, None, None]:
    """Give the members of an archive as they come from a pipe.

    Entries of a group begin together, before its data; a file's data comes in ascending position,
    members take turns.

    Parameters
    ----------
    file : binary file object
        Read to its end, never sought.
    jobs, executor
        What decodes; as many threads as there are processors otherwise.
    max_size : int, optional
        Bytes of content, holes counted, beyond which nothing is decoded. Holes of more than 1 TiB
        are refused unless this is more.
    model : str, optional
        Where to look first for a model that the archive does not embed.

    Yields
    ------
    BeginEntry, Data, EndEntry

    Raises
    ------
    FormatError
        At the first thing that is wrong; what was given before it was sound.
    """
    reader = StreamReader(file, jobs=jobs, executor=executor, max_size=max_size, model=model)
    return reader.events()
