"""The Transformer in PyTorch is the plain twin's, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lmarc.codec.torch_products import EXACT_INPUTS
from lmarc.codec.transformer_torch import TorchTransformer, _root
from lmarc.model.transformer import Sizes
from tests import naive_transformer

SIZES = Sizes(32, 2, 2, 48, 16)


def streams_of(seed: int, count: int, width: int) -> Any:
    """Return vectors of all sizes, the ends among them."""
    choose = np.random.default_rng(seed)
    scales = 2.0 ** choose.uniform(0, 16, (count, 1))
    return (choose.normal(0, scales, (count, width))).clip(-32767, 32767).astype(np.int64)


def along(network: TorchTransformer, streams: Any, parts: tuple[int, ...]) -> list[list[int]]:
    """Take steps in parts of so many."""
    past, found, start = network.start(1), [], 0
    for part in parts:
        some = torch.from_numpy(streams[start : start + part])
        leaving, past = network.along(some, torch.tensor([start]), past)
        found += leaving.tolist()
        start += part
    assert start == len(streams)
    return found


@pytest.mark.parametrize(
    ("sizes", "exponents"),
    [
        (SIZES, (5, 11)),
        (SIZES, (0, 1)),
        (SIZES, (10, 11)),
        (Sizes(16, 1, 1, 16, 32), (0, 11)),
        (Sizes(96, 3, 1, 64, 16), (5, 11)),
        (Sizes(16, 1, 1, EXACT_INPUTS + 16, 16), (0, 11)),
    ],
    ids=str,
)
@pytest.mark.parametrize("parts", [(1,), (16,), (41,), (1, 1, 15, 16, 3, 5), (20, 20, 33)], ids=str)
def test_steps_of_a_sequence_are_the_plain_ones_in_parts_of_any_size(
    sizes: Sizes, exponents: tuple[int, int], parts: tuple[int, ...]
) -> None:
    arrays = naive_transformer.random_arrays(3, sizes, exponents)
    streams = streams_of(1, sum(parts), sizes.width)
    expected = naive_transformer.transformer(sizes, arrays, streams.tolist())
    assert along(TorchTransformer(sizes, arrays, "cpu"), streams, parts) == expected


def test_more_steps_than_are_taken_together_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = naive_transformer.random_arrays(4, SIZES)
    streams = streams_of(2, 150, SIZES.width)
    whole = along(TorchTransformer(SIZES, arrays, "cpu"), streams, (150,))
    monkeypatch.setattr("lmarc.codec.transformer_torch.SCORES", 2 * 16 * 16)
    network = TorchTransformer(SIZES, arrays, "cpu")
    assert network.along_steps == 32
    assert along(network, streams, (150,)) == whole


def test_sequences_step_together_however_far_each_has_come() -> None:
    arrays = naive_transformer.random_arrays(5, SIZES)
    network = TorchTransformer(SIZES, arrays, "cpu")
    counts = [0, 1, 16, 17, 50, 9]
    texts = [streams_of(seed, count, SIZES.width) for seed, count in enumerate(counts)]
    choose = np.random.default_rng(6)
    past, done = network.start(len(counts)), np.zeros(len(counts), np.int64)
    found: list[list[list[int]]] = [[] for _ in counts]
    while (done < counts).any():
        rows = np.flatnonzero((done < counts) & (choose.random(len(counts)) < 0.6))
        if not len(rows):
            continue
        entering = torch.from_numpy(np.stack([texts[row][done[row]] for row in rows]))
        positions = torch.from_numpy(done[rows])
        leaving = network.step(entering, positions, past, torch.from_numpy(rows))
        for row, one in zip(rows, leaving.tolist(), strict=True):
            found[row].append(one)
        done[rows] += 1
    expected = [naive_transformer.transformer(SIZES, arrays, text.tolist()) for text in texts]
    assert found == expected


def test_all_sequences_step_together_at_one_position() -> None:
    arrays = naive_transformer.random_arrays(7, SIZES)
    network = TorchTransformer(SIZES, arrays, "cpu")
    texts = np.stack([streams_of(seed, 40, SIZES.width) for seed in range(3)])
    past = network.start(3)
    found = [
        network.step(torch.from_numpy(texts[:, at].copy()), torch.tensor([at]), past)
        for at in range(40)
    ]
    for text, leaving in zip(texts, torch.stack(found, 1).tolist(), strict=True):
        assert leaving == along(network, text, (40,))


def test_roots_are_exact() -> None:
    values = [0, 1, 2, 3, 4, 2**52 - 1]
    values += [k * k + d for k in (5, 2**25, 2**26 - 1) for d in (-1, 0, 1)]
    found = _root(torch.tensor(values))
    for value, root in zip(values, found.tolist(), strict=True):
        assert root * root <= value < (root + 1) ** 2
