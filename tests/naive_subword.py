"""The subword coder in plain Python integers: any model, by the reference decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmarc.codec import vectors
from lmarc.model.subword import SubwordModel, shapes
from lmarc.model.transformer import Sizes
from tools import reference_decoder
from tools.subword_archives import KnownTokens


def random_model(seed: int, sizes: Sizes) -> SubwordModel:
    """Return a model with a network of random numbers, and the small model's mixture."""
    random = np.random.default_rng(seed)
    base = vectors.small_subword()
    arrays: dict[str, Any] = {}
    for name, (dtype, shape) in shapes(sizes, len(base.vocabulary.tokens)).items():
        kind = np.iinfo(np.dtype(dtype))
        numbers = random.integers(kind.min, int(kind.max) + 1, shape)
        if name.endswith("_exp"):
            numbers = random.integers(0, 11, shape)
        elif name == "join_rate":
            numbers = np.array([50])
        arrays[name] = numbers.astype(dtype)
    return SubwordModel(base.vocabulary, base.mixture, sizes, arrays)


def steps_of(model: SubwordModel, content: bytes, profile: int) -> list[int]:
    """Return `cumfreq << 16 | freq` of each symbol of a chunk's tokens."""
    plain = reference_decoder.read_subword_model(model.pack(b"{}"))
    tokens = model.vocabulary.cut(content).tolist()
    known = KnownTokens(tokens)
    coder = reference_decoder.Subword(plain, profile, len(content))
    for _ in tokens:
        coder.decode_token(known)
    return [cumfreq << 16 | freq for cumfreq, freq in known.steps]
