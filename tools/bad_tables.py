"""The unlawful archives whose fault is in a table: its frame, its stream, its rows."""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import zstandard

from tools.bad_records import (
    CORRUPT,
    LIMIT,
    MAX,
    MIB,
    Make,
    one,
    orphaned_index,
    unsized,
    zeros_frame,
)
from tools.craft import (
    BEGIN_SCHEMA,
    DIRECTORY,
    ENTRIES_SCHEMA,
    GROUP_SCHEMAS,
    HARDLINK,
    INDEX_SCHEMAS,
    SPARSE,
    SYMLINK,
    ZSTD,
    Builder,
    Chunk,
    End,
    Entry,
    Piece,
    file,
    frame,
    simple,
    stream,
)


def with_entries(*entries: Entry) -> bytes:
    """Return an archive of these entries, without content."""
    return simple(entries).finish()


def with_pieces(
    *pieces: tuple[int, int, int, int],
    chunks: tuple[int, ...] = (3,),
    sizes: tuple[int, ...] = (3,),
    flags: int = 0,
    types: tuple[int, ...] = (),
) -> bytes:
    """Return an archive of stored chunks and files of these sizes, and these pieces."""
    begun = [file(b"%d" % n, b"x" * size, flags=flags) for n, size in enumerate(sizes)]
    for entry, kind in zip(begun, types, strict=False):
        entry.type = kind
    builder = Builder()
    builder.group(begun, [Chunk(b"x" * n) for n in chunks], [Piece(*piece) for piece in pieces])
    return builder.finish()


def with_table(*, group: bool = False, number: int = 0, table: Any) -> bytes:
    """Return an archive without members, one of whose tables is `table`."""
    builder = Builder()
    schemas = GROUP_SCHEMAS if group else INDEX_SCHEMAS
    tables: list[Any] = [stream(schema, []) for schema in schemas]
    tables[number] = table
    if group:
        builder.group([], tables=tables)
        builder.index()
    else:
        builder.index(tables=tables)
    return builder.seal()


def retold(change: Callable[[Builder], object]) -> bytes:
    """Return an archive whose Index differs from the records before it by `change`."""
    builder = Builder()
    builder.model(b"dictionary", 1)
    builder.group(
        [file(b"a", b"abc"), file(b"b", b"xyz")],
        [Chunk(b"abc"), Chunk(b"xyz")],
        [Piece(0, 0, 0, 3), Piece(1, 1, 0, 3)],
    )
    builder.entries = [dataclasses.replace(entry) for entry in builder.entries]
    builder.pieces = [dataclasses.replace(piece) for piece in builder.pieces]
    change(builder)
    return builder.finish()


def ended(*ends: End, begun: int = 1, index: bool = True) -> bytes:
    """Return an archive of `begun` empty files whose first group ends so."""
    builder = Builder()
    builder.group([file(b"%d" % number) for number in range(begun)], ends=ends)
    return builder.finish() if index else builder.seal()


def end(entry: int, **fields: Any) -> End:
    """Return the end of an empty file."""
    return End(entry, 0, 0, fields.get("sha256", file(b"").sha256))


def oversized_group() -> bytes:
    """Return a group of more than 16 MiB."""
    content = bytes(9 * MIB)
    builder = Builder()
    members = [file(b"a", content), file(b"b", content)]
    pieces = [Piece(0, 0, 0, len(content)), Piece(1, 1, 0, len(content))]
    builder.group(members, [Chunk(content, ZSTD), Chunk(content, ZSTD)], pieces)
    return builder.finish()


def two_open() -> bytes:
    """Return a group that leaves two entries open."""
    builder = Builder()
    builder.group([file(b"a"), file(b"b")], ends=[])
    builder.group([], ends=[end(0), end(1)])
    return builder.finish()


def open_directory() -> bytes:
    """Return a group that leaves a directory open."""
    builder = Builder()
    builder.group([Entry(b"a", DIRECTORY)], ends=[])
    builder.group([], ends=[End(0, 0, 0, bytes(32))])
    return builder.finish()


