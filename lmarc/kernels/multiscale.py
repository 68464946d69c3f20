"""The multi-scale coder's step: the n-gram mixture, the network, and the blend that joins them.

spec/v1/multiscale.md is the authority.  As in `kernels.neural` the mixture learns as if it were
alone, so an encoder asks it about some bytes ahead, lets the network go along them, and blends
after that. A decoder knows no bytes ahead: `kernels.multiscale_lanes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blend as blending
from . import contexts, head, network, neural, ngram, shapes
from ._jit import I32Array, I64Array, U8Array, U16Array, U32Array, inlined, integer, kernel
from ._vector import bit_length, load_i32, load_words, splat, store_u16, store_words, widen

if TYPE_CHECKING:
    from ._vector_plain import Vector


@inlined
def head_scores(
    blend: blending.Blend, table: int, pairs: I32Array, pair: int, n_pairs: int
) -> Vector:
    """What the head says; nothing without a network."""
    if n_pairs == 0:
        return splat(0)
    return head.scores(blend.head, table, pairs, pair, n_pairs)


@inlined
def high(net: network.Network, hidden: network.Hidden, row: int) -> Vector:
    """A row's corrections for its high nibble; none without a network."""
    if len(hidden.units_2) == 0:
        return splat(0)
    return network.high(net, hidden, row)


@inlined
def low(net: network.Network, hidden: network.Hidden, row: int, high: int) -> Vector:
    """Those for its low nibble, once the high one is known and the network has seen its freqs."""
    if len(hidden.units_2) == 0:
        return splat(0)
    return network.low(net, hidden, row, high)


@inlined
def blend_high(
    tables: blending.Tables,
    weights: blending.Weights,
    blend: blending.Blend,
    freqs: Vector,
    corrections: Vector,
    row: int,
    pairs: I32Array,
    pair: int,
    n_pairs: int,
    bits: int,
) -> None:
    """Write the freqs of a high nibble of the byte seen in `row`; `pairs` are the head's inputs."""
    scores = head_scores(blend, 0, pairs, pair, n_pairs)
    blending.predict(tables, weights, blend, freqs, corrections, scores, 0, 0, row, bits)


@inlined
def blend_low(
    tables: blending.Tables,
    weights: blending.Weights,
    blend: blending.Blend,
    freqs: Vector,
    corrections: Vector,
    high: int,
    row: int,
    pairs: I32Array,
    pair: int,
    n_pairs: int,
    bits: int,
) -> None:
    """Write the freqs of a low nibble to `blend.freqs`."""
    scores = head_scores(blend, 1 + high, pairs, pair, n_pairs)
    blending.predict(tables, weights, blend, freqs, corrections, scores, 1, high, row, bits)


@kernel
def model(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    net: network.Network,
    hidden: network.Hidden,
    tables: blending.Tables,
    blend_weights: blending.Weights,
    blend: blending.Blend,
    text: U8Array,
    bits: int,
    match_shift: int,
    freqs: U16Array,
    steps: U32Array,
    alone: U32Array,
    trial: int,
    first: int,
) -> int:
    """Walk over a chunk as the decoder will, and write down each symbol's place in the freqs.

    It gives up where the blend has not paid in the first `trial` bytes or so.

    Parameters
    ----------
    static, weights, state, net, hidden, text, bits, match_shift, freqs, steps, alone, trial
        As for `neural.model`.
    tables : blend.Tables
    blend_weights : blend.Weights
        Changed: they learn.
    blend : blend.Blend
        Scratch memory, its shapes of as many rows as `hidden` has.
    first : int
        As for `ngram.model`.

    Returns
    -------
    int
        How many bytes it has come.
    """
    size = len(text) - 1
    if first == 0:
        ngram._start_chunk(state)
        network.reset(hidden)
        blending.start_chunk(blend)
        if size > 0:
            ngram._start_byte(static, state, text, 0, match_shift, bits)
    most = len(hidden.before) // 2
    n_pairs = len(hidden.units_2) // 2
    for start in range(first, size, most):
        rows = min(most, size - start)
        for row in range(rows):
            position = start + row
            last = state.cursor[contexts.LAST_4]
            hidden.before[2 * row] = last & 0xFF
            hidden.before[2 * row + 1] = last >> 8 & 0xFF
            shapes.compute_keys(blend.shapes, tables.lanes, state.cursor, text, position, row, bits)
            byte = integer(text[position])
            rate = integer(static.mixer_rates[bit_length(position)])
            for half in range(2):
                ngram._predict(static, weights, state, bits, half, position)
                store_words(freqs, 16 * (2 * row + half), load_words(state.shares, 0))
                if half == 0:
                    network.see(hidden, row, load_i32(state.freqs, 0))
                    alone[2 * position] = neural._place(state.sums, state.freqs, byte >> 4)
                    neural._take_high(static, weights, state, byte >> 4, rate, bits)
                else:
                    alone[2 * position + 1] = neural._place(state.sums, state.freqs, byte & 15)
                    shapes.advance(blend.shapes, state.cursor, byte)
                    neural._take_byte(
                        static, weights, state, text, position, byte, rate, bits, match_shift
                    )
        if n_pairs > 0:
            network.step(net, hidden, rows, 1)
        blending.ask(tables, blend, 0, 0, bits)
        for row in range(rows):
            position = start + row
            byte = integer(text[position])
            rate = integer(tables.blend_rates[bit_length(position)])
            pair = row * n_pairs
            seen = widen(load_words(freqs, 32 * row))
            blend_high(
                tables, blend_weights, blend, seen, high(net, hidden, row), row,
                hidden.last_pairs, pair, n_pairs, bits,
            )  # fmt: skip
            steps[2 * position] = neural._place(blend.sums, blend.freqs, byte >> 4)
            blending.ask(tables, blend, row, 1 + (byte >> 4), bits)
            blending.learn(
                tables, blend_weights, blend, byte >> 4, rate, 0,
                hidden.last_pairs, pair, n_pairs,
            )  # fmt: skip
            seen = widen(load_words(freqs, 32 * row + 16))
            network.see(hidden, row, seen)
            blend_low(
                tables, blend_weights, blend, seen, low(net, hidden, row, byte >> 4), byte >> 4,
                row, hidden.last_pairs, pair, n_pairs, bits,
            )  # fmt: skip
            steps[2 * position + 1] = neural._place(blend.sums, blend.freqs, byte & 15)
            if row + 1 < rows:
                blending.ask(tables, blend, row + 1, 0, bits)
            blending.learn(
                tables, blend_weights, blend, byte & 15, rate, 1 + (byte >> 4),
                hidden.last_pairs, pair, n_pairs,
            )  # fmt: skip
        if start < trial <= start + rows:
            count = 2 * (start + rows)
            if ngram.cost_of(steps, count) > ngram.cost_of(alone, count):
                return start + rows
    return size


