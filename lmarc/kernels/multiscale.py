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
from ._vector import (
    bit_length,
    load_i32,
    load_words,
    prefix_sums,
    splat,
    store_i32,
    store_u16,
    store_words,
    widen,
)

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
def corrections_of(
    net: network.Network, hidden: network.Hidden, row: int, half: int, high: int, freqs: Vector
) -> Vector:
    """What the network says of a nibble of a row, of which the mixture says `freqs`."""
    if len(hidden.units_2) == 0:
        return splat(0)
    if half == 0:
        return network.high(net, hidden, row)
    network.see(hidden, row, freqs)
    return network.low(net, hidden, row, high)


@inlined
def ask_for(
    tables: blending.Tables, blend: blending.Blend, row: int, half: int, byte: int, bits: int
) -> None:
    """Ask for the rows of a nibble, of which `byte` has the one before, of the byte in `row`."""
    blending.ask(tables, blend, row, (1 + (byte >> 4)) * half, bits)


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
    used = integer(tables.plan[blending.HISTORIES])
    for start in range(first, size, most):
        rows = min(most, size - start)
        count = 0  # of nibbles to blend
        for row in range(rows):
            position = start + row
            last = state.cursor[contexts.LAST_4]
            hidden.before[2 * row] = last & 0xFF
            hidden.before[2 * row + 1] = last >> 8 & 0xFF
            shapes.ask(blend.shapes, used, state.cursor, bits)
            byte = integer(text[position])
            rate = integer(static.mixer_rates[bit_length(position)])
            sure = count
            for half in range(2):
                ngram._predict(static, weights, state, bits, half, position)
                store_words(freqs, 16 * (2 * row + half), load_words(state.shares, 0))
                symbol = byte >> 4 if half == 0 else byte & 15
                place = neural._place(state.sums, state.freqs, symbol)
                alone[2 * position + half] = place
                steps[2 * position + half] = place
                if blending.doubtful(tables, load_i32(state.freqs, 0)):
                    blend.doubts[count] = 2 * row + half
                    count += 1
                if half == 0:
                    if n_pairs > 0:
                        network.see(hidden, row, load_i32(state.freqs, 0))
                    neural._take_high(static, weights, state, symbol, rate, bits)
                else:
                    if count > sure:
                        shapes.compute_keys(
                            blend.shapes, used, tables.lanes, state.cursor, text, position, row
                        )
                    shapes.advance(blend.shapes, used, state.cursor, byte)
                    neural._take_byte(
                        static, weights, state, text, position, byte, rate, bits, match_shift
                    )
        if n_pairs > 0:
            network.step(net, hidden, rows, 1)
        for k in range(count):
            number = integer(blend.doubts[k])
            row, half = number >> 1, number & 1
            byte = integer(text[start + row])
            if k == 0:
                ask_for(tables, blend, row, half, byte, bits)
            symbol = byte >> 4 if half == 0 else byte & 15
            pair, table = row * n_pairs, (1 + (byte >> 4)) * half
            seen = widen(load_words(freqs, 16 * number))
            corrections = corrections_of(net, hidden, row, half, byte >> 4, seen)
            scores = head_scores(blend, table, hidden.last_pairs, pair, n_pairs)
            blending.predict(
                tables, blend_weights, blend, seen, corrections, scores, half, byte >> 4, row, bits
            )
            steps[2 * start + number] = neural._place(blend.sums, blend.freqs, symbol)
            if k + 1 < count:
                after = integer(blend.doubts[k + 1])
                following = integer(text[start + (after >> 1)])
                ask_for(tables, blend, after >> 1, after & 1, following, bits)
            rate = integer(tables.blend_rates[bit_length(start + row)])
            blending.learn(
                tables, blend_weights, blend, symbol, rate, table, hidden.last_pairs, pair, n_pairs
            )
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
    used = integer(tables.plan[blending.HISTORIES])
    for position in range(size):
        byte = integer(text[position])
        rate = integer(tables.blend_rates[bit_length(position)])
        pair = position * n_pairs
        shapes.ask(blend.shapes, used, cursor, bits)
        shapes.compute_keys(blend.shapes, used, tables.lanes, cursor, text, position, 0)
        for half in range(2):
            number = 2 * position + half
            symbol = byte >> 4 if half == 0 else byte & 15
            shares_ = load_words(freqs, 16 * number)
            seen = widen(shares_)
            if blending.doubtful(tables, seen):
                table = (1 + (byte >> 4)) * half
                ask_for(tables, blend, 0, half, byte, bits)
                given = load_i32(corrections, 16 * number)
                scores = head_scores(blend, table, pairs, pair, n_pairs)
                blending.predict(
                    tables, weights, blend, seen, given, scores, half, byte >> 4, 0, bits
                )
                blending.learn(tables, weights, blend, symbol, rate, table, pairs, pair, n_pairs)
            else:
                store_i32(blend.freqs, 0, seen)
                store_i32(blend.sums, 0, widen(prefix_sums(shares_) - shares_))
            steps[number] = neural._place(blend.sums, blend.freqs, symbol)
            if len(shares) > 0:
                store_u16(shares, 16 * number, load_i32(blend.freqs, 0))
        shapes.advance(blend.shapes, used, cursor, byte)
        contexts.advance(cursor, fields, position, byte)
