"""The subword coder's step: the mixture over tokens, corrected by the Transformer.

spec/v1/subword.md is the authority. Mixture and network are joined as in `neural`. The mixture does
not depend on the network: so an encoder asks it about some tokens ahead, lets the Transformer go
along them, and joins the two after that. A decoder goes along in several chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import lanes, neural, ngram, pair_products, rans, subword, transformer
from ._jit import (
    I16Array,
    I32Array,
    I64Array,
    U8Array,
    U16Array,
    U32Array,
    inlined,
    integer,
    kernel,
)
from ._vector import (
    load_i16,
    load_i32,
    load_words,
    maximum,
    minimum,
    splat,
    store_i16,
    store_words,
    widen,
)
from ._views import view

if TYPE_CHECKING:
    from ._vector_plain import Vector

MAX_LOGIT = 8191
N_SETS = 16 * subword.N_LEVELS


class Network(NamedTuple):
    """A model's network and what goes with its tokens, read-only."""

    transformer: transformer.Transformer
    # (tokens, width) flattened, in units of 2**-5
    embedding: I16Array
    # [width / 2][16][2] for each node of a level, the levels one after the other
    branches: I16Array
    scales: I32Array
    # (tokens,): flags; and where each token's bytes begin in `text`: (tokens + 1,)
    flags: U8Array
    starts: I32Array
    text: U8Array


class Tokens(NamedTuple):
    """What `lanes.Lanes` lacks for tokens."""

    # As long as `texts`, each lane's from the same place on
    tokens: U16Array
    # (lanes,) each: bytes written so far; the lanes that have a token to come, of each row one
    sizes: I64Array
    rows: I64Array


@inlined
def _enter(net: Network, memory: transformer.Memory, row: int, token: int) -> None:
    """Let a token enter a row's stream."""
    width = integer(net.transformer.sizes[transformer.WIDTH])
    for at in range(0, width, 16):
        vector = load_i16(net.embedding, token * width + at) * 32
        store_i16(memory.stream, row * width + at, vector)


