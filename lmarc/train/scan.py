"""A gated linear recurrence over time, forwards and backwards, for training.

One layer in one function: gates, state, and what leaves it as a product takes it. Two passes over
memory, since elementwise operations cost more than the products do: in Numba on a CPU, in Triton on
CUDA (`scan_triton`), and in torch operations elsewhere. Floats: nothing here reaches an archive.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numba import njit, prange

__all__ = ["gated_layer"]

LARGEST = 127 / 128  # what leaves a layer is int8 in units of 2**-7


def gated_layer(
    pre: torch.Tensor,
    start: torch.Tensor,
    through: torch.Tensor | None = None,
    *,
    rounded: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what leaves a layer, and its last state.

    With a = gate(keep), h[t] = a h[t-1] + (1 - a) squash(new / 2). What leaves is h; with three
    parts g h, where g = gate(open); with `through` g h + (1 - g) through, a highway (Srivastava et
    al., arXiv:1505.00387; Lei et al., arXiv:1709.02755). It is rounded to a multiple of 2**-7
    (straight-through) and below 1. squash is the odd function y (2 - |y|), clamped;
    gate(x) = 1/2 + squash(x / 4) / 2.

    Parameters
    ----------
    pre : float32 tensor, shape (rows, steps, 2 units) or (rows, steps, 3 units)
        keep, new and, with three parts, open.
    start : float32 tensor, shape (rows, units)
        h[-1]; no gradient flows into it.
    through : float32 tensor, shape (rows, steps, units), optional
        What came into a layer of three parts.
    rounded : bool

    Returns
    -------
    out : float32 tensor, shape (rows, steps, units)
    last : float32 tensor, shape (rows, units)
        Without gradient.
    """
    start = start.detach()
    if pre.is_cuda and find_spec("triton"):
        from lmarc.train import scan_triton

        out, last = Layer.apply(pre, start, through, rounded, scan_triton)
        return out, last
    if pre.device.type == "cpu":
        out, last = Layer.apply(pre, start, through, rounded, InNumba)
        return out, last
    return _composed(pre, start, through, rounded)


