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


def loop(
    pre: torch.Tensor, start: torch.Tensor, through: torch.Tensor | None, rounded: bool
) -> Pair:
    hidden, out = start, []
    keep, new, *gate = pre.chunk(pre.shape[2] // start.shape[1], -1)
    for step in range(pre.shape[1]):
        a = 0.5 + squash(keep[:, step] / 4) / 2
        hidden = a * hidden + (1 - a) * squash(new[:, step] / 2)
        left = hidden
        if gate:
            opened = 0.5 + squash(gate[0][:, step] / 4) / 2
            left = hidden * opened
            if through is not None:
                left = left + through[:, step] * (1 - opened)
        if rounded:
            whole = torch.floor(left.detach() * 128 + 0.5) / 128
            left = (left + (whole - left).detach()).clamp(-1, 127 / 128)
        out.append(left)
    return torch.stack(out, 1), hidden.detach()


def fused(
    pre: torch.Tensor, start: torch.Tensor, through: torch.Tensor | None, rounded: bool
) -> Pair:
    return gated_layer(pre, start, through, rounded=rounded)


FUNCTIONS = {"fused": fused, "composed": scan._composed}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize(("parts", "highway"), [(2, False), (3, False), (3, True)])
def test_values_and_gradients_are_those_of_a_loop(
    parts: int, highway: bool, rounded: bool, function: str
) -> None:
    torch.manual_seed(1)
    values, start = 3 * torch.randn(3, 7, parts * 5), torch.rand(3, 5) * 2 - 1
    values[0, :, 5:10] = 9  # reaches what int8 holds
    came = torch.rand(3, 7, 5) * 2 - 1 if highway else None
    weight = torch.randn(3, 7, 5)
    results = []
    for layer in (loop, FUNCTIONS[function]):
        pre = values.clone().requires_grad_()
        through = None if came is None else came.clone().requires_grad_()
        out, last = layer(pre, start, through, rounded)
        (out * weight).sum().backward()
        assert pre.grad is not None
        grads = [pre.grad] if through is None else [pre.grad, through.grad]
        results.append((out.detach(), last, *grads))
    for plain, found in zip(*results, strict=True):
        torch.testing.assert_close(plain, found)
