"""Archives that are written to S3: parts go up as they fill, the object appears on `commit`.

Parts grow, so that no archive is too large. An append has the store copy the old bytes, and
replaces the object only if it is still the one that was opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fsspec.asyn import sync

from lmarc.archive.urls import shown
from lmarc.errors import SourceError
from lmarc.format._fields import Buffer

if TYPE_CHECKING:
    from lmarc.archive.remote import S3Source

__all__ = ["SMALLEST_PART", "S3Sink", "error_code"]

T = TypeVar("T")

SMALLEST_PART: Final = 5 << 20  # bytes: what S3 takes as a part that is not the last
_LARGEST_COPY: Final = 1 << 30  # bytes that S3 copies as one part
_BLOCK: Final = 16 << 20  # bytes of the old archive that are read at once
# What S3 answers where an object is not, or is no longer, the one that a condition names.
_CONDITION: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_GONE: Final = frozenset({"NoSuchKey", "404"})


def error_code(exc: BaseException) -> str:
    """Return the code of S3's answer behind an error of s3fs, '' where there is none."""
    for one in (exc, exc.__cause__):
        answer = getattr(one, "response", None)
        if isinstance(answer, dict):
            return str(answer.get("Error", {}).get("Code", ""))
    return ""


class S3Sink:
    """An upload in parts that appears when it is completed; a small one is a single request.

    Parts double every thousand, so that the 10,000 that S3 allows hold 8 TiB. Up to 120 GiB no part
    is above 64 MiB, and four of them are held in memory at most.

    Parameters
    ----------
    url : str
        The target, for messages.
    filesystem : s3fs.S3FileSystem
        What reaches it.
    path : str
        The target there.
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
        self._replaces: str | None = None  # ETag of the one object that may be replaced

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
        code = error_code(exc)
        if self._replaces is not None and (code in _CONDITION or code in _GONE):
            what = "was removed" if code in _GONE else f"no longer has the ETag {self._replaces}"
            message = f"changed since the append began: it {what}; nothing was added"
            return SourceError(message, url=self._url)
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

    def begin_with(self, source: S3Source, end: int) -> None:
        """Begin with the first bytes of the object that this one replaces, if it is still that.

        From 5 MiB on the store copies them; fewer are no part that S3 takes, and are written again.

        Parameters
        ----------
        source : S3Source
            The object, read from already.
        end : int
            How many of its bytes.

        Raises
        ------
        SourceError
            It has changed or cannot be read.
        """
        self._replaces = source.etag
        if end < SMALLEST_PART:
            for start in range(0, end, _BLOCK):
                self.write(source.read(start, min(end, start + _BLOCK)))
            return
        count = -(-end // _LARGEST_COPY)
        for start, stop in pairwise(end * number // count for number in range(count + 1)):
            self._copy(source, start, stop)

    def _copy(self, source: S3Source, start: int, end: int) -> None:
        bucket, key, version = source.filesystem.split_path(source._path)
        origin = {"Bucket": bucket, "Key": key}
        if version is not None:
            origin["VersionId"] = version
        arguments = {
            "PartNumber": len(self._parts) + 1,
            "UploadId": self._start(),
            "CopySource": origin,
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
        condition = {} if self._replaces is None else {"IfMatch": self._replaces}
        if self._upload is None:
            etag = hashlib.md5(self._buffer, usedforsecurity=False).hexdigest()
            self._complete("put_object", etag, Body=bytes(self._buffer), **condition)
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            for number in range(len(self._parts)):
                self._settle(number)
            parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(self._parts, 1)]
            self._complete(
                "complete_multipart_upload",
                _etag_of_parts(self._parts),
                UploadId=self._upload,
                MultipartUpload={"Parts": parts},
                **condition,
            )
        self._upload = None
        self._buffer.clear()
        self._filesystem.invalidate_cache(self._path)

    def _complete(self, method: str, etag: str, **arguments: Any) -> None:
        """Make the object appear; where the answer is lost, look whether it has."""
        try:
            self._call(method, **arguments)
        except SourceError:
            with contextlib.suppress(SourceError):
                if self._call("head_object")["ETag"].strip('"') == etag:
                    return
            raise

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


def _etag_of_parts(etags: list[str]) -> str:
    """Return the ETag of an object made of parts: MD5 of their MD5s, where S3 shows those."""
    try:
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
    except ValueError:  # a store with ETags of its own
        return ""
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"