@kernel
def blend_along(
    tables: blending.Tables,
    weights: blending.Weights,
    blend: blending.Blend,
    cursor: I64Array,
    fields: I32Array,
    text: U8Array,
    freqs: U16Array,
    corrections: I32Array,
    pairs: I32Array,
    bits: int,
    steps: U32Array,
    shares: U16Array,
) -> None:
    """Blend what mixture and network have said of a chunk.

    That is for a network that runs elsewhere, and for those who learn to improve on a blend.

    Parameters
    ----------
    tables, weights, blend, bits, steps
        As for `model`.
    cursor, fields
        Scratch memory of contexts.
    text : uint8, shape (size + 1,)
    freqs : uint16, shape (size * 2 * 16,)
        The mixture's, of both nibbles of each byte.
    corrections : int32, shape (size * 2 * 16,)
        The network's.
    pairs : int32, shape (size * n2 / 2,)
        What leaves its last layer, pairs of int16.
    shares : uint16, shape (size * 2 * 16,) or (0,)
        Receives the blend's freqs, of both nibbles of each byte.
    """
    blending.start_chunk(blend)
    contexts.reset(cursor, fields)
    size = len(text) - 1
    n_pairs = len(pairs) // max(size, 1)
    for position in range(size):
        byte = integer(text[position])
        rate = integer(tables.blend_rates[bit_length(position)])
        pair = position * n_pairs
        shapes.compute_keys(blend.shapes, tables.lanes, cursor, text, position, 0, bits)
        blending.ask(tables, blend, 0, 0, bits)
        seen = widen(load_words(freqs, 32 * position))
        given = load_i32(corrections, 32 * position)
        blend_high(tables, weights, blend, seen, given, 0, pairs, pair, n_pairs, bits)
        steps[2 * position] = neural._place(blend.sums, blend.freqs, byte >> 4)
        if len(shares) > 0:
            store_u16(shares, 32 * position, load_i32(blend.freqs, 0))
        blending.ask(tables, blend, 0, 1 + (byte >> 4), bits)
        blending.learn(tables, weights, blend, byte >> 4, rate, 0, pairs, pair, n_pairs)
        seen = widen(load_words(freqs, 32 * position + 16))
        given = load_i32(corrections, 32 * position + 16)
        blend_low(tables, weights, blend, seen, given, byte >> 4, 0, pairs, pair, n_pairs, bits)
        steps[2 * position + 1] = neural._place(blend.sums, blend.freqs, byte & 15)
        if len(shares) > 0:
            store_u16(shares, 32 * position + 16, load_i32(blend.freqs, 0))
        blending.learn(
            tables, weights, blend, byte & 15, rate, 1 + (byte >> 4), pairs, pair, n_pairs
        )
        shapes.advance(blend.shapes, cursor, byte)
        contexts.advance(cursor, fields, position, byte)
