"""The neural coder's step: the n-gram mixture, corrected by the byte network.

spec/v1/neural.md is the authority.  At each nibble the mixture's log-probabilities and the
network's corrections are added with two weights that a chunk learns as it goes; the mixture itself
learns as if it were alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import contexts, mixture, network, ngram, rans
from ._jit import I32Array, U8Array, U32Array, inlined, integer, kernel
from ._vector import (
    bit_length,
    count_at_most,
    largest,
    load_i32,
    mul16,
    one_hot,
    splat,
    store_i32,
    total,
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


@inlined
def _predict(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    net: network.Network,
    hidden: network.Hidden,
    joint: Joint,
    bits: int,
    half: int,
    position: int,
) -> None:
    """Write the joint freqs of the next symbol to `joint`, and the mixture's to `state`."""
    ngram._predict(static, weights, state, bits, half, position)
    freqs = load_i32(state.freqs, 0)
    if half == 0:
        last = state.cursor[contexts.LAST_4]
        corrections = network.step(net, hidden, last & 0xFF, last >> 8 & 0xFF, freqs)
        _join(joint, freqs, corrections, 0)
    else:
        corrections = network.low(net, hidden, state.chosen[ngram.HIGH], freqs)
        _join(joint, freqs, corrections, 1)


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
    steps: U32Array,
) -> None:
    """Walk over a chunk as the decoder will, and write down each symbol's place in the freqs.

    Parameters
    ----------
    static, weights, state, text, bits, match_shift, steps
        As for `ngram.model`.
    net : network.Network
    hidden : network.Hidden
        Scratch memory.
    joint : Joint
        Changed: its weights learn.
    """
    ngram._start_chunk(state)
    network.reset(hidden)
    size = len(text) - 1
    if size > 0:
        ngram._start_byte(static, state, text, 0, match_shift, bits)
    for position in range(size):
        byte = integer(text[position])
        rate = integer(static.mixer_rates[bit_length(position)])
        for half in range(2):
            _predict(static, weights, state, net, hidden, joint, bits, half, position)
            symbol = byte >> 4 if half == 0 else byte & 15
            steps[2 * position + half] = integer(joint.sums[symbol]) << 16 | integer(
                joint.freqs[symbol]
            )
            _learn_join(joint, symbol)
            if half == 0:
                contexts.compute_rows(state.keys, 1 + symbol, state.hashes)
                ngram._ask_for_dynamic(state, bits)
                ngram._learn(static, weights, state, symbol, rate)
                state.chosen[ngram.HIGH] = symbol
            else:
                ngram._finish_byte(state, position, byte)
                ngram._start_byte(static, state, text, position + 1, match_shift, bits)
                ngram._learn(static, weights, state, symbol, rate)


@kernel
def decode(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    net: network.Network,
    hidden: network.Hidden,
    joint: Joint,
    words: U32Array,
    text: U8Array,
    bits: int,
    match_shift: int,
) -> int:
    """Decode a chunk: the inverse of `model` and `rans.encode`.

    Parameters
    ----------
    static, weights, state, net, hidden, joint, bits, match_shift
        As for `model`.
    words : uint32, shape (n_words,)
        The state, high word first, and the payload's words.
    text : uint8, shape (size + 1,)
        Written in full, the last byte apart.

    Returns
    -------
    int
        How many words were read, or rans.CORRUPT.
    """
    ngram._start_chunk(state)
    network.reset(hidden)
    size = len(text) - 1
    if len(words) < 2 or integer(words[0]) >> 31:
        return rans.CORRUPT
    coder = integer(words[0]) << 32 | integer(words[1])
    if len(words) > 2 and coder < rans.STATE_MIN:
        return rans.CORRUPT
    at = 2
    if size > 0:
        ngram._start_byte(static, state, text, 0, match_shift, bits)
    for position in range(size):
        rate = integer(static.mixer_rates[bit_length(position)])
        high = 0
        for half in range(2):
            _predict(static, weights, state, net, hidden, joint, bits, half, position)
            slot = coder & rans.SLOT_MASK
            symbol = count_at_most(load_i32(joint.sums, 0), slot) - 1
            coder = rans.pop(coder, slot, integer(joint.sums[symbol]), integer(joint.freqs[symbol]))
            if coder < rans.STATE_MIN and at < len(words):
                coder = coder << 32 | integer(words[at])
                at += 1
            _learn_join(joint, symbol)
            if half == 0:
                high = symbol
                contexts.compute_rows(state.keys, 1 + symbol, state.hashes)
                ngram._ask_for_dynamic(state, bits)
                ngram._learn(static, weights, state, symbol, rate)
                state.chosen[ngram.HIGH] = symbol
            else:
                byte = high << 4 | symbol
                text[position] = byte
                ngram._finish_byte(state, position, byte)
                ngram._start_byte(static, state, text, position + 1, match_shift, bits)
                ngram._learn(static, weights, state, symbol, rate)
    return at if coder == 0 else rans.CORRUPT
