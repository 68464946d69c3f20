"""Decoding several chunks of the neural coder, a byte of each at a time.

spec/v1/neural.md is the authority.  Each chunk has a *lane*: its own memory for all that the step
changes.  The memory of all lanes is one array for each field, so that a kernel is compiled once for
any number of them; a lane's part is a view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import contexts, network, neural, ngram, rans
from ._jit import I32Array, I64Array, U8Array, U32Array, inlined, integer, kernel
from ._vector import bit_length, count_at_most, load_i32, store_i32
from ._views import part, view

if TYPE_CHECKING:
    from ._vector_plain import Vector


class Lanes(NamedTuple):
    """Some chunks to decode. Fields of `static`, `weights` and `state` hold all lanes."""

    # `buckets` is the same for all
    static: ngram.Static
    weights: ngram.Weights
    state: ngram.State
    # The payloads' words one after the other, states first, and where each begins: (lanes + 1,)
    words: U32Array
    word_starts: I64Array
    # The texts to write, each with one byte more, and where each begins: (lanes + 1,)
    texts: U8Array
    text_starts: I64Array
    # (lanes,) each: the coder's state; how many words were read, or rans.CORRUPT
    coders: I64Array
    reads: I64Array


@inlined
def _static(given: Lanes, lane: int) -> ngram.Static:
    lanes, all_ = len(given.coders), given.static
    return ngram.Static(
        all_.buckets,
        part(all_.rates, lane, lanes),
        part(all_.limits, lane, lanes),
        part(all_.mixer_rates, lane, lanes),
    )


@inlined
def _weights(given: Lanes, lane: int) -> ngram.Weights:
    lanes, all_ = len(given.coders), given.weights
    return ngram.Weights(
        part(all_.sets, lane, lanes),
        part(all_.bytes, lane, lanes),
        part(all_.confidences, lane, lanes),
        part(all_.hits, lane, lanes),
    )


@inlined
def _state(given: Lanes, lane: int) -> ngram.State:
    lanes, all_ = len(given.coders), given.state
    return ngram.State(
        part(all_.rows, lane, lanes),
        part(all_.metas, lane, lanes),
        part(all_.positions, lane, lanes),
        part(all_.cursor, lane, lanes),
        part(all_.fields, lane, lanes),
        part(all_.matcher, lane, lanes),
        part(all_.keys, lane, lanes),
        part(all_.hashes, lane, lanes),
        part(all_.homes, lane, lanes),
        part(all_.tags, lane, lanes),
        part(all_.lines, lane, lanes),
        part(all_.inputs, lane, lanes),
        part(all_.freqs, lane, lanes),
        part(all_.sums, lane, lanes),
        part(all_.shares, lane, lanes),
        part(all_.weights, lane, lanes),
        part(all_.at, lane, lanes),
        part(all_.sources, lane, lanes),
        part(all_.counts, lane, lanes),
        part(all_.confidences, lane, lanes),
        part(all_.trust, lane, lanes),
        part(all_.chosen, lane, lanes),
    )


@inlined
def _joint(all_: neural.Joint, lane: int, lanes: int) -> neural.Joint:
    return neural.Joint(
        part(all_.weights, lane, lanes),
        part(all_.rate, lane, lanes),
        part(all_.freqs, lane, lanes),
        part(all_.sums, lane, lanes),
        part(all_.scratch, lane, lanes),
        part(all_.mixed, lane, lanes),
        part(all_.corrections, lane, lanes),
        part(all_.chosen, lane, lanes),
    )


@inlined
def _goes_on(given: Lanes, lane: int, position: int) -> bool:
    """Whether a lane has a byte at `position`."""
    size = integer(given.text_starts[lane + 1]) - integer(given.text_starts[lane]) - 1
    goes_on: bool = position < size and integer(given.reads[lane]) != rans.CORRUPT
    return goes_on


@inlined
def _begin(given: Lanes, bits: int, match_shift: int, primed: int) -> int:
    """Start all lanes behind a primer of so many bytes; return the bytes of the longest."""
    longest = 0
    for lane in range(len(given.coders)):
        state = _state(given, lane)
        if primed == 0:
            ngram._start_chunk(state)
        first, end = integer(given.word_starts[lane]), integer(given.word_starts[lane + 1])
        given.coders[lane], given.reads[lane] = 0, rans.CORRUPT
        if end - first >= 2 and integer(given.words[first]) >> 31 == 0:
            coder = integer(given.words[first]) << 32 | integer(given.words[first + 1])
            if end - first == 2 or coder >= rans.STATE_MIN:
                given.coders[lane], given.reads[lane] = coder, 2
                starts = given.text_starts
                text = view(given.texts, integer(starts[lane]), integer(starts[lane + 1]))
                if primed == 0 and len(text) > 1:
                    ngram._start_byte(_static(given, lane), state, text, 0, match_shift, bits)
                longest = max(longest, len(text) - 1)
    return longest


@inlined
def _next(given: Lanes, lane: int, freqs: I32Array, sums: I32Array) -> int:
    """Decode a symbol with these freqs."""
    coder = integer(given.coders[lane])
    slot = coder & rans.SLOT_MASK
    symbol = count_at_most(load_i32(sums, 0), slot) - 1
    coder = rans.pop(coder, slot, integer(sums[symbol]), integer(freqs[symbol]))
    at = integer(given.word_starts[lane]) + integer(given.reads[lane])
    if coder < rans.STATE_MIN and at < integer(given.word_starts[lane + 1]):
        coder = coder << 32 | integer(given.words[at])
        given.reads[lane] += 1
    given.coders[lane] = coder
    return symbol


@inlined
def _next_joint(given: Lanes, joint: neural.Joint, lane: int) -> int:
    """Decode a symbol with the joint freqs, and learn from it."""
    symbol = _next(given, lane, joint.freqs, joint.sums)
    neural._learn_join(joint, symbol)
    return symbol


@inlined
def _look(given: Lanes, before: I64Array, lane: int, position: int, bits: int) -> Vector:
    """Return the mixture's freqs of the high nibble; write what the network sees beside."""
    state = _state(given, lane)
    last = integer(state.cursor[contexts.LAST_4])
    before[2 * lane] = last & 0xFF
    before[2 * lane + 1] = last >> 8 & 0xFF
    ngram._predict(_static(given, lane), _weights(given, lane), state, bits, 0, position)
    return load_i32(state.freqs, 0)


