"""The last mixture: shapes, the n-gram mixture, the network and the head that learns, weighted.

spec/v1/multiscale.md, section 6.  Inputs 0 to 7 are dynamic rows of the eight keys of `shapes`, as
in spec/v1/ngram.md, section 5; 8 is the n-gram mixture, 9 the network, 10 the head; the others are
empty.  Weights are found by how sure the n-gram mixture is, by the byte before, and for each input
by its count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import contexts, head, mixture, ngram, shapes
from ._jit import (
    I16Array,
    I32Array,
    I64Array,
    U16Array,
    U32Array,
    inlined,
    integer,
)
from ._vector import (
    add_u16,
    bit_length,
    dots,
    gather,
    larger,
    largest,
    less,
    load_8,
    load_i32,
    load_words,
    lshr,
    maxima,
    minimum,
    narrow,
    one_hot_word,
    pack,
    prefetch,
    product_high,
    scatter,
    splat,
    splat_word,
    store_i32,
    store_words,
    widen,
    widen_signed,
)
from ._views import view

if TYPE_CHECKING:
    from ._vector_plain import Vector, Words

MIXTURE_INPUT, NETWORK_INPUT, HEAD_INPUT = range(8, 11)
N_SURE = 16  # bit lengths of what the n-gram mixture leaves to all other symbols
N_BYTES = 512
N_CONFIDENCES = 16
# Places in Blend.chosen: weight vectors.
SURE, BYTE = range(2)
N_CHOSEN = 2


class Tables(NamedTuple):
    """What a model says of how fast a chunk learns; read-only."""

    # (2, 64): as in ngram.Static
    rates: U16Array
    # (16,): where counts stop; 8 are used
    limits: I32Array
    # (32,): by bit length of the position
    blend_rates: I32Array
    # (2,): the head learns where the symbol's freq is below the first, and how fast
    head_rates: I32Array


class Weights(NamedTuple):
    """What a chunk learns, copied from the model's profile."""

    # (2, N_SURE, 16) flattened
    sures: I32Array
    # (N_BYTES, 16) flattened
    bytes: I32Array
    # (2, N_SURE / 2, 16, 16) flattened: half, sureness, confidence, input
    confidences: I32Array


class Blend(NamedTuple):
    """A worker's scratch memory."""

    # ((8 << bits) + 2, 16) flattened; the last two rows are uniform
    rows: U16Array
    # (8 << bits - 1,): as in ngram.State
    metas: U32Array
    # (shapes.N_CURSOR,)
    shape: I64Array
    # (R, 16) flattened: of R bytes that are looked at together
    keys: U32Array
    # (16,) each
    hashes: U32Array
    lines: U32Array
    # (16, 16) flattened
    inputs: I16Array
    # (16,) each from here on
    freqs: I32Array
    sums: I32Array
    shares: U16Array
    weights: I16Array
    at: I32Array
    sources: I32Array
    counts: U16Array
    confidences: U16Array
    trust: I32Array
    scratch: I32Array
    # (N_CHOSEN,)
    chosen: I64Array
    # [head.N_TABLES][n2 / 2][16][2]: the head's weights, and the same memory by pairs
    head: I16Array
    head_pairs: I32Array


@inlined
def start_chunk(blend: Blend) -> None:
    """The state before the first byte of a chunk."""
    blend.metas[:] = 0
    blend.head[:] = 0
    shapes.reset(blend.shape)


@inlined
def ask(blend: Blend, row: int, salt: int, bits: int) -> None:
    """Hash the keys of a row with `salt`, as in `contexts.compute_rows`, and ask for the rows."""
    contexts.compute_rows(view(blend.keys, 16 * row, 16 * row + 16), salt, blend.hashes)
    lines = lshr(load_8(blend.hashes, 0), splat(33 - bits))
    store_i32(blend.lines, 0, lines + load_8(ngram.TABLES, 0) * (1 << (bits - 1)))
    for k in range(shapes.N_SHAPES):
        line = integer(blend.lines[k])
        prefetch(blend.metas, line)
        prefetch(blend.rows, 32 * line)