@inlined
def _corrections(net: Network, pairs: I32Array, row: int, level: int, prefix: int) -> Vector:
    """A row's corrections of the branches below a node, by what left the Transformer, in pairs."""
    width = integer(net.transformer.sizes[transformer.WIDTH])
    node = prefix + (0 if level == 0 else (1 if level == 1 else 17))
    product = pair_products.product(
        net.branches, 16 * width * node, pairs, row * (width // 2), width // 2
    )
    logits = product * load_i32(net.scales, 16 * node) >> 5
    return minimum(maximum(logits, splat(-MAX_LOGIT)), splat(MAX_LOGIT))


@kernel
def model(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    net: Network,
    memory: transformer.Memory,
    joint: neural.Joint,
    tokens: U16Array,
    bits: int,
    match_shift: int,
    rows: int,
    freqs: U16Array,
    steps: U32Array,
) -> None:
    """Walk over a chunk as the decoder will, and write down each symbol's place in the freqs.

    Parameters
    ----------
    static, weights, state, bits, match_shift
        As for `subword.record`.
    net : Network
    memory : transformer.Memory
        Of `rows` rows: tokens that are looked at together.
    joint : neural.Joint
        Changed: its weights learn.
    tokens : uint16, shape (count + 1,)
    freqs : uint16, shape (rows * 3 * 16,)
        Scratch memory.
    steps : uint32, shape (3 * count,)
        Receives `cumfreq << 16 | freq` of each symbol.
    """
    ngram._start_chunk(state)
    transformer.reset(memory)
    count = len(tokens) - 1
    if count > 0:
        subword._start_token(static, state, tokens, 0, match_shift, bits)
    for start in range(0, count, rows):
        here = min(rows, count - start)
        for row in range(here):
            position = start + row
            _enter(net, memory, row, integer(tokens[position - 1]) if position else 0)
            token = integer(tokens[position])
            for level in range(subword.N_LEVELS):
                subword._predict(static, weights, state, bits, level)
                at = 16 * (subword.N_LEVELS * row + level)
                store_words(freqs, at, load_words(state.shares, 0))
                subword._take(
                    static, weights, state, net.flags, tokens, position, level,
                    subword._symbol(token, level), bits, match_shift,
                )  # fmt: skip
        transformer.place(memory, here, start, 1)
        transformer.step(net.transformer, memory, here)
        for row in range(here):
            shares = 16 * subword.N_LEVELS * row
            _join_token(
                net, joint, tokens, start + row, freqs, shares, memory.normed_pairs, row, steps
            )


@inlined
def _join_token(
    net: Network,
    joint: neural.Joint,
    tokens: U16Array,
    position: int,
    freqs: U16Array,
    at: int,
    pairs: I32Array,
    row: int,
    steps: U32Array,
) -> None:
    """Join what mixture, from `at` on, and network, in a row of `pairs`, have said of a token."""
    token = integer(tokens[position])
    for level in range(subword.N_LEVELS):
        symbol = subword._symbol(token, level)
        corrections = _corrections(net, pairs, row, level, subword._prefix(token, level))
        neural._join(joint, widen(load_words(freqs, at + 16 * level)), corrections, level)
        steps[subword.N_LEVELS * position + level] = neural._place(joint.sums, joint.freqs, symbol)
        neural._learn_join(joint, symbol)


@kernel
def join(
    net: Network,
    joint: neural.Joint,
    tokens: U16Array,
    freqs: U16Array,
    pairs: I32Array,
    steps: U32Array,
) -> None:
    """Join what mixture and network have said of a chunk: for a network that runs elsewhere.

    Parameters
    ----------
    net : Network
    joint : neural.Joint
        Changed: its weights learn.
    tokens : uint16, shape (count,)
    freqs : uint16, shape (count * 3 * 16,)
        The mixture's.
    pairs : int32, shape (count * width / 2,)
        What left the Transformer: pairs of int16 that hold int8.
    steps : uint32, shape (3 * count,)
        Receives `cumfreq << 16 | freq` of each symbol.
    """
    for position in range(len(tokens)):
        at = 16 * subword.N_LEVELS * position
        _join_token(net, joint, tokens, position, freqs, at, pairs, position, steps)


@inlined
def _goes_on(given: lanes.Lanes, tokens: Tokens, lane: int) -> bool:
    """Whether a lane has another token."""
    size = integer(given.text_starts[lane + 1]) - integer(given.text_starts[lane]) - 1
    more: bool = integer(tokens.sizes[lane]) < size and integer(given.reads[lane]) != rans.CORRUPT
    return more


@inlined
def _begin(given: lanes.Lanes, tokens: Tokens, bits: int, match_shift: int) -> None:
    """Start all lanes."""
    for lane in range(len(given.coders)):
        state = lanes._state(given, lane)
        ngram._start_chunk(state)
        tokens.sizes[lane] = 0
        first, end = integer(given.word_starts[lane]), integer(given.word_starts[lane + 1])
        given.coders[lane], given.reads[lane] = 0, rans.CORRUPT
        if end - first >= 2 and integer(given.words[first]) >> 31 == 0:
            coder = integer(given.words[first]) << 32 | integer(given.words[first + 1])
            if end - first == 2 or coder >= rans.STATE_MIN:
                given.coders[lane], given.reads[lane] = coder, 2
                starts = given.text_starts
                own = view(tokens.tokens, integer(starts[lane]), integer(starts[lane + 1]))
                subword._start_token(lanes._static(given, lane), state, own, 0, match_shift, bits)


@inlined
def _write(net: Network, given: lanes.Lanes, tokens: Tokens, lane: int, token: int) -> None:
    """Write a token's bytes behind a lane's text; mark the lane where they do not fit."""
    start = integer(given.text_starts[lane])
    size = integer(tokens.sizes[lane])
    room = integer(given.text_starts[lane + 1]) - start - 1 - size
    if token >= len(net.flags):
        given.reads[lane] = rans.CORRUPT
        return
    first = integer(net.starts[token])
    own = integer(net.starts[token + 1]) - first
    if own > room:
        given.reads[lane] = rans.CORRUPT
        return
    for at in range(own):
        given.texts[start + size + at] = net.text[first + at]
    tokens.sizes[lane] = size + own


@kernel
def decode(
    given: lanes.Lanes,
    joint: neural.Joint,
    tokens: Tokens,
    net: Network,
    memory: transformer.Memory,
    bits: int,
    match_shift: int,
) -> None:
    """Decode all lanes: the inverse of `model` and `rans.encode`.

    Parameters
    ----------
    given : lanes.Lanes
        `texts` are written in full, the last byte of each apart; `reads` receives how many words of
        each were read, or rans.CORRUPT.
    joint : neural.Joint
        Of all lanes; changed.
    tokens : Tokens
        Scratch memory.
    net : Network
    memory : transformer.Memory
        Scratch memory, of as many rows and sequences as there are lanes.
    bits, match_shift : int
        As for `subword.record`; the same for all.
    """
    count = len(given.coders)
    transformer.reset(memory)
    _begin(given, tokens, bits, match_shift)
    for lane in range(count):
        tokens.rows[lane] = lane
    position = 0
    while True:
        row = 0
        while row < count:
            lane = integer(tokens.rows[row])
            if _goes_on(given, tokens, lane):
                _enter(net, memory, row, _before(given, tokens, lane, position))
                row += 1
            else:
                # Chunks have different counts of tokens: the last row takes the place of one that
                # has ended, so that no step is taken for nothing.
                count -= 1
                tokens.rows[row] = tokens.rows[count]
                transformer.move(net.transformer, memory, count, row)
        if count == 0:
            break
        transformer.place(memory, count, position, 0)
        transformer.step(net.transformer, memory, count)
        for row in range(count):
            pairs, lane = memory.normed_pairs, integer(tokens.rows[row])
            _take_token(given, joint, tokens, net, pairs, row, lane, position, bits, match_shift)
        position += 1
    lanes._end(given)


@inlined
def _before(given: lanes.Lanes, tokens: Tokens, lane: int, position: int) -> int:
    """A lane's token before the one at `position`; 0 before the first."""
    before: int = 0
    if position > 0:
        before = integer(tokens.tokens[integer(given.text_starts[lane]) + position - 1])
    return before


@kernel
def begin(given: lanes.Lanes, tokens: Tokens, bits: int, match_shift: int) -> int:
    """Start all lanes, for a network that runs elsewhere; return how many have a token to come.

    Then, for each position, `take`, until none has; and `lanes.end`.
    """
    _begin(given, tokens, bits, match_shift)
    on = 0
    for lane in range(len(given.coders)):
        on += _goes_on(given, tokens, lane)
    return on


@kernel
def take(
    given: lanes.Lanes,
    joint: neural.Joint,
    tokens: Tokens,
    net: Network,
    pairs: I32Array,
    before: I64Array,
    position: int,
    bits: int,
    match_shift: int,
) -> int:
    """Decode the next token of each lane; return how many have another.

    Parameters
    ----------
    pairs : int32, shape (lanes * width / 2,)
        What left the Transformer: pairs of int16 that hold int8.
    before : int64, shape (lanes,)
        Receives the tokens; that of a lane that has ended stays.
    """
    on = 0
    for lane in range(len(given.coders)):
        if _goes_on(given, tokens, lane):
            _take_token(given, joint, tokens, net, pairs, lane, lane, position, bits, match_shift)
            if _goes_on(given, tokens, lane):
                before[lane] = _before(given, tokens, lane, position + 1)
                on += 1
    return on


@inlined
def _take_token(
    given: lanes.Lanes,
    joints: neural.Joint,
    tokens: Tokens,
    net: Network,
    pairs: I32Array,
    row: int,
    lane: int,
    position: int,
    bits: int,
    match_shift: int,
) -> None:
    """Decode a lane's next token; what left the Transformer stands in a row of `pairs`."""
    static, weights = lanes._static(given, lane), lanes._weights(given, lane)
    state, joint = lanes._state(given, lane), lanes._joint(joints, lane, len(given.coders))
    starts = given.text_starts
    own = view(tokens.tokens, integer(starts[lane]), integer(starts[lane + 1]))
    prefix = 0
    for level in range(subword.N_LEVELS):
        subword._predict(static, weights, state, bits, level)
        corrections = _corrections(net, pairs, row, level, prefix)
        neural._join(joint, load_i32(state.freqs, 0), corrections, level)
        symbol = lanes._next_joint(given, joint, lane)
        prefix = prefix << 4 | symbol
        if level == subword.N_LEVELS - 1:
            _write(net, given, tokens, lane, prefix)
            if integer(given.reads[lane]) == rans.CORRUPT:
                return
            own[position] = prefix
        subword._take(
            static, weights, state, net.flags, own, position, level, symbol, bits, match_shift
        )
