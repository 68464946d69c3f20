"""What a weight is rounded to: multiples of powers of two, of eight bits or of four.

Every grid is one of int8 weights with an exponent for each output, or of int16 table entries, so
kernels and files know nothing of it. With eight bits table entries are multiples of 2**-5: finer
ones bring nothing, and the file has half as much again. Four bits stand 1, 2, 4, 8 or 16 times as
large for each group of a row's weights; what a model file gains by them, its compression finds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch

from lmarc.train.scan import Round

__all__ = [
    "DIFFERENCE", "TABLE_STEP", "TABLE_UNIT", "Grid", "dyadic", "table_grid", "weight_grid",
]  # fmt: skip

TABLE_UNIT: Final = 2.0**-11  # of table entries
TABLE_STEP: Final = 64  # units by which the entries of eight-bit networks differ: files are smaller
DIFFERENCE: Final = 4  # units by which weights differ from others: an adapter of them is smaller
MAX_EXPONENT: Final = 10  # of int8 weights: they are multiples of at least 2**-10
GROUP: Final = 32  # weights of a row that share a factor
TABLE_GROUP: Final = 64  # bytes for which what one brings to an output shares a unit
LARGEST: Final = {8: 127, 4: 7}
_MOST: Final = {8: 127.49, 4: 16 * 7.49}  # int8 that the largest weight of a row may become


class Grid(NamedTuple):
    """Multiples of `unit`, a tensor that fits the weight, from -largest to largest."""

    unit: torch.Tensor
    largest: int

    def round(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the nearest points; gradients pass as they are."""
        steps = Round.apply(weight / self.unit)
        rounded: torch.Tensor = steps.clamp(-self.largest, self.largest) * self.unit
        return rounded

    def round_from(self, origin: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the nearest of those points that `origin`'s differ from by DIFFERENCE units."""
        unit = DIFFERENCE * self.unit
        rounded = origin + Round.apply((weight - origin) / unit) * unit
        most = self.largest * self.unit
        return torch.minimum(torch.maximum(rounded, -most), most)


def dyadic(weight: torch.Tensor, bits: int = 8) -> torch.Tensor:
    """Return for each row of `weight` the exponent e for which its int8 multiples of 2**-e fit."""
    largest = weight.abs().amax(1, keepdim=True).clamp_min(2.0**-9)
    return torch.floor(torch.log2(_MOST[bits] / largest)).clamp(0, MAX_EXPONENT)


def weight_grid(weight: torch.Tensor, exponents: torch.Tensor, bits: int) -> Grid:
    """Return the grid of a product's weights, (outputs, inputs), with exponents (outputs, 1)."""
    unit = torch.exp2(-exponents)
    if bits == 8:
        return Grid(unit, LARGEST[8])
    factors = _powers(weight / unit, GROUP, 4)
    return Grid(unit * factors, LARGEST[4])


def table_grid(table: torch.Tensor, bits: int) -> Grid:
    """Return the grid of a table's entries, (bytes, outputs)."""
    if bits == 8:
        unit = torch.full_like(table[:1, :1], TABLE_STEP * TABLE_UNIT)
        return Grid(unit, 32767 // TABLE_STEP)
    factors = _powers((table / TABLE_UNIT).T, TABLE_GROUP, 12).T
    return Grid(TABLE_UNIT * factors, LARGEST[4])


def _powers(steps: torch.Tensor, group: int, most: int) -> torch.Tensor:
    """Return the power of two, up to 2**most, by which each group of a row's steps is divided."""
    rows, columns = steps.shape
    padded = torch.nn.functional.pad(steps.abs(), (0, -columns % group))
    largest = padded.view(rows, -1, group).amax(2).clamp_min(1)
    powers = torch.ceil(torch.log2(largest / (LARGEST[4] + 0.49))).clamp(0, most)
    return torch.exp2(powers).repeat_interleave(group, 1)[:, :columns]
