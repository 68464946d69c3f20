"""Read lmarc archives by the specification alone; nothing of `lmarc` is imported.

    python tools/reference_decoder.py ARCHIVE DIR            check everything, then extract
    python tools/reference_decoder.py --scan ARCHIVE DIR     ignore the Index, take what is intact

Models that are not embedded are files named by --model.

This is the second decoder that keeps `spec/v1` honest: it is laid out in the order of `format.md`,
with the pages of codec 3 behind section 9, and each comment in quotes is a sentence of them. It
prefers plainness to speed, and refuses every archive that breaks a rule of the pages. DIR must be
new or empty. Exit code: 0 done, 1 refused or incomplete.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import math
import os
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash
import zstandard

Row = dict[str, Any]
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class RefusedError(Exception):
    """The archive breaks a rule, or needs something that this decoder does not have."""


def check(lawful: object, message: str) -> None:
    """Refuse the archive unless `lawful`."""
    if not lawful:
        raise RefusedError(message)


def xxh3(data: bytes) -> int:
    # "XXH3-64 is the 64-bit variant of XXH3, with seed 0 and the default secret"
    return xxhash.xxh3_64_intdigest(data)


def unpack(layout: str, data: bytes, what: str) -> tuple[Any, ...]:
    # "All integers are unsigned unless stated otherwise, and little-endian."
    check(len(data) >= struct.calcsize("<" + layout), f"{what} is cut short")
    return struct.unpack_from("<" + layout, data)


# -------------------- 3. Header

MAGIC = bytes.fromhex("8d4c4d4152430d0a")


@dataclass(frozen=True)
class Features:
    """Version and feature bits, of the Header or a Footer."""

    version_major: int
    version_minor: int
    required: int
    optional: int

    def check(self) -> None:
        """Refuse what this decoder does not know."""
        # "A reader of this version MUST refuse an archive whose Version_Major is not 1."
        check(self.version_major == 1, f"Version_Major is {self.version_major}")
        # "A reader MUST refuse an archive with a bit among its Required_Features that it does not
        # know, and SHOULD name the bit."
        bits = [bit for bit in range(32) if self.required >> bit & 1]
        check(not bits, f"required feature bits {bits} are not known")


def read_header(data: bytes) -> tuple[Features, int]:
    """Return the features and the Archive_Tag."""
    header = data[:32]
    # "The first eight bytes of an archive are Magic."
    check(header[:8] == MAGIC, "Magic is missing")
    fields = unpack("8sHHIIHHQ", header, "Header")
    _, major, minor, required, optional, tag, reserved, checksum = fields
    check(checksum == xxh3(header[:24]), "Header_Checksum differs")
    features = Features(major, minor, required, optional)
    features.check()
    check(reserved == 0, "Reserved of the Header is set")
    return features, tag


# -------------------- 4. Records

RECORD_MAGIC = bytes.fromhex("f14c4d52")
CHUNK, ENTRIES, MODEL, INDEX, FOOTER = 1, 2, 3, 4, 5
PAYLOAD_SIZES = {
    CHUNK: (29, 28 + 16 * MIB),
    ENTRIES: (72, 256 * MIB),
    MODEL: (48, 48 + GIB),
    INDEX: (96, 96 + 16 * GIB),
    FOOTER: (72, 72),
}


@dataclass(frozen=True)
class Record:
    """A record whose header and payload are intact."""

    offset: int
    type: int
    tag: int
    payload: bytes
    checksum: int  # Payload_Checksum

    @property
    def size(self) -> int:
        """Bytes of the whole record."""
        return 32 + len(self.payload)


def read_record_header(data: bytes, offset: int, tag: int | None) -> tuple[int, int, int, int]:
    """Return type, tag, Payload_Size and Payload_Checksum of the record at `offset`."""
    header = data[offset : offset + 32]
    magic, kind, flags, own, size, payload_checksum, checksum = unpack(
        "4sBBHQQQ", header, f"the record at {offset}"
    )
    check(magic == RECORD_MAGIC, f"no Record_Magic at {offset}")
    check(checksum == xxh3(header[:24]), f"Record_Checksum differs at {offset}")
    check(flags == 0, f"Record_Flags are set at {offset}")
    # "A reader MUST refuse a record whose Archive_Tag differs from the Header's"
    check(tag is None or own == tag, f"Archive_Tag is {own} at {offset}, not {tag}")
    # "All other types are reserved: a reader MUST refuse a record of another type."
    check(kind in PAYLOAD_SIZES, f"Record_Type is {kind} at {offset}")
    smallest, largest = PAYLOAD_SIZES[kind]
    check(smallest <= size <= largest, f"Payload_Size is {size} at {offset}")
    check(offset + 32 + size <= len(data), f"the record at {offset} is cut short")
    return kind, own, size, payload_checksum


def read_record(data: bytes, offset: int, tag: int | None) -> Record:
    """Return the record at `offset`; every record has the archive's tag (any, if None)."""
    kind, own, size, checksum = read_record_header(data, offset, tag)
    payload = data[offset + 32 : offset + 32 + size]
    # "It MUST check Payload_Checksum before it uses anything in the payload."
    check(checksum == xxh3(payload), f"Payload_Checksum differs at {offset}")
    return Record(offset, kind, own, payload, checksum)


# -------------------- 5. Chunk


@dataclass(frozen=True)
class Chunk:
    """A Chunk record; `row` is what the chunks table says of it."""

    number: int
    row: Row
    coded: bytes


def read_chunk(record: Record) -> Chunk:
    number, checksum, size, codec, slot, content_class, reserved = unpack(
        "QQIHHB3s", record.payload, "Chunk_Header"
    )
    coded = record.payload[28:]
    check(reserved == bytes(3), f"Reserved of chunk {number} is set")
    check(1 <= size <= 16 * MIB, f"Content_Size of chunk {number} is {size}")
    # "Its size MUST be at least 1 and at most Content_Size."
    check(1 <= len(coded) <= size, f"chunk {number} is coded in {len(coded)} bytes")
    row = {
        "offset": record.offset,
        "stored_size": record.size,
        "content_size": size,
        "codec": codec,
        "model_slot": slot,
        "content_class": content_class,
        "payload_checksum": record.checksum,
        "content_checksum": checksum,
    }
    return Chunk(number, row, coded)


def decode_chunk(chunk: Chunk, models: dict[int, Model]) -> bytes:
    """Return the chunk's content."""
    codec, slot, size = chunk.row["codec"], chunk.row["model_slot"], chunk.row["content_size"]
    check_slot(chunk.row, chunk.number, {n: model.row for n, model in models.items()})
    # "A reader that does not know the codec MUST refuse to read the chunk"
    check(codec in CODECS, f"codec {codec} of chunk {chunk.number} is not known")
    model = models[slot] if slot != NO_SLOT else None
    data = None
    if model is not None:
        # "a reader then looks for a model with this SHA-256 among those that its user trusts"
        data = model.data if model.data is not None else TRUSTED.get(model.row["sha256"])
        known = data is not None and len(data) == model.row["size"]
        check(known, f"the model in slot {slot} is not embedded and not named by --model")
        check_kind(data or b"", model.row["kind"])
    content = CODECS[codec](chunk.coded, size, data)
    # "A reader that decodes a chunk MUST check that exactly Content_Size bytes come out and that
    # their XXH3-64 is Content_Checksum."
    check(len(content) == size, f"chunk {chunk.number} decodes to {len(content)} bytes, not {size}")
    good = xxh3(content) == chunk.row["content_checksum"]
    check(good, f"Content_Checksum of chunk {chunk.number} differs")
    return content


# -------------------- 6. Model

TRUSTED: dict[bytes, bytes] = {}  # models by SHA-256


@dataclass(frozen=True)
class Model:
    """A Model record; `data` is None if it is not embedded."""

    slot: int
    row: Row
    data: bytes | None


def read_model(record: Record) -> Model:
    slot, kind, flags, reserved, size, digest = unpack("HBBIQ32s", record.payload, "Model_Header")
    check(flags <= 1, f"Model_Flags of slot {slot} are {flags}")
    check(reserved == 0, f"Reserved of slot {slot} is set")
    check(slot != NO_SLOT, "a model has slot 65,535")
    check(kind != 0, f"the model in slot {slot} has kind 0")
    check(1 <= size <= GIB, f"Model_Size of slot {slot} is {size}")
    # "A model of kind 4 MUST be embedded"
    check(kind != LINE_INDEX or flags == 1, f"the line index in slot {slot} is not embedded")
    # "A model of kind 1 (zstd dictionary) MUST be embedded and MUST NOT be larger than 16 MiB."
    check(kind != 1 or (flags == 1 and size <= 16 * MIB), f"dictionary in slot {slot}")
    data = record.payload[48:] if flags else None
    check(len(record.payload) == 48 + (size if flags else 0), f"size of the model in slot {slot}")
    # "It MUST check size and SHA-256 of a model, embedded or found, before it uses it."
    good = data is None or hashlib.sha256(data).digest() == digest
    check(good, f"Model_SHA256 of slot {slot} differs")
    row = {"kind": kind, "size": size, "sha256": digest, "offset": record.offset, "embedded": flags}
    return Model(slot, row, data)


# -------------------- 6.1 Line index

LINE_INDEX = 4


def read_line_index(data: bytes) -> dict[int, int]:
    """Return the lines that end in each piece that a line index names."""
    run_count, piece_count = unpack("QQ", data, "a line index")
    # "these fields MUST fill it exactly"
    check(len(data) == 16 + 16 * run_count + 4 * piece_count, "the size of a line index")
    runs = [unpack("QQ", data[16 + 16 * n :], "a run") for n in range(run_count)]
    check(sum(size for _, size in runs) == piece_count, "the pieces of a line index")
    pieces: list[int] = []
    for first, size in runs:
        # "Runs ascend and do not overlap."
        check(size >= 1 and (not pieces or first > pieces[-1]), "the runs of a line index")
        pieces.extend(range(first, first + size))
    start = 16 + 16 * run_count
    lines = [unpack("I", data[start + 4 * n :], "lines")[0] for n in range(piece_count)]
    return dict(zip(pieces, lines, strict=True))


def check_line_indexes(models: dict[int, Model], tables: Tables, lines: list[int]) -> None:
    """Check all line indexes; `lines` are the lines that do end in each piece."""
    named: dict[int, int] = {}
    for model in models.values():
        if model.row["kind"] == LINE_INDEX:
            counts = read_line_index(model.data or b"")
            # "No two line indexes of an archive name the same piece."
            check(not counts.keys() & named.keys(), "two line indexes name the same piece")
            for piece in counts:
                # "They name pieces of chunks in front of the Model record."
                chunk = tables.pieces[piece]["chunk"] if piece < len(tables.pieces) else -1
                before = chunk >= 0 and tables.chunks[chunk]["offset"] < model.row["offset"]
                check(before, f"a line index names piece {piece}")
            named |= counts
    # "A line index names all pieces of a member or none, and none of a member whose Sparse flag is
    # set."
    members = {tables.pieces[piece]["entry"] for piece in named}
    check(not any(tables.entries[n]["flags"] & SPARSE for n in members), "lines of a sparse member")
    for number, row in enumerate(tables.pieces):
        if row["entry"] in members:
            check(named.get(number) == lines[number], f"the lines of piece {number}")


# -------------------- 7.1 Tables: stored form


def read_tables(data: bytes, schemas: list[pa.Schema], limit: int) -> list[list[Row]]:
    """Return the rows of the tables that `data`, the rest of a payload, holds."""
    sizes = [unpack("QQ", data[16 * n :], "the sizes of tables") for n in range(len(schemas))]
    # "The sizes of the frames MUST fill the payload exactly."
    total = 16 * len(schemas) + sum(stored for stored, _ in sizes)
    check(total == len(data), "the tables do not fill the payload")
    # "Table_Size MUST NOT exceed 65,536 + 1024 × Table_Stored_Size."
    for stored, size in sizes:
        check(size <= min(limit, 64 * KIB + 1024 * stored), f"Table_Size is {size}")
    tables = []
    position = 16 * len(schemas)
    for (stored, size), schema in zip(sizes, schemas, strict=True):
        frame = data[position : position + stored]
        check_frame(frame, size, window=128 * MIB, may_lack_size=True)
        tables.append(read_stream(decompress(frame, size), schema))
        position += stored
    return tables


def read_stream(stream: bytes, schema: pa.Schema) -> list[Row]:
    """Return the rows of an Arrow IPC stream that must have `schema`."""
    check_messages(stream)
    try:
        table = pa.ipc.open_stream(stream).read_all()
        table.validate(full=True)
        # "no column holds a null"
        check(not any(column.null_count for column in table.columns), "a column holds a null")
        found = table.schema
        rows: list[Row] = table.to_pylist()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise RefusedError(f"Arrow stream: {error}") from error
    # "the schema has exactly the columns that section 7.4 states, with these names and types, in
    # this order, none nullable, without custom metadata in schema, field or message"
    check(found.equals(schema, check_metadata=True), f"the schema of a table is {found}")
    nulls = any(value is None for row in rows for pair in row.get("xattrs", ()) for value in pair)
    check(not nulls, "an xattr is null")
    return rows


def check_messages(stream: bytes) -> None:
    """Check the messages of an Arrow IPC stream one by one, down to what pyarrow does not show."""
    position, count = 0, 0
    while True:
        marker, size = unpack("Ii", stream[position : position + 8], "an Arrow message")
        check(marker == 0xFFFFFFFF and size >= 0, "an Arrow message lacks its marker")
        position += 8
        if size == 0:
            break
        try:
            kind, body_size = read_message(stream[position : position + size])
        except struct.error as error:
            raise RefusedError("an Arrow message is damaged") from error
        # "one Schema message, any number of RecordBatch messages, the end-of-stream marker"
        check(kind == (3 if count else 1), f"message {count} of an Arrow stream is of type {kind}")
        check(body_size >= 0, "an Arrow body has a negative size")
        position += size + body_size
        count += 1
    check(count and position == len(stream), "bytes behind an Arrow stream")


