"""The fsspec file system `lmarc`: an archive as a read-only tree.

`fsspec.open("lmarc://member::s3://bucket/a.lmarc")` and `fsspec.filesystem("lmarc", fo=...)` both
end here. Making or unpickling a file system reads nothing; the first question opens the archive.

It is asynchronous in fsspec's sense. The chunks that any number of ranges need are read together
(near ones in one request, ten requests at a time) and decoded beside each other. Reads and decoders
run in threads that belong to the instance: those of the event loop would be all taken by archives
that wait for an archive that they lie in.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike

import lmarc
from lmarc.errors import CorruptError, SourceError
from lmarc.interop.bulk import Bulk, Span
from lmarc.interop.chain import address
from lmarc.interop.file import CachedMemberFile
from lmarc.interop.view import View

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive


__all__ = ["LmarcFileSystem"]

T = TypeVar("T")

_THREADS: Final = 10  # that read and decode
_STEP: Final = 16 << 20  # bytes of a member that are held while it is copied to a file


class LmarcFileSystem(AsyncFileSystem):
    """The members of one archive, read-only.

    Instances are cached by fsspec. A read that fails lets go of the archive, so that one that was
    replaced costs one error, and the next call opens the new one; so does `invalidate_cache`, and a
    listing with `refresh=True`.

    Parameters
    ----------
    fo : str or path
        The archive: a path, or any URL that fsspec knows.
    target_protocol : str, optional
        The file system that holds it, where `fo` is not a URL.
    target_options : dict, optional
        Arguments of that file system.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.
    use_listings_cache : bool
        Whether a listing may be that of the archive as it was opened; it is opened anew otherwise.
    listings_expiry_time : float, optional
        Seconds after which a listing opens the archive anew.
    **kwargs
        Those of `AsyncFileSystem`: asynchronous, loop, batch_size, skip_instance_cache.
    """

    protocol = "lmarc"
    root_marker = ""
    cachable = True
    _pid: int

    def __init__(
        self,
        fo: Any = "",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        model: str | os.PathLike[str] | None = None,
        use_listings_cache: bool = True,
        listings_expiry_time: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(fo, str | os.PathLike) or not os.fspath(fo):
            raise ValueError(f"fo is {fo!r}, expected the path or URL of an archive")
        self.fo = os.fspath(fo)
        self._url, self._options = address(self.fo, target_protocol, target_options)
        self._model = model
        self._expiry = listings_expiry_time if use_listings_cache else 0.0
        self._forget()

    def _forget(self) -> None:
        self._opening = threading.Lock()
        self._state: tuple[View, Bulk] | None = None
        self._opened_at = 0.0
        self._threads: ThreadPoolExecutor | None = None

    def _check_process(self) -> None:
        """Start afresh in a process that was forked: it has none of the threads."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._forget()
            if not self.asynchronous:
                self._loop = get_loop()

    @property
    def loop(self) -> Any:
        """The event loop, fsspec's own in a forked process too."""
        self._check_process()
        return self._loop

    @property
    def archive(self) -> Archive:
        """The open archive."""
        return self._view().archive

    def _opened(self) -> tuple[View, Bulk]:
        self._check_process()
        with self._opening:
            if self._state is None:
                options = self._options or None
                archive = lmarc.open(self._url, storage_options=options, model=self._model)
                self._state = View(archive, self.fo), Bulk(archive, self._run)
                self._opened_at = time.monotonic()
            return self._state

    def _view(self) -> View:
        return self._opened()[0]

    def invalidate_cache(self, path: str | None = None) -> None:
        """Let go of the archive and its listings; the next call opens it again."""
        self._state = None
        super().invalidate_cache(path)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what may wait or compute, in a thread of this instance."""
        self._check_process()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "lmarc-files")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except SourceError:
            self.invalidate_cache()
            raise

    def _expire(self, kwargs: Mapping[str, Any]) -> None:
        """Let go of the archive where a listing is to be newer than it."""
        old = self._expiry is not None and time.monotonic() - self._opened_at >= self._expiry
        if old or kwargs.get("refresh", False):
            self.invalidate_cache()

    @classmethod
    def _strip_protocol(cls, path: str | list[str]) -> Any:
        stripped = super()._strip_protocol(path)
        return stripped if isinstance(stripped, list) else stripped.strip("/")

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe a member: name, size, type, mode, mtime (seconds), uid, gid and more.

        Directories that have no entry of their own have only name, size and type.
        """
        name = self._strip_protocol(path)
        return await self._run(lambda: self._view().info(name))

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a directory, or the one member with this name; `refresh=True` opens anew."""
        name = self._strip_protocol(path)
        self._expire(kwargs)
        return await self._run(lambda: self._view().listing(name, detail))

    async def _find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **kwargs: Any,
    ) -> list[str] | dict[str, dict[str, Any]]:
        """List everything below a directory, without reading one directory after the other."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        name, detail = self._strip_protocol(path), kwargs.pop("detail", False)
        self._expire(kwargs)
        return await self._run(lambda: self._view().found(name, maxdepth, withdirs, detail))

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the bytes `start` to `end` of a member; negative positions count from its end."""
        (data,) = await self._cat_ranges([path], start, end, on_error="raise")
        return data  # type: ignore[no-any-return]

    async def _cat_ranges(
        self,
        paths: Sequence[str],
        starts: int | Sequence[int | None] | None,
        ends: int | Sequence[int | None] | None,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return one range of each path; `max_gap` and `batch_size` are the archive's own affair.

        A chunk that several ranges touch is read and decoded once. An error stands in its place in
        the list, unless `on_error` is 'raise'.
        """
        count = len(paths)
        first = list(starts) if isinstance(starts, Sequence) else [starts] * count
        last = list(ends) if isinstance(ends, Sequence) else [ends] * count
        if not count == len(first) == len(last):
            raise ValueError(f"{count} paths, {len(first)} starts and {len(last)} ends")
        names = [self._strip_protocol(path) for path in paths]
        bulk, spans = await self._run(self._spans, names, first, last)
        lawful = [span for span in spans if not isinstance(span, Exception)]
        read = iter(await bulk.read(lawful))
        parts = [span if isinstance(span, Exception) else next(read) for span in spans]
        if on_error == "raise":
            for part in parts:
                if isinstance(part, Exception):
                    raise part
        return parts

    async def _cat(
        self,
        path: str | list[str],
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the content of a member, or a dict of several that are read together."""
        paths = await self._expand_path(path, recursive=recursive)
        parts = await self._cat_ranges(
            paths, None, None, on_error="raise" if on_error == "raise" else "return"
        )
        if len(paths) == 1 and isinstance(path, str) and paths[0] == self._strip_protocol(path):
            return parts[0]
        pairs = zip(paths, parts, strict=True)
        return {k: v for k, v in pairs if on_error != "omit" or not isinstance(v, Exception)}

    async def _get_file(
        self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        """Copy a member to a local file or file object, and check its SHA-256."""
        name = self._strip_protocol(rpath)
        if await self._isdir(name):
            os.makedirs(lpath, exist_ok=True)
            return
        bulk, (span,) = await self._run(self._spans, [name], [None], [None])
        if isinstance(span, Exception):
            raise span
        entry, _, size = span
        callback.set_size(size)
        async with bulk.copies:
            file: IO[bytes] = lpath if isfilelike(lpath) else open(lpath, "wb")  # noqa: SIM115
            try:
                digest = hashlib.sha256()
                for position in range(0, size, _STEP):
                    part = (entry, position, min(position + _STEP, size))
                    (data,) = await bulk.read([part], ahead=True)
                    if isinstance(data, Exception):
                        raise data
                    await self._run(file.write, data)
                    await self._run(digest.update, data)
                    callback.relative_update(len(data))
            finally:
                if file is not lpath:
                    file.close()
        if digest.digest() != bulk.archive.member(entry).sha256:
            raise CorruptError(f"{name!r} does not have its SHA-256")

    def _spans(
        self, names: Sequence[str], starts: Sequence[int | None], ends: Sequence[int | None]
    ) -> tuple[Bulk, list[Span | Exception]]:
        view, bulk = self._opened()
        spans: list[Span | Exception] = []
        for name, start, end in zip(names, starts, ends, strict=True):
            try:
                spans.append(view.span(name, start, end))
            except OSError as exc:
                spans.append(exc)
        return bulk, spans

    def modified(self, path: str) -> datetime:
        """Return when a member last changed, in UTC."""
        info = self.info(path)
        if "mtime" not in info:
            raise FileNotFoundError(f"directory {info['name']!r} has no time of its own")
        return datetime.fromtimestamp(info["mtime"], UTC)

    def ukey(self, path: str) -> str:
        """Return the SHA-256 of a member: it changes when the content does."""
        return self._view().file(self._strip_protocol(path)).sha256.hex()

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        cache_type: str | None = None,
        **kwargs: Any,
    ) -> IO[bytes]:
        """Open a member; without a `cache_type` it reads chunks as it meets them."""
        if mode != "rb":
            raise OSError(f"mode is {mode!r}; an archive is read-only here: use lmarc.append")
        name = self._strip_protocol(path)
        view = self._view()
        member = view.file(name)
        if cache_type is None:
            return view.archive.open(member.path)
        return CachedMemberFile(
            self,
            name,
            view.archive,
            member,
            block_size=block_size,
            cache_type=cache_type,
            cache_options=cache_options,
        )
