"""The multi-scale coder in plain integers: models of any numbers, by the reference decoder."""

from __future__ import annotations

import numpy as np

from lmarc.codec import vectors
from lmarc.kernels import blend
from lmarc.model.multiscale import (
    FINE,
    FIRST_LANES,
    PROFILE_ARRAYS,
    SET_ARRAYS,
    MultiscaleModel,
)
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import NgramModel
from tools import craft_ngram, reference_decoder

LANES = (0, 2, 15, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)


def random_blend(
    seed: int,
    base: NeuralModel | NgramModel,
    lanes: tuple[int, ...] | None = None,
    doubts: tuple[int, int] | None = None,
) -> MultiscaleModel:
    """Return a blend of random numbers, as wild as a lawful file can hold."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, (_, shape) in {**PROFILE_ARRAYS, **(SET_ARRAYS if lanes else {})}.items():
        arrays[name] = random.integers(-(2**31), 2**31, (2, *shape)).astype(np.int32)
    arrays["rates"] = random.integers(0, 32768, (2, 2, 64)).astype(np.int32)
    arrays["limits"] = random.integers(1, 64, (2, 16)).astype(np.int32)
    arrays["blend_rates"] = random.integers(0, 4096, (2, 32)).astype(np.int32)
    arrays["head_rates"] = np.array([[65_536, 255], [40_000, 9]], np.int32)
    # Half of them are mild, so that the symbols' freqs differ.
    fine = FINE if lanes else 0
    arrays["sures"][0] >>= 14 - fine
    for name in ("bytes", "confidences", *(SET_ARRAYS if lanes else ())):
        arrays[name][0] >>= 15 - fine
    if doubts:
        arrays["doubts"] = np.array(doubts, np.int32)
    count = len(lanes or FIRST_LANES)
    arrays["sures"][0, ..., count + blend.MIXTURE] += 40_000 << fine
    return MultiscaleModel(arrays, base, lanes)


def file_of(model: MultiscaleModel) -> bytes:
    """Return the file of a model, all below it inside."""
    below = vectors.small_model().pack(b"{}")
    if model.neural is not None:
        below = model.neural.pack(b"{}", below)
    return model.pack(b"{}", below)


def decoded(model: MultiscaleModel, payload: bytes, size: int, text: bytes = b"") -> bytes:
    """Return what the reference decoder makes of a payload; `text` is that of a primed model."""
    data = file_of(model)
    if text:
        data = craft_ngram.primed_model(data, text)
    return reference_decoder.multiscale(payload, size, data)
