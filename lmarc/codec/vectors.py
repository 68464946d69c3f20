"""Fixed inputs and a small model for testing coders, made of integers and of SHAKE-128 alone.

Nothing here is trained or read from a file, so every machine makes the same: what a coder makes of
it can be compared with constants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from lmarc.kernels import blend, contexts, ngram, subword
from lmarc.kernels.shapes import N_SHAPES
from lmarc.model.multiscale import FINE, SET_ARRAYS, MultiscaleModel
from lmarc.model.multiscale import PROFILE_ARRAYS as BLEND_ARRAYS
from lmarc.model.neural import NeuralModel, shapes
from lmarc.model.ngram import PROFILE_ARRAYS, NgramModel, thread_scratch
from lmarc.model.patches import PATCHES
from lmarc.model.subword import MIXTURE_ARRAYS, SubwordModel
from lmarc.model.subword import shapes as subword_shapes
from lmarc.model.transformer import Sizes
from lmarc.model.vocabulary import LEVELS, Vocabulary

__all__ = [
    "INPUTS", "chinese", "content_of", "deep_blend", "deep_network", "noise", "patched_blend",
    "patched_network", "prose", "records", "small_blend", "small_doubts", "small_lanes",
    "small_model", "small_network", "small_subword", "table",
]  # fmt: skip

_WORDS: Final = (
    b"the a of to in and that is was it for on as with at by his from they we say her she or an "
    b"will my one all would there their what so up out if about who get which go me when make can "
    b"like time no just him know take people into year your good some could them see other than"
).split()
_HAN: Final = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对"
)
_BUCKETS: Final = 61
_TABLE_TEXT: Final = 500  # bytes of text whose contexts get rows
# What the profiles of the model start from; the second leans on its static rows.
_PROFILE: Final = {"limits": 12, "sets": 7864, "bytes": 3932, "hits": 60000}


def noise(name: str, size: int) -> bytes:
    """Return bytes that do not compress, always the same for a name."""
    return hashlib.shake_128(name.encode()).digest(size)


def _chosen(name: str, count: int) -> list[int]:
    """Return numbers of 0 to 63, small ones more often."""
    pairs = noise(name, 2 * count)
    return [
        (first & 63) * (second & 63) >> 6
        for first, second in zip(pairs[::2], pairs[1::2], strict=True)
    ]


def prose(name: str, size: int) -> bytes:
    """Return English words in sentences and lines."""
    ends = (b".\n", b", ", b"; ", b"? ")
    parts = []
    for at, number in enumerate(_chosen(name, size // 3 + 8)):
        word = _WORDS[number]
        parts.append(word.capitalize() if at % 9 == 0 else word)
        parts.append(ends[number & 3] if at % 9 == 8 else b" ")
    return b"".join(parts)[:size]


def chinese(name: str, size: int) -> bytes:
    """Return Chinese characters in UTF-8; the last may be cut."""
    numbers = _chosen(name, size // 3 + 8)
    text = "".join(
        _HAN[number % len(_HAN)] + ("\uff0c" if at % 7 == 6 else "")
        for at, number in enumerate(numbers)
    )
    return text.encode()[:size]


def records(name: str, size: int) -> bytes:
    """Return JSON, an object a line."""
    numbers = _chosen(name, size // 20 + 8)
    lines = (
        b'{"id": %d, "name": "%s", "size": %d, "ok": %s}\n'
        % (at, _WORDS[number], number * number * 37, b"true" if number & 1 else b"false")
        for at, number in enumerate(numbers)
    )
    return b"".join(lines)[:size]


def table(name: str, size: int) -> bytes:
    """Return comma-separated values."""
    numbers = _chosen(name, size // 8 + 8)
    places = (b"north", b"south", b"east", b"west")
    lines = (
        b"%d,%s,%d.%02d\n" % (1000 + at, places[number & 3], number, number * 7 % 100)
        for at, number in enumerate(numbers)
    )
    return b"".join(lines)[:size]


def _inputs() -> dict[str, tuple[Any, int]]:
    kinds = {
        "prose": prose, "json": records, "csv": table, "chinese": chinese, "noise": noise,
        "zeros": lambda name, size: bytes(size),
    }  # fmt: skip
    sizes = {"prose": (1, 3, 4095, 65_536), "zeros": (4096,)}
    return {
        f"{kind}-{size}": (make, size)
        for kind, make in kinds.items()
        for size in sizes.get(kind, (8192,))
    }


INPUTS: Final = _inputs()


def content_of(name: str) -> bytes:
    """Return one of INPUTS."""
    make, size = INPUTS[name]
    content: bytes = make(name, size)
    return content


@cache
def small_model() -> NgramModel:
    """Return a model with rows for some words and with two profiles."""
    return NgramModel(_buckets(prose("model", _TABLE_TEXT)), _profiles(PROFILE_ARRAYS))


def _profiles(shapes: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    """Return two profiles."""
    arrays = {}
    for name, (_, shape) in shapes.items():
        arrays[name] = np.full((2, *shape), _PROFILE.get(name, 0), np.int32)
    visits = np.arange(ngram.N_COUNTS)
    share = np.minimum(65_536 * 5 // (5 * visits + 6), 60_000)
    arrays["rates"][:] = [share // 2, share * 255 // 256]
    arrays["mixer_rates"][:] = 48 + (96 >> np.arange(32) // 2)
    arrays["sets"][1] = 5000
    arrays["sets"][1, :, ngram.FIRST_STATIC :] = 12_000
    return arrays


@cache
def small_network() -> NeuralModel:
    """Return a network of 32 and 16 units over `small_model`, its weights drawn by a hash."""
    return NeuralModel(_drawn(shapes(32, 16)), small_model())


@cache
def deep_network() -> NeuralModel:
    """Return another of four layers."""
    return NeuralModel(_drawn(shapes(32, 16, 4)), small_model())


@cache
def patched_network() -> NeuralModel:
    """Return another of three layers, the second of which is given what patches make."""
    sizes = Sizes(width=32, heads=2, layers=2, hidden=48, window=16)
    arrays = _drawn(
        {name: kind for name, kind in shapes(32, 16, 3, sizes).items() if name != PATCHES}
    )
    arrays[PATCHES] = np.array(sizes, np.int32)
    # Of the size that they have in networks that are trained: else a byte says all, and what the
    # layers give is lost in it, or the second layer takes nothing but what it is given.
    arrays["places"] >>= 4
    arrays["give_exp"] += 2
    return NeuralModel(arrays, small_model())


@cache
def small_subword() -> SubwordModel:
    """Return a subword model of some 400 tokens, with rows for some words and two profiles."""
    pieces = [word + end for word in _WORDS for end in (b"", b" ")] + [b'": ', b"\xe7\x9a\x84"]
    tokens = [bytes((byte,)) for byte in range(256)]
    tokens += [piece for piece in pieces if len(piece) > 1]
    vocabulary = Vocabulary(sorted(tokens, key=lambda token: noise(token.hex(), 8)))
    text = vocabulary.cut(prose("model", 4 * _TABLE_TEXT))
    state = thread_scratch().state(11, 13)
    rows: dict[tuple[int, int], set[int]] = {}
    symbols = (text.astype(np.int64)[:, None] >> 4 * np.arange(LEVELS)[::-1] & 15).reshape(-1)
    for lane in subword.STATIC_LANES:
        ids = np.empty(LEVELS * len(text), np.int64)
        subword.rows_of(state, vocabulary.flags, text, lane, ids)
        for number, symbol in zip(ids.tolist(), symbols.tolist(), strict=True):
            rows.setdefault((number & contexts.MASK_32, number >> 32), set()).add(symbol)
    mixture = NgramModel(_filled(rows), _profiles(MIXTURE_ARRAYS))
    sizes = Sizes(width=32, heads=2, layers=2, hidden=48, window=32)
    arrays = _drawn(subword_shapes(sizes, len(vocabulary.tokens)))
    return SubwordModel(vocabulary, mixture, sizes, arrays)


def _drawn(shapes: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    """Return a network's numbers, drawn by a hash."""
    arrays = {}
    for name, (dtype, shape) in shapes.items():
        count = int(np.prod(shape))
        numbers = np.frombuffer(noise(name, 2 * count), "<i2").astype(np.int32).reshape(shape)
        if name.endswith("_exp"):
            numbers = 5 + numbers % 4
        elif dtype == "i1":
            numbers = numbers % 256 - 128
        elif name == "join":
            numbers = np.full(shape, [65_536, 16_384])
        elif name == "join_rate":
            numbers = np.array([24])
        arrays[name] = numbers.astype(np.int32)
    return arrays


