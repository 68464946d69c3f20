"""The kernels of CUDA, in Triton's interpreter, have the values and gradients of a plain loop."""

from __future__ import annotations

import os

import pytest
import torch

from lmarc.train.scan import Layer
from tests.train.test_scan import loop

# Triton looks at it once, when it is imported.
os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize(("parts", "highway"), [(2, False), (3, False), (3, True)])
@pytest.mark.parametrize("units", [5, 40])  # less than a program's, and more
def test_values_and_gradients_are_those_of_a_loop(
    units: int, parts: int, highway: bool, rounded: bool
) -> None:
    kernels = pytest.importorskip("lmarc.train.scan_triton")
    torch.manual_seed(units)
    values, start = 3 * torch.randn(3, 7, parts * units), torch.rand(3, units) * 2 - 1
    values[0, :, units : 2 * units] = 9  # reaches what int8 holds
    came = torch.rand(3, 7, units) * 2 - 1 if highway else None
    weight = torch.randn(3, 7, units)
    results = []
    for in_triton in (False, True):
        pre = values.clone().requires_grad_()
        through = None if came is None else came.clone().requires_grad_()
        given = (pre, start, through, rounded)
        out, last = Layer.apply(*given, kernels) if in_triton else loop(*given)
        (out * weight).sum().backward()
        grads = [pre.grad] if through is None else [pre.grad, through.grad]
        results.append((out.detach(), last, *grads))
    for plain, found in zip(*results, strict=True):
        torch.testing.assert_close(plain, found)
