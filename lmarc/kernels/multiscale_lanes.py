"""Decoding several chunks of the multi-scale coder, a byte of each at a time.

spec/v1/multiscale.md is the authority.  As `kernels.lanes`, with a blend in the place of the two
joining weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import blend as blending
from . import lanes, multiscale, network, neural, ngram, shapes
from ._jit import I32Array, I64Array, inlined, integer, kernel
from ._vector import bit_length, load_i32, store_i32
from ._views import part, view

if TYPE_CHECKING:
    from ._vector_plain import Vector


class Blends(NamedTuple):
    """What the blends of some lanes need: the fields hold all lanes."""

    tables: blending.Tables
    weights: blending.Weights
    blend: blending.Blend


@inlined
def _alone(given: lanes.Lanes) -> lanes.Lanes:
    """Return what is given of a single lane, so that the compiler knows that there is one.

    Parts are the arrays themselves then. It cannot tell that from the lengths of arrays, and
    divides for every part and byte: that takes a third of the time of a step without a network.
    """
    return lanes.Lanes(
        given.static,
        given.weights,
        given.state,
        given.words,
        given.word_starts,
        given.texts,
        given.text_starts,
        view(given.coders, 0, 1),
        view(given.reads, 0, 1),
    )


@inlined
def _tables(blends: Blends, lane: int, count: int) -> blending.Tables:
    all_ = blends.tables
    return blending.Tables(
        part(all_.rates, lane, count),
        part(all_.limits, lane, count),
        part(all_.blend_rates, lane, count),
        part(all_.head_rates, lane, count),
        part(all_.lanes, lane, count),
        part(all_.plan, lane, count),
    )


@inlined
def _weights(blends: Blends, lane: int, count: int) -> blending.Weights:
    all_ = blends.weights
    return blending.Weights(
        part(all_.sures, lane, count),
        part(all_.bytes, lane, count),
        part(all_.confidences, lane, count),
        part(all_.sets, lane, count),
    )


@inlined
def _blend(blends: Blends, lane: int, count: int) -> blending.Blend:
    all_ = blends.blend
    known = all_.shapes
    return blending.Blend(
        shapes.Shapes(
            part(known.cursor, lane, count),
            part(known.histories, lane, count),
            part(known.slots, lane, count),
            part(known.mixed, lane, count),
            part(known.keys, lane, count),
            part(known.seen, lane, count),
        ),
        part(all_.rows, lane, count),
        part(all_.metas, lane, count),
        part(all_.hashes, lane, count),
        part(all_.lines, lane, count),
        part(all_.inputs, lane, count),
        part(all_.freqs, lane, count),
        part(all_.sums, lane, count),
        part(all_.shares, lane, count),
        part(all_.weights, lane, count),
        part(all_.at, lane, count),
        part(all_.sources, lane, count),
        part(all_.counts, lane, count),
        part(all_.confidences, lane, count),
        part(all_.trust, lane, count),
        part(all_.scratch, lane, count),
        part(all_.chosen, lane, count),
        part(all_.doubts, lane, count),
        part(all_.head, lane, count),
        part(all_.head_pairs, lane, count),
    )


@inlined
def _begin(given: lanes.Lanes, blends: Blends, bits: int, match_shift: int, primed: int) -> int:
    """Start all lanes behind a primer of so many bytes; return the bytes of the longest."""
    count = len(given.coders)
    if primed == 0:
        for lane in range(count):
            blending.start_chunk(_blend(blends, lane, count))
    longest = lanes._begin(given, bits, match_shift, primed)
    for lane in range(count):
        if lanes._goes_on(given, lane, primed):
            used = integer(_tables(blends, lane, count).plan[blending.HISTORIES])
            cursor = lanes._state(given, lane).cursor
            shapes.ask(_blend(blends, lane, count).shapes, used, cursor, bits)
    return longest


@inlined
def _ask(
    given: lanes.Lanes, blends: Blends, lane: int, position: int, half: int, bits: int
) -> None:
    """Ask for the rows of a nibble, if it is to be blended: the mixture has been asked about it."""
    state, count = lanes._state(given, lane), len(given.coders)
    tables, blend = _tables(blends, lane, count), _blend(blends, lane, count)
    if blending.doubtful(tables, load_i32(state.freqs, 0)):
        if blend.chosen[blending.KEYED] != position + 1:
            starts = given.text_starts
            text = view(given.texts, integer(starts[lane]), integer(starts[lane + 1]))
            used = integer(tables.plan[blending.HISTORIES])
            shapes.compute_keys(blend.shapes, used, tables.lanes, state.cursor, text, position, 0)
            blend.chosen[blending.KEYED] = position + 1
        blending.ask(tables, blend, 0, (1 + integer(state.chosen[ngram.HIGH])) * half, bits)


@inlined
def _settle(
    tables: blending.Tables,
    weights: blending.Weights,
    blend: blending.Blend,
    pairs: I32Array,
    pair: int,
    n_pairs: int,
) -> None:
    """Learn the symbol that was blended last."""
    symbol = blend.chosen[blending.SYMBOL]
    if symbol >= 0:
        rate, table = blend.chosen[blending.PACE], blend.chosen[blending.TABLE]
        blending.learn(tables, weights, blend, symbol, rate, table, pairs, pair, n_pairs)
        blend.chosen[blending.SYMBOL] = -1


@inlined
def _take(
    given: lanes.Lanes,
    blends: Blends,
    lane: int,
    position: int,
    half: int,
    corrections: Vector,
    pairs: I32Array,
    pair: int,
    n_pairs: int,
    bits: int,
    match_shift: int,
    late: bool,
) -> None:
    """Decode a nibble whose rows have been asked for.

    The blend learns it at once, or `late`: before it is asked again, so that what is asked for has
    arrived by then. What the head learns from must still be there.
    """
    static, weights = lanes._static(given, lane), lanes._weights(given, lane)
    state = lanes._state(given, lane)
    count = len(given.coders)
    tables, blend_weights = _tables(blends, lane, count), _weights(blends, lane, count)
    blend = _blend(blends, lane, count)
    high = integer(state.chosen[ngram.HIGH])
    table = (1 + high) * half
    freqs = load_i32(state.freqs, 0)
    doubtful = blending.doubtful(tables, freqs)
    if doubtful:
        if late:
            _settle(tables, blend_weights, blend, pairs, pair, n_pairs)
        scores = multiscale.head_scores(blend, table, pairs, pair, n_pairs)
        blending.predict(
            tables, blend_weights, blend, freqs, corrections, scores, half, high, 0, bits
        )
        symbol = lanes._next(given, lane, blend.freqs, blend.sums)
        blend.chosen[blending.SYMBOL] = symbol
        blend.chosen[blending.TABLE] = table
        blend.chosen[blending.PACE] = integer(tables.blend_rates[bit_length(position)])
    else:
        symbol = lanes._next(given, lane, state.freqs, state.sums)
    rate = integer(static.mixer_rates[bit_length(position)])
    if half == 0:
        neural._take_high(static, weights, state, symbol, rate, bits)
        ngram._predict(static, weights, state, bits, 1, position)
        _ask(given, blends, lane, position, 1, bits)
    else:
        starts = given.text_starts
        text = view(given.texts, integer(starts[lane]), integer(starts[lane + 1]))
        byte = high << 4 | symbol
        text[position] = byte
        used = integer(tables.plan[blending.HISTORIES])
        shapes.advance(blend.shapes, used, state.cursor, byte)
        neural._take_byte(static, weights, state, text, position, byte, rate, bits, match_shift)
        shapes.ask(blend.shapes, used, state.cursor, bits)
    if doubtful and not late:
        _settle(tables, blend_weights, blend, pairs, pair, n_pairs)


@inlined
def _decode(
    given: lanes.Lanes,
    blends: Blends,
    net: network.Network,
    hidden: network.Hidden,
    bits: int,
    match_shift: int,
    primed: int,
) -> None:
    count = len(given.coders)
    n_pairs = len(hidden.units_2) // 2
    if primed == 0:
        network.reset(hidden)
    longest = _begin(given, blends, bits, match_shift, primed)
    for position in range(primed, longest):
        for lane in range(count):
            if lanes._goes_on(given, lane, position):
                freqs = lanes._look(given, hidden.before, lane, position, bits)
                _ask(given, blends, lane, position, 0, bits)
                if n_pairs > 0:
                    network.see(hidden, lane, freqs)
            else:
                lanes._rest(hidden.before, lane)
        if n_pairs > 0:
            network.step(net, hidden, len(hidden.before) // 2, 0)
        for lane in range(count):
            if lanes._goes_on(given, lane, position):
                state = lanes._state(given, lane)
                for half in range(2):
                    corrections = multiscale.corrections_of(
                        net, hidden, lane, half,
                        integer(state.chosen[ngram.HIGH]), load_i32(state.freqs, 0),
                    )  # fmt: skip
                    _take(
                        given, blends, lane, position, half, corrections,
                        hidden.last_pairs, lane * n_pairs, n_pairs,
                        bits, match_shift, n_pairs == 0,
                    )  # fmt: skip
    lanes._end(given)


@kernel
def decode(
    given: lanes.Lanes,
    blends: Blends,
    net: network.Network,
    hidden: network.Hidden,
    bits: int,
    match_shift: int,
    primed: int,
) -> None:
    """Decode all lanes: the inverse of `multiscale.model` and `rans.encode`.

    Parameters
    ----------
    given, net, hidden, bits, match_shift
        As for `lanes.decode`; a network of no units is not asked.
    blends : Blends
        Of all lanes; changed.
    primed : int
        Bytes of a primer that all texts begin with; the states are those behind it.
    """
    if len(given.coders) == 1:
        _decode(_alone(given), blends, net, hidden, bits, match_shift, primed)
    else:
        _decode(given, blends, net, hidden, bits, match_shift, primed)


@kernel
def begin(given: lanes.Lanes, blends: Blends, bits: int, match_shift: int) -> int:
    """Start all lanes, for a network that runs elsewhere; return the bytes of the longest.

    Then, for each position, `lanes.look`, `take_high` and `take_low`; and `lanes.end`.
    """
    return _begin(given, blends, bits, match_shift, 0)


@kernel
def take_high(
    given: lanes.Lanes,
    blends: Blends,
    corrections: I32Array,
    pairs: I32Array,
    freqs: I32Array,
    highs: I64Array,
    position: int,
    bits: int,
) -> None:
    """Decode the high nibbles, and ask the mixture about the low ones.

    Parameters
    ----------
    corrections : int32, shape (lanes * 16,)
        The network's.
    pairs : int32, shape (lanes * n2 / 2,)
        What leaves its last layer, pairs of int16.
    freqs, highs
        As for `lanes.take_high`.
    """
    count = len(given.coders)
    n_pairs = len(pairs) // count
    for lane in range(count):
        if lanes._goes_on(given, lane, position):
            _ask(given, blends, lane, position, 0, bits)
            _take(
                given, blends, lane, position, 0, load_i32(corrections, 16 * lane),
                pairs, lane * n_pairs, n_pairs, bits, 0, False,
            )  # fmt: skip
            state = lanes._state(given, lane)
            store_i32(freqs, 16 * lane, load_i32(state.freqs, 0))
            highs[lane] = integer(state.chosen[ngram.HIGH])


@kernel
def take_low(
    given: lanes.Lanes,
    blends: Blends,
    corrections: I32Array,
    pairs: I32Array,
    position: int,
    bits: int,
    match_shift: int,
) -> None:
    """Decode the low nibbles; parameters as for `take_high`."""
    count = len(given.coders)
    n_pairs = len(pairs) // count
    for lane in range(count):
        if lanes._goes_on(given, lane, position):
            _take(
                given, blends, lane, position, 1, load_i32(corrections, 16 * lane),
                pairs, lane * n_pairs, n_pairs, bits, match_shift, False,
            )  # fmt: skip
