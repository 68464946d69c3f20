"""The content of members one after the other, in their order, with chunks decoded in parallel.

Members of different classes take turns in the archive while their chunks do not: a chunk is kept
until eight others have been used, so that each is nearly always decoded once.
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import IO, TYPE_CHECKING, Final

from lmarc.archive.extractor import Extracted
from lmarc.archive.globs import Selection
from lmarc.archive.names import FILE, HARDLINK
from lmarc.archive.stream import MAX_HOLES, BeginEntry, Data, StreamReader
from lmarc.errors import LimitError, LmarcError, MemberNotFoundError

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive

__all__ = [
    "Progress",
    "Span",
    "check_matched",
    "copy_members",
    "copy_stream",
    "read_spans",
    "write_all",
]

_KEPT: Final = 8  # decoded chunks
_ZEROS: Final = memoryview(bytes(1 << 20))

Progress = Callable[[int, int], object]  # bytes of archive read, bytes of content written
Span = tuple[int, int, int]  # a file's number, and the range of its content: start, end
_Part = tuple[int, int, int]  # a chunk, and a range of its content; chunk -1: that many zeros


class _Recent:
    """Which chunks are at hand: the same questions give the same answers in every run."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[int, memoryview] = OrderedDict()

    def get(self, chunk: int, fetch: Callable[[int], memoryview]) -> memoryview:
        if chunk in self._chunks:
            self._chunks.move_to_end(chunk)
        else:
            self._chunks[chunk] = fetch(chunk)
            if len(self._chunks) > _KEPT:
                self._chunks.popitem(last=False)
        return self._chunks[chunk]


def _parts(archive: Archive, spans: Iterable[Span]) -> Iterator[_Part]:
    """Give the parts of chunks that make up the content, holes as zeros."""
    for entry, start, end in spans:
        at = start
        pieces = archive.index.pieces_of(entry, start, end)
        columns = (column.tolist() for column in pieces[1:])
        for chunk, position, size, offset in zip(*columns, strict=True):
            if position > at:
                yield -1, at, position
                at = position
            stop = min(position + size, end)
            yield chunk, at - position + offset, stop - position + offset
            at = stop
        if at < end:
            yield -1, at, end


def read_spans(
    archive: Archive, spans: Sequence[Span], *, jobs: int | None = None
) -> Iterator[memoryview]:
    """Give the content of ranges of files, in order, piece by piece; holes are zeros.

    Raises
    ------
    CorruptError, SourceError
        A chunk is damaged or cannot be read.
    """
    needed: list[int] = []

    def take_note(chunk: int) -> memoryview:
        needed.append(chunk)
        return _ZEROS

    ahead = _Recent()
    ends: dict[int, int] = {}
    for chunk, _, end in _parts(archive, spans):
        if chunk >= 0:
            ahead.get(chunk, take_note)
            ends[chunk] = max(ends.get(chunk, 0), end)
    decoded = archive.decode_chunks(needed, jobs=jobs, ends=ends)

    def fetch(_: int) -> memoryview:
        content = next(decoded)
        if isinstance(content, LmarcError):
            raise content
        return content

    recent = _Recent()
    with closing(decoded):
        for chunk, start, end in _parts(archive, spans):
            if chunk >= 0:
                yield recent.get(chunk, fetch)[start:end]
            else:
                for at in range(start, end, len(_ZEROS)):
                    yield _ZEROS[: end - at]


def write_all(file: IO[bytes], data: memoryview) -> None:
    """Write all of `data`, also to a file object that takes it in parts."""
    while len(data):
        data = data[file.write(data) or 0 :]


def check_matched(selection: Selection) -> None:
    """Raise MemberNotFoundError when a pattern has matched no name."""
    missing = selection.unmatched()
    if missing:
        shown = ", ".join(repr(pattern) for pattern in missing)
        raise MemberNotFoundError(f"no member matches {shown}")


def _selected(
    archive: Archive, selection: Selection, notify: Callable[[bytes], object] | None
) -> list[Span]:
    """The files that are selected, whole, in order.

    A hard link gives its target's content where the target itself is not selected.
    """
    entries = archive.members
    names = entries["path"].to_pylist()
    types = entries["type"].to_pylist()
    spans = []
    for at, name in enumerate(names):
        if not selection.match(name) or types[at] not in (FILE, HARDLINK):
            continue
        file = at
        if types[at] == HARDLINK:
            target = entries["link_target"][at].as_py()
            if selection.match(target):
                continue
            file = archive.file_entry(target)
        if notify is not None:
            notify(name)
        spans.append((file, 0, int(archive.index.entry_sizes[file])))
    return spans


def _range(span: Span, start: int | None, end: int | None) -> Span:
    first, stop, _ = slice(start, end).indices(span[2])
    return span[0], first, max(first, stop)


