"""The Transformer of tokens in PyTorch is that of the kernels and of the plain twin."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from lmarc.codec import device, subword, vectors
from lmarc.codec.subword_torch import TorchSubword, leaving_of
from lmarc.codec.torch_products import EXACT_INPUTS
from lmarc.errors import CorruptError
from lmarc.model import registry
from lmarc.model.subword import SubwordModel
from lmarc.model.transformer import Sizes
from tests import naive_subword, naive_transformer

SIZES = Sizes(32, 2, 2, 48, 16)


def tokens_of(model: SubwordModel, seed: int, count: int) -> Any:
    choose = np.random.default_rng(seed)
    return choose.integers(0, len(model.vocabulary.tokens), count).astype(np.uint16)


def plain(model: SubwordModel, tokens: Any) -> list[list[int]]:
    embedding = 32 * model.arrays["embedding"].astype(int)
    entering = [embedding[token].tolist() for token in [0, *tokens.tolist()][: len(tokens)]]
    return naive_transformer.transformer(model.sizes, model.arrays, entering)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 41])
@pytest.mark.parametrize(
    "sizes",
    [
        SIZES, Sizes(16, 1, 1, 16, 32), Sizes(96, 3, 1, 64, 16),
        Sizes(16, 1, 1, EXACT_INPUTS + 16, 16),
    ],
    ids=str,
)  # fmt: skip
def test_what_leaves_is_the_plain_one(sizes: Sizes, count: int) -> None:
    model = naive_subword.random_model(3, sizes)
    tokens = tokens_of(model, 1, count)
    assert leaving_of(TorchSubword(model, "cpu"), tokens).tolist() == plain(model, tokens)


@pytest.mark.parametrize("sequences", [1, 3, 7])
def test_steps_of_several_sequences_are_those_of_each(sequences: int) -> None:
    model = naive_subword.random_model(5, SIZES)
    network = TorchSubword(model, "cpu")
    texts = np.stack([tokens_of(model, seed, 40) for seed in range(sequences)])
    past, found = network.start(sequences), []
    entering = np.concatenate([np.zeros((sequences, 1), np.int64), texts[:, :-1]], 1)
    for position in range(40):
        column = torch.from_numpy(entering[:, position].copy())
        found.append(network.step(network.entering(column), torch.tensor([position]), past))
    together = torch.stack(found, 1).numpy()
    for text, leaving in zip(texts, together, strict=True):
        assert (leaving == leaving_of(network, text)).all()


def test_the_state_goes_on_between_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = naive_subword.random_model(6, SIZES)
    tokens = tokens_of(model, 2, 150)
    whole = leaving_of(TorchSubword(model, "cpu"), tokens)
    monkeypatch.setattr("lmarc.codec.transformer_torch.SCORES", 2 * 16 * 16)
    parts = TorchSubword(model, "cpu")
    assert parts.along_steps == 32
    assert (leaving_of(parts, tokens) == whole).all()


def test_nothing_depends_on_the_precision_that_is_allowed() -> None:
    network = TorchSubword(vectors.small_subword(), "cpu")
    tokens = tokens_of(vectors.small_subword(), 4, 200)
    before = torch.get_float32_matmul_precision()
    expected = leaving_of(network, tokens)
    try:
        torch.set_float32_matmul_precision("medium")
        assert (leaving_of(network, tokens) == expected).all()
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("profile", [0, 1])
def test_every_symbol_has_the_plain_coders_place(
    profile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(device.DEVICE, "torch")
    content = vectors.prose("steps", 150) + b"a,b\n\n1,2;\n1,2;\n" + vectors.noise("steps", 61)
    model = naive_subword.random_model(7, SIZES)
    steps = subword.model_steps(model, content, profile, model.joint())
    assert steps.tolist() == naive_subword.steps_of(model, content, profile)


def contents_of(count: int) -> list[bytes]:
    """Text and bytes that are none, of all sizes from nothing on."""
    makers = (vectors.prose, vectors.noise, vectors.chinese, vectors.records)
    return [makers[n % 4](f"{n}", 7 * n) for n in range(count)]


def assert_alike(model: SubwordModel, some: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Code on the processor and through PyTorch, and decode what came out together."""
    payloads = [subword.compress_with(model, content) for content in some]
    monkeypatch.setenv(device.DEVICE, "torch")
    assert [subword.compress_with(model, content) for content in some] == payloads
    given = [(payload, len(content)) for payload, content in zip(payloads, some, strict=True)]
    assert subword.decompress_together(model, given) == some


@pytest.mark.parametrize("count", [1, 3, 66])
def test_chunks_are_coded_as_on_a_processor_however_many_together(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_alike(vectors.small_subword(), contents_of(66)[-count:], monkeypatch)


def test_the_model_that_ships_codes_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.subword_model(registry.shipped("subword"))
    some = [vectors.prose("shipped", 601), vectors.noise("shipped", 99), vectors.chinese("", 303)]
    assert_alike(model, some, monkeypatch)


def test_damaged_payloads_fare_as_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vectors.small_subword()
    given = []
    for seed, content in enumerate(contents_of(40)[20:]):
        payload = bytearray(subword.compress_with(model, content))
        if seed % 3:
            payload[random.Random(seed).randrange(len(payload))] ^= 1 << seed % 8
        given.append((bytes(payload[: len(payload) - seed % 4 // 3]), len(content)))

    def said() -> list[bytes | str]:
        found = subword.decompress_together(model, given)
        return [str(one) if isinstance(one, CorruptError) else one for one in found]

    expected = said()
    assert {type(one) for one in expected} == {bytes, str}
    monkeypatch.setenv(device.DEVICE, "torch")
    assert said() == expected
