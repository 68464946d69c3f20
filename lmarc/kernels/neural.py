"""The neural coder's step: the n-gram mixture, corrected by the byte network.

spec/v1/neural.md is the authority.  At each nibble the mixture's log-probabilities and the
network's corrections are added with two weights that a chunk learns as it goes; the mixture itself
learns as if it were alone.

So an encoder asks the mixture about some bytes ahead, lets the network go along them, and joins the
two after that. A decoder knows no bytes ahead: `kernels.lanes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import contexts, mixture, network, ngram
from ._jit import I32Array, U8Array, U16Array, U32Array, inlined, integer, kernel
from ._vector import (
    bit_length,
    largest,
    load_i32,
    load_words,
    mul16,
    one_hot,
    splat,
    store_i32,
    store_words,
    total,
    widen,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector

N_SETS = 2 * 16  # pairs of weights: by half and by how sure the mixture is
N_WEIGHTS = 2  # of the mixture, of the network


class Joint(NamedTuple):
    """How mixture and network are joined; a chunk's own copy."""

    # (N_SETS, 2) flattened: 1.0 is 65536
    weights: I32Array
    # (1,): how fast they learn
    rate: I32Array
    # (16,) each: the joint freqs, the sums before them, and scratch
    freqs: I32Array
    sums: I32Array
    scratch: I32Array
    # (16,) each: what the weights were applied to
    mixed: I32Array
    corrections: I32Array
    # (1,): the set in use
    chosen: I32Array


@inlined
def _join(joint: Joint, freqs: Vector, corrections: Vector, half: int) -> None:
    """Write the joint freqs of the next symbol, and remember what made them."""
    store_i32(joint.scratch, 0, largest(freqs))
    sureness = bit_length(65536 - integer(joint.scratch[0])) - 1
    chosen = N_WEIGHTS * (16 * half + sureness)
    joint.chosen[0] = chosen
    mixed = mixture.log2(freqs)
    store_i32(joint.mixed, 0, mixed)
    store_i32(joint.corrections, 0, corrections)
    first = mixture.scaled(splat(integer(joint.weights[chosen])))
    second = mixture.scaled(splat(integer(joint.weights[chosen + 1])))
    logits = (mul16(mixed, first) + mul16(corrections, second)) >> 12
    joint_freqs, sums = mixture.normalised(logits)
    store_i32(joint.freqs, 0, joint_freqs)
    store_i32(joint.sums, 0, sums)


@inlined
def _learn_join(joint: Joint, symbol: int) -> None:
    """Move the two weights in use towards `symbol`."""
    error = (one_hot(symbol, mixture.TOTAL) - load_i32(joint.freqs, 0)) >> 2
    rate = integer(joint.rate[0])
    chosen = integer(joint.chosen[0])
    # Rounded to the nearest: many steps are near zero, and rounding down would drag weights along.
    gradient = total(mul16(load_i32(joint.mixed, 0), error)) >> 11
    joint.weights[chosen] = integer(joint.weights[chosen]) + ((gradient * rate + 4096) >> 13)
    gradient = total(mul16(load_i32(joint.corrections, 0), error)) >> 11
    joint.weights[chosen + 1] = integer(joint.weights[chosen + 1]) + (
        (gradient * rate + 4096) >> 13
    )


