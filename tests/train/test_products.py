"""Products of bytes are those of floats; their gradients are, but for what bfloat16 rounds."""

from __future__ import annotations

import pytest
import torch

from lmarc.train import products
from lmarc.train.products import INPUT_UNIT, product


def made(seed: int, *, start: bool) -> tuple[torch.Tensor, ...]:
    """Return inputs, weight, unit and what is added to, on the grids that they are on."""
    torch.manual_seed(seed)
    inputs = torch.randint(-128, 128, (3, 7, 24)) * INPUT_UNIT
    unit = torch.exp2(torch.randint(-10, 2, (40, 1)).float())
    weight = torch.randint(-127, 128, (40, 24)) * unit
    sums = torch.randn(3, 7, 40) if start else torch.zeros(3, 7, 40)
    return inputs.requires_grad_(), weight.requires_grad_(), unit, sums.requires_grad_()


@pytest.mark.parametrize(
    ("bytes_", "short"),
    [(False, torch.float32), (True, torch.float32), (True, torch.bfloat16)],
)
@pytest.mark.parametrize("start", [False, True])
def test_a_product_and_its_gradients(
    monkeypatch: pytest.MonkeyPatch, bytes_: bool, short: torch.dtype, start: bool
) -> None:
    monkeypatch.setattr(products, "BYTES", bytes_)
    monkeypatch.setattr(products, "SHORT", short)
    inputs, weight, unit, sums = made(1, start=start)
    expected = sums + inputs @ weight.T
    found = product(inputs, weight, unit, sums * 1 if start else None)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    arriving = torch.randn_like(expected)
    given = (inputs, weight, sums) if start else (inputs, weight)
    grads = [torch.autograd.grad(made_, given, arriving) for made_ in (expected, found)]
    for exact, rounded in zip(*grads, strict=True):
        close = 2**-7 * exact.abs().max().item()
        atol = close if short is torch.bfloat16 else 1e-4
        torch.testing.assert_close(rounded, exact, rtol=1e-5, atol=atol)


def test_any_numbers_are_multiplied_as_they_are() -> None:
    torch.manual_seed(2)
    inputs, weight, sums = torch.randn(2, 3, 5), torch.randn(4, 5), torch.randn(2, 3, 4)
    torch.testing.assert_close(product(inputs, weight), inputs @ weight.T)
    torch.testing.assert_close(
        product(inputs, weight, None, sums.clone()), sums + inputs @ weight.T
    )


def test_sums_are_changed_in_place() -> None:
    inputs, weight, unit, _ = (part.detach() for part in made(3, start=True))
    sums = torch.zeros(3, 7, 40)
    assert product(inputs, weight, unit, sums).data_ptr() == sums.data_ptr()
    assert sums.abs().sum() > 0
