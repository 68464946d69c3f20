"""What stands on the file system, as entries for an archive.

`walk` gives every file, directory and symbolic link below the paths it is asked for, in an order
that depends on names alone: argument by argument, each directory before what it holds, the names in
a directory sorted as bytes. It never follows a symbolic link, also not one that it is given.

What cannot be archived (unreadable, vanished, a socket) costs a warning and never the rest. A file
is given only when it can be read: it is open already.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lmarc.archive.globs import Excludes
from lmarc.archive.messages import Warn, reason, show
from lmarc.archive.overlap import MERGED, SAME, Earlier
from lmarc.archive.spans import Origin, Span, read_all
from lmarc.format.limits import MAX_PATH

__all__ = [
    "DIRECTORY",
    "FILE",
    "HARDLINK",
    "SYMLINK",
    "Found",
    "data_extents",
    "member_name",
    "walk",
]

FILE, DIRECTORY, SYMLINK, HARDLINK = 1, 2, 3, 4  # Type in the entries table

_NOT_KEPT = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}

# These say that the file system has no extended attributes, not that reading one failed.
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.ENOSYS, errno.EPERM})


@dataclass(slots=True)
class Found:
    """One thing found on the file system, ready to become an entry.

    `descriptor` is open for reading while the consumer has this item, and closed when the next one
    is asked for: read the content at once, do not close it. It is -1 where there is nothing to
    read: for directories, links and empty files, and when `walk` was told not to open files.
    """

    name: bytes  # the member's name
    path: bytes  # where it stands on the file system
    type: int
    stat: os.stat_result
    user: bytes  # '' where the number has no name
    group: bytes
    link_target: bytes = b""
    xattrs: list[tuple[bytes, bytes]] = field(default_factory=list)  # sorted by key
    descriptor: int = -1
    extents: list[tuple[int, int]] | None = None  # (start, end) of data in a sparse file
    origin: Origin | None = None  # of an object: where its content is read
    failed: bool = False  # set by a consumer that could not keep it: no hard link names it then

    @property
    def mode(self) -> int:
        """Permission bits, 07777."""
        return stat.S_IMODE(self.stat.st_mode)

    @property
    def mtime(self) -> int:
        """Nanoseconds since the epoch."""
        return self.stat.st_mtime_ns

    @property
    def size(self) -> int:
        """Bytes of content; 0 unless a file."""
        return self.stat.st_size if self.type == FILE else 0

    def read(self, start: int, end: int) -> bytes:
        """Return bytes of the content, wherever it is, from one place to another.

        Raises
        ------
        SourceError
            When it cannot be read, or is no longer what was found.
        """
        return read_all([Span(self.place(), start, end, 0, False)])[0]

    def place(self) -> Origin:
        """Return where the content of a file is read."""
        path = os.path.abspath(os.fsdecode(self.path))
        return self.origin or Origin(path, self.size, self.mtime)

    def changed(self) -> bool:
        """Whether the open file is no longer what it was when it was found."""
        if self.descriptor < 0:
            return False
        now = os.fstat(self.descriptor)
        return (now.st_size, now.st_mtime_ns) != (self.stat.st_size, self.stat.st_mtime_ns)


def data_extents(descriptor: int, size: int) -> list[tuple[int, int]]:
    """The (start, end) ranges of an open file that hold data; what lies between them is holes.

    A file system that knows no holes gives one range. The descriptor's position is 0 afterwards.
    """
    extents = []
    end = 0
    try:
        while end < size:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
            if start >= end:
                break
            extents.append((start, end))
    except OSError as exc:
        if exc.errno != errno.ENXIO:  # no data behind `end`
            extents = [(0, size)]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return extents


def member_name(path: bytes) -> bytes:
    """The name in the archive for a path as given: relative, and without `.` and `..`.

    As with tar, a leading `/` and everything up to the last `..` go. b'' is the directory itself.
    """
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    while b".." in parts:
        del parts[: parts.index(b"..") + 1]
    return b"/".join(parts)


@lru_cache(maxsize=4096)
def _user_name(uid: int) -> bytes:
    import pwd

    try:
        return os.fsencode(pwd.getpwuid(uid).pw_name)
    except (KeyError, OverflowError):
        return b""


@lru_cache(maxsize=4096)
def _group_name(gid: int) -> bytes:
    import grp

    try:
        return os.fsencode(grp.getgrgid(gid).gr_name)
    except (KeyError, OverflowError):
        return b""


class _Walk:
    """The state of one `walk`."""

    def __init__(
        self,
        excludes: Excludes,
        warn: Warn,
        skip: Mapping[tuple[int, int], bytes | None],
        one_file_system: bool,
        recurse: bool,
        open_files: bool,
    ) -> None:
        self.excludes = excludes
        self.warn = warn
        self.skip = skip
        self.one_file_system = one_file_system
        self.recurse = recurse
        self.open_files = open_files
        self.earlier: Earlier | None = None
        self._links: dict[tuple[int, int], tuple[bytes, int]] = {}  # -> (name, links not yet seen)
        self._without_xattrs: set[int] = set()  # devices

    def below(self, top_name: bytes, top_path: bytes) -> Iterator[Found]:
        """Everything at and below one argument, depth first, without recursion."""
        device = -1
        waiting = [(top_name, top_path)]
        while waiting:
            name, path = waiting.pop()
            try:
                status = os.lstat(path)
            except OSError as exc:
                self._warn_of(path, exc)
                continue
            if device < 0:
                device = status.st_dev
            if name:
                clash = self.earlier.clash(name, status) if self.earlier else None
                if clash == SAME or not self._wanted(name, path, status):
                    continue
                if clash is None:
                    yield from self._entry(name, path, status)
                elif clash != MERGED:
                    self.warn(f"{show(path)}: {clash}; not archived")
                    continue
            if stat.S_ISDIR(status.st_mode) and self.recurse:
                if self.one_file_system and status.st_dev != device:
                    continue
                waiting += self._children(name, path)

    def _children(self, name: bytes, path: bytes) -> Iterable[tuple[bytes, bytes]]:
        """(name, path) of what a directory holds; the last first, for a stack that is popped."""
        try:
            inside = os.listdir(path)
        except OSError as exc:
            self._warn_of(path, exc, "what it holds is not archived")
            return ()
        inside.sort(reverse=True)
        name_stem = name + b"/" if name else b""
        path_stem = path if path.endswith(b"/") else path + b"/"
        return ((name_stem + part, path_stem + part) for part in inside)

    def _wanted(self, name: bytes, path: bytes, status: os.stat_result) -> bool:
        identity = (status.st_dev, status.st_ino)
        if identity in self.skip and self.skip[identity] in (None, path.rpartition(b"/")[2]):
            return False
        if self.excludes and self.excludes.match(name, stat.S_ISDIR(status.st_mode)):
            return False
        if len(name) > MAX_PATH:
            self.warn(
                f"{show(path)}: its name has {len(name):,} bytes, an archive takes {MAX_PATH:,};"
                " not archived"
            )
            return False
        return True

    def _entry(self, name: bytes, path: bytes, status: os.stat_result) -> Iterator[Found]:
        """The entry of one thing: none, with a warning, where it cannot be kept."""
        kind = stat.S_IFMT(status.st_mode)
        descriptor = -1
        try:
            if kind == stat.S_IFREG:
                found = self._file(name, path, status)
                descriptor = found.descriptor
            elif kind in (stat.S_IFDIR, stat.S_IFLNK):
                found = self._found(name, path, status)
                if kind == stat.S_IFLNK:
                    found.type = SYMLINK
                    found.link_target = os.readlink(path)
            else:
                what = _NOT_KEPT.get(kind, "of no kind that an archive keeps")
                self.warn(f"{show(path)}: is {what}; not archived")
                return
        except OSError as exc:
            self._warn_of(path, exc)
            return
        try:
            yield found
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if found.type == FILE and status.st_nlink > 1 and not found.failed:
            self._links[status.st_dev, status.st_ino] = (name, status.st_nlink - 1)

    def _found(self, name: bytes, path: bytes, status: os.stat_result) -> Found:
        user = _user_name(status.st_uid)
        group = _group_name(status.st_gid)
        found = Found(name, path, DIRECTORY, status, user, group)
        found.xattrs = self._xattrs(path, status)
        return found

    def _file(self, name: bytes, path: bytes, status: os.stat_result) -> Found:
        """A file, opened; or a hard link when its inode has been given already."""
        if status.st_nlink > 1:
            identity = (status.st_dev, status.st_ino)
            if identity in self._links:
                target, left = self._links.pop(identity)
                if left > 1:
                    self._links[identity] = (target, left - 1)
                found = self._found(name, path, status)
                found.type = HARDLINK
                found.link_target = target
                return found
        if not self.open_files or not status.st_size:
            found = self._found(name, path, status)
            found.type = FILE
            return found
        # O_NONBLOCK: should a FIFO stand here by now, opening it must not wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
        try:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode):
                raise OSError(errno.ESTALE, "is no longer the file it was")
            found = self._found(name, path, opened)
            found.type = FILE
            found.descriptor = descriptor
            if opened.st_blocks * 512 < opened.st_size:
                extents = data_extents(descriptor, opened.st_size)
                if extents != [(0, opened.st_size)]:
                    found.extents = extents
        except BaseException:
            os.close(descriptor)
            raise
        return found

    def _xattrs(self, path: bytes, status: os.stat_result) -> list[tuple[bytes, bytes]]:
        if status.st_dev in self._without_xattrs:
            return []
        try:
            names = os.listxattr(path, follow_symlinks=False)
            if not names:
                return []
            return sorted(
                (os.fsencode(name), os.getxattr(path, name, follow_symlinks=False))
                for name in names
            )
        except OSError as exc:
            if exc.errno == errno.ENOTSUP:
                self._without_xattrs.add(status.st_dev)
            elif exc.errno not in _NO_XATTRS:
                self.warn(f"{show(path)}: its extended attributes were not read: {reason(exc)}")
            return []

    def _warn_of(self, path: bytes, exc: OSError, loss: str = "not archived") -> None:
        if exc.errno in (errno.ENOENT, errno.ESTALE):
            self.warn(f"{show(path)}: vanished before it was read; {loss}")
        else:
            self.warn(f"{show(path)}: cannot be read: {reason(exc)}; {loss}")


def walk(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    directory: str | bytes | os.PathLike[str] | None = None,
    exclude: Iterable[str | bytes] = (),
    warn: Warn,
    skip: Mapping[tuple[int, int], bytes | None] | None = None,
    one_file_system: bool = False,
    recurse: bool = True,
    open_files: bool = True,
    missing_ok: bool = False,
) -> Iterator[Found]:
    """Give every file, directory and link at and below `paths`.

    Parameters
    ----------
    paths : iterable of paths
        Names in the archive are these paths, made relative as `member_name` does.
    directory : path, optional
        Where relative paths start; the current directory otherwise.
    exclude : iterable of str or bytes
        Patterns of `Excludes`, on names in the archive.
    warn : callable
        Gets one sentence for each thing that was left out.
    skip : mapping of (st_dev, st_ino) to a base name or None
        Files to pass over without a word: the archive that is being written. With a base name only
        the file of that name, not its other hard links. Looked at as the walk goes on.
    one_file_system : bool
        Whether to stay out of directories where another file system is mounted.
    recurse : bool
        Whether to look below directories.
    open_files : bool
        Whether files come open; a dry run does not need them.
    missing_ok : bool
        Whether a path that does not exist costs a warning instead of the whole walk.

    Raises
    ------
    OSError
        For a path that cannot be looked at, before anything is given, unless `missing_ok`.
    """
    base = os.fsencode(directory) if directory is not None else b""
    if base and not stat.S_ISDIR(os.stat(base).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fsdecode(base))
    if not missing_ok:
        paths = list(paths)
        for path in paths:
            os.lstat(os.path.join(base, os.fsencode(path)))
    state = _Walk(
        Excludes(exclude),
        warn,
        skip if skip is not None else {},
        one_file_system,
        recurse,
        open_files,
    )
    return _arguments(paths, base, state)


def _arguments(
    paths: Iterable[str | bytes | os.PathLike[str]], base: bytes, state: _Walk
) -> Iterator[Found]:
    earlier = Earlier(state.excludes, state.one_file_system, state.recurse)
    for given in paths:
        raw = os.fsencode(given)
        name = member_name(raw)
        path = os.path.join(base, raw)
        if len(path) > 1:
            path = path.rstrip(b"/") or b"/"
        yield from state.below(name, path)
        earlier.add(name, path)
        state.earlier = earlier
