"""Patches are cut as said, nothing knows of later bytes, and the floats are the integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lmarc.codec import vectors
from lmarc.codec.neural import mixture_freqs, model_steps
from lmarc.codec.ngram import choose_profile
from lmarc.model.neural import NeuralModel
from lmarc.model.patches import LONGEST
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.distil import Teacher
from lmarc.train.export import export
from lmarc.train.loop import Settings
from lmarc.train.patch_network import PatchNetwork, cut
from lmarc.train.transformer import TransformerShape

TEXT = (
    "It's a fine day, (so) they said -- internationalisation; x = y[12].z\n\n  \u4e2d\u6587" * 3
).encode()
Array = npt.NDArray[np.float64]
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def befores(text: torch.Tensor) -> torch.Tensor:
    padded = torch.nn.functional.pad(text, (2, 0))
    return torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)


def steps(rows: int, size: int) -> Inputs:
    """Return the bytes before, the text and freqs of some rows."""
    text = torch.stack([torch.tensor(list((TEXT * 9)[row:][:size])) for row in range(rows)])
    freqs = torch.rand(rows, size, 2, 16, generator=torch.Generator().manual_seed(1)) + 0.1
    return befores(text), text, freqs * (65536 / freqs.sum(3, keepdim=True))


def network(*, listens: bool = True) -> PatchNetwork:
    torch.manual_seed(1)
    net = PatchNetwork(ByteNetwork(Shape(32, 16)), TransformerShape(32, 2, 1, 32, window=16))
    if listens:
        for part in (net.give, net.below.high, net.below.low):
            torch.nn.init.normal_(part.weight, 0, 0.5)
    return net


def parts_of(text: bytes) -> list[bytes]:
    """Return the patches of a text, and what is left."""
    parts, start, before = [], 0, 0
    for at, byte in enumerate(text):
        apart = byte < 128 and not chr(byte).isalnum()
        known = before < 128 and not chr(before).isalnum()
        if (apart and not known) or at + 1 - start == LONGEST:
            parts.append(text[start : at + 1])
            start = at + 1
        before = byte
    return [*parts, text[start:]]


def test_a_patch_ends_with_what_parts_words_or_is_full() -> None:
    # Of a chunk's first step the byte before is none, and counted as one.
    whole = cut(befores(torch.tensor(list(TEXT))[None]), torch.zeros(1).long())
    expected = [len(part) for part in parts_of(b"\0" + TEXT[:-1])]
    assert whole.lengths[0, : whole.counts[0]].tolist() == expected[:-1]
    ends = torch.tensor(expected[:-1]).cumsum(0) - 1
    assert whole.at[0].tolist() == ends.tolist()


@pytest.mark.parametrize("at", [1, 7, 8, 50])
def test_a_state_stands_for_the_steps_before(at: int) -> None:
    net, given = network(), steps(3, 90)
    with torch.no_grad():
        whole, _ = net.cost(*given, net.initial(3))
        before, text, freqs = given
        first, hidden = net.cost(before[:, :at], text[:, :at], freqs[:, :at], net.initial(3))
        second, _ = net.cost(before[:, at:], text[:, at:], freqs[:, at:], hidden)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_no_byte_sees_what_comes_after_it() -> None:
    net, (before, text, freqs) = network(), steps(1, 90)
    later = text.clone()
    later[:, 60:] = 0x61
    with torch.no_grad():
        whole, _ = net.cost(before, text, freqs, net.initial(1))
        other, _ = net.cost(befores(later), later, freqs, net.initial(1))
    torch.testing.assert_close(other[:, :60], whole[:, :60])
    assert not torch.allclose(other[:, 60:], whole[:, 60:])


def test_a_row_begins_anew_by_itself() -> None:
    net, given = network(), steps(2, 60)
    with torch.no_grad():
        once, hidden = net.cost(*given, net.initial(2))
        again, _ = net.cost(*given, hidden.fresh(torch.tensor([True, False])))
    torch.testing.assert_close(again[0], once[0])
    assert not torch.allclose(again[1], once[1])


def test_it_begins_as_the_network_below() -> None:
    net, given = network(listens=False), steps(2, 60)
    with torch.no_grad():
        alone, _ = net.below.cost(*given, net.below.initial(2))
        whole, _ = net.cost(*given, net.initial(2))
    torch.testing.assert_close(whole, alone)


def test_all_of_it_rounds_or_nothing_does() -> None:
    net, given = network(), steps(2, 60)
    with torch.no_grad():
        rounded, _ = net.cost(*given, net.initial(2))
        assert net.rounded
        net.rounded = False
        assert [net.below.rounded, net.transformer.rounded] == [False, False]
        plain, _ = net.cost(*given, net.initial(2))
        for name in ("places", "enter", "give"):
            assert torch.equal(net.weight(name), getattr(net, name).weight)
    assert 0 < (plain - rounded).abs().mean() < 0.5


def test_every_weight_learns_from_what_is_corrected_and_from_a_teacher() -> None:
    net, (before, text, freqs) = network(), steps(2, 60)
    # Of contexts the mixture's freqs are seen, and others corrected.
    freqs = torch.cat([freqs, freqs.flip(3)], 2)
    teacher = Teacher(network(), Settings(rows=2, soft=0.5))
    logits, hidden = net.logits(before, text, freqs, net.initial(2))
    costs = torch.zeros(2, 60)
    loss = teacher.mixed(costs, logits, (before, text, freqs), torch.tensor([True, True]))
    loss.backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0, name
    assert not any(part.requires_grad for part in hidden)
    torch.testing.assert_close(teacher.hidden.left, hidden.left)


def inputs(content: bytes) -> Inputs:
    text = torch.tensor(list(content))[None]
    model = vectors.small_model()
    freqs = mixture_freqs(model, content, choose_profile(model, content)).astype(np.float32)
    return befores(text), text, torch.from_numpy(freqs)[None]


@pytest.mark.parametrize("layers", [2, 3])
def test_training_lowers_the_cost_and_the_integers_follow(layers: int) -> None:
    torch.manual_seed(3)
    content = (vectors.prose("trained", 2000) + vectors.chinese("trained", 1000)) + b"x, (y)" * 40
    given = inputs(content)
    net = PatchNetwork(ByteNetwork(Shape(32, 16, layers)), TransformerShape(32, 2, 2, 48, 32))
    torch.nn.init.normal_(net.give.weight, 0, 0.3)
    optimiser = torch.optim.AdamW(net.parameters(), 0.02)
    costs = []
    for _ in range(25):
        cost, _ = net.cost(*given, net.initial(1))
        optimiser.zero_grad()
        cost.mean().backward()
        optimiser.step()
        costs.append(cost.mean().item())
    assert costs[-1] < 0.9 * costs[0]
    coded, expected = bits_of(net, content, given)
    assert abs(coded.sum() - expected.sum()) < 0.002 * expected.sum()
    assert abs(coded - expected).mean() < 0.02
    # Without what the patches give, it is another network.
    alone, _ = net.below.cost(*given, net.below.initial(1))
    assert abs(coded - alone[0].detach().numpy()).mean() > 0.1


def bits_of(net: PatchNetwork, content: bytes, given: Inputs) -> tuple[Array, Array]:
    """Return what each byte costs in integers and in floats."""
    model = export(net, vectors.small_model())
    model.arrays["join_rate"][:] = 0
    frozen = NeuralModel(model.arrays, model.ngram)
    coded = model_steps(frozen, content, choose_profile(frozen.ngram, content), frozen.joint())
    bits = 16 - np.log2((coded & 0xFFFF).astype(float))
    with torch.no_grad():
        cost, _ = net.cost(*given, net.initial(1))
    return bits.reshape(-1, 2).sum(1), cost[0].numpy()
