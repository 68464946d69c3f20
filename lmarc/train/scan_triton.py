"""A gated linear recurrence over time on CUDA: `scan.gated_layer` in two kernels.

A program walks along the time of one row with a block of its units, state in registers, and asks
for the numbers of the next step before it needs them. So memory is read and written once each way.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

__all__ = ["backward", "forward"]

BLOCK = 32  # units of a program


@triton.jit
def _squash(value):
    y = tl.minimum(tl.maximum(value, -1.0), 1.0)
    return y * (2.0 - tl.abs(y))


@triton.jit
def _gate(value):
    return 0.5 + 0.5 * _squash(value * 0.25)


@triton.jit
def _slope(value):
    """The gate's."""
    return 0.25 * (1.0 - tl.abs(tl.minimum(tl.maximum(value * 0.25, -1.0), 1.0)))


@triton.jit
def _whole(value):
    """Round to a multiple of 2**-7."""
    return tl.floor(value * 128.0 + 0.5) * 0.0078125


@triton.jit
def _asked(pre, through, n_units, inside, parts: tl.constexpr, highway: tl.constexpr):
    """What a step reads: keep, new, and as far as there are any, open and what came in."""
    keep = tl.load(pre, inside, 0.0)
    new = tl.load(pre + n_units, inside, 0.0)
    gate = keep
    came = keep
    if parts == 3:
        gate = tl.load(pre + 2 * n_units, inside, 0.0)
    if highway:
        came = tl.load(through, inside, 0.0)
    return keep, new, gate, came


@triton.jit
def _forward(
    pre, start, through, hidden, out, n_steps, n_units,
    parts: tl.constexpr, highway: tl.constexpr, rounded: tl.constexpr, size: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    units = tl.program_id(1) * size + tl.arange(0, size)
    inside = units < n_units
    state = tl.load(start + row * n_units + units, inside, 0.0)
    pre += row * n_steps * parts * n_units + units
    at = row * n_steps * n_units + units
    keep, new, gate, came = _asked(pre, through + at, n_units, inside, parts, highway)
    for step in range(n_steps):
        pre += parts * n_units
        ahead = inside & (units * 0 + step + 1 < n_steps)
        next_keep, next_new, next_gate, next_came = _asked(
            pre, through + at + n_units, n_units, ahead, parts, highway
        )
        value = _squash(new * 0.5)
        state = value + _gate(keep) * (state - value)
        left = state
        if parts == 3:
            opened = _gate(gate)
            left = state * opened
            if highway:
                left += came * (1.0 - opened)
        if rounded:
            left = tl.minimum(_whole(left), 0.9921875)
        tl.store(hidden + at, state, inside)
        tl.store(out + at, left, inside)
        at += n_units
        keep, new, gate, came = next_keep, next_new, next_gate, next_came


@triton.jit
def _backward(
    pre, start, through, hidden, grad_out, grad, grad_through,
    n_steps, n_units,
    parts: tl.constexpr, highway: tl.constexpr, rounded: tl.constexpr, size: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    units = tl.program_id(1) * size + tl.arange(0, size)
    inside = units < n_units
    first = tl.load(start + row * n_units + units, inside, 0.0)
    to = (row * n_steps + n_steps - 1) * parts * n_units + units
    at = (row * n_steps + n_steps - 1) * n_units + units
    carried = tl.zeros([size], tl.float32)
    state = tl.load(hidden + at, inside, 0.0)
    keep, new, gate, came = _asked(pre + to, through + at, n_units, inside, parts, highway)
    arriving = tl.load(grad_out + at, inside, 0.0)
    for step in range(n_steps):
        is_first = units * 0 + step + 1 == n_steps
        ahead = inside & (units * 0 + step + 1 < n_steps)
        before = tl.load(hidden + at - n_units, ahead, 0.0)
        before = tl.where(is_first, first, before)
        next_to = to - parts * n_units
        next_keep, next_new, next_gate, next_came = _asked(
            pre + next_to, through + at - n_units, n_units, ahead, parts, highway
        )
        next_arriving = tl.load(grad_out + at - n_units, ahead, 0.0)
        if parts == 3:
            opened = _gate(gate)
            left = state * opened
            more = state
            if highway:
                left += came * (1.0 - opened)
                more = state - came
            if rounded:
                arriving = tl.where(_whole(left) > 0.9921875, 0.0, arriving)
            tl.store(grad + to + 2 * n_units, arriving * more * _slope(gate), inside)
            if highway:
                tl.store(grad_through + at, arriving * (1.0 - opened), inside)
            arriving = arriving * opened
        elif rounded:
            arriving = tl.where(_whole(state) > 0.9921875, 0.0, arriving)
        a = _gate(keep)
        y = tl.minimum(tl.maximum(new * 0.5, -1.0), 1.0)
        value = y * (2.0 - tl.abs(y))
        total = arriving + carried
        tl.store(grad + to, total * (before - value) * _slope(keep), inside)
        tl.store(grad + to + n_units, total * (1.0 - a) * (1.0 - tl.abs(y)), inside)
        carried = total * a
        state, keep, new, gate, came = before, next_keep, next_new, next_gate, next_came
        arriving = next_arriving
        to = next_to
        at -= n_units


def forward(
    pre: torch.Tensor, start: torch.Tensor, through: torch.Tensor, hidden: torch.Tensor,
    out: torch.Tensor, rounded: bool,
) -> None:  # fmt: skip
    """Write the states and what leaves the layer."""
    grid, options = _plan(pre, through, hidden, rounded)
    _forward[grid](pre, start, through, hidden, out, *hidden.shape[1:], **options)


def backward(
    pre: torch.Tensor, start: torch.Tensor, through: torch.Tensor, hidden: torch.Tensor,
    arriving: torch.Tensor, grad: torch.Tensor, grad_through: torch.Tensor, rounded: bool,
) -> None:  # fmt: skip
    """Write the gradients by `pre` and `through`."""
    grid, options = _plan(pre, through, hidden, rounded)
    _backward[grid](
        pre, start, through, hidden, arriving, grad, grad_through, *hidden.shape[1:], **options
    )


def _plan(
    pre: torch.Tensor, through: torch.Tensor, hidden: torch.Tensor, rounded: bool
) -> tuple[tuple[int, int], dict[str, Any]]:
    rows, _, units = hidden.shape
    return (rows, triton.cdiv(units, BLOCK)), {
        "parts": pre.shape[2] // units, "highway": len(through) > 0, "rounded": rounded,
        "size": BLOCK, "num_warps": 1,
    }  # fmt: skip
