"""Members onto the file system: one `Extractor` takes what a reader of any kind gives.

The order of work is what makes it safe: directories and files as they come, then hard links, then
symbolic links, and last the metadata of directories, the deepest first. So while anything is being
written, no link of the archive's exists.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

from lmarc.archive.globs import Selection
from lmarc.archive.messages import Warn, reason, show
from lmarc.archive.metadata import Metadata, Restorer
from lmarc.archive.target import OpenFile, Parts, Target
from lmarc.archive.walk import DIRECTORY, FILE, HARDLINK, SYMLINK
from lmarc.errors import LimitError, UnsafePathError

__all__ = ["Extracted", "Extractor"]

_OPEN_FILES: Final = 32  # open at once; a hostile archive may spread members over many chunks

# These end the extraction; any other refusal costs the one member.
_FATAL: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


class _Entry(Protocol):
    """What an extractor needs to know of an entry: columns of the entries table."""

    @property
    def path(self) -> bytes: ...
    @property
    def type(self) -> int: ...
    @property
    def mode(self) -> int: ...
    @property
    def mtime(self) -> int: ...
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def user(self) -> bytes: ...
    @property
    def group(self) -> bytes: ...
    @property
    def link_target(self) -> bytes: ...
    @property
    def xattrs(self) -> Sequence[tuple[bytes, bytes]]: ...


class Extracted(NamedTuple):
    """What an extraction did."""

    member_count: int  # of every type
    size: int  # bytes of content, holes counted


@dataclass(slots=True)
class _Writing:
    """A file between its beginning and its end."""

    parts: Parts
    metadata: Metadata
    file: OpenFile | None = None  # created with its first data
    received: int = 0  # bytes of data so far
    extent: int = 0  # where the last of them ends


class _Link(NamedTuple):
    parts: Parts
    target: bytes
    metadata: Metadata


class Extractor:
    """Writes members below a directory; see `Target` for what keeps them there.

    `begin` a member, give its `data` in any order of members, `end` it, and `finish` after the
    last. A member that the system will not take costs one warning. Use it as a context manager:
    leaving it removes the files that were begun and not ended.

    Parameters
    ----------
    directory : path
        Made when it is not there.
    selection : Selection
        What was asked for; a hard link to anything else cannot be made.
    keep : bool
        Whether what stands in the directory already stays as it is.
    strip_components : int
        How many leading components of each name to drop; a name that has no more is passed over.
    max_size : int or None
        Bytes of content, holes counted, beyond which nothing more is written.
    same_owner, numeric_owner
        As for `Restorer`.
    warn : callable
        Gets one sentence for what was not extracted.
    notify : callable, optional
        Gets the name in the directory of each member when it is begun.
    """

    def __init__(
        self,
        directory: str | bytes | os.PathLike[str],
        *,
        selection: Selection,
        keep: bool = False,
        strip_components: int = 0,
        max_size: int | None = None,
        same_owner: bool | None = None,
        numeric_owner: bool = False,
        warn: Warn,
        notify: Callable[[bytes], object] | None = None,
    ) -> None:
        self._selection = selection
        self._strip = strip_components
        self._max_size = max_size
        self._warn = warn
        self._notify = notify
        restorer = Restorer(warn, same_owner=same_owner, numeric_owner=numeric_owner)
        self._target = Target(directory, keep=keep, restorer=restorer)
        self._files: dict[int, _Writing] = {}
        self._open: OrderedDict[int, OpenFile] = OrderedDict()
        self._directories: list[tuple[Parts, Metadata]] = []
        self._hard_links: list[_Link] = []
        self._symlinks: list[_Link] = []
        self._not_made: set[bytes] = set()  # names of files that were kept or failed
        self._member_count = 0
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            for number in list(self._files):
                self.abandon(number)
            self._finish_directories()
        finally:
            self._target.close()

    def _parts(self, name: bytes) -> Parts:
        parts = tuple(name.split(b"/"))
        # A reader lets no such name through; this is the last door.
        if b"\0" in name or not {b"", b".", b".."}.isdisjoint(parts):
            raise UnsafePathError(f"{show(name)!r} is no relative path without '.' and '..'")
        return parts[self._strip :]

    def begin(self, number: int, entry: _Entry) -> bool:
        """Begin the entry of that number; whether its data is wanted."""
        parts = self._parts(entry.path)
        if not parts:
            return False
        if self._notify is not None:
            self._notify(b"/".join(parts))
        metadata = Metadata(
            entry.mode,
            entry.mtime,
            entry.uid,
            entry.gid,
            entry.user,
            entry.group,
            entry.xattrs,
        )
        if entry.type == FILE:
            self._files[number] = _Writing(parts, metadata)
            return True
        if entry.type == DIRECTORY:
            try:
                if self._target.make_directory(parts):
                    self._directories.append((parts, metadata))
                    self._member_count += 1
            except OSError as exc:
                self._failed(parts, exc)
        elif entry.type == HARDLINK:
            self._hard_links.append(_Link(parts, entry.link_target, metadata))
        elif entry.type == SYMLINK:
            self._symlinks.append(_Link(parts, entry.link_target, metadata))
        return False

    def data(self, number: int, position: int, data: bytes | memoryview) -> None:
        """Write some content of a member that was begun; a member that failed takes none."""
        writing = self._files.get(number)
        if writing is None:
            return
        self._count(len(data))
        writing.received += len(data)
        try:
            descriptor = self._descriptor(number, writing)
            if descriptor is None:
                return
            while len(data):
                written = os.pwrite(descriptor, data, position)
                position += written
                data = memoryview(data)[written:]
            writing.extent = max(writing.extent, position)
        except OSError as exc:
            self._give_up(number, exc)

    def _count(self, size: int) -> None:
        self._size += size
        if self._max_size is not None and self._size > self._max_size:
            raise LimitError(
                f"the content to extract is {self._size:,} bytes or more, at most"
                f" {self._max_size:,} are allowed"
            )

    def _descriptor(self, number: int, writing: _Writing) -> int | None:
        """The open file of a member; None, and the member is done, where an older file stays."""
        file = writing.file
        if file is None:
            file = self._target.create(writing.parts)
            if file is None:
                self._not_made.add(b"/".join(writing.parts))
                del self._files[number]
                return None
            writing.file = file
        elif file.descriptor >= 0:
            self._open.move_to_end(number)
            return file.descriptor
        else:
            self._target.resume(file)
        self._open[number] = file
        if len(self._open) > _OPEN_FILES:
            self._target.suspend(self._open.popitem(last=False)[1])
        return file.descriptor

    def end(self, number: int, size: int) -> None:
        """Complete a file of `size` bytes; what no data covered is a hole."""
        writing = self._files.get(number)
        if writing is None:
            return
        self._count(max(0, size - writing.received))
        try:
            descriptor = self._descriptor(number, writing)
            if descriptor is None or writing.file is None:
                return
            if size > writing.extent:
                os.ftruncate(descriptor, size)
            self._open.pop(number, None)
            self._target.complete(writing.file, writing.metadata)
        except OSError as exc:
            self._give_up(number, exc)
        else:
            del self._files[number]
            self._member_count += 1

    def abandon(self, number: int) -> None:
        """Remove what was written of a member that will not be completed."""
        writing = self._files.pop(number, None)
        if writing is None:
            return
        self._open.pop(number, None)
        self._not_made.add(b"/".join(writing.parts))
        if writing.file is not None:
            self._target.discard(writing.file)

    def _give_up(self, number: int, exc: OSError) -> None:
        parts = self._files[number].parts
        self.abandon(number)
        self._failed(parts, exc)

    def _failed(self, parts: Parts, exc: OSError) -> None:
        """Warn of one member, or end everything."""
        if exc.errno in _FATAL:
            raise OSError(exc.errno, exc.strerror, os.fsdecode(b"/".join(parts))) from exc
        self._warn(f"{show(b'/'.join(parts))}: cannot be extracted: {reason(exc)}")

    def finish(self) -> Extracted:
        """Make the links and set the metadata of directories."""
        self.finish_links()
        self._finish_directories()
        return Extracted(self._member_count, self._size)

    def finish_links(self) -> None:
        """Make the links; those to files that were not completed cost a warning."""
        for number in list(self._files):
            self.abandon(number)
        for link in self._hard_links:
            self._make_hard_link(link)
        for link in self._symlinks:
            try:
                self._member_count += self._target.make_symlink(
                    link.parts, link.target, link.metadata
                )
            except OSError as exc:
                self._failed(link.parts, exc)

    def _make_hard_link(self, link: _Link) -> None:
        target = self._parts(link.target)
        joined = b"/".join(target)
        made = target and joined not in self._not_made and self._selection.match(link.target)
        try:
            if made:
                self._member_count += self._target.make_link(link.parts, target)
            elif not self._target.stays(link.parts):
                self._warn(
                    f"{show(b'/'.join(link.parts))}: cannot be extracted: it is a hard link to"
                    f" {show(link.target)}, which was not extracted"
                )
        except OSError as exc:
            self._failed(link.parts, exc)

    def _finish_directories(self) -> None:
        self._directories.sort(key=lambda item: item[0], reverse=True)
        for parts, metadata in self._directories:
            try:
                self._target.finish_directory(parts, metadata)
            except OSError as exc:
                self._failed(parts, exc)
        self._directories.clear()
