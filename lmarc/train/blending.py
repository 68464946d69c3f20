"""Train what the blends of a multi-scale model start from: a set of weights for each profile.

The text must be unseen by the static tables, and is best unseen by the network too: else the blend
trusts them too much. So what is learnt last weighs most, and should be unseen by both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.codec.multiscale import model_steps
from lmarc.codec.ngram import choose_profile
from lmarc.codec.ngram import model_steps as mixture_steps
from lmarc.errors import ModelError
from lmarc.kernels import blend, ngram
from lmarc.model import file, registry
from lmarc.model.multiscale import ALWAYS, FINE, MultiscaleModel
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.train.data import Corpus
from lmarc.train.ngram import mixture_pieces

__all__ = [
    "ALONE", "LANES", "OVER_NETWORK", "Pace", "doubt_of", "held_out_bits", "initial_arrays",
    "model_below", "train_blends", "train_multiscale", "with_unseen",
]  # fmt: skip

Array = npt.NDArray[Any]

LANES: Final = (2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)
UNSEEN: Final = "unseen"  # the part that no model below has learnt from
HEAD_LIMIT: Final = 64500  # of 65536: a symbol that is more probable teaches nothing
HEAD_RATE: Final = 15
TRAINING_RATE: Final = 2  # slower than a chunk learns: what chunks share is what is wanted
ONE: Final = 65536 << FINE  # a weight of 1.0
ROUNDED: Final = 12  # bits of a weight that a file leaves out: it has a sixth of the size


class Pace(NamedTuple):
    """How fast a chunk learns."""

    limit: int  # counts of dynamic rows stop here
    first_visits: float  # a row moves to a new symbol by 1 / (count + first_visits)
    rate: int
    boost: int  # more at a chunk's beginning, halved with every 4 bits of position


# Found on text of other kinds than the training text; over a network the first makes 0.1 % more.
ALONE: Final = Pace(30, 1.3, 7, 120)
OVER_NETWORK: Final = Pace(60, 1.5, 5, 80)


def initial_arrays(
    count: int,
    lanes: Sequence[int] = LANES,
    sure: float | None = None,
    pace: Pace = ALONE,
) -> dict[str, Array]:
    """Return the arrays of `count` equal profiles: what is below, as it is, and rows from zero."""
    n = len(lanes)
    share = np.minimum(65536 / (np.arange(ngram.N_COUNTS) + pace.first_visits), 60000)
    rates = np.stack([share / 2, share * (65535 - 256) / 65536]).astype(np.int32)
    position = np.maximum(np.arange(32) - 1, 0)
    sures = np.zeros((2, blend.N_SURE, 16), np.int32)
    sures[:, :, n + blend.MIXTURE : n + blend.HEAD + 1] = ONE
    one = {
        "rates": rates,
        "limits": np.full(16, pace.limit, np.int32),
        "blend_rates": (pace.rate + pace.boost * 2.0 ** (-position / 4)).astype(np.int32),
        "head_rates": np.array([HEAD_LIMIT, HEAD_RATE], np.int32),
        "sures": sures,
        "bytes": np.zeros((blend.N_BYTES, 16), np.int32),
        "confidences": np.zeros((2, blend.N_SURE // 2, blend.N_CONFIDENCES, 16), np.int32),
        "sets": np.zeros((blend.N_SET_ROWS, 16), np.int32),
    }
    if sure is not None:
        one["doubts"] = np.array(doubt_of(sure), np.int32)
    return {name: np.repeat(array[None], count, axis=0) for name, array in one.items()}


def doubt_of(sure: float) -> int:
    """Return the freq from which on the n-gram mixture is sure, by its probability."""
    return min(max(round(65_536 * sure), 1), ALWAYS)


def train_blends(
    base: NeuralModel | NgramModel,
    pieces: Sequence[bytes],
    *,
    lanes: Sequence[int] = LANES,
    sure: float | None = None,
    own_rounds: int = 1,
    progress: Callable[[int], object] = lambda n: None,
) -> MultiscaleModel:
    """Return a model whose blends have learnt over `pieces`, first all alike, then each profile's.

    Parameters
    ----------
    base : NeuralModel or NgramModel
        The model below.
    pieces : sequence of bytes
        Text, mixed, in pieces of the sizes that chunks have.
    lanes : sequence of int
        The contexts, as in `MultiscaleModel`.
    sure : float, optional
        The probability from which on the n-gram mixture codes a symbol by itself; if None, it never
        does.
    own_rounds : int
        How often the pieces of a profile are gone over again for it alone.
    progress : callable
        Told how many pieces were used since it was told last.
    """
    mixture = base.ngram if isinstance(base, NeuralModel) else base
    count = mixture.profile_count
    chosen = [choose_profile(mixture, piece) for piece in pieces]
    pace = OVER_NETWORK if isinstance(base, NeuralModel) else ALONE
    arrays = initial_arrays(count, lanes, sure, pace)
    model = _at_one_pace(arrays, base, lanes)
    shared = model.weights(0)
    for piece, profile in zip(pieces, chosen, strict=True):
        model_steps(model, piece, profile, shared)
        progress(1)
    for profile in range(count):
        weights = blend.Weights(*(array.copy() for array in shared))
        for _ in range(own_rounds):
            for piece, own in zip(pieces, chosen, strict=True):
                if own == profile:
                    model_steps(model, piece, profile, weights)
                    progress(1)
        for name, array in weights._asdict().items():
            rounded = (array + (1 << (ROUNDED - 1))) >> ROUNDED << ROUNDED
            arrays[name][profile] = rounded.reshape(arrays[name].shape[1:])
    return MultiscaleModel(arrays, base, lanes)


def _at_one_pace(
    arrays: Mapping[str, Array], base: NeuralModel | NgramModel, lanes: Sequence[int]
) -> MultiscaleModel:
    """Return the model as its weights learn: those that many chunks share know no beginning."""
    pace = np.full_like(arrays["blend_rates"], TRAINING_RATE)
    return MultiscaleModel({**arrays, "blend_rates": pace}, base, lanes)


def model_below(name: str) -> tuple[NeuralModel | NgramModel, bytes]:
    """Return the model that a blend is for, and what the multi-scale model holds of it.

    That is its file, or the digest of one that ships: 'neural' or 'ngram'.

    Raises
    ------
    ModelError
        When it is no such model.
    OSError
        When there is no such file.
    """
    if name in ("neural", "ngram") and not Path(name).exists():
        digest = registry.shipped(name)
        if name == "neural":
            return registry.neural_model(digest), digest
        return registry.ngram_model(digest), digest
    data = Path(name).read_bytes()
    digest = hashlib.sha256(data).digest()
    kind = file.kind_of(data)
    if kind in (file.KIND_NEURAL, file.KIND_ADAPTER):
        return registry.neural_model(digest, data), data
    if kind == file.KIND_NGRAM:
        return registry.ngram_model(digest, data), data
    raise ModelError(f"{name} is a model of kind {kind}, expected a network or an n-gram model")


def with_unseen(corpus: Corpus) -> Corpus:
    """Return a corpus whose part 'unseen' has every other text of those that were held out."""
    held_out = corpus.texts.get("held out", {})
    unseen = {domain: texts[1::2] for domain, texts in held_out.items()}
    rest = {domain: texts[::2] for domain, texts in held_out.items()}
    texts = {**corpus.texts, UNSEEN: unseen, "held out": rest}
    return Corpus(texts, corpus.size, corpus.digest)


def train_multiscale(
    corpus: Corpus,
    base: NeuralModel | NgramModel,
    inside: bytes,
    text: int,
    progress: Callable[[int, int], object] = lambda done, total: None,
    *,
    lanes: Sequence[int] = LANES,
    sure: float | None = None,
) -> bytes:
    """Return the file of a multi-scale model trained on the part 'mixture' of `corpus`.

    Then, and last, on the part 'unseen', where `with_unseen` has made one.

    Parameters
    ----------
    corpus : Corpus
    base, inside : NeuralModel or NgramModel, bytes
        As `model_below` returns them.
    text : int
        Bytes of each part to learn from, of every domain alike.
    progress : callable
        Gets how many pieces are done, of how many.
    lanes, sure
        As for `train_blends`.

    Raises
    ------
    ModelError
        When there is no text to learn from.
    """
    parts = [mixture_pieces(corpus.part(name), text) for name in ("mixture", UNSEEN)]
    pieces = [piece for part in parts for piece in part]
    if not pieces:
        raise ModelError("there is no text for the blend to learn from")
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress(done, 2 * len(pieces))

    model = train_blends(base, pieces, lanes=lanes, sure=sure, progress=told)
    card = {
        "corpus_sha256": corpus.digest,
        "pieces": len(pieces),
        "training_text": sum(map(len, pieces)),
    }
    return model.pack(json.dumps(card, indent=1, sort_keys=True).encode(), inside)


def held_out_bits(
    data: bytes, base: NeuralModel | NgramModel, corpus: Corpus, limit: int
) -> tuple[float, float, int]:
    """Return bits per byte of held-out text by the mixture and by the model, and its size."""
    model = MultiscaleModel.parse(file.unpack(data, file.KIND_MULTISCALE), base)
    pieces = mixture_pieces(corpus.part("held out"), limit)
    alone = joint = 0
    for piece in pieces:
        profile = choose_profile(model.ngram, piece)
        alone += ngram.cost(mixture_steps(model.ngram, piece, profile, thread_scratch()))
        joint += ngram.cost(model_steps(model, piece, profile))
    total = sum(map(len, pieces))
    return alone / 1024 / max(1, total), joint / 1024 / max(1, total), total
