"""The network's step is the plain one of the reference decoder, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.kernels import network
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import load_i32, store_i32
from lmarc.model.neural import NeuralModel
from tests import naive_neural


@kernel
def walk(net: Any, hidden: Any, past: Any, highs: Any, freqs: Any, out: Any) -> None:
    """Write the corrections of both nibbles of some bytes."""
    network.reset(hidden)
    for step in range(len(highs)):
        corrections = network.step(
            net, hidden, past[2 * step], past[2 * step + 1], load_i32(freqs, 32 * step)
        )
        store_i32(out, 32 * step, corrections)
        corrections = network.low(net, hidden, highs[step], load_i32(freqs, 32 * step + 16))
        store_i32(out, 32 * step + 16, corrections)


def steps_of(model: NeuralModel, seed: int, count: int) -> tuple[list[int], list[int]]:
    """Return corrections by the kernel and by the plain network, over random freqs and bytes."""
    random = np.random.default_rng(seed)
    past = random.integers(0, 256, 2 * count)
    highs = random.integers(0, 16, count)
    freqs = random.integers(1, 65_000, 32 * count).astype(np.int32)
    out = np.zeros(32 * count, np.int32)
    walk(model.network, model.hidden(), past, highs, freqs, out)
    plain = naive_neural.network_of(model)
    expected: list[int] = []
    for step in range(count):
        last = int(past[2 * step] | past[2 * step + 1] << 8)
        given = freqs[32 * step : 32 * step + 32].tolist()
        expected += plain.high(last, given[:16])
        expected += plain.low(int(highs[step]), given[16:])
    return out.tolist(), expected


@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_the_plain_one(seed: int) -> None:
    found, expected = steps_of(vectors.small_network(), seed, 12)
    assert found == expected


def test_products_of_more_than_64_outputs_are_the_plain_ones() -> None:
    found, expected = steps_of(naive_neural.random_network(5, 48, 64), 6, 5)
    assert found == expected


def test_sums_that_overflow_wrap() -> None:
    found, expected = steps_of(naive_neural.random_network(7, 512, 16, exponents=0), 8, 3)
    assert found == expected


def test_a_chunk_starts_from_nothing() -> None:
    model = vectors.small_network()
    assert steps_of(model, 1, 3)[0] == steps_of(model, 1, 3)[0]
