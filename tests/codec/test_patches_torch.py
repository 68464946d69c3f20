"""Patches in PyTorch are the plain ones of the reference decoder, number by number."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from lmarc.codec import vectors
from lmarc.codec.patches_torch import TorchPatches
from lmarc.codec.torch_products import EXACT_INPUTS
from lmarc.model.neural import NeuralModel
from lmarc.model.transformer import Sizes
from tests.naive_neural import plain_model, random_network
from tools import reference_decoder

SIZES = Sizes(32, 2, 2, 48, 16)
# Words longer than a patch, and as long; runs of what parts words, as long as a patch and longer;
# bytes that are no ASCII; the ends of the letters and digits; more patches than attention sees.
TEXTS = (
    b"Words, so-called -- 'unbelievable' (x)...\n\n12345678 1234567; 123456789\t\xff\xfe\0\1 \x80",
    b"...,;:!? ........ and a b c d e f g h i j k l m n o p q r s t; @A[Z`a{z/0:9 \0\0\0\0",
    "的一是不了, 人我在有。naïve façade—ok".encode(),
    b"a",
    b" ",
    b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    b"-" * 33,
    vectors.noise("patches", 90),
)
MODELS = {
    "any": random_network(1, 32, 16, patches=SIZES),
    "largest": random_network(2, 16, 32, 0, patches=Sizes(16, 1, 1, 16, 32)),
    "smallest": random_network(3, 16, 16, 10, patches=Sizes(16, 1, 1, 16, 16)),
    "float64": random_network(
        4, EXACT_INPUTS + 16, 16, patches=Sizes(16, 1, 1, EXACT_INPUTS + 16, 16)
    ),
}


def network_of(model: NeuralModel) -> TorchPatches:
    assert model.patches is not None
    return TorchPatches(model.patches, model.arrays, "cpu")


def before_of(text: bytes) -> Any:
    """Return the byte before each and the one before that: int64, (size, 2)."""
    padded = np.concatenate([np.zeros(2, np.int64), np.frombuffer(text, np.uint8)])
    return np.stack([padded[1:-1], padded[:-2]], 1)


def inputs_of(name: str, number: int) -> Any:
    """Return what leaves a model's first layer along a text, any numbers: int64, (size, n1)."""
    random = np.random.default_rng(number)
    return random.integers(-128, 128, (len(TEXTS[number]), MODELS[name].units[0]))


@cache
def plain(name: str, number: int) -> list[list[int]]:
    """Return what a model's second layer is given before each byte of a text."""
    known = plain_model(MODELS[name]).patches
    assert known is not None
    patches, found = reference_decoder.Patches(known), []
    first = inputs_of(name, number).tolist()
    for (b, c), x in zip(before_of(TEXTS[number]).tolist(), first, strict=True):
        patches.take(b, c, x)
        found.append(patches.given)
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("block", [1, 5, 8, 17, 1000])
def test_what_is_given_along_a_chunk_is_the_plain_one_in_blocks_of_any_size(
    name: str, block: int
) -> None:
    network = network_of(MODELS[name])
    for number, text in enumerate(TEXTS):
        given = torch.from_numpy(inputs_of(name, number)), torch.from_numpy(before_of(text))
        state, found = network.start(1), []
        for first, before in zip(*(part.split(block) for part in given), strict=True):
            part, state = network.along(first, before, state)
            found += part.tolist()
        assert found == plain(name, number)


@pytest.mark.parametrize("name", MODELS)
def test_each_of_several_chunks_has_patches_of_its_own(name: str) -> None:
    """Those that have ended stand still, as a decoder leaves them."""
    network = network_of(MODELS[name])
    firsts = [inputs_of(name, number) for number in range(len(TEXTS))]
    befores = [before_of(text) for text in TEXTS]
    state, found = network.start(len(TEXTS)), []
    for position in range(max(map(len, TEXTS))):
        first, before = (
            torch.from_numpy(np.stack([part[min(position, len(part) - 1)] for part in parts]))
            for parts in (firsts, befores)
        )
        given, state = network.step(first, before, state)
        found.append(given.tolist())
    for number, text in enumerate(TEXTS):
        assert [given[number] for given in found[: len(text)]] == plain(name, number)


def test_what_a_block_leaves_is_what_its_bytes_leave() -> None:
    network = network_of(MODELS["any"])
    given = torch.from_numpy(inputs_of("any", 0)), torch.from_numpy(before_of(TEXTS[0]))
    blocks, steps = network.start(1), network.start(1)
    for first, before in zip(*(part.split(3) for part in given), strict=True):
        _, blocks = network.along(first, before, blocks)
        for at in range(len(first)):
            _, steps = network.step(first[at : at + 1], before[at : at + 1], steps)
        for one, other in zip(blocks[:-1], steps[:-1], strict=True):
            assert one.tolist() == other.tolist()


def test_nothing_depends_on_the_precision_that_is_allowed() -> None:
    network = network_of(MODELS["any"])
    given = torch.from_numpy(inputs_of("any", 0)), torch.from_numpy(before_of(TEXTS[0]))
    before = torch.get_float32_matmul_precision()
    expected, _ = network.along(*given, network.start(1))
    try:
        torch.set_float32_matmul_precision("medium")
        found, _ = network.along(*given, network.start(1))
        assert found.tolist() == expected.tolist()
    finally:
        torch.set_float32_matmul_precision(before)