def read_message(message: bytes) -> tuple[int, int]:
    """Return type and body size of an Arrow message, a flatbuffer."""

    def place(table: int, number: int) -> int:
        """Return where field `number` of `table` is, 0 if it is absent."""
        (distance,) = struct.unpack_from("<i", message, table)
        (vtable_size,) = struct.unpack_from("<H", message, table - distance)
        if 4 + 2 * number + 2 > vtable_size:
            return 0
        (relative,) = struct.unpack_from("<H", message, table - distance + 4 + 2 * number)
        return table + relative if relative else 0

    (root,) = struct.unpack_from("<I", message)
    version, kind, header, body, metadata = (place(root, number) for number in range(5))
    # "Arrow columnar format 1.x, metadata version V5, little-endian"
    check(version and struct.unpack_from("<h", message, version) == (4,), "Arrow metadata version")
    check(not metadata, "an Arrow message has custom metadata")
    check(kind and header, "an Arrow message has no header")
    (header_type,) = struct.unpack_from("<B", message, kind)
    if header_type == 3:
        batch = header + struct.unpack_from("<I", message, header)[0]
        # "no compression of the bodies of record batches"
        check(not place(batch, 3), "the body of a record batch is compressed")
    return header_type, struct.unpack_from("<q", message, body)[0] if body else 0


# -------------------- 7.2 Entries


@dataclass(frozen=True)
class Group:
    """What an Entries record says."""

    first_entry: int
    first_chunk: int
    chunk_count: int
    begun: list[Row]
    pieces: list[Row]
    ends: list[Row]


def read_entries(record: Record) -> Group:
    first_entry, first_chunk, chunk_count = unpack("QQQ", record.payload, "Entries")
    schemas = [BEGIN_SCHEMA, PIECES_SCHEMA, ENDS_SCHEMA]
    # "It MUST NOT exceed 64 MiB in an Entries record and 4 GiB in an Index."
    begun, pieces, ends = read_tables(record.payload[24:], schemas, 64 * MIB)
    # "At most 65,536 entries begin in a group."
    check(len(begun) <= 65_536, f"{len(begun)} entries begin in a group")
    return Group(first_entry, first_chunk, chunk_count, begun, pieces, ends)


# -------------------- 7.3 Index


