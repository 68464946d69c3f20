"""A layer's states over time on CUDA: what `network_torch` does a step at a time, in one kernel.

spec/v1/neural.md, section 3: moved. Integers, so the same bits; a program walks along time with a
block of units and asks for the numbers of the next step before it needs them.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["states_of"]

BLOCK = 32  # units of a program


@triton.jit
def _walk(gates, values, start, states, n_steps, n_units, size: tl.constexpr):
    units = tl.program_id(0) * size + tl.arange(0, size)
    inside = units < n_units
    state = tl.load(start + units, inside, 0)
    gate = tl.load(gates + units, inside, 0)
    value = tl.load(values + units, inside, 0)
    at = units.to(tl.int64)
    for step in range(n_steps):
        ahead = inside & (units * 0 + step + 1 < n_steps)
        next_gate = tl.load(gates + at + n_units, ahead, 0)
        next_value = tl.load(values + at + n_units, ahead, 0)
        state = (gate * state + value) >> 15
        tl.store(states + at, state, inside)
        at += n_units
        gate, value = next_gate, next_value


def states_of(gates: torch.Tensor, values: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Return states[t] = (gates[t] states[t - 1] + values[t]) >> 15.

    Parameters
    ----------
    gates, values : int64, (steps, units)
    start : int64, (units,)
        states[-1].

    Returns
    -------
    states : int64, (steps, units)
    """
    steps, units = gates.shape
    states = torch.empty_like(gates)
    _walk[(triton.cdiv(units, BLOCK),)](
        gates.contiguous(), values.contiguous(), start.contiguous(), states, steps, units,
        size=BLOCK, num_warps=1,
    )  # fmt: skip
    return states
