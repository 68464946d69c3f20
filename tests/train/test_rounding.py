"""Four bits a weight, each where it costs least."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch

from lmarc.codec import vectors
from lmarc.train import rounding
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.correction import LN2
from lmarc.train.export import export, restore
from lmarc.train.feed import ByteSource, Feed
from lmarc.train.grid import TABLE_GRID
from lmarc.train.loop import Settings
from lmarc.train.rounding import Sensed, round_to_four_bits, sense

SETTINGS = Settings(rows=4, steps=128)
TEXTS = {"prose": vectors.prose("rounded", 60_000)}
BATCH = SETTINGS.rows * SETTINGS.steps  # bytes
SOURCE = ByteSource(vectors.small_model())

both_depths = pytest.mark.parametrize("layers", [2, 4])


def network(layers: int) -> ByteNetwork:
    """Return a network of which every weight matters."""
    torch.manual_seed(6)
    net = ByteNetwork(Shape(48, 32, layers))
    with torch.no_grad():
        for name in ("high", "low"):
            getattr(net, name).weight.normal_(0, 0.3)
    return net


def feed(executor: ThreadPoolExecutor) -> Feed:
    """Return what `sense` sees."""
    return Feed(executor, SOURCE, TEXTS, SETTINGS.rows, SETTINGS.steps, seed=SETTINGS.seed)


def distance(net: ByteNetwork, other: ByteNetwork) -> float:
    """Return how far two networks' distributions over that text are apart, in nats a nibble."""
    total = 0.0
    hidden = [net.initial(SETTINGS.rows), other.initial(SETTINGS.rows)]
    with ThreadPoolExecutor(1) as executor, torch.no_grad():
        for batch in islice(feed(executor), 12):
            before, text, freqs, fresh = map(torch.from_numpy, batch[:4])
            logs = []
            for k, one in enumerate((net, other)):
                logits, hidden[k] = one.logits(before, text, freqs, hidden[k].fresh(fresh))
                logs.append(torch.log_softmax(logits * LN2, 3))
            total += float((logs[0].exp() * (logs[0] - logs[1])).sum(3).mean()) / 12
    return total


@functools.cache
def rounded(layers: int) -> tuple[ByteNetwork, Sensed]:
    """Return that network with four bits, and what told which weights matter."""
    net = network(layers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounding, "TEXT", 12 * BATCH)
        found = sense(net, SOURCE, TEXTS, SETTINGS)
    round_to_four_bits(net, found)
    return net, found


def naive(net: ByteNetwork) -> None:
    """Round each weight to the nearest of fifteen values of its row or column, all to scale."""
    for name in ("inner", "upper", "low", "last", "second_last"):
        if name == "upper" and net.shape.layers == 2:
            continue
        weight = getattr(net, name).weight.data
        rows = weight.T if "last" in name else weight
        unit = rows.abs().amax(1, keepdim=True).clamp_min(1e-9) / 7
        rows.copy_(torch.floor(rows / unit + 0.5) * unit)


@both_depths
def test_weights_are_few_multiples_of_powers_of_two(layers: int) -> None:
    before, (net, _) = network(layers), rounded(layers)
    for name in ("inner", "low", "upper")[: 2 + (layers > 2)]:
        steps = getattr(net, name).weight * torch.exp2(net.exponents[name])
        assert_four_bits(steps)
        assert steps.abs().max() <= 112
    for name in ("last", "second_last"):
        assert_four_bits((getattr(net, name).weight / TABLE_GRID.unit).T)
    for name in ("see", "high", "see_low"):
        assert torch.equal(net.weight(name), before.weight(name))


def assert_four_bits(steps: torch.Tensor) -> None:
    """Check that each pair of a row is of multiples, up to 7, of a power of two."""
    assert torch.equal(steps, steps.round())
    whole = steps.long()
    low = (whole[:, ::2] | whole[:, 1::2]) & -(whole[:, ::2] | whole[:, 1::2])
    most = torch.maximum(whole[:, ::2].abs(), whole[:, 1::2].abs())
    assert (most <= 7 * low.clamp_min(1)).all()


