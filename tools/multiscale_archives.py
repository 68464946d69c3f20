"""The archives of `fixtures` with chunks of codec 6, lawful and unlawful, from plain structs.

Nothing of `lmarc` is imported: the encoder is the reference decoder fed with known symbols.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence

from tools import neural_archives
from tools.craft import NGRAM, Builder, Chunk, Piece, file
from tools.craft_ngram import (
    EXAMPLE_TEXT,
    KnownSymbols,
    example_model,
    pack_model,
    primed_model,
    rans_encode,
    rans_store,
)
from tools.ngram_archives import LINES, PRIMED, ints, two_profiles
from tools.reference_decoder import (
    BLEND_ARRAYS,
    MULTISCALE_SECTIONS,
    SET_ROWS,
    Multiscale,
    below_and_text,
    read_multiscale_model,
)

MULTISCALE = 6
UNITS = struct.pack("<2H", *neural_archives.UNITS)
PATCHED_UNITS = (16, 32)
LARGER = struct.pack("<2H", 16, 48)
LANES = bytes([0, 2, 15, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
SET_SECTIONS = ["lanes", "sets"]

PERIOD = 97  # after as many numbers weights come again, so that a file is small


def weights(name: str, profile: int, count: int, lanes: int) -> list[int]:
    """Return weights drawn by SHAKE-128; what is below has more of `sures` than the rest."""
    drawn = hashlib.shake_128(f"{name} {profile}".encode()).digest(2 * PERIOD)
    few = [number >> 3 for number in struct.unpack(f"<{PERIOD}h", drawn)]
    numbers = [few[n % PERIOD] for n in range(count)]
    if name == "sures":
        # The n-gram mixture, the network and the head.
        for j, more in enumerate((50_000, 9000, 40_000), lanes):
            numbers[j::16] = [number + more for number in numbers[j::16]]
    return numbers


def blend_sections(profile_count: int = 1, lanes: bytes = b"") -> dict[str, bytes]:
    """Return the sections of blends: two halves that learn at other paces, in every profile.

    With `lanes` weights are finer, and there are sets of them.
    """
    sections = {"lanes": lanes} if lanes else {}
    sizes = {**BLEND_ARRAYS, "sets": 16 * SET_ROWS} if lanes else BLEND_ARRAYS
    for name, size in sizes.items():
        numbers: list[int] = []
        for profile in range(profile_count):
            numbers += {
                "rates": [32_767 * 2 // (count + 3) for count in range(64)]
                + [65_280 * 2 // (count + 3) for count in range(64)],
                "limits": [30 + profile, *range(5, 20)],
                "blend_rates": [20 + (80 >> bits // 2) for bits in range(32)],
                "head_rates": [64_000 - 9000 * profile, 40 + 200 * profile],
            }.get(name) or [
                weight << (4 if lanes else 0)
                for weight in weights(name, profile, size, len(lanes) or 8)
            ]
        sections[name] = struct.pack(f"<{len(numbers)}i", *numbers)
    return sections


def sections(profile_count: int = 1, /, **changes: bytes) -> dict[str, bytes]:
    """Return the sections of a blend, over the example's n-gram model unless `changes` say else."""
    known = {
        "card": b'{"name": "example"}',
        "below": example_model(),
        "units": bytes(4),
        **blend_sections(profile_count, changes.get("lanes", b"")),
        **changes,
    }
    own = [*SET_SECTIONS, "doubts"] if "lanes" in changes else []
    return {name: known[name] for name in (*MULTISCALE_SECTIONS, *own) if name in known}


def multiscale_model(profile_count: int = 1, /, **changes: bytes) -> bytes:
    """Return the file of a model with such `sections`."""
    return pack_model(sections(profile_count, **changes), kind=6)


def with_network() -> bytes:
    """Return a blend over the example's network."""
    return multiscale_model(below=neural_archives.neural_model(), units=UNITS)