@dataclass
class Tables:
    """The rows of an Index, or the same as told by all other records."""

    entries: list[Row] = field(default_factory=list)
    chunks: list[Row] = field(default_factory=list)
    pieces: list[Row] = field(default_factory=list)
    models: list[Row] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each table."""
        return len(self.entries), len(self.chunks), len(self.pieces), len(self.models)


def read_index(record: Record) -> Tables:
    counts = unpack("QQQQ", record.payload, "Index")
    check(counts[3] <= 65_535, f"Model_Count is {counts[3]}")
    schemas = [ENTRIES_SCHEMA, CHUNKS_SCHEMA, PIECES_SCHEMA, MODELS_SCHEMA]
    index = Tables(*read_tables(record.payload[32:], schemas, 4 * GIB))
    check(index.counts == counts, f"the counts of the Index are {counts}, its rows {index.counts}")
    check_placement(index, record.offset)
    check_rows(index)
    return index


def check_placement(index: Tables, end: int) -> None:
    """Check that the index names disjoint records between the Header and the Index at `end`."""
    # "Chunk records MUST NOT overlap each other or anything else, and MUST lie between the Header
    # and the Index."
    places = [(row["offset"], row["stored_size"]) for row in index.chunks]
    sizes = (80 + row["size"] * row["embedded"] for row in index.models)
    models = [(row["offset"], size) for row, size in zip(index.models, sizes, strict=True)]
    for rows in (places, models):
        check(rows == sorted(rows), "the offsets of the Index do not ascend")
    last = 32
    for offset, size in sorted(places + models):
        check(last <= offset and offset + size <= end, f"the record at {offset} overlaps another")
        last = offset + size


# -------------------- 7.4 Columns


def schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    # "All columns are non-nullable."
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


BINARY, DIGEST, U8, U64 = pa.binary(), pa.binary(32), pa.uint8(), pa.uint64()
XATTRS = pa.map_(BINARY, pa.field("value", BINARY, nullable=False))
NAME = [("path", BINARY), ("type", U8)]
FLAGS, SIZE, SHA256 = ("flags", U8), ("size", U64), ("sha256", DIGEST)
METADATA = [("mode", pa.uint16()), ("mtime", pa.int64()), ("uid", pa.int64()), ("gid", pa.int64())]
METADATA += [("user", BINARY), ("group", BINARY), ("link_target", BINARY), ("xattrs", XATTRS)]
ENTRIES_SCHEMA = schema(*NAME, FLAGS, *METADATA, SIZE, SHA256)
# "the columns of entries without flags, size and sha256"
BEGIN_SCHEMA = schema(*NAME, *METADATA)
ENDS_SCHEMA = schema(("entry", U64), FLAGS, SIZE, SHA256)
PIECES_SCHEMA = schema(("entry", U64), ("chunk", U64), ("position", U64), SIZE)
CHUNKS_SCHEMA = schema(
    ("offset", U64),
    ("stored_size", U64),
    ("content_size", U64),
    ("codec", pa.uint16()),
    ("model_slot", pa.uint16()),
    ("content_class", U8),
    ("payload_checksum", U64),
    ("content_checksum", U64),
)
MODELS_SCHEMA = schema(("kind", U8), SIZE, SHA256, ("offset", U64), ("embedded", U8))


def check_rows(tables: Tables) -> None:
    """Check the rows of an Index, or those of all groups together, by themselves."""
    for row in tables.models:
        check(row["kind"] != 0 and row["embedded"] <= 1, "a row of models")
        check(1 <= row["size"] <= GIB, "a row of models")
    models = dict(enumerate(tables.models))
    for number, row in enumerate(tables.chunks):
        check(1 <= row["content_size"] <= 16 * MIB, f"content_size of chunk {number}")
        coded = row["stored_size"] - 60
        check(1 <= coded <= row["content_size"], f"stored_size of chunk {number}")
        check_slot(row, number, models)
    names = Names()
    for entry in tables.entries:
        check_entry(entry, names)
    ends = [0] * len(tables.entries)  # of each member's last piece
    covered = [0] * len(tables.entries)
    chunk, left = -1, 0
    for piece in tables.pieces:
        check(piece["size"] >= 1, "a piece is empty")
        if piece["chunk"] != chunk:
            # "the sizes of a chunk's pieces add up to its content size"
            check(left == 0 and piece["chunk"] == chunk + 1, f"the pieces of chunk {chunk}")
            chunk += 1
            check(chunk < len(tables.chunks), f"a piece names chunk {chunk}")
            left = tables.chunks[chunk]["content_size"]
        left -= piece["size"]
        check(left >= 0, f"the pieces of chunk {chunk} are larger than its content")
        number, end = piece["entry"], piece["position"] + piece["size"]
        check(number < len(tables.entries), f"a piece names entry {number}")
        entry = tables.entries[number]
        check(entry["type"] == FILE, f"a piece names entry {number}, which is no file")
        # "The pieces of one member stand in ascending order of position, do not overlap, and end at
        # or before its size."
        check(ends[number] <= piece["position"] and end <= entry["size"], f"pieces of {number}")
        ends[number] = end
        covered[number] += piece["size"]
    check(left == 0 and chunk + 1 == len(tables.chunks), "chunks and pieces do not agree")
    for entry, size in zip(tables.entries, covered, strict=True):
        # "Holes are allowed only in an entry whose Sparse flag is set."
        check(size == entry["size"] or entry["flags"] & SPARSE, f"{entry['path']!r} has a hole")


# -------------------- 7.5 Names


def check_path(path: bytes) -> None:
    # "A path has 1 to 4096 bytes and does not contain the byte 0."
    check(1 <= len(path) <= 4096 and b"\0" not in path, f"path {path[:80]!r}")
    for component in path.split(b"/"):
        # "A component has 1 to 255 bytes and is neither `.` nor `..`."
        check(1 <= len(component) <= 255 and component not in {b".", b".."}, f"path {path[:80]!r}")


class Names:
    """The paths of an archive, as they come."""

    def __init__(self) -> None:
        self.types: dict[bytes, int] = {}
        self.parents: set[bytes] = set()

    def add(self, path: bytes, kind: int) -> None:
        """Check a path against those before it."""
        check_path(path)
        # "No two entries of an archive have the same path."
        check(path not in self.types, f"{path!r} is there twice")
        parents = {path[:place] for place, byte in enumerate(path) if byte == 0x2F}
        # "An entry whose path is an ancestor of another entry's path (the path up to one of its 2f)
        # MUST be a directory."
        above = all(self.types.get(parent, DIRECTORY) == DIRECTORY for parent in parents)
        check(above, f"{path!r} is below something that is no directory")
        below = kind == DIRECTORY or path not in self.parents
        check(below, f"{path!r} is no directory and has members below it")
        self.types[path] = kind
        self.parents |= parents

    def is_file(self, path: bytes) -> bool:
        """Return whether a file has this path."""
        return self.types.get(path) == FILE


# -------------------- 7.6 Types and metadata

FILE, DIRECTORY, SYMLINK, HARDLINK = 1, 2, 3, 4
SPARSE, CHANGED_WHILE_READ = 1, 2
NOT_ENDED: Row = {"flags": 0, "size": 0, "sha256": bytes(32)}


def check_begin(entry: Row, names: Names) -> None:
    """Check a row of entries_begin; `names` are the entries before it."""
    path, kind, target = entry["path"], entry["type"], entry["link_target"]
    check(FILE <= kind <= HARDLINK, f"{path!r} has type {kind}")
    check(entry["mode"] <= 0o7777, f"{path!r} has mode {entry['mode']:o}")
    for owner in ("uid", "gid"):
        check(-1 <= entry[owner] <= 4_294_967_294, f"{path!r} has {owner} {entry[owner]}")
    for name in (entry["user"], entry["group"]):
        check(len(name) <= 255 and b"\0" not in name, f"{path!r} has owner {name!r}")
    if kind == SYMLINK:
        check(1 <= len(target) <= 4096 and b"\0" not in target, f"{path!r} has a bad link_target")
    elif kind == HARDLINK:
        # "link_target is the path of an entry with a smaller number that is a file."
        check(
            names.is_file(target),
            f"{path!r} is a hard link to {target!r}, which is no earlier file",
        )
    else:
        check(target == b"", f"{path!r} has a link_target")
    keys = [key for key, _ in entry["xattrs"]]
    check(all(a < b for a, b in pairwise(keys)), f"xattrs of {path!r}")
    for key, value in entry["xattrs"]:
        check(1 <= len(key) <= 255 and b"\0" not in key, f"an xattr of {path!r} is {key!r}")
        check(len(value) <= 65_536, f"an xattr of {path!r} has {len(value)} bytes")
    check(sum(len(key) + len(value) for key, value in entry["xattrs"]) <= MIB, "xattrs")
    names.add(path, kind)


def check_entry(entry: Row, names: Names) -> None:
    """Check a row of entries; `names` are the entries before it."""
    check_begin(entry, names)
    check(entry["flags"] <= (SPARSE | CHANGED_WHILE_READ), f"flags of {entry['path']!r}")
    # "less than 2^63"
    check(entry["size"] < 1 << 63, f"size of {entry['path']!r}")
    if entry["type"] != FILE:
        empty = not entry["size"] and not entry["flags"] and entry["sha256"] == bytes(32)
        check(empty, f"{entry['path']!r} is no file and has content")


# -------------------- 8. Footer

END_MAGIC = bytes.fromhex("0d0a4352414d4c8d")


def check_footer(data: bytes, record: Record, begins: Features | None) -> tuple[Features, int]:
    """Check a Footer record and return its features and the offset of its Index."""
    check(record.type == FOOTER, f"the record at {record.offset} is no Footer")
    offset, size, digest, major, minor, required, optional, reserved, magic = unpack(
        "QQ32sHHIII8s", record.payload, "Footer"
    )
    features = Features(major, minor, required, optional)
    features.check()
    check(reserved == 0, "Reserved of the Footer is set")
    # "The last eight bytes of an archive are End_Magic."
    check(magic == END_MAGIC, "End_Magic is missing")
    # "Index_Offset + Index_Size MUST be the offset of the Footer record"
    check(offset >= 32 and offset + size == record.offset, "Index and Footer are apart")
    check(hashlib.sha256(data[offset : offset + size]).digest() == digest, "Index_SHA256 differs")
    if begins is not None:
        # "They MUST include every bit that is set in the Header; an append may add bits."
        check(begins.optional & ~optional == 0, "the Footer lacks a feature of the Header")
        check(minor >= begins.version_minor, "the Footer has an older version than the Header")
    return features, offset


# -------------------- 9. Codecs

NO_SLOT = 65_535
# The kinds of the model that each codec of the registry (13.1) needs.
NONE = (None,)
MODEL_KINDS = {
    0: NONE, 1: NONE, 2: (1,), 3: (2, 8), 4: (3, 7), 5: (5,), 6: (6, 8), 7: NONE
}  # fmt: skip


def check_slot(row: Row, number: int, models: dict[int, Row]) -> None:
    """Check codec and slot of a row of chunks; `models` are the rows of models, by slot."""
    codec, slot = row["codec"], row["model_slot"]
    check(slot == NO_SLOT or slot in models, f"chunk {number} names slot {slot}")
    # "The codec and the kind of the model MUST agree as section 13.1 says"
    kind = models[slot]["kind"] if slot != NO_SLOT else None
    agrees = codec not in MODEL_KINDS or kind in MODEL_KINDS[codec]
    check(agrees, f"chunk {number} has codec {codec} and a model of kind {kind}")
    # "the slot MUST have been declared by a Model record that stands before the chunk in the
    # archive"
    before = slot == NO_SLOT or models[slot]["offset"] < row["offset"]
    check(before, f"the model of chunk {number} stands behind it")


def stored(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    # "Coded_Content is the content. Its size MUST be Content_Size."
    check(len(coded) == content_size, "a stored chunk has not the size of its content")
    return coded


def zstd(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    check_frame(coded, content_size, window=16 * MIB)
    return decompress(coded, content_size)


def zstd_dictionary(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(model or b"")
    # "The Dictionary_ID of the frame is absent, or it is that of the dictionary."
    check_frame(coded, content_size, window=16 * MIB, dictionary_id=dictionary.dict_id())
    return decompress(coded, content_size, dictionary)


# A codec takes the coded content, the content's size and the bytes of its model.
CODECS: dict[int, Callable[[bytes, int, bytes | None], bytes]] = {
    0: stored,
    1: zstd,
    2: zstd_dictionary,
}


def decompress(
    frame: bytes, size: int, dictionary: zstandard.ZstdCompressionDict | None = None
) -> bytes:
    try:
        coder = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=128 * MIB)
        content = coder.decompress(frame, max_output_size=size)
    except zstandard.ZstdError as error:
        raise RefusedError(f"zstd frame: {error}") from error
    check(len(content) == size, f"a zstd frame decodes to {len(content)} bytes, not {size}")
    return content


def check_frame(
    frame: bytes,
    size: int,
    *,
    window: int,
    dictionary_id: int = 0,
    may_lack_size: bool = False,
) -> None:
    """Check that `frame` is one zstd frame of `size` bytes and nothing else (RFC 8878, 3.1.1)."""
    # "it starts with the zstd magic number `28 b5 2f fd`"
    check(frame[:4] == bytes.fromhex("28b52ffd") and len(frame) > 5, "no zstd frame")
    descriptor = frame[4]
    single_segment = descriptor >> 5 & 1
    position = 5
    if not single_segment:
        exponent, mantissa = frame[5] >> 3, frame[5] & 7
        base = 1 << (10 + exponent)
        # "the window is at most 16 MiB"
        check(base + base // 8 * mantissa <= window, "the window of a zstd frame is too large")
        position = 6
    id_size = (0, 1, 2, 4)[descriptor & 3]
    own_id = int.from_bytes(frame[position : position + id_size], "little")
    position += id_size
    check(own_id in {0, dictionary_id} and (dictionary_id or not id_size), "Dictionary_ID")
    size_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    content_size = int.from_bytes(frame[position : position + size_size], "little")
    content_size += 256 if size_size == 2 else 0
    position += size_size
    # "Frame_Content_Size is present and is Content_Size"
    check(size_size or may_lack_size, "a zstd frame does not state its content size")
    check(not size_size or content_size == size, f"a zstd frame states {content_size} bytes")
    last = 0
    while not last:
        header = int.from_bytes(frame[position : position + 3], "little")
        check(position + 3 <= len(frame), "a zstd frame is cut short")
        last, kind, block_size = header & 1, header >> 1 & 3, header >> 3
        position += 3 + (1 if kind == 1 else block_size)
    # "nothing follows the frame"
    position += 4 if descriptor & 4 else 0
    check(position == len(frame), "a zstd frame does not end with its chunk or table")


# -------------------- model-file.md

# Sections of an n-gram model that hold `i32`: values of a profile, lowest and highest.
PROFILE_SECTIONS = {
    "rates": (2 * 64, 0, 65_535),
    "limits": (16, 1, 63),
    "mixer_rates": (32, 0, 4095),
    "sets": (288 * 16, -(1 << 31), (1 << 31) - 1),
    "bytes": (3 * 512 * 16, -(1 << 31), (1 << 31) - 1),
    "confidences": (2 * 16 * 16, -(1 << 31), (1 << 31) - 1),
    "hits": (32, 0, 65_535),
}
MODEL_SECTIONS = ["card", "counts", "spills", "tags", "rows", *PROFILE_SECTIONS]


@dataclass(frozen=True)
class NgramModel:
    """The numbers of a model of kind 2."""

    starts: list[int]  # the number of each bucket's first row, and Row_Count
    spills: tuple[int, ...]
    tags: tuple[int, ...]
    rows: bytes
    profiles: list[dict[str, tuple[int, ...]]]

    def find(self, bucket: int, tag: int) -> bytes | None:
        """Return the row of a bucket that has a tag."""
        # "look for the first used row of the bucket home whose tag is tag"
        for row in range(self.starts[bucket], self.starts[bucket + 1]):
            if self.tags[row] == tag:
                return self.rows[8 * row : 8 * row + 8]
        return None


def check_kind(data: bytes, kind: int) -> None:
    """Check that a model is of the kind that its record names."""
    # "A reader MUST refuse another Model_Magic or Model_Version, and a Model_Kind that is not the
    # Kind of the Model record."
    same = kind == 1 or unpack("8sHH", data, "Model_File_Header")[2] == kind
    check(same, f"the file of a model of kind {kind} is of another")


def read_model_sections(
    data: bytes, wanted: int, known: list[str], *more: Sequence[str]
) -> dict[str, bytes]:
    """Return the sections of a model file, decoded.

    Those of each of `more` stand there all or none, and only behind all of those before.
    """
    magic, version, kind, count = unpack("8sHHI", data, "Model_File_Header")
    check(magic == bytes.fromhex("8d4c4d4d4f440d0a"), "Model_Magic is missing")
    check(version == 1 and kind == wanted, f"a model file has version {version} and kind {kind}")
    check(1 <= count <= 64, f"a model file has {count} sections")
    headers = [unpack("16sQQ", data[16 + 32 * n :], "Section_Header") for n in range(count)]
    # "The Sizes of a file MUST NOT sum to more than 1 GiB."
    check(sum(size for _, _, size in headers) <= GIB, "the sections of a model are too large")
    position = 16 + 32 * count
    filled = position + sum(stored for _, stored, _ in headers)
    check(filled == len(data), "the sections do not fill a model file")
    sections = {}
    for name, stored, size in headers:
        frame = data[position : position + stored]
        # "A frame is one zstd frame (RFC 8878) that decodes to Size bytes"
        check_frame(frame, size, window=128 * MIB)
        sections[name.rstrip(b"\0").decode("latin-1")] = decompress(frame, size)
        position += stored
    # "has exactly these sections, in this order"
    lawful = [known]
    for group in more:
        lawful.append([*lawful[-1], *group])
    check(
        [name for name, _, _ in headers]
        in [[name.ljust(16, "\0").encode() for name in names] for names in lawful],
        f"the sections of a model of kind {kind}",
    )
    return sections


@lru_cache(maxsize=2)
def read_ngram_model(data: bytes) -> NgramModel:
    return read_rows_and_profiles(read_model_sections(data, 2, MODEL_SECTIONS), PROFILE_SECTIONS)


def read_rows_and_profiles(
    sections: dict[str, bytes], known: Mapping[str, tuple[int, int, int]]
) -> NgramModel:
    """Return static rows and profiles, whose sections are `known`."""
    counts = sections["counts"]
    check(1 <= len(counts) <= 1 << 22 and max(counts) <= 6, "the buckets of a model")
    # "Row_Count is the sum of counts."
    row_count = sum(counts)
    sizes = {"spills": 4 * len(counts), "tags": 2 * row_count, "rows": 8 * row_count}
    # "Profile_Count is the Size of hits divided by 128, 1 to 256."
    profile_count = len(sections["hits"]) // 128
    check(1 <= profile_count <= 256, f"a model has {profile_count} profiles")
    sizes |= {name: 4 * n * profile_count for name, (n, _, _) in known.items()}
    for name, size in sizes.items():
        check(len(sections[name]) == size, f"section {name} has {len(sections[name])} bytes")
    profiles: list[dict[str, tuple[int, ...]]] = [{} for _ in range(profile_count)]
    for name, (n, lowest, highest) in known.items():
        values = struct.unpack(f"<{n * profile_count}i", sections[name])
        good = all(lowest <= value <= highest for value in values)
        check(good, f"section {name} holds {min(values)} to {max(values)}")
        for number, profile in enumerate(profiles):
            profile[name] = values[n * number : n * number + n]
    # "Rates: 0 to 32,767 the first 64, 0 to 65,535 the second"
    check(all(max(profile["rates"][:64]) < 1 << 15 for profile in profiles), "section rates")
    return NgramModel(
        list(accumulate(counts, initial=0)),
        struct.unpack(f"<{len(counts)}I", sections["spills"]),
        struct.unpack(f"<{row_count}H", sections["tags"]),
        sections["rows"],
        profiles,
    )


def model_files() -> Iterator[Path]:
    """Yield the models that a reader has: those that ship, beside this file or as installed."""
    spec = importlib.util.find_spec("lmarc")  # where it lies; it is not imported
    places = [] if spec is None else spec.submodule_search_locations or []
    for folder in (Path(__file__).parent.parent / "lmarc", *map(Path, places)):
        yield from (folder / "models").glob("*.lmmodel")


def found_model(digest: bytes) -> bytes:
    """Return the model with a SHA-256."""
    if digest in TRUSTED:
        return TRUSTED[digest]
    for path in model_files():
        data = path.read_bytes()
        if hashlib.sha256(data).digest() == digest:
            return data
    raise RefusedError(f"there is no model {digest.hex()}")


def file_of(below: bytes) -> bytes:
    """Return the file of a model below, of which a section has the file or the SHA-256."""
    return found_model(below) if len(below) == 32 else below


# -------------------- model-file.md 6.2 Primed models (kind 8)

PRIMED = 8


def below_and_text(data: bytes) -> tuple[bytes, bytes]:
    """Return the model that a chunk is coded with, and the text that stands before its content."""
    if unpack("8sHH", data, "Model_File_Header")[2] != PRIMED:
        return data, b""
    sections = read_model_sections(data, PRIMED, ["card", "below", "text"])
    below, text = sections["below"], sections["text"]
    # "the text, any bytes, 1 to 262,144 of them"
    check(1 <= len(text) <= 256 * KIB, f"section text has {len(text)} bytes")
    return file_of(below), text


# -------------------- entropy-coding.md


class Words:
    """State and words of a payload while they are decoded."""

    def __init__(self, data: bytes) -> None:
        # "They are at least 5 bytes together."
        check(len(data) >= 5, "a payload is too short for its State")
        # "Its size is 5 + ((size - 5) mod 4), where size is that of State and Words together."
        size = 5 + (len(data) - 5) % 4
        # "A State of more than 5 bytes MUST NOT begin with a zero."
        check(size == 5 or data[0] != 0, "State begins with a zero")
        self.x = int.from_bytes(data[:size], "big")
        self.words = struct.unpack(f"<{(len(data) - size) // 4}I", data[size:])
        self.next = 0
        # "refuse unless x < 2^63, and x >= 2^31 if there are words"
        check(self.x < 1 << 63, "State is out of range")
        check(self.x >= 1 << 31 or not self.words, "State is too small")

    def decode(self, freqs: list[int]) -> int:
        """Return the next symbol."""
        slot = self.x & 65_535
        # "the one with cumfreq <= slot < cumfreq + freq"
        symbol, cumfreq = 0, 0
        while slot >= cumfreq + freqs[symbol]:
            cumfreq += freqs[symbol]
            symbol += 1
        self.x = freqs[symbol] * (self.x >> 16) + slot - cumfreq
        # "if x < 2^31 and there is a Words[next]:"
        if self.x < 1 << 31 and self.next < len(self.words):
            self.x = self.x << 32 | self.words[self.next]
            self.next += 1
        return symbol

    def end(self) -> None:
        """Check that the words end with the last symbol."""
        # "refuse unless x = 0 and next is the count of words"
        check(self.x == 0 and self.next == len(self.words), "a payload ends elsewhere")


class KnownSymbols(Words):
    """Stands for the words of a text that is known: its symbols."""

    def __init__(self, text: bytes) -> None:
        self.symbols = iter([symbol for byte in text for symbol in (byte >> 4, byte & 15)])

    def decode(self, freqs: list[int]) -> int:
        """Return the next symbol."""
        return next(self.symbols)


# -------------------- ngram.md

Numbers = list[int]


def mod32(value: int) -> int:
    return value & 0xFFFFFFFF


def wrap(value: int) -> int:
    # "wrap(a) is the number from -2^31 to 2^31 - 1 that equals a modulo 2^32."
    return mod32(value + (1 << 31)) - (1 << 31)


# -------------------- ngram.md 3. Contexts

K1, K2, S = 0x2C1B3C6D, 0x297A2D39, 0x32BE5AB7


class NgramContexts:
    """The state of section 3.1, and the content so far."""

    def __init__(self) -> None:
        self.last = self.older = self.word = self.last_word = 0
        self.line, self.line_above = 0, -1
        self.field = self.field_start = 0
        self.fields = [-1] * 512
        self.text = bytearray()

    def take(self, byte: int) -> None:
        """Take in a byte: section 3.2."""
        self.text.append(byte)
        self.older = mod32(self.older << 8 | self.last >> 24)
        self.last = mod32(self.last << 8 | byte)
        folded = byte + 32 if 65 <= byte <= 90 else byte
        if 97 <= folded <= 122 or 48 <= byte <= 57 or byte >= 128:
            self.word = mod32((self.word + folded + 1) * 0x1E3779B1)
        elif self.word != 0:
            self.last_word = self.word
            self.word = 0
        # "if byte is 10, 44, 9, 59 or 124 (newline , tab ; |):"
        if byte in {10, 44, 9, 59, 124}:
            self.fields[self.field] = self.field_start
            self.field_start = len(self.text)
            self.field = min(self.field + 1, 511)
            if byte == 10:
                self.line_above = self.line
                self.line = len(self.text)
                self.field = 0

    def up(self) -> int:
        """Return the byte above."""
        # "text[line_above + column] if line_above >= 0 and line_above + column < line, else 0"
        above = self.line_above + len(self.text) - self.line
        return self.text[above] if self.line_above >= 0 and above < self.line else 0

    def raw_keys(self) -> Numbers:
        """Return the raw keys by lane."""
        text, position, last, older = self.text, len(self.text), self.last, self.older
        column = position - self.line
        up = self.up()
        there = self.fields[self.field] + position - self.field_start
        up_field = up_next = 0
        # "if fields[field] >= 0 and there + 1 < line:"
        if self.fields[self.field] >= 0 and there + 1 < self.line:
            up_field = text[there]
            up_next = text[there + 1]
        raw = [
            last & 0xFF,
            (last & 0xFFFF) + S,
            (last & 0xFFFFFF) + 2 * S,
            last + 3 * S,
            last * K1 + (older & 0xFFFF) * K2 + 5 * S,
            self.word + 6 * S,
            min(column, 255) + (up << 8) + ((last & 0xFF) << 16) + 8 * S,
            up_field
            + (up_next << 8)
            + ((last & 0xFF) << 16)
            + (min(self.field, 255) << 24)
            + 9 * S,
            last * K1 + (older & 0xFF) + 4 * S,
            self.word * K2 + self.last_word + 7 * S,
        ]
        return [mod32(value) for value in raw]


def key_of(raw: int) -> int:
    m = mod32(raw * K1)
    m = mod32((m ^ m >> 15) * K2)
    return m ^ m >> 13


def hash_of(key: int, salt: int) -> int:
    m = mod32((key + salt * 0x9E3779B1) * 0x85EBCA6B)
    return m ^ m >> 16


# -------------------- ngram.md 4. Static rows


def static_row(model: NgramModel, key: int, hash_: int) -> bytes | None:
    bucket_count = len(model.spills)
    # "tag = hash & 0xFFFF, but 1 where that is 0"
    tag = hash_ & 0xFFFF or 1
    home = key * bucket_count >> 32
    row = model.find(home, tag)
    # "if there is none and bit (tag & 31) of the spill bits of home is set:"
    if row is None and model.spills[home] >> (tag & 31) & 1:
        row = model.find(hash_ * bucket_count >> 32, tag)
    return row


def static_input(row: bytes | None) -> Numbers:
    # "Where no row was found the input is 0 for all symbols."
    if row is None:
        return [0] * 16
    levels = [row[symbol // 2] >> 4 * (symbol % 2) & 15 for symbol in range(16)]
    # "The input for level q is -(50 q + 137) q."
    return [-(50 * q + 137) * q for q in levels]


# -------------------- ngram.md 5. Dynamic rows


class Place:
    """A place of a dynamic table."""

    def __init__(self) -> None:
        # "at the start of a chunk tag and count are 0"
        self.tag = self.count = 0
        self.row: Numbers = []


def look_up(table: dict[int, tuple[Place, Place]], hash_: int, b: int) -> Place:
    """Return the place that a hash takes in a table."""
    first, second = table.setdefault(hash_ >> 33 - b, (Place(), Place()))
    tag = hash_ & 0x3FF
    if first.tag == tag:
        place = first
    elif second.tag == tag:
        place = second
    else:
        # "take the second if its count is less than the first's, else the first"
        place = second if second.count < first.count else first
        place.tag, place.count = tag, 0
    # "Where it is 0, the place's row is now 4096 for all symbols."
    if place.count == 0:
        place.row = [4096] * 16
    return place


# -------------------- ngram.md 6. Matches


class Matcher:
    """The state of section 6.1."""

    shortest, longest = 5, 48

    def __init__(self, b: int) -> None:
        self.b = b
        self.positions: dict[int, int] = {}
        self.at = self.size = 0
        self.guess: int | None = None

    def look(self, text: Sequence[int], key: int) -> None:
        """Look for a match: section 6.2."""
        position = len(text)
        if position >= self.shortest:
            slot = key >> 30 - self.b
            if self.size == 0 and slot in self.positions:
                at, n = self.positions[slot], 0
                # "the largest n with text[at - i] = text[position - i] for i = 1 to n, n <= at and
                # n <= 48"
                while n < min(at, self.longest) and text[at - n - 1] == text[position - n - 1]:
                    n += 1
                if n >= self.shortest:
                    self.at = at
                    self.size = n
            self.positions[slot] = position
        self.guess = text[self.at] if self.size > 0 else None

    def take(self, byte: int) -> None:
        """Take in a byte: section 6.4."""
        # "If match_size > 0 and guess is the byte, match_at and match_size grow by 1. Else
        # match_size = 0."
        if self.size > 0 and self.guess == byte:
            self.at += 1
            self.size += 1
        else:
            self.size = 0

    def length(self) -> int:
        """Return the length that stands for the size."""
        return self.size if self.size < 16 else min(16 + (self.size - 16 >> 2), 31)


def stretch(i: int) -> int:
    return log2(2 * i + 1) - log2(8191 - 2 * i) + 4096


# -------------------- ngram.md 7. Mixture


@lru_cache(maxsize=1 << 17)
def log2(x: int) -> int:
    e = x.bit_length() - 1
    f = (x << 12 >> e) - 4096
    return (e << 10) + (f >> 2) + ((f * (4096 - f) >> 12) * 352 >> 12)


@lru_cache(maxsize=1 << 15)
def exp2(d: int) -> int:
    f = d & 1023
    s = f * f >> 10
    m = 65_535 - (f * 21_528 >> 9) + (s * 10_290 >> 10)
    return m >> min(d >> 10, 31)


def confidence(j: int, count: int, best: int) -> int:
    # "0 where the count is 0"
    if count == 0:
        return 0
    # "2 step(count) for inputs 0 to 7, and 1 more where best > 3700"
    if j < 8:
        steps = (0, 1, 2, 3, 4, 4, 5, 5, 5, 6)
        return 2 * steps[min(count, 9)] + (best > 3700)
    # "min((-best) >> 8, 14) + 1 for inputs 8 to 14; count >> 1 for input 15"
    return min(-best >> 8, 14) + 1 if j < 15 else count >> 1


def applied(weight: int) -> int:
    return min(max(weight, -524_288), 524_272) >> 4


def freqs_of(inputs: list[Numbers], weights: Numbers) -> Numbers:
    logits = [0] * 16
    for row, weight in zip(inputs, weights, strict=True):
        logits = [logit + score * weight for logit, score in zip(logits, row, strict=True)]
    return normalised([wrap(logit) >> 12 for logit in logits])


def normalised(logits: Numbers) -> Numbers:
    best = max(logits)
    odds = [exp2(best - logit) for logit in logits]
    scale = (65_520 << 14) // sum(odds)
    freqs = [(odd * scale >> 14) + 1 for odd in odds]
    # "What is missing to a sum of 65,536 is added to the freq of symbol 15."
    freqs[15] += 65_536 - sum(freqs)
    return freqs


# -------------------- ngram.md 8. Learning


def weight_steps(inputs: list[Numbers], freqs: Numbers, symbol: int, rate: int) -> Numbers:
    errors = [(65_536 if s == symbol else 0) - freq >> 2 for s, freq in enumerate(freqs)]
    sums = [sum(x * error for x, error in zip(row, errors, strict=True)) for row in inputs]
    return [(total >> 11) * rate >> 13 for total in sums]


def learnt_row(row: Numbers, symbol: int, share: int, gain: int) -> Numbers:
    kept = [max(old - ((old >> 1) * share >> 14), 16) for old in row]
    return [min(old + (gain if s == symbol else 0), 65_535) for s, old in enumerate(kept)]


# -------------------- ngram.md 2. Steps

# "The static inputs 8 to 14 are those of lanes 1, 2, 3, 8, 4, 5 and 9, in this order"
STATIC_LANES = (1, 2, 3, 8, 4, 5, 9)


class Ngram:
    """A chunk of codec 3 while it is decoded."""

    static_lanes: tuple[int, ...] = STATIC_LANES

    def __init__(self, model: NgramModel, profile: int, content_size: int) -> None:
        start = model.profiles[profile]
        self.model = model
        self.rates, self.limits, self.mixer_rates = (
            start[name] for name in ("rates", "limits", "mixer_rates")
        )
        # "a chunk takes from its profile and changes"
        self.sets, self.bytes, self.confidences, self.hits = (
            list(start[name]) for name in ("sets", "bytes", "confidences", "hits")
        )
        self.b = min(max((content_size - 1).bit_length() - 1, 11), 14)
        self.contexts: Any = NgramContexts()
        self.tables: list[dict[int, tuple[Place, Place]]] = [{} for _ in range(8)]
        self.matcher = Matcher(self.b)

    def prime(self, text: bytes) -> None:
        """Take in the text of a primed model: section 2.3."""
        # "it knows the symbols, computes freqs for each, and learns it"
        known = KnownSymbols(text)
        for _ in text:
            self.decode_byte(known)

    def decode_byte(self, words: Words) -> None:
        """Decode a byte and take it in."""
        keys = [key_of(raw) for raw in self.contexts.raw_keys()]
        self.matcher.look(self.contexts.text, keys[8])
        high = self.decode_symbol(words, keys, 0, 0)
        low = self.decode_symbol(words, keys, 1, high)
        self.matcher.take(high << 4 | low)
        self.contexts.take(high << 4 | low)

    def decode_symbol(self, words: Words, keys: Numbers, half: int, high: int) -> int:
        """Decode a symbol and learn it."""
        hashes = [hash_of(key, self.salt(half, high)) for key in keys]
        places = [look_up(self.tables[k], hashes[k], self.b) for k in range(8)]
        counts = [place.count for place in places]
        for k, place in enumerate(places):
            # "Then the count of the place becomes min(count + 1, Limits[lane])."
            place.count = min(place.count + 1, self.limits[k])
        # "for each symbol log2(row[symbol]) - 12,288"
        inputs = [[log2(number) - 12_288 for number in place.row] for place in places]
        for lane in self.static_lanes:
            row = static_row(self.model, keys[lane], hashes[lane])
            inputs.append(static_input(row))
            # "The count of a static input is 1 where a row was found, else 0."
            counts.append(0 if row is None else 1)
        expected, length = self.expected(half, high), 0
        inputs.append([0] * 16)
        if expected is not None:
            length = self.matcher.length()
            inputs[15][expected] = stretch(self.hits[length] >> 4)
        # "The count of input 15 is the length."
        counts.append(length)
        vectors = [self.set_of(counts, length, half), *self.vectors(half, high, expected)]
        trust = [16 * half + confidence(j, counts[j], max(inputs[j])) for j in range(16)]
        parts = (self.sets, self.bytes, self.bytes, self.bytes, self.confidences)
        at = [[16 * vector + j for vector in (*vectors, trust[j])] for j in range(16)]
        weights = [
            applied(wrap(sum(part[place] for part, place in zip(parts, at[j], strict=True))))
            for j in range(16)
        ]
        freqs = freqs_of(inputs, weights)
        symbol = self.code(words, freqs, half, high)

        rate = self.mixer_rates[len(self.contexts.text).bit_length()]
        # "For each j, step[j] is added, with wrap(), to the five weights that were added in 7.4."
        for j, step in enumerate(weight_steps(inputs, freqs, symbol, rate)):
            for part, index in zip(parts, at[j], strict=True):
                part[index] = wrap(part[index] + step)
        for place, count in zip(places, counts, strict=False):
            place.row = learnt_row(place.row, symbol, self.rates[count], self.rates[64 + count])
        if expected is not None:
            h = self.hits[length]
            self.hits[length] = h + (65_535 - h >> 6) if symbol == expected else h - (h >> 6)
        return symbol

    def salt(self, half: int, high: int) -> int:
        """Return what is hashed beside the keys."""
        # "salt = 0 for half 0, 1 + high for half 1"
        return 1 + high if half else 0

    def expected(self, half: int, high: int) -> int | None:
        """Return the symbol that a match expects."""
        guess = self.matcher.guess
        # "If there is a guess, and for half 1 only if guess >> 4 is the byte's high symbol"
        if guess is None or (half == 1 and guess >> 4 != high):
            return None
        return guess & 15 if half else guess >> 4

    def vectors(self, half: int, high: int, expected: int | None) -> Numbers:
        """Return the rows of Bytes that apply."""
        last, guess = self.contexts.last, self.matcher.guess
        # "the byte before, the byte before that, and the guess if a symbol is expected, else the
        # byte before those"
        third = last >> 16 & 0xFF if guess is None or expected is None else guess
        # "byte for half 0; 256 + (high << 4) + (byte >> 4) for half 1"
        return [
            512 * kind + (256 + (high << 4) + (byte >> 4) if half else byte)
            for kind, byte in enumerate((last & 0xFF, last >> 8 & 0xFF, third))
        ]

    def code(self, words: Words, freqs: Numbers, half: int, high: int) -> int:
        """Decode a symbol whose freqs are known."""
        return words.decode(freqs)

    def set_of(self, counts: Numbers, length: int, half: int) -> int:
        """Return the row of Sets that applies."""
        learnt = max((k + 1 for k in range(5) if counts[k] > 0), default=0)
        longest = max((k + 1 for k in range(5) if counts[8 + k] > 0), default=0)
        # "strength is 0 for length 0, 1 for lengths 1 to 15, 2 for 16 to 23, 3 for 24 to 31."
        strength = (length >= 1) + (length >= 16) + (length >= 24)
        return ((longest * 6 + learnt) * 4 + strength) * 2 + half


def ngram(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    below, text = below_and_text(model or b"")
    parsed = read_ngram_model(below)
    # "A reader MUST refuse a Profile that the model does not have."
    check(coded[0] < len(parsed.profiles), f"Profile is {coded[0]}")
    words = Words(coded[1:])
    # "len(text) + Content_Size takes the place of Content_Size in section 5.1."
    coder = Ngram(parsed, coded[0], len(text) + content_size)
    coder.prime(text)
    for _ in range(content_size):
        coder.decode_byte(words)
    words.end()
    return bytes(coder.contexts.text[len(text) :])


CODECS[3] = ngram


# -------------------- model-file.md 6. Neural models (kind 3)

PRODUCTS = ["see", "inner", "high", "low", "see_low"]
NEURAL_SECTIONS = ["card", "ngram", "units", "last", "second_last", "low_bias"]
NEURAL_SECTIONS += [name + part for name in PRODUCTS for part in ("", "_exp")]
NEURAL_SECTIONS += ["join", "join_rate"]
# "Where L is 3 or more, the sections upper and upper_exp stand behind inner_exp"
_at = NEURAL_SECTIONS.index("inner_exp") + 1
DEEP_SECTIONS = [*NEURAL_SECTIONS[:_at], "upper", "upper_exp", *NEURAL_SECTIONS[_at:]]
# "has these sections besides, in this order, behind join_rate, and one without has none of them"
PATCH_PRODUCTS = ["enter", "attend", "merge", "widen", "narrow", "give"]
PATCH_SECTIONS = ["patches", "places"]
PATCH_SECTIONS += [name + part for name in PATCH_PRODUCTS for part in ("", "_exp")]
LONGEST = 8  # bytes of a patch


@dataclass(frozen=True)
class Product:
    """Weights and exponent of each output."""

    rows: list[tuple[int, ...]]
    exponents: bytes

    def sums(self, inputs: Sequence[int], first: int, count: int) -> Numbers:
        """Return `count` outputs from the output `first` on."""
        # "output m is the sum over k of weight[m][k] × x[k], times 2^(10 - exponent[m])."
        return [
            sum(w * x for w, x in zip(self.rows[m], inputs, strict=True)) << 10 - self.exponents[m]
            for m in range(first, first + count)
        ]


@dataclass(frozen=True)
class PatchModel:
    """The numbers of a model's patches."""

    shape: Shape
    places: list[tuple[int, ...]]  # what byte b brings at place k: 256 k + b
    enter: Product
    layers: dict[str, list[Product]]
    give: Product


