"""Members: what an entry says, and a file object over its content."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lmarc.archive.names import DIRECTORY, FILE, HARDLINK, SYMLINK
from lmarc.format._fields import Buffer

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive

__all__ = ["Member", "MemberFile"]

_WINDOW: Final = 1 << 20  # bytes that are read ahead of small reads, at most


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive."""

    number: int  # its row in `Archive.members`
    path: bytes
    type: int  # 1 file, 2 directory, 3 symbolic link, 4 hard link
    flags: int  # bit 0 sparse, bit 1 changed while it was read
    mode: int  # permission bits
    mtime: int  # nanoseconds since the epoch
    uid: int  # -1: not recorded
    gid: int
    user: bytes  # b'': not recorded
    group: bytes
    link_target: bytes  # b'' unless a link
    xattrs: tuple[tuple[bytes, bytes], ...]  # (key, value), by key
    size: int  # bytes of content, holes counted; 0 unless a file
    sha256: bytes  # of the content; zeros unless a file

    @property
    def name(self) -> str:
        """The path as text; bytes that are not UTF-8 as surrogates, as `os.fsdecode` does."""
        return os.fsdecode(self.path)

    def is_file(self) -> bool:
        """Whether this is a file of its own."""
        return self.type == FILE

    def is_dir(self) -> bool:
        """Whether this is a directory."""
        return self.type == DIRECTORY

    def is_symlink(self) -> bool:
        """Whether this is a symbolic link."""
        return self.type == SYMLINK

    def is_hardlink(self) -> bool:
        """Whether this is a hard link to a file that stands before it."""
        return self.type == HARDLINK


class MemberFile(io.BufferedIOBase):
    """A member's content as a seekable binary file.

    It reads ahead to the end of a chunk where it is read on, and keeps nothing beyond the window it
    stands in: decoded chunks are in the archive's cache, shared with all other open members.
    Picklable; one thread at a time.
    """

    def __init__(self, archive: Archive, entry: int, name: str, size: int) -> None:
        super().__init__()
        self._archive = archive
        self._entry = entry
        self._size = size
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._goes_on = -1  # where a read would go on from the last
        self.name = name
        self.mode = "rb"

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self._archive, self._entry, self.name, self._size, self._position)
        return _restore, state

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the member."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position; beyond the end is allowed and reads nothing."""
        self._check_open()
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError(f"whence is {whence}, expected 0, 1 or 2")
        base = (0, self._position, self._size)[whence]
        if base + offset < 0:
            raise ValueError(f"position would be {base + offset}, expected 0 or more")
        self._position = base + offset
        return self._position

    def _ahead(self) -> memoryview:
        """Return the bytes of the window from the position on, filling it if there are none."""
        self._check_open()
        start = self._position - self._window_start
        if not 0 <= start < len(self._window):
            if self._position >= self._size:
                return memoryview(b"")
            self._window_start = self._position
            self._window = self._archive.read_window(self._entry, self._position, _WINDOW)
            start = 0
        return memoryview(self._window)[start:]

    def peek(self, size: int = 0) -> bytes:
        """Return some bytes from the position on, without moving."""
        return bytes(self._ahead())

    def read(self, size: int | None = -1) -> bytes:
        """Return `size` bytes, fewer only at the end; all that is left if negative or None."""
        self._check_open()
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        start = self._position - self._window_start
        if wanted and start >= 0 and start + wanted <= len(self._window):
            data = self._window[start : start + wanted]
        elif wanted > _WINDOW // 16 or self._position != self._goes_on:
            # Who comes from elsewhere may want no more: a chunk is decoded as far as that.
            ahead = self._position == self._goes_on
            data = self._archive.read_entry(self._entry, self._position, wanted, ahead=ahead)
        else:
            parts = []
            missing = wanted
            while missing:
                part = bytes(self._ahead()[:missing])
                parts.append(part)
                missing -= len(part)
                self._position += len(part)
            self._goes_on = self._position
            return b"".join(parts)
        self._position += len(data)
        self._goes_on = self._position
        return data

    def read1(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, as many as come at once."""
        ahead = self._ahead()
        data = bytes(ahead if size < 0 else ahead[:size])
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, short only at the end; return how many bytes it took."""
        return _fill(buffer, self.read)

    def readinto1(self, buffer: Any) -> int:
        """Put at most `len(buffer)` bytes into `buffer`, as many as come at once."""
        return _fill(buffer, self.read1)

    def readline(self, size: int | None = -1) -> bytes:
        """Return bytes up to and with the next newline, at most `size`."""
        limit = -1 if size is None else size
        parts: list[bytes] = []
        while limit:
            ahead = self._ahead()
            if not ahead:
                break
            start = self._position - self._window_start
            stop = len(self._window) if limit < 0 else min(len(self._window), start + limit)
            newline = self._window.find(b"\n", start, stop)
            end = stop if newline < 0 else newline + 1
            parts.append(self._window[start:end])
            self._position += end - start
            if newline >= 0:
                break
            if limit > 0:
                limit -= end - start
        return b"".join(parts)

    def write(self, data: Buffer) -> int:  # type: ignore[override]
        """Raise: members are never changed."""
        raise io.UnsupportedOperation("not writable")

    def detach(self) -> Any:
        """Raise: there is no raw stream."""
        raise io.UnsupportedOperation("detach")


def _fill(buffer: Any, read: Any) -> int:
    view = memoryview(buffer).cast("B")
    data: bytes = read(len(view))
    view[: len(data)] = data
    return len(data)


def _restore(archive: Archive, entry: int, name: str, size: int, position: int) -> MemberFile:
    file = MemberFile(archive, entry, name, size)
    file.seek(position)
    return file
