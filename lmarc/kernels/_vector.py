"""Vectors of sixteen integers that live in registers, for kernels; plain NumPy where Numba is
disabled.

Every function lowers to LLVM vector IR without naming an instruction set, so any CPU runs it and
the results are equal everywhere: additions, products and shifts wrap, and nothing rounds. One names
an instruction where there is one, `dot_quads`; its results are those of the rest.

There are two kinds.  A `Vector` has lanes of int32.  `Words` have lanes of 16 bits, whose sign is a
matter of the operation: half the registers, so whatever fits them is done in words.  Both support
`+ - * >> & ^`, with their own kind or with an integer on the right; `>>` is arithmetic for a
`Vector`, logical for `Words`.

Offsets count *elements* of the array given.  Nothing is bounds-checked: callers derive offsets from
masked hashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import PLAIN

if PLAIN or TYPE_CHECKING:
    from ._vector_plain import *  # noqa: F403
else:
    from ._jit import intrinsics
    from ._machine import QUADS  # noqa: F401
    from ._vector_plain import __all__

    def _compiled(name):
        from . import _rows_llvm, _vector_llvm

        return getattr(_rows_llvm if name in _rows_llvm.__all__ else _vector_llvm, name)

    globals().update(intrinsics(set(__all__) - {"QUADS"}, _compiled))
