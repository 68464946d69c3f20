"""Vector operations mean the same compiled and in plain NumPy, on any lanes."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lmarc.kernels import _vector as ops
from lmarc.kernels import _vector_plain
from lmarc.kernels._jit import PLAIN, kernel

Array = npt.NDArray[Any]
LANES = np.arange(16)


def operations(a: Any, b: Any, small: Any, shifts: Any, values: Any, out: Any, rows: Any) -> None:
    """Store what each operation makes of two vectors, one vector a row of `out`."""
    v, w = ops.load_i32(a, 0), ops.load_i32(b, 0)
    s, t = ops.load_i32(small, 0), ops.load_i32(small, 16)
    ops.store_i32(out, 0, v + w)
    ops.store_i32(out, 16, v - w)
    ops.store_i32(out, 32, v * w)
    ops.store_i32(out, 48, v & w)
    ops.store_i32(out, 64, v ^ w)
    ops.store_i32(out, 80, v + 77)
    ops.store_i32(out, 96, v - 77)
    ops.store_i32(out, 112, v * 0x2C1B3C6D)
    ops.store_i32(out, 128, v >> 5)
    ops.store_i32(out, 144, v & 0xFFFF)
    ops.store_i32(out, 160, v ^ -1)
    ops.store_i32(out, 176, v >> ops.load_i32(shifts, 0))
    ops.store_i32(out, 192, ops.lshr(v, ops.load_i32(shifts, 0)))
    ops.store_i32(out, 208, ops.minimum(v, w))
    ops.store_i32(out, 224, ops.maximum(v, w))
    ops.store_i32(out, 240, ops.mul16(s, t))
    ops.store_i32(out, 256, ops.equal(s & 3, t & 3))
    ops.store_i32(out, 272, ops.less(v, w))
    ops.store_i32(out, 288, ops.either(v, w, s))
    ops.store_i32(out, 304, ops.smaller(v, w))
    ops.store_i32(out, 320, ops.largest(v))
    ops.store_i32(out, 336, ops.splat(values[0]))
    ops.store_i32(out, 352, ops.splat_at(a, 3))
    ops.store_i32(out, 368, ops.one_hot(values[1], values[0]))
    ops.store_i32(out, 384, ops.vector_of((values[0], values[3], values[1])))
    ops.store_i32(out, 400, ops.dots(rows, 16, ops.narrow(t)))
    ops.store_i32(out, 416, ops.mix(rows, 16, rows))
    ops.store_i32(out, 432, w)
    ops.move_pairs(out, 432, v, w & 0x7F007F, 200)
    ops.store_i32(out, 448, v)
    ops.move_pairs(out, 448, v, (w & 0x7F007F) ^ -1, 255)
    out[480] = ops.total(s)
    out[482] = ops.mask_bits(s & 1)
    out[483] = ops.count_at_most(s, values[2])
    out[484] = ops.bit_length(values[3])
    out[485] = ops.bit_length(0)
    out[486] = ops.unsigned_product_high(values[3], values[4])


def word_operations(
    a: Any, b: Any, small: Any, shifts: Any, values: Any, out: Any, rows: Any
) -> None:
    """Store what each operation makes of words, sixteen a row of `out`."""
    v, w = ops.narrow(ops.load_i32(a, 0)), ops.narrow(ops.load_i32(b, 0))
    by = ops.narrow(ops.load_i32(shifts, 0)) & 15
    ops.store_i32(out, 0, ops.widen(v + w))
    ops.store_i32(out, 16, ops.widen(v - w))
    ops.store_i32(out, 32, ops.widen(v * w))
    ops.store_i32(out, 48, ops.widen(v & w))
    ops.store_i32(out, 64, ops.widen(v ^ w))
    ops.store_i32(out, 80, ops.widen((v + 77) * 50 - 137))
    ops.store_i32(out, 96, ops.widen(v >> 5))
    ops.store_i32(out, 112, ops.widen(ops.lshr(v, by)))
    ops.store_i32(out, 128, ops.widen(ops.minimum(v, w)))
    ops.store_i32(out, 144, ops.widen(ops.maximum(v, w)))
    ops.store_i32(out, 160, ops.widen(ops.larger(v, w)))
    ops.store_i32(out, 176, ops.widen(ops.equal(v & 3, w & 3)))
    ops.store_i32(out, 192, ops.widen(ops.less(v, w)))
    ops.store_i32(out, 208, ops.widen(ops.either(v, w, by)))
    ops.store_i32(out, 224, ops.widen_signed(v))
    ops.store_i32(out, 240, ops.widen(ops.pack(ops.load_i32(a, 0))))
    ops.store_i32(out, 256, ops.widen(ops.product_high(v, w)))
    ops.store_i32(out, 272, ops.widen(ops.prefix_sums(v)))
    ops.store_i32(out, 288, ops.widen(ops.splat_word(values[0])))
    ops.store_i32(out, 304, ops.widen(ops.one_hot_word(values[1], values[0])))
    ops.store_i32(out, 320, ops.widen(ops.bit_lanes(values[3])))
    ops.store_i32(out, 336, ops.widen(ops.maxima(rows, 16)))
    ops.store_i32(out, 352, ops.widen(ops.log_bits(ops.larger(v, ops.splat_word(1)))))
    out[480] = ops.total(v)


def memory(
    u16: Any, i16: Any, bytes_: Any, spread: Any, numbers: Any, places: Any, out: Any, narrow: Any
) -> None:
    """Load and store narrow lanes, find values, gather and scatter."""
    ops.store_i32(out, 0, ops.load_i16(i16, 5))
    ops.store_i32(out, 16, ops.widen(ops.load_words(u16, 5)))
    ops.store_i32(out, 32, ops.widen(ops.load_levels(bytes_, 3, -1)))
    ops.store_i32(out, 48, ops.widen(ops.load_levels(bytes_, 3, 0)))
    ops.store_i32(out, 64, ops.load_8(numbers, 3))
    ops.store_i32(out, 80, ops.dot_pairs(i16, 0, ops.load_i32(numbers, 0)))
    out[96] = ops.load_u32(bytes_, 5) >> 1
    for k in range(8):
        out[97 + k] = ops.find_tag(bytes_, 4, u16[8 + k])
    ops.store_u16(narrow, 1, ops.load_i32(numbers, 0))
    ops.store_words(narrow, 20, ops.load_words(u16, 0))
    ops.add_u16(narrow, 3, 40_000)
    ops.scatter(spread, places, ops.load_i32(numbers, 0))
    ops.scatter_8(spread, places[16:], ops.load_i32(numbers, 0))
    ops.store_i32(out, 112, ops.gather(spread, places[8:]))
    ops.store_i32(out, 128, ops.gather_8(spread, places))
    ops.store_i32(out, 144, ops.dot_quads(i16, 0, ops.load_i32(numbers, 0), ops.splat(-9)))
    ops.store_bytes(spread, 190, ops.load_i32(numbers, 0))
    ops.prefetch(u16, 2)


def plain(function: Any) -> Any:
    """Return `function` with the plain operations."""
    scope: dict[str, Any] = {**globals(), "ops": _vector_plain}
    return FunctionType(function.__code__, scope)


OPERATIONS: list[Any] = [operations, word_operations]
BOTH_MEMORY: list[Any] = [kernel(memory), plain(memory)]


def random_lanes(seed: int) -> tuple[Array, ...]:
    """Return arguments of `operations`, but `out`."""
    random = np.random.default_rng(seed)
    edges = np.array([0, 1, -1, (1 << 31) - 1, -(1 << 31), 65_535, -65_536, 1 << 24], np.int64)
    wide = random.integers(-(1 << 31), 1 << 31, 64)
    mixed = np.where(random.random(64) < 0.3, random.choice(edges, 64), wide).astype(np.int32)
    small = random.integers(-(1 << 15), 1 << 15, 32).astype(np.int32)
    shifts = random.integers(0, 32, 16).astype(np.int32)
    high = (1 << 32) - 1
    values = [int(wide[0]), seed % 16, int(small[0]), int(random.integers(0, high)), seed + 1]
    rows = random.integers(-17_408, 17_409, 16 * 18).astype(np.int16)
    return mixed[:32], mixed[32:], small, shifts, np.array(values, np.int64), rows


@pytest.mark.skipif(PLAIN, reason="Numba is disabled")
@pytest.mark.parametrize("function", OPERATIONS)
def test_compiled_operations_are_the_plain_ones(function: Any) -> None:
    both = [kernel(function), plain(function)]
    for seed in range(60):
        *arguments, rows = random_lanes(seed)
        results = []
        for one in both:
            out = np.zeros(500, np.int32)
            one(*(argument.copy() for argument in arguments), out, rows)
            results.append(out.tolist())
        assert results[0] == results[1]


@pytest.mark.skipif(PLAIN, reason="Numba is disabled")
@pytest.mark.parametrize("seed", range(20))
def test_compiled_memory_is_the_plain_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    bytes_ = random.integers(0, 256, 40).astype(np.uint8)
    u16 = random.integers(0, 1 << 16, 32).astype(np.uint16)
    u16[8 : 8 + 8] = bytes_[4:20].view(np.uint16)
    u16[8 + seed % 8] = u16[8]
    i16 = random.integers(-(1 << 15), 1 << 15, 32).astype(np.int16)
    places = np.concatenate([random.permutation(64)[:16], random.permutation(64)[:16]])
    numbers = random.integers(-(1 << 31), 1 << 31, 16).astype(np.int32)
    results = []
    for function in BOTH_MEMORY:
        out, spread = np.zeros(160, np.int32), np.zeros(200, np.int32)
        narrow = np.zeros(40, np.uint16)
        function(u16, i16, bytes_, spread, numbers, places.astype(np.uint16), out, narrow)
        results.append((out.tolist(), spread.tolist(), narrow.tolist()))
    assert results[0] == results[1]


def test_both_kinds_offer_the_same_operations() -> None:
    from lmarc.kernels import _rows_llvm, _vector_llvm

    compiled = [*_rows_llvm.__all__, *_vector_llvm.__all__]
    assert sorted(compiled) == sorted(_vector_plain.__all__)
    assert all(hasattr(ops, name) for name in _vector_plain.__all__)


def test_every_operation_is_compared() -> None:
    used = {name for function in (*OPERATIONS, memory) for name in function.__code__.co_names}
    # The first is a number, the other stores as store_u16 does.
    assert set(_vector_plain.__all__) - used == {"QUADS", "store_i16"}


def test_the_logarithms_bits_are_exact() -> None:
    values = np.arange(1, 65_536, dtype=np.uint16)
    found = [_vector_plain.log_bits(part) for part in np.array_split(values, 4096)]
    expected = [
        ((e := x.bit_length() - 1) << 12) + ((x << 12 >> e) - 4096) for x in values.tolist()
    ]
    assert np.concatenate(found).tolist() == expected


def test_packing_is_its_own_inverse() -> None:
    lanes = np.arange(16, dtype=np.int32)
    assert _vector_plain.pack(_vector_plain.pack(lanes).astype(np.int32)).tolist() == [*range(16)]
