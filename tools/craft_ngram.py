"""Make n-gram models and payloads from plain numbers; nothing of `lmarc` is imported.

The encoder is the reference decoder fed with symbols that are known: `spec/v1/ngram.md`, section
10, and `spec/v1/entropy-coding.md`, section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

import zstandard

from tools.reference_decoder import (
    STATIC_LANES,
    Ngram,
    NgramContexts,
    below_and_text,
    hash_of,
    key_of,
    read_ngram_model,
)
from tools.reference_decoder import KnownSymbols as TextSymbols

Row = tuple[int, int, list[int]]  # key, hash, levels
Step = tuple[int, int]  # cumfreq, freq

EXAMPLE_TEXT = b"one, two;\none, two;\nOne two; two\xc3\xa9 one, two;\none, too"


class KnownSymbols(TextSymbols):
    """Stands for words whose symbols are known, and keeps what it is asked."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.steps: list[Step] = []

    def decode(self, freqs: list[int]) -> int:
        """Return the next symbol."""
        symbol = super().decode(freqs)
        self.steps.append((sum(freqs[:symbol]), freqs[symbol]))
        return symbol


def steps_of(model: bytes, profile: int, content: bytes) -> list[Step]:
    """Return cumfreq and freq of each symbol of a chunk."""
    below, text = below_and_text(model)
    known = KnownSymbols(content)
    coder = Ngram(read_ngram_model(below), profile, len(text) + len(content))
    coder.prime(text)
    for _ in content:
        coder.decode_byte(known)
    return known.steps


def rans_encode(steps: Sequence[Step]) -> tuple[int, list[int]]:
    """Return the state and the words that decode to the symbols of `steps`."""
    x = 0
    words: list[int] = []
    for cumfreq, freq in reversed(steps):
        if x >= freq << 47:
            words.append(x & 0xFFFFFFFF)
            x >>= 32
        x = (x // freq << 16) + cumfreq + x % freq
    return x, words[::-1]


def rans_store(state: int, words: Sequence[int]) -> bytes:
    """Return State and Words as they are stored."""
    size = max(5, -(-state.bit_length() // 8))
    return state.to_bytes(size, "big") + struct.pack(f"<{len(words)}I", *words)


def payload(model: bytes, profile: int, content: bytes) -> bytes:
    """Return the coded content of a chunk of codec 3."""
    return bytes([profile]) + rans_store(*rans_encode(steps_of(model, profile, content)))


def primed_model(below: bytes, text: bytes, **fields: int) -> bytes:
    """Return the file of a primed model; `below` is the file of the model below, or its SHA-256."""
    sections = {"card": b'{"name": "primed example"}', "below": below, "text": text}
    return pack_model(sections, **{"kind": 8, **fields})


def rows_of(text: bytes) -> Iterator[Row]:
    """Yield a row for each static context of `text` and salt, in the order they are met."""
    contexts = NgramContexts()
    rows: dict[tuple[int, int], Row] = {}
    for byte in text:
        keys = [key_of(raw) for raw in contexts.raw_keys()]
        for salt, symbol in ((0, byte >> 4), (1 + (byte >> 4), byte & 15)):
            for lane in STATIC_LANES:
                row = (keys[lane], hash_of(keys[lane], salt), [6] * 16)
                rows.setdefault((keys[lane], salt), row)[2][symbol] = 1
        contexts.take(byte)
    yield from rows.values()


def place(rows: Iterable[Row], bucket_count: int) -> dict[str, bytes]:
    """Return the sections counts, spills, tags and rows (model-file.md, section 5.3)."""
    buckets: list[list[tuple[int, list[int]]]] = [[] for _ in range(bucket_count)]
    spills = [0] * bucket_count

    def has(bucket: int, tag: int) -> bool:
        return any(tag == other for other, _ in buckets[bucket])

    for key, hash_, levels in rows:
        tag = hash_ & 0xFFFF or 1
        home, second = key * bucket_count >> 32, hash_ * bucket_count >> 32
        if has(home, tag):
            continue
        if len(buckets[home]) < 6:
            buckets[home].append((tag, levels))
        elif len(buckets[second]) < 6 and not has(second, tag):
            buckets[second].append((tag, levels))
            spills[home] |= 1 << (tag & 31)
    used = [row for bucket in buckets for row in bucket]
    return {
        "counts": bytes(map(len, buckets)),
        "spills": struct.pack(f"<{bucket_count}I", *spills),
        "tags": struct.pack(f"<{len(used)}H", *(tag for tag, _ in used)),
        "rows": b"".join(
            bytes(low | high << 4 for low, high in zip(levels[::2], levels[1::2], strict=True))
            for _, levels in used
        ),
    }


def profile_sections(profile_count: int = 1) -> dict[str, bytes]:
    """Return the sections of profiles that nobody trained, all the same."""
    counts = [min(count, 12) for count in range(64)]
    rates = [32_768 // (count + 2) for count in counts] + [
        65_280 // (count + 2) for count in counts
    ]
    one = {
        "rates": rates,
        "limits": [12] * 16,
        "mixer_rates": [64] * 32,
        "sets": [7864] * (288 * 16),
        "bytes": [1311] * (3 * 512 * 16),
        "confidences": [0] * (2 * 16 * 16),
        "hits": [60_000] * 32,
    }
    return {
        name: struct.pack(f"<{len(values)}i", *values) * profile_count
        for name, values in one.items()
    }


def pack_model(sections: Mapping[str, bytes], **fields: int) -> bytes:
    """Return a model file; `fields` override those of its header."""
    frames = [zstandard.ZstdCompressor(level=19).compress(data) for data in sections.values()]
    header = struct.pack(
        "<8sHHI",
        bytes.fromhex("8d4c4d4d4f440d0a"),
        fields.get("version", 1),
        fields.get("kind", 2),
        fields.get("section_count", len(sections)),
    )
    table = b"".join(
        struct.pack("<16sQQ", name.encode(), len(frame), len(data))
        for (name, data), frame in zip(sections.items(), frames, strict=True)
    )
    return header + table + b"".join(frames)


def example_sections() -> dict[str, bytes]:
    """Return the sections of the example of `model-file.md`."""
    rows = list(rows_of(EXAMPLE_TEXT[:20]))[9::9]
    return {"card": b'{"name": "example"}', **place(rows, 3), **profile_sections()}


def example_model() -> bytes:
    """Return the example of `model-file.md`."""
    return pack_model(example_sections())
