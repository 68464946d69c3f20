"""What enters a layer from outside, for training on a CPU: rows of tables, and a small product.

For each step a row that the byte before names, one that the byte before that names, and sixteen
inputs times their weights. In one pass over memory each way, since moving what enters costs more
than making it. Floats: nothing here reaches an archive.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from numba import njit, prange

__all__ = ["entering"]

BLOCK: Final = 64  # outputs whose gradients stay in the nearest cache


def entering(
    before: torch.Tensor,
    seen: torch.Tensor,
    last: torch.Tensor,
    earlier: torch.Tensor | None,
    weight: torch.Tensor,
) -> torch.Tensor:
    """Return float32, (B, T, N), on a CPU.

    Parameters
    ----------
    before : int64, (B, T, 2)
        The byte before and the one before that.
    seen : float32, (B, T, 16)
        Without gradient.
    last, earlier : float32, (256, N)
        Tables for the two bytes; None where the second one brings nothing.
    weight : float32, (N, 16)
    """
    none = last.new_empty(256, 0)
    sums: torch.Tensor = _Entering.apply(
        before, seen, last, none if earlier is None else earlier, weight
    )
    return sums


class _Entering(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, before: Any, seen: Any, last: Any, earlier: Any, weight: Any) -> Any:
        ctx.save_for_backward(before, seen)
        ctx.has_earlier = earlier.shape[1] > 0
        sums = seen.new_empty(*seen.shape[:2], last.shape[1])
        _forward(
            before.reshape(-1, 2).numpy(), seen.reshape(-1, 16).contiguous().numpy(),
            last.detach().contiguous().numpy(), earlier.detach().contiguous().numpy(),
            weight.detach().T.contiguous().numpy(), sums.view(-1, sums.shape[2]).numpy(),
        )  # fmt: skip
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        before, seen = ctx.saved_tensors
        arriving = grads[0].contiguous()
        width = arriving.shape[2]
        by_last, by_weight = arriving.new_zeros(256, width), arriving.new_zeros(16, width)
        by_earlier = arriving.new_zeros(256, width if ctx.has_earlier else 0)
        _backward(
            before.reshape(-1, 2).numpy(), seen.reshape(-1, 16).contiguous().numpy(),
            arriving.view(-1, width).numpy(), by_last.numpy(), by_earlier.numpy(),
            by_weight.numpy(),
        )  # fmt: skip
        return None, None, by_last, by_earlier, by_weight.T


@njit(parallel=True, cache=True, fastmath=True)
def _forward(before: Any, seen: Any, last: Any, earlier: Any, weight: Any, sums: Any) -> None:
    n_rows, width = sums.shape
    for row in prange(n_rows):
        out, table, given = sums[row], last[before[row, 0]], seen[row]
        # Unrolled by four: each pass over the outputs takes four of the inputs along.
        for column in range(width):
            out[column] = table[column]
        for k in range(0, 16, 4):
            a, b, c, d = given[k], given[k + 1], given[k + 2], given[k + 3]
            w_a, w_b, w_c, w_d = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            for column in range(width):
                out[column] += a * w_a[column] + b * w_b[column] + c * w_c[column] + d * w_d[column]
        if earlier.shape[1] > 0:
            table = earlier[before[row, 1]]
            for column in range(width):
                out[column] += table[column]


@njit(parallel=True, cache=True, fastmath=True)
def _backward(
    before: Any, seen: Any, arriving: Any, by_last: Any, by_earlier: Any, by_weight: Any
) -> None:
    n_rows, width = arriving.shape
    # A thread has some outputs of all steps, so that sums do not depend on how many there are.
    for block in prange((width + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, width - first)
        for row in range(n_rows):
            grad = arriving[row, first : first + count]
            table = by_last[before[row, 0], first : first + count]
            for column in range(count):
                table[column] += grad[column]
            if by_earlier.shape[1] > 0:
                table = by_earlier[before[row, 1], first : first + count]
                for column in range(count):
                    table[column] += grad[column]
        # Each pass over the sums takes four steps along.
        whole = n_rows // 4 * 4
        for row in range(0, whole, 4):
            g_a, g_b = arriving[row, first:], arriving[row + 1, first:]
            g_c, g_d = arriving[row + 2, first:], arriving[row + 3, first:]
            for k in range(16):
                a, b, c, d = seen[row, k], seen[row + 1, k], seen[row + 2, k], seen[row + 3, k]
                sums = by_weight[k, first:]
                for column in range(count):
                    sums[column] += (
                        a * g_a[column] + b * g_b[column] + c * g_c[column] + d * g_d[column]
                    )
        for row in range(whole, n_rows):
            for k in range(16):
                for column in range(first, first + count):
                    by_weight[k, column] += seen[row, k] * arriving[row, column]
