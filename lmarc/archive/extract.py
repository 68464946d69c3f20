"""Extraction: from an open archive, chunks decoded in parallel, and from a stream as it comes.

Both give members to an `Extractor`. From an archive with an index only the chunks that are wanted
are read, in file order. One damaged chunk costs the members that it holds: the others come out, and
then the first error is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.archive.content import Progress, check_matched
from lmarc.archive.extractor import Extracted, Extractor
from lmarc.archive.globs import Selection
from lmarc.archive.messages import Warn, show
from lmarc.archive.names import DIRECTORY, FILE, HARDLINK
from lmarc.archive.stream import MAX_HOLES, BeginEntry, Data, StreamReader
from lmarc.archive.tables import as_numpy, rows_at
from lmarc.errors import FormatError, LimitError, LmarcError, ModelNotFoundError

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive

__all__ = ["extract_archive", "extract_stream"]

_BATCH: Final = 4096  # entries whose rows are in memory
_CHUNKS: Final = 64  # chunks whose members are begun together, fewer if they have many

Integers = npt.NDArray[np.int64]


class _Row(NamedTuple):
    """An entry, as `Extractor` takes it."""

    path: bytes
    type: int
    mode: int
    mtime: int
    uid: int
    gid: int
    user: bytes
    group: bytes
    link_target: bytes
    xattrs: list[tuple[bytes, bytes]]
    size: int


def _rows(entries: Any, numbers: Integers) -> Iterator[tuple[int, _Row]]:
    """Give the rows of some entries, a batch at a time."""
    for at in range(0, len(numbers), _BATCH):
        some = numbers[at : at + _BATCH]
        table = rows_at(entries, some)
        columns = [table[name].to_pylist() for name in _Row._fields]
        for number, row in zip(some.tolist(), zip(*columns, strict=True), strict=True):
            yield number, _Row(*row)


class _Plan:
    """Which entries and pieces of an archive an extraction wants."""

    def __init__(self, archive: Archive, selection: Selection) -> None:
        self.entries = archive.members
        self.types = as_numpy(self.entries["type"])
        self.wanted = np.ones(len(self.types), dtype=bool)
        # A hard link whose target is not wanted becomes the file: target's number -> link's row.
        self.stand_ins: dict[int, _Row] = {}
        self.new_targets: dict[bytes, bytes] = {}
        if selection:
            match = selection.match
            names = self.entries["path"].to_pylist()
            self.wanted = np.fromiter((match(name) for name in names), bool, len(names))
            self._replace_links(archive)
        self.pieces = archive.piece_arrays()

    def _replace_links(self, archive: Archive) -> None:
        links = np.flatnonzero(self.wanted & (self.types == HARDLINK))
        for number, row in _rows(self.entries, links):
            target = archive.file_entry(row.link_target)
            if not self.wanted[target] and target not in self.stand_ins:
                (_, file) = next(_rows(self.entries, np.array([target])))
                self.stand_ins[target] = row._replace(type=FILE, size=file.size)
                self.new_targets[row.link_target] = row.path
                self.wanted[number] = False
        for target in self.stand_ins:
            self.wanted[target] = True

    def rows(self, numbers: Integers) -> Iterator[tuple[int, _Row]]:
        """Give the rows of some entries, hard links as they will be made."""
        for number, row in _rows(self.entries, numbers):
            if number in self.stand_ins:
                row = self.stand_ins[number]
            elif row.type == HARDLINK and row.link_target in self.new_targets:
                row = row._replace(link_target=self.new_targets[row.link_target])
            yield number, row


def extract_archive(
    archive: Archive,
    directory: str | bytes | os.PathLike[str] = ".",
    *,
    globs: Iterable[str | bytes] = (),
    keep: bool = False,
    strip_components: int = 0,
    max_size: int | None = None,
    same_owner: bool | None = None,
    numeric_owner: bool = False,
    jobs: int | None = None,
    executor: Executor | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
    notify: Callable[[bytes], object] | None = None,
    expect: Callable[[int], object] | None = None,
) -> Extracted:
    """Write members of an open archive below a directory.

    Parameters
    ----------
    directory : path
        Made when it is not there.
    globs : iterable of str or bytes
        Which members, as for `Selection`; all if empty. A hard link whose target is not among them
        becomes a file of its own.
    keep : bool
        Whether what stands in the directory already stays as it is.
    strip_components : int
        How many leading components of each name to drop.
    max_size : int, optional
        Bytes of content, holes counted, beyond which nothing is written.
    same_owner : bool, optional
        Whether to restore owners; None: when run by the superuser.
    numeric_owner : bool
        Whether to restore owners by number alone.
    jobs : int, optional
        Threads that decode; as many as there are processors otherwise.
    executor : concurrent.futures.Executor, optional
        Reads and decodes instead, any kind; members are written here. It stays open.
    warn : callable, optional
        Gets one sentence for each member that was not extracted.
    progress : callable, optional
        Gets the bytes of archive read and of content written so far, now and then.
    notify : callable, optional
        Gets the name of each member when it is begun.
    expect : callable, optional
        Gets the bytes of content that there will be, before the first.

    Raises
    ------
    UnsafePathError
        A symbolic link stands in the way of a directory.
    LimitError
        More than `max_size`. Nothing was written.
    MemberNotFoundError
        A pattern matches no member; the others were extracted.
    CorruptError, SourceError
        The first chunk that is damaged or cannot be read; what others hold was extracted.
    OSError
        The disk is full, or failed.
    """
    selection = Selection(globs)
    plan = _Plan(archive, selection)
    notes: Warn = warn if warn is not None else lambda message: None
    total = sum(archive.index.entry_sizes[plan.wanted].tolist())
    if max_size is not None and total > max_size:
        raise LimitError(f"the members have {total:,} bytes, at most {max_size:,} are allowed")
    if expect is not None:
        expect(total)
    with Extractor(
        directory,
        selection=Selection(),
        keep=keep,
        strip_components=strip_components,
        max_size=max_size,
        same_owner=same_owner,
        numeric_owner=numeric_owner,
        warn=notes,
        notify=notify,
    ) as extractor:
        directories = plan.wanted & (plan.types == DIRECTORY)
        for number, row in plan.rows(np.flatnonzero(directories)):
            extractor.begin(number, row)
        contents = _Contents(archive, plan, extractor, notes, progress)
        contents.run(jobs, executor)
        others = plan.wanted & ~directories & ~contents.with_content
        for number, row in plan.rows(np.flatnonzero(others)):
            if extractor.begin(number, row):
                extractor.end(number, row.size)  # empty, or one hole
        extracted = extractor.finish()
    if contents.error is not None:
        raise contents.error
    check_matched(selection)
    return extracted


def _batches(starts: Integers, ends: Integers) -> Iterator[tuple[int, int]]:
    """Give runs of chunks, each of which has some pieces, whose members can be begun together.

    A chunk of tiny members has tens of thousands of pieces, and is alone; others have one.
    """
    first = 0
    while first < len(starts):
        last = first + 1
        while (
            last < len(starts) and last - first < _CHUNKS and ends[last] - starts[first] <= _BATCH
        ):
            last += 1
        yield first, last
        first = last


class _Contents:
    """The files that have content, in the order of the chunks."""

    def __init__(
        self,
        archive: Archive,
        plan: _Plan,
        extractor: Extractor,
        warn: Warn,
        progress: Progress | None,
    ) -> None:
        self._archive = archive
        self._plan = plan
        self._extractor = extractor
        self._warn = warn
        self._progress = progress
        pieces = plan.pieces
        chosen = np.flatnonzero(plan.wanted[pieces.entry])
        self._entry = pieces.entry[chosen]
        self._chunk = pieces.chunk[chosen]
        self._position = pieces.position[chosen]
        self._size = pieces.size[chosen]
        self._offset = pieces.offset[chosen]
        counts = np.bincount(self._entry, minlength=len(plan.types))
        self.with_content = counts > 0  # shape (entries,)
        self._left: list[int] = counts.tolist()  # pieces to come, of each entry
        self._rows: dict[int, _Row] = {}  # of the files that are being written
        self._damaged: set[int] = set()
        self.error: LmarcError | None = None  # the first

    def run(self, jobs: int | None, executor: Executor | None) -> None:
        """Extract them."""
        chunks = np.unique(self._chunk)
        starts = np.searchsorted(self._chunk, chunks)
        ends = np.append(starts[1:], len(self._chunk))
        stored = self._archive.chunk_sizes()[chunks].cumsum()
        written = 0
        given: dict[str, Any] = {"jobs": jobs, "executor": executor}
        with closing(self._archive.decode_chunks(chunks.tolist(), **given)) as decoded:
            for first, last in _batches(starts, ends):
                together = ends[last - 1] - starts[first] <= _BATCH
                if together:
                    self._begin(starts[first], ends[last - 1])
                for place in range(first, last):
                    content = next(decoded)
                    for low in range(int(starts[place]), int(ends[place]), _BATCH):
                        high = min(low + _BATCH, int(ends[place]))
                        if not together:
                            self._begin(low, high)
                        written += self._take(content, low, high)
                    if self._progress is not None:
                        self._progress(int(stored[place]), written)

    def _begin(self, start: int, end: int) -> None:
        entries = np.unique(self._entry[start:end])
        new = np.array([n for n in entries.tolist() if n not in self._rows], dtype=np.int64)
        for number, row in self._plan.rows(new):
            self._extractor.begin(number, row)
            self._rows[number] = row

    def _take(self, content: memoryview | LmarcError, start: int, end: int) -> int:
        """Write one chunk's pieces; return how many bytes they have."""
        entries = self._entry[start:end].tolist()
        for number in entries:
            self._left[number] -= 1
        if isinstance(content, LmarcError):
            self.error = self.error or content
            for number in entries:
                self._lose(number, content)
            return 0
        positions = self._position[start:end].tolist()
        sizes = self._size[start:end].tolist()
        offsets = self._offset[start:end].tolist()
        for number, position, size, offset in zip(entries, positions, sizes, offsets, strict=True):
            self._extractor.data(number, position, content[offset : offset + size])
        for number in entries:
            if not self._left[number] and number in self._rows:
                self._extractor.end(number, self._rows.pop(number).size)
        return sum(sizes)

    def _lose(self, number: int, error: LmarcError) -> None:
        if number not in self._damaged:
            row = self._rows[number]
            self._damaged.add(number)
            # The whole sentence comes at the end, once.
            why = "its model is missing" if isinstance(error, ModelNotFoundError) else str(error)
            self._warn(f"{show(row.path)}: not extracted: {why}")
            self._extractor.abandon(number)
        if not self._left[number]:
            self._rows.pop(number, None)


