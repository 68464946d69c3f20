"""Products of a network whose numbers have eight bits, for training on a CPU.

What leaves a layer is a multiple of 2**-7 and int8, and so is a weight in units of its output's
power of two. So the product forwards is one of bytes, exact, as the coder has it. Gradients are
rounded to bfloat16 where the processor multiplies those, and their sums are float32, as in
mixed-precision training (Micikevicius et al., arXiv:1710.03740). Floats: nothing here reaches an
archive.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numba import njit, prange
from numba.core.codegen import get_host_cpu_features

from lmarc.kernels._vector import QUADS

__all__ = ["INPUT_UNIT", "product"]

INPUT_UNIT: Final = 2.0**-7
# Processors that multiply bytes; on others PyTorch would do so one by one.
BYTES: Final = QUADS
# Elsewhere products of bfloat16 are slower than those of float32.
SHORT: Final = (
    torch.bfloat16 if "+avx512bf16" in get_host_cpu_features().split(",") else torch.float32
)


def product(
    inputs: torch.Tensor,
    weight: torch.Tensor,
    unit: torch.Tensor | None = None,
    sums: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return a product, (B, T, N), and `sums`, which are changed in place.

    Parameters
    ----------
    inputs : float32, (B, T, K)
    weight : float32, (N, K)
    unit : float32, (N, 1), optional
        Weights are multiples of it, from -128 to 127 times, and inputs such of `INPUT_UNIT`. None
        where they are any numbers.
    sums : float32, (B, T, N), optional
    """
    if unit is not None and inputs.device.type == "cpu" and BYTES:
        if sums is None:
            sums = inputs.new_zeros(*inputs.shape[:2], len(weight))
        added: torch.Tensor = _Product.apply(inputs, weight, unit, sums)
        return added
    if sums is None:
        return torch.nn.functional.linear(inputs, weight)
    if sums.is_cuda:
        sums.view(-1, sums.shape[2]).addmm_(inputs.reshape(-1, inputs.shape[2]), weight.T)
        return sums
    return sums.add_(torch.nn.functional.linear(inputs, weight))


class _Product(torch.autograd.Function):
    """Bytes forwards, `SHORT` backwards."""

    @staticmethod
    def forward(ctx: Any, inputs: Any, weight: Any, unit: Any, sums: Any) -> Any:
        rows = (inputs.reshape(-1, inputs.shape[2]) * (1 / INPUT_UNIT)).to(torch.int8)
        whole = (weight / unit).to(torch.int8)
        products = torch._int_mm(rows, whole.T)
        scales = (unit[:, 0] * INPUT_UNIT).numpy()
        _add_scaled(sums.view(-1, sums.shape[2]).numpy(), products.numpy(), scales)
        ctx.save_for_backward(rows, weight.to(SHORT))
        ctx.mark_dirty(sums)
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        rows, weight = ctx.saved_tensors
        arriving = grads[0]
        short = arriving.reshape(-1, arriving.shape[2]).to(SHORT)
        by_inputs = by_weight = None
        if ctx.needs_input_grad[0]:
            by_inputs = (short @ weight).float().view(*arriving.shape[:2], -1)
        if ctx.needs_input_grad[1]:
            by_weight = (short.T @ rows.to(SHORT)).float().mul_(INPUT_UNIT)
        return by_inputs, by_weight, None, arriving


@njit(parallel=True, cache=True)
def _add_scaled(sums: Any, products: Any, scales: Any) -> None:
    for row in prange(len(sums)):
        for column in range(len(scales)):
            sums[row, column] += np.float32(products[row, column]) * scales[column]
