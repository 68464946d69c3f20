"""The archives of `fixtures` with chunks of codec 3, lawful and unlawful, from plain structs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from tools.craft import NGRAM, Builder, Chunk, Piece, file
from tools.craft_ngram import (
    EXAMPLE_TEXT,
    example_model,
    example_sections,
    pack_model,
    payload,
    place,
    primed_model,
    profile_sections,
    rows_of,
)
from tools.good_archives import text

PRIMED = 8
MOST_TEXT = 1 << 18  # bytes

CORRUPT, MODEL, MISSING = "CorruptError", "ModelError", "ModelNotFoundError"
LINES = b"id;name;place\n17;One;north\n18;Two;north\n19;Three;south\n20;One;north\n"


def patterned(name: str, step: int) -> bytes:
    """Return a section whose numbers differ from place to place, in a pattern."""
    count = len(profile_sections()[name]) // 4
    lowest, factor, period = {
        "sets": (2000, 1500, 11),
        "bytes": (0, 100, 13),
        "confidences": (-500, 250, 7),
        "hits": (30_000, 1000, 32),
    }[name]
    numbers = [lowest + factor * (n * step % period) for n in range(count)]
    return struct.pack(f"<{count}i", *numbers)


def two_profiles() -> bytes:
    """Return a model of two profiles that differ in every weight, with rows for some text."""
    rows = list(rows_of(text(50, 90) + LINES))[::2]
    sections = {"card": b'{"name": "two profiles"}', **place(rows, 90), **profile_sections(2)}
    for name in ("sets", "bytes", "confidences", "hits"):
        sections[name] = patterned(name, 3) + patterned(name, 5)
    return pack_model(sections)


def archive(
    model: bytes, chunks: Sequence[tuple[bytes, bytes]], kind: int = 2, *, embedded: bool = True
) -> bytes:
    """Return an archive with a member for each (content, payload)."""
    builder = Builder()
    builder.model(model, kind, embedded=embedded)
    builder.group(
        [file(b"%d" % number, content) for number, (content, _) in enumerate(chunks)],
        [Chunk(content, NGRAM, coded, model_slot=0, content_class=1) for content, coded in chunks],
        [Piece(number, number, 0, len(content)) for number, (content, _) in enumerate(chunks)],
    )
    return builder.finish()


def example() -> bytes:
    """The chunk and the model of the worked examples."""
    coded = payload(example_model(), 0, EXAMPLE_TEXT)
    return archive(example_model(), [(EXAMPLE_TEXT, coded)])


def profiles() -> bytes:
    """Two profiles; prose, a table, long matches, bytes that are no text, few bytes."""
    model = two_profiles()
    contents = [
        (0, text(50, 160)),
        (1, LINES * 2),
        (0, b"0123456789abcdef" * 9),
        (1, bytes(range(128, 160)) * 3),
        (1, bytes(40)),
        (0, "größer: 数据\n".encode() * 3),
    ]
    chunks = [(content, payload(model, profile, content)) for profile, content in contents]
    return archive(model, chunks)


def primed() -> bytes:
    """Two profiles behind a text: lines that go on, bytes that are no text, few bytes."""
    model = primed_model(two_profiles(), text(51, 90) + LINES[:-9])
    contents = [
        (1, LINES[-9:] + LINES),
        (0, text(51, 120)),
        (0, bytes(range(128, 160)) * 2),
        (1, b"19;Three"),
    ]
    chunks = [(content, payload(model, profile, content)) for profile, content in contents]
    return archive(model, chunks, PRIMED)


def with_primed(model: bytes, kind: int = PRIMED) -> bytes:
    """Return an archive whose payload no model decodes, with a primed model."""
    return archive(model, [(EXAMPLE_TEXT, bytes(9))], kind)


def primed_with(**changes: bytes) -> bytes:
    """Return such an archive, its model with other sections."""
    known = {"card": b"{}", "below": example_model(), "text": LINES}
    return with_primed(pack_model({**known, **changes}, kind=PRIMED))


def primed_flipped() -> bytes:
    """Return a damaged payload of a primed model."""
    model = primed_model(example_model(), LINES)
    coded = bytearray(payload(model, 0, EXAMPLE_TEXT))
    coded[-1] ^= 1
    return archive(model, [(EXAMPLE_TEXT, bytes(coded))], PRIMED)


def not_primed() -> bytes:
    """Return a payload of the model below, coded without the text."""
    model = primed_model(example_model(), EXAMPLE_TEXT)
    return archive(model, [(EXAMPLE_TEXT, payload(example_model(), 0, EXAMPLE_TEXT))], PRIMED)


def with_payload(coded: bytes) -> bytes:
    """Return the example with another coded content."""
    return archive(example_model(), [(EXAMPLE_TEXT, coded)])


def with_model(model: bytes) -> bytes:
    """Return the example with another model."""
    return archive(model, [(EXAMPLE_TEXT, payload(example_model(), 0, EXAMPLE_TEXT))])


def flipped(place: int) -> bytes:
    """Return the example's payload with one bit changed."""
    coded = bytearray(payload(example_model(), 0, EXAMPLE_TEXT))
    coded[place] ^= 1
    return bytes(coded)


def coded(size: int | None = None, extra: bytes = b"") -> bytes:
    """Return the example's payload, cut or longer."""
    return payload(example_model(), 0, EXAMPLE_TEXT)[:size] + extra


def sections(**changes: bytes) -> bytes:
    """Return the example's model with other sections."""
    return pack_model({**example_sections(), **changes})