@dataclass(frozen=True)
class NeuralModel:
    """The numbers of a model of kind 3."""

    base: bytes  # the file of its n-gram model
    units: tuple[int, int]
    layers: int
    tables: dict[str, tuple[int, ...]]
    products: dict[str, Product]
    patches: PatchModel | None


@lru_cache(maxsize=2)
def read_neural_model(data: bytes) -> NeuralModel:
    kind = unpack("8sHH", data, "Model_File_Header")[2]
    sections = adapted(data) if kind == 7 else read_neural_sections(data)
    base = file_of(sections["ngram"])
    deep = "upper" in sections
    n1, n2, *more = unpack("HHH" if deep else "HH", sections["units"], "units")
    # "each a multiple of 16, 16 to 4096"
    check(all(n % 16 == 0 and 16 <= n <= 4096 for n in (n1, n2)), f"units are {n1} and {n2}")
    # "and L from 3 to 8, where it is not 2"
    check(all(3 <= layers <= 8 for layers in more), f"there are {more} layers")
    layers = more[0] if more else 2
    outputs, outs = 2 * n1 + 3 * n2 * (layers - 1) + 16, (layers - 1) * n2
    sizes = {"last": 256 * outputs, "second_last": 512 * n1, "low_bias": 256}
    tables = {}
    for name, count in (sizes | {"join": 64, "join_rate": 1}).items():
        code = "i" if "join" in name else "h"
        size = struct.calcsize(f"<{count}{code}")
        check(len(sections[name]) == size, f"section {name} has {len(sections[name])} bytes")
        tables[name] = struct.unpack(f"<{count}{code}", sections[name])
    check(0 <= tables["join_rate"][0] <= 4095, "section join_rate")
    shapes = {"see": (outputs, 16), "inner": (3 * n2, n1), "high": (16, outs), "low": (256, outs)}
    shapes |= {"see_low": (16, 16)} | ({"upper": (3 * n2 * (layers - 2), n2)} if deep else {})
    products = {}
    for name, (rows, columns) in shapes.items():
        exponents = sections[f"{name}_exp"]
        check(len(sections[name]) == rows * columns, f"section {name}")
        check(len(exponents) == rows and max(exponents) <= 10, f"section {name}_exp")
        weights = struct.iter_unpack(f"<{columns}b", sections[name])
        products[name] = Product(list(weights), exponents)
    patches = read_patches(sections, n1, n2) if "patches" in sections else None
    return NeuralModel(base, (n1, n2), layers, tables, products, patches)


