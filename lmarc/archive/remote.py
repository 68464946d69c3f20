"""Archives on object stores and other file systems, through fsspec.

S3 is spoken to below s3fs: a suffix read that also tells size and ETag in one request,
reads pinned to that ETag, and uploads in parts that grow, so that no archive is too large.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from fsspec.asyn import sync
from fsspec.core import url_to_fs

from lmarc.archive.sink import Sink
from lmarc.archive.source import Range, Source, read_coalesced
from lmarc.archive.urls import shown
from lmarc.errors import SourceError
from lmarc.format._fields import Buffer

__all__ = [
    "FsspecSink",
    "FsspecSource",
    "S3Sink",
    "S3Source",
    "open_remote_sink",
    "open_remote_source",
]

T = TypeVar("T")

_CONCURRENT: Final = 10  # requests to one object at the same time
_ATTEMPTS: Final = 3  # for a body that breaks off; s3fs repeats requests by itself
_TOTAL: Final = re.compile(r"bytes \d+-\d+/(\d+)")


def open_remote_source(url: str, storage_options: Mapping[str, Any] | None) -> Source:
    """Return the source for a URL that is not local."""
    filesystem, path = url_to_fs(url, **(storage_options or {}))
    kind = S3Source if _is_s3(filesystem) else FsspecSource
    return kind(url, dict(storage_options or {}), filesystem, path)


def open_remote_sink(url: str, storage_options: Mapping[str, Any] | None) -> Sink:
    """Return the sink for a URL that is not local."""
    filesystem, path = url_to_fs(url, **(storage_options or {}))
    if _is_s3(filesystem):
        return S3Sink(url, filesystem, path)
    return FsspecSink(url, dict(storage_options or {}), path)


def _is_s3(filesystem: Any) -> bool:
    return hasattr(filesystem, "_call_s3") and hasattr(filesystem, "split_path")


class FsspecSource:
    """Any fsspec file system: `cat_file` with bounds by keyword."""

    local = False

    def __init__(
        self, url: str, storage_options: dict[str, Any], filesystem: Any = None, path: str = ""
    ) -> None:
        self._url = url
        self._options = storage_options
        self._filesystem = filesystem
        self._path = path
        self._process = os.getpid()
        self._limit = asyncio.Semaphore(_CONCURRENT)  # of requests, in the file system's loop

    @property
    def url(self) -> str:
        """The URL, without credentials."""
        return shown(self._url)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._url, self._options)

    @property
    def filesystem(self) -> Any:
        """The file system; made again after unpickling and in a process that was forked."""
        if self._filesystem is None or self._process != os.getpid():
            self._process = os.getpid()
            self._filesystem, self._path = url_to_fs(self._url, **self._options)
            self._limit = asyncio.Semaphore(_CONCURRENT)
        return self._filesystem

    def _guard(self, what: Callable[[], T], start: int, end: int | None) -> T:
        try:
            return what()
        except SourceError:
            raise
        except FileNotFoundError as exc:
            raise FileNotFoundError(errno.ENOENT, str(exc), self.url) from exc
        except Exception as exc:
            message = f"cannot be read: {str(exc) or type(exc).__name__}"
            raise SourceError(message, url=self.url, start=start, end=end) from exc

    def read_suffix(self, size: int) -> tuple[bytes, int | None]:
        """Return the last `size` bytes, all if there are fewer, and the total where it is known."""
        data = self._guard(lambda: self._read_suffix(size), -size, None)
        if len(data) != size:  # the whole of a small file, or of a server that knows no ranges
            return data[-size:], len(data)
        return data, None

    def _read_suffix(self, size: int) -> bytes:
        filesystem = self.filesystem
        try:
            data = filesystem.cat_file(self._path, start=-size)
        except AttributeError:  # the files of fsspec's caches do not know their size
            total = filesystem.size(self._path)
            data = filesystem.cat_file(self._path, start=max(0, total - size), end=total)
        return bytes(data)

    def total(self) -> int:
        """Return how many bytes there are."""
        return int(self._guard(lambda: self.filesystem.size(self._path), 0, None))

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes from `start` to `end`."""
        return bytes(self.read_ranges([(start, end)])[0])

    def read_ranges(self, ranges: Sequence[Range]) -> list[memoryview]:
        """Return the bytes of each range; near ones are read together, all at the same time."""
        if not ranges:
            return []
        start, end = min(ranges)[0], max(ranges)[1]
        return read_coalesced(
            ranges, lambda joined: self._guard(lambda: self._read_all(joined), start, end)
        )

    def _read_all(self, ranges: list[Range]) -> list[bytes]:
        filesystem = self.filesystem
        if len(ranges) == 1:
            (start, end) = ranges[0]
            blocks = [filesystem.cat_file(self._path, start=start, end=end)]
        else:
            starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
            paths = [self._path] * len(ranges)
            blocks = filesystem.cat_ranges(paths, starts=starts, ends=ends, on_error="raise")
        return [self._checked(item, block) for item, block in zip(ranges, blocks, strict=True)]

    def _checked(self, wanted: Range, block: bytes) -> bytes:
        start, end = wanted
        if len(block) != end - start:
            message = f"gave {len(block)} bytes, {end - start} were asked for"
            raise SourceError(message, url=self.url, start=start, end=end)
        return block

    def close(self) -> None:
        """Let the file system go; the next read takes it again."""


