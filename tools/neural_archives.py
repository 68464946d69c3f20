"""The archives of `fixtures` with chunks of codec 4, lawful and unlawful, from plain structs.

Nothing of `lmarc` is imported: the encoder is the reference decoder fed with known symbols.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

from tools.craft import Builder, Chunk, Piece, file
from tools.craft_ngram import (
    EXAMPLE_TEXT,
    KnownSymbols,
    example_model,
    pack_model,
    rans_encode,
    rans_store,
)
from tools.reference_decoder import (
    ADAPTER_SECTIONS,
    DEEP_ADAPTER_SECTIONS,
    DEEP_SECTIONS,
    NEURAL_SECTIONS,
    PATCH_PRODUCTS,
    PATCH_SECTIONS,
    Neural,
    model_files,
    read_neural_model,
    read_neural_sections,
)

NEURAL = 4
UNITS = (16, 32)
DEEP_UNITS = (32, 16, 4)
PATCHED_UNITS = (32, 16, 3)
SIZES = (32, 2, 2, 48, 16)  # width, heads, layers, hidden and window of a Transformer
PERIOD = 251  # after as many numbers those of places come again, so that a file is small
# Words of more than eight bytes, runs of what parts words, and bytes from 128 on.
PATCHED_TEXT = EXAMPLE_TEXT + (
    b"Incomprehensibilities, internationalisation -- (a+b)[0] == {x}; "
    b"12345678901234567890 ...!?\n\n"
    b"abcdefg, abcdefgh. abcdefghi;\n"
    b"gr\xc3\xb6\xc3\x9fer: \xe6\x95\xb0\xe6\x8d\xae\xe8\xaf\xad\xe8\xa8\x80\xe3\x80\x82\n"
)


def example_sections(units: tuple[int, ...] = UNITS) -> dict[str, bytes]:
    """Return the sections of a small network, its weights drawn by SHAKE-128."""
    n1, n2, *more = units
    layers = more[0] if more else 2
    outputs, outs = 2 * n1 + 3 * n2 * (layers - 1) + 16, n2 * (layers - 1)
    known = {
        "card": b'{"name": "example"}',
        "ngram": example_model(),
        "units": struct.pack(f"<{len(units)}H", *units),
        "join": struct.pack("<64i", *[65_536, 20_000] * 32),
        "join_rate": struct.pack("<i", 40),
    }
    sizes = {"last": 512 * outputs, "second_last": 1024 * n1, "low_bias": 512}
    rows = {"see": outputs, "inner": 3 * n2, "high": 16, "low": 256, "see_low": 16}
    columns = {"see": 16, "inner": n1, "high": outs, "low": outs, "see_low": 16}
    rows["upper"], columns["upper"] = 3 * n2 * (layers - 2), n2
    names = DEEP_SECTIONS if more else NEURAL_SECTIONS
    for name in names:
        drawn = hashlib.shake_128(name.encode())
        if name in sizes:
            known[name] = drawn.digest(sizes[name])
        elif name in rows:
            known[name] = drawn.digest(rows[name] * columns[name])
        elif name.endswith("_exp"):
            known[name] = bytes(5 + byte % 6 for byte in drawn.digest(rows[name[:-4]]))
    return {name: known[name] for name in names}


def neural_model(**changes: bytes) -> bytes:
    """Return the file of the example's network, with other sections."""
    return pack_model({**example_sections(), **changes}, kind=3)


def deep_model(**changes: bytes) -> bytes:
    """Return the file of a network of four layers, with other sections."""
    return pack_model({**example_sections(DEEP_UNITS), **changes}, kind=3)