def _composed(
    pre: torch.Tensor, start: torch.Tensor, through: torch.Tensor | None, rounded: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do it in torch operations, for whatever else PyTorch runs on."""
    parts = pre.split(start.shape[1], -1)
    a = _gate(parts[0])
    hidden = _Recurrence.apply(a, (1 - a) * _squash(parts[1] * 0.5), start)
    out = hidden
    if len(parts) == 3:
        opened = _gate(parts[2])
        out = hidden * opened if through is None else hidden * opened + through * (1 - opened)
    if rounded:
        out = (Round.apply(out * 128) * (1 / 128)).clamp(-1, LARGEST)
    return out, hidden[:, -1].detach()


class Round(torch.autograd.Function):
    """Round to the nearest integer; gradients pass as they are."""

    @staticmethod
    def forward(ctx: Any, value: Any) -> Any:
        return torch.floor(value + 0.5)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0]


def _squash(value: torch.Tensor) -> torch.Tensor:
    y = value.clamp(-1, 1)
    return y * (2 - y.abs())


def _gate(value: torch.Tensor) -> torch.Tensor:
    return 0.5 + 0.5 * _squash(value * 0.25)


class _Recurrence(torch.autograd.Function):
    """h[t] = a[t] h[t-1] + b[t], a step at a time."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any, start: Any) -> Any:
        out = torch.empty_like(a)
        hidden = start
        for step in range(a.shape[1]):
            hidden = torch.addcmul(b[:, step], a[:, step], hidden)
            out[:, step] = hidden
        ctx.save_for_backward(a, start, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        a, start, out = ctx.saved_tensors
        grad_b = torch.empty_like(a)
        carried = torch.zeros_like(start)
        for step in range(a.shape[1] - 1, -1, -1):
            total = grads[0][:, step] + carried
            grad_b[:, step] = total
            carried = total * a[:, step]
        before = torch.cat([start[:, None], out[:, :-1]], 1)
        return grad_b * before, grad_b, None


class Layer(torch.autograd.Function):
    """All of `gated_layer`, by kernels that have `forward` and `backward` as `InNumba` does."""

    @staticmethod
    def forward(ctx: Any, pre: Any, start: Any, through: Any, rounded: Any, kernels: Any) -> Any:
        """Return what leaves the layer, and its last state."""
        pre, start = pre.contiguous(), start.contiguous()
        ctx.highway = through is not None
        through = through.contiguous() if ctx.highway else pre.new_empty(0, 0, 0)
        hidden = pre.new_empty(*pre.shape[:2], start.shape[1])
        out = torch.empty_like(hidden)
        kernels.forward(pre.detach(), start, through.detach(), hidden, out, rounded)
        ctx.save_for_backward(pre, start, through, hidden)
        ctx.rounded, ctx.kernels = rounded, kernels
        last = hidden[:, -1].clone()
        ctx.mark_non_differentiable(last)
        return out, last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradients by `pre` and `through`."""
        pre, start, through, hidden = (part.detach() for part in ctx.saved_tensors)
        grad, grad_through = torch.empty_like(pre), torch.empty_like(through)
        arriving = grads[0].contiguous()
        ctx.kernels.backward(pre, start, through, hidden, arriving, grad, grad_through, ctx.rounded)
        return grad, None, grad_through if ctx.highway else None, None, None


class InNumba:
    """The kernels of a CPU. `through` and its gradient have no rows where there is no highway."""

    @staticmethod
    def forward(pre: Any, start: Any, through: Any, hidden: Any, out: Any, rounded: Any) -> None:
        """Write the states and what leaves the layer."""
        _forward(*(part.numpy() for part in (pre, start, through, hidden, out)), rounded)

    @staticmethod
    def backward(
        pre: Any, start: Any, through: Any, hidden: Any, arriving: Any, grad: Any,
        grad_through: Any, rounded: Any,
    ) -> None:  # fmt: skip
        """Write the gradients by `pre` and `through`."""
        given = (pre, start, through, hidden, arriving, grad, grad_through)
        _backward(*(part.numpy() for part in given), rounded)


_jit = njit(cache=True, fastmath=True, inline="always")


@_jit
def _clamped(value: Any) -> Any:
    return min(max(value, np.float32(-1)), np.float32(1))


@_jit
def _gate_of(value: Any) -> Any:
    y = _clamped(value * np.float32(0.25))
    return np.float32(0.5) + np.float32(0.5) * y * (np.float32(2) - abs(y))


@_jit
def _gate_slope(value: Any) -> Any:
    return np.float32(0.25) * (np.float32(1) - abs(_clamped(value * np.float32(0.25))))


@_jit
def _rounded(value: Any) -> Any:
    return np.floor(value * np.float32(128) + np.float32(0.5)) * np.float32(1 / 128)


@njit(parallel=True, cache=True, fastmath=True)
def _forward(pre: Any, start: Any, through: Any, hidden: Any, out: Any, rounded: Any) -> None:
    n_rows, n_steps, n_units = hidden.shape
    opens = pre.shape[2] == 3 * n_units
    for row in prange(n_rows):
        state = start[row].copy()
        for step in range(n_steps):
            keep = pre[row, step, :n_units]
            new = pre[row, step, n_units : 2 * n_units]
            kept, left = hidden[row, step], out[row, step]
            for unit in range(n_units):
                a = _gate_of(keep[unit])
                y = _clamped(new[unit] * np.float32(0.5))
                value = y * (np.float32(2) - abs(y))
                state[unit] = value + a * (state[unit] - value)
                kept[unit] = state[unit]
                left[unit] = state[unit]
            if opens:
                gates = pre[row, step, 2 * n_units :]
                for unit in range(n_units):
                    left[unit] *= _gate_of(gates[unit])
                if len(through) > 0:
                    came = through[row, step]
                    for unit in range(n_units):
                        left[unit] += came[unit] * (np.float32(1) - _gate_of(gates[unit]))
            if rounded:
                for unit in range(n_units):
                    left[unit] = min(_rounded(left[unit]), np.float32(LARGEST))


@njit(parallel=True, cache=True, fastmath=True)
def _backward(
    pre: Any, start: Any, through: Any, hidden: Any, grad_out: Any, grad: Any, grad_through: Any,
    rounded: Any,
) -> None:  # fmt: skip
    n_rows, n_steps, n_units = hidden.shape
    opens = pre.shape[2] == 3 * n_units
    highway = len(through) > 0
    for row in prange(n_rows):
        carried = np.zeros(n_units, np.float32)
        came = np.zeros(n_units, np.float32)
        arriving = np.empty(n_units, np.float32)
        for step in range(n_steps - 1, -1, -1):
            keep = pre[row, step, :n_units]
            new = pre[row, step, n_units : 2 * n_units]
            state = hidden[row, step]
            before = start[row] if step == 0 else hidden[row, step - 1]
            grad_keep = grad[row, step, :n_units]
            grad_new = grad[row, step, n_units : 2 * n_units]
            arriving[:] = grad_out[row, step]
            if opens:
                gates = pre[row, step, 2 * n_units :]
                grad_gates = grad[row, step, 2 * n_units :]
                if highway:
                    came[:] = through[row, step]
                for unit in range(n_units):
                    gate = _gate_of(gates[unit])
                    out = state[unit] * gate + came[unit] * (np.float32(1) - gate)
                    if rounded and _rounded(out) > np.float32(LARGEST):
                        arriving[unit] = np.float32(0)
                    more = state[unit] - came[unit]
                    grad_gates[unit] = arriving[unit] * more * _gate_slope(gates[unit])
                    if highway:
                        grad_through[row, step, unit] = arriving[unit] * (np.float32(1) - gate)
                    arriving[unit] *= gate
            elif rounded:
                for unit in range(n_units):
                    if _rounded(state[unit]) > np.float32(LARGEST):
                        arriving[unit] = np.float32(0)
            for unit in range(n_units):
                a = _gate_of(keep[unit])
                y = _clamped(new[unit] * np.float32(0.5))
                value = y * (np.float32(2) - abs(y))
                total = arriving[unit] + carried[unit]
                grad_keep[unit] = total * (before[unit] - value) * _gate_slope(keep[unit])
                grad_new[unit] = total * (np.float32(1) - a) * (np.float32(1) - abs(y))
                carried[unit] = total * a
