"""The archives of `fixtures` with chunks of codec 5, lawful and unlawful, from plain structs.

Nothing of `lmarc` is imported: the encoder is the reference decoder fed with known symbols.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence

from tools.craft import Builder, Chunk, Piece, file
from tools.craft_ngram import (
    EXAMPLE_TEXT,
    KnownSymbols,
    Row,
    pack_model,
    place,
    profile_sections,
    rans_encode,
    rans_store,
)
from tools.reference_decoder import (
    SUBWORD_SECTIONS,
    Subword,
    TokenContexts,
    hash_of,
    key_of,
    read_subword_model,
)

SUBWORD = 5
SHAPE = (16, 1, 2, 32, 16)  # width, heads, layers, hidden, window
PIECES = (b"one", b", ", b" two", b";\n", b"two;", b"e, t", b"\xc3\xa9 ", b"One two")
TOKENS = tuple(
    sorted(
        [bytes([byte]) for byte in range(256)] + list(PIECES),
        key=lambda token: hashlib.sha256(token).digest(),
    )
)
DRAWN = 64  # bytes that weights repeat, so that the file is small


def rows_of(text: Sequence[int]) -> list[Row]:
    """Return a row for each static context of some tokens and salt, in the order they are met."""
    contexts = TokenContexts(list(TOKENS))
    rows: dict[tuple[int, int], Row] = {}
    for token in text:
        keys = [key_of(raw) for raw in contexts.raw_keys()]
        for level, salt in enumerate((0, 1 + (token >> 8), 17 + (token >> 4))):
            symbol = token >> 8 - 4 * level & 15
            for lane in Subword.static_lanes:
                row = (keys[lane], hash_of(keys[lane], salt), [6] * 16)
                rows.setdefault((keys[lane], salt), row)[2][symbol] = 1
        contexts.take(token)
    return list(rows.values())


def cut(content: bytes) -> list[int]:
    """Return the tokens of some bytes: at each place the longest."""
    numbers = {token: number for number, token in enumerate(TOKENS)}
    found, at = [], 0
    while at < len(content):
        size = next(n for n in range(8, 0, -1) if content[at : at + n] in numbers)
        found.append(numbers[content[at : at + size]])
        at += size
    return found


def example_sections() -> dict[str, bytes]:
    """Return the sections of a small model, its weights drawn by SHAKE-128."""
    width, _, layers, hidden, _ = SHAPE
    values = {"sets": [7864] * (432 * 16), "bytes": [1311] * (2304 * 16), "confidences": [0] * 768}
    known = {
        "card": b'{"name": "example"}',
        "sizes": bytes(map(len, TOKENS)),
        "tokens": b"".join(TOKENS),
        "shape": struct.pack("<5H", *SHAPE),
        "embedding": drawn("embedding", len(TOKENS) * width),
        "join": struct.pack("<96i", *[65_536, 30_000] * 48),
        "join_rate": struct.pack("<i", 40),
        **place(rows_of(cut(EXAMPLE_TEXT[:20])), 5),
        **profile_sections(),
        **{name: struct.pack(f"<{len(v)}i", *v) for name, v in values.items()},
    }
    shapes = {
        "attend": (layers * 3 * width, width), "merge": (layers * width, width),
        "widen": (layers * hidden, width), "narrow": (layers * width, hidden),
        "first": (16, width), "second": (256, width), "third": (4096, width),
    }  # fmt: skip
    for name, (rows, columns) in shapes.items():
        known[name] = drawn(name, rows * columns)
        known[f"{name}_exp"] = bytes(5 + byte % 4 for byte in drawn(f"{name}_exp", rows))
    return {name: known[name] for name in SUBWORD_SECTIONS}


def drawn(name: str, count: int) -> bytes:
    """Return bytes drawn for a name, over and over."""
    some = hashlib.shake_128(name.encode()).digest(DRAWN - 3)
    return (some * (count // len(some) + 1))[:count]


def subword_model(**changes: bytes) -> bytes:
    """Return the file of the example's model, with other sections."""
    return pack_model({**example_sections(), **changes}, kind=5)


