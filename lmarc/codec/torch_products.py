"""Products of integers in PyTorch, exact on every device: what networks there are made of.

Products are of floats that hold integers: a sum stays below the float's whole numbers, so it is
exact in whatever order, and on whatever device, it is taken. All else is int64, wrapped to 32 bits
where the specification wraps.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lmarc.model.transformer import MAX_EXPONENT

__all__ = ["EXACT_INPUTS", "Products", "wrap"]

Array = npt.NDArray[Any]

# Inputs of int8 whose products with int8 add up to less than 2**24, which float32 holds.
EXACT_INPUTS: Final = 1024


def wrap(total: torch.Tensor) -> torch.Tensor:
    """Return what equals `total`, int64, modulo 2**32, from -2**31 on."""
    return ((total + 2**31) & 0xFFFF_FFFF) - 2**31


class Products:
    """Matrices of integers on a device.

    Parameters
    ----------
    device : str
        A device of PyTorch.
    matrices : mapping
        By a key: int8, (outputs, inputs), and the exponent of each output.
    """

    def __init__(self, device: str, matrices: Mapping[Any, tuple[Array, Array]]) -> None:
        self.device = torch.device(device)
        inputs = max(weights.shape[1] for weights, _ in matrices.values())
        self.float = torch.float32 if inputs <= EXACT_INPUTS else torch.float64
        self._weights = {key: self.tensor(of[0], self.float).T for key, of in matrices.items()}
        self._scales = {
            key: self.tensor(1 << (MAX_EXPONENT - exponents.astype(np.int64)))
            for key, (_, exponents) in matrices.items()
        }

    def tensor(self, array: Array, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return a copy of an array on the device."""
        return torch.from_numpy(np.array(array)).to(self.device, dtype)

    def product(self, key: Hashable, inputs: torch.Tensor) -> torch.Tensor:
        """Return the totals of int8 inputs, (..., inputs), before they are wrapped: int64."""
        product = inputs.to(self.float) @ self._weights[key]
        return product.to(torch.int64) * self._scales[key]
