"""The Transformer in floats: causal, with a window, rounded where integers are, and it learns."""

from __future__ import annotations

import pytest
import torch

from lmarc.train.transformer import (
    NORM_UNIT,
    Transformer,
    TransformerShape,
    int8_weights,
    slopes,
)

SHAPE = TransformerShape(32, 2, 2, 48, window=16)


def vectors(rows: int, steps: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, steps, SHAPE.width, generator=torch.Generator().manual_seed(seed))


def network(*, rounded: bool = True) -> Transformer:
    torch.manual_seed(7)
    net = Transformer(SHAPE)
    net.rounded = rounded
    return net


@pytest.mark.parametrize("rounded", [True, False])
def test_a_past_stands_for_the_steps_before(rounded: bool) -> None:
    net, x = network(rounded=rounded), vectors(2, 50)
    with torch.no_grad():
        whole, _ = net(x)
        first, past = net(x[:, :7])
        second, past = net(x[:, 7:30], past)
        third, _ = net(x[:, 30:], past)
    torch.testing.assert_close(torch.cat([first, second, third], 1), whole, rtol=0, atol=0.04)


def test_no_step_sees_what_comes_after_it() -> None:
    net, x = network(rounded=False), vectors(1, 20)
    changed = x.clone()
    changed[:, 12:] += 1
    with torch.no_grad():
        torch.testing.assert_close(net(x)[0][:, :12], net(changed)[0][:, :12])
        assert not torch.allclose(net(x)[0][:, 12:], net(changed)[0][:, 12:])


def test_a_layer_sees_no_further_than_its_window() -> None:
    net, x = network(rounded=False), vectors(1, 60)
    changed = x.clone()
    changed[:, 0] += 1
    reach = SHAPE.layers * (SHAPE.window - 1)
    with torch.no_grad():
        before, after = net(x)[0], net(changed)[0]
    torch.testing.assert_close(before[:, reach + 1 :], after[:, reach + 1 :])
    assert not torch.allclose(before[:, reach - 2], after[:, reach - 2], atol=1e-7)


def test_rows_begin_anew_each_by_itself() -> None:
    net, x = network(), vectors(2, 20)
    with torch.no_grad():
        _, past = net(x)
        again, _ = net(x, past.fresh(torch.tensor([True, False])))
        alone, _ = net(x[:1])
        on, _ = net(x[1:], type(past)(past.keys[:, 1:], past.values[:, 1:], past.seen[1:]))
    torch.testing.assert_close(again[:1], alone, rtol=0, atol=0.04)
    torch.testing.assert_close(again[1:], on, rtol=0, atol=0.04)


def test_what_leaves_it_is_int8() -> None:
    with torch.no_grad():
        whole = network()(vectors(2, 20))[0] / NORM_UNIT
    assert torch.equal(whole, whole.round())
    assert whole.abs().max() <= 127


def test_rounding_changes_little() -> None:
    x = vectors(2, 20)
    with torch.no_grad():
        gap = network()(x)[0] - network(rounded=False)(x)[0]
    assert 0 < gap.abs().mean() < 0.06


def test_it_learns_to_find_what_stood_steps_before() -> None:
    torch.manual_seed(2)
    net = network()
    head = torch.nn.Linear(SHAPE.width, 4)
    table = torch.nn.Embedding(5, SHAPE.width)
    parts = torch.nn.ModuleList([net, head, table])
    optimiser = torch.optim.AdamW(parts.parameters(), 1e-2)
    costs = []
    for _ in range(60):
        text = torch.full((16, 12), 4)
        text[:, 2] = torch.randint(4, (16,))
        out = head(net(table(text))[0])[:, 2:]
        wanted = text[:, 2:3].expand(-1, 10)
        cost = torch.nn.functional.cross_entropy(out.flatten(0, 1), wanted.flatten())
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        costs.append(cost.item())
    assert costs[0] > 1.2
    assert costs[-1] < 0.2


def test_weights_are_multiples_of_a_power_of_two_in_each_row() -> None:
    weight = torch.tensor([[0.12, -0.0503], [3.0, 0.3]])
    rounded = int8_weights(weight)
    assert (rounded * 1024)[0].tolist() == [123, -52]
    assert (rounded * 32)[1].tolist() == [96, 10]


def test_slopes_are_powers_of_two() -> None:
    assert slopes(1) == [8]
    assert slopes(4) == [2, 4, 6, 8]
    assert slopes(16)[:4] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "sizes", [(24, 1, 1, 16, 16), (32, 4, 1, 16, 16), (32, 2, 1, 16, 528), (32, 2, 0, 16, 16)]
)
def test_sizes_that_do_not_fit_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        TransformerShape(*sizes)


def test_rows_may_have_steps_of_their_own_number() -> None:
    net, x = network(), vectors(3, 40)
    counts = torch.tensor([20, 3, 0])
    with torch.no_grad():
        first, past = net(x[:, :20], None, counts)
        second, past = net(x[:, 20:], past)
        for row, count in enumerate(counts.tolist()):
            kept = torch.cat([x[row : row + 1, :count], x[row : row + 1, 20:]], 1)
            alone, own = net(kept)
            both = torch.cat([first[row, :count], second[row]])
            torch.testing.assert_close(both, alone[0], rtol=0, atol=0.04)
            torch.testing.assert_close(past.seen[row], own.seen[0])


def test_it_may_be_made_to_see_less_than_its_window() -> None:
    net, x = network(rounded=False), vectors(1, 20)
    net.sees = 1
    with torch.no_grad():
        whole, _ = net(x)
        alone, _ = net(x[:, 12:13])
    torch.testing.assert_close(whole[:, 12:13], alone)
