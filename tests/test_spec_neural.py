"""The vectors of spec/v1/neural.md hold for the kernels and for the reference decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmarc.kernels import network
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import load_i32, store_i32
from tests.test_spec_vectors import tables, vectors
from tools import reference_decoder


@kernel
def functions_of(totals: Any, out: Any) -> None:
    """Write squash with both shifts and gate of sixteen totals."""
    store_i32(out, 0, network._squash(load_i32(totals, 0), 3))
    store_i32(out, 16, network._squash(load_i32(totals, 0), 4))
    store_i32(out, 32, network._gate(load_i32(totals, 0)))


def test_the_functions_have_the_values_of_the_page() -> None:
    (rows,) = tables(vectors("neural.md", "neural-functions"))
    numbers = [[int(cell) for cell in row] for row in rows]
    totals = np.zeros(16, np.int32)
    totals[: len(numbers)] = [row[0] for row in numbers]
    out = np.zeros(48, np.int32)
    functions_of(totals, out)
    for lane, (total, *expected) in enumerate(numbers):
        assert out[lane::16].tolist() == expected
        found = [reference_decoder.squash(total, shift) for shift in (3, 4)]
        assert [*found, reference_decoder.gate(total)] == expected
