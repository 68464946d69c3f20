"""Units that do nothing are left out, and the rest predicts the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from lmarc.codec import vectors
from lmarc.model.neural import multiply_adds
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.feed import ByteSource
from lmarc.train.loop import Settings
from lmarc.train.pruning import prune, saliencies

SETTINGS = Settings(rows=2, steps=64)
SOURCE = ByteSource(vectors.small_model())
TEXTS = {"prose": vectors.prose("pruned", 40_000)}
SHAPE = Shape(48, 32)
IDLE = torch.arange(16) * 2  # of 32 units

both_depths = pytest.mark.parametrize("layers", [2, 4])


def network(layers: int = 2) -> ByteNetwork:
    """Return a network in which some units of all layers are not listened to."""
    torch.manual_seed(4)
    net = ByteNetwork(Shape(48, 32, layers))
    with torch.no_grad():
        net.high.weight.normal_(0, 0.3)
        net.low.weight.normal_(0, 0.3)
        net.inner.weight[:, IDLE] = 0
        if layers > 2:
            net.upper.weight[:, IDLE] = 0
        for layer in range(layers - 1):
            net.high.weight[:, 32 * layer + IDLE] = 0
            net.low.weight[:, 32 * layer + IDLE] = 0
    return net


@both_depths
def test_units_that_nothing_listens_to_do_not_matter(layers: int) -> None:
    net = network(layers)
    first, second = saliencies(net, SOURCE, TEXTS, SETTINGS)
    for found, size in ((first, 48), (second, 32)):
        others = torch.tensor([unit for unit in range(size) if unit not in IDLE])
        assert (found[IDLE] == 0).all()
        assert (found[others] > 0).all()
    assert net.masks is None


@both_depths
def test_a_pruned_network_predicts_the_same_without_idle_units(layers: int) -> None:
    net = network(layers)
    share = 1 - multiply_adds(32, 16, layers) / multiply_adds(48, 32, layers)
    small = prune(net, share - 1e-9, SOURCE, TEXTS, SETTINGS)
    assert small.shape == Shape(32, 16, layers)
    torch.manual_seed(5)
    text, before = torch.randint(0, 256, (2, 30)), torch.randint(0, 256, (2, 30, 2))
    freqs = torch.rand(2, 30, 2, 16) * 8000 + 1
    with torch.no_grad():
        whole, _ = net.cost(before, text, freqs, net.initial(2))
        pruned, _ = small.cost(before, text, freqs, small.initial(2))
    torch.testing.assert_close(pruned, whole, rtol=1e-4, atol=1e-4)


def test_the_network_is_as_small_as_was_asked() -> None:
    net = network()
    for share in (0.1, 0.5):
        small = prune(net, share, SOURCE, TEXTS, SETTINGS).shape
        assert multiply_adds(small.first, small.second) <= (1 - share) * multiply_adds(48, 32)


class Asked(ByteSource):
    """Remembers what it was asked about."""

    def __init__(self) -> None:
        super().__init__(vectors.small_model())
        self.texts: list[bytes] = []

    def freqs(self, content: bytes) -> Any:
        self.texts.append(content)
        return super().freqs(content)


def test_each_text_meets_the_mixture_that_has_not_seen_it() -> None:
    own, other = Asked(), Asked()
    texts = TEXTS | {"fold": vectors.records("pruned", 40_000), "none": vectors.prose("", 40_000)}
    settings = replace(SETTINGS, weights={"none": 0.0})
    saliencies(network(), own, texts, settings, {"fold": other})
    assert own.texts
    assert all(text in texts["prose"] for text in own.texts)
    assert other.texts
    assert all(text in texts["fold"] for text in other.texts)