def payload(model: bytes, profile: int, content: bytes) -> bytes:
    """Return the coded content of a chunk of codec 6."""
    below, text = below_and_text(model)
    known = KnownSymbols(content)
    coder = Multiscale(read_multiscale_model(below), profile, len(text) + len(content))
    coder.prime(text)
    for _ in content:
        coder.decode_byte(known)
    return bytes([profile]) + rans_store(*rans_encode(known.steps))


def archive(
    model: bytes,
    chunks: Sequence[tuple[bytes, bytes]],
    kind: int = MULTISCALE,
    codec: int = MULTISCALE,
) -> bytes:
    """Return an archive with a member for each (content, payload)."""
    builder = Builder()
    builder.model(model, kind)
    builder.group(
        [file(b"%d" % number, content) for number, (content, _) in enumerate(chunks)],
        [Chunk(content, codec, coded, model_slot=0, content_class=1) for content, coded in chunks],
        [Piece(number, number, 0, len(content)) for number, (content, _) in enumerate(chunks)],
    )
    return builder.finish()


def example() -> bytes:
    """A chunk of text and bytes of all kinds, and a blend over a network."""
    model = with_network()
    content = EXAMPLE_TEXT * 3 + LINES + bytes(range(256))
    return archive(model, [(content, payload(model, 0, content))])


def deep() -> bytes:
    """A chunk of text, and a blend over a network of four layers."""
    units = struct.pack("<2H", *neural_archives.DEEP_UNITS[:2])
    model = multiscale_model(below=neural_archives.deep_model(), units=units)
    content = EXAMPLE_TEXT * 3 + LINES
    return archive(model, [(content, payload(model, 0, content))])


def with_patches(**changes: bytes) -> bytes:
    """Return a blend over a network of two layers with patches, with other sections."""
    below = neural_archives.patched_model(PATCHED_UNITS)
    return multiscale_model(below=below, units=struct.pack("<2H", *PATCHED_UNITS), **changes)


def patched() -> bytes:
    """Chunks of text and bytes of all kinds, and a blend over a network with patches."""
    model = with_patches()
    contents = [neural_archives.PATCHED_TEXT + LINES + bytes(range(256)), b"{'a': [1, 2]}\n" * 9]
    return archive(model, [(content, payload(model, 0, content)) for content in contents])


def alone() -> bytes:
    """Chunks of two profiles, and a blend over an n-gram model alone."""
    model = multiscale_model(2, below=two_profiles())
    contents = [
        (0, EXAMPLE_TEXT * 2),
        (1, LINES * 2),
        (1, b"[{'a': 1,\t\"b\": (2)}; x-y_z/w|K:=7.5]\n" * 3),
        (0, bytes(30)),
        (0, "größer: 数据\n".encode() * 3),
    ]
    chunks = [(content, payload(model, profile, content)) for profile, content in contents]
    return archive(model, chunks)


def lanes() -> bytes:
    """Chunks with thirteen lanes over a network."""
    below = neural_archives.neural_model()
    model = multiscale_model(below=below, units=UNITS, lanes=LANES)
    contents = [EXAMPLE_TEXT + LINES * 2 + EXAMPLE_TEXT + LINES, b"{'a': [1, 2]}\n" * 9]
    return archive(model, [(content, payload(model, 0, content)) for content in contents])


def one_lane() -> bytes:
    """A chunk with a single lane, a history, over an n-gram model alone."""
    model = multiscale_model(lanes=b"\x09")
    content = EXAMPLE_TEXT * 2 + LINES
    return archive(model, [(content, payload(model, 0, content))])


def doubts() -> bytes:
    """Chunks of two profiles whose symbols are left to the n-gram mixture where it is sure."""
    below = neural_archives.neural_model(ngram=two_profiles())
    changes = {"units": UNITS, "lanes": LANES, "doubts": ints(1, 60_000) + ints(1, 20_000)}
    model = multiscale_model(2, below=below, **changes)
    contents = [(0, EXAMPLE_TEXT + LINES * 3), (1, b"{'a': [1, 2]}\n" * 9), (1, LINES * 2)]
    chunks = [(content, payload(model, profile, content)) for profile, content in contents]
    return archive(model, chunks)


