"""Vectors of sixteen int32 that live in registers, for kernels; plain NumPy where Numba is
disabled.

Every function lowers to LLVM vector IR without naming an instruction set, so any CPU runs it and
the results are equal everywhere: additions, products and shifts wrap at 32 bits, and nothing
rounds.  `Vector` values support `+ - * >> & ^`, with another vector or with an integer on the
right; `>>` is arithmetic, `lshr` logical.

Offsets count *elements* of the array given.  Nothing is bounds-checked: callers derive offsets from
masked hashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import PLAIN

if PLAIN or TYPE_CHECKING:
    from ._vector_plain import *  # noqa: F403
else:
    from ._vector_llvm import *  # noqa: F403
