"""The folder that an archive is extracted into, reached by descriptors alone.

Every directory is opened with O_NOFOLLOW below the descriptor of its parent, every file is created
with O_EXCL, and metadata is set through the descriptor of what was created. No path of several
components is ever given to the system, so no symbolic link inside the folder is ever followed,
whoever made it and whenever.

What stands at a member's name already is replaced only when the new file is complete: it is written
beside it and renamed over it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass

from lmarc.archive.messages import show
from lmarc.archive.metadata import Metadata, Restorer
from lmarc.errors import UnsafePathError

__all__ = ["OpenFile", "Target"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_OPEN_DIRECTORIES = 64  # open at once, the innermost; a name can have 2,048 components

Parts = tuple[bytes, ...]  # a member's name, component by component


@dataclass(slots=True)
class OpenFile:
    """A file that is being written."""

    parts: Parts
    name: bytes  # of the file as it stands now: the last part, or a temporary name beside it
    descriptor: int
    identity: tuple[int, int]  # st_dev, st_ino


def _temporary() -> bytes:
    return b".lmarc-" + secrets.token_hex(8).encode()


class Target:
    """A folder to extract into.

    Parameters
    ----------
    path : path
        Made when it is not there. Symbolic links on the way to it are the caller's, and followed.
    keep : bool
        Whether what stands there already stays as it is.
    restorer : Restorer
        Sets the metadata.
    """

    def __init__(
        self, path: str | bytes | os.PathLike[str], *, keep: bool, restorer: Restorer
    ) -> None:
        try:
            os.makedirs(path, exist_ok=True)
        except FileExistsError as exc:
            raise NotADirectoryError(
                errno.ENOTDIR, os.strerror(errno.ENOTDIR), exc.filename
            ) from None
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._keep = keep
        self._restorer = restorer
        # Directories from below the root to the one entered last; -1 where closed again.
        self._stack: list[tuple[bytes, int]] = []

    def close(self) -> None:
        """Give the descriptors back."""
        self._leave(0)
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _leave(self, depth: int) -> None:
        while len(self._stack) > depth:
            descriptor = self._stack.pop()[1]
            if descriptor >= 0:
                os.close(descriptor)

    def _enter(self, parts: Parts, mode: int = 0o777) -> int:
        """The descriptor of a directory, made with its parents where missing, itself with `mode`.

        It stays open until another directory is entered.
        """
        depth = 0
        for (part, _), wanted in zip(self._stack, parts, strict=False):
            if part != wanted:
                break
            depth += 1
        self._leave(depth)
        if self._stack and self._stack[-1][1] < 0:
            self._leave(0)
        for at in range(len(self._stack), len(parts)):
            parent = self._stack[-1][1] if self._stack else self._root
            last = at == len(parts) - 1
            descriptor = self._open_directory(parent, parts[: at + 1], mode if last else 0o777)
            self._stack.append((parts[at], descriptor))
            if at >= _OPEN_DIRECTORIES:
                outer, descriptor = self._stack[at - _OPEN_DIRECTORIES]
                if descriptor >= 0:
                    os.close(descriptor)
                    self._stack[at - _OPEN_DIRECTORIES] = (outer, -1)
        return self._stack[-1][1] if self._stack else self._root

    def _open_directory(self, parent: int, parts: Parts, mode: int) -> int:
        name = parts[-1]
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as exc:
            if exc.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            if stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode):
                raise UnsafePathError(
                    f"{show(b'/'.join(parts))}: is a symbolic link in the target folder, expected"
                    " a directory: nothing is extracted through links"
                ) from None
            if self._keep:
                raise
            os.unlink(name, dir_fd=parent)  # a file gives way to a directory
        os.mkdir(name, mode, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)

    def make_directory(self, parts: Parts) -> bool:
        """Make a directory, private until `finish_directory`, or take the one that is there.

        Returns
        -------
        bool
            Whether it is to be finished: one that was there and is kept as it is, is not.

        Raises
        ------
        UnsafePathError
            A symbolic link stands in its place, or in that of a parent.
        OSError
            The system refused.
        """
        try:
            status = os.lstat(parts[-1], dir_fd=self._enter(parts[:-1]))
        except FileNotFoundError:
            self._enter(parts, 0o700)
            return True
        descriptor = self._enter(parts)
        if not stat.S_ISDIR(status.st_mode):
            return True  # what was there has given way
        if self._keep:
            return False
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o700 != 0o700:
            try:
                os.fchmod(descriptor, mode | 0o700)  # or nothing could be put into it
            except PermissionError:
                pass  # somebody else's: what cannot be extracted will be told
        return True

    def finish_directory(self, parts: Parts, metadata: Metadata) -> None:
        """Set a directory's metadata, after all that it holds."""
        self._restorer.apply(self._enter(parts), metadata)

    def create(self, parts: Parts) -> OpenFile | None:
        """Create a file to write; None when one is there and stays.

        Raises
        ------
        UnsafePathError
            A parent is a symbolic link.
        OSError
            The system refused, or a directory has that name.
        """
        parent = self._enter(parts[:-1])
        name = parts[-1]
        try:
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent)
        except FileExistsError:
            if self._is_kept(parent, name):
                return None
            name = _temporary()
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent)
        status = os.fstat(descriptor)
        return OpenFile(parts, name, descriptor, (status.st_dev, status.st_ino))

    def _is_kept(self, parent: int, name: bytes) -> bool:
        """Whether what stands at `name` stays. A directory is never replaced."""
        if self._keep:
            return True
        if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            raise IsADirectoryError(errno.EISDIR, "a directory stands there already")
        return False

    def stays(self, parts: Parts) -> bool:
        """Whether something stands at a name already and is to be kept."""
        if not self._keep:
            return False
        parent = self._enter(parts[:-1])
        try:
            os.lstat(parts[-1], dir_fd=parent)
        except FileNotFoundError:
            return False
        return True

    def suspend(self, file: OpenFile) -> None:
        """Close a file for now; `resume` opens it again."""
        os.close(file.descriptor)
        file.descriptor = -1

    def resume(self, file: OpenFile) -> None:
        """Open a suspended file, which must still be the one that was created."""
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        parent = self._enter(file.parts[:-1])
        descriptor = os.open(file.name, flags, dir_fd=parent)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != file.identity:
            os.close(descriptor)
            raise OSError(errno.ESTALE, "was replaced while it was being written")
        file.descriptor = descriptor

    def complete(self, file: OpenFile, metadata: Metadata) -> None:
        """Set the metadata of a written file and put it in its place."""
        self._restorer.apply(file.descriptor, metadata)
        os.close(file.descriptor)
        file.descriptor = -1
        if file.name != file.parts[-1]:
            parent = self._enter(file.parts[:-1])
            os.rename(file.name, file.parts[-1], src_dir_fd=parent, dst_dir_fd=parent)
            file.name = file.parts[-1]

    def discard(self, file: OpenFile) -> None:
        """Remove a file that will not be completed."""
        if file.descriptor >= 0:
            os.close(file.descriptor)
            file.descriptor = -1
        try:
            parent = self._enter(file.parts[:-1])
            status = os.lstat(file.name, dir_fd=parent)
            if (status.st_dev, status.st_ino) == file.identity:
                os.unlink(file.name, dir_fd=parent)
        except OSError:
            pass  # what is gone needs no removal

    def make_link(self, parts: Parts, target: Parts) -> bool:
        """Make a hard link to a file in the folder; False when something is there and stays.

        Raises
        ------
        UnsafePathError
            A parent is a symbolic link, or `target` is no file of its own.
        OSError
            The system refused.
        """
        source = os.dup(self._enter(target[:-1]))
        try:
            if not stat.S_ISREG(os.lstat(target[-1], dir_fd=source).st_mode):
                raise UnsafePathError(
                    f"{show(b'/'.join(parts))}: its hard link's target"
                    f" {show(b'/'.join(target))} is no regular file in the target folder"
                )

            def link(parent: int, name: bytes) -> None:
                os.link(
                    target[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False
                )

            return self._place(parts, link)
        finally:
            os.close(source)

    def make_symlink(self, parts: Parts, link_target: bytes, metadata: Metadata) -> bool:
        """Make a symbolic link; False when something is there and stays."""

        def link(parent: int, name: bytes) -> None:
            os.symlink(link_target, name, dir_fd=parent)
            self._restorer.apply_to_symlink(parent, name, metadata)

        return self._place(parts, link)

    def _place(self, parts: Parts, make: Callable[[int, bytes], None]) -> bool:
        """Make a link at its name, or beside what stands there and rename it over that."""
        parent = self._enter(parts[:-1])
        name = parts[-1]
        try:
            make(parent, name)
        except FileExistsError:
            if self._is_kept(parent, name):
                return False
            beside = _temporary()
            make(parent, beside)
            try:
                os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                # Renaming one link of a file over another of the same file does nothing.
                try:
                    os.unlink(beside, dir_fd=parent)
                except FileNotFoundError:
                    pass
        return True
