"""What a weight is rounded to while it learns: multiples of powers of two.

A grid is one of int8 weights with an exponent for each output, or of int16 table entries. Table
entries are multiples of 2**-5: finer ones bring nothing, and the file has half as much again.
`rounding` has what four bits make of them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lmarc.train.scan import Round

__all__ = [
    "DIFFERENCE", "TABLE_GRID", "TABLE_STEP", "TABLE_UNIT", "Grid", "dyadic", "entries", "integers",
    "product_grid", "table_of", "weights_of",
]  # fmt: skip

TABLE_UNIT: Final = 2.0**-11  # of table entries
TABLE_STEP: Final = 64  # units by which the entries of eight-bit networks differ: files are smaller
DIFFERENCE: Final = 4  # units by which weights differ from others: an adapter of them is smaller
MAX_EXPONENT: Final = 10  # of int8 weights: they are multiples of at least 2**-10
LARGEST: Final = 127  # multiple of a product's unit


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


def dyadic(weight: torch.Tensor, largest: int = LARGEST) -> torch.Tensor:
    """Return for each row of `weight` the exponent e for which its multiples of 2**-e fit.

    They are -`largest` to `largest` times that, and the exponent is at most MAX_EXPONENT.
    """
    most = weight.abs().amax(1, keepdim=True).clamp_min(2.0**-9)
    return torch.floor(torch.log2((largest + 0.49) / most)).clamp(0, MAX_EXPONENT)


def product_grid(exponents: torch.Tensor) -> Grid:
    """Return the grid of a product's weights, (outputs, inputs), with exponents (outputs, 1)."""
    return Grid(torch.exp2(-exponents), LARGEST)


def integers(weight: torch.Tensor) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
    """Return a product's weights as a file has them: int8, and the exponent of each output."""
    exponents = dyadic(weight)
    whole = torch.floor(weight * torch.exp2(exponents) + 0.5).clamp(-LARGEST, LARGEST)
    return whole.cpu().numpy().astype(np.int8), exponents[:, 0].cpu().numpy().astype(np.uint8)


def entries(table: torch.Tensor) -> npt.NDArray[np.int16]:
    """Return a table's entries as a file has them."""
    whole = torch.floor(table.float().cpu() / TABLE_UNIT + 0.5).clamp(-32768, 32767)
    found: npt.NDArray[np.int16] = whole.numpy().astype(np.int16)
    return found


def weights_of(integers: npt.NDArray[Any], exponents: npt.NDArray[Any]) -> torch.Tensor:
    """Return the weights of products that a file has, float32, of the shape of `integers`."""
    scale = np.exp2(-exponents.astype(np.float32))[..., None]
    return torch.from_numpy(integers.astype(np.float32) * scale)


def table_of(entries: npt.NDArray[Any]) -> torch.Tensor:
    """Return a table that a file has, float32."""
    return torch.from_numpy(entries.astype(np.float32) * np.float32(TABLE_UNIT))


TABLE_GRID: Final = Grid(torch.tensor(TABLE_STEP * TABLE_UNIT), 32767 // TABLE_STEP)