@cache
def small_blend() -> MultiscaleModel:
    """Return a blend over `small_network`, some of its weights drawn by a hash."""
    return MultiscaleModel(_blend_arrays(BLEND_ARRAYS, N_SHAPES, 1), small_network())


@cache
def deep_blend() -> MultiscaleModel:
    """Return one over `deep_network`."""
    return MultiscaleModel(_blend_arrays(BLEND_ARRAYS, N_SHAPES, 1), deep_network())


@cache
def patched_blend() -> MultiscaleModel:
    """Return one over `patched_network`."""
    return MultiscaleModel(_blend_arrays(BLEND_ARRAYS, N_SHAPES, 1), patched_network())


@cache
def small_lanes() -> MultiscaleModel:
    """Return another with lanes of its own, and sets of weights."""
    lanes = (2, 3, 0, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15)
    return MultiscaleModel(
        _blend_arrays({**BLEND_ARRAYS, **SET_ARRAYS}, len(lanes), 1 << FINE),
        small_network(),
        lanes,
    )


@cache
def small_doubts() -> MultiscaleModel:
    """Return one that leaves to the n-gram mixture what that is sure of."""
    lanes = (3, 6, 8, 13)
    arrays = _blend_arrays({**BLEND_ARRAYS, **SET_ARRAYS}, len(lanes), 1 << FINE)
    arrays["doubts"] = np.array([60_000, 45_000], np.int32)
    return MultiscaleModel(arrays, small_network(), lanes)


