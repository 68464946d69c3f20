"""Build archives from plain structs, lawful and unlawful ones; nothing of `lmarc` is imported.

The fixtures, the worked examples of the specification and the tests of hostile archives come from
here. Nothing is checked: what a caller asks for is what the bytes say, with every checksum right
unless the caller overrides it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import xxhash
import zstandard

MAGIC = bytes.fromhex("8d4c4d4152430d0a")
END_MAGIC = bytes.fromhex("0d0a4352414d4c8d")
RECORD_MAGIC = bytes.fromhex("f14c4d52")
CHUNK, ENTRIES, MODEL, INDEX, FOOTER = 1, 2, 3, 4, 5
FILE, DIRECTORY, SYMLINK, HARDLINK = 1, 2, 3, 4
SPARSE, CHANGED_WHILE_READ = 1, 2
STORED, ZSTD, ZSTD_DICTIONARY, NGRAM = 0, 1, 2, 3
LINE_INDEX = 4  # a kind of model
NO_SLOT = 0xFFFF

HEADER = struct.Struct("<8sHHIIHHQ")
RECORD = struct.Struct("<4sBBHQQQ")
CHUNK_HEADER = struct.Struct("<QQIHHB3s")
MODEL_HEADER = struct.Struct("<HBBIQ32s")
ENTRIES_HEADER = struct.Struct("<QQQ")
INDEX_HEADER = struct.Struct("<QQQQ")
TABLE_SIZES = struct.Struct("<QQ")
FOOTER_PAYLOAD = struct.Struct("<QQ32sHHIII8s")

XATTRS = pa.map_(pa.binary(), pa.field("value", pa.binary(), nullable=False))
DIGEST = pa.binary(32)


def _schema(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


_METADATA: tuple[tuple[str, pa.DataType], ...] = (
    ("mode", pa.uint16()),
    ("mtime", pa.int64()),
    ("uid", pa.int64()),
    ("gid", pa.int64()),
    ("user", pa.binary()),
    ("group", pa.binary()),
    ("link_target", pa.binary()),
    ("xattrs", XATTRS),
)
_NAME = (("path", pa.binary()), ("type", pa.uint8()))
_RESULT = (("flags", pa.uint8()), ("size", pa.uint64()), ("sha256", DIGEST))
ENTRIES_SCHEMA = _schema(*_NAME, _RESULT[0], *_METADATA, *_RESULT[1:])
BEGIN_SCHEMA = _schema(*_NAME, *_METADATA)
ENDS_SCHEMA = _schema(("entry", pa.uint64()), *_RESULT)
PIECES_SCHEMA = _schema(
    ("entry", pa.uint64()),
    ("chunk", pa.uint64()),
    ("position", pa.uint64()),
    ("size", pa.uint64()),
)
CHUNKS_SCHEMA = _schema(
    ("offset", pa.uint64()),
    ("stored_size", pa.uint64()),
    ("content_size", pa.uint64()),
    ("codec", pa.uint16()),
    ("model_slot", pa.uint16()),
    ("content_class", pa.uint8()),
    ("payload_checksum", pa.uint64()),
    ("content_checksum", pa.uint64()),
)
MODELS_SCHEMA = _schema(
    ("kind", pa.uint8()),
    ("size", pa.uint64()),
    ("sha256", DIGEST),
    ("offset", pa.uint64()),
    ("embedded", pa.uint8()),
)

GROUP_SCHEMAS = (BEGIN_SCHEMA, PIECES_SCHEMA, ENDS_SCHEMA)
INDEX_SCHEMAS = (ENTRIES_SCHEMA, CHUNKS_SCHEMA, PIECES_SCHEMA, MODELS_SCHEMA)


@dataclass
class Entry:
    """One row of the entries table; `xattrs` is a list of (key, value) pairs."""

    path: bytes
    type: int = FILE
    flags: int = 0
    mode: int = 0o644
    mtime: int = 0  # ns
    uid: int = -1
    gid: int = -1
    user: bytes = b""
    group: bytes = b""
    link_target: bytes = b""
    xattrs: list[tuple[bytes, bytes]] = field(default_factory=list)
    size: int = 0  # bytes
    sha256: bytes = bytes(32)


@dataclass
class Piece:
    """One row of the pieces table."""

    entry: int
    chunk: int
    position: int  # in the member
    size: int  # bytes


@dataclass
class Chunk:
    """A chunk to write; `payload` is what is stored when it is not what `codec` makes of it."""

    content: bytes
    codec: int = STORED
    payload: bytes | None = None
    model_slot: int = NO_SLOT
    content_class: int = 0
    overrides: dict[str, Any] = field(default_factory=dict)  # fields of Chunk_Header


@dataclass
class Record:
    """A record that is not yet sealed by its checksums."""

    type: int
    payload: bytes
    overrides: dict[str, Any] = field(default_factory=dict)  # fields of Record_Header

    @property
    def size(self) -> int:
        """Bytes of the whole record."""
        return RECORD.size + len(self.payload)


def xxh3(data: bytes) -> int:
    """Return the XXH3-64 of `data`."""
    return xxhash.xxh3_64_intdigest(data)


def pack_header(tag: int = 0, **fields: Any) -> bytes:
    """Return the 32 bytes of an archive header."""
    values = HEADER.pack(
        fields.get("magic", MAGIC),
        fields.get("version_major", 1),
        fields.get("version_minor", 0),
        fields.get("required_features", 0),
        fields.get("optional_features", 0),
        tag,
        fields.get("reserved", 0),
        0,
    )[:24]
    return values + struct.pack("<Q", fields.get("checksum", xxh3(values)))


def pack_record(record_type: int, payload: bytes, tag: int = 0, /, **fields: Any) -> bytes:
    """Return a whole record, header first."""
    values = RECORD.pack(
        fields.get("magic", RECORD_MAGIC),
        record_type,
        fields.get("flags", 0),
        fields.get("tag", tag),
        fields.get("payload_size", len(payload)),
        fields.get("payload_checksum", xxh3(payload)),
        0,
    )[:24]
    return values + struct.pack("<Q", fields.get("checksum", xxh3(values))) + payload


def pack_footer(index: bytes, index_offset: int, /, **fields: Any) -> bytes:
    """Return the payload of a Footer that points to the record `index` at `index_offset`."""
    return FOOTER_PAYLOAD.pack(
        fields.get("index_offset", index_offset),
        fields.get("index_size", len(index)),
        fields.get("index_sha256", hashlib.sha256(index).digest()),
        fields.get("version_major", 1),
        fields.get("version_minor", 0),
        fields.get("required_features", 0),
        fields.get("optional_features", 0),
        fields.get("reserved", 0),
        fields.get("end_magic", END_MAGIC),
    )


def stream(schema: pa.Schema, rows: Sequence[Any], **options: Any) -> bytes:
    """Return the Arrow IPC stream of `rows`, objects that have an attribute per column."""
    columns = [
        pa.array([getattr(row, column.name) for row in rows], column.type) for column in schema
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        if rows:
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return bytes(sink.getvalue())


def pack_tables(streams: Iterable[bytes | tuple[bytes, int]]) -> bytes:
    """Return the sizes and frames of Arrow streams; a (frame, Table_Size) pair stays as it is."""
    frames = [
        item if isinstance(item, tuple) else (zstandard.compress(item, 9), len(item))
        for item in streams
    ]
    sizes = b"".join(TABLE_SIZES.pack(len(frame), size) for frame, size in frames)
    return sizes + b"".join(frame for frame, _ in frames)


@dataclass
class ChunkRow:
    """One row of the chunks table."""

    offset: int
    stored_size: int
    content_size: int
    codec: int
    model_slot: int
    content_class: int
    payload_checksum: int
    content_checksum: int


@dataclass
class ModelRow:
    """One row of the models table."""

    kind: int
    size: int
    sha256: bytes
    offset: int
    embedded: int


@dataclass
class End:
    """One row of the ends table."""

    entry: int
    flags: int
    size: int
    sha256: bytes


class Builder:
    """Collects records and the rows of the index; `finish` seals them into an archive.

    The lists `entries`, `chunks`, `pieces` and `models` become the tables of the next Index: change
    them before `index` or `finish` to make an Index that says something else than the Entries.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.end = HEADER.size  # offset of the next record
        self.entries: list[Entry] = []
        self.chunks: list[ChunkRow] = []
        self.pieces: list[Piece] = []
        self.models: list[ModelRow] = []
        self.dictionaries: dict[int, bytes] = {}

    def record(self, record_type: int, payload: bytes, **overrides: Any) -> int:
        """Add a record and return its offset."""
        offset = self.end
        self.records.append(Record(record_type, payload, overrides))
        self.end += self.records[-1].size
        return offset

    def model(self, data: bytes, kind: int = 1, *, embedded: bool = True, **fields: Any) -> int:
        """Add a Model record and return its slot."""
        slot = len(self.models)
        digest = fields.get("sha256", hashlib.sha256(data).digest())
        header = MODEL_HEADER.pack(
            fields.get("slot", slot),
            kind,
            fields.get("flags", int(embedded)),
            fields.get("reserved", 0),
            fields.get("size", len(data)),
            digest,
        )
        offset = self.record(MODEL, header + (data if embedded else b""))
        row = ModelRow(kind, fields.get("size", len(data)), digest, offset, int(embedded))
        self.models.append(row)
        self.dictionaries[slot] = data
        return slot

    def group(
        self,
        begun: Sequence[Entry],
        chunks: Sequence[Chunk] = (),
        pieces: Sequence[Piece] = (),
        ends: Sequence[End] | None = None,
        *,
        model: Callable[[], object] | None = None,
        **fields: Any,
    ) -> None:
        """Add an Entries record and its chunks; `ends` defaults to all that `begun` begins.

        `pieces` name entries and chunks by their numbers in the archive. `model` is called
        between the Entries and its chunks.
        """
        first = len(self.entries)
        if ends is None:
            ends = [
                End(first + number, entry.flags, entry.size, entry.sha256)
                for number, entry in enumerate(begun)
            ]
        head = ENTRIES_HEADER.pack(
            fields.get("first_entry", first),
            fields.get("first_chunk", len(self.chunks)),
            fields.get("chunk_count", len(chunks)),
        )
        tables = fields.get("tables") or [
            stream(BEGIN_SCHEMA, begun),
            stream(PIECES_SCHEMA, pieces),
            stream(ENDS_SCHEMA, ends),
        ]
        self.record(ENTRIES, head + pack_tables(tables))
        if model is not None:
            model()
        for chunk in chunks:
            self.chunk(chunk)
        self.entries.extend(begun)
        self.pieces.extend(pieces)

    def chunk(self, chunk: Chunk) -> None:
        """Add a Chunk record and its row."""
        payload = chunk.payload
        if payload is None:
            payload = self.code(chunk)
        checksum = xxh3(chunk.content)
        header = CHUNK_HEADER.pack(
            chunk.overrides.get("chunk_number", len(self.chunks)),
            chunk.overrides.get("content_checksum", checksum),
            chunk.overrides.get("content_size", len(chunk.content)),
            chunk.codec,
            chunk.model_slot,
            chunk.content_class,
            chunk.overrides.get("reserved", bytes(3)),
        )
        offset = self.record(CHUNK, header + payload)
        self.chunks.append(
            ChunkRow(
                offset,
                RECORD.size + len(header) + len(payload),
                chunk.overrides.get("content_size", len(chunk.content)),
                chunk.codec,
                chunk.model_slot,
                chunk.content_class,
                xxh3(header + payload),
                chunk.overrides.get("content_checksum", checksum),
            )
        )

    def code(self, chunk: Chunk) -> bytes:
        """Return the coded content of a chunk of codec 0, 1 or 2."""
        if chunk.codec == STORED:
            return chunk.content
        dictionary = None
        if chunk.codec == ZSTD_DICTIONARY:
            dictionary = zstandard.ZstdCompressionDict(self.dictionaries[chunk.model_slot])
        coder = zstandard.ZstdCompressor(level=9, dict_data=dictionary, write_dict_id=False)
        return coder.compress(chunk.content)

    def index(self, footer: dict[str, Any] | None = None, **fields: Any) -> None:
        """Add an Index of all rows so far and its Footer, with the overrides `footer`."""
        head = INDEX_HEADER.pack(
            fields.get("entry_count", len(self.entries)),
            fields.get("chunk_count", len(self.chunks)),
            fields.get("piece_count", len(self.pieces)),
            fields.get("model_count", len(self.models)),
        )
        rows: list[Sequence[Any]] = [self.entries, self.chunks, self.pieces, self.models]
        tables = fields.get("tables") or list(map(stream, INDEX_SCHEMAS, rows))
        payload = head + pack_tables(tables) + fields.get("extra", b"")
        offset = self.record(INDEX, payload)
        sealed = pack_record(INDEX, payload, self.tag)
        self.record(FOOTER, pack_footer(sealed, offset, **(footer or {})))

    @property
    def tag(self) -> int:
        """The archive's tag, as the specification recommends to derive it."""
        first = next((record for record in self.records if record.type in {ENTRIES, INDEX}), None)
        return xxh3(first.payload) & 0xFFFF if first and first.type == ENTRIES else 0

    def seal(self, header: dict[str, Any] | None = None) -> bytes:
        """Return the archive as its records stand, with the overrides `header`."""
        tag = self.tag
        return pack_header(tag, **(header or {})) + b"".join(
            pack_record(record.type, record.payload, tag, **record.overrides)
            for record in self.records
        )

    def finish(self, **fields: Any) -> bytes:
        """Add Index and Footer and return the archive."""
        self.index(**fields)
        return self.seal()


