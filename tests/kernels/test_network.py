"""The network's step is the plain one of the reference decoder, number by number."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.kernels import network
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import load_i32, store_i32
from lmarc.model.neural import NeuralModel, shapes
from tests import naive_neural


@kernel
def walk(net: Any, hidden: Any, past: Any, highs: Any, freqs: Any, rows: Any, out: Any) -> None:
    """Write the corrections of both nibbles of some bytes, so many at a time."""
    network.reset(hidden)
    for first in range(0, len(highs), rows):
        count = min(rows, len(highs) - first)
        for row in range(count):
            hidden.before[2 * row] = past[2 * (first + row)]
            hidden.before[2 * row + 1] = past[2 * (first + row) + 1]
            network.see(hidden, row, load_i32(freqs, 32 * (first + row)))
        network.step(net, hidden, count, 1)
        for row in range(count):
            at = first + row
            store_i32(out, 32 * at, network.high(net, hidden, row))
            network.see(hidden, row, load_i32(freqs, 32 * at + 16))
            store_i32(out, 32 * at + 16, network.low(net, hidden, row, highs[at]))


@kernel
def walk_together(net: Any, hidden: Any, past: Any, highs: Any, freqs: Any, out: Any) -> None:
    """The same for several chunks, all going on by one byte at a time."""
    network.reset(hidden)
    rows, n_steps = highs.shape
    for at in range(n_steps):
        for row in range(rows):
            hidden.before[2 * row] = past[row, 2 * at]
            hidden.before[2 * row + 1] = past[row, 2 * at + 1]
            network.see(hidden, row, load_i32(freqs[row], 32 * at))
        network.step(net, hidden, rows, 0)
        for row in range(rows):
            store_i32(out[row], 32 * at, network.high(net, hidden, row))
            network.see(hidden, row, load_i32(freqs[row], 32 * at + 16))
            store_i32(out[row], 32 * at + 16, network.low(net, hidden, row, highs[row, at]))


def drawn(seed: int, count: int) -> tuple[Any, Any, Any]:
    """Return random bytes before, high nibbles and freqs."""
    random = np.random.default_rng(seed)
    past = random.integers(0, 256, 2 * count)
    highs = random.integers(0, 16, count)
    freqs = random.integers(1, 65_000, 32 * count).astype(np.int32)
    return past, highs, freqs


def plain_steps(model: NeuralModel, past: Any, highs: Any, freqs: Any) -> list[int]:
    plain = naive_neural.network_of(model)
    expected: list[int] = []
    for step in range(len(highs)):
        last = int(past[2 * step] | past[2 * step + 1] << 8)
        given = freqs[32 * step : 32 * step + 32].tolist()
        expected += plain.high(last, given[:16])
        expected += plain.low(int(highs[step]), given[16:])
    return expected


def steps_of(
    model: NeuralModel, seed: int, count: int, rows: int = 1
) -> tuple[list[int], list[int]]:
    """Return corrections by the kernel and by the plain network, over random freqs and bytes."""
    past, highs, freqs = drawn(seed, count)
    out = np.zeros(32 * count, np.int32)
    walk(model.network, model.hidden(rows), past, highs, freqs, rows, out)
    return out.tolist(), plain_steps(model, past, highs, freqs)


@pytest.mark.parametrize("rows", [2, 3, 4, 6, 8, 16])
def test_bytes_that_are_known_can_be_taken_together(rows: int) -> None:
    found, expected = steps_of(naive_neural.random_network(3, 48, 64), 2, 12, rows)
    assert found == expected


@pytest.mark.parametrize("rows", [1, 3, 7, 16])
@pytest.mark.parametrize("layers", [3, 4, 8])
def test_layers_can_be_stacked(layers: int, rows: int) -> None:
    model = naive_neural.random_network(layers, 48, 32, layers=layers)
    found, expected = steps_of(model, 2, 12, rows)
    assert found == expected


# Where nothing is compiled, what the processor has can be chosen.
BOTH_WAYS = """
from unittest.mock import patch
from lmarc.codec import vectors
from lmarc.kernels import network
from lmarc.model import neural
from tests.kernels.test_network import steps_of
for quads in (True, False):
    with patch.object(network, "QUADS", quads), patch.object(neural, "QUADS", quads), \\
            patch.object(network, "PACKED", 4 if quads else 2):
        old = vectors.deep_network()
        model = neural.NeuralModel(old.arrays, old.ngram)
        assert model.network.inner.size == old.arrays["inner"].size // (2 if quads else 1)
        for rows in (1, 3, 7):
            found, expected = steps_of(model, 3, 7, rows)
            assert found == expected, (quads, rows)
print("the same")
"""


def says_the_same(program: str) -> None:
    """Run a program where nothing is compiled, which says so in the end."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "NUMBA_DISABLE_JIT": "1",
        },
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "the same\n", done.stderr


def test_bytes_are_multiplied_as_pairs_are() -> None:
    """Weights stand as bytes or as int16, as the processor multiplies; the sums are the same."""
    says_the_same(BOTH_WAYS)


@pytest.mark.parametrize("rows", [1, 4, 5, 8])
@pytest.mark.parametrize("make", [vectors.small_network, vectors.deep_network])
def test_chunks_can_be_taken_together(rows: int, make: Callable[[], NeuralModel]) -> None:
    model, count = make(), 6
    given = [drawn(seed, count) for seed in range(rows)]
    out = np.zeros((rows, 32 * count), np.int32)
    past, highs, freqs = (np.stack(part) for part in zip(*given, strict=True))
    walk_together(model.network, model.hidden(rows), past, highs, freqs, out)
    for row in range(rows):
        assert out[row].tolist() == plain_steps(model, *given[row])


@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_the_plain_one(seed: int) -> None:
    found, expected = steps_of(vectors.small_network(), seed, 12)
    assert found == expected


def test_products_of_more_than_64_outputs_are_the_plain_ones() -> None:
    found, expected = steps_of(naive_neural.random_network(5, 48, 64), 6, 5)
    assert found == expected


@pytest.mark.parametrize("layers", [2, 3])
def test_sums_that_overflow_wrap(layers: int) -> None:
    model = naive_neural.random_network(7, 512, 16, exponents=0, layers=layers)
    found, expected = steps_of(model, 8, 3)
    assert found == expected


def test_a_chunk_starts_from_nothing() -> None:
    model = vectors.small_network()
    assert steps_of(model, 1, 3)[0] == steps_of(model, 1, 3)[0]
    deep = vectors.deep_network()
    assert deep.layers == 4
    past, highs, freqs = drawn(1, 3)
    found, hidden = [], deep.hidden(2)
    for _ in range(2):
        out = np.zeros(96, np.int32)
        walk(deep.network, hidden, past, highs, freqs, 2, out)
        found.append(out.tolist())
    assert found[0] == found[1] == plain_steps(deep, past, highs, freqs)


@pytest.mark.parametrize("name", [name for name in shapes(16, 16, 4) if "join" not in name])
def test_every_number_of_a_model_counts(name: str) -> None:
    """No array is read at another's place: what changes one changes what comes out."""
    model = naive_neural.random_network(11, 16, 16, exponents=6, layers=4)
    array = model.arrays[name]
    changed = array + 1 if name.endswith("_exp") else np.roll(array, 1, axis=-1)
    before, _ = steps_of(model, 5, 8)
    found, expected = steps_of(
        NeuralModel({**model.arrays, name: changed}, model.ngram), 5, 8, rows=3
    )
    assert found == expected
    assert found != before