@inlined
def _confidences(counts: Words, best: Words) -> Words:
    """How far to trust each row, 0 to 13; as the dynamic inputs of `ngram`."""
    steps = (
        minimum(counts, splat_word(4)) - less(splat_word(5), counts) - less(splat_word(8), counts)
    )
    some = less(splat_word(0), counts)
    confidences: Words = some & (steps * 2 - less(splat_word(ngram.SHARP), best))
    return confidences


@inlined
def predict(
    tables: Tables,
    weights: Weights,
    blend: Blend,
    freqs: Vector,
    corrections: Vector,
    scores: Vector,
    half: int,
    high: int,
    last: int,
    bits: int,
) -> None:
    """Write the joint freqs of the next symbol to `blend.freqs`, and their sums.

    Takes from the rows already what learning takes from every symbol.

    Parameters
    ----------
    freqs, corrections, scores : Vector
        Of the n-gram mixture, the network and the head.
    half, high : int
        1 and the high symbol where that is known, else 0 and anything.
    last : int
        The byte before.
    """
    counts, _ = ngram._find_dynamic(tables, blend, bits)
    store_words(blend.counts, 0, narrow(counts))
    for k in range(shapes.N_SHAPES):
        row = load_words(blend.rows, integer(blend.sources[k]))
        store_words(blend.inputs, 16 * k, mixture.log2_words(row))
        share = integer(tables.rates[integer(blend.counts[k])])
        lost = product_high(row & 0xFFFE, splat_word(share))
        store_words(blend.rows, integer(blend.at[k]), larger(row - lost, splat_word(16)))
    store_words(blend.inputs, 16 * MIXTURE_INPUT, narrow(mixture.log2(freqs)))
    store_words(blend.inputs, 16 * NETWORK_INPUT, narrow(corrections))
    store_words(blend.inputs, 16 * HEAD_INPUT, narrow(scores))
    store_i32(blend.scratch, 0, largest(freqs))
    sure = bit_length(65536 - integer(blend.scratch[0])) - 1
    confidences = _confidences(narrow(counts), maxima(blend.inputs, 0))
    places = confidences + splat_word((half * (N_SURE // 2) + (sure >> 1)) * 16)
    store_words(blend.confidences, 0, places * 16 + load_words(ngram.LANES, 0))
    blend.chosen[SURE] = 16 * (half * N_SURE + sure)
    blend.chosen[BYTE] = 16 * (last if half == 0 else 256 + (high << 4 | last >> 4))
    chosen = load_i32(weights.sures, blend.chosen[SURE])
    chosen = chosen + load_i32(weights.bytes, blend.chosen[BYTE])
    trust = gather(weights.confidences, blend.confidences)
    store_i32(blend.trust, 0, trust)
    store_words(blend.weights, 0, pack(mixture.scaled(chosen + trust)))
    joint, sums = mixture.freqs_of(blend.inputs, blend.weights)
    store_words(blend.shares, 0, joint)
    store_i32(blend.freqs, 0, widen(joint))
    store_i32(blend.sums, 0, widen(sums))


@inlined
def learn(
    tables: Tables,
    weights: Weights,
    blend: Blend,
    symbol: int,
    rate: int,
    table: int,
    pairs: I32Array,
    pair: int,
    n_pairs: int,
) -> None:
    """Move weights, rows and the head's table towards `symbol`."""
    shares = load_words(blend.shares, 0)
    error = one_hot_word(symbol, mixture.TOTAL >> 2) - ((shares + 3) >> 2)
    # Rounded to the nearest: many steps are near zero, and rounding down would drag weights along.
    steps = (((dots(blend.inputs, 0, error) + 1024) >> 11) * splat(rate) + 4096) >> 13
    mixture.move(weights.sures, blend.chosen[SURE], steps)
    mixture.move(weights.bytes, blend.chosen[BYTE], steps)
    scatter(weights.confidences, blend.confidences, load_i32(blend.trust, 0) + steps)
    for k in range(shapes.N_SHAPES):
        gain = integer(tables.rates[ngram.N_COUNTS + integer(blend.counts[k])])
        add_u16(blend.rows, integer(blend.at[k]) + symbol, gain)
    if integer(blend.freqs[symbol]) < integer(tables.head_rates[0]):
        speed = integer(tables.head_rates[1])
        head.learn(blend.head_pairs, table, pairs, pair, n_pairs, widen_signed(error), speed)