@inlined
def _rest(before: I64Array, lane: int) -> None:
    """Let a lane that has ended see zeros: behind a word's end each byte would end a patch."""
    before[2 * lane] = 0
    before[2 * lane + 1] = 0


@inlined
def _take_high(
    given: Lanes, joints: neural.Joint, lane: int, position: int, corrections: Vector, bits: int
) -> Vector:
    """Decode a high nibble; return the mixture's freqs of the low one."""
    static, weights, state = _static(given, lane), _weights(given, lane), _state(given, lane)
    joint = _joint(joints, lane, len(given.coders))
    neural._join(joint, load_i32(state.freqs, 0), corrections, 0)
    symbol = _next_joint(given, joint, lane)
    rate = integer(static.mixer_rates[bit_length(position)])
    neural._take_high(static, weights, state, symbol, rate, bits)
    ngram._predict(static, weights, state, bits, 1, position)
    return load_i32(state.freqs, 0)


@inlined
def _take_low(
    given: Lanes,
    joints: neural.Joint,
    lane: int,
    position: int,
    corrections: Vector,
    bits: int,
    match_shift: int,
) -> None:
    """Decode a low nibble, which completes a byte."""
    static, weights, state = _static(given, lane), _weights(given, lane), _state(given, lane)
    joint = _joint(joints, lane, len(given.coders))
    starts = given.text_starts
    text = view(given.texts, integer(starts[lane]), integer(starts[lane + 1]))
    neural._join(joint, load_i32(state.freqs, 0), corrections, 1)
    byte = integer(state.chosen[ngram.HIGH]) << 4 | _next_joint(given, joint, lane)
    text[position] = byte
    rate = integer(static.mixer_rates[bit_length(position)])
    neural._take_byte(static, weights, state, text, position, byte, rate, bits, match_shift)


