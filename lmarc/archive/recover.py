"""Save what is intact of a damaged archive (spec §11).

Members and their pieces come from the Entries records; where some are lost, from an Index that is
intact. Chunks are placed by their numbers. A member counts as intact only when its SHA-256 agrees;
what is not intact is not written unless asked for, and never under its own name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmarc.archive.cache import ChunkCache
from lmarc.archive.chunks import decode_record, parse_chunk, parse_model
from lmarc.archive.extractor import Extractor
from lmarc.archive.globs import Selection
from lmarc.archive.groups import GroupTables, parse_group
from lmarc.archive.index import Index, parse_index_payload
from lmarc.archive.messages import Warn, show
from lmarc.archive.names import FILE, HARDLINK, Names
from lmarc.archive.scan import Found, scan
from lmarc.archive.source import Source, open_source
from lmarc.archive.stream import MAX_HOLES, BeginEntry, EndEntry, check_holes
from lmarc.codec.base import ModelRef
from lmarc.errors import FormatError, LimitError, LmarcError, NotAnArchiveError
from lmarc.format.chunk import ChunkHeader
from lmarc.format.limits import MAX_SUM
from lmarc.format.record import RecordHeader, RecordType

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Recovered", "recover"]

_CACHE_SIZE: Final = 64 << 20
_ZEROS: Final = bytes(1 << 20)


class Recovered(NamedTuple):
    """What a recovery has found."""

    intact: int  # members that are as they were, of every type
    lost: list[bytes]  # names of members that are damaged, or whose content is gone
    nameless_chunks: int  # intact chunks that no surviving Entries or Index names
    lost_size: int  # bytes of the archive that belong to no record


class _Piece(NamedTuple):
    chunk: int
    position: int
    size: int
    offset: int


@dataclass(slots=True)
class _Entry:
    begin: BeginEntry
    end: EndEntry | None = None
    pieces: list[_Piece] = field(default_factory=list)


def recover(
    url: str | os.PathLike[str],
    directory: str | bytes | os.PathLike[str] = ".",
    *,
    storage_options: Mapping[str, Any] | None = None,
    globs: Iterable[str | bytes] = (),
    keep: bool = False,
    max_size: int | None = None,
    model: str | os.PathLike[str] | None = None,
    warn: Warn | None = None,
    progress: Callable[[int, int], object] | None = None,
    notify: Callable[[bytes], object] | None = None,
) -> Recovered:
    """Extract every intact member of a damaged archive.

    Parameters
    ----------
    url : str or path
        The damaged archive; it is only read.
    directory : path
        Where the members go; made when it is not there.
    storage_options : mapping, optional
        For the URL's file system.
    globs, keep, max_size, notify
        As for `Archive.extract`.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.
    warn : callable, optional
        Gets one sentence for each member that is lost.
    progress : callable, optional
        Gets the bytes of archive scanned and of content written, now and then.

    Raises
    ------
    NotAnArchiveError
        No record of an archive is in it.
    SourceError, OSError
        It cannot be read, or the directory cannot be written.
    """
    notes: Warn = warn if warn is not None else lambda message: None
    source = open_source(os.fspath(url), storage_options)
    try:
        path = None if model is None else os.path.abspath(model)
        return _Recovery(source, notes, progress, path).run(
            directory, Selection(globs), keep=keep, max_size=max_size, notify=notify
        )
    finally:
        source.close()


class _Recovery:
    """One recovery."""

    def __init__(
        self,
        source: Source,
        warn: Warn,
        progress: Callable[[int, int], object] | None,
        model_path: str | None,
    ) -> None:
        self._source = source
        self._model_path = model_path
        self._warn = warn
        self._progress = progress
        self._size = source.total()
        found = scan(source, self._size, progress=progress)
        if not found.records:
            raise NotAnArchiveError("no record of an lmarc archive is in it")
        self._lost_size = found.lost_size
        self._chunks: dict[int, Found] = {}
        self._models: dict[int, ModelRef] = {}
        self._entries: dict[int, _Entry] = {}
        self._named_chunks: set[int] = set()
        self._cache = ChunkCache(_CACHE_SIZE)
        self._written = 0
        self._holes = 0  # bytes of holes in what was written
        self._take_records(found.records)

    def _payload(self, record: Found) -> memoryview:
        start = record.offset + RecordHeader.SIZE
        payload = self._source.read(start, start + record.header.payload_size)
        return memoryview(payload)

    def _take_records(self, records: list[Found]) -> None:
        """Place chunks, models and entries; the last Index fills what Entries are lost."""
        index: Index | None = None
        for record in records:
            if not record.intact:
                continue
            kind = record.header.record_type
            try:
                if kind == RecordType.CHUNK:
                    start = record.offset + RecordHeader.SIZE
                    head = self._source.read(start, start + ChunkHeader.SIZE)
                    number = ChunkHeader.unpack(head, offset=record.offset).chunk_number
                    self._chunks.setdefault(number, record)
                elif kind == RecordType.MODEL:
                    self._take_model(record)
                elif kind == RecordType.ENTRIES:
                    self._take_group(record)
                elif kind == RecordType.INDEX:
                    # What is in front of it may be lost: its offsets are not used.
                    index = parse_index_payload(self._payload(record), record.offset, MAX_SUM - 1)
            except LmarcError as exc:
                self._warn(f"the {kind.name} record at byte {record.offset} is not used: {exc}")
        if index is not None:
            self._take_index(index)

    def _take_model(self, record: Found) -> None:
        payload = self._payload(record)
        slot = int.from_bytes(payload[:2], "little")
        _, model = parse_model(payload, slot, offset=record.offset, path=self._model_path)
        self._models.setdefault(slot, model)

    def _take_group(self, record: Found) -> None:
        payload = self._payload(record)
        first = int.from_bytes(payload[:8], "little")
        before = first - 1 if first else None
        # Whether an entry was left open before is not known here: try both.
        try:
            group = parse_group(payload, None, None, before, offset=record.offset)
        except FormatError:
            group = parse_group(payload, None, None, None, offset=record.offset)
        self._take_tables(group)

    def _take_tables(self, group: GroupTables) -> None:
        rows = zip(*(column.to_pylist() for column in group.begins.columns), strict=True)
        for number, row in enumerate(rows, group.first_entry):
            self._entries.setdefault(number, _Entry(BeginEntry(number, *row)))
        for entry, *piece in zip(*(column.tolist() for column in group.pieces), strict=True):
            self._named_chunks.add(piece[0])
            if entry in self._entries:
                self._entries[entry].pieces.append(_Piece(*piece))
        for end in zip(*(column.to_pylist() for column in group.ends.columns), strict=True):
            if end[0] in self._entries:
                self._entries[end[0]].end = EndEntry(*end)

    def _take_index(self, index: Index) -> None:
        """Use the rows of an Index for each entry; it knows all that came before it."""
        pieces = index.pieces_by_chunk
        of_entry: dict[int, list[_Piece]] = {}
        for entry, *piece in zip(*(column.tolist() for column in pieces), strict=True):
            self._named_chunks.add(piece[0])
            of_entry.setdefault(entry, []).append(_Piece(*piece))
        for number, row in enumerate(index.entries.to_pylist()):
            flags, size, sha256 = row.pop("flags"), row.pop("size"), row.pop("sha256")
            begin = BeginEntry(number, **row)
            end = EndEntry(number, flags, size, sha256)
            self._entries[number] = _Entry(begin, end, of_entry.get(number, []))

    def run(
        self,
        directory: str | bytes | os.PathLike[str],
        selection: Selection,
        *,
        keep: bool,
        max_size: int | None,
        notify: Callable[[bytes], object] | None,
    ) -> Recovered:
        """Write the intact members; say what is lost."""
        intact = 0
        lost: list[bytes] = []
        holes = max(max_size or 0, MAX_HOLES)
        names = Names()
        with Extractor(
            directory,
            selection=selection,
            keep=keep,
            max_size=max_size,
            warn=self._warn,
            notify=notify,
        ) as extractor:
            for number in sorted(self._entries):
                entry = self._entries[number]
                name = entry.begin.path
                if not selection.match(name):
                    continue
                reason = names.clash(name, entry.begin.type)
                is_link = entry.begin.type == HARDLINK
                if reason is None and is_link and names.get(entry.begin.link_target) != FILE:
                    reason = "the file that it links to is lost"
                if reason is None:
                    reason = self._write(extractor, number, entry, holes)
                if reason is None:
                    names.add(name, entry.begin.type)
                    intact += 1
                else:
                    lost.append(name)
                    self._warn(f"{show(name)} is lost: {reason}")
            extractor.finish()
        nameless = len(self._chunks.keys() - self._named_chunks)
        if nameless:
            self._warn(f"{nameless} intact chunks have no names: their Entries record is lost")
        return Recovered(intact, lost, nameless, self._lost_size)

    def _write(
        self, extractor: Extractor, number: int, entry: _Entry, max_holes: int
    ) -> str | None:
        """Write one member; return why it is lost, None if it is intact."""
        if entry.end is None:
            return "its end is missing"
        try:
            holes = self._holes + entry.end.size - sum(piece.size for piece in entry.pieces)
            check_holes(holes, max_holes)
        except LimitError as exc:
            return str(exc)
        if not extractor.begin(number, entry.begin):
            return None
        self._holes = holes
        digest = hashlib.sha256()
        position = 0
        for piece in entry.pieces:
            try:
                content = self._content(piece.chunk)
            except LmarcError as exc:
                extractor.abandon(number)
                return str(exc)
            _hash_zeros(digest, piece.position - position)
            data = memoryview(content)[piece.offset : piece.offset + piece.size]
            digest.update(data)
            extractor.data(number, piece.position, data)
            position = piece.position + piece.size
            self._written += piece.size
        _hash_zeros(digest, entry.end.size - position)
        if digest.digest() != entry.end.sha256:
            extractor.abandon(number)
            return "its content does not have its SHA-256"
        extractor.end(number, entry.end.size)
        if self._progress is not None:
            self._progress(self._size, self._written)
        return None

    def _content(self, number: int) -> bytes:
        content = self._cache.get(number)
        if content is None:
            record = self._chunks.get(number)
            if record is None:
                raise FormatError(f"chunk {number} is damaged or missing")
            payload = self._payload(record)
            slots = max(self._models, default=-1) + 1
            kinds = [self._models[n].kind if n in self._models else 0 for n in range(slots)]
            header = parse_chunk(payload, number, kinds, offset=record.offset)
            model = self._models.get(header.model_slot)
            content = decode_record(header, payload, model, offset=record.offset)
            self._cache.put(number, content)
        return content


def _hash_zeros(digest: Any, count: int) -> None:
    while count > 0:
        digest.update(_ZEROS[:count])
        count -= len(_ZEROS)