def ended_twice() -> bytes:
    """Return two groups that both end the same entry."""
    builder = Builder()
    builder.group([file(b"a")])
    builder.group([], ends=[end(0)])
    return builder.finish()


def forgetful_index() -> bytes:
    """Return an archive whose older Index lacks a member."""
    builder = simple([Entry(b"a"), Entry(b"b")])
    last = builder.entries.pop()
    builder.index()
    builder.entries.append(last)
    builder.group([file(b"c")])
    return builder.finish()


def stranger_piece() -> bytes:
    """Return a group whose piece is of a member that an earlier group has ended."""
    builder = Builder()
    builder.group([file(b"a", b"xyz", flags=SPARSE)], ends=[end(0)])
    builder.group([], [Chunk(b"xyz")], [Piece(0, 0, 0, 3)])
    builder.entries[0].size = 3
    return builder.finish()


def no_nulls(nulls: bool) -> bytes:
    """Return a stream of models whose `kind` is nullable and, perhaps, null."""
    fields = [column.with_nullable(column.name == "kind") for column in INDEX_SCHEMAS[3]]
    columns = [pa.array([1], column.type) for column in fields if column.name != "sha256"]
    columns.insert(2, pa.array([bytes(32)], pa.binary(32)))
    if nulls:
        columns[0] = pa.array([None], pa.uint8())
    sink = pa.BufferOutputStream()
    schema = pa.schema(fields) if not nulls else INDEX_SCHEMAS[3]
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def wild_offsets() -> bytes:
    """Return a stream of entries whose offsets into the paths reach beyond them."""
    rows = stream(BEGIN_SCHEMA, [Entry(b"P" * 4001)])
    place = rows.rindex(struct.pack("<ii", 0, 4001))
    return rows[:place] + struct.pack("<ii", 0, 1 << 30) + rows[place + 8 :]


def old_metadata() -> bytes:
    """Return a stream of metadata version V4."""
    return stream(ENTRIES_SCHEMA, [], metadata_version=pa.ipc.MetadataVersion.V4)


NO_ENTRIES = stream(ENTRIES_SCHEMA, [])


X255 = b"x" * 255


TABLES: dict[str, tuple[str, Make]] = {
    "table-sizes": (CORRUPT, lambda: one().finish(extra=b"x")),
    "table-too-large": (LIMIT, lambda: with_table(table=(zstandard.compress(NO_ENTRIES), 1 << 33))),
    "table-of-entries-too-large": (
        LIMIT,
        lambda: with_table(group=True, table=(zeros_frame(1 << 17, times=640), 80 * MIB)),
    ),
    "table-ratio": (LIMIT, lambda: with_table(table=(zstandard.compress(NO_ENTRIES), 1 << 21))),
    "table-bomb": (CORRUPT, lambda: with_table(table=(unsized(NO_ENTRIES + bytes(MIB)), 1000))),
    "table-shorter": (CORRUPT, lambda: with_table(table=(unsized(NO_ENTRIES), 2000))),
    "table-two-frames": (
        CORRUPT,
        lambda: with_table(table=(unsized(NO_ENTRIES) + unsized(b""), len(NO_ENTRIES))),
    ),
    "table-window": (
        LIMIT,
        lambda: with_table(table=(frame(NO_ENTRIES, window_log=28), len(NO_ENTRIES))),
    ),
    "arrow-column-order": (CORRUPT, lambda: with_table(table=stream(reversed_schema(), []))),
    "arrow-column-type": (CORRUPT, lambda: with_table(table=stream(retyped_schema(), []))),
    "arrow-nullable": (CORRUPT, lambda: with_table(number=3, table=no_nulls(nulls=False))),
    "arrow-null": (CORRUPT, lambda: with_table(number=3, table=no_nulls(nulls=True))),
    "arrow-metadata": (
        CORRUPT,
        lambda: with_table(table=stream(ENTRIES_SCHEMA.with_metadata({"a": "b"}), [])),
    ),
    "arrow-body-compression": (
        CORRUPT,
        lambda: with_table(
            group=True, table=stream(BEGIN_SCHEMA, [Entry(b"a" * 99)], compression="zstd")
        ),
    ),
    "arrow-trailing-bytes": (CORRUPT, lambda: with_table(table=NO_ENTRIES + bytes(8))),
    "arrow-without-end": (CORRUPT, lambda: with_table(table=NO_ENTRIES[:-8])),
    "arrow-offsets": (CORRUPT, lambda: with_table(group=True, table=wild_offsets())),
    "arrow-old-metadata": (CORRUPT, lambda: with_table(table=old_metadata())),
    "arrow-damaged": (CORRUPT, lambda: with_table(table=b"\xff" * 4 + b"\x7f" * 400)),
}


