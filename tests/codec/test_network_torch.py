"""Steps of several chunks in PyTorch are those of each, as the plain twin takes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmarc.codec import vectors
from lmarc.codec.network_torch import TorchNetwork
from lmarc.model.neural import NeuralModel
from lmarc.model.transformer import Sizes
from tests.naive_neural import network_of, random_network

TEXTS = [
    vectors.prose("steps", 40),
    b"-" * 9 + b"unbelievable...",
    vectors.noise("steps", 21),
    b"a",
]


@pytest.mark.parametrize(
    "model",
    [
        random_network(1, 32, 48),
        random_network(2, 48, 16, layers=4),
        random_network(3, 32, 48, layers=3, patches=Sizes(32, 2, 2, 48, 16)),
        random_network(4, 32, 16, 0, patches=Sizes(16, 1, 1, 16, 16)),
        random_network(5, 16, 16, 10, patches=Sizes(16, 1, 1, 16, 16)),
    ],
    ids=["two layers", "four", "patches", "largest", "smallest"],
)
def test_every_correction_is_the_plain_one_in_steps_of_several_chunks(model: NeuralModel) -> None:
    network = TorchNetwork(model, "cpu")
    plain = [network_of(model) for _ in TEXTS]
    state, count = network.start(len(TEXTS)), len(TEXTS)
    freqs = np.random.default_rng(2).integers(1, 65_000, (max(map(len, TEXTS)), count, 2, 16))
    for position, mixture in enumerate(freqs):
        # Chunks that have ended go on from their last bytes; nobody asks for what comes of it.
        at = [min(position, len(text) - 1) for text in TEXTS]
        before = [
            [text[n - k] if n >= k else 0 for k in (1, 2)]
            for text, n in zip(TEXTS, at, strict=True)
        ]
        highs = [text[n] >> 4 for text, n in zip(TEXTS, at, strict=True)]
        seen = torch.from_numpy(mixture >> 9)
        found, outs, state = network.step(torch.tensor(before), seen[:, 0], state)
        low = network.low(outs, seen[:, 1], torch.tensor(highs))
        for row, one in enumerate(plain):
            if position < len(TEXTS[row]):
                last = before[row][0] + (before[row][1] << 8)
                given = mixture[row].tolist()
                assert found[row].tolist() == one.high(last, given[0])
                assert network.last(outs)[row].tolist() == one.out
                assert low[row].tolist() == one.low(highs[row], given[1])
