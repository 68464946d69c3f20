"""The n-gram coder's step with its later parts left out, to tell what each part takes.

Every kernel walks over the same text with the same contexts, rows and matches: none of these
depends on what the mixture says or learns. So a walk that only looks rows up asks for the same
memory as the whole one, and what a part adds is the difference between two walks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmarc.kernels import _vector, contexts
from lmarc.kernels import ngram as steps
from lmarc.kernels._jit import integer, kernel

CONTEXTS, ROWS, INPUTS, MIXTURE, LEARNING = range(5)
PARTS = {
    CONTEXTS: "contexts, hashes, matches",
    ROWS: "finding rows",
    INPUTS: "reading rows as logarithms",
    MIXTURE: "mixing",
    LEARNING: "learning",
}

# Numba takes functions from a module's globals, and types them itself.
_coder: Any = steps
_start_chunk, _start_byte, _finish_byte = (
    _coder._start_chunk,
    _coder._start_byte,
    _coder._finish_byte,
)
_ask_for_dynamic, _find_dynamic, _find_static = (
    _coder._ask_for_dynamic,
    _coder._find_dynamic,
    _coder._find_static,
)
_look_up, _predict, _learn = _coder._look_up, _coder._predict, _coder._learn
_compute_rows: Any = contexts.compute_rows
bit_length: Any = _vector.bit_length
narrow: Any = _vector.narrow
store_words: Any = _vector.store_words
N_STATIC, FIRST_STATIC, STATIC_LANES = steps.N_STATIC, steps.FIRST_STATIC, steps.STATIC_LANES
HIGH = steps.HIGH


def walk(last: int) -> Callable[..., None]:
    """Return a kernel like `lmarc.kernels.ngram.model` that does the parts up to `last`."""

    @kernel
    def walked(
        static: Any,
        weights: Any,
        state: Any,
        text: Any,
        bits: int,
        match_shift: int,
        written: Any,
    ) -> None:
        _start_chunk(state)
        size = len(text) - 1
        if size > 0:
            _start_byte(static, state, text, 0, match_shift, bits)
        for position in range(size):
            byte = integer(text[position])
            rate = integer(static.mixer_rates[bit_length(position)])
            for half in range(2):
                if last == ROWS:
                    counts, learnt = _find_dynamic(static, state, bits)
                    store_words(state.counts, 0, narrow(counts))
                    state.chosen[0] = learnt
                    for k in range(N_STATIC):
                        lane = STATIC_LANES[k]
                        hash_ = integer(state.hashes[lane])
                        tag = hash_ & 0xFFFF
                        at, found = _find_static(
                            static, state.homes[k], tag + (1 if tag == 0 else 0), hash_
                        )
                        state.counts[FIRST_STATIC + k] = at & -found
                elif last == INPUTS:
                    _look_up(static, weights, state, bits, half, position)
                elif last >= MIXTURE:
                    _predict(static, weights, state, bits, half, position)
                symbol = byte >> 4 if half == 0 else byte & 15
                if last >= MIXTURE:
                    cumfreq, freq = integer(state.sums[symbol]), integer(state.freqs[symbol])
                    written[2 * position + half] = cumfreq << 16 | freq
                if half == 0:
                    _compute_rows(state.keys, 1 + symbol, state.hashes)
                    _ask_for_dynamic(state, bits)
                else:
                    _finish_byte(state, position, byte)
                    _start_byte(static, state, text, position + 1, match_shift, bits)
                if last >= LEARNING:
                    _learn(static, weights, state, symbol, rate)
                if half == 0:
                    state.chosen[HIGH] = symbol

    return walked