def reversed_schema() -> pa.Schema:
    """Return the columns of entries, the last first."""
    return pa.schema(list(ENTRIES_SCHEMA)[::-1])


def retyped_schema() -> pa.Schema:
    """Return the columns of entries with a large mode."""
    return ENTRIES_SCHEMA.set(3, pa.field("mode", pa.uint32(), nullable=False))


def renumbered(**fields: Any) -> bytes:
    """Return an archive whose Entries record has `fields`."""
    builder = Builder()
    builder.group([file(b"a", b"abc")], [Chunk(b"abc")], [Piece(0, 0, 0, 3)], **fields)
    return builder.finish()


def recounted(**counts: Any) -> bytes:
    """Return an archive whose Index has `counts`."""
    builder = one()
    builder.index(**counts)
    return builder.seal()


def move(number: int, **fields: Any) -> Callable[[Builder], object]:
    """Return what changes a row of the chunks."""

    def change(builder: Builder) -> None:
        builder.chunks[number] = dataclasses.replace(builder.chunks[number], **fields)

    return change


GROUPS: dict[str, tuple[str, Make]] = {
    "group-first-entry": (CORRUPT, lambda: renumbered(first_entry=1)),
    "group-first-chunk": (CORRUPT, lambda: renumbered(first_chunk=1)),
    "group-too-large": (LIMIT, oversized_group),
    "group-foreign-chunk": (CORRUPT, lambda: with_pieces((0, 1, 0, 3))),
    "group-foreign-entry": (CORRUPT, stranger_piece),
    "ends-order": (CORRUPT, lambda: ended(end(1), end(0), begun=2)),
    "ends-twice": (CORRUPT, lambda: ended(end(0), end(0))),
    "ends-again": (CORRUPT, ended_twice),
    "ends-unknown": (CORRUPT, lambda: ended(end(0), end(1))),
    "open-at-index": (CORRUPT, lambda: ended(end(0), begun=2)),
    "open-two": (CORRUPT, two_open),
    "open-directory": (CORRUPT, open_directory),
    "sha256": (CORRUPT, lambda: ended(end(0, sha256=b"\1" * 32))),
    "sha256-in-both": (CORRUPT, lambda: with_entries(file(b"a", sha256=b"\1" * 32))),
    "index-counts": (CORRUPT, lambda: recounted(entry_count=2)),
    "index-without-footer": (CORRUPT, orphaned_index),
    "index-older-differs": (CORRUPT, forgetful_index),
    "index-other-name": (CORRUPT, lambda: retold(lambda b: setattr(b.entries[0], "path", b"c"))),
    "index-other-mode": (CORRUPT, lambda: retold(lambda b: setattr(b.entries[0], "mode", 0))),
    "index-other-order": (CORRUPT, lambda: retold(lambda b: b.entries.reverse())),
    "index-extra-entry": (CORRUPT, lambda: retold(lambda b: b.entries.append(file(b"c")))),
    "index-other-piece": (CORRUPT, lambda: retold(lambda b: setattr(b.pieces[0], "entry", 1))),
    "index-model": (CORRUPT, lambda: retold(lambda b: setattr(b.models[0], "sha256", bytes(32)))),
    "index-chunk-order": (CORRUPT, lambda: retold(lambda b: b.chunks.reverse())),
    "index-chunk-offset": (CORRUPT, lambda: retold(move(0, offset=33))),
    "index-chunk-beyond": (CORRUPT, lambda: retold(move(1, offset=1 << 62))),
    "index-chunk-negative": (CORRUPT, lambda: retold(move(1, offset=MAX - 62))),
    "index-chunks-overlap": (CORRUPT, lambda: retold(overlap)),
    "index-chunk-size": (CORRUPT, lambda: retold(move(0, stored_size=1 << 63))),
    "index-chunk-content-size": (CORRUPT, lambda: retold(move(0, content_size=MAX))),
    "index-chunk-codec": (CORRUPT, lambda: retold(move(0, codec=1))),
    "index-chunk-class": (CORRUPT, lambda: retold(move(0, content_class=1))),
    "index-chunk-checksum": (CORRUPT, lambda: retold(move(0, content_checksum=1))),
    "piece-empty": (CORRUPT, lambda: with_pieces((0, 0, 0, 3), (0, 0, 3, 0))),
    "piece-too-short": (CORRUPT, lambda: with_pieces((0, 0, 0, 2), sizes=(2,))),
    "piece-too-long": (CORRUPT, lambda: with_pieces((0, 0, 0, 4), sizes=(4,))),
    "piece-beyond-member": (CORRUPT, lambda: with_pieces((0, 0, 0, 3), sizes=(2,))),
    "piece-hole": (CORRUPT, lambda: with_pieces((0, 0, 1, 3), sizes=(4,))),
    "piece-overlap": (
        CORRUPT,
        lambda: with_pieces((0, 0, 0, 2), (0, 0, 1, 1), sizes=(3,), flags=SPARSE),
    ),
    "piece-order": (
        CORRUPT,
        lambda: with_pieces((0, 0, 3, 3), (0, 1, 0, 3), chunks=(3, 3), sizes=(6,)),
    ),
    "piece-overflow": (
        CORRUPT,
        lambda: with_pieces((0, 0, MAX - 1, 3), sizes=(3,), flags=SPARSE),
    ),
    "piece-of-nothing": (CORRUPT, lambda: with_pieces((9, 0, 0, 3))),
    "piece-of-directory": (CORRUPT, lambda: with_pieces((0, 0, 0, 3), types=(DIRECTORY,))),
    "piece-skips-chunk": (
        CORRUPT,
        lambda: with_pieces((0, 0, 0, 3), chunks=(3, 3)),
    ),
}


