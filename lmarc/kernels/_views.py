"""Parts of arrays, for kernels: no bounds are looked at and nothing is counted.

A function that Numba compiles without reference counts must not return a slice that it has made;
a view has no owner to count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._jit import PLAIN

if PLAIN or TYPE_CHECKING:

    def view(array: Any, start: int, end: int) -> Any:
        """Return the elements from `start` to `end` of a flat array, as they are in memory."""
        return array[start:end]

    def part(array: Any, number: int, count: int) -> Any:
        """Return one of `count` equal parts of a flat array."""
        size = len(array) // count
        return array[number * size : (number + 1) * size]

else:
    from ._jit import intrinsics

    def _compiled(name):
        from . import _views_llvm

        return getattr(_views_llvm, name)

    globals().update(intrinsics(("view", "part"), _compiled))