class S3Source(FsspecSource):
    """An object on S3, pinned to the ETag that it had at the first read."""

    def __init__(
        self,
        url: str,
        storage_options: dict[str, Any],
        filesystem: Any = None,
        path: str = "",
        etag: str | None = None,
    ) -> None:
        super().__init__(url, storage_options, filesystem, path)
        self.etag = etag

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._url, self._options, None, "", self.etag)

    def read_suffix(self, size: int) -> tuple[bytes, int | None]:
        """Return the last `size` bytes, all if there are fewer, and the object's size."""
        filesystem = self.filesystem
        try:
            data, answer = self._guard(
                lambda: sync(filesystem.loop, self._get, f"bytes=-{size}"), -size, None
            )
        except SourceError as exc:
            if "InvalidRange" in repr(exc.__cause__) or "not satisfiable" in str(exc.__cause__):
                return b"", 0  # an empty object has no range at all
            raise
        self.etag = answer.get("ETag")
        total = _TOTAL.match(answer.get("ContentRange") or "")
        return data[-size:], int(total[1]) if total else len(data)

    def _read_all(self, ranges: list[Range]) -> list[bytes]:
        return sync(self.filesystem.loop, self._get_all, ranges)  # type: ignore[no-any-return]

    async def _get_all(self, ranges: list[Range]) -> list[bytes]:
        async def get(wanted: Range) -> bytes:
            async with self._limit:
                data, _ = await self._get(f"bytes={wanted[0]}-{wanted[1] - 1}")
            return self._checked(wanted, data)

        return list(await asyncio.gather(*map(get, ranges)))

    async def _get(self, range_header: str) -> tuple[bytes, dict[str, Any]]:
        bucket, key, version = self.filesystem.split_path(self._path)
        arguments = {"Bucket": bucket, "Key": key, "Range": range_header}
        if version is not None:
            arguments["VersionId"] = version
        if self.etag is not None:
            arguments["IfMatch"] = self.etag
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self.filesystem._call_s3("get_object", **arguments)
            except OSError as exc:
                if "PreconditionFailed" in repr(exc.__cause__) or "condition" in str(exc):
                    message = "was replaced since it was opened: its ETag changed"
                    raise SourceError(message, url=self.url) from exc
                raise
            body = answer["Body"]
            try:
                return await body.read(), answer
            except Exception:
                if attempt == _ATTEMPTS - 1:
                    raise
            finally:
                body.close()
        raise AssertionError("unreachable")


