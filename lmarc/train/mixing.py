"""Train what chunks start from: the mixture's weights, a set for each kind of text (a *profile*).

The text must be unseen by the static tables, else the mixture trusts them too much.  Pieces are
first sorted by their bytes (k-means over histograms), then moved to the profile that codes them
best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.kernels import match, ngram
from lmarc.model.ngram import NgramModel, Scratch

__all__ = ["initial_profiles", "train_profiles"]

Array = npt.NDArray[Any]
Profiles = dict[str, Array]

LIMIT: Final = 12  # counts of dynamic rows stop here
FIRST_VISITS: Final = 1.2  # a row moves to a new symbol by 1 / (count + FIRST_VISITS)
MIXER_RATE: Final = 32
MIXER_BOOST: Final = 160  # more at a chunk's beginning, halved with every 4 bits of position
ROUNDS: Final = (2.0, 1.0, 0.5)  # passes over the text, and how fast the mixer learns in each
TABLE_BITS: Final = (14, 16)


def initial_profiles(count: int) -> Profiles:
    """Return `count` equal profiles, untrained: equal weights, and rates for any text."""
    share = np.minimum(65536 / (np.arange(ngram.N_COUNTS) + FIRST_VISITS), 60000)
    rates = np.stack([share / 2, share * (65535 - 256) / 65536]).astype(np.int32)
    position = np.maximum(np.arange(32) - 1, 0)
    mixer = (MIXER_RATE + MIXER_BOOST * 2.0 ** (-position / 4)).astype(np.int32)
    one = {
        "rates": rates,
        "limits": np.full(16, LIMIT, np.int32),
        "mixer_rates": mixer,
        "sets": np.full((ngram.N_SETS, 16), 7864, np.int32),
        "bytes": np.full((ngram.N_BYTE_VECTORS, 16), 1311, np.int32),
        "confidences": np.zeros((2, ngram.N_CONFIDENCES, 16), np.int32),
        "hits": np.full(match.N_LENGTHS, 60000, np.int32),
    }
    return {name: np.repeat(array[None], count, axis=0) for name, array in one.items()}


def _histograms(pieces: Sequence[bytes]) -> Array:
    """Square roots of byte frequencies: float64, (n_pieces, 256)."""
    counts = [np.bincount(np.frombuffer(piece, np.uint8), minlength=256) for piece in pieces]
    shares: Array = np.array(counts) / np.array([[len(piece)] for piece in pieces])
    return np.sqrt(shares)


def cluster(pieces: Sequence[bytes], count: int, rounds: int = 20) -> Array:
    """Sort pieces into `count` groups by their bytes; deterministic. Returns int64, (n_pieces,)."""
    points = _histograms(pieces)
    centres = [points[0]]
    for _ in range(1, count):  # each next centre is the point farthest from all so far
        distance = np.min([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=0)
        centres.append(points[int(distance.argmax())])
    group = np.zeros(len(pieces), np.int64)
    for _ in range(rounds):
        distances = np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
        group = distances.argmin(axis=1)
        centres = [
            points[group == g].mean(axis=0) if (group == g).any() else centres[g]
            for g in range(count)
        ]
    return group


def _walk(
    model: NgramModel,
    profile: int,
    weights: ngram.Weights,
    piece: bytes,
    speed: float,
    scratch: Scratch,
) -> int:
    """Code one piece, `weights` learning; return its cost in units of 2**-10 bits."""
    static = model.static(profile)
    # Inside a chunk the mixer slows down as it goes; weights that many chunks share learn at one
    # pace.
    pace = max(1, int(static.mixer_rates[-1] * speed))
    static = static._replace(mixer_rates=np.full(32, pace, np.int32))
    text = np.frombuffer(piece + b"\0", np.uint8)
    steps = np.empty(2 * len(piece), np.uint32)
    bits, match_bits = TABLE_BITS
    ngram.model(
        static, weights, scratch.state(bits, match_bits), text, bits, 32 - match_bits, steps, 0
    )
    return int(ngram.cost(steps))


def _train_one(
    model: NgramModel, profile: int, pieces: Sequence[bytes], rounds: Sequence[float]
) -> None:
    weights = model.weights(profile)
    scratch = Scratch()
    for speed in rounds:
        for piece in pieces:
            _walk(model, profile, weights, piece, speed, scratch)
    for name in ("sets", "bytes", "confidences", "hits"):
        model.profiles[name][profile] = getattr(weights, name).reshape(
            model.profiles[name].shape[1:]
        )


def _best(model: NgramModel, piece: bytes, scratch: Scratch) -> int:
    head = piece[:8192]
    costs = [
        _walk(model, profile, model.weights(profile), head, 1.0, scratch)
        for profile in range(model.profile_count)
    ]
    return costs.index(min(costs))


def train_profiles(
    buckets: Array,
    pieces: Sequence[bytes],
    count: int,
    *,
    moves: int = 1,
    progress: Callable[[int], object] = lambda n: None,
) -> NgramModel:
    """Return a model whose `count` profiles are trained on `pieces`.

    Parameters
    ----------
    buckets : uint8, shape (n_buckets, 64)
    pieces : sequence of bytes
        Text that the static tables did not see, mixed, in pieces of the sizes that chunks have.
    count : int
        1 to 256.
    moves : int
        How often pieces move to the profile that codes them best, and all are trained again.
    progress : callable
        Told how many pieces were used since it was told last.
    """
    group = cluster(pieces, count)
    scratch = Scratch()
    model = NgramModel(buckets, initial_profiles(count))
    for round_ in range(moves + 1):
        last = round_ == moves
        if round_:
            group = np.array([_best(model, piece, scratch) for piece in pieces])
            model = NgramModel(buckets, initial_profiles(count))
        for profile in range(count):
            own = [piece for piece, g in zip(pieces, group, strict=True) if g == profile]
            # A profile that nothing chose stays useful as the one for everything.
            own = own or list(pieces)
            _train_one(model, profile, own, ROUNDS if last else ROUNDS[:1])
            progress(len(own))
    return model