def copy_members(
    archive: Archive,
    file: IO[bytes],
    *,
    globs: Iterable[str | bytes] = (),
    names: Sequence[str | bytes] = (),
    start: int | None = None,
    end: int | None = None,
    max_size: int | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    notify: Callable[[bytes], object] | None = None,
    expect: Callable[[int], object] | None = None,
) -> Extracted:
    """Write the content of files to one file object, in order.

    Parameters
    ----------
    file : binary file object
        Gets the content.
    globs : iterable of str or bytes
        Which members, as for `extract_archive`; only if `names` is empty.
    names : sequence of str or bytes
        Exact names of files or hard links, in the order they are wanted in.
    start, end : int, optional
        The range of each member, as in a slice.
    max_size, jobs, progress, notify, expect
        As for `extract_archive`.

    Raises
    ------
    MemberNotFoundError, IsADirectoryError, ValueError
        No such member; a directory; a symbolic link. Nothing was written.
    LimitError
        More than `max_size`. Nothing was written.
    CorruptError, SourceError
        A chunk is damaged or cannot be read.
    """
    if names:
        numbers = [archive.file_entry(name) for name in names]
        spans = [(number, 0, int(archive.index.entry_sizes[number])) for number in numbers]
    else:
        selection = Selection(globs)
        spans = _selected(archive, selection, notify)
        check_matched(selection)
    spans = [_range(span, start, end) for span in spans]
    total = sum(stop - first for _, first, stop in spans)
    if max_size is not None and total > max_size:
        raise LimitError(f"the members have {total:,} bytes, at most {max_size:,} are allowed")
    if expect is not None:
        expect(total)
    written = 0
    for data in read_spans(archive, spans, jobs=jobs):
        write_all(file, data)
        written += len(data)
        if progress is not None:
            progress(written, written)
    return Extracted(len(spans), written)


class _InOrder:
    """Writes files one after the other while their data comes in turns.

    Data of the first file that has not ended goes straight through; that of later ones waits in a
    temporary file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        # Files that have begun, in order -> (position, place in the spool, size) of what waits.
        self._waiting: OrderedDict[int, list[tuple[int, int, int]]] = OrderedDict()
        self._ended: dict[int, int] = {}  # number -> size
        self._head = -1  # the file that is being written
        self._position = 0  # in it
        self.size = 0  # bytes written

    def close(self) -> None:
        self._spool.close()

    def begin(self, number: int) -> None:
        self._waiting[number] = []

    def data(self, number: int, position: int, data: memoryview) -> None:
        if number not in self._waiting:
            return
        if number == self._first():
            self._write(position, data)
        else:
            place = self._spool.seek(0, 2)
            self._spool.write(data)
            self._waiting[number].append((position, place, len(data)))

    def end(self, number: int, size: int) -> None:
        if number not in self._waiting:
            return
        self._ended[number] = size
        while self._waiting and (first := self._first()) in self._ended:
            self._fill(self._ended.pop(first))
            del self._waiting[first]
        if not any(self._waiting.values()):
            self._spool.seek(0)
            self._spool.truncate()

    def _first(self) -> int:
        """The file whose turn it is; what of it has waited is written first."""
        first = next(iter(self._waiting))
        if first != self._head:
            self._head, self._position = first, 0
            for position, place, size in self._waiting[first]:
                self._spool.seek(place)
                self._write(position, memoryview(self._spool.read(size)))
            self._waiting[first] = []
        return first

    def _write(self, position: int, data: memoryview) -> None:
        self._fill(position)
        write_all(self._file, data)
        self._position += len(data)
        self.size += len(data)

    def _fill(self, position: int) -> None:
        while self._position < position:
            zeros = _ZEROS[: position - self._position]
            write_all(self._file, zeros)
            self._position += len(zeros)
            self.size += len(zeros)


def copy_stream(
    stream: IO[bytes],
    file: IO[bytes],
    *,
    globs: Iterable[str | bytes] = (),
    max_size: int | None = None,
    jobs: int | None = None,
    model: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    notify: Callable[[bytes], object] | None = None,
) -> Extracted:
    """Write the content of files in an archive that comes from a pipe to one file object, in order.

    Parameters
    ----------
    stream : binary file object
        The archive, read once to its end.
    file : binary file object
        Gets the content.
    globs, max_size, jobs, progress, notify
        As for `copy_members`. A hard link gives nothing: its target has passed.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.

    Raises
    ------
    FormatError
        At the first thing that is wrong; what was written before it was sound.
    MemberNotFoundError
        A pattern matches no member; the others were written.
    """
    selection = Selection(globs)
    limit = None if selection else max_size
    path = None if model is None else os.path.abspath(model)
    holes = max(max_size or 0, MAX_HOLES)
    reader = StreamReader(stream, jobs=jobs, max_size=limit, max_holes=holes, model=path)
    output = _InOrder(file)
    member_count = 0
    events = reader.events()
    try:
        for event in events:
            if isinstance(event, BeginEntry):
                if selection.match(event.path) and event.type == FILE:
                    member_count += 1
                    output.begin(event.number)
                    if notify is not None:
                        notify(event.path)
            elif isinstance(event, Data):
                output.data(event.number, event.position, event.data)
                if progress is not None:
                    progress(reader.offset, output.size)
            else:
                output.end(event.number, event.size)
            if max_size is not None and output.size > max_size:
                raise LimitError(f"the members have more than {max_size:,} bytes")
    finally:
        events.close()
        output.close()
    check_matched(selection)
    return Extracted(member_count, output.size)
