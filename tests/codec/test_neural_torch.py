"""The network in PyTorch is that of the kernels and of the plain twin, number by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lmarc.codec import device, multiscale, neural, vectors
from lmarc.codec.network_torch import TorchNetwork
from lmarc.codec.neural_torch import scores_of
from lmarc.codec.torch_products import EXACT_INPUTS
from lmarc.model.neural import NeuralModel
from lmarc.model.transformer import Sizes
from tests import naive_neural


def plain(model: NeuralModel, content: bytes, freqs: Any) -> list[Any]:
    network = naive_neural.network_of(model)
    found = []
    for at, byte in enumerate(content):
        before = content[max(0, at - 2) : at]
        last = int.from_bytes(before, "big")
        found.append(
            [
                network.high(last, freqs[at, 0].tolist()),
                network.low(byte >> 4, freqs[at, 1].tolist()),
            ]
        )
    return found


@pytest.mark.parametrize(
    ("units", "exponents"),
    [
        ((32, 16), None),
        ((48, 64), None),
        ((EXACT_INPUTS + 16, 16), 0),
        ((32, 16, 3), 8),
        ((16, 32, 4), None),
        ((16, EXACT_INPUTS // 2, 4), 0),
    ],
)
def test_every_correction_is_the_plain_one(units: tuple[int, ...], exponents: int | None) -> None:
    """In float32, and in float64 where sums could be too large for it; also where they wrap."""
    n1, n2, *layers = units
    model = naive_neural.random_network(3, n1, n2, exponents, layers[0] if layers else 2)
    content = vectors.prose("torch", 9)
    freqs = np.random.default_rng(2).integers(1, 65_000, (len(content), 2, 16)).astype(np.uint16)
    found, _ = scores_of(TorchNetwork(model, "cpu"), content, freqs)
    assert found.tolist() == plain(model, content, freqs)


@pytest.mark.parametrize("exponents", [None, 0, 10])
@pytest.mark.parametrize("start", [b"", b"...", b"word"])
def test_every_correction_with_patches_is_the_plain_one(
    start: bytes, exponents: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmarc.codec.neural_torch.ALONG", 13)
    sizes = Sizes(16, 1, 1, 32, 16)
    model = naive_neural.random_network(7, 32, 16, exponents, patches=sizes)
    content = start + "Unbelievable -- façade, 1 2 3 (4) 5678901234!?\n\n的一是了 a b c.".encode()
    freqs = np.random.default_rng(3).integers(1, 65_000, (len(content), 2, 16)).astype(np.uint16)
    found, _ = scores_of(TorchNetwork(model, "cpu"), content, freqs)
    assert found.tolist() == plain(model, content, freqs)


MODELS = [vectors.small_network, vectors.deep_network, vectors.patched_network]


@pytest.mark.parametrize("make", MODELS)
def test_the_state_goes_on_between_blocks(
    make: Callable[[], NeuralModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = TorchNetwork(make(), "cpu")
    content = vectors.records("torch", 300)
    freqs = np.random.default_rng(2).integers(1, 65_000, (300, 2, 16)).astype(np.uint16)
    whole, outs = scores_of(network, content, freqs)
    monkeypatch.setattr("lmarc.codec.neural_torch.ALONG", 64)
    parts, out_parts = scores_of(network, content, freqs)
    assert (parts == whole).all()
    assert (out_parts == outs).all()
    assert [part.shape for part in scores_of(network, b"", freqs[:0])] == [(0, 2, 16), (0, 16)]


def test_products_do_not_depend_on_the_precision_that_is_allowed() -> None:
    network = TorchNetwork(vectors.small_network(), "cpu")
    content, before = vectors.noise("torch", 200), torch.get_float32_matmul_precision()
    freqs = np.random.default_rng(2).integers(1, 65_000, (200, 2, 16)).astype(np.uint16)
    expected, _ = scores_of(network, content, freqs)
    try:
        torch.set_float32_matmul_precision("medium")
        assert (scores_of(network, content, freqs)[0] == expected).all()
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.fixture
def contents() -> list[bytes]:
    return [vectors.prose(f"{n}", 3 * n) for n in range(64)]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("count", [1, 3, 64])
def test_chunks_are_coded_as_on_a_processor_however_many_together(
    make: Callable[[], NeuralModel],
    count: int,
    contents: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make()
    some = contents[-count:]
    expected = [neural.compress_either(model, content) for content in some]
    payloads = [neural.compress_with(model, content) for content in some]
    monkeypatch.setenv(device.DEVICE, "torch")
    assert [neural.compress_either(model, content) for content in some[:3]] == expected[:3]
    given = [(payload, len(content)) for payload, content in zip(payloads, some, strict=True)]
    assert neural.decompress_together(model, given) == some


def contents_of(count: int) -> list[bytes]:
    """Text and bytes that are none, of all sizes from nothing on."""
    makers = (vectors.prose, vectors.noise, vectors.chinese, vectors.records)
    return [makers[n % 4](f"{n}", 29 * n) for n in range(count)]


def test_patches_of_any_content_are_coded_as_on_a_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, some = vectors.patched_network(), contents_of(18)
    payloads = [neural.compress_with(model, content) for content in some]
    monkeypatch.setenv(device.DEVICE, "torch")
    monkeypatch.setattr("lmarc.codec.neural_torch.ALONG", 100)
    assert [neural.compress_with(model, content) for content in some] == payloads
    given = [(payload, len(content)) for payload, content in zip(payloads, some, strict=True)]
    assert neural.decompress_together(model, given) == some


@pytest.mark.slow  # kernels of a blend over patches are compiled
def test_blends_over_patches_are_coded_as_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    model, some = vectors.patched_blend(), contents_of(10)
    payloads = [multiscale.compress_with(model, content) for content in some]
    monkeypatch.setenv(device.DEVICE, "torch")
    assert [multiscale.compress_with(model, content) for content in some] == payloads
    given = [(payload, len(content)) for payload, content in zip(payloads, some, strict=True)]
    assert multiscale.decompress_together(model, given) == some
