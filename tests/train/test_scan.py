"""A layer's values and gradients are those of a plain loop."""

from __future__ import annotations

import pytest
import torch

from lmarc.train import scan
from lmarc.train.scan import gated_layer

Pair = tuple[torch.Tensor, torch.Tensor]


def squash(value: torch.Tensor) -> torch.Tensor:
    y = value.clamp(-1, 1)
    return y * (2 - y.abs())


def loop(pre: torch.Tensor, start: torch.Tensor, rounded: bool) -> Pair:
    hidden, out = start, []
    keep, new, *gate = pre.chunk(pre.shape[2] // start.shape[1], -1)
    for step in range(pre.shape[1]):
        a = 0.5 + squash(keep[:, step] / 4) / 2
        hidden = a * hidden + (1 - a) * squash(new[:, step] / 2)
        left = hidden * (0.5 + squash(gate[0][:, step] / 4) / 2) if gate else hidden
        if rounded:
            whole = torch.floor(left.detach() * 128 + 0.5) / 128
            left = (left + (whole - left).detach()).clamp(-1, 127 / 128)
        out.append(left)
    return torch.stack(out, 1), hidden.detach()


def fused(pre: torch.Tensor, start: torch.Tensor, rounded: bool) -> Pair:
    return gated_layer(pre, start, rounded=rounded)


@pytest.mark.parametrize("function", ["fused", "composed"])
@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("parts", [2, 3])
def test_values_and_gradients_are_those_of_a_loop(parts: int, rounded: bool, function: str) -> None:
    torch.manual_seed(1)
    values, start = 3 * torch.randn(3, 7, parts * 5), torch.rand(3, 5) * 2 - 1
    values[0, :, 5:10] = 9  # reaches what int8 holds
    weight = torch.randn(3, 7, 5)
    results = []
    for layer in (loop, fused if function == "fused" else scan._composed):
        pre = values.clone().requires_grad_()
        out, last = layer(pre, start, rounded)
        (out * weight).sum().backward()
        assert pre.grad is not None
        results.append((out.detach(), last, pre.grad))
    for plain, found in zip(*results, strict=True):
        torch.testing.assert_close(plain, found)