def _blend_arrays(
    wanted: Mapping[str, tuple[str, tuple[int, ...]]], lanes: int, one: int
) -> dict[str, Any]:
    """Return the arrays of two profiles, weights in units of 1 / (65536 one)."""
    arrays = {}
    for name, (_, shape) in wanted.items():
        count = 2 * int(np.prod(shape))
        drawn = np.frombuffer(noise(f"blend {name}", 2 * count), "<i2").astype(np.int32)
        arrays[name] = (drawn >> 3).reshape(2, *shape) * one
    for name in ("rates", "limits"):
        arrays[name] = small_model().profiles[name]
    arrays["blend_rates"] = np.tile(30 + (90 >> np.arange(32) // 2), (2, 1)).astype(np.int32)
    arrays["head_rates"] = np.array([[64_000, 40], [50_000, 200]], np.int32)
    arrays["sures"][..., lanes + blend.MIXTURE] += 60_000 * one
    arrays["sures"][..., lanes + blend.NETWORK] += 12_000 * one
    arrays["sures"][..., lanes + blend.HEAD] += 40_000 * one
    return arrays


def _buckets(text: bytes) -> Any:
    """Return buckets with a row for each context of orders 2 to 4 in `text`: uint8[n, 64]."""
    seen: dict[tuple[int, int], set[int]] = {}
    for at in range(4, len(text)):
        last = int.from_bytes(text[at - 4 : at], "big")
        for order in (2, 3, 4):
            low = last & (1 << 8 * order) - 1
            key = _mixed(low + (order - 1) * contexts.LANE_STEP & contexts.MASK_32)
            high = text[at] >> 4
            seen.setdefault((key, 0), set()).add(high)
            seen.setdefault((key, 1 + high), set()).add(text[at] & 15)
    return _filled(seen)


def _filled(seen: Mapping[tuple[int, int], set[int]]) -> Any:
    """Return buckets with a row for each key and salt: uint8[n, 64]."""
    tags = [[0] * 8 for _ in range(_BUCKETS)]
    levels = np.zeros((_BUCKETS, ngram.BUCKET_ROWS, 16), np.uint8)
    for (key, salt), symbols in seen.items():
        place = _place(key, salt, tags)
        if place is not None:
            row = [5 if symbol in symbols else 11 for symbol in range(16)]
            row[min(symbols)] = 1
            levels[place] = row
    rows = levels[:, :, 0::2] | levels[:, :, 1::2] << 4
    return np.hstack([np.array(tags, "<u2").view(np.uint8), rows.reshape(_BUCKETS, -1)])


def _mixed(key: int) -> int:
    """The key of a context: `contexts.compute_keys`, its last lines."""
    key = key * contexts.KEY_1 & contexts.MASK_32
    key = (key ^ key >> 15) * contexts.KEY_2 & contexts.MASK_32
    return key ^ key >> 13


def _place(key: int, salt: int, tags: Sequence[list[int]]) -> tuple[int, int] | None:
    """Take a slot for a row as `placing.place` does; return bucket and slot, if one is free."""
    mixed = (key + salt * contexts.SALT_STEP) * contexts.SALT_1 & contexts.MASK_32
    hash_ = mixed ^ mixed >> 16
    tag = hash_ & 0xFFFF or 1
    for bucket in (key * _BUCKETS >> 32, hash_ * _BUCKETS >> 32):
        slots = tags[bucket]
        if tag in slots[: ngram.BUCKET_ROWS]:
            return None
        if 0 in slots[: ngram.BUCKET_ROWS]:
            slot = slots.index(0)
            slots[slot] = tag
            return bucket, slot
        slots[6 + (tag >> 4 & 1)] |= 1 << (tag & 15)
    return None
