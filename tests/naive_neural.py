"""The neural coder in plain Python integers: networks of any numbers, by the reference decoder."""

from __future__ import annotations

import numpy as np

from lmarc.codec import vectors
from lmarc.model.neural import NeuralModel, shapes
from lmarc.model.patches import PATCHES
from lmarc.model.transformer import Sizes
from tools import reference_decoder


def random_network(
    seed: int,
    n1: int,
    n2: int,
    exponents: int | None = None,
    layers: int = 2,
    patches: Sizes | None = None,
) -> NeuralModel:
    """Return a network of random numbers over the small n-gram model, perhaps with patches."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, (dtype, shape) in shapes(n1, n2, layers, patches).items():
        kind = np.iinfo(np.dtype(dtype))
        numbers = random.integers(kind.min, int(kind.max) + 1, shape)
        if name.endswith("_exp"):
            numbers = random.integers(0, 11, shape)
            if exponents is not None:
                numbers[:] = exponents
        elif name == "join_rate":
            numbers = np.array([50])
        elif name == PATCHES:
            numbers = np.array(patches)
        arrays[name] = numbers.astype(dtype)
    return NeuralModel(arrays, vectors.small_model())


def plain_model(model: NeuralModel) -> reference_decoder.NeuralModel:
    """Return the numbers of a model as the reference decoder reads them from its file."""
    return reference_decoder.read_neural_model(model.pack(b"{}", vectors.small_model().pack(b"{}")))


def network_of(model: NeuralModel) -> reference_decoder.Network:
    """Return the plain network of a model."""
    return reference_decoder.Network(plain_model(model))