@kernel
def model(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    net: network.Network,
    hidden: network.Hidden,
    joint: Joint,
    text: U8Array,
    bits: int,
    match_shift: int,
    freqs: U16Array,
    steps: U32Array,
    alone: U32Array,
    trial: int,
) -> int:
    """Walk over a chunk as the decoder will, and write down each symbol's place in the freqs.

    It gives up where the network has not paid in the first `trial` bytes or so.

    Parameters
    ----------
    static, weights, state, text, bits, match_shift, steps
        As for `ngram.model`.
    net : network.Network
    hidden : network.Hidden
        Scratch memory, of as many rows as bytes are looked at together.
    joint : Joint
        Changed: its weights learn.
    freqs : uint16, shape (rows * 2 * 16,)
        Scratch memory: what the mixture says of them.
    alone : uint32, shape (2 * size,)
        Receives each symbol's place in the freqs of the mixture alone.
    trial : int
        0: go on whatever comes.

    Returns
    -------
    int
        How many bytes it has come.
    """
    ngram._start_chunk(state)
    network.reset(hidden)
    size = len(text) - 1
    if size > 0:
        ngram._start_byte(static, state, text, 0, match_shift, bits)
    most = len(hidden.before) // 2
    for start in range(0, size, most):
        rows = min(most, size - start)
        for row in range(rows):
            position = start + row
            last = state.cursor[contexts.LAST_4]
            hidden.before[2 * row] = last & 0xFF
            hidden.before[2 * row + 1] = last >> 8 & 0xFF
            byte = integer(text[position])
            rate = integer(static.mixer_rates[bit_length(position)])
            for half in range(2):
                ngram._predict(static, weights, state, bits, half, position)
                store_words(freqs, 16 * (2 * row + half), load_words(state.shares, 0))
                if half == 0:
                    network.see(hidden, row, load_i32(state.freqs, 0))
                    alone[2 * position] = _place(state.sums, state.freqs, byte >> 4)
                    _take_high(static, weights, state, byte >> 4, rate, bits)
                else:
                    alone[2 * position + 1] = _place(state.sums, state.freqs, byte & 15)
                    _take_byte(
                        static, weights, state, text, position, byte, rate, bits, match_shift
                    )
        network.step(net, hidden, rows, 1)
        for row in range(rows):
            position = start + row
            byte = integer(text[position])
            first = widen(load_words(freqs, 32 * row))
            _join(joint, first, network.high(net, hidden, row), 0)
            steps[2 * position] = _place(joint.sums, joint.freqs, byte >> 4)
            _learn_join(joint, byte >> 4)
            second = widen(load_words(freqs, 32 * row + 16))
            network.see(hidden, row, second)
            _join(joint, second, network.low(net, hidden, row, byte >> 4), 1)
            steps[2 * position + 1] = _place(joint.sums, joint.freqs, byte & 15)
            _learn_join(joint, byte & 15)
        if start < trial <= start + rows:
            count = 2 * (start + rows)
            if ngram.cost_of(steps, count) > ngram.cost_of(alone, count):
                return start + rows
    return size


@inlined
def _place(sums: I32Array, freqs: I32Array, symbol: int) -> int:
    place: int = integer(sums[symbol]) << 16 | integer(freqs[symbol])
    return place


@inlined
def _take_high(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    symbol: int,
    rate: int,
    bits: int,
) -> None:
    """Let the mixture know a byte's high nibble."""
    contexts.compute_rows(state.keys, 1 + symbol, state.hashes)
    ngram._ask_for_dynamic(state, bits)
    ngram._learn(static, weights, state, symbol, rate)
    state.chosen[ngram.HIGH] = symbol


@inlined
def _take_byte(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    text: U8Array,
    position: int,
    byte: int,
    rate: int,
    bits: int,
    match_shift: int,
) -> None:
    """Let the mixture know all of a byte, and turn to the next."""
    ngram._finish_byte(state, position, byte)
    ngram._start_byte(static, state, text, position + 1, match_shift, bits)
    ngram._learn(static, weights, state, byte & 15, rate)


@kernel
def join(
    joint: Joint, text: U8Array, freqs: U16Array, corrections: I32Array, steps: U32Array
) -> None:
    """Join what mixture and network have said of a chunk: for a network that runs elsewhere.

    Parameters
    ----------
    joint : Joint
        Changed: its weights learn.
    text : uint8, shape (size,)
    freqs : uint16, shape (size * 2 * 16,)
        The mixture's, of both nibbles of each byte.
    corrections : int32, shape (size * 2 * 16,)
        The network's.
    steps : uint32, shape (2 * size,)
        Receives `cumfreq << 16 | freq` of each symbol.
    """
    for number in range(2 * len(text)):
        half = number & 1
        symbol = integer(text[number >> 1]) >> 4 * (1 - half) & 15
        shares = widen(load_words(freqs, 16 * number))
        _join(joint, shares, load_i32(corrections, 16 * number), half)
        steps[number] = _place(joint.sums, joint.freqs, symbol)
        _learn_join(joint, symbol)
