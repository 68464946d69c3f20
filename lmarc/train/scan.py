"""The recurrence h[t] = a[t] * h[t-1] + b[t] over time, forwards and backwards, for training.

On a CPU one pass over memory in Numba; elsewhere a loop of torch operations. Floats: nothing here
reaches an archive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit, prange

__all__ = ["linear_recurrence"]


@njit(parallel=True, cache=True, fastmath=True)
def _forward(a: Any, b: Any, start: Any, out: Any) -> None:
    n_rows, n_steps, n_units = a.shape
    for row in prange(n_rows):
        for unit in range(n_units):
            out[row, 0, unit] = a[row, 0, unit] * start[row, unit] + b[row, 0, unit]
        for step in range(1, n_steps):
            for unit in range(n_units):
                out[row, step, unit] = (
                    a[row, step, unit] * out[row, step - 1, unit] + b[row, step, unit]
                )


@njit(parallel=True, cache=True, fastmath=True)
def _backward(a: Any, start: Any, out: Any, grad: Any, grad_a: Any, grad_b: Any) -> None:
    n_rows, n_steps, n_units = a.shape
    for row in prange(n_rows):
        carried = np.zeros(n_units, np.float32)
        for step in range(n_steps - 1, 0, -1):
            for unit in range(n_units):
                total = grad[row, step, unit] + carried[unit]
                grad_b[row, step, unit] = total
                grad_a[row, step, unit] = total * out[row, step - 1, unit]
                carried[unit] = total * a[row, step, unit]
        for unit in range(n_units):
            total = grad[row, 0, unit] + carried[unit]
            grad_b[row, 0, unit] = total
            grad_a[row, 0, unit] = total * start[row, unit]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Any, b: Any, start: Any) -> Any:
        a, b, start = a.contiguous(), b.contiguous(), start.contiguous()
        out = torch.empty_like(a)
        if a.is_cuda:
            hidden = start
            for step in range(a.shape[1]):
                hidden = torch.addcmul(b[:, step], a[:, step], hidden)
                out[:, step] = hidden
        else:
            _forward(a.numpy(), b.numpy(), start.numpy(), out.numpy())
        ctx.save_for_backward(a, start, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        a, start, out = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_a, grad_b = torch.empty_like(a), torch.empty_like(a)
        if a.is_cuda:
            carried = torch.zeros_like(start)
            for step in range(a.shape[1] - 1, -1, -1):
                grad_b[:, step] = grad[:, step] + carried
                carried = grad_b[:, step] * a[:, step]
            before = torch.cat([start[:, None], out[:, :-1]], 1)
            torch.mul(grad_b, before, out=grad_a)
        else:
            _backward(
                a.numpy(),
                start.numpy(),
                out.numpy(),
                grad.numpy(),
                grad_a.numpy(),
                grad_b.numpy(),
            )
        return grad_a, grad_b, None


def linear_recurrence(a: torch.Tensor, b: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Return h of h[t] = a[t] * h[t-1] + b[t], with h[-1] = `start`.

    Parameters
    ----------
    a, b : float32 tensor, shape (rows, steps, units)
    start : float32 tensor, shape (rows, units)
        No gradient flows into it.
    """
    return _Recurrence.apply(a, b, start.detach())