def read_patches(sections: dict[str, bytes], n1: int, n2: int) -> PatchModel:
    """Return what the sections from `patches` on hold."""
    # "The numbers of patches are bounded as those of shape in section 10."
    shape = read_shape(sections, "patches")
    width = shape.width
    check(len(sections["places"]) == 2 * LONGEST * 256 * width, "section places")
    (enter,) = read_products(sections, "enter", 1, width, n1)
    (give,) = read_products(sections, "give", 1, 3 * n2, width)
    places = list(struct.iter_unpack(f"<{width}h", sections["places"]))
    return PatchModel(shape, places, enter, read_transformer(sections, shape), give)


def read_neural_sections(data: bytes) -> dict[str, bytes]:
    """Return the sections of a model of kind 3, whatever its layers, with patches or without."""
    count = unpack("8sHHI", data, "Model_File_Header")[3]
    deep = count in (len(DEEP_SECTIONS), len(DEEP_SECTIONS) + len(PATCH_SECTIONS))
    known = DEEP_SECTIONS if deep else NEURAL_SECTIONS
    return read_model_sections(data, 3, known, PATCH_SECTIONS)


# -------------------- model-file.md 6.1 Adapters (kind 7)

TYPES = {"last": "h", "second_last": "h", "low_bias": "h"} | dict.fromkeys(PRODUCTS, "b")
ADAPTER_SECTIONS = ["card", "base", "ngram", "shifts", *TYPES, "join", "join_rate"]
_at = ADAPTER_SECTIONS.index("inner") + 1
DEEP_ADAPTER_SECTIONS = [*ADAPTER_SECTIONS[:_at], "upper", *ADAPTER_SECTIONS[_at:]]


def adapted(data: bytes) -> dict[str, bytes]:
    """Return the sections of the model that an adapter stands for."""
    count = unpack("8sHHI", data, "Model_File_Header")[3]
    deep = count == len(DEEP_ADAPTER_SECTIONS)
    sections = read_model_sections(data, 7, DEEP_ADAPTER_SECTIONS if deep else ADAPTER_SECTIONS)
    check(len(sections["base"]) == 32, "section base")
    found = read_neural_sections(found_model(sections["base"]))
    check(deep == ("upper" in found), "the layers of an adapter are not those of its base")
    check(len(sections["shifts"]) == 3 and max(sections["shifts"]) <= 15, "section shifts")
    shifts = dict(zip(TYPES, sections["shifts"], strict=False))
    for name, code in (TYPES | ({"upper": "b"} if deep else {})).items():
        shift = shifts.get(name, 0)
        width = 8 * struct.calcsize(code)
        numbers = struct.unpack(f"<{8 * len(found[name]) // width}{code}", found[name])
        differences = struct.unpack(f"<{len(sections[name])}b", sections[name])
        # "A section that is empty changes nothing."
        if differences:
            check(len(numbers) == len(differences), f"section {name}")
            # "the sum wraps to the type"
            half = 1 << width - 1
            sums = [
                (n + (difference << shift) + half) % (2 * half) - half
                for n, difference in zip(numbers, differences, strict=True)
            ]
            found[name] = struct.pack(f"<{len(sums)}{code}", *sums)
    own = {name: sections[name] for name in ("card", "join", "join_rate")}
    return found | own | {"ngram": sections["ngram"] or found["ngram"]}


# -------------------- neural.md


def squash(total: int, shift: int) -> int:
    y = min(max(total >> shift, -32_767), 32_767)
    return min(2 * y - (y * abs(y) >> 15), 32_767)


def gate(total: int) -> int:
    return (squash(total, 4) >> 1) + 16_384


def moved(keep: int, new: int, state: int) -> int:
    a = gate(keep)
    return a * state + (32_767 - a) * squash(new, 3) + 16_384 >> 15


def product_input(state: int) -> int:
    return min(state + 128 >> 8, 127)


def correction(total: int) -> int:
    return min(max(wrap(total) >> 7, -8191), 8191)


def opened(state: int, total: int) -> int:
    """Return what leaves the second layer: section 4.3."""
    return product_input(state * gate(total) + 16_384 >> 15)


def carried(state: int, total: int, x: int) -> int:
    """Return what leaves a later layer: section 4.4."""
    g = gate(total)
    return product_input(state * g + 256 * x * (32_767 - g) + 16_384 >> 15)


def parts_words(byte: int) -> bool:
    # "when it is below 128 and none of 48 to 57, 65 to 90 and 97 to 122"
    return byte < 128 and not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122)


def patch_ends(b: int, c: int, size: int) -> bool:
    """Return whether a patch of some bytes has ended with the byte b, which stands behind c."""
    # "The patch has ended when b parts words and c does not, or when it has eight bytes."
    return (parts_words(b) and not parts_words(c)) or size == LONGEST


def entering(total: int, places: int) -> int:
    """Return a number that enters the Transformer, of a total of enter and the sum of places."""
    return clamp(wrap(total + 64 * places) + 64 >> 7, 32_767)


def given(total: int) -> int:
    """Return what the second layer is given, of a total of give."""
    return wrap(4 * total)


class Patches:
    """The patches of a chunk: section 4.7."""

    def __init__(self, model: PatchModel) -> None:
        self.model = model
        # "a list of bytes that is empty at its start; given, 3 n2 numbers that are 0 at its start;
        # and the state of a Transformer, of which no step was taken"
        self.patch: Numbers = []
        self.given = [0] * len(model.give.rows)
        self.transformer = Transformer(model.shape, model.layers)

    def take(self, b: int, c: int, x: Numbers) -> None:
        """Add the byte b behind the byte c, where x are the inputs of section 4.3."""
        # "the byte b of section 4.1 is added to the end of the patch"
        self.patch.append(b)
        if patch_ends(b, c, len(self.patch)):
            self.end(x)

    def end(self, x: Numbers) -> None:
        """Take a step with the patch, which has ended."""
        model = self.model
        rows = [model.places[256 * k + byte] for k, byte in enumerate(self.patch)]
        totals = model.enter.sums(x, 0, model.shape.width)
        places = [sum(numbers) for numbers in zip(*rows, strict=True)]
        leaving = self.transformer.step([*map(entering, totals, places)])
        self.given = [given(total) for total in model.give.sums(leaving, 0, len(self.given))]
        # "and the patch is empty again"
        self.patch = []


class Network:
    """The byte network of a chunk."""

    def __init__(self, model: NeuralModel) -> None:
        self.model = model
        n1, n2 = model.units
        # States of all layers, the first one's first.
        self.states = [[0] * n1, *([0] * n2 for _ in range(model.layers - 1))]
        self.outs: Numbers = []  # out_2, out_3, ..., out_L, one after the other
        self.patches = None if model.patches is None else Patches(model.patches)

    def high(self, last: int, freqs: Numbers) -> Numbers:
        """Take in a byte's past; return the corrections of its high symbol: section 4."""
        model, (n1, n2) = self.model, self.model.units
        n = len(model.products["see"].rows)
        before = model.tables["last"][n * (last & 0xFF) :][:n]
        earlier = model.tables["second_last"][2 * n1 * (last >> 8 & 0xFF) :][: 2 * n1]
        seen = model.products["see"].sums([freq >> 9 for freq in freqs], 0, n)
        sums = [64 * x + y for x, y in zip(before, seen, strict=True)]
        sums[: 2 * n1] = [s + 64 * x for s, x in zip(sums, earlier, strict=False)]
        sums = [wrap(s) for s in sums]
        first = self.states[0]
        self.states[0] = [moved(sums[i], sums[n1 + i], first[i]) for i in range(n1)]
        x = [product_input(state) for state in self.states[0]]
        if self.patches is not None:
            # "After section 4.2, and before section 4.3 uses given"
            self.patches.take(last & 0xFF, last >> 8 & 0xFF, x)
        self.outs = []
        for k in range(2, model.layers + 1):
            name, skipped = ("inner", 0) if k == 2 else ("upper", 3 * n2 * (k - 3))
            below = model.products[name].sums(x, skipped, 3 * n2)
            if k == 2 and self.patches is not None:
                below = [y + more for y, more in zip(below, self.patches.given, strict=True)]
            own = sums[2 * n1 + 3 * n2 * (k - 2) :]
            t = [wrap(s + y) for s, y in zip(own, below, strict=False)]
            state = self.states[k - 1]
            state = [moved(t[j], t[n2 + j], state[j]) for j in range(n2)]
            self.states[k - 1] = state
            if k == 2:
                x = [opened(state[j], t[2 * n2 + j]) for j in range(n2)]
            else:
                x = [carried(state[j], t[2 * n2 + j], x[j]) for j in range(n2)]
            self.outs += x
        last_sums = zip(sums[-16:], model.products["high"].sums(self.outs, 0, 16), strict=True)
        return [correction(s + x) for s, x in last_sums]

    @property
    def out(self) -> Numbers:
        """What leaves the last layer."""
        return self.outs[-self.model.units[1] :]

    def low(self, high: int, freqs: Numbers) -> Numbers:
        """Return the corrections of the low symbol: section 4.6."""
        products = self.model.products
        own = products["low"].sums(self.outs, 16 * high, 16)
        seen = products["see_low"].sums([freq >> 9 for freq in freqs], 0, 16)
        bias = self.model.tables["low_bias"][16 * high : 16 * high + 16]
        return [correction(64 * b + x + y) for b, x, y in zip(bias, own, seen, strict=True)]


class Neural(Ngram):
    """A chunk of codec 4 while it is decoded."""

    def __init__(self, model: NeuralModel, profile: int, content_size: int) -> None:
        super().__init__(read_ngram_model(model.base), profile, content_size)
        self.network = Network(model)
        self.join = Join(model.tables["join"], model.tables["join_rate"][0])

    def code(self, words: Words, freqs: Numbers, half: int, high: int) -> int:
        """Decode a symbol with the joint freqs."""
        network = self.network
        corrections = network.low(high, freqs) if half else network.high(self.contexts.last, freqs)
        return self.join.code(words, freqs, corrections, half)


class Join:
    """How mixture and network are joined: section 5."""

    def __init__(self, weights: Sequence[int], rate: int) -> None:
        self.weights, self.rate = list(weights), rate

    def code(self, words: Words, freqs: Numbers, corrections: Numbers, half: int) -> int:
        """Decode a symbol, and learn how far to trust the network."""
        # "the bit length of 65,536 - max(freqs), less 1"
        at = 2 * (16 * half + (65_536 - max(freqs)).bit_length() - 1)
        inputs = [[log2(freq) - 12_288 for freq in freqs], corrections]
        joint = freqs_of(inputs, [applied(weight) for weight in self.weights[at : at + 2]])
        symbol = words.decode(joint)
        errors = [(65_536 if s == symbol else 0) - freq >> 2 for s, freq in enumerate(joint)]
        for j, row in enumerate(inputs):
            total = sum(x * error for x, error in zip(row, errors, strict=True))
            step = (total >> 11) * self.rate + 4096 >> 13
            self.weights[at + j] = wrap(self.weights[at + j] + step)
        return symbol