def ints(count: int, value: int) -> bytes:
    return struct.pack(f"<{count}i", *[value] * count)


GOOD: dict[str, Callable[[], bytes]] = {
    "ngram-example": example,
    "ngram-profiles": profiles,
    "primed-ngram": primed,
}

BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "ngram-profile": (CORRUPT, lambda: with_payload(b"\1" + coded()[1:])),
    "ngram-flipped-state": (CORRUPT, lambda: with_payload(flipped(3))),
    "ngram-flipped-word": (CORRUPT, lambda: with_payload(flipped(-1))),
    "ngram-missing-word": (CORRUPT, lambda: with_payload(coded(-4))),
    "ngram-missing-byte": (CORRUPT, lambda: with_payload(coded(-1))),
    "ngram-extra-word": (CORRUPT, lambda: with_payload(coded(None, bytes(4)))),
    "ngram-short": (CORRUPT, lambda: with_payload(bytes(5))),
    "ngram-leading-zero": (CORRUPT, lambda: with_payload(bytes(9))),
    "ngram-small-state": (CORRUPT, lambda: with_payload(bytes(6) + b"\1\0\0\0")),
    "ngram-large-state": (CORRUPT, lambda: with_payload(b"\0\x80" + bytes(7))),
    "ngram-external-model": (
        MISSING,
        lambda: archive(sections(card=b"{}"), [(EXAMPLE_TEXT, coded())], embedded=False),
    ),
    "model-file-magic": (MODEL, lambda: with_model(b"\x8dLMMOD\n\n" + example_model()[8:])),
    "model-file-version": (
        MODEL,
        lambda: with_model(pack_model(example_sections(), version=2)),
    ),
    "model-file-kind": (MODEL, lambda: with_model(pack_model(example_sections(), kind=3))),
    "model-file-count": (
        MODEL,
        lambda: with_model(pack_model(example_sections(), section_count=13)),
    ),
    "model-file-trailing": (MODEL, lambda: with_model(example_model() + b"\0")),
    "model-file-truncated": (MODEL, lambda: with_model(example_model()[:-1])),
    "model-section-missing": (
        MODEL,
        lambda: with_model(pack_model(dict(list(example_sections().items())[:-1]))),
    ),
    "model-section-order": (
        MODEL,
        lambda: with_model(pack_model(dict(reversed(example_sections().items())))),
    ),
    "model-section-unknown": (MODEL, lambda: with_model(sections(more=b""))),
    "model-counts-empty": (
        MODEL,
        lambda: with_model(sections(counts=b"", spills=b"", tags=b"", rows=b"")),
    ),
    "model-counts-seven": (MODEL, lambda: with_model(sections(counts=b"\7\1\6"))),
    "model-counts-sum": (MODEL, lambda: with_model(sections(counts=b"\6\1\6"))),
    "model-buckets": (
        MODEL,
        lambda: with_model(
            sections(counts=bytes((1 << 22) + 1), spills=bytes(4 << 22 | 4), tags=b"", rows=b"")
        ),
    ),
    "model-profiles": (MODEL, lambda: with_model(sections(hits=b""))),
    "model-hits": (MODEL, lambda: with_model(sections(hits=ints(32, 65_536)))),
    "model-hits-negative": (MODEL, lambda: with_model(sections(hits=ints(32, -1)))),
    "model-limits-zero": (MODEL, lambda: with_model(sections(limits=ints(16, 0)))),
    "model-limits": (MODEL, lambda: with_model(sections(limits=ints(16, 64)))),
    "model-mixer-rates": (MODEL, lambda: with_model(sections(mixer_rates=ints(32, 4096)))),
    "model-rates": (MODEL, lambda: with_model(sections(rates=ints(128, 32_768)))),
    "model-sets-size": (MODEL, lambda: with_model(sections(sets=ints(288 * 16 - 1, 0)))),
    "primed-flipped": (CORRUPT, primed_flipped),
    "primed-other-payload": (CORRUPT, not_primed),
    "primed-profile": (
        CORRUPT,
        lambda: archive(
            primed_model(example_model(), LINES), [(EXAMPLE_TEXT, b"\1" + coded()[1:])], PRIMED
        ),
    ),
    "primed-without-text": (MODEL, lambda: primed_with(text=b"")),
    "primed-long-text": (MODEL, lambda: primed_with(text=bytes(MOST_TEXT + 1))),
    "primed-section-unknown": (MODEL, lambda: primed_with(more=b"")),
    "primed-section-missing": (
        MODEL,
        lambda: with_primed(pack_model({"card": b"{}", "below": example_model()}, kind=PRIMED)),
    ),
    "primed-section-order": (
        MODEL,
        lambda: with_primed(
            pack_model({"card": b"{}", "text": LINES, "below": example_model()}, kind=PRIMED)
        ),
    ),
    "primed-below": (MODEL, lambda: primed_with(below=b"no model of any kind")),
    "primed-below-empty": (MODEL, lambda: primed_with(below=b"")),
    "primed-below-damaged": (MODEL, lambda: primed_with(below=example_model()[:-1])),
    "primed-below-missing": (MISSING, lambda: primed_with(below=bytes(range(32)))),
    "primed-below-primed": (
        MODEL,
        lambda: primed_with(below=primed_model(example_model(), EXAMPLE_TEXT)),
    ),
    "primed-kind": (MODEL, lambda: with_primed(example_model())),
    "primed-kind-of-ngram": (
        MODEL,
        lambda: with_primed(primed_model(example_model(), LINES), kind=2),
    ),
}