class KnownTokens(KnownSymbols):
    """Stands for words whose tokens are known, and keeps what it is asked."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__(b"")
        self.symbols = iter([token >> shift & 15 for token in tokens for shift in (8, 4, 0)])


def payload(model: bytes, profile: int, content: bytes, tokens: Sequence[int]) -> bytes:
    """Return the coded tokens of a chunk of codec 5."""
    known = KnownTokens(tokens)
    coder = Subword(read_subword_model(model), profile, len(content))
    for _ in tokens:
        coder.decode_token(known)
    return bytes([profile]) + rans_store(*rans_encode(known.steps))


def archive(model: bytes, content: bytes, coded: bytes) -> bytes:
    """Return an archive of one member with a payload."""
    builder = Builder()
    builder.model(model, 5)
    builder.group(
        [file(b"text", content)],
        [Chunk(content, SUBWORD, coded, model_slot=0, content_class=1)],
        [Piece(0, 0, 0, len(content))],
    )
    return builder.finish()


def example() -> bytes:
    """A chunk of text and one model."""
    content = EXAMPLE_TEXT * 3 + bytes(range(256))
    model = subword_model()
    return archive(model, content, payload(model, 0, content, cut(content)))


def bytewise() -> bytes:
    """A chunk that is cut into single bytes where longer tokens would do."""
    model = subword_model()
    tokens = [TOKENS.index(bytes([byte])) for byte in EXAMPLE_TEXT]
    return archive(model, EXAMPLE_TEXT, payload(model, 0, EXAMPLE_TEXT, tokens))


def with_model(model: bytes) -> bytes:
    """Return an archive whose payload no model decodes, with a model."""
    return archive(model, EXAMPLE_TEXT, bytes(9))


def with_payload(coded: bytes, content: bytes = EXAMPLE_TEXT) -> bytes:
    """Return an archive with another payload."""
    return archive(subword_model(), content, coded)


def flipped() -> bytes:
    """Return a payload with one bit changed."""
    coded = bytearray(payload(subword_model(), 0, EXAMPLE_TEXT, cut(EXAMPLE_TEXT)))
    coded[3] ^= 1
    return bytes(coded)


def beyond() -> bytes:
    """Return an archive whose last token has more bytes than are left."""
    tokens = [*cut(b"one"), TOKENS.index(b"One two")]
    return with_payload(payload(subword_model(), 0, b"oneOne", tokens), b"oneOne")


def unknown() -> bytes:
    """Return an archive with a token that the model does not have."""
    model = read_subword_model(subword_model())
    known = KnownTokens([4095])
    coder = Subword(model, 0, 1)
    coder.own = type(model)([*model.tokens, *[b""] * 4096], *list(vars(model).values())[1:])
    coder.tokens.newline += [False] * 4096
    coder.tokens.separator += [False] * 4096
    coder.decode_token(known)
    return with_payload(b"\0" + rans_store(*rans_encode(known.steps)), b"x")


def shape(*numbers: int) -> bytes:
    """Return a section shape."""
    return struct.pack(f"<{len(numbers)}H", *numbers)


CORRUPT, MODEL = "CorruptError", "ModelError"

GOOD: dict[str, Callable[[], bytes]] = {
    "subword-example": example, "subword-bytewise": bytewise
}  # fmt: skip

BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "subword-flipped": (CORRUPT, lambda: with_payload(flipped())),
    "subword-profile": (CORRUPT, lambda: with_payload(b"\7" + bytes(9))),
    "subword-beyond": (CORRUPT, beyond),
    "subword-unknown": (CORRUPT, unknown),
    "subword-shape": (MODEL, lambda: with_model(subword_model(shape=shape(24, 1, 2, 32, 16)))),
    "subword-heads": (MODEL, lambda: with_model(subword_model(shape=shape(16, 2, 2, 32, 16)))),
    "subword-layers": (MODEL, lambda: with_model(subword_model(shape=shape(16, 1, 0, 32, 16)))),
    "subword-weights": (MODEL, lambda: with_model(subword_model(merge=bytes(16)))),
    "subword-exponent": (MODEL, lambda: with_model(subword_model(first_exp=b"\x0b" * 16))),
    "subword-rate": (MODEL, lambda: with_model(subword_model(join_rate=struct.pack("<i", 4096)))),
    "subword-tokens": (MODEL, lambda: with_model(subword_model(tokens=bytes(16)))),
    "subword-twice": (
        MODEL,
        lambda: with_model(subword_model(tokens=b"".join((TOKENS[0][:1], *TOKENS[1:-1], b"xx")))),
    ),
    "subword-sizes": (MODEL, lambda: with_model(subword_model(sizes=bytes(len(TOKENS))))),
}
