"""The last mixture: contexts, the n-gram mixture, the network and the head that learns, weighted.

spec/v1/multiscale.md, section 6.  The first inputs, up to thirteen, are dynamic rows, as in
spec/v1/ngram.md, section 5, of those contexts of `shapes` that the model names; then come the
n-gram mixture, the network and the head. Weights are found by how sure the n-gram mixture is, by
the byte before, by more of what the byte is seen with, and for each input by its count.
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
    either,
    gather,
    larger,
    largest,
    less,
    load_i32,
    load_words,
    lshr,
    mask_bits,
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
    total,
    widen,
    widen_signed,
)
from ._views import view

if TYPE_CHECKING:
    from ._vector_plain import Vector, Words

MAX_LANES = 13
# Inputs behind the lanes.
MIXTURE, NETWORK, HEAD = range(3)
N_SURE = 16  # bit lengths of what the n-gram mixture leaves to all other symbols
N_BYTES = 512
N_CONFIDENCES = 16
# Rows of Weights.sets, from each of these on: by the byte before the last one, by two kinds of
# bytes, by how many contexts are known, by the column, by the byte above, by the kinds before
# those, and by how much was wrong of late.
SECONDS, KINDS, KNOWN, COLUMNS, ABOVES, OLDER_KINDS = 0, 512, 1024, 1152, 1280, 1792
WRONG, N_SET_ROWS = 2304, 2336
# Places in Blend.chosen: weight vectors; how wrong the last symbols were, of 65536; and, of a
# decoder, behind which byte keys stand, and the symbol that is yet to be learnt, or -1, with the
# head's table and the rate for it.
SURE, BYTE, SETS = range(3)
N_SETS = 7
RECENT = SETS + N_SETS
KEYED, SYMBOL, TABLE, PACE = range(RECENT + 1, RECENT + 5)
N_CHOSEN = RECENT + 5
# Places in Tables.plan.
N_LANES, FINE, ENOUGH, DOUBT, HISTORIES = range(5)
N_PLAN = 5


class Tables(NamedTuple):
    """What a model says of how a chunk learns; read-only."""

    # (2, 64): as in ngram.Static
    rates: U16Array
    # (16,): where counts stop, for each lane
    limits: I32Array
    # (32,): by bit length of the position
    blend_rates: I32Array
    # (2,): the head learns where the symbol's freq is below the first, and how fast
    head_rates: I32Array
    # (16,): the context of each lane
    lanes: I32Array
    # (N_PLAN,): how many lanes there are; bits that a weight has below 2**-16; the freq from which
    # on a symbol teaches no weight: else they would grow for as long as all goes well; the n-gram
    # mixture's largest freq from which on a symbol is not blended; a bit for each history in use
    plan: I32Array


class Weights(NamedTuple):
    """What a chunk learns, copied from the model's profile."""

    # (2, N_SURE, 16) flattened
    sures: I32Array
    # (N_BYTES, 16) flattened
    bytes: I32Array
    # (2, N_SURE / 2, 16, 16) flattened: half, sureness, confidence, input
    confidences: I32Array
    # (N_SET_ROWS, 16) flattened, or nothing
    sets: I32Array


class Blend(NamedTuple):
    """A worker's scratch memory, for n lanes."""

    shapes: shapes.Shapes
    # ((n << bits) + 2, 16) flattened; the last two rows are uniform
    rows: U16Array
    # ((n << bits - 1) + 16,): as in ngram.State; the last are for lanes that are not there
    metas: U32Array
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
    # (2 R,): which symbols of R bytes that are looked at together are to be blended
    doubts: I32Array
    # [head.N_TABLES][n2 / 2][16][2]: the head's weights, and the same memory by pairs
    head: I16Array
    head_pairs: I32Array


@inlined
def start_chunk(blend: Blend) -> None:
    """The state before the first byte of a chunk."""
    blend.metas[:] = 0
    blend.head[:] = 0
    blend.chosen[RECENT] = 0
    blend.chosen[KEYED] = 0
    blend.chosen[SYMBOL] = -1
    shapes.reset(blend.shapes)


@inlined
def doubtful(tables: Tables, freqs: Vector) -> bool:
    """Whether a symbol is to be blended: whether the n-gram mixture, with these freqs, doubts."""
    doubts: bool = mask_bits(less(splat(integer(tables.plan[DOUBT]) - 1), freqs)) == 0
    return doubts


@inlined
def ask(tables: Tables, blend: Blend, row: int, salt: int, bits: int) -> None:
    """Hash the keys of a row with `salt`, as in `contexts.compute_rows`, and ask for the rows."""
    n = integer(tables.plan[N_LANES])
    keys = view(blend.shapes.keys, 16 * row, 16 * row + 16)
    contexts.compute_rows(keys, salt, blend.hashes)
    lane = load_i32(shapes.LANES, 0)
    lines = lshr(load_i32(blend.hashes, 0), splat(33 - bits)) + lane * (1 << (bits - 1))
    # A lane that is not there has a line of its own behind those of all others.
    nowhere = lane + (n << (bits - 1))
    store_i32(blend.lines, 0, either(less(lane, splat(n)), lines, nowhere))
    for k in range(n):
        line = integer(blend.lines[k])
        prefetch(blend.metas, line)
        prefetch(blend.rows, 32 * line)