@inlined
def _end(given: Lanes) -> None:
    for lane in range(len(given.coders)):
        if given.coders[lane] != 0:
            given.reads[lane] = rans.CORRUPT


@kernel
def decode(
    given: Lanes,
    joint: neural.Joint,
    net: network.Network,
    hidden: network.Hidden,
    bits: int,
    match_shift: int,
) -> None:
    """Decode all lanes: the inverse of `neural.model` and `rans.encode`.

    Parameters
    ----------
    given : Lanes
        `texts` are written in full, the last byte of each apart; `reads` receives how many words of
        each were read, or rans.CORRUPT.
    joint : neural.Joint
        Of all lanes; changed.
    net : network.Network
    hidden : network.Hidden
        Scratch memory, of as many rows as there are lanes or more.
    bits, match_shift : int
        As for `ngram.model`; the same for all.
    """
    lanes = len(given.coders)
    network.reset(hidden)
    longest = _begin(given, bits, match_shift, 0)
    for position in range(longest):
        for lane in range(lanes):
            if _goes_on(given, lane, position):
                freqs = _look(given, hidden.before, lane, position, bits)
                network.see(hidden, lane, freqs)
            else:
                _rest(hidden.before, lane)
        network.step(net, hidden, len(hidden.before) // 2, 0)
        for lane in range(lanes):
            if _goes_on(given, lane, position):
                corrections = network.high(net, hidden, lane)
                freqs = _take_high(given, joint, lane, position, corrections, bits)
                network.see(hidden, lane, freqs)
                high = integer(_state(given, lane).chosen[ngram.HIGH])
                corrections = network.low(net, hidden, lane, high)
                _take_low(given, joint, lane, position, corrections, bits, match_shift)
    _end(given)


@kernel
def begin(given: Lanes, bits: int, match_shift: int) -> int:
    """Start all lanes, for a network that runs elsewhere; return the bytes of the longest.

    Then, for each position, `look`, `take_high` and `take_low`; and `end`.
    """
    return _begin(given, bits, match_shift, 0)


@kernel
def look(given: Lanes, before: I64Array, freqs: I32Array, position: int, bits: int) -> None:
    """Ask the mixture about the high nibble of each lane's next byte.

    Parameters
    ----------
    before : int64, shape (lanes * 2,)
        Receives the byte before and the one before that; zeros for a lane that has ended.
    freqs : int32, shape (lanes * 16,)
        Receives the mixture's freqs; those of a lane that has ended stay.
    """
    for lane in range(len(given.coders)):
        if _goes_on(given, lane, position):
            store_i32(freqs, 16 * lane, _look(given, before, lane, position, bits))
        else:
            _rest(before, lane)


@kernel
def take_high(
    given: Lanes,
    joint: neural.Joint,
    corrections: I32Array,
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
    freqs : int32, shape (lanes * 16,)
        Receives the mixture's freqs of the low nibbles.
    highs : int64, shape (lanes,)
        Receives the high nibbles.
    """
    for lane in range(len(given.coders)):
        if _goes_on(given, lane, position):
            found = _take_high(given, joint, lane, position, load_i32(corrections, 16 * lane), bits)
            store_i32(freqs, 16 * lane, found)
            highs[lane] = integer(_state(given, lane).chosen[ngram.HIGH])


@kernel
def take_low(
    given: Lanes,
    joint: neural.Joint,
    corrections: I32Array,
    position: int,
    bits: int,
    match_shift: int,
) -> None:
    """Decode the low nibbles with the network's corrections: int32, shape (lanes * 16,)."""
    for lane in range(len(given.coders)):
        if _goes_on(given, lane, position):
            found = load_i32(corrections, 16 * lane)
            _take_low(given, joint, lane, position, found, bits, match_shift)


@kernel
def end(given: Lanes) -> None:
    """Mark the lanes whose coder has not come back to where it began as corrupt."""
    _end(given)
