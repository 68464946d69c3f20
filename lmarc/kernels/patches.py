"""Patches: a Transformer that steps once a word or so, and conditions the network's second layer.

spec/v1/neural.md, section 4.7.
"""

from __future__ import annotations

from typing import NamedTuple

from . import products, transformer
from ._jit import I16Array, I32Array, I64Array, inlined, integer, optional
from ._vector import load_i16, load_i32, maximum, minimum, splat, store_i16, store_i32

LONGEST = 8  # bytes of a patch


class Patches(NamedTuple):
    """Weights, read-only."""

    # (LONGEST, 256, width) flattened, in units of 2**-11: what bytes bring by their place
    places: I16Array
    # Products of n1 inputs and width outputs, and of width inputs and 3 n2 outputs, as those of
    # `network`; the scales of `give` have the units of the layers' sums
    enter: I16Array
    enter_scales: I32Array
    transformer: transformer.Transformer
    give: I16Array
    give_scales: I32Array


class Memory(NamedTuple):
    """The state of C chunks, and the step's own arrays for R rows."""

    # Of C sequences and R rows
    transformer: transformer.Memory
    # (C,), (C, LONGEST), (C,) and (C, 3 n2): bytes of the patch that has not ended, how many
    # patches have, and what the second layer is given of them
    lengths: I64Array
    bytes: I64Array
    counts: I64Array
    given: I32Array
    # (R,): the rows in which a patch ends
    ended: I64Array
    # (R, n1): what leaves the first layer in those rows, and the same in pairs
    first: I16Array
    first_pairs: I32Array
    # (R, max(n1, width) / 4) and (R,): inputs as `byte_products` takes them
    quads: I32Array
    starts: I32Array
    # (R, max(width, 3 n2))
    sums: I32Array


@optional
def reset(memory: Memory) -> None:
    """The state before the first byte of all chunks."""
    memory.lengths[:] = 0
    memory.counts[:] = 0
    memory.given[:] = 0


@optional
def condition(
    net: Patches,
    memory: Memory,
    before: I64Array,
    first_out: I16Array,
    sums: I32Array,
    at: int,
    rows: int,
    along: int,
) -> None:
    """Take in a byte of each row, and add what patches give to the sums of its second layer.

    Parameters
    ----------
    before : int64, shape (R, 2), flattened
        The byte, and the one before that.
    first_out : int16, shape (R, n1), flattened
        What leaves the first layer.
    sums : int32, shape (R, N), flattened
        Changed: 3 n2 from `at` on in each row.
    rows, along : int
        As for `network.step`.
    """
    n_given = len(net.give_scales)
    stride = len(sums) // (len(before) // 2)
    count = _cut(net, memory, before, first_out, rows, along)
    if count > 0:
        _step(net, memory, count)
    done = 0
    for row in range(rows):
        own = (1 - along) * row * n_given
        if done < count and integer(memory.ended[done]) == row:
            for unit in range(0, n_given, 16):
                store_i32(memory.given, own + unit, load_i32(memory.sums, done * n_given + unit))
            done += 1
        to = row * stride + at
        for unit in range(0, n_given, 16):
            more = load_i32(memory.given, own + unit)
            store_i32(sums, to + unit, load_i32(sums, to + unit) + more)


@inlined
def parts_words(byte: int) -> bool:
    """Whether a byte is ASCII, and no letter and no digit."""
    lower = byte | 0x20
    in_word = 0x61 <= lower <= 0x7A or 0x30 <= byte <= 0x39 or byte >= 0x80
    return not in_word


@inlined
def _cut(
    net: Patches, memory: Memory, before: I64Array, first_out: I16Array, rows: int, along: int
) -> int:
    """Find the rows in which a patch ends, and write down what the Transformer takes of them.

    That is what leaves the first layer there, and to `sums` what the patch's bytes bring. Returns
    how many rows there are.
    """
    width = integer(net.transformer.sizes[transformer.WIDTH])
    n1 = len(first_out) // (len(before) // 2)
    count = 0
    for row in range(rows):
        chunk = (1 - along) * row
        byte = integer(before[2 * row])
        length = integer(memory.lengths[chunk])
        memory.bytes[LONGEST * chunk + length] = byte
        length += 1
        word_ends = parts_words(byte) and not parts_words(integer(before[2 * row + 1]))
        if word_ends or length == LONGEST:
            for at in range(0, width, 16):
                total = splat(0)
                for k in range(length):
                    place = 256 * k + integer(memory.bytes[LONGEST * chunk + k])
                    total = total + load_i16(net.places, width * place + at)
                store_i32(memory.sums, width * count + at, total * 64)
            for at in range(0, n1, 16):
                store_i16(memory.first, n1 * count + at, load_i16(first_out, n1 * row + at))
            memory.ended[count] = row
            memory.transformer.sequences[count] = chunk
            memory.transformer.positions[count] = integer(memory.counts[chunk])
            memory.counts[chunk] += 1
            count += 1
            length = 0
        memory.lengths[chunk] = length
    return count


@inlined
def _step(net: Patches, memory: Memory, count: int) -> None:
    """Take so many patches through the Transformer, and write what they give to `sums`."""
    width = integer(net.transformer.sizes[transformer.WIDTH])
    moved = memory.transformer
    n1 = len(memory.first) // len(memory.ended)
    products.multiply(
        net.enter, net.enter_scales, memory.first, memory.first_pairs, n1, memory.quads,
        memory.starts, memory.sums, count, 1,
    )  # fmt: skip
    for at in range(0, count * width, 16):
        # Rounded so that nothing overflows.
        value = ((load_i32(memory.sums, at) >> 6) + 1) >> 1
        store_i16(moved.stream, at, minimum(maximum(value, splat(-32767)), splat(32767)))
    transformer.step(net.transformer, moved, count)
    products.multiply(
        net.give, net.give_scales, moved.normed, moved.normed_pairs, width, memory.quads,
        memory.starts, memory.sums, count, 0,
    )  # fmt: skip
