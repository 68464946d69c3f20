"""What weights and tables are rounded to, with eight bits and with four."""

from __future__ import annotations

import torch

from lmarc.train.grid import (
    DIFFERENCE,
    GROUP,
    TABLE_STEP,
    TABLE_UNIT,
    dyadic,
    table_grid,
    weight_grid,
)


def test_eight_bits_are_multiples_of_the_rows_unit() -> None:
    weight = torch.tensor([[0.5, 0.26, -0.5]])
    grid = weight_grid(weight, dyadic(weight), 8)
    assert grid.round(weight).tolist() == [[0.5, 0.2578125, -0.5]]


def test_weights_beyond_an_exponent_that_is_kept_are_cut_off() -> None:
    weight = torch.tensor([[3.0, 0.5]])
    assert weight_grid(weight, torch.tensor([[7.0]]), 8).round(weight).tolist() == [
        [127 / 128, 0.5]
    ]


def test_four_bits_are_int8_too() -> None:
    torch.manual_seed(1)
    weight = torch.randn(20, 3 * GROUP + 8)
    weight[:, :GROUP] *= 0.05
    exponents = dyadic(weight, 4)
    rounded = weight_grid(weight, exponents, 4).round(weight) * torch.exp2(exponents)
    assert (rounded == rounded.round()).all()
    assert rounded.abs().max() <= 7 * 16
    for group in rounded.split(GROUP, 1):
        assert all(len(row.unique()) <= 15 for row in group)
    # A group of small weights has a finer step than its row.
    assert (rounded[:, :GROUP] != 0).float().mean() > 0.5
    assert (rounded / torch.exp2(exponents) - weight).abs().max() < weight.abs().max() / 13


def test_tables_of_four_bits_are_multiples_of_the_tables_unit() -> None:
    torch.manual_seed(2)
    table = torch.randn(256, 6)
    table[64:128] *= 0.01
    steps = table_grid(table, 4).round(table) / TABLE_UNIT
    assert (steps == steps.round()).all()
    for rows in steps.split(64):
        assert all(len(column.unique()) <= 15 for column in rows.T)
    assert (steps[64:128] != 0).float().mean() > 0.5
    whole = table_grid(table, 8).round(table)
    assert (whole - table).abs().max() <= TABLE_STEP * TABLE_UNIT / 2
    assert (whole / (TABLE_STEP * TABLE_UNIT) % 1 == 0).all()


def test_weights_differ_from_others_by_larger_steps() -> None:
    torch.manual_seed(3)
    weight = torch.randn(4, 64, requires_grad=True)
    grid = weight_grid(weight.detach(), dyadic(weight.detach()), 8)
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
    grid = weight_grid(weight.detach(), dyadic(weight.detach(), 4), 4)
    grid.round(weight).sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 1).all()
