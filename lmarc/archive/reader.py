"""Read an archive at random: open by its end, fetch exactly the chunks that are wanted."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Self, cast

from lmarc.archive.cache import ChunkCache
from lmarc.archive.fetch import ChunkReader
from lmarc.archive.index import Index, Pieces, parse_index
from lmarc.archive.member import Member, MemberFile
from lmarc.archive.messages import show
from lmarc.archive.names import DIRECTORY, HARDLINK, SYMLINK
from lmarc.archive.opening import Ending, find_ending
from lmarc.archive.setfile import is_set
from lmarc.archive.source import Source, open_source
from lmarc.archive.workers import default_jobs
from lmarc.codec.base import ModelRef
from lmarc.errors import CorruptError, LmarcError, MemberNotFoundError
from lmarc.format.footer import Footer

if TYPE_CHECKING:
    import pyarrow as pa

    from lmarc.archive.extractor import Extracted
    from lmarc.archive.lines import LineTable
    from lmarc.archive.member_records import MemberRecords
    from lmarc.archive.verify import Verified

__all__ = ["Archive", "open_archive"]

_CACHE_SIZE: Final = 64 << 20  # bytes of decoded chunks
_PICKLED_INDEX: Final = 1 << 20  # bytes of an Index record that travels with a pickled archive
_ROWS: Final = 4096  # entries that become members at once


class Archive:
    """An archive that is open for reading; make one with `lmarc.open`.

    Safe to share between threads. Picklable: a copy makes no request until it is used.

    Parameters
    ----------
    source : Source
        Where the archive's bytes are.
    ending : Ending, optional
        What `find_ending` has found there; looked for at first use otherwise.
    cache_size : int
        Bytes of decoded chunks to keep, for all open members together.
    incomplete : bool
        Whether to open what an interrupted append has left as it was before.
    model : str, optional
        Where to look first for a model that the archive does not embed.
    """

    def __init__(
        self,
        source: Source,
        ending: Ending | None = None,
        *,
        cache_size: int = _CACHE_SIZE,
        incomplete: bool = False,
        model: str | None = None,
    ) -> None:
        self._source = source
        self._ending = ending
        self._incomplete = incomplete
        self._parsed: Index | None = None
        self._cache = ChunkCache(cache_size)
        self._model_path = model
        self._chunk_reader: ChunkReader | None = None
        self._lines: LineTable | None = None
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        ending = self._ending
        if ending is not None and not 0 < len(ending.index) <= _PICKLED_INDEX:
            ending = None
        state = (self._source, ending, self._cache.capacity, self._incomplete, self._model_path)
        return _restore, state

    def __repr__(self) -> str:
        return f"<lmarc.Archive {self.url!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and decoded chunks; a later read opens them again."""
        self._source.close()
        self._cache.clear()

    @property
    def url(self) -> str:
        """The archive's address, without credentials."""
        return self._source.url

    @property
    def source(self) -> Source:
        """Where the archive's bytes are."""
        return self._source

    @property
    def index(self) -> Index:
        """The index, read and validated at first use."""
        if self._parsed is None:
            with self._lock:
                if self._parsed is None:
                    ending = self.ending
                    parsed = parse_index(ending.index, ending.footer, ending.archive_tag)
                    if len(ending.index) > _PICKLED_INDEX:
                        self._ending = Ending(ending.footer, ending.archive_tag, ending.offset, b"")
                    self._parsed = parsed
        return self._parsed

    @property
    def chunk_reader(self) -> ChunkReader:
        """What fetches and decodes chunks."""
        if self._chunk_reader is None:
            with self._lock:
                if self._chunk_reader is None:
                    tag = self.ending.archive_tag
                    self._chunk_reader = ChunkReader(
                        self._source, self.index, tag, self._cache, self._model_path
                    )
        return self._chunk_reader

    @property
    def ending(self) -> Ending:
        """The Footer, and the Index record if it is small."""
        if self._ending is None:
            with self._lock:
                if self._ending is None:
                    self._ending = find_ending(self._source, incomplete=self._incomplete)
        return self._ending

    @property
    def footer(self) -> Footer:
        """The last Footer; its index_sha256 names everything that extraction makes."""
        return self.ending.footer

    @property
    def size(self) -> int:
        """Bytes of the archive."""
        return self.ending.size

    @property
    def members(self) -> pa.Table:
        """A row for each entry, in their order.

        Columns: path (binary), type (uint8: 1 file, 2 directory, 3 symbolic link, 4 hard link),
        flags (uint8: bit 0 sparse, bit 1 changed while read), mode (uint16), mtime (int64, ns), uid
        and gid (int64, -1 not recorded), user, group and link_target (binary), xattrs (map of
        binary to binary), size (uint64, bytes), sha256 (fixed_size_binary(32)).
        """
        return self.index.entries

    def chunks(self) -> pa.Table:
        """Return a row for each chunk, in file order.

        Columns: offset (uint64, of the record), stored_size (uint64, of the whole record),
        content_size (uint64), codec and model_slot (uint16), content_class (uint8),
        payload_checksum and content_checksum (uint64, XXH3-64).
        """
        return self.index.chunks

    def models(self) -> pa.Table:
        """Return a row for each slot: kind, size, sha256, offset, embedded."""
        return self.index.models

    def describe(self) -> dict[str, Any]:
        """Return version, features, counts, sizes, codecs and models, as `lmarc info --json`."""
        from lmarc.archive.describe import describe_archive

        return describe_archive(self)

    def describe_chunks(self, chunks: Sequence[int]) -> list[dict[str, Any]]:
        """Return a dict for each of some chunks, as `lmarc list --chunks --json`."""
        from lmarc.archive.describe import describe_chunks

        return describe_chunks(self, chunks)

    def piece_arrays(self) -> Pieces:
        """Return where the bytes of members are, in order of chunks: five int64 arrays."""
        return self.index.pieces_by_chunk

    def chunk_sizes(self) -> Any:
        """Return the stored size of each chunk's record: int64, shape (chunks,), bytes."""
        return self.index.chunk_stored_sizes

    def __len__(self) -> int:
        return int(self.index.entries.num_rows)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str | bytes) and self._find(name) >= 0

    def __iter__(self) -> Iterator[Member]:
        for start in range(0, len(self), _ROWS):
            rows = self.index.entries.slice(start, _ROWS)
            yield from _members(rows, range(start, start + rows.num_rows))

    def info(self, name: str | bytes) -> Member:
        """Return the member of this name.

        Raises
        ------
        MemberNotFoundError
            There is none.
        """
        return self.member(self._entry(name))

    def member(self, number: int) -> Member:
        """Return the member of this number: a row of `members`."""
        return next(_members(self.index.entries.slice(number, 1), [number]))

    def members_at(self, numbers: Sequence[int]) -> Iterator[Member]:
        """Give the members of these numbers, in their order."""
        for start in range(0, len(numbers), _ROWS):
            some = numbers[start : start + _ROWS]
            yield from _members(self.index.entries.take(some), some)

    def _find(self, name: str | bytes) -> int:
        return self.index.paths.find(os.fsencode(name))

    def _entry(self, name: str | bytes) -> int:
        entry = self._find(name)
        if entry < 0:
            raise MemberNotFoundError(f"no member {show(os.fsencode(name))!r} in {self.url}")
        return entry

    def file_entry(self, name: str | bytes) -> int:
        """Return the number of the file that a name stands for, hard links followed.

        Raises
        ------
        MemberNotFoundError, IsADirectoryError, ValueError
            No such member; a directory; a symbolic link.
        """
        entry = self._entry(name)
        entries = self.index.entries
        entry_type = entries["type"][entry].as_py()
        if entry_type == HARDLINK:
            return self.file_entry(entries["link_target"][entry].as_py())
        shown = f"{show(os.fsencode(name))!r} in {self.url}"
        if entry_type == DIRECTORY:
            raise IsADirectoryError(21, "is a directory", shown)
        if entry_type == SYMLINK:
            target = show(entries["link_target"][entry].as_py())
            raise ValueError(f"{shown} is a symbolic link to {target!r}, which is not followed")
        return entry

    def read(self, name: str | bytes, position: int = 0, size: int = -1) -> bytes:
        """Return a member's bytes.

        Parameters
        ----------
        name : str or bytes
            A file, or a hard link to one.
        position : int
            Where to start, 0 or more.
        size : int
            How many bytes, fewer only at the member's end; all up to the end if negative.

        Raises
        ------
        MemberNotFoundError, IsADirectoryError, ValueError
            No such member; a directory; a symbolic link or a negative position.
        CorruptError, SourceError
            The bytes are damaged, or cannot be read.
        """
        if position < 0:
            raise ValueError(f"position is {position}, expected 0 or more")
        entry = self.file_entry(name)
        data = self.read_entry(entry, position, size)
        if position == 0 and len(data) == self.index.entry_sizes[entry]:
            expected = self.index.entries["sha256"][entry].as_py()
            if hashlib.sha256(data).digest() != expected:
                raise CorruptError(f"{show(os.fsencode(name))!r} does not have its SHA-256")
        return data

    def read_entry(self, entry: int, position: int, size: int, *, ahead: bool = False) -> bytes:
        """Return the bytes of the file with this number; as `read`.

        `ahead` says that what follows is read next, so that chunks are decoded whole.
        """
        total = int(self.index.entry_sizes[entry])
        end = total if size < 0 else min(total, position + size)
        if position >= end:
            return b""
        pieces = self.index.pieces_of(entry, position, end)
        wanted = list(_cut(pieces, position, end))
        if len(wanted) == 1 and wanted[0][3] == end - position:
            _, chunk, offset, count = wanted[0]
            ends = {} if ahead else {chunk: offset + count}
            content = self.chunk_reader.contents([chunk], ends)[chunk]
            return content if count == len(content) else content[offset : offset + count]
        out = bytearray(end - position)
        for first in range(0, len(wanted), _ROWS):
            some = wanted[first : first + _ROWS]
            ends = {}
            for _, chunk, offset, count in () if ahead else some:
                ends[chunk] = max(ends.get(chunk, 0), offset + count)
            for batch in self.chunk_reader.batches([chunk for _, chunk, _, _ in some]):
                contents = self.chunk_reader.contents(batch, ends)
                for place, chunk, offset, count in some:
                    if chunk in contents:
                        start = place - position
                        out[start : start + count] = memoryview(contents[chunk])[
                            offset : offset + count
                        ]
        return bytes(out)

    def read_window(self, entry: int, position: int, size: int) -> bytes:
        """Return at least one and at most `size` bytes: those of one chunk, or of a hole."""
        total = int(self.index.entry_sizes[entry])
        end = min(total, position + size)
        pieces = self.index.pieces_of(entry, position, end)
        if len(pieces.entry):
            start, stop = int(pieces.position[0]), int(pieces.position[0] + pieces.size[0])
            end = min(end, stop if start <= position else start)
        return self.read_entry(entry, position, end - position)

    def open(
        self,
        name: str | bytes,
        mode: Literal["rb", "r", "rt"] = "rb",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Return a member as a seekable file object, binary or text.

        Parameters
        ----------
        name : str or bytes
            A file, or a hard link to one.
        mode : str
            'rb' for bytes; 'r' or 'rt' for text.
        encoding, errors, newline
            For text, as for the builtin `open`; UTF-8 if no encoding is given.
        """
        if mode not in ("rb", "r", "rt"):
            raise ValueError(f"mode is {mode!r}, expected 'rb', 'r' or 'rt'")
        if mode == "rb" and (encoding, errors, newline) != (None, None, None):
            raise ValueError("encoding, errors and newline are for text")
        entry = self.file_entry(name)
        size = int(self.index.entry_sizes[entry])
        file = MemberFile(self, entry, os.fsdecode(os.fsencode(name)), size)
        if mode == "rb":
            return cast("IO[bytes]", file)
        return io.TextIOWrapper(file, encoding or "utf-8", errors, newline)

    def extract(self, directory: str | bytes | os.PathLike[str] = ".", **options: Any) -> Extracted:
        """Write members below a directory, safely: nothing outside it is ever touched.

        Parameters
        ----------
        directory : path
            Made when it is not there.
        **options
            Those of `lmarc.archive.extract.extract_archive`: globs, keep, strip_components,
            max_size, same_owner, numeric_owner, jobs, executor, warn, progress, notify, expect.
        """
        from lmarc.archive.extract import extract_archive

        return extract_archive(self, directory, **options)

    def copy(self, file: IO[bytes], **options: Any) -> Extracted:
        """Write the content of files to one binary file object, in order.

        Parameters
        ----------
        file : binary file object
            Gets the content.
        **options
            Those of `lmarc.archive.content.copy_members`: globs, names, start, end, max_size, jobs,
            progress, notify, expect.
        """
        from lmarc.archive.content import copy_members

        return copy_members(self, file, **options)

    def verify(
        self,
        *,
        jobs: int | None = None,
        max_size: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Verified:
        """Read every byte and check it: records, chunks, members, and the Index against them.

        Parameters
        ----------
        jobs : int, optional
            Threads that decode; as many as there are processors otherwise.
        max_size : int, optional
            Bytes of content, holes counted, beyond which nothing is checked. Holes of more than
            1 TiB are refused unless this is more.
        progress : callable, optional
            Gets the bytes of archive read and of content checked so far, now and then.

        Raises
        ------
        FormatError
            The first thing that is wrong.
        LimitError
            More content or holes than allowed.
        """
        from lmarc.archive.verify import verify_archive

        return verify_archive(
            self._source,
            self.index,
            self.ending,
            jobs=jobs,
            max_size=max_size,
            lines=self.line_table,
            progress=progress,
            model=self._model_path,
        )

    def decode_chunks(
        self,
        chunks: Iterable[int],
        *,
        jobs: int | None = None,
        executor: Executor | None = None,
        ends: Mapping[int, int] | None = None,
    ) -> Generator[memoryview | LmarcError, None, None]:
        """Give the contents of chunks in the order asked for, decoded in parallel.

        A chunk that cannot be read gives the error instead. Memory stays within a few batches of
        4 MiB of content, whatever the chunks declare.

        Parameters
        ----------
        chunks : iterable of int
            Their numbers, ascending for speed.
        jobs : int, optional
            Threads; as many as there are processors otherwise.
        executor : concurrent.futures.Executor, optional
            Decodes instead of threads of our own.
        ends : mapping of int to int, optional
            How many bytes of a chunk's content are needed, from its beginning; of one that is not
            there all are. What is given may be cut there, and only what is whole is checked against
            its content's checksum.
        """
        return self.chunk_reader.decode(list(chunks), jobs or default_jobs(), executor, ends or {})

    def model(self, slot: int) -> ModelRef:
        """Return the model in a slot; its bytes only where the archive embeds them."""
        return self.chunk_reader.model(slot)

    @property
    def line_table(self) -> LineTable:
        """What the line indexes in the archive say; read at first use, one request for each."""
        if self._lines is None:
            from lmarc.archive.lines import LineTable, line_index_slots

            models = [self.model(slot).data or b"" for slot in line_index_slots(self.index)]
            self._lines = LineTable(self.index, models)
        return self._lines

    def records(self, name: str | bytes) -> MemberRecords:
        """Return the lines of a file as a sequence of bytes: `len`, indexes, slices, iteration.

        A record is a line, without the newline that ends it and a carriage return before that.

        Parameters
        ----------
        name : str or bytes
            A file, or a hard link to one.

        Raises
        ------
        MemberNotFoundError, IsADirectoryError, ValueError
            No such member; a directory; a symbolic link or a file with holes.
        """
        from lmarc.archive.member_records import MemberRecords

        return MemberRecords(self, self.file_entry(name))

    def to_table(self, name: str | bytes, start: int = 0, stop: int | None = None) -> pa.Table:
        """Return records of a file of JSON lines as an Arrow table, parsed by `pyarrow.json`.

        Parameters
        ----------
        name : str or bytes
            A file, or a hard link to one.
        start, stop : int
            Which records, as in a slice; all if neither is given. Only their chunks are read.

        Raises
        ------
        pyarrow.ArrowInvalid
            They are no JSON lines.
        MemberNotFoundError, IsADirectoryError, ValueError, CorruptError, SourceError
            As for `records` and `read`.
        """
        import pyarrow as pa
        from pyarrow import json

        if start == 0 and stop is None:
            return json.read_json(pa.BufferReader(self.read(name)))
        records = self.records(name)[start:stop]
        return json.read_json(pa.BufferReader(b"\n".join(records)))


def _cut(pieces: Pieces, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Give (position in the member, chunk, offset in it, size) of what lies in a range."""
    for _, chunk, start, size, offset in zip(*(column.tolist() for column in pieces), strict=True):
        first, last = max(start, position), min(start + size, end)
        yield first, chunk, offset + first - start, last - first


def _members(entries: pa.Table, numbers: Sequence[int]) -> Iterator[Member]:
    """Give the rows of a table as members with these numbers."""
    columns = [column.to_pylist() for column in entries.columns]
    columns[10] = [tuple(pairs) for pairs in columns[10]]
    for number, row in zip(numbers, zip(*columns, strict=True), strict=True):
        yield Member(number, *row)


def _restore(
    source: Source, ending: Ending | None, cache_size: int, incomplete: bool, model: str | None
) -> Archive:
    return Archive(source, ending, cache_size=cache_size, incomplete=incomplete, model=model)


def open_archive(
    url: str | os.PathLike[str],
    mode: Literal["r"] = "r",
    *,
    storage_options: Mapping[str, Any] | None = None,
    cache_size: int = _CACHE_SIZE,
    incomplete: bool = False,
    model: str | os.PathLike[str] | None = None,
) -> Archive:
    """Open an archive for random reads.

    Parameters
    ----------
    url : str or path
        A path, or any URL that fsspec knows; one that ends with .lmarcset is a set of archives that
        is read as one.
    mode : str
        'r'; for writing see `lmarc.Writer` and `lmarc.append`.
    storage_options : mapping, optional
        For the URL's file system.
    cache_size : int
        Bytes of decoded chunks to keep in memory.
    incomplete : bool
        Whether to open the archive as it was before an append that was interrupted.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.

    Returns
    -------
    Archive
        Its index has been read and validated in full.

    Raises
    ------
    FileNotFoundError, SourceError
        It is not there, or cannot be read.
    NotAnArchiveError, UnsupportedVersionError, TruncatedError, CorruptError, LimitError
        It is no archive, or not a sound one.
    """
    if mode != "r":
        raise ValueError(f"mode is {mode!r}, expected 'r'; to write use lmarc.Writer or append")
    path = None if model is None else os.path.abspath(model)
    archive: Archive
    if is_set(os.fspath(url)):
        from lmarc.archive.sets import ArchiveSet

        archive = ArchiveSet(os.fspath(url), storage_options, cache_size=cache_size, model=path)
    else:
        source = open_source(os.fspath(url), storage_options)
        archive = Archive(source, cache_size=cache_size, incomplete=incomplete, model=path)
    try:
        _ = archive.index
    except BaseException:
        archive.close()
        raise
    return archive