def overlap(builder: Builder) -> None:
    """Let both chunks of the Index be the first."""
    builder.chunks[1] = builder.chunks[0]


def noise(seed: int) -> bytes:
    """Return nearly 64 KiB that do not compress too well."""
    return random.Random(seed).randbytes(65) * 1008


def entry_cases() -> dict[str, tuple[str, Make]]:
    """Return the cases of names and metadata, each an archive of a few entries."""
    cases: dict[str, tuple[Entry, ...]] = {
        "name-empty": (Entry(b""),),
        "name-absolute": (Entry(b"/etc/passwd"),),
        "name-parent": (Entry(b"../a"),),
        "name-parent-inside": (Entry(b"a/../../b"),),
        "name-dot": (Entry(b"./a"),),
        "name-empty-component": (Entry(b"a//b"),),
        "name-trailing-slash": (Entry(b"a/", DIRECTORY),),
        "name-nul": (Entry(b"a\0b"),),
        "name-too-long": (Entry(b"/".join([b"x" * 240] * 18)),),
        "name-component-too-long": (Entry(b"a/" + X255 + b"x"),),
        "name-twice": (Entry(b"a"), Entry(b"a")),
        "name-twice-file-and-link": (Entry(b"a", SYMLINK, link_target=b"/"), Entry(b"a")),
        "name-below-file": (Entry(b"a"), Entry(b"a/b")),
        "name-below-symlink": (Entry(b"a", SYMLINK, link_target=b"/tmp"), Entry(b"a/b")),
        "name-above-is-later": (Entry(b"a/b"), Entry(b"a", SYMLINK, link_target=b"/tmp")),
        "type-zero": (Entry(b"a", 0),),
        "type-unknown": (Entry(b"a", 5),),
        "mode": (Entry(b"a", mode=0o10000),),
        "uid-negative": (Entry(b"a", uid=-2),),
        "gid-too-large": (Entry(b"a", gid=(1 << 32) - 1),),
        "user-too-long": (Entry(b"a", user=X255 + b"x"),),
        "group-nul": (Entry(b"a", group=b"a\0"),),
        "link-target-of-file": (Entry(b"a", link_target=b"b"),),
        "symlink-without-target": (Entry(b"a", SYMLINK),),
        "symlink-nul": (Entry(b"a", SYMLINK, link_target=b"a\0b"),),
        "symlink-too-long": (Entry(b"a", SYMLINK, link_target=b"x" * 4097),),
        "hardlink-to-nothing": (Entry(b"a", HARDLINK, link_target=b"b"),),
        "hardlink-outside": (Entry(b"a", HARDLINK, link_target=b"/etc/passwd"),),
        "hardlink-to-later": (Entry(b"a", HARDLINK, link_target=b"b"), Entry(b"b")),
        "hardlink-to-directory": (
            Entry(b"a", DIRECTORY),
            Entry(b"b", HARDLINK, link_target=b"a"),
        ),
        "hardlink-to-symlink": (
            Entry(b"a", SYMLINK, link_target=b"/etc/passwd"),
            Entry(b"b", HARDLINK, link_target=b"a"),
        ),
        "hardlink-to-hardlink": (
            Entry(b"a"),
            Entry(b"b", HARDLINK, link_target=b"a"),
            Entry(b"c", HARDLINK, link_target=b"b"),
        ),
        "flags-reserved": (Entry(b"a", flags=4),),
        "flags-of-directory": (Entry(b"a", DIRECTORY, flags=1),),
        "size-of-directory": (Entry(b"a", DIRECTORY, size=1),),
        "size-negative": (Entry(b"a", flags=SPARSE, size=1 << 63, sha256=b"\1" * 32),),
        "sha256-of-symlink": (Entry(b"a", SYMLINK, link_target=b"b", sha256=b"\1" * 32),),
        "xattr-order": (Entry(b"a", xattrs=[(b"b", b""), (b"a", b"")]),),
        "xattr-twice": (Entry(b"a", xattrs=[(b"a", b""), (b"a", b"")]),),
        "xattr-empty-key": (Entry(b"a", xattrs=[(b"", b"")]),),
        "xattr-nul": (Entry(b"a", xattrs=[(b"a\0", b"")]),),
        "xattr-key-too-long": (Entry(b"a", xattrs=[(X255 + b"x", b"")]),),
        "xattr-value-too-large": (Entry(b"a", xattrs=[(b"a", bytes(65_537))]),),
        "xattrs-too-large": (Entry(b"a", xattrs=[(b"%02d" % n, noise(n)) for n in range(17)]),),
    }

    def case(entries: tuple[Entry, ...]) -> tuple[str, Make]:
        return CORRUPT, lambda: with_entries(*(dataclasses.replace(entry) for entry in entries))

    made = {name: case(entries) for name, entries in cases.items()}
    for name in (
        "user-too-long",
        "symlink-too-long",
        "xattr-key-too-long",
        "xattr-value-too-large",
        "xattrs-too-large",
    ):
        made[name] = (LIMIT, made[name][1])
    return made