def pack_line_index(runs: Sequence[tuple[int, int]], lines: Sequence[int], **counts: int) -> bytes:
    """Return a line index; `counts` may hold another run_count or piece_count."""
    head = counts.get("run_count", len(runs)), counts.get("piece_count", len(lines))
    numbers = [number for run in runs for number in run]
    return struct.pack(f"<QQ{len(numbers)}Q{len(lines)}I", *head, *numbers, *lines)


def file(path: bytes, content: bytes = b"", **fields: Any) -> Entry:
    """Return the entry of a file with this content."""
    digest = hashlib.sha256(content).digest()
    values: dict[str, Any] = {"size": len(content), "sha256": digest} | fields
    return Entry(path, **values)


def simple(members: Sequence[Entry | tuple[Entry, bytes]], *, codec: int = STORED) -> Builder:
    """Return a builder that holds one group: `members` in one chunk (none if they are empty).

    An entry that stands with content has its size and SHA-256 set from it where they are not set.
    """
    builder = Builder()
    begun: list[Entry] = []
    pieces: list[Piece] = []
    content = b""
    for item in members:
        entry, data = item if isinstance(item, tuple) else (item, b"")
        if entry.type == FILE and entry.sha256 == bytes(32):
            entry.size, entry.sha256 = len(data), hashlib.sha256(data).digest()
        if data:
            pieces.append(Piece(len(begun), 0, 0, len(data)))
        begun.append(entry)
        content += data
    builder.group(begun, [Chunk(content, codec)] if content else [], pieces)
    return builder


