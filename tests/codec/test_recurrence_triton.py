"""States over time are those of a step at a time."""

from __future__ import annotations

import os

import pytest
import torch

# Triton looks at it once, when it is imported.
os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.mark.parametrize(("steps", "units"), [(1, 16), (9, 48), (40, 32)])
def test_states_are_those_of_a_loop(steps: int, units: int) -> None:
    triton = pytest.importorskip("lmarc.codec.recurrence_triton")
    torch.manual_seed(steps)
    gates = torch.randint(0, 32768, (steps, units))
    values = (32767 - gates) * torch.randint(-32767, 32768, (steps, units)) + 16384
    start = torch.randint(-32768, 32768, (units,))
    found = triton.states_of(gates, values, start)
    state = start
    for step in range(steps):
        state = (gates[step] * state + values[step]) >> 15
        assert torch.equal(found[step], state)
