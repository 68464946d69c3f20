"""Add members to an archive: a new section behind the old end (spec §10.5).

Locally the file grows in place. Everything before the new Footer is flushed to disk before that
Footer is written; when anything fails the file is cut back to where it ended, and what a killed
process has left behind is cut by the next append. Text is coded with the model that the archive's
text was coded with, unless the caller says how. On an object store a new object appears when it
is complete; S3 itself copies the old bytes, and refuses if the object has changed meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from lmarc.archive.member import Member
from lmarc.archive.messages import Warn, show
from lmarc.archive.names import DIRECTORY, FILE, HARDLINK, Names
from lmarc.archive.reader import Archive
from lmarc.archive.records import Resume
from lmarc.archive.sink import Sink, open_sink, write_all
from lmarc.archive.source import LocalSource, Source, open_source
from lmarc.archive.urls import is_local, local_path
from lmarc.archive.walk import Found, walk
from lmarc.archive.writer import Writer, Written
from lmarc.codec.models import model_file
from lmarc.errors import ModelError, SourceError, UnsupportedVersionError
from lmarc.format._fields import Buffer
from lmarc.format.features import VERSION_MINOR
from lmarc.format.header import ArchiveHeader
from lmarc.format.model import ModelKind

__all__ = ["AppendSink", "append", "appender"]

_BLOCK: Final = 16 << 20  # bytes of the old archive that are copied at once
# Kinds of models that code text. Below another there may be one of the first.
_TEXT_KINDS: Final = (
    ModelKind.NGRAM, ModelKind.NEURAL, ModelKind.SUBWORD, ModelKind.MULTISCALE, ModelKind.ADAPTER,
    ModelKind.PRIMED,
)  # fmt: skip
_HOW: Final = ("preset", "text_codec", "model", "embed_model")  # what says how to code text


class AppendSink:
    """The end of a local file.

    Parameters
    ----------
    path : str
        The archive.
    end : int
        Where it ends; what stands behind is an append that was interrupted, and is cut.
    """

    def __init__(self, path: str, end: int) -> None:
        self._end = end
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                if exc.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    raise SourceError("another append is running", url=path) from exc
            status = os.fstat(self._descriptor)
            if status.st_size < end:
                raise SourceError("became shorter since it was opened", url=path)
            os.ftruncate(self._descriptor, end)
            os.lseek(self._descriptor, end, os.SEEK_SET)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.identity: tuple[int, int] | None = (status.st_dev, status.st_ino)

    def write(self, data: Buffer) -> None:
        """Write all of `data` at the end."""
        write_all(self._descriptor, data)

    def barrier(self) -> None:
        """Flush to disk: the Footer must not be there before what it stands for."""
        os.fsync(self._descriptor)

    def commit(self) -> None:
        """Flush to disk."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def abort(self) -> None:
        """Cut the file back to where it ended."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _sink(url: str, storage_options: Mapping[str, Any] | None, source: Source, end: int) -> Sink:
    if is_local(url):
        return AppendSink(local_path(url), end)
    sink = open_sink(url, storage_options)
    try:
        if hasattr(sink, "begin_with"):
            sink.begin_with(source, end)
        else:
            for start in range(0, end, _BLOCK):
                sink.write(source.read(start, min(end, start + _BLOCK)))
    except BaseException:
        sink.abort()
        raise
    return sink


def appender(
    url: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Writer:
    """Return a `Writer` that adds to an archive.

    Parameters
    ----------
    url : str or path
        The archive. An append to it that was interrupted is cut off.
    storage_options : mapping, optional
        For the URL's file system.
    **options
        As for `Writer`. Without `preset`, `text_codec`, `model` and `embed_model` text is coded
        with the model on top that came last into the archive, if there is one and it is found.

    Raises
    ------
    FileNotFoundError, SourceError
        It is not there, cannot be read or written, or (on S3) has changed meanwhile.
    UnsupportedVersionError
        Its minor version or an optional feature is newer than this version knows.
    FormatError
        It is no sound archive.
    """
    return _appender(_open(url, storage_options), os.fspath(url), storage_options, options)


def _open(url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None) -> Archive:
    archive = Archive(open_source(os.fspath(url), storage_options), incomplete=True)
    footer = archive.footer
    if footer.optional_features or footer.version_minor > VERSION_MINOR:
        what = f"Version_Minor {footer.version_minor}, Optional_Features {footer.optional_features}"
        raise UnsupportedVersionError(f"{what}: this version cannot append to such an archive")
    return archive


def _appender(
    archive: Archive,
    url: str,
    storage_options: Mapping[str, Any] | None,
    options: dict[str, Any],
) -> Writer:
    index, source = archive.index, archive.source
    header = ArchiveHeader.unpack(source.read(0, ArchiveHeader.SIZE))
    base = Resume(archive.size, header, (index.entries, index.chunks, index.pieces, index.models))
    names = Names()
    for rows in index.entries.select(["path", "type"]).to_batches():
        for name, entry_type in zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True):
            names.add(name, entry_type)
    kinds = index.models["kind"].to_pylist()
    dictionary = None
    if ModelKind.DICTIONARY in kinds:
        slot = len(kinds) - 1 - kinds[::-1].index(ModelKind.DICTIONARY)
        data = archive.model(slot).data
        dictionary = None if data is None else (slot, data)
    folder = None
    if dictionary is None and not any(options.get(name) for name in _HOW):
        model, folder = _model_file(archive, options.get("warn"))
        options = {**options, "model": model}
    try:
        sink = _sink(url, storage_options, source, archive.size)
        try:
            writer = Writer(
                url, sink=sink, base=base, names=names, dictionary=dictionary, **options
            )
        except BaseException:
            sink.abort()
            raise
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if folder is not None:
        weakref.finalize(writer, shutil.rmtree, folder, ignore_errors=True)
    return writer


def _model_file(archive: Archive, warn: Warn | None) -> tuple[str | None, str | None]:
    """Return the file of the model that text was coded with, and the folder to remove with it.

    No file where there is no such model, or where it is not found: `warn` is told then.
    """
    kinds = archive.index.models["kind"].to_pylist()
    slots = [slot for slot, kind in enumerate(kinds) if kind in _TEXT_KINDS]
    # One that was put there to be below another was not chosen to code text.
    on_top = [slot for slot in slots if kinds[slot] != ModelKind.NGRAM] or slots
    if not on_top:
        return None, None
    model = archive.model(on_top[-1])
    if model.data is not None:
        folder = tempfile.mkdtemp(prefix="lmarc-")
        path = os.path.join(folder, "archive.lmmodel")
        with open(path, "wb") as file:
            file.write(model.data)
        return path, folder
    try:
        return model_file(model.sha256), None
    except ModelError as exc:
        if warn is not None:
            warn(f"text that is added is coded without the archive's model: {exc}")
        return None, None


def append(
    url: str | os.PathLike[str],
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    directory: str | bytes | os.PathLike[str] | None = None,
    exclude: Iterable[str | bytes] = (),
    storage_options: Mapping[str, Any] | None = None,
    recurse: bool = True,
    one_file_system: bool = False,
    missing_ok: bool = False,
    warn: Warn | None = None,
    notify: Callable[[bytes], object] | None = None,
    **options: Any,
) -> Written:
    """Add files, links and directories, with all that is below them, to an archive.

    A name that the archive has stays as it is there: without a word when type, size and time of
    modification are the same, with a warning otherwise.

    Parameters
    ----------
    url : str or path
        The archive.
    paths, directory, exclude, storage_options, recurse, one_file_system, missing_ok, notify
        As for `create`.
    warn : callable, optional
        Gets one sentence for each member that was left out or changed.
    **options
        As for `appender`.

    Returns
    -------
    Written
        What was added; nothing added leaves the archive's bytes as they are.
    """
    notes: Warn = warn if warn is not None else lambda message: None
    archive = _open(url, storage_options)
    skip: dict[tuple[int, int], bytes | None] = {}
    if isinstance(archive.source, LocalSource) and archive.source.identity is not None:
        skip[archive.source.identity] = None
    found_all = walk(
        paths,
        directory=directory,
        exclude=exclude,
        warn=notes,
        skip=skip,
        recurse=recurse,
        one_file_system=one_file_system,
        missing_ok=missing_ok,
    )
    new = _new(found_all, archive, notes)
    writer = _appender(archive, os.fspath(url), storage_options, {**options, "warn": warn})
    try:
        for found in new:
            if notify is not None:
                notify(found.name)
            writer.add_found(found)
        if writer.written.member_count:
            writer.close()
        else:
            writer.abort()
    except BaseException:
        writer.abort()
        raise
    finally:
        archive.close()
    return writer.written


def _new(found_all: Iterable[Found], archive: Archive, warn: Warn) -> Iterator[Found]:
    """Give what the archive does not have by name."""
    index = archive.index
    for found in found_all:
        row = index.paths.find(found.name)
        if row < 0:
            yield found
            continue
        member = archive.member(row)
        if not _is_same(archive, member, found):
            if not member.type == found.type == DIRECTORY:
                shown = repr(show(found.name))
                warn(f"{show(found.path)}: the archive has another {shown}; kept as it is")
            found.failed = True
        # Only what the archive has as a file can be the target of further hard links.
        found.failed |= member.type != FILE


def _is_same(archive: Archive, member: Member, found: Found) -> bool:
    """Whether what was found is what the archive has, as far as metadata tell."""
    if {member.type, found.type} <= {FILE, HARDLINK}:
        known = archive.member(archive.file_entry(member.path))
        return (known.size, known.mtime) == (found.stat.st_size, found.mtime)
    return member.type == found.type and member.link_target == found.link_target