@inlined
def _find(tables: Tables, blend: Blend, bits: int) -> Vector:
    """Find or take a row for each lane; return the counts."""
    n = integer(tables.plan[N_LANES])
    lines = load_i32(blend.lines, 0)
    tag = load_i32(blend.hashes, 0) & ngram.TAG_MASK
    pair = gather(blend.metas, blend.lines)
    taken, pick, counts = ngram.pick_rows(pair, tag, load_i32(tables.limits, 0))
    scatter(blend.metas, blend.lines, taken)
    counts = counts & less(load_i32(shapes.LANES, 0), splat(n))
    at = (lines * 2 - pick) * 16
    store_i32(blend.at, 0, at)
    store_i32(blend.sources, 0, either(less(splat(0), counts), at, splat(16 * (n << bits))))
    return counts


@inlined
def _choose(blend: Blend, row: int, counts: Vector, half: int, high: int, sure: int) -> None:
    """Remember which weight vectors apply."""
    at = shapes.N_SEEN * row
    seen = blend.shapes.seen
    last, second = seen[at + shapes.LAST], seen[at + shapes.SECOND]
    kinds = seen[at + shapes.FOUR_KINDS]
    blend.chosen[SURE] = 16 * (half * N_SURE + sure)
    blend.chosen[BYTE] = 16 * (last if half == 0 else 256 + (high << 4 | last >> 4))
    known = 0 - total(less(splat(0), counts))
    level = bit_length(min(integer(blend.counts[0]), 4))
    blend.chosen[SETS] = SECONDS + (second if half == 0 else 256 + (high << 4 | second >> 4))
    blend.chosen[SETS + 1] = KINDS + (half << 8 | kinds & 0xFF)
    blend.chosen[SETS + 2] = KNOWN + (half << 6 | known << 2 | level)
    blend.chosen[SETS + 3] = COLUMNS + (half << 6 | seen[at + shapes.COLUMN])
    blend.chosen[SETS + 4] = ABOVES + (half << 8 | seen[at + shapes.ABOVE])
    blend.chosen[SETS + 5] = OLDER_KINDS + (half << 8 | kinds >> 8)
    blend.chosen[SETS + 6] = WRONG + (half << 4 | blend.chosen[RECENT] >> 12)


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
    row: int,
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
    row : int
        Of `shapes.Shapes`.
    """
    n = integer(tables.plan[N_LANES])
    counts = _find(tables, blend, bits)
    store_words(blend.counts, 0, narrow(counts))
    for k in range(n):
        dynamic = load_words(blend.rows, integer(blend.sources[k]))
        store_words(blend.inputs, 16 * k, mixture.log2_words(dynamic))
        share = integer(tables.rates[integer(blend.counts[k])])
        lost = product_high(dynamic & 0xFFFE, splat_word(share))
        store_words(blend.rows, integer(blend.at[k]), larger(dynamic - lost, splat_word(16)))
    store_words(blend.inputs, 16 * (n + MIXTURE), narrow(mixture.log2(freqs)))
    store_words(blend.inputs, 16 * (n + NETWORK), narrow(corrections))
    store_words(blend.inputs, 16 * (n + HEAD), narrow(scores))
    store_i32(blend.scratch, 0, largest(freqs))
    sure = bit_length(65536 - integer(blend.scratch[0])) - 1
    confidences = _confidences(narrow(counts), maxima(blend.inputs, 0))
    places = confidences + splat_word((half * (N_SURE // 2) + (sure >> 1)) * 16)
    store_words(blend.confidences, 0, places * 16 + load_words(ngram.LANES, 0))
    _choose(blend, row, counts, half, high, sure)
    trust = gather(weights.confidences, blend.confidences)
    store_i32(blend.trust, 0, trust)
    chosen = trust + load_i32(weights.sures, blend.chosen[SURE])
    chosen = chosen + load_i32(weights.bytes, blend.chosen[BYTE])
    if len(weights.sets) > 0:
        for k in range(N_SETS):
            chosen = chosen + load_i32(weights.sets, 16 * blend.chosen[SETS + k])
    chosen = chosen >> integer(tables.plan[FINE])
    store_words(blend.weights, 0, pack(mixture.scaled(chosen)))
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
    freq = integer(blend.freqs[symbol])
    if freq < integer(tables.plan[ENOUGH]):
        # Rounded to the nearest: many steps are near zero, and rounding down would drag weights
        # along.
        shift = 13 - integer(tables.plan[FINE])
        steps = ((dots(blend.inputs, 0, error) + 1024) >> 11) * splat(rate) + (1 << (shift - 1))
        steps = steps >> shift
        mixture.move(weights.sures, blend.chosen[SURE], steps)
        mixture.move(weights.bytes, blend.chosen[BYTE], steps)
        scatter(weights.confidences, blend.confidences, load_i32(blend.trust, 0) + steps)
        if len(weights.sets) > 0:
            for k in range(N_SETS):
                mixture.move(weights.sets, 16 * blend.chosen[SETS + k], steps)
    for k in range(integer(tables.plan[N_LANES])):
        gain = integer(tables.rates[ngram.N_COUNTS + integer(blend.counts[k])])
        add_u16(blend.rows, integer(blend.at[k]) + symbol, gain)
    blend.chosen[RECENT] += (65536 - freq - blend.chosen[RECENT]) >> 4
    if freq < integer(tables.head_rates[0]):
        speed = integer(tables.head_rates[1])
        head.learn(blend.head_pairs, table, pairs, pair, n_pairs, widen_signed(error), speed)