def extract_stream(
    stream: IO[bytes],
    directory: str | bytes | os.PathLike[str] = ".",
    *,
    globs: Iterable[str | bytes] = (),
    keep: bool = False,
    strip_components: int = 0,
    max_size: int | None = None,
    same_owner: bool | None = None,
    numeric_owner: bool = False,
    jobs: int | None = None,
    model: str | os.PathLike[str] | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
    notify: Callable[[bytes], object] | None = None,
) -> Extracted:
    """Write members of an archive that comes from a pipe below a directory.

    Parameters
    ----------
    stream : binary file object
        The archive, read once to its end.
    directory, globs, keep, strip_components, max_size, same_owner, numeric_owner, jobs, warn,
    progress, notify
        As for `extract_archive`, but a hard link whose target is not among the members that `globs`
        selects costs a warning: its content has passed.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.

    Raises
    ------
    FormatError
        At the first thing that is wrong; what is complete by then stays, what is not is removed.
    UnsafePathError, LimitError, MemberNotFoundError, OSError
        As for `extract_archive`.
    """
    selection = Selection(globs)
    limit = None if selection else max_size
    path = None if model is None else os.path.abspath(model)
    holes = max(max_size or 0, MAX_HOLES)
    reader = StreamReader(stream, jobs=jobs, max_size=limit, max_holes=holes, model=path)
    with Extractor(
        directory,
        selection=selection,
        keep=keep,
        strip_components=strip_components,
        max_size=max_size,
        same_owner=same_owner,
        numeric_owner=numeric_owner,
        warn=warn if warn is not None else lambda message: None,
        notify=notify,
    ) as extractor:
        written = 0
        try:
            with closing(reader.events()) as events:
                for event in events:
                    if isinstance(event, BeginEntry):
                        if selection.match(event.path):
                            extractor.begin(event.number, event)
                    elif isinstance(event, Data):
                        extractor.data(event.number, event.position, event.data)
                        written += len(event.data)
                        if progress is not None:
                            progress(reader.offset, written)
                    else:
                        extractor.end(event.number, event.size)
        except FormatError:
            extractor.finish_links()
            raise
        extracted = extractor.finish()
    check_matched(selection)
    return extracted
