"""Where an archive is written to: what is written appears on `commit`, complete, or not at all.

Locally that is a file beside the target that is flushed to disk and renamed; on an object store an
upload that is completed; standard output and FIFOs get the bytes as they come.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Protocol

from lmarc.archive.urls import cause, is_local, local_path, shown
from lmarc.errors import SourceError
from lmarc.format._fields import Buffer

if TYPE_CHECKING:
    from lmarc.archive.checkpoints import Checkpoints

__all__ = ["FileSink", "LocalSink", "Sink", "open_sink", "sync_directory", "write_all"]


class Sink(Protocol):
    """What a writer writes to."""

    @property
    def identity(self) -> tuple[int, int] | None:
        """(st_dev, st_ino) of the file that is being written, None where there is none."""

    def write(self, data: Buffer) -> None:
        """Take all of `data`, which follows what was written before."""

    def barrier(self) -> None:
        """Make what was written durable, where what follows would show it before `commit`."""

    def commit(self) -> None:
        """Make what was written durable and visible under its name."""

    def abort(self) -> None:
        """Forget what was written; never raises. After `commit`, do nothing."""


class FileSink:
    """An open file, a pipe or standard output: nothing to take back, nothing to rename."""

    def __init__(self, file: IO[bytes], *, close: bool = False) -> None:
        self._file = file
        self._close = close
        self.identity: tuple[int, int] | None = None
        with contextlib.suppress(OSError, ValueError):  # not every file object has a descriptor
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                self.identity = (status.st_dev, status.st_ino)

    def write(self, data: Buffer) -> None:
        """Write all of `data`."""
        self._file.write(data)

    def barrier(self) -> None:
        """Do nothing: a pipe shows every byte as it comes."""

    def commit(self) -> None:
        """Flush."""
        self._file.flush()
        self.abort()

    def abort(self) -> None:
        """Close what this sink has opened."""
        if self._close:
            with contextlib.suppress(OSError):
                self._file.close()


# Temporary files that exist, with the process that made each. An interruption can come between two
# steps of the interpreter, before any `with` or `try` stands around the file.
_TEMPORARY: dict[str, int] = {}


@atexit.register
def _remove_temporary() -> None:
    for path, process in _TEMPORARY.items():
        if process == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(path)


class LocalSink:
    """A file beside `path` that takes its name on commit.

    Parameters
    ----------
    path : str
        The target. A symbolic link is followed; what it names is replaced.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)
        folder, name = os.path.split(self._path)
        self._temporary = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(4)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        _TEMPORARY[self._temporary] = os.getpid()
        try:
            self._descriptor = os.open(self._temporary, flags, 0o666)
        except OSError as exc:
            del _TEMPORARY[self._temporary]
            raise OSError(exc.errno, exc.strerror, self._path) from None
        try:
            status = os.fstat(self._descriptor)
            with contextlib.suppress(OSError):  # a replaced archive keeps its permissions
                os.fchmod(self._descriptor, stat.S_IMODE(os.stat(self._path).st_mode))
        except BaseException:
            self.abort()
            raise
        self.identity: tuple[int, int] | None = (status.st_dev, status.st_ino)

    def write(self, data: Buffer) -> None:
        """Write all of `data`."""
        write_all(self._descriptor, data)

    def barrier(self) -> None:
        """Do nothing: nothing shows before `commit`."""

    def commit(self) -> None:
        """Flush to disk, rename, and flush the directory."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        os.rename(self._temporary, self._path)
        _TEMPORARY.pop(self._temporary, None)
        self._temporary = ""
        sync_directory(os.path.dirname(self._path))

    def abort(self) -> None:
        """Remove the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            _TEMPORARY.pop(self._temporary, None)
            self._temporary = ""


def write_all(descriptor: int, data: Buffer) -> None:
    """Write all of `data` to a descriptor, in as many calls as that takes."""
    written = os.write(descriptor, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while len(view):
            view = view[os.write(descriptor, view) :]


def sync_directory(path: str) -> None:
    """Make a rename in a directory durable, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_sink(
    url: str,
    storage_options: Mapping[str, Any] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Sink:
    """Return the sink for a path, a URL, or '-' for standard output.

    Parameters
    ----------
    url : str
        The target.
    storage_options : mapping, optional
        For its file system.
    checkpoints : Checkpoints, optional
        How an upload to S3 is to be kept track of, so that another run can go on from it.

    Raises
    ------
    ValueError
        An upload is to be resumed, and the target is not on S3.
    OSError
        A local file cannot be made.
    SourceError
        The storage refused.
    """
    local = url == "-" or is_local(url)
    if local and checkpoints is not None and checkpoints.resume:
        raise ValueError(f"only an archive on S3 can be resumed, found {url!r}")
    if url == "-":
        return FileSink(sys.stdout.buffer)
    if local:
        path = local_path(url)
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            return LocalSink(path)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, os.strerror(21), path)
        if stat.S_ISREG(mode):
            return LocalSink(path)
        return FileSink(open(path, "wb"), close=True)
    from lmarc.archive.remote import open_remote_sink

    try:
        sink = open_remote_sink(url, storage_options, checkpoints)
    except SourceError:
        raise
    except Exception as exc:
        raise SourceError(f"cannot be written: {exc}", url=shown(url)) from cause(exc)
    if checkpoints is not None and checkpoints.resume and not hasattr(sink, "checkpoint"):
        sink.abort()
        raise ValueError(f"only an archive on S3 can be resumed, found {shown(url)!r}")
    return sink
