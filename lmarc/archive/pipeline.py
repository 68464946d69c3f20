"""From members' content to records: cut into chunks, encoded by an executor, written in order.

What goes into which chunk is decided here, before any work is given away, and records are written
in the order of groups; so the same calls give the same bytes, whatever executes the work. A few
groups of content are in memory at most.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any, Final

from lmarc.archive.lines import LineCounter
from lmarc.archive.records import NO_SHA256, Group, Model, RecordWriter
from lmarc.codec.base import NO_MODEL, CodecSettings, ContentClass, EncodedChunk
from lmarc.codec.choose import encode_chunk
from lmarc.codec.dictionary import train_dictionary
from lmarc.format.limits import MIB
from lmarc.format.model import ModelHeader, ModelKind
from lmarc.routing.group import Grouper, Packed, PackedChunk

__all__ = ["Pipeline"]

_GROUPS_IN_FLIGHT: Final = 2  # groups of 16 MiB whose chunks are being encoded
_GROUP_METADATA: Final = 16 * MIB  # bytes of names and attributes of one group


class _Pending:
    """A group whose chunks are with the executor, or wait for a dictionary."""

    __slots__ = ("chunks", "group", "models")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.chunks: list[Future[EncodedChunk] | PackedChunk] = []
        self.models: list[Model] = []


class Pipeline:
    """Begin an entry, add its content, end it; `finish` after the last.

    Parameters
    ----------
    records : RecordWriter
        Gets whole groups, in order.
    grouper : Grouper
        Decides what goes where.
    executor : concurrent.futures.Executor
        Runs `encode_chunk`.
    settings : CodecSettings
        What decides the bytes of chunks. Without a codec for text and without a dictionary, one is
        trained on the text of the first group that has any.
    lines : LineCounter
        Gets every chunk; it has been told of every entry that has content.
    models : sequence of Model
        What the codec for text may need, by slot; written before the first chunk that names the
        slot, or a later one.
    progress : callable, optional
        Gets the bytes of content encoded so far, and those of what it became.
    """

    def __init__(
        self,
        records: RecordWriter,
        grouper: Grouper,
        executor: Executor,
        settings: CodecSettings,
        lines: LineCounter,
        models: Sequence[Model] = (),
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self._progress = progress
        self._encoded_size = 0  # bytes of content that have been encoded
        self._payload_size = 0  # bytes that this has become
        self._records = records
        self._grouper = grouper
        self._executor = executor
        self._settings = settings
        self._lines = lines
        self._models = deque(models)
        self.entry_count = records.entry_count  # begun, those of an archive appended to included
        self.read_size = 0  # bytes of content
        self._group = _Pending(Group(self.entry_count))
        self._metadata_size = 0
        self._pending: deque[_Pending] = deque()
        # Chunks of text wait for the end of their group: it decides on the dictionary.
        self._undecided = settings.text_codec is None and settings.dictionary is None

    def begin(
        self, row: Sequence[Any], metadata_size: int, content_class: int, size: int | None
    ) -> int:
        """Begin an entry; return its number.

        Parameters
        ----------
        row : sequence
            Its row of entries_begin.
        metadata_size : int
            Bytes of its names and attributes.
        content_class : int
            A ContentClass.
        size : int or None
            Bytes of content, holes not counted; None: not known.
        """
        if self._metadata_size + metadata_size > _GROUP_METADATA and self._metadata_size:
            self._take(self._grouper.finish())
        packed = self._grouper.begin(self.entry_count, content_class, size)
        if packed:
            self._take(packed)
        self._metadata_size += metadata_size
        self._group.group.begin(row)
        self.entry_count += 1
        return self.entry_count - 1

    def add(self, position: int, data: bytes) -> None:
        """Add content of the entry that began last."""
        packed = self._grouper.add(position, data)
        self.read_size += len(data)
        if packed:
            self._take(packed)

    def end(self, entry: int, flags: int = 0, size: int = 0, sha256: bytes = NO_SHA256) -> None:
        """End an entry."""
        self._group.group.end(entry, flags, size, sha256)

    def finish(self) -> None:
        """Write what is left, and Index and Footer."""
        self._take(self._grouper.finish())
        while self._pending:
            self._write_group(self._pending.popleft())
        lines = self._lines.model(self._records.model_count)
        if lines is not None:
            self._records.write_model(lines)
        self._records.finish()

    def cancel(self) -> None:
        """Take back the work that has not begun."""
        for pending in [*self._pending, self._group]:
            for chunk in pending.chunks:
                if isinstance(chunk, Future):
                    chunk.cancel()

    def _take(self, packed: Iterable[Packed]) -> None:
        """Give closed chunks to the executor, and write the groups that are complete."""
        for item in packed:
            if isinstance(item, PackedChunk):
                self._take_chunk(item)
            else:
                self._take_group()

    def _take_chunk(self, chunk: PackedChunk) -> None:
        pending = self._group
        pending.group.add_pieces(chunk.number, chunk.entries, chunk.positions, chunk.sizes)
        self._lines.add(chunk)
        if self._undecided and chunk.content_class == ContentClass.TEXT:
            pending.chunks.append(chunk)
        else:
            pending.chunks.append(self._submit(chunk))

    def _submit(self, chunk: PackedChunk) -> Future[EncodedChunk]:
        settings = self._settings
        if settings.dictionary is not None and chunk.content_class != ContentClass.TEXT:
            settings = replace(settings, dictionary=None)  # not worth sending
        return self._executor.submit(encode_chunk, chunk.content, chunk.content_class, settings)

    def _take_group(self) -> None:
        if self._undecided:
            self._decide(self._group)
        self._pending.append(self._group)
        self._group = _Pending(Group(self.entry_count))
        self._metadata_size = 0
        while len(self._pending) > _GROUPS_IN_FLIGHT:
            self._write_group(self._pending.popleft())

    def _decide(self, pending: _Pending) -> None:
        """Train the dictionary on the text of the first group, and send that text off."""
        waiting = [chunk for chunk in pending.chunks if isinstance(chunk, PackedChunk)]
        if not waiting:
            return
        self._undecided = False
        data = train_dictionary([chunk.content for chunk in waiting], self._settings.zstd_level)
        if data is not None:
            slot = self._records.model_count
            digest = hashlib.sha256(data).digest()
            header = ModelHeader(slot, ModelKind.DICTIONARY, True, len(data), digest)
            pending.models.append(Model(header, data))
            self._settings = replace(self._settings, dictionary=data, dictionary_slot=slot)
        pending.chunks = [
            self._submit(chunk) if isinstance(chunk, PackedChunk) else chunk
            for chunk in pending.chunks
        ]

    def _write_group(self, pending: _Pending) -> None:
        chunks = []
        for chunk in pending.chunks:
            if isinstance(chunk, Future):
                encoded = chunk.result()
                chunks.append(encoded)
                self._encoded_size += encoded.content_size
                self._payload_size += len(encoded.payload)
                if self._progress is not None:
                    self._progress(self._encoded_size, self._payload_size)
        slots = {encoded.model_slot for encoded in chunks} - {NO_MODEL}
        while self._models and slots and self._models[0].header.slot <= max(slots):
            pending.models.append(self._models.popleft())
        self._records.write_group(pending.group, chunks, pending.models)
