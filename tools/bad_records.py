"""The unlawful archives whose fault is in Header, Footer, a record, a chunk or a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import zstandard

from tools import good_archives
from tools.craft import (
    INDEX,
    LINE_INDEX,
    SPARSE,
    ZSTD,
    ZSTD_DICTIONARY,
    Builder,
    Chunk,
    Entry,
    Piece,
    file,
    frame,
    pack_header,
    pack_line_index,
    records,
    simple,
)

CORRUPT, LIMIT, TRUNCATED = "CorruptError", "LimitError", "TruncatedError"
NO_ARCHIVE, UNSUPPORTED = "NotAnArchiveError", "UnsupportedVersionError"
MODEL_MISMATCH = "ModelMismatchError"

Make = Callable[[], bytes]
MIB = 1 << 20
MAX = (1 << 64) - 1
TEXT = b"text that is text that is text that is text"


def one(**fields: Any) -> Builder:
    """Return a builder with one member, whose entry has `fields` in Entries and Index."""
    return simple([(Entry(b"a", **fields), b"abc")])


def sealed(**header: Any) -> bytes:
    """Return an archive whose Header has `header`."""
    builder = one()
    builder.index()
    return builder.seal(header=header)


def footed(header: dict[str, Any] | None = None, **footer: Any) -> bytes:
    """Return an archive whose Footer has `footer`."""
    builder = one()
    builder.index(footer=footer)
    return builder.seal(header=header)


def with_record(number: int, **overrides: Any) -> bytes:
    """Return an archive one of whose records (0 Entries, 1 Chunk) has `overrides` in its header."""
    builder = one()
    builder.records[number].overrides.update(overrides)
    return builder.finish()


def with_chunk(chunk: Chunk, *, slot: bytes | None = None, kind: int = 1) -> bytes:
    """Return an archive of this chunk, behind a model `slot` if there is one."""
    builder = Builder()
    if slot is not None:
        builder.model(slot, kind)
    size = chunk.overrides.get("content_size", len(chunk.content))
    member = file(b"a", chunk.content, size=size)
    builder.group([member], [chunk], [Piece(0, 0, 0, size)] if size else [])
    return builder.finish()


def coded(payload: bytes, codec: int = ZSTD, content: bytes = TEXT, **fields: Any) -> bytes:
    """Return an archive of a chunk with this coded content."""
    return with_chunk(Chunk(content, codec, payload), **fields)


def with_model(*, external: bool = False, **fields: Any) -> bytes:
    """Return an archive whose model has `fields`; a chunk needs it unless it is external."""
    builder = Builder()
    builder.model(b"dictionary " * 5, fields.pop("kind", 1), embedded=not external, **fields)
    if external or "kind" in fields:
        builder.group([file(b"a")])
    else:
        chunk = Chunk(TEXT, ZSTD_DICTIONARY, model_slot=0)
        builder.group([file(b"a", TEXT)], [chunk], [Piece(0, 0, 0, len(TEXT))])
    return builder.finish()


def late_model() -> bytes:
    """Return a chunk in front of its model."""
    builder = Builder()
    builder.dictionaries[0] = b"dictionary " * 5
    builder.group(
        [file(b"a", TEXT)],
        [Chunk(TEXT, ZSTD_DICTIONARY, model_slot=0)],
        [Piece(0, 0, 0, len(TEXT))],
    )
    builder.model(b"dictionary " * 5)
    return builder.finish()


def sparse_lines() -> bytes:
    """Return an archive with the line index of a member that has a hole."""
    builder = Builder()
    content = b"\0\0\n"
    builder.group([file(b"a", content, flags=SPARSE)], [Chunk(b"\n")], [Piece(0, 0, 2, 1)])
    builder.model(pack_line_index([(0, 1)], [1]), LINE_INDEX)
    return builder.finish()


def gap() -> bytes:
    """Return an archive with bytes between two records that the Index knows to avoid."""
    builder = one()
    builder.end += 8
    builder.index()
    data = builder.seal()
    place = max(offset for offset, kind, _ in records(data) if kind == INDEX)
    return data[:place] + bytes(8) + data[place:]


def orphaned_index() -> bytes:
    """Return an archive with an Index in the middle that no Footer follows."""
    builder = one()
    builder.index()
    builder.records.pop()
    builder.end -= 104
    builder.group([file(b"b")])
    return builder.finish()


def chunkless_group() -> bytes:
    """Return a group that lacks one of its chunks."""
    builder = Builder()
    builder.group([file(b"a", b"abc")], [Chunk(b"abc")], [Piece(0, 0, 0, 3)], chunk_count=2)
    return builder.finish()


def groupless_chunk() -> bytes:
    """Return a group with a chunk too many."""
    builder = Builder()
    chunks = [Chunk(b"abc"), Chunk(b"xyz")]
    builder.group([file(b"a", b"abc")], chunks, [Piece(0, 0, 0, 3)], chunk_count=1)
    return builder.finish()


def interrupted_append() -> bytes:
    """Return a whole archive and the start of a second section."""
    builder = one()
    builder.index()
    first = len(builder.seal())
    builder.group([file(b"b", b"xyz")], [Chunk(b"xyz")], [Piece(1, 1, 0, 3)])
    return builder.seal()[: first + 1000]


HEADERS: dict[str, tuple[str, Make]] = {
    "empty-file": (NO_ARCHIVE, lambda: b""),
    "text-file": (NO_ARCHIVE, lambda: b"This is no archive.\n" * 100),
    "header-magic": (NO_ARCHIVE, lambda: sealed(magic=b"\x8dLMARC\n\n")),
    "header-checksum": (CORRUPT, lambda: sealed(checksum=1)),
    "header-reserved": (CORRUPT, lambda: sealed(reserved=1)),
    "header-major-version": (UNSUPPORTED, lambda: sealed(version_major=2)),
    "header-required-feature": (UNSUPPORTED, lambda: sealed(required_features=1 << 5)),
    "header-other-tag": (CORRUPT, lambda: pack_header(1) + one().finish()[32:]),
    "footer-major-version": (UNSUPPORTED, lambda: footed(version_major=2)),
    "footer-required-feature": (UNSUPPORTED, lambda: footed(required_features=1 << 31)),
    "footer-lacks-feature": (CORRUPT, lambda: footed({"optional_features": 1})),
    "footer-older-minor": (CORRUPT, lambda: footed({"version_minor": 3}, version_minor=2)),
    "footer-reserved": (CORRUPT, lambda: footed(reserved=1)),
    "footer-end-magic": (CORRUPT, lambda: footed(end_magic=b"\r\nCRAML\n")),
    "footer-index-offset": (CORRUPT, lambda: footed(index_offset=32)),
    "footer-index-offset-negative": (CORRUPT, lambda: footed(index_offset=MAX - 31)),
    "footer-index-size": (CORRUPT, lambda: footed(index_size=1 << 62)),
    "footer-index-sha256": (CORRUPT, lambda: footed(index_sha256=bytes(32))),
    "truncated-in-header": (TRUNCATED, lambda: one().finish()[:20]),
    "truncated-in-group": (TRUNCATED, lambda: one().finish()[:1000]),
    "truncated-in-footer": (TRUNCATED, lambda: one().finish()[:-1]),
    "trailing-bytes": (TRUNCATED, lambda: one().finish() + b"trailing"),
    "interrupted-append": (TRUNCATED, interrupted_append),
    "no-index": (TRUNCATED, lambda: one().seal()),
}


RECORDS: dict[str, tuple[str, Make]] = {
    "record-magic": (CORRUPT, lambda: with_record(1, magic=b"\xf1LMX")),
    "record-checksum": (CORRUPT, lambda: with_record(1, checksum=1)),
    "record-payload-checksum": (CORRUPT, lambda: with_record(1, payload_checksum=1)),
    "record-flags": (CORRUPT, lambda: with_record(1, flags=1)),
    "record-tag": (CORRUPT, lambda: with_record(1, tag=1)),
    "record-of-another-archive": (CORRUPT, lambda: with_record(0, tag=1)),
    "record-size-of-entries": (LIMIT, lambda: with_record(0, payload_size=256 * MIB + 1)),
    "record-size-of-chunk": (LIMIT, lambda: with_record(1, payload_size=16 * MIB + 29)),
    "record-beyond-end": (TRUNCATED, lambda: with_record(1, payload_size=MIB)),
    "record-gap": (CORRUPT, gap),
    "chunk-reserved": (CORRUPT, lambda: with_chunk(Chunk(b"a", overrides={"reserved": b"\0\0\1"}))),
    "chunk-number": (CORRUPT, lambda: with_chunk(Chunk(b"a", overrides={"chunk_number": 1}))),
    "chunk-without-content": (
        CORRUPT,
        lambda: with_chunk(Chunk(b"", payload=b"a", overrides={"content_size": 0})),
    ),
    "chunk-too-large": (
        CORRUPT,
        lambda: with_chunk(Chunk(b"a", overrides={"content_size": 16 * MIB + 1})),
    ),
    "chunk-content-checksum": (
        CORRUPT,
        lambda: with_chunk(Chunk(b"a", overrides={"content_checksum": 1})),
    ),
    "chunk-coded-larger": (CORRUPT, lambda: coded(frame(TEXT))),
    "chunk-missing": (CORRUPT, chunkless_group),
    "chunk-without-group": (CORRUPT, groupless_chunk),
    "codec-unknown": (UNSUPPORTED, lambda: coded(b"?", 65_000)),
    "codec-stored-size": (CORRUPT, lambda: coded(b"abc", 0, b"abcd")),
    "codec-zstd-with-slot": (
        CORRUPT,
        lambda: with_chunk(Chunk(TEXT, ZSTD, model_slot=0), slot=b"dictionary"),
    ),
    "codec-without-model": (
        CORRUPT,
        lambda: coded(zstandard.compress(TEXT), ZSTD_DICTIONARY),
    ),
    "codec-undeclared-slot": (
        CORRUPT,
        lambda: with_chunk(Chunk(TEXT, ZSTD_DICTIONARY, zstandard.compress(TEXT), 5), slot=b"d"),
    ),
    "codec-other-kind": (
        CORRUPT,
        lambda: with_chunk(
            Chunk(TEXT, ZSTD_DICTIONARY, zstandard.compress(TEXT), 0), slot=b"d", kind=2
        ),
    ),
    "zstd-without-size": (
        CORRUPT,
        lambda: coded(unsized(bytes(99)), 1, bytes(99)),
    ),
    "zstd-other-size": (CORRUPT, lambda: coded(frame(TEXT[:9], declared_size=44))),
    "zstd-two-frames": (
        CORRUPT,
        lambda: coded(zstandard.compress(bytes(40)) + zstandard.compress(b""), ZSTD, bytes(40)),
    ),
    "zstd-skippable": (
        CORRUPT,
        lambda: coded(b"\x50\x2a\x4d\x18" + bytes(4) + zstandard.compress(bytes(99)), 1, bytes(99)),
    ),
    "zstd-trailing": (CORRUPT, lambda: coded(zstandard.compress(bytes(99)) + b"!", 1, bytes(99))),
    "zstd-window": (CORRUPT, lambda: coded(zeros_frame(99, window_log=25), 1, bytes(99))),
    "zstd-dictionary-id": (CORRUPT, lambda: coded(zeros_frame(99, dictionary_id=7), 1, bytes(99))),
    "zstd-damaged": (CORRUPT, lambda: coded(frame(b"", declared_size=43)[:-3] + b"\xff\xff\xff")),
    "zstd-bomb": (CORRUPT, lambda: coded(zeros_frame(999, times=99), 1, bytes(999))),
}


def zeros_frame(size: int, *, times: int = 1, **options: Any) -> bytes:
    """Return a frame that declares `size` zeros and holds `times` as many, a run each."""
    run = size << 3 | 1 << 1
    head = frame(b"", declared_size=size, **options)[:-3]
    blocks = (run.to_bytes(3, "little") + b"\0") * (times - 1)
    return head + blocks + (run | 1).to_bytes(3, "little") + b"\0"


MODELS: dict[str, tuple[str, Make]] = {
    "model-slot": (CORRUPT, lambda: with_model(slot=1)),
    "model-flags": (CORRUPT, lambda: with_model(flags=3)),
    "model-reserved": (CORRUPT, lambda: with_model(reserved=1)),
    "model-kind": (CORRUPT, lambda: with_model(kind=0, external=True)),
    "model-without-size": (CORRUPT, lambda: with_model(kind=2, external=True, size=0)),
    "model-too-large": (CORRUPT, lambda: with_model(kind=2, external=True, size=(1 << 30) + 1)),
    "model-other-size": (CORRUPT, lambda: with_model(size=54)),
    "model-sha256": (MODEL_MISMATCH, lambda: with_model(sha256=bytes(32))),
    "model-external-dictionary": (CORRUPT, lambda: with_model(external=True)),
    "model-too-late": (CORRUPT, late_model),
    "line-index-count": (CORRUPT, lambda: line_index(lines(counts=[16, 24, 4]))),
    "line-index-last-line": (CORRUPT, lambda: line_index(lines(counts=[17, 23, 3]))),
    "line-index-part-of-member": (CORRUPT, lambda: line_index(lines([(2, 2)], [23, 4]))),
    "line-index-twice": (CORRUPT, lambda: line_index(lines([(0, 1), (0, 1)], [17, 17]))),
    "line-index-empty-run": (CORRUPT, lambda: line_index(lines([(0, 0), (3, 1)], [4]))),
    "line-index-of-later-piece": (CORRUPT, lambda: line_index(lines([(4, 1)], [2]))),
    "line-index-more-than-bytes": (CORRUPT, lambda: line_index(lines(counts=[17, 23, 500]))),
    "line-index-runs": (CORRUPT, lambda: line_index(lines(counts=[17, 23, 4, 1]))),
    "line-index-truncated": (TRUNCATED, lambda: line_index(lines(run_count=3))),
    "line-index-trailing": (CORRUPT, lambda: line_index(lines() + b"\0")),
    "line-index-external": (CORRUPT, lambda: line_index(lines(), embedded=False)),
    "line-index-of-sparse": (CORRUPT, sparse_lines),
}


def lines(
    runs: Sequence[tuple[int, int]] = ((0, 1), (2, 2)),
    counts: Sequence[int] = (17, 23, 4),
    **fields: int,
) -> bytes:
    """Return a line index; what it says by default is right for `good_archives.line_index`."""
    return pack_line_index(runs, counts, **fields)


def line_index(first: bytes, **fields: Any) -> bytes:
    """Return an archive whose first line index is `first`."""
    return good_archives.line_index(first=first, **fields)


def unsized(data: bytes) -> bytes:
    """Return a frame that does not state its size."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)