def patch_sections(units: tuple[int, ...], sizes: tuple[int, ...]) -> dict[str, bytes]:
    """Return the sections of patches, drawn by SHAKE-128."""
    n1, n2, *_ = units
    width, _, layers, hidden, _ = sizes
    shapes = dict(
        zip(
            PATCH_PRODUCTS,
            (
                (width, n1), (layers * 3 * width, width), (layers * width, width),
                (layers * hidden, width), (layers * width, hidden), (3 * n2, width),
            ),
            strict=True,
        )
    )  # fmt: skip
    drawn = struct.unpack(f"<{PERIOD}h", hashlib.shake_128(b"places").digest(2 * PERIOD))
    count = 8 * 256 * width
    # Small, so that what the first layer brings is seen beside what bytes do.
    places = [drawn[n % PERIOD] >> 4 for n in range(count)]
    known = {
        "patches": struct.pack("<5H", *sizes),
        "places": struct.pack(f"<{count}h", *places),
    }
    for name, (rows, columns) in shapes.items():
        least = 7 if name == "give" else 5
        exponents = hashlib.shake_128(f"{name}_exp".encode()).digest(rows)
        known[name] = hashlib.shake_128(name.encode()).digest(rows * columns)
        known[f"{name}_exp"] = bytes(least + byte % 4 for byte in exponents)
    return {name: known[name] for name in PATCH_SECTIONS}


def patched_sections(
    units: tuple[int, ...] = PATCHED_UNITS, sizes: tuple[int, ...] = SIZES
) -> dict[str, bytes]:
    """Return the sections of a network with patches."""
    return example_sections(units) | patch_sections(units, sizes)


def patched_model(units: tuple[int, ...] = PATCHED_UNITS) -> bytes:
    """Return the file of such a network."""
    return pack_model(patched_sections(units), kind=3)


def still_sections(sizes: tuple[int, ...] = SIZES) -> dict[str, bytes]:
    """Return those of a lawful network with patches whose numbers are zeros: its file is small."""
    kept = ("card", "ngram", "units", "patches")
    sections = patched_sections(UNITS, sizes)
    return {
        name: content if name in kept else bytes(len(content)) for name, content in sections.items()
    }


def payload(model: bytes, profile: int, content: bytes) -> bytes:
    """Return the coded content of a chunk of codec 4."""
    known = KnownSymbols(content)
    coder = Neural(read_neural_model(model), profile, len(content))
    for _ in content:
        coder.decode_byte(known)
    return bytes([profile]) + rans_store(*rans_encode(known.steps))


def shipped(name: str) -> bytes:
    """Return a model that comes with lmarc."""
    return next(path for path in model_files() if path.stem == name).read_bytes()


