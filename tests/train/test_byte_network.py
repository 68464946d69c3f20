"""The network in floats is the one in integers, and learns."""

from __future__ import annotations

import numpy as np
import torch

from lmarc.codec import vectors
from lmarc.codec.neural import mixture_freqs, model_steps
from lmarc.codec.ngram import choose_profile
from lmarc.kernels import ngram
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.export import export
from lmarc.train.grid import dyadic


def inputs(content: bytes) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    text = torch.tensor(list(content))
    padded = torch.cat([torch.zeros(2, dtype=torch.int64), text])
    before = torch.stack([padded[1:-1], padded[:-2]], 1)
    model = vectors.small_model()
    freqs = mixture_freqs(model, content, choose_profile(model, content)).astype(np.float32)
    return before[None], text[None], torch.from_numpy(freqs)[None]


def test_an_untrained_network_changes_nothing() -> None:
    before, text, freqs = inputs(vectors.prose("untrained", 500))
    net = ByteNetwork(Shape(32, 16))
    costs, _ = net.cost(before, text, freqs, net.initial(1))
    nibbles = torch.stack([text >> 4, text & 15], 2)[..., None]
    alone = -torch.log2(freqs.gather(3, nibbles) / 65536).sum((2, 3))
    torch.testing.assert_close(costs, alone, rtol=1e-4, atol=1e-4)


def test_training_lowers_the_cost_and_the_integers_follow() -> None:
    torch.manual_seed(3)
    content = vectors.prose("trained", 3000)
    before, text, freqs = inputs(content)
    net = ByteNetwork(Shape(32, 16))
    optimiser = torch.optim.AdamW(net.parameters(), 0.02)
    costs = []
    for _ in range(30):
        cost, _ = net.cost(before, text, freqs, net.initial(1))
        optimiser.zero_grad()
        cost.mean().backward()
        optimiser.step()
        costs.append(cost.mean().item())
    assert costs[-1] < 0.9 * costs[0]
    model = export(net, vectors.small_model())
    model.arrays["join_rate"][:] = 0
    frozen = type(model)(model.arrays, model.ngram)
    profile = choose_profile(frozen.ngram, content)
    steps = model_steps(frozen, content, profile, frozen.joint())
    with torch.no_grad():
        cost, _ = net.cost(before, text, freqs, net.initial(1))
    coded = ngram.cost(steps) / 1024 / len(content)
    assert abs(coded - cost.mean().item()) < 0.01 * coded


def test_the_state_goes_on_between_batches() -> None:
    before, text, freqs = inputs(vectors.prose("state", 400))
    net = ByteNetwork(Shape(16, 16))
    with torch.no_grad():
        net.high.weight.normal_()
        whole, _ = net.cost(before, text, freqs, net.initial(1))
        first, hidden = net.cost(before[:, :150], text[:, :150], freqs[:, :150], net.initial(1))
        second, _ = net.cost(before[:, 150:], text[:, 150:], freqs[:, 150:], hidden)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-3, atol=1e-3)


def test_rows_of_tables_are_products_with_what_is_1_in_one_place() -> None:
    torch.manual_seed(2)
    net = ByteNetwork(Shape(32, 16, 3))
    before, seen = torch.randint(0, 256, (3, 5, 2)), torch.rand(3, 5, 16)
    grads = []
    for one_hot in (False, True):
        sums = net.entering(before, seen, one_hot=one_hot)
        assert [part.shape[2] for part in sums] == [64, 48, 48, 16]
        net.zero_grad()
        whole = torch.cat(sums, 2)
        (whole * torch.linspace(-1, 1, whole.shape[2])).sum().backward()
        parts = (net.last, net.second_last, net.see)
        grads.append([whole, *(part.weight.grad.clone() for part in parts)])
    for plain, found in zip(*grads, strict=True):
        torch.testing.assert_close(plain, found)


def test_layers_beyond_the_second_learn_and_carry_a_state() -> None:
    before, text, freqs = inputs(vectors.prose("deep", 600))
    torch.manual_seed(4)
    net = ByteNetwork(Shape(32, 16, 4))
    with torch.no_grad():
        net.high.weight.normal_()
        whole, _ = net.cost(before, text, freqs, net.initial(1))
        first, hidden = net.cost(before[:, :250], text[:, :250], freqs[:, :250], net.initial(1))
        assert hidden.second.shape == (1, 48)
        second, _ = net.cost(before[:, 250:], text[:, 250:], freqs[:, 250:], hidden)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-3, atol=1e-3)
    costs, _ = net.cost(before, text, freqs, net.initial(1))
    costs.sum().backward()
    for part in (net.upper, net.inner, net.last):
        assert part.weight.grad.abs().sum() > 0


def test_exponents_fit_the_largest_weight() -> None:
    weight = torch.tensor([[0.12, -0.05], [3.0, 0.0], [0.0, 0.0], [500.0, 1.0]])
    assert dyadic(weight)[:, 0].tolist() == [10, 5, 10, 0]
