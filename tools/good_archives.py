"""The lawful archives of `fixtures/v1`, each for one part of the format."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import zstandard

from tools.craft import (
    CHANGED_WHILE_READ,
    DIRECTORY,
    ENTRIES_SCHEMA,
    HARDLINK,
    INDEX_SCHEMAS,
    LINE_INDEX,
    SPARSE,
    SYMLINK,
    ZSTD,
    ZSTD_DICTIONARY,
    Builder,
    Chunk,
    End,
    Entry,
    Piece,
    file,
    frame,
    pack_line_index,
    simple,
    stream,
)

SECOND = 10**9  # ns
TEXT = "a stream of small words that come again and again in lines of a file without end"
WORDS = TEXT.split()


def text(seed: int, size: int) -> bytes:
    """Return words that compress, the same for the same seed."""
    choose = random.Random(seed)
    words = " ".join(choose.choice(WORDS) for _ in range(size // 3 + 1))
    return words.encode()[:size]


def one_group(*members: tuple[Entry, bytes], codec: int = ZSTD, content_class: int = 1) -> Builder:
    """Return a builder with all members in one chunk."""
    builder = simple(members)
    content = b"".join(data for _, data in members)
    once = Builder()
    chunks = [Chunk(content, codec, content_class=content_class)] if content else []
    once.group(builder.entries, chunks, builder.pieces)
    return once


def empty() -> bytes:
    """No record but Index and Footer."""
    return Builder().finish()


def one_member() -> bytes:
    """The worked example of the specification."""
    member = Entry(b"a.txt", mtime=1_700_000_000 * SECOND)
    return one_group((member, b"abc"), codec=0).finish()


def all_types() -> bytes:
    """Every type of entry, an empty file, and a file that changed while it was read."""
    return one_group(
        (Entry(b"folder", DIRECTORY, mode=0o750, mtime=5 * SECOND), b""),
        (Entry(b"folder/empty"), b""),
        (Entry(b"folder/file", mode=0o600, mtime=1_234_567_890_123_456_789), text(1, 500)),
        (Entry(b"folder/hard", HARDLINK, link_target=b"folder/file"), b""),
        (Entry(b"folder/soft", SYMLINK, mode=0o777, link_target=b"../elsewhere"), b""),
        (Entry(b"moving", flags=CHANGED_WHILE_READ), b"half"),
    ).finish()


def metadata() -> bytes:
    """Owners, permissions and times up to their limits, and extended attributes."""
    attributes = [(b"user.a", b""), (b"user.b", bytes(range(256))), (b"user.\xff", b"x")]
    return one_group(
        (Entry(b"nobody", mode=0o7777, mtime=-1, uid=4_294_967_294, gid=0), b"1"),
        (Entry(b"old", mode=0, mtime=-(1 << 63), user=b"\xffname", group=b"g" * 255), b"2"),
        (Entry(b"new", mtime=(1 << 63) - 1, uid=0, gid=1000, xattrs=attributes), b"3"),
        (Entry(b"directory", DIRECTORY, xattrs=attributes[:1]), b""),
        (Entry(b"link", SYMLINK, link_target=b"\xff" * 4000, uid=7), b""),
        codec=0,
    ).finish()


def names() -> bytes:
    """Names that are lawful and awkward."""
    awkward = [
        b"\xff\xfe not UTF-8 \x80",
        b"new\nline",
        b"-rf",
        b" ",
        b"...",
        b"..a/b..",
        b"back\\slash",
        b"C:",
        b"CON",
        b"case",
        b"CASE",
        b"\xc3\xa9 composed",
        b"e\xcc\x81 decomposed",
        b"\x1b[31mred",
        b"c" * 255,
        b"/".join([b"d" * 255] * 8),
        b"without/an/entry/for/its/folders",
    ]
    return one_group(*((Entry(name), name[:9]) for name in awkward), codec=0).finish()


def sparse() -> bytes:
    """Holes at the start, in the middle, at the end, and nothing but a hole."""
    first, second = text(2, 300), text(3, 200)
    holes = bytes(4096) + first + bytes(10_000) + second + bytes(70_000)
    members = [
        file(b"all", bytes(1 << 20), flags=SPARSE),
        file(b"holes", holes, flags=SPARSE),
        file(b"none", b"dense", flags=SPARSE),
    ]
    pieces = [Piece(1, 0, 4096, 300), Piece(1, 0, 14_396, 200), Piece(2, 0, 0, 5)]
    builder = Builder()
    builder.group(members, [Chunk(first + second + b"dense", ZSTD)], pieces)
    return builder.finish()


def many_chunks() -> bytes:
    """A member over three chunks between small ones, two classes that alternate."""
    large, small, numbers = text(4, 2500), text(5, 100), bytes(range(256)) * 2
    members = [
        file(b"large", large),
        file(b"numbers", numbers),
        file(b"small", small),
        file(b"tail", b"!"),
    ]
    chunks = [
        Chunk(large[:1000], ZSTD, content_class=1),
        Chunk(numbers, content_class=2),
        Chunk(large[1000:2000], ZSTD, content_class=1),
        Chunk(large[2000:] + small + b"!", ZSTD, content_class=1),
    ]
    pieces = [
        Piece(0, 0, 0, 1000),
        Piece(1, 1, 0, 512),
        Piece(0, 2, 1000, 1000),
        Piece(0, 3, 2000, 500),
        Piece(2, 3, 0, 100),
        Piece(3, 3, 0, 1),
    ]
    builder = Builder()
    builder.group(members, chunks, pieces)
    return builder.finish()


def many_groups() -> bytes:
    """A member that goes on through three groups, one group without chunks, one without entries."""
    content = text(6, 3000)
    large = file(b"b/large", content)
    builder = Builder()
    builder.group([Entry(b"b", DIRECTORY), Entry(b"b/link", SYMLINK, link_target=b"large")])
    builder.group(
        [file(b"b/first", b"1st"), large],
        [Chunk(b"1st" + content[:997], ZSTD)],
        [Piece(2, 0, 0, 3), Piece(3, 0, 0, 997)],
        [End(2, 0, 3, file(b"", b"1st").sha256)],
    )
    builder.group([], [Chunk(content[997:1997], ZSTD)], [Piece(3, 1, 997, 1000)], [])
    last = file(b"b/last", b"last")
    builder.group(
        [last],
        [Chunk(content[1997:] + b"last", ZSTD)],
        [Piece(3, 2, 1997, 1003), Piece(4, 2, 0, 4)],
        [End(3, 0, 3000, large.sha256), End(4, 0, 4, last.sha256)],
    )
    return builder.finish()


def appended() -> bytes:
    """Three sections: the second adds members and a dictionary, the third one hard link."""
    builder = one_group((Entry(b"a"), b"first"), codec=0)
    builder.index()
    slot = builder.model(text(7, 400))
    content = text(8, 300)
    builder.group(
        [file(b"b", content)],
        [Chunk(content, ZSTD_DICTIONARY, model_slot=slot)],
        [Piece(1, 1, 0, 300)],
    )
    builder.index()
    builder.group([Entry(b"c", HARDLINK, link_target=b"a")])
    return builder.finish()


def appended_to_empty() -> bytes:
    """A first section without members, so the tag is 0."""
    builder = Builder()
    builder.index()
    builder.group([file(b"a", b"abc")], [Chunk(b"abc")], [Piece(0, 0, 0, 3)])
    return builder.finish()


def dictionaries() -> bytes:
    """A trained dictionary and one of raw content, embedded; one model stands inside a group."""
    samples: list[bytes | bytearray | memoryview[int]] = [
        text(seed, 200) for seed in range(100, 400)
    ]
    trained = zstandard.train_dictionary(1024, samples).as_bytes()
    builder = Builder()
    builder.model(trained)
    contents = [text(9, 700), text(10, 800), text(11, 900)]
    named = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(trained))
    builder.group(
        [file(b"%d" % number, content) for number, content in enumerate(contents)],
        [
            Chunk(contents[0], ZSTD_DICTIONARY, model_slot=0),
            Chunk(contents[1], ZSTD_DICTIONARY, named.compress(contents[1]), model_slot=0),
            Chunk(contents[2], ZSTD_DICTIONARY, model_slot=1),
        ],
        [Piece(number, number, 0, len(content)) for number, content in enumerate(contents)],
        model=lambda: builder.model(text(12, 600)),
    )
    return builder.finish()


def external_model() -> bytes:
    """Models that are only named, of a known and an unassigned kind; no chunk needs them."""
    builder = Builder()
    builder.model(b"a model that nobody has", 2, embedded=False)
    builder.model(b"a model of a kind to come", 200)
    builder.group([file(b"a", b"abc")], [Chunk(b"abc")], [Piece(0, 0, 0, 3)])
    return builder.finish()


def line_index(*, first: bytes | None = None, **fields: Any) -> bytes:
    """Line indexes in two sections: members in several pieces, with and without a last newline.

    `first` takes the place of the first index, `fields` go to its Model record.
    """
    rows = b"".join(b'{"row": %d}\n' % number for number in range(40))
    cut, binary = b"one\r\ntwo\n\nfour", bytes(range(64))
    builder = Builder()
    builder.group(
        [file(b"rows.jsonl", rows), file(b"binary", binary), file(b"cut.jsonl", cut)],
        [Chunk(rows[:200], ZSTD, content_class=1), Chunk(binary), Chunk(rows[200:] + cut, ZSTD)],
        [
            Piece(0, 0, 0, 200),
            Piece(1, 1, 0, 64),
            Piece(0, 2, 200, len(rows) - 200),
            Piece(2, 2, 0, len(cut)),
        ],
    )
    data = pack_line_index([(0, 1), (2, 2)], [17, 23, 4]) if first is None else first
    builder.model(data, LINE_INDEX, **fields)
    builder.index()
    builder.group([file(b"more.jsonl", b"\n\n")], [Chunk(b"\n\n")], [Piece(3, 3, 0, 2)])
    builder.model(pack_line_index([(4, 1)], [2]), LINE_INDEX)
    return builder.finish()


def zstd_frames() -> bytes:
    """Every kind of zstd frame that is allowed."""
    content = text(13, 400)
    zeros = bytes(400)
    run = (400 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"  # one block of 400 zeros
    frames = [
        zstandard.ZstdCompressor(level=19).compress(content),
        zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content),
        frame(b"", declared_size=400)[:-3] + run,
        frame(b"", declared_size=400, window_log=24)[:-3] + run,
    ]
    contents = [content, content, zeros, zeros]
    builder = Builder()
    builder.group(
        [file(b"%d" % number, data) for number, data in enumerate(contents)],
        [Chunk(data, ZSTD, coded) for data, coded in zip(contents, frames, strict=True)],
        [Piece(number, number, 0, 400) for number in range(4)],
    )
    return builder.finish()


def newer_minor() -> bytes:
    """Version 1.9, with optional features that nobody knows."""
    newer = {"version_minor": 9, "optional_features": 1 << 31 | 1}
    builder = one_group((Entry(b"a"), b"abc"), codec=0)
    builder.index(footer=newer)
    return builder.seal(header=newer)


def unknown_class() -> bytes:
    """A content class that is not assigned."""
    return one_group((Entry(b"a"), b"abc"), codec=0, content_class=250).finish()


def many_batches() -> bytes:
    """Tables of several batches, an empty one too, in frames that do not state their size."""
    entries = [file(b"%d" % number) for number in range(7)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ENTRIES_SCHEMA) as writer:
        for start, end in ((0, 3), (3, 3), (3, 7)):
            rows = stream(ENTRIES_SCHEMA, entries[start:end])
            table = pa.ipc.open_stream(rows).read_all()
            for batch in table.to_batches() or [pa.record_batch([[]] * 13, ENTRIES_SCHEMA)]:
                writer.write_batch(batch)
    whole = bytes(sink.getvalue())
    coder = zstandard.ZstdCompressor(write_content_size=False)
    builder = Builder()
    builder.group(entries)
    plain = [stream(schema, []) for schema in INDEX_SCHEMAS[1:]]
    builder.index(tables=[(coder.compress(part), len(part)) for part in (whole, *plain)])
    return builder.seal()


GOOD: dict[str, Callable[[], bytes]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        empty,
        one_member,
        all_types,
        metadata,
        names,
        sparse,
        many_chunks,
        many_groups,
        appended,
        appended_to_empty,
        dictionaries,
        external_model,
        line_index,
        zstd_frames,
        newer_minor,
        unknown_class,
        many_batches,
    )
}