def frame(
    content: bytes,
    *,
    declared_size: int | None = -1,
    window_log: int | None = None,
    dictionary_id: int | None = None,
    repeat: int = 1,
) -> bytes:
    """Return a zstd frame of one raw block, or of `repeat` such blocks.

    `declared_size` is Frame_Content_Size, None leaves it out; with `window_log` the frame has a
    window instead of being a single segment.
    """
    if declared_size == -1:
        declared_size = len(content) * repeat
    single_segment = window_log is None
    size = b"" if declared_size is None else struct.pack("<Q", declared_size)
    identity = b"" if dictionary_id is None else struct.pack("<I", dictionary_id)
    descriptor = (3 if size else 0) << 6 | single_segment << 5 | (3 if identity else 0)
    window = b"" if window_log is None else bytes([(window_log - 10) << 3])
    block = struct.pack("<I", len(content) << 3)[:3] + content
    last = struct.pack("<I", len(content) << 3 | 1)[:3] + content
    head = zstandard.FRAME_HEADER + bytes([descriptor]) + window + identity + size
    return head + block * (repeat - 1) + last


def records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (offset, type, payload) of each record of a lawful archive."""
    offset = HEADER.size
    while offset < len(data):
        _, record_type, _, _, size, _, _ = RECORD.unpack_from(data, offset)
        payload = data[offset + RECORD.size : offset + RECORD.size + size]
        yield offset, record_type, payload
        offset += RECORD.size + size