def adapter_sections(base: bytes) -> dict[str, bytes]:
    """Return the sections of an adapter of a network."""
    known = read_neural_sections(base)
    own = {
        "card": b'{"name": "example of an adapter"}',
        "base": hashlib.sha256(base).digest(),
        "ngram": example_model(),
        "shifts": bytes([7, 9, 6]),
        "join": struct.pack("<64i", *[65_536, 30_000] * 32),
        "join_rate": struct.pack("<i", 200),
    }
    widths = {"last": 2, "second_last": 2, "low_bias": 2, "high": 1, "low": 1}
    for section, width in (widths | ({"upper": 1} if "upper" in known else {})).items():
        drawn = hashlib.shake_128(b"adapter " + section.encode())
        # Large ones for a few, so that both ends of the types are passed; most stay as they are.
        differences = drawn.digest(len(known[section]) // width)
        own[section] = bytes(0 if byte % 64 else byte for byte in differences)
    names = DEEP_ADAPTER_SECTIONS if "upper" in known else ADAPTER_SECTIONS
    return {section: own.get(section, b"") for section in names}


def adapter(name: str = "lmarc-neural-1", /, **changes: bytes) -> bytes:
    """Return the file of the example's adapter, with other sections."""
    return pack_model({**adapter_sections(shipped(name)), **changes}, kind=7)


def deep_adapter(**changes: bytes) -> bytes:
    """Return one of a network of four layers."""
    return adapter("lmarc-neural-2", **changes)


def archive(model: bytes, content: bytes, coded: bytes, kind: int = 3) -> bytes:
    """Return an archive of one member with a payload."""
    builder = Builder()
    builder.model(model, kind)
    builder.group(
        [file(b"text", content)],
        [Chunk(content, NEURAL, coded, model_slot=0, content_class=1)],
        [Piece(0, 0, 0, len(content))],
    )
    return builder.finish()


def example() -> bytes:
    """A chunk of text and one network."""
    content = EXAMPLE_TEXT * 3 + bytes(range(256))
    return archive(neural_model(), content, payload(neural_model(), 0, content))


def deep() -> bytes:
    """A chunk of text and a network of four layers."""
    content = EXAMPLE_TEXT * 3 + bytes(range(256))
    return archive(deep_model(), content, payload(deep_model(), 0, content))


def patched() -> bytes:
    """A chunk of text and bytes of all kinds, and a network of three layers with patches."""
    content = PATCHED_TEXT + bytes(range(256))
    return archive(patched_model(), content, payload(patched_model(), 0, content))


def example_adapter() -> bytes:
    """A chunk of text, and what differs from the network that comes with lmarc."""
    content = EXAMPLE_TEXT[:48] + bytes(range(0, 256, 16))
    return archive(adapter(), content, payload(adapter(), 0, content), 7)


def example_deep_adapter() -> bytes:
    """A chunk of text, and what differs from a network of four layers that comes with lmarc."""
    content = EXAMPLE_TEXT[:24] + bytes(range(0, 256, 32))
    return archive(deep_adapter(), content, payload(deep_adapter(), 0, content), 7)


def with_model(model: bytes, kind: int = 3) -> bytes:
    """Return an archive whose payload no model decodes, with a model."""
    return archive(model, EXAMPLE_TEXT, bytes(9), kind)


def with_patches(*sizes: int, **changes: bytes) -> bytes:
    """Return such an archive, its network with patches of other sizes or sections."""
    return with_model(pack_model({**still_sections(sizes or SIZES), **changes}, kind=3))


def without_sections(*names: str) -> bytes:
    """Return such an archive, its network with patches without some sections."""
    sections = still_sections()
    return with_model(
        pack_model({name: sections[name] for name in sections if name not in names}, kind=3)
    )


def patches_before_join() -> bytes:
    """Return such an archive, its network with sections in another order."""
    sections = still_sections()
    for name in ("join", "join_rate"):
        sections[name] = sections.pop(name)
    return with_model(pack_model(sections, kind=3))


def adapter_with_patches() -> bytes:
    """Return such an archive, with an adapter that has sections of patches."""
    own = adapter_sections(shipped("lmarc-neural-1")) | {"last": b"", "second_last": b""}
    return with_model(pack_model(own | patch_sections(UNITS, SIZES), kind=7), 7)


def with_adapter(**changes: bytes) -> bytes:
    """Return an archive whose payload no model decodes, with an adapter of other sections."""
    return with_model(adapter(**{"last": b"", "second_last": b"", **changes}), 7)


def with_payload(coded: bytes) -> bytes:
    """Return an archive with another payload."""
    return archive(neural_model(), EXAMPLE_TEXT, coded)


def ngram_digest() -> bytes:
    """Return the SHA-256 of the n-gram model that comes with lmarc."""
    return hashlib.sha256(shipped("lmarc-ngram-1")).digest()


def flipped() -> bytes:
    """Return a payload with one bit changed."""
    coded = bytearray(payload(neural_model(), 0, EXAMPLE_TEXT))
    coded[3] ^= 1
    return bytes(coded)


CORRUPT, MODEL = "CorruptError", "ModelError"

GOOD: dict[str, Callable[[], bytes]] = {
    "neural-example": example,
    "neural-deep": deep,
    "neural-patched": patched,
    "adapter-example": example_adapter,
    "adapter-deep": example_deep_adapter,
}

BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "adapter-upper": (MODEL, lambda: with_model(deep_adapter(upper=bytes(5)), 7)),
    "adapter-layers": (
        MODEL,
        lambda: with_adapter(base=hashlib.sha256(shipped("lmarc-neural-2")).digest()),
    ),
    "neural-flipped": (CORRUPT, lambda: with_payload(flipped())),
    "neural-profile": (CORRUPT, lambda: with_payload(b"\7" + bytes(9))),
    "neural-units": (MODEL, lambda: with_model(neural_model(units=struct.pack("<2H", 16, 24)))),
    "neural-units-zero": (MODEL, lambda: with_model(neural_model(units=bytes(4)))),
    "neural-weights": (MODEL, lambda: with_model(neural_model(inner=bytes(16)))),
    "neural-exponent": (MODEL, lambda: with_model(neural_model(high_exp=b"\x0b" * 16))),
    "neural-rate": (MODEL, lambda: with_model(neural_model(join_rate=struct.pack("<i", 4096)))),
    "neural-base": (MODEL, lambda: with_model(neural_model(ngram=b"no model of any kind"))),
    "neural-layers-two": (
        MODEL,
        lambda: with_model(neural_model(units=struct.pack("<3H", *UNITS, 2))),
    ),
    "neural-layers-nine": (
        MODEL,
        lambda: with_model(deep_model(units=struct.pack("<3H", 32, 16, 9))),
    ),
    "neural-upper": (MODEL, lambda: with_model(deep_model(upper=bytes(3 * 16 * 16)))),
    "neural-upper-missing": (
        MODEL,
        lambda: with_model(neural_model(units=struct.pack("<3H", *UNITS, 3))),
    ),
    "patches-width": (MODEL, lambda: with_patches(24, 1, 1, 16, 16)),
    "patches-width-large": (MODEL, lambda: with_patches(528, 1, 1, 16, 16)),
    "patches-width-zero": (MODEL, lambda: with_patches(0, 1, 1, 16, 16)),
    "patches-heads": (MODEL, lambda: with_patches(32, 3, 1, 16, 16)),
    "patches-heads-small": (MODEL, lambda: with_patches(32, 4, 1, 16, 16)),
    "patches-heads-none": (MODEL, lambda: with_patches(32, 0, 1, 16, 16)),
    "patches-layers": (MODEL, lambda: with_patches(16, 1, 17, 16, 16)),
    "patches-layers-none": (MODEL, lambda: with_patches(16, 1, 0, 16, 16)),
    "patches-hidden": (MODEL, lambda: with_patches(16, 1, 1, 24, 16)),
    "patches-hidden-large": (MODEL, lambda: with_patches(16, 1, 1, 4112, 16)),
    "patches-window": (MODEL, lambda: with_patches(16, 1, 1, 16, 24)),
    "patches-window-large": (MODEL, lambda: with_patches(16, 1, 1, 16, 528)),
    "patches-window-zero": (MODEL, lambda: with_patches(16, 1, 1, 16, 0)),
    "patches-numbers": (MODEL, lambda: with_patches(patches=struct.pack("<4H", *SIZES[:4]))),
    "patches-places": (MODEL, lambda: with_patches(places=bytes(2 * 7 * 256 * 32))),
    "patches-enter": (MODEL, lambda: with_patches(enter=bytes(32 * 32))),
    "patches-enter-exponent": (MODEL, lambda: with_patches(enter_exp=b"\x0b" * 32)),
    "patches-attend": (MODEL, lambda: with_patches(attend=bytes(3 * 32 * 32))),
    "patches-widen-exponent": (MODEL, lambda: with_patches(widen_exp=b"\x0b" * 96)),
    "patches-give": (MODEL, lambda: with_patches(give=bytes(16 * 32))),
    "patches-give-exponent": (MODEL, lambda: with_patches(give_exp=b"\x0b" * 96)),
    "patches-missing": (MODEL, lambda: without_sections("patches")),
    "patches-missing-last": (MODEL, lambda: without_sections("give_exp")),
    "patches-alone": (MODEL, lambda: without_sections(*PATCH_SECTIONS[1:])),
    "patches-order": (MODEL, patches_before_join),
    "patches-adapter": (MODEL, adapter_with_patches),
    "adapter-base": ("ModelNotFoundError", lambda: with_adapter(base=bytes(32))),
    "adapter-base-ngram": (MODEL, lambda: with_adapter(base=ngram_digest())),
    "adapter-base-size": (MODEL, lambda: with_adapter(base=bytes(31))),
    "adapter-difference": (MODEL, lambda: with_adapter(inner=bytes(16))),
    "adapter-join": (MODEL, lambda: with_adapter(join=b"")),
    "adapter-kind": (MODEL, lambda: with_model(adapter(last=b"", second_last=b""), 3)),
    "adapter-rate": (MODEL, lambda: with_adapter(join_rate=struct.pack("<i", 4096))),
    "adapter-section": (MODEL, lambda: with_model(pack_model({"card": b"{}"}, kind=7), 7)),
    "adapter-shifts": (MODEL, lambda: with_adapter(shifts=bytes([7, 16, 6]))),
}
