"""Static rows and starting weights of the subword mixture: `tables` and `mixing` for tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.codec.ngram import table_bits
from lmarc.kernels import ngram, subword, tokens
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.model.vocabulary import LEVELS, Vocabulary
from lmarc.train.counts import LEAST, Counts
from lmarc.train.mixing import ROUNDS, initial_profiles
from lmarc.train.tables import choose, fill_buckets

__all__ = [
    "PARENTS", "TokenSource", "bits_of", "count_rows", "mixture_freqs", "train_mixture",
    "train_tables",
]  # fmt: skip

Array = npt.NDArray[Any]

# Each static lane's shorter context; a parent stands before its children in subword.STATIC_LANES.
PARENTS: Final[dict[int, int | None]] = {
    tokens.ORDER_0: None,
    tokens.ORDER_1: tokens.ORDER_0,
    tokens.HALF_2: tokens.ORDER_1,
    tokens.ORDER_2: tokens.HALF_2,
    tokens.ORDER_3: tokens.ORDER_2,
    tokens.SKIP: tokens.ORDER_0,
    tokens.CLASSES: tokens.ORDER_0,
}
LOWEST_SAVING: Final = 8.0  # bits


def _symbols(text: Array) -> Array:
    """Return the three symbols of each token: int64, (count * 3,)."""
    shifts = 4 * np.arange(LEVELS - 1, -1, -1)
    symbols: Array = (text.astype(np.int64)[:, None] >> shifts & 15).reshape(-1)
    return symbols


def count_rows(vocabulary: Vocabulary, text: Array) -> dict[int, Counts]:
    """Count the contexts of every static lane over some tokens: uint16, (count,)."""
    state = thread_scratch().state(ngram_bits := 11, ngram_bits + 2)
    symbols = _symbols(text)
    met: dict[int, Array] = {}
    for lane in subword.STATIC_LANES:
        met[lane] = np.empty(LEVELS * len(text), np.int64)
        subword.rows_of(state, vocabulary.flags, text, lane, met[lane])
    found: dict[int, Counts] = {}
    for lane in subword.STATIC_LANES:
        order = np.argsort(met[lane])
        ids = met[lane][order]
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        visits = np.diff(starts, append=len(ids))
        kept = visits >= LEAST
        rows = np.repeat(np.cumsum(kept) - 1, visits)
        used = np.repeat(kept, visits)
        places = rows[used] * 16 + symbols[order[used]]
        counts = np.bincount(places, minlength=16 * int(kept.sum())).reshape(-1, 16)
        parent = PARENTS[lane]
        parents = np.full(int(kept.sum()), -1, np.int32)
        if parent is not None:
            wanted = met[parent][order[starts[kept]]]
            known = found[parent].ids
            at = np.searchsorted(known, wanted).clip(max=max(0, len(known) - 1))
            parents = np.where(known[at] == wanted, at, -1).astype(np.int32)
        found[lane] = Counts(ids[starts[kept]], counts.astype(np.uint32), parents)
    return found


def train_tables(vocabulary: Vocabulary, text: Array, rows: int) -> Array:
    """Return buckets with up to `rows` rows, those that save most: uint8, (buckets, 64)."""
    chosen = choose(count_rows(vocabulary, text), LOWEST_SAVING, subword.STATIC_LANES, PARENTS)
    best = np.argsort(-chosen.savings, kind="stable")[:rows]
    buckets, _ = fill_buckets(type(chosen)(*(part[best] for part in chosen)))
    return buckets


def initial(buckets: Array) -> NgramModel:
    """Return a mixture that is not trained."""
    profiles = initial_profiles(1)
    profiles["sets"] = np.full((1, subword.N_SETS, 16), 7864, np.int32)
    profiles["bytes"] = np.full((1, subword.N_TOKEN_VECTORS, 16), 1311, np.int32)
    profiles["confidences"] = np.zeros((1, LEVELS, ngram.N_CONFIDENCES, 16), np.int32)
    return NgramModel(buckets, profiles)


def _walk(
    mixture: NgramModel,
    static: ngram.Static,
    weights: ngram.Weights,
    vocabulary: Vocabulary,
    content: bytes,
) -> tuple[Array, Array]:
    """Return the tokens of some text, and the freqs of their symbols: uint16, (count, 3, 16)."""
    text = vocabulary.cut(content)
    bits, match_bits = table_bits(len(content))
    freqs = np.empty((len(text), LEVELS, 16), np.uint16)
    subword.record(
        static,
        weights,
        thread_scratch().state(bits, match_bits),
        vocabulary.flags,
        np.concatenate([text, np.zeros(1, np.uint16)]),
        bits,
        32 - match_bits,
        freqs.reshape(-1),
    )
    return text, freqs


def mixture_freqs(
    mixture: NgramModel, vocabulary: Vocabulary, content: bytes
) -> tuple[Array, Array]:
    """Return the tokens of a chunk, and the mixture's freqs: uint16, (count, 3, 16)."""
    return _walk(mixture, mixture.static(0), mixture.weights(0), vocabulary, content)


def train_mixture(
    buckets: Array,
    vocabulary: Vocabulary,
    pieces: Sequence[bytes],
    *,
    rounds: Sequence[float] = ROUNDS,
    progress: Callable[[int], object] = lambda count: None,
) -> NgramModel:
    """Return the mixture with weights learnt over `pieces`, which the rows have not seen."""
    mixture = initial(buckets)
    static, weights = mixture.static(0), mixture.weights(0)
    for speed in rounds:
        pace = max(1, int(static.mixer_rates[-1] * speed))
        steady = static._replace(mixer_rates=np.full(32, pace, np.int32))
        for number, piece in enumerate(pieces):
            _walk(mixture, steady, weights, vocabulary, piece)
            progress(number)
    for name, array in weights._asdict().items():
        mixture.profiles[name][0] = array.reshape(mixture.profiles[name].shape[1:])
    return NgramModel(buckets, mixture.profiles)


def bits_of(text: Array, freqs: Array) -> float:
    """Return the bits of some tokens by the freqs of their symbols."""
    symbols = _symbols(text).reshape(-1, LEVELS, 1)
    chosen = np.take_along_axis(freqs, symbols, 2).astype(np.float64)
    return float((16 - np.log2(chosen)).sum())


class TokenSource:
    """Tokens, of three symbols each, and the subword mixture: a `Source` for `Feed`."""

    levels: Final = LEVELS

    def __init__(self, mixture: NgramModel, vocabulary: Vocabulary) -> None:
        self._mixture, self._vocabulary = mixture, vocabulary

    def cut(self, content: bytes) -> Array:
        """Return tokens: uint16."""
        return self._vocabulary.cut(content)

    def freqs(self, content: bytes) -> Array:
        """Return the mixture's freqs over a chunk: uint16, (count, 3, 16)."""
        return mixture_freqs(self._mixture, self._vocabulary, content)[1]
