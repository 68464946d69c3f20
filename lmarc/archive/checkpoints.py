"""Uploads to S3 that another run can go on from: `create --resume`.

Parts end where groups end. When a part is up, a small object beside the target says which groups
it holds and what they have become; the first such object names the upload. A later run lays out the
same groups, passes over those that are up, and encodes the rest. Nothing of this is left when the
archive is complete.

The objects are JSON, compressed: `<key>.lmarc-resume/job` and `<key>.lmarc-resume/00001` and so on,
a number for each part.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from fsspec.asyn import sync

from lmarc.archive.messages import Warn
from lmarc.archive.pipeline import FinishedGroup
from lmarc.archive.records import WrittenGroup
from lmarc.archive.upload import S3Sink, error_code
from lmarc.errors import SourceError
from lmarc.format._fields import Buffer

__all__ = ["Checkpoints", "ResumableSink"]

_SUFFIX: Final = ".lmarc-resume/"
_LARGEST_GROUP: Final = 48 << 20  # bytes that wait for the end of their group
_LARGEST_STATE: Final = 1 << 28  # bytes of JSON that are believed
_DELETED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """How an upload is kept track of."""

    job: str  # all that decides the bytes of the archive, besides what is archived
    resume: bool  # whether to go on from an earlier run, and to leave what can be gone on from
    warn: Warn


class ResumableSink(S3Sink):
    """An upload whose parts end with groups, and whose progress is written beside it.

    Parameters
    ----------
    url, filesystem, path
        As for `S3Sink`.
    checkpoints : Checkpoints
        What to do about an earlier run.

    Raises
    ------
    SourceError
        The earlier run had other options, or the store refused.
    """

    def __init__(self, url: str, filesystem: Any, path: str, checkpoints: Checkpoints) -> None:
        super().__init__(url, filesystem, path)
        self._keep = checkpoints.resume
        self._warn = checkpoints.warn
        self._job = hashlib.sha256(checkpoints.job.encode("utf-8", "surrogateescape")).hexdigest()
        self._prefix = self._target["Key"] + _SUFFIX
        self._waiting: list[FinishedGroup] = []  # groups of the part that fills
        self._states: dict[int, list[FinishedGroup]] = {}  # by part; those not yet recorded
        self._objects: list[str] = []  # keys that go when the archive is complete
        self.finished: list[FinishedGroup] = []  # what an earlier run has uploaded
        self._take_up()

    def write(self, data: Buffer) -> None:
        """Take all of `data`; it goes out at the end of a group, or when it is very much."""
        self._buffer += data
        if len(self._buffer) >= self._part_size() + _LARGEST_GROUP:
            self._send_buffer()

    def checkpoint(self, group: FinishedGroup) -> None:
        """Take note that all of a group has been written."""
        self._waiting.append(group)
        if len(self._buffer) >= self._part_size():
            self._states[len(self._parts)] = self._waiting
            self._waiting = []
            self._send_buffer()
            for number in list(self._states):
                if isinstance(self._parts[number], str) or self._parts[number].done():
                    self._settle(number)

    def _send_buffer(self) -> None:
        part = bytes(self._buffer)
        self._buffer.clear()
        self._send(part)

    def _start(self) -> str:
        if self._upload is None:
            upload = super()._start()
            self._put("job", {"upload": upload, "job": self._job})
        return super()._start()

    def _settle(self, number: int) -> None:
        super()._settle(number)
        groups = self._states.pop(number, None)
        if groups is not None:
            state = {"etag": self._parts[number], "groups": [_packed(group) for group in groups]}
            self._put(f"{number + 1:05}", state)

    def commit(self) -> None:
        """Complete the upload, and remove what was noted of it."""
        super().commit()
        self._forget()

    def abort(self) -> None:
        """Stop; with `resume` what is up stays for another run, else the store forgets it."""
        if self._keep and self._upload is not None:
            for number in range(len(self._parts)):
                with suppress(Exception):
                    self._settle(number)
            self._upload = None
            self._buffer.clear()
            message = "the parts that are up are kept: run it again with --resume to go on"
            self._warn(f"{self._url}: {message}")
            return
        super().abort()
        self._forget()

    def _forget(self) -> None:
        for first in range(0, len(self._objects), _DELETED_AT_ONCE):
            keys = self._objects[first : first + _DELETED_AT_ONCE]
            objects = [{"Key": key} for key in keys]
            with suppress(Exception):  # what is left names an upload that is gone, and harms none
                self._ask("delete_objects", Delete={"Objects": objects, "Quiet": True})
        self._objects = []

    def _take_up(self) -> None:
        """Look what an earlier run has left, and go on from it or have the store forget it."""
        pages = self._pages("list_objects_v2", "ContinuationToken", "NextContinuationToken")
        self._objects = [item["Key"] for page in pages for item in page.get("Contents", ())]
        head = self._get("job") if self._prefix + "job" in self._objects else {}
        upload = str(head.get("upload", ""))
        if upload and self._keep:
            if head.get("job") != self._job:
                message = "cannot be resumed: the earlier run had other options"
                raise SourceError(f"{message}; without --resume it begins anew", url=self._url)
            self._go_on(upload)
        elif upload:
            with suppress(SourceError):
                self._call("abort_multipart_upload", UploadId=upload)
        if self._upload is None:
            self._forget()
        self._name_others()

    def _go_on(self, upload: str) -> None:
        known: dict[int, str] = {}
        try:
            pages = self._pages(
                "list_parts",
                "PartNumberMarker",
                "NextPartNumberMarker",
                Key=self._target["Key"],
                UploadId=upload,
            )
            for page in pages:
                known |= {part["PartNumber"]: part["ETag"] for part in page.get("Parts", ())}
        except SourceError as exc:
            if error_code(exc.__cause__ or exc) not in ("NoSuchUpload", "404"):
                raise
            self._warn(f"{self._url}: what an earlier run has uploaded is gone; it begins anew")
            return
        self._upload = upload
        for number in sorted(known):
            name = f"{number:05}"
            if number != len(self._parts) + 1 or self._prefix + name not in self._objects:
                break
            state = self._get(name)
            if state.get("etag") != known[number]:
                break
            try:
                groups = [_unpacked(group) for group in state["groups"]]
            except (KeyError, TypeError, ValueError, AttributeError):
                raise self._damaged(name) from None
            self._parts.append(known[number])
            self.finished += groups

    def _name_others(self) -> None:
        """Say which uploads of this archive are unfinished and of nobody known here."""
        page: dict[str, Any] = {}
        with suppress(SourceError):  # who may write need not be allowed to look
            page = self._ask("list_multipart_uploads", Prefix=self._target["Key"])
        for item in page.get("Uploads", ()):
            if (item["Key"], item["UploadId"]) != (self._target["Key"], self._upload) and (
                item["Key"] == self._target["Key"]
            ):
                message = f"an unfinished upload of {item['Initiated']:%Y-%m-%d %H:%M} is there"
                where = f"its parts cost storage until it is aborted (UploadId {item['UploadId']})"
                self._warn(f"{self._url}: {message}; {where}")

    def _put(self, name: str, state: dict[str, Any]) -> None:
        body = zlib.compress(json.dumps(state).encode())
        self._ask("put_object", Key=self._prefix + name, Body=body)
        self._objects.append(self._prefix + name)

    def _get(self, name: str) -> dict[str, Any]:
        async def read() -> bytes:
            target = {"Bucket": self._target["Bucket"], "Key": self._prefix + name}
            answer = await self._filesystem._call_s3("get_object", **target)
            return bytes(await answer["Body"].read())

        data = self._guarded(lambda: sync(self._filesystem.loop, read))
        try:
            unpacker = zlib.decompressobj()
            state = json.loads(unpacker.decompress(data, _LARGEST_STATE))
        except (ValueError, zlib.error):
            state = None
        if not isinstance(state, dict):
            raise self._damaged(name)
        return state

    def _damaged(self, name: str) -> SourceError:
        return SourceError(f"cannot be resumed: {self._prefix}{name} is damaged", url=self._url)

    def _pages(
        self, method: str, marker: str, following: str, **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        if method == "list_objects_v2":
            arguments = {"Prefix": self._prefix}
        while True:
            page = self._ask(method, **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments[marker] = page[following]

    def _ask(self, method: str, **arguments: Any) -> Any:
        """Make a request about the bucket."""
        call = self._filesystem._call_s3
        bucket = self._target["Bucket"]
        return self._guarded(
            lambda: sync(self._filesystem.loop, call, method, Bucket=bucket, **arguments)
        )

    def _guarded(self, what: Callable[[], Any]) -> Any:
        try:
            return what()
        except Exception as exc:
            raise self._failed(exc) from exc


def _packed(group: FinishedGroup) -> list[Any]:
    digests = {str(entry): digest.hex() for entry, digest in group.digests.items()}
    return [*group.written, digests, group.tallies]


def _unpacked(state: list[Any]) -> FinishedGroup:
    checksum, size, rows, digests, tallies = state
    return FinishedGroup(
        WrittenGroup(checksum, size, rows),
        {int(entry): bytes.fromhex(digest) for entry, digest in digests.items()},
        tallies,
    )