@both_depths
def test_they_are_exported_as_they_are(layers: int) -> None:
    net, _ = rounded(layers)
    again = restore(export(net, vectors.small_model()))
    for name in ("last", "second_last", "inner", "low", "high", "see"):
        assert torch.equal(getattr(again, name).weight, net.weight(name)), name


@both_depths
def test_the_file_has_half_the_size_at_most_and_says_nearly_the_same(layers: int) -> None:
    whole, nearest, (net, _) = network(layers), network(layers), rounded(layers)
    naive(nearest)
    sizes = [len(export(one, vectors.small_model()).pack(b"{}", b"")) for one in (net, whole)]
    assert sizes[0] < 0.54 * sizes[1]
    assert 0 < distance(whole, net) < 0.7 * distance(whole, nearest)


def test_what_is_sensed_is_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "TEXT", 2 * BATCH)
    net = network(4)
    found = sense(net, SOURCE, TEXTS, SETTINGS)
    hidden = net.initial(SETTINGS.rows)
    seen, last, squares = [], [], []
    with ThreadPoolExecutor(1) as executor, torch.no_grad():
        for batch in islice(feed(executor), 2):
            before, text, freqs, fresh = map(torch.from_numpy, batch[:4])
            logits, hidden = net.logits(before, text, freqs, hidden.fresh(fresh))
            shares = torch.softmax(logits[:, :, 0] * LN2, 2)
            error = shares - torch.nn.functional.one_hot(text >> 4, 16)
            squares.append(error.square().flatten(0, 1))
            seen.append((torch.floor(freqs[:, :, 0] / 512) / 128).flatten(0, 1))
            last.append(before[:, :, 0].flatten())
    inputs = torch.cat(seen)
    torch.testing.assert_close(found.moments["first"], inputs.T @ inputs / len(inputs))
    means = torch.cat(squares).mean(0)
    expected = means.sqrt() * means.mean() / means.sqrt().mean()
    torch.testing.assert_close(found.gradients["high"], expected)
    counts = torch.bincount(torch.cat(last), minlength=256)
    torch.testing.assert_close(found.last, counts / counts.sum())
    assert found.gradients.keys() == {
        "first", "inner", "upper 0", "upper 1", "high", "low", "see_low",
    }  # fmt: skip
    assert found.count == 2 * SETTINGS.rows * SETTINGS.steps
    assert all(weight.grad is None for weight in net.parameters())


def test_bytes_that_no_text_has_take_no_room() -> None:
    net, found = rounded(2)
    never = found.last == 0
    assert never.any()
    assert (net.last.weight[never] == 0).float().mean() > 0.9
    assert (net.last.weight[found.last > 0.01] == 0).float().mean() < 0.3


def test_errors_are_made_up_for_where_inputs_go_together() -> None:
    torch.manual_seed(7)
    inputs = torch.randn(4000, 1) + 0.3 * torch.randn(4000, 24)
    weight = torch.randn(16, 24) * 20
    moments = inputs.T @ inputs / len(inputs)
    array = rounding._Array(
        "inner", weight, torch.ones(16, 1), moments.diagonal().expand(16, 24), 5, [moments], 0.0
    )
    powers = rounding._powers(array, torch.zeros_like, 0.0)
    alone = rounding._choice(array, powers, torch.zeros_like, 0.0)
    spread = rounding._spread(array, powers, torch.zeros_like, 0.0)
    errors = [float(((weight - steps) @ inputs.T).square().mean()) for steps in (alone, spread)]
    assert errors[1] < 0.5 * errors[0]


def test_a_network_that_says_nothing_is_rounded_too() -> None:
    net = ByteNetwork(Shape(16, 16))
    found = Sensed(
        {name: torch.zeros(16, 16) for name in ("first", "inner", "high", "low", "see_low")},
        {
            name: torch.zeros(outputs)
            for name, outputs in (("first", 32), ("inner", 48), ("high", 16), ("low", 256))
        },
    )
    round_to_four_bits(net, found)
    assert torch.isfinite(net.inner.weight).all()
