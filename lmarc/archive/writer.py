"""Write an archive in one pass: members in, an archive that appears when it is complete.

What a member is called, what it says of itself and how its content is read are decided here; the
rest is the pipeline's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import IO, Any, Final, NamedTuple, Self

from lmarc.archive.checkpoints import Checkpoints
from lmarc.archive.filedata import FileData
from lmarc.archive.lines import LineCounter
from lmarc.archive.messages import Warn, reason, show
from lmarc.archive.names import (
    DIRECTORY,
    FILE,
    HARDLINK,
    SYMLINK,
    Names,
    check_metadata,
    check_name,
)
from lmarc.archive.pipeline import Pipeline
from lmarc.archive.records import Model, RecordWriter, Resume
from lmarc.archive.sink import Sink, open_sink
from lmarc.archive.walk import Found, member_name, walk
from lmarc.archive.workers import default_jobs
from lmarc.codec.base import DEFAULT_PRESET, CodecSettings, ContentClass
from lmarc.codec.choose import settings_for
from lmarc.codec.models import TextModel, base_model, codec_of, text_model
from lmarc.errors import SourceError
from lmarc.format.limits import MAX_LINK_TARGET, MAX_OWNER_NUMBER, MAX_SUM, MIB
from lmarc.format.model import ModelHeader
from lmarc.routing.group import DEFAULT_CHUNK_SIZE, DEFAULT_TEXT_CHUNK_SIZE, Grouper
from lmarc.routing.sniff import classify

__all__ = ["Owner", "Progress", "Writer", "Written"]

SPARSE, CHANGED_WHILE_READ = 1, 2  # Flags in the entries table

# What a member's owner becomes: uid, gid, user name, group name.
Owner = tuple[int, int, bytes, bytes]
Progress = Callable[[int, int], object]  # bytes read and bytes written so far

_ZEROS: Final = bytes(MIB)
_UNKNOWN_OWNER: Final[Owner] = (-1, -1, b"", b"")
_EMPTY_SHA256: Final = hashlib.sha256().digest()


class Written(NamedTuple):
    """What has gone into an archive."""

    member_count: int  # added, of every type
    content_size: int  # bytes read; holes are not
    archive_size: int  # bytes of the archive so far, what it held before included


class Writer:
    """Writes one archive; use it as a context manager.

    Leaving the `with` block completes the archive and makes it appear; leaving it through an
    exception makes nothing appear. Members come out in the order in which they were added.

    Parameters
    ----------
    url : str or path
        A path, any fsspec URL, or '-' for standard output. An existing archive is replaced, when
        the new one is complete.
    preset : str
        'fast', 'balanced', 'high' or 'max'.
    storage_options : mapping, optional
        For the URL's file system.
    executor : concurrent.futures.Executor, optional
        Runs the coders; any kind. It stays open. A pool of `jobs` threads otherwise. Unless it is a
        pool of threads, its workers read the files of `add_path` and `add_found` themselves, by
        their paths, and one that changes meanwhile is an error.
    jobs : int, optional
        Threads of that pool; as many as there are processors otherwise.
    text_codec : str, optional
        Overrides the preset's codec for text.
    zstd_level : int, optional
        Overrides the preset's level.
    chunk_size : int, optional
        Content of a chunk in bytes, 4 KiB to 16 MiB; 256 KiB for text and 1 MiB for the rest
        otherwise.
    model : path, optional
        The model file of the codec for text, which it decides unless `text_codec` does.
    embed_model : bool
        Whether to store that model in the archive.
    index_lines : str
        Members whose lines are counted, for `Archive.records`: 'jsonl' for those whose name says
        JSON lines (.jsonl, .ndjson, .jsonlines), 'text' for all that are taken for text, 'none'.
    mtime : int, optional
        Nanoseconds since the epoch; every later time is recorded as this one.
    owner : (uid, gid, user, group), optional
        Recorded for every member instead of its own.
    warn : callable, optional
        Gets one sentence for each member that was left out or changed.
    progress : callable, optional
        Gets how many bytes of content are encoded so far and how many they have become, after each
        chunk; at last all that was read, and the size of the archive.
    resume : bool
        For a target on S3: go on from what an earlier run of the same calls has uploaded, and leave
        what is uploaded where this one fails.

    Raises
    ------
    ValueError
        An argument out of range, or `resume` for a target that is not on S3.
    SourceError, OSError
        The target cannot be written.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        preset: str = DEFAULT_PRESET,
        storage_options: Mapping[str, Any] | None = None,
        executor: Executor | None = None,
        jobs: int | None = None,
        text_codec: str | None = None,
        zstd_level: int | None = None,
        chunk_size: int | None = None,
        model: str | os.PathLike[str] | None = None,
        embed_model: bool = False,
        index_lines: str = "jsonl",
        mtime: int | None = None,
        owner: Owner | None = None,
        warn: Warn | None = None,
        progress: Progress | None = None,
        resume: bool = False,
        sink: Sink | None = None,
        base: Resume | None = None,
        names: Names | None = None,
        dictionary: tuple[int, bytes] | None = None,
    ) -> None:
        settings = settings_for(preset, text_codec, zstd_level)
        if text_codec is None and model is not None and settings.text_codec is not None:
            # The model says which codec it is for.
            settings = settings_for(preset, codec_of(model), zstd_level)
        if settings.text_codec is None and (model is not None or embed_model):
            raise ValueError("a model is for a codec that takes one, and text goes to zstd here")
        sizes = (chunk_size or DEFAULT_TEXT_CHUNK_SIZE, chunk_size or DEFAULT_CHUNK_SIZE)
        if jobs is not None and jobs < 1:
            raise ValueError(f"jobs is {jobs}, expected 1 or more")
        first_chunk = base.tables[1].num_rows if base is not None else 0
        grouper = Grouper(*sizes, first_chunk=first_chunk)
        first = (0, 0) if base is None else (base.tables[0].num_rows, base.tables[2].num_rows)
        self._lines = LineCounter(index_lines, first_entry=first[0], first_piece=first[1])
        self._text_chunk_size, self._chunk_size = sizes
        self._mtime = mtime
        self._owner = owner
        self._warn: Warn = warn if warn is not None else lambda message: None
        self._progress = progress
        self._names = names if names is not None else Names()
        self._closed = False
        new_models: list[Model] = []
        if settings.text_codec is not None:
            settings, new_models = _with_model(settings, model, embed_model, base)
        elif dictionary is not None:
            slot, data = dictionary
            settings = replace(settings, dictionary=data, dictionary_slot=slot)
        # Workers elsewhere read for themselves; threads are handed what is read here.
        self._far = executor is not None and not isinstance(executor, ThreadPoolExecutor)
        checkpoints = None
        if sink is None and (resume or self._far):
            job = repr((settings, sizes, mtime, owner, index_lines, [m.header for m in new_models]))
            checkpoints = Checkpoints(job, resume=resume, warn=self._warn)
        self._sink: Any = sink
        if sink is None:
            self._sink = open_sink(os.fspath(url), storage_options, checkpoints)
        self._records = RecordWriter(self._sink, base)
        self._own_executor = executor is None
        self._executor = executor or ThreadPoolExecutor(
            jobs or default_jobs(), thread_name_prefix="lmarc"
        )
        self._pipeline = Pipeline(
            self._records,
            grouper,
            self._executor,
            settings,
            self._lines,
            new_models,
            progress,
            getattr(self._sink, "finished", ()),
            getattr(self._sink, "checkpoint", None),
        )
        self._first_entry = self._pipeline.entry_count

    @property
    def identity(self) -> tuple[int, int] | None:
        """(st_dev, st_ino) of the local file that is being written: not for archiving."""
        identity: tuple[int, int] | None = self._sink.identity
        return identity

    @property
    def written(self) -> Written:
        """What has gone in so far; everything, once the writer is closed."""
        count = self._pipeline.entry_count - self._first_entry
        return Written(count, self._pipeline.read_size, self._records.offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def add_path(
        self,
        path: str | bytes | os.PathLike[str],
        name: str | bytes | None = None,
        *,
        recurse: bool = True,
        exclude: Iterable[str | bytes] = (),
    ) -> None:
        """Add a file, link or directory with all that is below it.

        Parameters
        ----------
        path : path
            Where it stands on the file system.
        name : str or bytes, optional
            Its name in the archive; its path, made relative, otherwise.
        recurse : bool
            Whether to add what is below a directory.
        exclude : iterable of str or bytes
            Patterns on names as `path` gives them.

        Raises
        ------
        OSError
            `path` cannot be looked at. What cannot be read below it costs a warning.
        """
        skip = {self.identity: None} if self.identity is not None else {}
        raw = os.fsencode(path)
        for found in walk([raw], exclude=exclude, warn=self._warn, skip=skip, recurse=recurse):
            if name is not None:
                found.name = _renamed(found.name, member_name(raw), _encoded(name))
                if found.type == HARDLINK:
                    target = found.link_target
                    found.link_target = _renamed(target, member_name(raw), _encoded(name))
            if found.name:
                self.add_found(found)

    def add_bytes(
        self,
        name: str | bytes,
        data: bytes | bytearray | memoryview,
        *,
        mtime: int = 0,
        mode: int = 0o644,
        owner: Owner = _UNKNOWN_OWNER,
        xattrs: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Add a file with this content.

        Parameters
        ----------
        name : str or bytes
            Relative, '/' between its components.
        data : bytes-like
            The content.
        mtime : int
            Nanoseconds since the epoch.
        mode : int
            Permission bits.
        owner : (uid, gid, user, group)
            -1 and b'' where it is not recorded.
        xattrs : sequence of (key, value)
            Extended attributes.

        Raises
        ------
        ValueError
            A name that is not lawful or that the archive has already.
        """
        content = bytes(data)
        raw = self._checked(name, FILE)
        content_class = classify(content, len(content), raw)
        entry = self._begin(raw, FILE, content_class, len(content), mode, mtime, owner, b"", xattrs)
        self._add(0, content)
        self._pipeline.end(entry, 0, len(content), hashlib.sha256(content).digest())

    def add_stream(
        self,
        name: str | bytes,
        file: IO[bytes],
        *,
        mtime: int = 0,
        mode: int = 0o644,
        owner: Owner = _UNKNOWN_OWNER,
    ) -> None:
        """Add a file whose content is read from a binary file object up to its end.

        Parameters and errors are those of `add_bytes`. Should reading fail, the writer is aborted.
        """
        raw = self._checked(name, FILE)
        data = _read_full(file, self._chunk_size + 1)
        known = len(data) <= self._chunk_size
        content_class = classify(data, len(data), raw)
        size = len(data) if known else None
        entry = self._begin(raw, FILE, content_class, size, mode, mtime, owner, b"", ())
        digest = hashlib.sha256()
        position = 0
        try:
            while data:
                digest.update(data)
                self._add(position, data)
                position += len(data)
                data = b"" if known else _read_full(file, self._chunk_size)
        except BaseException:
            self.abort()  # a member without its end cannot stand in an archive
            raise
        self._pipeline.end(entry, 0, position, digest.digest())

    def add_directory(
        self,
        name: str | bytes,
        *,
        mtime: int = 0,
        mode: int = 0o755,
        owner: Owner = _UNKNOWN_OWNER,
    ) -> None:
        """Add a directory. Parameters and errors are those of `add_bytes`."""
        raw = self._checked(name, DIRECTORY)
        entry = self._begin(raw, DIRECTORY, 0, 0, mode, mtime, owner, b"", ())
        self._pipeline.end(entry)

    def add_link(
        self,
        name: str | bytes,
        target: str | bytes,
        *,
        hard: bool = False,
        mtime: int = 0,
        mode: int = 0o777,
        owner: Owner = _UNKNOWN_OWNER,
    ) -> None:
        """Add a symbolic link, or a hard link to a file that was added before.

        Parameters and errors are those of `add_bytes`; `target` is a name in the archive for a
        hard link, any text for a symbolic one.
        """
        entry_type = HARDLINK if hard else SYMLINK
        raw, raw_target = self._checked(name, entry_type), _encoded(target)
        if hard and self._names.get(raw_target) != FILE:
            raise ValueError(f"{show(raw)} is a hard link to {show(raw_target)}, which is no file")
        if not 0 < len(raw_target) <= MAX_LINK_TARGET or b"\0" in raw_target:
            raise ValueError(f"target of {show(raw)} is not 1 to {MAX_LINK_TARGET} bytes")
        entry = self._begin(raw, entry_type, 0, 0, mode, mtime, owner, raw_target, ())
        self._pipeline.end(entry)

    def add_found(self, found: Found) -> None:
        """Add what `walk` found; what cannot be added costs a warning."""
        against = self._reason_against(found)
        if against is not None:
            found.failed = True
            self._warn(f"{show(found.path)}: {against}; not archived")
            return
        status = found.stat
        owner = (status.st_uid, status.st_gid, found.user, found.group)
        meta = (found.mode, found.mtime, owner, found.link_target, found.xattrs)
        if found.type != FILE:
            self._pipeline.end(self._begin(found.name, found.type, 0, 0, *meta))
        elif not found.size or (found.descriptor < 0 and found.origin is None):
            entry = self._begin(found.name, FILE, 0, 0, *meta)
            self._pipeline.end(entry, 0, 0, _EMPTY_SHA256)
        elif self._far or found.origin is not None:
            self._add_far(found, meta)
        else:
            self._add_file(found, meta)

    def _reason_against(self, found: Found) -> str | None:
        try:
            check_name(found.name)
            check_metadata(found.user, found.group, found.xattrs)
        except ValueError as exc:
            return str(exc)
        if found.type == HARDLINK and self._names.get(found.link_target) != FILE:
            return f"it is a hard link to {show(found.link_target)}, which is not archived"
        return self._names.clash(found.name, found.type)

    def _add_file(self, found: Found, meta: tuple[Any, ...]) -> None:
        content = FileData(found, self._text_chunk_size)
        try:
            content_class = classify(content.sample, found.size, found.name)
        except OSError as exc:
            found.failed = True
            self._warn(f"{show(found.path)}: cannot be read: {reason(exc)}; not archived")
            return
        sparse = found.extents is not None
        entry = self._begin(found.name, FILE, content_class, content.size, *meta, sparse=sparse)
        step = self._text_chunk_size if content_class == ContentClass.TEXT else self._chunk_size
        digest = hashlib.sha256()
        end = 0  # of what was read, holes included
        for position, data in content.blocks(step):
            _update_zeros(digest, position - end)
            digest.update(data)
            self._add(position, data)
            end = position + len(data)
        if content.complete:
            _update_zeros(digest, found.size - end)
            end = found.size
        flags = SPARSE if sparse else 0
        if content.error is not None or found.changed():
            flags |= CHANGED_WHILE_READ
            what = "changed while it was read"
            if content.error is not None:
                what = f"cannot be read beyond byte {end}: {reason(content.error)}"
            self._warn(f"{show(found.path)}: {what}; archived as read")
        self._pipeline.end(entry, flags, end, digest.digest())

    def _add_far(self, found: Found, meta: tuple[Any, ...]) -> None:
        """Add a file whose content those who encode it will read."""
        origin = found.place()
        try:
            content_class = classify(found.read, found.size, found.name)
        except SourceError as exc:
            found.failed = True
            self._warn(f"{show(found.path)}: {exc.message}; not archived")
            return
        size, extents = found.size, found.extents
        if extents is not None:
            size = sum(end - start for start, end in extents)
        sparse = extents is not None
        entry = self._begin(found.name, FILE, content_class, size, *meta, sparse=sparse)
        is_text = content_class == ContentClass.TEXT
        small = size <= (self._text_chunk_size if is_text else self._chunk_size)
        flags = SPARSE if sparse else 0
        self._pipeline.add_all(entry, origin, extents, small=small, flags=flags)

    def _checked(self, name: str | bytes, entry_type: int) -> bytes:
        raw = _encoded(name)
        check_name(raw)
        against = self._names.clash(raw, entry_type)
        if against is not None:
            raise ValueError(f"{show(raw)} cannot be added: {against}")
        return raw

    def _begin(
        self,
        name: bytes,
        entry_type: int,
        content_class: int,
        size: int | None,
        mode: int,
        mtime: int,
        owner: Owner,
        link_target: bytes,
        xattrs: Sequence[tuple[bytes, bytes]],
        *,
        sparse: bool = False,
    ) -> int:
        """Begin an entry; return its number."""
        if self._closed:
            raise ValueError("the writer is closed")
        uid, gid, user, group = self._owner or owner
        if self._mtime is not None:
            mtime = min(mtime, self._mtime)
        size_of_metadata = check_metadata(user, group, xattrs)
        size_of_metadata += 128 + len(name) + len(link_target)
        self._names.add(name, entry_type)
        uid, gid = (number if 0 <= number <= MAX_OWNER_NUMBER else -1 for number in (uid, gid))
        mtime = max(-MAX_SUM, min(mtime, MAX_SUM - 1))
        row = (name, entry_type, mode & 0o7777, mtime, uid, gid, user, group, link_target, xattrs)
        self._lines.begin(name, content_class, sparse=sparse)
        return self._pipeline.begin(row, size_of_metadata, content_class, size)

    def _add(self, position: int, data: bytes) -> None:
        self._pipeline.add(position, data)

    def close(self) -> None:
        """Complete the archive and make it appear. Closing twice does nothing."""
        if self._closed:
            return
        try:
            self._pipeline.finish()
            self._sink.commit()
        except BaseException:
            self.abort()
            raise
        self._closed = True
        self._release()
        if self._progress is not None:
            self._progress(self._pipeline.read_size, self._records.offset)

    def abort(self) -> None:
        """Stop; nothing appears, what was there before stays."""
        if self._closed:
            return
        self._closed = True
        self._pipeline.cancel()
        self._sink.abort()
        self._release()

    def _release(self) -> None:
        self._records.close()
        if self._own_executor:
            self._executor.shutdown(wait=True, cancel_futures=True)


def _encoded(name: str | bytes) -> bytes:
    return os.fsencode(name)


def _renamed(name: bytes, root: bytes, new_root: bytes) -> bytes:
    """Return `name`, which stands at or below `root`, below `new_root`."""
    rest = name[len(root) :].lstrip(b"/")
    return b"/".join(part for part in (new_root, rest) if part)


def _read_full(file: IO[bytes], size: int) -> bytes:
    """Read `size` bytes, fewer only at the end."""
    data = file.read(size)
    if not data or len(data) == size:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := file.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _update_zeros(digest: Any, count: int) -> None:
    while count > 0:
        digest.update(_ZEROS[:count])
        count -= len(_ZEROS)


def _with_model(
    settings: CodecSettings,
    path: str | os.PathLike[str] | None,
    embed: bool,
    archive: Resume | None,
) -> tuple[CodecSettings, list[Model]]:
    """Return settings with the models of the codec for text, and those that are new here.

    A slot that the archive has is used again, unless it only names a model that is to be embedded.
    """
    file = None if path is None else os.path.abspath(path)
    known = [dict(row) for row in archive.tables[3].to_pylist()] if archive is not None else []
    new: list[Model] = []

    def slot_of(model: TextModel, embed: bool) -> int:
        for slot, row in enumerate(known):
            same = (row["kind"], row["sha256"]) == (model.kind, model.sha256)
            if same and (row["embedded"] or not embed):
                return slot
        slot = len(known) + len(new)
        header = ModelHeader(slot, model.kind, embed, model.size, model.sha256)
        new.append(Model(header, model.data))
        return slot

    model = text_model(settings.text_codec or "", file, embed=embed, shipped=settings.text_model)
    settings = replace(
        settings,
        model_sha256=model.sha256,
        model_kind=model.kind,
        model_slot=slot_of(model, embed),
        model_path=file,
    )
    base = base_model(model, file)
    if base is not None:
        settings = replace(settings, base_slot=slot_of(base, embed=False))
    return settings, new