def neural(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    parsed = read_neural_model(model or b"")
    profiles = len(read_ngram_model(parsed.base).profiles)
    check(coded[0] < profiles, f"Profile is {coded[0]}")
    words = Words(coded[1:])
    coder = Neural(parsed, coded[0], content_size)
    for _ in range(content_size):
        coder.decode_byte(words)
    words.end()
    return bytes(coder.contexts.text)


CODECS[4] = neural


# -------------------- model-file.md 10. Subword models

TRANSFORMER_PRODUCTS = ("attend", "merge", "widen", "narrow")
BRANCHES = ("first", "second", "third")
SUBWORD_PROFILE = PROFILE_SECTIONS | {
    "sets": (432 * 16, -(1 << 31), (1 << 31) - 1),
    "bytes": (9 * 256 * 16, -(1 << 31), (1 << 31) - 1),
    "confidences": (3 * 16 * 16, -(1 << 31), (1 << 31) - 1),
}
SUBWORD_SECTIONS = ["card", "sizes", "tokens", "shape", "embedding"]
for _name in (*TRANSFORMER_PRODUCTS, *BRANCHES):
    SUBWORD_SECTIONS += [_name, f"{_name}_exp"]
SUBWORD_SECTIONS += ["join", "join_rate", "counts", "spills", "tags", "rows", *SUBWORD_PROFILE]


@dataclass(frozen=True)
class Shape:
    """The sizes of a Transformer: sections shape and patches."""

    width: int
    heads: int
    layers: int
    hidden: int
    window: int


@dataclass(frozen=True)
class SubwordModel:
    """What a model of kind 5 holds."""

    tokens: list[bytes]
    shape: Shape
    embedding: list[tuple[int, ...]]
    layers: dict[str, list[Product]]
    branches: list[Product]
    join: tuple[int, ...]
    join_rate: int
    tables: NgramModel


@lru_cache(maxsize=2)
def read_subword_model(data: bytes) -> SubwordModel:
    sections = read_model_sections(data, 5, SUBWORD_SECTIONS)
    sizes = sections["sizes"]
    # "256 to 4096 tokens of 1 to 64 bytes, all different; each single byte is one"
    check(256 <= len(sizes) <= 4096 and min(sizes) >= 1 and max(sizes) <= 64, "section sizes")
    check(len(sections["tokens"]) == sum(sizes), "section tokens")
    ends = list(accumulate(sizes, initial=0))
    tokens = [sections["tokens"][a:b] for a, b in pairwise(ends)]
    check(len(set(tokens)) == len(tokens), "a token stands twice")
    check(sum(len(token) == 1 for token in tokens) == 256, "a byte is no token")
    shape = read_shape(sections, "shape")
    width = shape.width
    check(len(sections["embedding"]) == len(tokens) * width, "section embedding")
    outputs = zip(BRANCHES, (16, 256, 4096), strict=True)
    branches = [read_products(sections, name, 1, count, width)[0] for name, count in outputs]
    join = sections["join"] + sections["join_rate"]
    check(len(sections["join"]) == 4 * 96 and len(join) == 4 * 97, "sections join and join_rate")
    *weights, rate = struct.unpack("<97i", join)
    check(0 <= rate <= 4095, "section join_rate")
    return SubwordModel(
        tokens,
        shape,
        list(struct.iter_unpack(f"<{width}b", sections["embedding"])),
        read_transformer(sections, shape),
        branches,
        tuple(weights),
        rate,
        read_rows_and_profiles(sections, SUBWORD_PROFILE),
    )


def read_shape(sections: dict[str, bytes], name: str) -> Shape:
    """Return the sizes of a Transformer, which a section holds."""
    check(len(sections[name]) == 10, f"section {name}")
    shape = Shape(*unpack("5H", sections[name], name))
    # "multiples of 16: width up to 512, hidden up to 4096, window up to 512"
    for size, most in ((shape.width, 512), (shape.hidden, 4096), (shape.window, 512)):
        check(size % 16 == 0 and 0 < size <= most, f"section {name}")
    # "layers is 1 to 16, and width is a multiple of 16 heads"
    check(1 <= shape.layers <= 16, f"section {name}")
    check(shape.heads >= 1 and shape.width % (16 * shape.heads) == 0, f"section {name}")
    return shape


def read_transformer(sections: dict[str, bytes], shape: Shape) -> dict[str, list[Product]]:
    """Return the products of a Transformer, one of each for each layer."""
    width, hidden = shape.width, shape.hidden
    known = {
        "attend": (3 * width, width),
        "merge": (width, width),
        "widen": (hidden, width),
        "narrow": (width, hidden),
    }
    return {name: read_products(sections, name, shape.layers, *known[name]) for name in known}


def read_products(
    sections: dict[str, bytes], name: str, layers: int, outputs: int, inputs: int
) -> list[Product]:
    """Return the products of a section, one for each layer."""
    exponents = sections[f"{name}_exp"]
    check(len(sections[name]) == layers * outputs * inputs, f"section {name}")
    check(len(exponents) == layers * outputs and max(exponents) <= 10, f"section {name}_exp")
    rows = list(struct.iter_unpack(f"<{inputs}b", sections[name]))
    return [
        Product(rows[at : at + outputs], exponents[at : at + outputs])
        for at in range(0, layers * outputs, outputs)
    ]


# -------------------- transformer.md


def clamp(value: int, most: int) -> int:
    return min(max(value, -most), most)


def norm(stream: Sequence[int]) -> Numbers:
    """Return a vector divided by its root mean square: section 3.1."""
    squares = 1 + sum(x * x >> 8 for x in stream)
    factor = math.isqrt(len(stream) << 50) // math.isqrt(squares << 12)
    return [clamp(x * factor + (1 << 17) >> 18, 127) for x in stream]


class Transformer:
    """The Transformer of a chunk."""

    def __init__(self, shape: Shape, layers: dict[str, list[Product]]) -> None:
        self.shape, self.layers = shape, layers
        # "Keys and values of the last steps, at most window of them"
        self.past: list[list[tuple[Numbers, Numbers]]] = [[] for _ in range(shape.layers)]

    def step(self, stream: Sequence[int]) -> Numbers:
        """Take a step: section 4."""
        width = self.shape.width
        for layer in range(self.shape.layers):
            totals = self.sums("attend", layer, norm(stream))
            three = [clamp(total + 512 >> 10, 127) for total in totals]
            past = [*self.past[layer], (three[width : 2 * width], three[2 * width :])]
            self.past[layer] = past[-self.shape.window :]
            found = self.attend(three[:width], self.past[layer])
            stream = self.added(stream, self.sums("merge", layer, found), 6)
            inner = [clamp(max(t >> 5, 0), 2047) for t in self.sums("widen", layer, norm(stream))]
            hidden = [min(x * x + (1 << 14) >> 15, 127) for x in inner]
            stream = self.added(stream, self.sums("narrow", layer, hidden), 5)
        return norm(stream)

    def sums(self, name: str, layer: int, inputs: Numbers) -> Numbers:
        """Return the totals of a layer's product."""
        product = self.layers[name][layer]
        return [wrap(total) for total in product.sums(inputs, 0, len(product.rows))]

    @staticmethod
    def added(stream: Sequence[int], totals: Numbers, shift: int) -> Numbers:
        """Return the stream with totals added to it."""
        return [
            clamp(x + (total + (1 << shift - 1) >> shift), 32_767)
            for x, total in zip(stream, totals, strict=True)
        ]

    def attend(self, queries: Numbers, past: list[tuple[Numbers, Numbers]]) -> Numbers:
        """Return what attention finds: section 3.2."""
        heads = self.shape.heads
        size = self.shape.width // heads
        found = []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            slope = 1 << 10 - max(1, 8 * (head + 1) // heads)
            scores = []
            for distance, (keys, _) in zip(reversed(range(len(past))), past, strict=True):
                dot = sum(q * k for q, k in zip(queries[own], keys[own], strict=True))
                scores.append((dot >> 2) - distance * slope)
            odds = [exp2(min(max(scores) - score, 32_767)) for score in scores]
            scale = (1 << 31) // sum(odds)
            shares = [odd * scale >> 16 for odd in odds]
            for unit in range(own.start, own.stop):
                total = sum(p * value[unit] for p, (_, value) in zip(shares, past, strict=True))
                found.append(clamp(total + (1 << 13) >> 14, 127))
        return found


# -------------------- subword.md


class TokenContexts:
    """The state of section 3.1, and the tokens so far."""

    def __init__(self, tokens: list[bytes]) -> None:
        self.newline = [b"\n" in token for token in tokens]
        # "a token with one of the bytes 10, 44, 9, 59 and 124 (newline , tab ; |)"
        self.separator = [any(byte in b"\n,\t;|" for byte in token) for token in tokens]
        self.line, self.line_above = 0, -1
        self.field = self.field_start = 0
        self.fields = [-1] * 512
        self.text: list[int] = []

    def before(self, n: int) -> int:
        """Return the token n places before, 0 where there is none."""
        return self.text[-n] if n <= len(self.text) else 0

    def take(self, token: int) -> None:
        """Take in a token: section 3.2."""
        self.text.append(token)
        if self.separator[token]:
            self.fields[self.field] = self.field_start
            self.field_start = len(self.text)
            self.field = min(self.field + 1, 511)
            if self.newline[token]:
                self.line_above = self.line
                self.line = len(self.text)
                self.field = 0

    def raw_keys(self) -> Numbers:
        """Return the raw keys by lane."""
        position = len(self.text)
        t1, t2, t3, t4 = (self.before(n) for n in (1, 2, 3, 4))
        column = position - self.line
        above = self.line_above + column
        up = self.text[above] if self.line_above >= 0 and above < self.line else 0
        there = self.fields[self.field] + position - self.field_start
        inside = self.fields[self.field] >= 0 and there < self.line
        up_field = self.text[there] if inside else 0
        two = t1 + (t2 << 12)
        raw = [
            0,
            t1,
            two,
            two * K1 + t3,
            two * K1 + (t3 + (t4 << 12)) * K2,
            t2 + (t3 << 12),
            min(column, 255) + (up << 8) + (t1 << 20),
            up_field + (t1 << 12) + (min(self.field, 255) << 24),
            t1 + ((t2 >> 4) << 12),
            (t1 >> 4) + ((t2 >> 4) << 8) + ((t3 >> 4) << 16),
        ]
        return [mod32(value + (20 + lane) * S) for lane, value in enumerate(raw)]


class TokenMatcher(Matcher):
    """The state of section 4."""

    shortest, longest = 2, 16


class Subword(Ngram):
    """A chunk of codec 5 while it is decoded."""

    # "The static inputs 8 to 14 are those of lanes 0, 1, 8, 2, 3, 5 and 9"
    static_lanes = (0, 1, 8, 2, 3, 5, 9)

    def __init__(self, model: SubwordModel, profile: int, content_size: int) -> None:
        super().__init__(model.tables, profile, content_size)
        self.own = model
        self.tokens = TokenContexts(model.tokens)
        self.contexts = self.tokens
        self.matcher = TokenMatcher(self.b)
        self.transformer = Transformer(model.shape, model.layers)
        self.join = Join(model.join, model.join_rate)
        self.leaving: Numbers = []

    def decode_token(self, words: Words) -> int:
        """Decode a token and take it in."""
        entering = [32 * x for x in self.own.embedding[self.tokens.before(1)]]
        self.leaving = self.transformer.step(entering)
        keys = [key_of(raw) for raw in self.tokens.raw_keys()]
        self.matcher.look(self.tokens.text, keys[2])
        token = 0
        for level in range(3):
            token = token << 4 | self.decode_symbol(words, keys, level, token)
        # "A reader MUST refuse a token that the model does not have"
        check(token < len(self.own.tokens), f"token {token}")
        self.matcher.take(token)
        self.tokens.take(token)
        return token

    def salt(self, half: int, high: int) -> int:
        """Return what is hashed beside the keys: section 3.4."""
        # "salt = 0 at level 0, 1 + prefix at level 1, 17 + prefix at level 2"
        return (0, 1, 17)[half] + high

    def expected(self, half: int, high: int) -> int | None:
        """Return the symbol that a match expects: section 4."""
        guess = self.matcher.guess
        # "If there is a guess whose branches above the level are the prefix"
        if guess is None or guess >> 12 - 4 * half != high:
            return None
        return guess >> 8 - 4 * half & 15

    def vectors(self, half: int, high: int, expected: int | None) -> Numbers:
        """Return the rows of Bytes that apply: section 5."""
        guess = self.matcher.guess
        third = self.tokens.before(3) if guess is None or expected is None else guess
        classes = (self.tokens.before(1) >> 4, self.tokens.before(2) >> 4, third >> 4)
        known = (*classes[:2], high if half else classes[2])
        return [256 * (3 * kind + half) + value for kind, value in enumerate(known)]

    def set_of(self, counts: Numbers, length: int, half: int) -> int:
        """Return the row of Sets that applies: section 5."""
        return super().set_of(counts, length, 0) // 2 * 3 + half

    def code(self, words: Words, freqs: Numbers, half: int, high: int) -> int:
        """Decode a symbol with the joint freqs: section 6."""
        totals = self.own.branches[half].sums(self.leaving, 16 * high, 16)
        corrections = [clamp(wrap(total) >> 5, 8191) for total in totals]
        return self.join.code(words, freqs, corrections, half)


def subword(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    parsed = read_subword_model(model or b"")
    check(coded[0] < len(parsed.tables.profiles), f"Profile is {coded[0]}")
    words = Words(coded[1:])
    coder = Subword(parsed, coded[0], content_size)
    content = bytearray()
    while len(content) < content_size:
        content += parsed.tokens[coder.decode_token(words)]
    # "or whose bytes go beyond Content_Size"
    check(len(content) == content_size, "the last token goes beyond the content")
    words.end()
    return bytes(content)


CODECS[5] = subword


# -------------------- model-file.md 8. Multi-scale models (kind 6)

BLEND_ARRAYS = {
    "rates": 128, "limits": 16, "blend_rates": 32, "head_rates": 2,
    "sures": 512, "bytes": 8192, "confidences": 4096,
}  # fmt: skip
MULTISCALE_SECTIONS = ["card", "below", "units", *BLEND_ARRAYS]
SET_ROWS = 2336


@dataclass(frozen=True)
class MultiscaleModel:
    """The numbers of a model of kind 6."""

    base: bytes  # the file of its n-gram model
    network: NeuralModel | None
    lanes: list[int]  # the context of each
    fine: int  # bits of a weight below 2**-16
    profiles: list[dict[str, tuple[int, ...]]]


# "Without the section `doubts` of a model it is 65,536"
ALL = 65_536


@lru_cache(maxsize=2)
def read_multiscale_model(data: bytes) -> MultiscaleModel:
    sections = read_model_sections(data, 6, MULTISCALE_SECTIONS, ["lanes", "sets"], ["doubts"])
    # "Without the section `lanes` of a model they are 0 to 7."
    own = "lanes" in sections
    lanes = list(sections["lanes"]) if own else list(range(8))
    check(1 <= len(lanes) <= 13 and max(lanes) < 16, "section lanes")
    arrays = {**BLEND_ARRAYS, **({"sets": 16 * SET_ROWS} if own else {})}
    arrays |= {"doubts": 1} if "doubts" in sections else {}
    below = file_of(sections["below"])
    n1, n2 = unpack("HH", sections["units"], "units")
    # "both 0 where the model below is of kind 2"
    network = read_neural_model(below) if (n1, n2) != (0, 0) else None
    check(network is None or network.units == (n1, n2), f"units are {n1} and {n2}")
    base = below if network is None else network.base
    count = len(read_ngram_model(base).profiles)
    profiles: list[dict[str, tuple[int, ...]]] = [{} for _ in range(count)]
    for name, size in arrays.items():
        check(len(sections[name]) == 4 * size * count, f"section {name}")
        for profile, numbers in zip(
            profiles, struct.iter_unpack(f"<{size}i", sections[name]), strict=True
        ):
            profile[name] = numbers
    for profile in profiles:
        check(all(0 <= rate <= 65_535 for rate in profile["rates"]), "section rates")
        check(max(profile["rates"][:64]) <= 32_767, "section rates")
        check(all(1 <= limit <= 63 for limit in profile["limits"]), "section limits")
        check(all(0 <= rate <= 4095 for rate in profile["blend_rates"]), "section blend_rates")
        limit, rate = profile["head_rates"]
        check(0 <= limit <= 65_536 and 0 <= rate <= 255, "section head_rates")
        check(1 <= profile.get("doubts", (ALL,))[0] <= ALL, "section doubts")
    return MultiscaleModel(base, network, lanes, 4 if own else 0, profiles)


# -------------------- multiscale.md 3. Shapes

# The table of section 3.1, in the order of kinds, from 5 on.
MARKS = ["\n", " ", "\t|", ",;", ".", ":=", "\"'`", "([{<", ")]}>", "-_/\\"]


def kind_of(byte: int) -> int:
    if 97 <= byte <= 122:
        return 1
    if 65 <= byte <= 90:
        return 2
    if 48 <= byte <= 57:
        return 3
    if byte >= 128:
        return 4
    return next((5 + n for n, marks in enumerate(MARKS) if chr(byte) in marks), 15)


class Shapes:
    """The state of section 3.2, and the histories of section 3.5."""

    def __init__(self, b: int) -> None:
        self.b = b
        self.histories: list[dict[int, int]] = [{} for _ in range(8)]
        self.kinds = self.older_kinds = self.runs = self.last_run = 0
        self.line_shape = self.marks = self.word_before = 0

    def take(self, byte: int, contexts: NgramContexts) -> None:
        """Take in a byte, before the contexts of ngram.md do: sections 3.3 and 3.5."""
        for history, place in zip(self.histories, self.places(contexts), strict=True):
            history[place] = (history.get(place, 0) << 8 | byte) & 0xFFFFFF
        kind = kind_of(byte)
        run = kind if kind <= 4 else byte + 5
        self.older_kinds = (self.older_kinds << 4 | self.kinds >> 28) & 0xFFFF
        self.kinds = (self.kinds << 4 | kind) & 0xFFFFFFFF
        if run != self.last_run or kind > 4:
            self.runs = (self.runs << 8 | run) & 0xFFFFFFFF
        self.last_run = run
        self.line_shape = 0 if byte == 10 else (self.line_shape + run + 1) * 0x1E3779B1 % 2**32
        if kind > 4:
            self.marks = (self.marks << 8 | byte) & 0xFFFFFF
            if contexts.word != 0:
                self.word_before = contexts.last_word

    def places(self, contexts: NgramContexts) -> Numbers:
        """Return the place in use of each history: section 3.5."""
        last = contexts.last
        raw = [
            last & 0xFFFF,
            last & 0xFFFFFF,
            last,
            last * K1 + (contexts.older & 0xFFFF) * K2,
            self.kinds,
            self.line_shape,
            contexts.word * K2 + contexts.last_word,
            contexts.word,
        ]
        return [key_of(mod32(number)) >> 32 - self.b for number in raw]

    def raw_keys(self, contexts: NgramContexts) -> Numbers:
        """Return the raw keys of section 3.4."""
        places = zip(self.histories, self.places(contexts), strict=True)
        keys = [
            contexts.last * K1 + contexts.older * K2,
            self.kinds * K1 + S,
            self.kinds * K1 + self.older_kinds * K2 + 2 * S,
            self.kinds * K1 + contexts.up() * K2 + 3 * S,
            self.line_shape + 4 * S,
            self.runs + 5 * S,
            contexts.word * K2 + self.marks * K1 + 6 * S,
            contexts.word * K2 + self.word_before + 7 * S,
            *(history.get(place, 0) + k * S for k, (history, place) in enumerate(places, 8)),
        ]
        return [mod32(key) for key in keys]


# -------------------- multiscale.md 4 to 7


def head_weight(weight: int, error: int, x: int, rate: int) -> int:
    return min(max(weight + (error * x * rate + 32_768 >> 16), -32_767), 32_767)


def blend_step(total: int, rate: int, fine: int) -> int:
    return (total + 1024 >> 11) * rate + (4096 >> fine) >> 13 - fine


class Head:
    """The weights of section 5: for each table and symbol one for each unit."""

    def __init__(self, units: int) -> None:
        self.weights = [[[0] * units for _ in range(16)] for _ in range(17)]

    def scores(self, table: int, out: Numbers) -> Numbers:
        """Return the scores of section 5.1."""
        sums = [
            wrap(sum(w * x for w, x in zip(row, out, strict=True))) for row in self.weights[table]
        ]
        return [min(max(total >> 12, -8191), 8191) for total in sums]

    def learn(self, table: int, out: Numbers, errors: Numbers, rate: int) -> None:
        """Move the weights of a table: section 5.2."""
        for row, error in zip(self.weights[table], errors, strict=True):
            for k, x in enumerate(out):
                row[k] = head_weight(row[k], error, x, rate)


class Multiscale(Ngram):
    """A chunk of codec 6 while it is decoded."""

    def __init__(self, model: MultiscaleModel, profile: int, content_size: int) -> None:
        super().__init__(read_ngram_model(model.base), profile, content_size)
        self.network = None if model.network is None else Network(model.network)
        self.head = Head(0 if model.network is None else model.network.units[1])
        start = model.profiles[profile]
        self.shape_rates, self.shape_limits = start["rates"], start["limits"]
        self.blend_rates, self.head_rates = start["blend_rates"], start["head_rates"]
        # "a chunk takes from its profile and changes"
        parts = ("sures", "bytes", "confidences", "sets")
        self.parts = [list(start.get(name, ())) for name in parts]
        self.lanes, self.fine = model.lanes, model.fine
        (self.doubts,) = start.get("doubts", (ALL,))
        self.shapes = Shapes(self.b)
        self.shape_keys: Numbers = []
        self.shape_tables: list[dict[int, tuple[Place, Place]]] = [{} for _ in model.lanes]
        self.wrong = 0

    def set_rows(self, counts: Numbers, half: int, high: int) -> Numbers:
        """Return the rows of sets that apply: section 6."""
        contexts, kinds = self.contexts, self.shapes.kinds
        second = contexts.last >> 8 & 0xFF
        known = sum(count > 0 for count in counts)
        column = len(contexts.text) - contexts.line
        return [
            256 + (high << 4) + (second >> 4) if half else second,
            512 + 256 * half + (kinds & 0xFF),
            1024 + 64 * half + 4 * known + min(counts[0], 4).bit_length(),
            1152 + 64 * half + min(column, 63),
            1280 + 256 * half + contexts.up(),
            1792 + 256 * half + (kinds >> 8 & 0xFF),
            2304 + 16 * half + (self.wrong >> 12),
        ]

    def code(self, words: Words, freqs: Numbers, half: int, high: int) -> int:
        """Decode a symbol with the freqs of section 6, and learn it: section 7."""
        corrections = [0] * 16
        if self.network is not None:
            network, last = self.network, self.contexts.last
            corrections = network.low(high, freqs) if half else network.high(last, freqs)
        if half == 0:
            raw = self.shapes.raw_keys(self.contexts)
            self.shape_keys = [key_of(raw[lane]) for lane in self.lanes]
        if max(freqs) < self.doubts:
            symbol = self.blend(words, freqs, corrections, half, high)
        else:
            symbol = words.decode(freqs)
        if half == 1:
            self.shapes.take(high << 4 | symbol, self.contexts)
        return symbol

    def blend(
        self, words: Words, freqs: Numbers, corrections: Numbers, half: int, high: int
    ) -> int:
        """Decode a symbol that the n-gram mixture doubts, and learn it."""
        table, out = (1 + high if half else 0), self.network.out if self.network else []
        hashes = [hash_of(key, table) for key in self.shape_keys]
        n = len(hashes)
        places = [look_up(self.shape_tables[k], hashes[k], self.b) for k in range(n)]
        counts = [place.count for place in places]
        for k, place in enumerate(places):
            place.count = min(place.count + 1, self.shape_limits[k])
        inputs = [[log2(number) - 12_288 for number in place.row] for place in places]
        inputs.append([log2(freq) - 12_288 for freq in freqs])
        scores = self.head.scores(table, out) if self.network else [0] * 16
        inputs += [corrections, scores, *([0] * 16 for _ in range(13 - n))]
        # "is the bit length of 65,536 - max(freqs), less 1"
        sure = (65_536 - max(freqs)).bit_length() - 1
        byte = self.contexts.last & 0xFF
        vectors = [16 * half + sure, 256 + (high << 4) + (byte >> 4) if half else byte]
        trust = [confidence(0, counts[j], max(inputs[j])) if j < n else 0 for j in range(16)]
        own = 16 * (8 * half + (sure >> 1))
        sures, bytes_, confidences, sets = self.parts
        rows = self.set_rows(counts, half, high) if sets else []
        at = [
            [
                (sures, 16 * vectors[0] + j),
                (bytes_, 16 * vectors[1] + j),
                (confidences, 16 * (own + trust[j]) + j),
                *((sets, 16 * row + j) for row in rows),
            ]
            for j in range(16)
        ]
        weights = [
            applied(wrap(sum(part[place] for part, place in at[j])) >> self.fine) for j in range(16)
        ]
        joint = freqs_of(inputs, weights)
        symbol = words.decode(joint)

        errors = [(65_536 if s == symbol else 0) - freq >> 2 for s, freq in enumerate(joint)]
        rate = self.blend_rates[len(self.contexts.text).bit_length()]
        for j, row in enumerate(inputs):
            total = sum(x * error for x, error in zip(row, errors, strict=True))
            step = blend_step(total, rate, self.fine)
            # "when fine is 0 or the joint freq of the symbol is below 65,408"
            if self.fine == 0 or joint[symbol] < 65_408:
                for part, index in at[j]:
                    part[index] = wrap(part[index] + step)
        self.wrong += 65_536 - joint[symbol] - self.wrong >> 4
        rates = self.shape_rates
        for place, count in zip(places, counts, strict=True):
            place.row = learnt_row(place.row, symbol, rates[count], rates[64 + count])
        if joint[symbol] < self.head_rates[0]:
            self.head.learn(table, out, errors, self.head_rates[1])
        return symbol


def multiscale(coded: bytes, content_size: int, model: bytes | None) -> bytes:
    below, text = below_and_text(model or b"")
    parsed = read_multiscale_model(below)
    check(coded[0] < len(parsed.profiles), f"Profile is {coded[0]}")
    words = Words(coded[1:])
    coder = Multiscale(parsed, coded[0], len(text) + content_size)
    coder.prime(text)
    for _ in range(content_size):
        coder.decode_byte(words)
    words.end()
    return bytes(coder.contexts.text[len(text) :])


CODECS[6] = multiscale


# -------------------- 10.1 Reading at random


def open_index(data: bytes) -> Tables:
    """Return the tables of the last Index."""
    # "Fewer bytes than a Header, an Index and a Footer need are no archive."
    check(len(data) >= 32 + 128 + 104, "too small to be an archive")
    footer = read_record(data, len(data) - 104, None)
    _, offset = check_footer(data, footer, None)
    record = read_record(data, offset, footer.tag)
    check(record.type == INDEX, f"the record at {offset} is no Index")
    return read_index(record)


class Archive:
    """An archive opened through its Index."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.index = open_index(data)
        self.tag = read_record(data, len(data) - 104, None).tag
        self.pieces: dict[int, list[tuple[Row, int]]] = {}  # entry -> pieces and places in chunks
        chunk, place = -1, 0
        for piece in self.index.pieces:
            place = 0 if piece["chunk"] != chunk else place
            chunk = piece["chunk"]
            self.pieces.setdefault(piece["entry"], []).append((piece, place))
            place += piece["size"]
        self.content = lru_cache(maxsize=8)(self.read_content)

    def read_content(self, number: int) -> bytes:
        """Return the content of a chunk."""
        row = self.index.chunks[number]
        record = read_record(self.data, row["offset"], self.tag)
        check(record.type == CHUNK, f"the record at {record.offset} is no Chunk")
        chunk = read_chunk(record)
        # "offset, stored_size, content_size, codec, model_slot, content_class, payload_checksum and
        # content_checksum MUST be those of the record, Chunk_Number the row's number"
        check(chunk.row == row and chunk.number == number, f"chunk {number} is not the Index's")
        slot = row["model_slot"]
        models = {} if slot == NO_SLOT else {slot: self.read_model(slot)}
        return decode_chunk(chunk, models)

    def read_model(self, slot: int) -> Model:
        """Return the model in a slot."""
        record = read_record(self.data, self.index.models[slot]["offset"], self.tag)
        check(record.type == MODEL, f"the record at {record.offset} is no Model")
        model = read_model(record)
        agrees = model.slot == slot and model.row == self.index.models[slot]
        check(agrees, f"the model in slot {slot} is not the Index's")
        return model

    def read(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield (position, bytes) of the pieces of a member."""
        for piece, place in self.pieces.get(number, []):
            content = self.content(piece["chunk"])
            yield piece["position"], content[place : place + piece["size"]]


# -------------------- 10.2 Reading in one pass


class Pass:
    """Reads an archive from its first byte to its last, and collects what an Index would say."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables = Tables()
        self.models: dict[int, Model] = {}
        self.names = Names()
        self.group: Group | None = None
        self.lines: list[int] = []  # bytes 0a of each piece
        self.cut: dict[int, int] = {}  # member -> its last piece, if that does not end with 0a
        self.waiting: list[Row] = []  # pieces of the group whose chunk has not come
        self.open: dict[int, tuple[Any, int]] = {}  # entry -> SHA-256 so far, position
        self.features, self.tag = read_header(data)
        self.index: Tables | None = None
        self.run()

    def run(self) -> None:
        """Read all records."""
        offset, index = 32, None
        kind = 0
        while offset < len(self.data):
            # "Every record starts where the one before ends; there are no gaps, no padding and no
            # trailing bytes."
            record = read_record(self.data, offset, self.tag)
            kind = record.type
            check((index is not None) == (kind == FOOTER), "an Index stands without its Footer")
            if kind == ENTRIES:
                self.begin_group(read_entries(record))
            elif kind == CHUNK:
                self.take_chunk(read_chunk(record))
            elif kind == MODEL:
                self.take_model(read_model(record))
            elif kind == INDEX:
                self.end_group()
                check(not self.open, "an entry is open at an Index")
                index = record
            else:
                _, place = check_footer(self.data, record, self.features)
                check(index is not None and place == index.offset, "a Footer points elsewhere")
                self.index = read_index(index) if index else None
                # "its counts are those of what came before"
                same = self.index is not None and self.index.counts == self.tables.counts
                check(same, "the counts of an Index are not those of what came before it")
                index = None
            offset += record.size
        # "The last record MUST be a Footer, the record before it MUST be the Index that it points
        # to."
        check(kind == FOOTER, "the archive does not end with a Footer")

    def take_model(self, model: Model) -> None:
        """Check a Model record against those before it."""
        check(model.slot == len(self.models), f"slot {model.slot} is out of order")
        self.models[model.slot] = model
        self.tables.models.append(model.row)

    def begin_group(self, group: Group) -> None:
        """Check an Entries record against all before it."""
        self.end_group()
        tables = self.tables
        # "the count of all entries before"
        check(group.first_entry == len(tables.entries), f"First_Entry is {group.first_entry}")
        check(group.first_chunk == len(tables.chunks), f"First_Chunk is {group.first_chunk}")
        ended = [row["entry"] for row in group.ends]
        ascending = all(a < b for a, b in pairwise(ended))
        check(ascending, "the rows of ends are not in order")
        self.group = group
        for number, row in enumerate(group.begun, group.first_entry):
            check_begin(row, self.names)
            tables.entries.append({**row, **NOT_ENDED})
            self.open[number] = (hashlib.sha256(), 0)
        for piece in group.pieces:
            # "A row of pieces names only chunks of this group, and only entries that begin in this
            # group or the one that the group before left open."
            inside = group.first_chunk <= piece["chunk"] < group.first_chunk + group.chunk_count
            check(inside and piece["entry"] in self.open, "a piece names what is not in its group")
        tables.pieces.extend(group.pieces)
        self.waiting = list(group.pieces)
        for row in group.ends:
            check(row["entry"] in self.open, f"entry {row['entry']} ends without having begun")
            tables.entries[row["entry"]] |= {key: row[key] for key in ("flags", "size", "sha256")}

    def take_chunk(self, chunk: Chunk) -> None:
        """Decode a chunk and give its content to the members."""
        group, number = self.group, len(self.tables.chunks)
        # "Exactly Chunk_Count Chunk records follow before the next Entries or Index record"
        inside = group is not None and number < group.first_chunk + group.chunk_count
        check(inside, f"chunk {number} belongs to no group")
        # "Chunks are numbered 0, 1, 2 and so on in file order, through all sections."
        check(chunk.number == number, f"Chunk_Number is {chunk.number}, not {number}")
        self.tables.chunks.append(chunk.row)
        content = decode_chunk(chunk, self.models)
        place = 0
        while self.waiting and self.waiting[0]["chunk"] == number:
            piece = self.waiting.pop(0)
            digest, position = self.open[piece["entry"]]
            check(piece["size"] >= 1 and position <= piece["position"], "a piece overlaps another")
            feed_zeros(digest, piece["position"] - position)
            data = content[place : place + piece["size"]]
            digest.update(data)
            self.cut.pop(piece["entry"], None)
            if not data.endswith(b"\n"):
                self.cut[piece["entry"]] = len(self.lines)
            self.lines.append(data.count(b"\n"))
            place += piece["size"]
            self.open[piece["entry"]] = (digest, piece["position"] + piece["size"])
        check(place == len(content), f"the pieces of chunk {number} are not its content")

    def end_group(self) -> None:
        """Check that the group before is whole, and the members that end in it."""
        group, self.group = self.group, None
        if group is None:
            return
        tables = self.tables
        count = len(tables.chunks) - group.first_chunk
        check(count == group.chunk_count, f"a group has {count} chunks, not {group.chunk_count}")
        check(not self.waiting, "a piece names a chunk out of order")
        content = sum(row["content_size"] for row in tables.chunks[group.first_chunk :])
        # "A group holds at most 16 MiB of content in its chunks."
        check(content <= 16 * MIB, f"a group holds {content} bytes of content")
        for row in group.ends:
            entry = tables.entries[row["entry"]]
            digest, position = self.open.pop(row["entry"])
            check(position <= entry["size"] < 1 << 63, f"size of {entry['path']!r}")
            if entry["type"] == FILE:
                feed_zeros(digest, entry["size"] - position)
                good = digest.digest() == entry["sha256"]
                check(good, f"SHA-256 of {entry['path']!r} differs")
        # "At the end of a group only the last entry begun may be open."
        last = len(tables.entries) - 1
        check(set(self.open) <= {last}, "an entry is open at the end of its group")
        check(all(tables.entries[n]["type"] == FILE for n in self.open), "a directory stays open")


def feed_zeros(digest: Any, size: int) -> None:
    """Hash a hole."""
    while size > 0:
        digest.update(bytes(min(size, MIB)))
        size -= MIB


# -------------------- 10.3 Verifying


def verify(data: bytes) -> Tables:
    """Check everything that the page demands; return the Index."""
    index = open_index(data)
    told = Pass(data)
    check_rows(told.tables)
    # "Its rows MUST say the same as the Entries, Chunk and Model records before it"
    for name in ("entries", "chunks", "pieces", "models"):
        check(getattr(index, name) == getattr(told.tables, name), f"{name} of the Index differ")
    for last in told.cut.values():
        told.lines[last] += 1
    check_line_indexes(told.models, told.tables, told.lines)
    return index


# -------------------- 11. Recovery


@dataclass
class Scan:
    """What a scan finds without the Index."""

    entries: dict[int, Row] = field(default_factory=dict)
    ends: dict[int, Row] = field(default_factory=dict)
    pieces: dict[int, list[tuple[Row, int]]] = field(default_factory=dict)
    chunks: dict[int, Chunk] = field(default_factory=dict)
    models: dict[int, Model] = field(default_factory=dict)

    def read(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield (position, bytes) of the pieces of a member; refuse if one is not intact."""
        for piece, place in self.pieces.get(number, []):
            check(piece["chunk"] in self.chunks, f"chunk {piece['chunk']} is missing")
            content = decode_chunk(self.chunks[piece["chunk"]], self.models)
            yield piece["position"], content[place : place + piece["size"]]


def find_records(data: bytes) -> Iterator[Record]:
    """Yield all intact records that have the archive's tag."""
    found: list[Record] = []
    offset = data.find(RECORD_MAGIC)
    while offset >= 0:
        try:
            _, _, size, _ = read_record_header(data, offset, None)
            following = offset + 32 + size
            lands = following == len(data) or data[following : following + 4] == RECORD_MAGIC
        except RefusedError:
            offset = data.find(RECORD_MAGIC, offset + 1)
            continue
        try:
            found.append(read_record(data, offset, None))
        except RefusedError as error:
            print(f"damaged: {error}", file=sys.stderr)
        offset = data.find(RECORD_MAGIC, following if lands else offset + 1)
    try:
        _, tag = read_header(data)
    except RefusedError:
        # "takes the Archive_Tag from the Header, the Footer, or, when both are lost, from most of
        # the records"
        footers = [record for record in found if record.type == FOOTER]
        tags = Counter(record.tag for record in found)
        tag = footers[-1].tag if footers else tags.most_common(1)[0][0] if tags else 0
    return (record for record in found if record.tag == tag)


def scan(data: bytes) -> Scan:
    """Collect entries, pieces, chunks and models of all intact records but Index and Footer."""
    result = Scan()
    for record in find_records(data):
        try:
            if record.type == ENTRIES:
                take_entries(result, read_entries(record))
            elif record.type == CHUNK:
                chunk = read_chunk(record)
                result.chunks.setdefault(chunk.number, chunk)
            elif record.type == MODEL:
                model = read_model(record)
                result.models.setdefault(model.slot, model)
        except RefusedError as error:
            print(f"damaged: {error}", file=sys.stderr)
    return result


def take_entries(result: Scan, group: Group) -> None:
    for number, row in enumerate(group.begun, group.first_entry):
        result.entries.setdefault(number, row)
    for row in group.ends:
        result.ends.setdefault(row["entry"], row)
    chunk, place = -1, 0
    for piece in group.pieces:
        place = 0 if piece["chunk"] != chunk else place
        chunk = piece["chunk"]
        result.pieces.setdefault(piece["entry"], []).append((piece, place))
        place += piece["size"]


def recover(data: bytes, target: bytes) -> int:
    """Extract every member that is intact; return how many are not."""
    found = scan(data)
    lost = 0
    intact: list[tuple[int, Row]] = []
    names = Names()
    for number, begun in sorted(found.entries.items()):
        entry = {**begun, **found.ends.get(number, NOT_ENDED)}
        try:
            check(number in found.ends, f"the end of {begun['path']!r} is missing")
            if entry["type"] == FILE:
                check_content(entry, found.read(number))
            # "Recovered names obey section 7.5, all of it"
            check_entry(entry, names)
            intact.append((number, entry))
        except RefusedError as error:
            print(f"not intact: {begun['path']!r}: {error}", file=sys.stderr)
            lost += 1
    extract(intact, found.read, target)
    return lost


def check_content(entry: Row, pieces: Iterator[tuple[int, bytes]]) -> None:
    """Check size, holes and SHA-256 of a member."""
    digest, end, covered = hashlib.sha256(), 0, 0
    for position, content in pieces:
        check(end <= position, f"pieces of {entry['path']!r} overlap")
        feed_zeros(digest, position - end)
        digest.update(content)
        end = position + len(content)
        covered += len(content)
    check(end <= entry["size"], f"pieces of {entry['path']!r} go beyond its size")
    check(covered == entry["size"] or entry["flags"] & SPARSE, f"{entry['path']!r} has a hole")
    feed_zeros(digest, entry["size"] - end)
    check(digest.digest() == entry["sha256"], f"SHA-256 of {entry['path']!r} differs")


# -------------------- 14. Extracting


def extract(
    entries: list[tuple[int, Row]],
    read: Callable[[int], Iterator[tuple[int, bytes]]],
    target: bytes,
) -> None:
    """Write members into `target`, which is new or empty, so that every path in it is our own.

    The names have been checked. Links come last, so nothing is written through one.
    """
    os.makedirs(target, exist_ok=True)
    if os.listdir(target):
        raise RefusedError(f"{os.fsdecode(target)} is not empty")
    order = {DIRECTORY: 0, FILE: 1, HARDLINK: 2, SYMLINK: 3}
    for number, entry in sorted(entries, key=lambda item: (order[item[1]["type"]], item[0])):
        path = os.path.join(target, entry["path"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if entry["type"] == DIRECTORY:
            os.makedirs(path, exist_ok=True)
        elif entry["type"] == FILE:
            with open(path, "xb") as output:
                for position, content in read(number):
                    output.seek(position)
                    output.write(content)
                output.truncate(entry["size"])
        elif entry["type"] == HARDLINK:
            source = os.path.join(target, entry["link_target"])
            os.link(source, path, follow_symlinks=False)
        else:
            # "A reader MUST NOT interpret it other than to make a symbolic link."
            os.symlink(entry["link_target"], path)
    for _, entry in sorted(entries, key=lambda item: item[1]["path"], reverse=True):
        if entry["type"] != HARDLINK:
            set_metadata(os.path.join(target, entry["path"]), entry)


def set_metadata(path: bytes, entry: Row) -> None:
    for key, value in entry["xattrs"]:
        try:
            os.setxattr(path, key, value, follow_symlinks=False)
        except OSError as error:
            print(f"xattr {key!r} of {entry['path']!r}: {error}", file=sys.stderr)
    if entry["type"] != SYMLINK:
        os.chmod(path, entry["mode"] & 0o777)
    os.utime(path, ns=(entry["mtime"], entry["mtime"]), follow_symlinks=False)


# -------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description="Extract an lmarc archive by the specification.")
    parser.add_argument("archive")
    parser.add_argument("directory", help="new or empty")
    parser.add_argument("--scan", action="store_true", help="ignore the Index, take what is intact")
    parser.add_argument("--max-size", type=int, default=GIB << 6, help="of all members, in bytes")
    parser.add_argument("--model", action="append", default=[], help="a file; may be repeated")
    options = parser.parse_args(arguments)
    target = os.fsencode(options.directory)
    try:
        for path in options.model:
            with open(path, "rb") as file:
                model = file.read()
            TRUSTED[hashlib.sha256(model).digest()] = model
        with open(options.archive, "rb") as file:
            data = file.read()
        if options.scan:
            return 1 if recover(data, target) else 0
        index = open_index(data)
        total = sum(entry["size"] for entry in index.entries)
        check(total <= options.max_size, f"the members have {total} bytes, see --max-size")
        verify(data)
        archive = Archive(data)
        extract(list(enumerate(archive.index.entries)), archive.read, target)
    except RefusedError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