class S3Sink:
    """An upload in parts that appears when it is completed; a small one is a single request.

    Parts double every thousand, so that the 10,000 that S3 allows hold 8 TiB. Up to 120 GiB no part
    is above 64 MiB, and four of them are held in memory at most.
    """

    identity: tuple[int, int] | None = None

    _FIRST: Final = 8 << 20  # bytes of the first parts
    _DOUBLE_EVERY: Final = 1000  # parts
    _IN_FLIGHT: Final = 32 << 20  # bytes of parts that are on their way

    def __init__(self, url: str, filesystem: Any, path: str) -> None:
        self._url = shown(url)
        self._filesystem = filesystem
        bucket, key, _ = filesystem.split_path(path)
        self._target = {"Bucket": bucket, "Key": key}
        self._path = path
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[Any] = []  # futures of running uploads, then their ETags

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            return sync(
                self._filesystem.loop,
                self._filesystem._call_s3,
                method,
                **self._target,
                **arguments,
            )
        except Exception as exc:
            raise self._failed(exc) from exc

    def _failed(self, exc: BaseException) -> SourceError:
        return SourceError(f"cannot be written: {str(exc) or type(exc).__name__}", url=self._url)

    def write(self, data: Buffer) -> None:
        """Take all of `data`; full parts go out."""
        self._buffer += data
        size = self._part_size()
        while len(self._buffer) >= size:
            part = bytes(memoryview(self._buffer)[:size])
            del self._buffer[:size]
            self._send(part)
            size = self._part_size()

    def _part_size(self) -> int:
        return self._FIRST << (len(self._parts) // self._DOUBLE_EVERY)

    def _start(self) -> str:
        if self._upload is None:
            self._upload = self._call("create_multipart_upload")["UploadId"]
        return self._upload

    def _send(self, part: bytes) -> None:
        """Upload a part beside the two before it; an error shows at one of the next calls."""
        arguments = {"PartNumber": len(self._parts) + 1, "UploadId": self._start(), "Body": part}
        self._submit(self._filesystem._call_s3("upload_part", **self._target, **arguments))

    def copy(self, source: S3Source, start: int, end: int) -> None:
        """Add bytes of another object, copied by the store; only between parts, at least 5 MiB."""
        arguments = {
            "PartNumber": len(self._parts) + 1,
            "UploadId": self._start(),
            "CopySource": dict(
                zip(("Bucket", "Key"), source.filesystem.split_path(source._path)[:2], strict=True)
            ),
            "CopySourceRange": f"bytes={start}-{end - 1}",
        }
        if source.etag is not None:
            arguments["CopySourceIfMatch"] = source.etag
        self._submit(self._filesystem._call_s3("upload_part_copy", **self._target, **arguments))

    def _submit(self, call: Awaitable[Any]) -> None:
        running = asyncio.run_coroutine_threadsafe(_awaited(call), self._filesystem.loop)
        self._parts.append(running)
        waiting = len(self._parts) - max(1, self._IN_FLIGHT // self._part_size())
        if waiting >= 0:
            self._settle(waiting)

    def _settle(self, number: int) -> None:
        running = self._parts[number]
        if isinstance(running, str):
            return
        try:
            answer = running.result()
        except Exception as exc:
            raise self._failed(exc) from exc
        self._parts[number] = (answer.get("CopyPartResult") or answer)["ETag"]

    def barrier(self) -> None:
        """Do nothing: nothing shows before `commit`."""

    def commit(self) -> None:
        """Complete the upload."""
        if self._upload is None:
            self._call("put_object", Body=bytes(self._buffer))
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            for number in range(len(self._parts)):
                self._settle(number)
            parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(self._parts, 1)]
            self._call(
                "complete_multipart_upload",
                UploadId=self._upload,
                MultipartUpload={"Parts": parts},
            )
        self._upload = None
        self._buffer.clear()
        self._filesystem.invalidate_cache(self._path)

    def abort(self) -> None:
        """Stop the upload and have the store forget its parts."""
        for running in self._parts:
            if not isinstance(running, str):
                running.cancel()
        if self._upload is not None:
            with contextlib.suppress(Exception):
                self._call("abort_multipart_upload", UploadId=self._upload)
            self._upload = None
        self._buffer.clear()


async def _awaited(call: Awaitable[T]) -> T:
    return await call


class FsspecSink:
    """Any fsspec file system: a transaction where it has them.

    The file system is one of its own, because a transaction is a state of the whole file system.
    """

    identity: tuple[int, int] | None = None

    def __init__(self, url: str, storage_options: dict[str, Any], path: str) -> None:
        self._url = shown(url)
        options = {**storage_options, "skip_instance_cache": True}
        try:
            self._filesystem, self._path = url_to_fs(url, **options)
        except TypeError:
            self._filesystem, self._path = url_to_fs(url, **storage_options)
        self._filesystem.start_transaction()
        try:
            self._file = self._filesystem.open(self._path, "wb")
        except BaseException:
            self._end(commit=False)
            raise

    def _end(self, *, commit: bool) -> None:
        transaction = self._filesystem.transaction
        transaction.complete(commit=commit)
        self._filesystem._transaction = None
        self._filesystem._intrans = False

    def write(self, data: Buffer) -> None:
        """Write all of `data`."""
        try:
            self._file.write(data)
        except Exception as exc:
            raise SourceError(f"cannot be written: {exc}", url=self._url) from exc

    def barrier(self) -> None:
        """Do nothing: nothing shows before `commit`."""

    def commit(self) -> None:
        """Close the file and end the transaction."""
        try:
            self._file.close()
            self._end(commit=True)
        except Exception as exc:
            raise SourceError(f"cannot be written: {exc}", url=self._url) from exc

    def abort(self) -> None:
        """Throw away what was written."""
        with contextlib.suppress(Exception):
            self._file.close()
        with contextlib.suppress(Exception):
            self._end(commit=False)
