"""What weights and tables are rounded to while they learn."""

from __future__ import annotations

import torch

from lmarc.train.grid import (
    DIFFERENCE,
    TABLE_GRID,
    TABLE_STEP,
    TABLE_UNIT,
    dyadic,
    product_grid,
)


def test_eight_bits_are_multiples_of_the_rows_unit() -> None:
    weight = torch.tensor([[0.5, 0.26, -0.5]])
    grid = product_grid(dyadic(weight))
    assert grid.round(weight).tolist() == [[0.5, 0.2578125, -0.5]]


def test_weights_beyond_an_exponent_that_is_kept_are_cut_off() -> None:
    weight = torch.tensor([[3.0, 0.5]])
    assert product_grid(torch.tensor([[7.0]])).round(weight).tolist() == [[127 / 128, 0.5]]


def test_the_largest_weight_of_a_row_fits() -> None:
    weight = torch.tensor([[0.5, -1.0], [0.1, 0.02], [0.0, 0.0]])
    for largest in (7, 112, 127):
        steps = weight * torch.exp2(dyadic(weight, largest))
        assert (steps.abs().amax(1) < largest + 0.5).all()
        assert (steps.abs().amax(1)[:2] * 2 >= largest + 0.49).all()


def test_tables_have_larger_steps_than_they_could() -> None:
    torch.manual_seed(2)
    table = torch.randn(256, 6)
    whole = TABLE_GRID.round(table)
    assert (whole - table).abs().max() <= TABLE_STEP * TABLE_UNIT / 2
    assert (whole / (TABLE_STEP * TABLE_UNIT) % 1 == 0).all()
    assert (TABLE_GRID.round(100 * table).abs() <= 32767 * TABLE_UNIT).all()


def test_weights_differ_from_others_by_larger_steps() -> None:
    torch.manual_seed(3)
    weight = torch.randn(4, 64, requires_grad=True)
    grid = product_grid(dyadic(weight.detach()))
    origin = grid.round(weight.detach() + 0.1 * torch.randn(4, 64))
    rounded = grid.round_from(origin, weight)
    steps = rounded.detach() / grid.unit
    assert (steps == steps.round()).all()
    assert steps.abs().max() <= 127
    inside = steps.abs() < 127
    differences = (rounded.detach() - origin) / (DIFFERENCE * grid.unit)
    assert (differences == differences.round())[inside].all()
    nearest = DIFFERENCE * grid.unit / 2
    assert ((rounded - weight).abs() <= nearest)[inside].all()
    rounded.sum().backward()
    assert weight.grad is not None
    assert (weight.grad[inside] == 1).all()


def test_gradients_pass_as_they_are() -> None:
    weight = torch.randn(4, 64, requires_grad=True)
    grid = product_grid(dyadic(weight.detach()))
    grid.round(weight).sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 1).all()
