"""What enters a layer is the rows of tables and a product, and so are its gradients."""

from __future__ import annotations

import numba
import pytest
import torch

from lmarc.train.entering import BLOCK, entering


def given(outputs: int, steps: int) -> tuple[torch.Tensor, ...]:
    """Return the bytes before, what is seen, two tables and a weight."""
    torch.manual_seed(outputs)
    before, seen = torch.randint(0, 256, (3, steps, 2)), torch.rand(3, steps, 16)
    tables = (torch.randn(256, outputs).requires_grad_() for _ in range(2))
    return before, seen, *tables, torch.randn(outputs, 16).requires_grad_()


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("outputs", "steps"), [(16, 5), (BLOCK, 8), (2 * BLOCK + 48, 3)])
def test_it_is_what_it_is_made_of(outputs: int, steps: int, second: bool) -> None:
    before, seen, last, earlier, weight = given(outputs, steps)
    rows_of = torch.nn.functional.embedding
    expected = rows_of(before[..., 0], last) + seen @ weight.T
    if second:
        expected = expected + rows_of(before[..., 1], earlier)
    found = entering(before, seen, last, earlier if second else None, weight)
    torch.testing.assert_close(found, expected)
    parts = (last, earlier, weight) if second else (last, weight)
    arriving = torch.randn_like(expected)
    grads = [torch.autograd.grad(made, parts, arriving) for made in (expected, found)]
    for plain, fused in zip(*grads, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-4)


def test_gradients_do_not_depend_on_how_many_threads_there_are() -> None:
    before, seen, last, earlier, weight = given(3 * BLOCK, 50)
    threads, grads = numba.get_num_threads(), []
    for count in {1, threads}:
        numba.set_num_threads(count)
        sums = entering(before, seen, last, earlier, weight)
        grads.append(torch.autograd.grad(sums.square().sum(), (last, earlier, weight)))
    numba.set_num_threads(threads)
    for one, other in zip(grads[0], grads[-1], strict=True):
        assert torch.equal(one, other)