def primed_doubts() -> bytes:
    """Chunks over an n-gram model alone, behind a text, with few symbols that are doubted."""
    model = multiscale_model(lanes=bytes([3, 8, 15]), doubts=ints(1, 33_000))
    model = primed_model(model, LINES + EXAMPLE_TEXT)
    contents = [EXAMPLE_TEXT, LINES * 2]
    return archive(model, [(content, payload(model, 0, content)) for content in contents], PRIMED)


def primed() -> bytes:
    """Chunks with thirteen lanes over a network, behind a text that they go on with."""
    below = neural_archives.neural_model()
    model = multiscale_model(below=below, units=UNITS, lanes=LANES)
    model = primed_model(model, EXAMPLE_TEXT + LINES[:-9])
    contents = [LINES[-9:] + LINES, b"{'a': [1, 2]}\n" * 4, b"19;Three"]
    return archive(model, [(content, payload(model, 0, content)) for content in contents], PRIMED)


def primed_alone() -> bytes:
    """Chunks of two profiles over an n-gram model alone, behind a text."""
    model = primed_model(multiscale_model(2, below=two_profiles()), LINES + EXAMPLE_TEXT)
    contents = [(0, EXAMPLE_TEXT), (1, LINES)]
    chunks = [(content, payload(model, profile, content)) for profile, content in contents]
    return archive(model, chunks, PRIMED)


def primed_patched() -> bytes:
    """Chunks over a network with patches, behind a text in which more end than the window holds."""
    model = primed_model(with_patches(lanes=LANES), neural_archives.PATCHED_TEXT[-160:])
    contents = [LINES, b"{'a': [1, 2]}\n" * 4]
    return archive(model, [(content, payload(model, 0, content)) for content in contents], PRIMED)


def with_primed(below: bytes, codec: int = MULTISCALE) -> bytes:
    """Return an archive whose payload no model decodes, with a primed model."""
    return archive(primed_model(below, LINES), [(EXAMPLE_TEXT, bytes(9))], PRIMED, codec)


def with_model(model: bytes) -> bytes:
    """Return an archive whose payload no model decodes, with a model."""
    return archive(model, [(EXAMPLE_TEXT, bytes(9))])


def with_sections(**changes: bytes) -> bytes:
    """Return such an archive, its model with other sections."""
    return with_model(multiscale_model(**changes))


def with_payload(coded: bytes) -> bytes:
    """Return an archive with another payload."""
    return archive(multiscale_model(), [(EXAMPLE_TEXT, coded)])


def coded(size: int | None = None) -> bytes:
    """Return a good payload, whole or cut."""
    return payload(multiscale_model(), 0, EXAMPLE_TEXT)[:size]


def flipped(data: bytes, place: int) -> bytes:
    """Return a payload with one bit changed."""
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def with_network_and_flipped() -> bytes:
    """Return a damaged payload of the example's network."""
    model = with_network()
    return archive(model, [(EXAMPLE_TEXT, flipped(payload(model, 0, EXAMPLE_TEXT), -1))])


def pair(first: int, second: int) -> bytes:
    """Return the section `head_rates` of one profile."""
    return struct.pack("<2i", first, second)


CORRUPT, MODEL = "CorruptError", "ModelError"

GOOD: dict[str, Callable[[], bytes]] = {
    "multiscale-example": example,
    "multiscale-alone": alone,
    "multiscale-deep": deep,
    "multiscale-lanes": lanes,
    "multiscale-patched": patched,
    "multiscale-one-lane": one_lane,
    "multiscale-doubts": doubts,
    "primed-multiscale": primed,
    "primed-multiscale-alone": primed_alone,
    "primed-doubts": primed_doubts,
    "primed-patched": primed_patched,
}

BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "multiscale-flipped-state": (CORRUPT, lambda: with_payload(flipped(coded(), 3))),
    "multiscale-flipped-word": (CORRUPT, with_network_and_flipped),
    "multiscale-missing-word": (CORRUPT, lambda: with_payload(coded(-4))),
    "multiscale-profile": (CORRUPT, lambda: with_payload(b"\1" + coded()[1:])),
    "multiscale-units": (
        MODEL,
        lambda: with_sections(below=neural_archives.neural_model(), units=LARGER),
    ),
    "multiscale-units-zero": (MODEL, lambda: with_sections(below=neural_archives.neural_model())),
    "multiscale-units-alone": (MODEL, lambda: with_sections(units=UNITS)),
    "multiscale-units-size": (MODEL, lambda: with_sections(units=bytes(2))),
    "multiscale-base": (MODEL, lambda: with_sections(below=b"no model of any kind")),
    "multiscale-base-itself": (MODEL, lambda: with_sections(below=multiscale_model())),
    "multiscale-section-missing": (
        MODEL,
        lambda: with_model(pack_model(dict(list(sections().items())[:-1]), kind=6)),
    ),
    "multiscale-section-order": (
        MODEL,
        lambda: with_model(pack_model(dict(reversed(sections().items())), kind=6)),
    ),
    "multiscale-profiles": (MODEL, lambda: with_model(multiscale_model(2))),
    "multiscale-sures-size": (MODEL, lambda: with_sections(sures=ints(511, 0))),
    "multiscale-rates": (MODEL, lambda: with_sections(rates=ints(128, 32_768))),
    "multiscale-rates-negative": (MODEL, lambda: with_sections(rates=ints(128, -1))),
    "multiscale-limits-zero": (MODEL, lambda: with_sections(limits=ints(16, 0))),
    "multiscale-limits": (MODEL, lambda: with_sections(limits=ints(16, 64))),
    "multiscale-blend-rates": (MODEL, lambda: with_sections(blend_rates=ints(32, 4096))),
    "multiscale-head-limit": (MODEL, lambda: with_sections(head_rates=pair(65_537, 10))),
    "multiscale-lanes-none": (
        MODEL,
        lambda: with_sections(lanes=b"", sets=ints(16 * SET_ROWS, 0)),
    ),
    "multiscale-lanes-many": (MODEL, lambda: with_sections(lanes=bytes(14))),
    "multiscale-lanes-number": (MODEL, lambda: with_sections(lanes=b"\0\x10")),
    "multiscale-lanes-alone": (
        MODEL,
        lambda: with_model(pack_model(dict(list(sections(lanes=LANES).items())[:-1]), kind=6)),
    ),
    "multiscale-sets-size": (
        MODEL,
        lambda: with_sections(lanes=LANES, sets=ints(16 * SET_ROWS - 1, 0)),
    ),
    "multiscale-doubts-zero": (MODEL, lambda: with_sections(lanes=LANES, doubts=ints(1, 0))),
    "multiscale-doubts-above": (MODEL, lambda: with_sections(lanes=LANES, doubts=ints(1, 65_537))),
    "multiscale-doubts-size": (MODEL, lambda: with_sections(lanes=LANES, doubts=ints(2, 9000))),
    "multiscale-doubts-alone": (
        MODEL,
        lambda: with_model(pack_model({**sections(), "doubts": ints(1, 60_000)}, kind=6)),
    ),
    "multiscale-head-rate": (MODEL, lambda: with_sections(head_rates=pair(60_000, 256))),
    "primed-ngram-below": (MODEL, lambda: with_primed(example_model())),
    "primed-multiscale-below": (MODEL, lambda: with_primed(multiscale_model(), NGRAM)),
    "primed-primed-below": (
        MODEL,
        lambda: with_primed(primed_model(multiscale_model(), EXAMPLE_TEXT)),
    ),
    "primed-neural-codec": (CORRUPT, lambda: with_primed(example_model(), neural_archives.NEURAL)),
}
