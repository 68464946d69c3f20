"""From members' content to records: cut into chunks, encoded by an executor, written in order.

What goes into which chunk is decided here, before any work is given away, and records are written
in the order of groups; so the same calls give the same bytes, whatever executes the work. A few
groups of content are in memory at most.

Content can be given by reference: then those who encode it read it, and a member that is larger
than a chunk is hashed by a task of its own. Groups that an earlier run has written are passed over:
they are laid out again, but neither read nor encoded.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lmarc.archive.lines import LineCounter, Tallies
from lmarc.archive.records import NO_SHA256, Group, Model, RecordWriter, WrittenGroup
from lmarc.archive.source import Range
from lmarc.archive.spans import Origin, Span, digest_of
from lmarc.archive.tasks import Batches, Slot, content_of
from lmarc.codec.base import NO_MODEL, CodecSettings, ContentClass, EncodedChunk
from lmarc.codec.choose import encode_chunk
from lmarc.codec.dictionary import train_dictionary
from lmarc.errors import SourceError
from lmarc.format.limits import MIB
from lmarc.format.model import ModelHeader, ModelKind
from lmarc.routing.group import GROUP_SIZE, Grouper, Packed, PackedChunk

__all__ = ["FinishedGroup", "Pipeline"]

_GROUPS_IN_FLIGHT: Final = 2  # groups of 16 MiB whose chunks are being encoded
_CONTENT_IN_FLIGHT: Final = 16 * MIB  # bytes that wait to be encoded, or are
_FAR_GROUPS_IN_FLIGHT: Final = 16  # the same where content is by reference
# Stands in a group for a SHA-256 that a worker will give.
_ELSEWHERE: Final = b"elsewhere"
_MODEL_SLOT: Final = 3  # its place among the columns of WrittenGroup.chunk_rows
_GROUP_METADATA: Final = 16 * MIB  # bytes of names and attributes of one group


@dataclass(frozen=True, slots=True)
class FinishedGroup:
    """A group that is written, for a later run that goes on behind it."""

    written: WrittenGroup
    # SHA-256 of the members that were hashed elsewhere, by entry.
    digests: dict[int, bytes] = field(default_factory=dict)
    tallies: list[Tallies] = field(default_factory=list)  # of the lines in each chunk


class _Pending:
    """A group whose chunks are with the executor, or wait for a dictionary."""

    __slots__ = ("chunks", "far", "finished", "group", "laid_out", "models")

    def __init__(self, group: Group, finished: FinishedGroup | None) -> None:
        self.group = group
        self.finished = finished  # by an earlier run
        self.far = False  # whether some of its content is by reference
        self.chunks: list[Future[EncodedChunk] | Slot | PackedChunk] = []
        self.models: list[Model] = []
        # Content class and entries of each chunk, and its lines; None where a worker counts them.
        self.laid_out: list[tuple[int, list[int], Tallies | None]] = []


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
    finished : sequence of FinishedGroup
        The first groups, which an earlier run of the same calls has written.
    on_group : callable, optional
        Gets each group that is written, after those.
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
        finished: Sequence[FinishedGroup] = (),
        on_group: Callable[[FinishedGroup], object] | None = None,
    ) -> None:
        self._progress = progress
        self._finished = deque(finished)
        self._on_group = on_group
        self._batches = Batches(executor)
        self._in_flight: deque[tuple[Future[EncodedChunk], int]] = deque()  # content is here
        self._in_flight_size = 0  # bytes
        self._hashes: dict[int, Future[bytes]] = {}  # of members that are hashed by themselves
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
        self._group = self._new_group()
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

    def add_all(
        self,
        entry: int,
        origin: Origin,
        extents: Sequence[Range] | None,
        *,
        small: bool,
        flags: int,
    ) -> None:
        """Add all content of the entry that began last by reference, and end it.

        Parameters
        ----------
        entry : int
            Its number.
        origin : Origin
            Where its content lies.
        extents : sequence of (start, end), optional
            Where a sparse file has data.
        small : bool
            Whether it goes into one chunk as a whole.
        flags : int
            Flags in the entries table.
        """
        alone = not small or extents is not None  # hashed by itself
        for start, end in extents if extents is not None else [(0, origin.size)]:
            for position in range(start, end, GROUP_SIZE):
                self._hash(entry, origin, extents, alone=alone)
                span = Span(origin, position, min(position + GROUP_SIZE, end), entry, not alone)
                packed = self._grouper.add(position, span)
                self.read_size += len(span)
                self._group.far = True
                if packed:
                    self._take(packed)
        self._hash(entry, origin, extents, alone=alone)
        self._group.far = True
        self._group.group.end(entry, flags, origin.size, _ELSEWHERE)

    def _hash(
        self, entry: int, origin: Origin, extents: Sequence[Range] | None, *, alone: bool
    ) -> None:
        """Have a member hashed, unless it ends where an earlier run has been."""
        if alone and self._group.finished is None and entry not in self._hashes:
            self._hashes[entry] = self._executor.submit(digest_of, origin, extents)

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
                if not isinstance(chunk, PackedChunk):
                    chunk.cancel()
        for digest in self._hashes.values():
            digest.cancel()

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
        tallies = None if self._counts_elsewhere(chunk) else self._lines.tally(chunk)
        pending.laid_out.append((chunk.content_class, chunk.entries, tallies))
        if self._undecided and chunk.content_class == ContentClass.TEXT:
            pending.chunks.append(chunk)
        elif pending.finished is None:
            pending.chunks.append(self._submit(chunk))

    def _submit(self, chunk: PackedChunk) -> Future[EncodedChunk] | Slot:
        settings = self._settings
        is_text = chunk.content_class == ContentClass.TEXT
        if settings.dictionary is not None and not is_text:
            settings = replace(settings, dictionary=None)  # not worth sending
        if chunk.parts:
            count_lines = self._counts_elsewhere(chunk)
            return self._batches.add(chunk, settings, text=is_text, count_lines=count_lines)
        future = self._executor.submit(encode_chunk, chunk.content, chunk.content_class, settings)
        self._in_flight.append((future, len(chunk.content)))
        self._in_flight_size += len(chunk.content)
        while self._in_flight_size > _CONTENT_IN_FLIGHT:
            first, size = self._in_flight.popleft()
            wait([first])
            self._in_flight_size -= size
        return future

    def _counts_elsewhere(self, chunk: PackedChunk) -> bool:
        """Whether lines are counted in content that is not here."""
        return bool(chunk.parts) and self._lines.wants(chunk)

    def _take_group(self) -> None:
        group = self._group
        if self._undecided:
            self._decide(group)
        self._batches.flush()
        self._pending.append(group)
        self._group = self._new_group()
        self._metadata_size = 0
        far = all(waiting.far for waiting in self._pending)
        limit = _FAR_GROUPS_IN_FLIGHT if far else _GROUPS_IN_FLIGHT
        while len(self._pending) > limit:
            self._write_group(self._pending.popleft())

    def _new_group(self) -> _Pending:
        finished = self._finished.popleft() if self._finished else None
        return _Pending(Group(self.entry_count), finished)

    def _decide(self, pending: _Pending) -> None:
        """Train the dictionary on the text of the first group, and send that text off."""
        waiting = [chunk for chunk in pending.chunks if isinstance(chunk, PackedChunk)]
        if not waiting:
            return
        self._undecided = False
        contents = [content_of(chunk) for chunk in waiting]
        data = train_dictionary(contents, self._settings.zstd_level)
        if data is not None:
            slot = self._records.model_count
            digest = hashlib.sha256(data).digest()
            header = ModelHeader(slot, ModelKind.DICTIONARY, True, len(data), digest)
            pending.models.append(Model(header, data))
            self._settings = replace(self._settings, dictionary=data, dictionary_slot=slot)
        if pending.finished is not None:
            pending.chunks = []
            return
        pending.chunks = [
            self._submit(chunk) if isinstance(chunk, PackedChunk) else chunk
            for chunk in pending.chunks
        ]

    def _write_group(self, pending: _Pending) -> None:
        finished = pending.finished
        digests = {} if finished is None else dict(finished.digests)
        chunks = [self._result(chunk, digests) for chunk in pending.chunks]
        slots = {chunk.model_slot for chunk in chunks}
        if finished is not None:
            slots = set(finished.written.chunk_rows[_MODEL_SLOT])
        slots -= {NO_MODEL}
        while self._models and slots and self._models[0].header.slot <= max(slots):
            pending.models.append(self._models.popleft())
        digests = self._fill_digests(pending.group, digests)
        tallies = self._count_lines(pending)
        if finished is None:
            written = self._records.write_group(pending.group, chunks, pending.models)
            if self._on_group is not None:
                self._on_group(FinishedGroup(written, digests, tallies))
        elif not self._records.pass_group(pending.group, finished.written, pending.models):
            raise SourceError("what is to be archived has changed since the run that is resumed")
        else:
            stored_sizes, content_sizes = finished.written.chunk_rows[:2]
            self._count(sum(content_sizes), sum(stored_sizes))

    def _count_lines(self, pending: _Pending) -> list[Tallies]:
        """Hand the lines of all chunks on, in order; return those that are for a later run."""
        kept = []
        for place, (content_class, entries, tallies) in enumerate(pending.laid_out):
            if tallies is None and pending.finished is not None:
                tallies = pending.finished.tallies[place]
            elif tallies is None:
                chunk = pending.chunks[place]
                tallies = chunk.tallies() if isinstance(chunk, Slot) else []
            self._lines.take(content_class, entries, tallies)
            kept.append(tallies)
        return kept

    def _result(
        self, chunk: Future[EncodedChunk] | Slot | PackedChunk, digests: dict[int, bytes]
    ) -> EncodedChunk:
        if isinstance(chunk, PackedChunk):
            raise TypeError("a chunk of text still waits for a dictionary")
        encoded = chunk.result() if isinstance(chunk, Future) else chunk.result(digests)
        self._count(encoded.content_size, len(encoded.payload))
        return encoded

    def _count(self, content_size: int, payload_size: int) -> None:
        self._encoded_size += content_size
        self._payload_size += payload_size
        if self._progress is not None:
            self._progress(self._encoded_size, self._payload_size)

    def _fill_digests(self, group: Group, known: dict[int, bytes]) -> dict[int, bytes]:
        """Put the SHA-256 of members that were hashed elsewhere into their rows; return those."""
        used = {}
        entries, _, _, digests = group.ends
        for place, entry in enumerate(entries):
            if digests[place] is _ELSEWHERE:
                hashing = self._hashes.pop(entry, None)
                used[entry] = known[entry] if hashing is None else hashing.result()
                digests[place] = used[entry]
        return used
