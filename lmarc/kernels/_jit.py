"""The one door to Numba: how every kernel of lmarc is compiled, and where its machine code is kept.

A kernel takes arrays and integers, allocates nothing, raises nothing and never uses floats, so its
results do not depend on the machine.  `NUMBA_DISABLE_JIT=1` runs the same source as plain Python,
slowly, for tests and coverage.

Machine code is kept in the user's cache, or in a temporary folder where that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import config, int64, njit
from numba.core import event

from ._cache import KernelCache, cache_folder
from .notice import tell

F = TypeVar("F", bound=Callable[..., Any])

# What kernels take.  Numba ignores annotations: it compiles for the types of the arguments.
U8Array = npt.NDArray[np.uint8]
U16Array = npt.NDArray[np.uint16]
U32Array = npt.NDArray[np.uint32]
I16Array = npt.NDArray[np.int16]
I32Array = npt.NDArray[np.int32]
I64Array = npt.NDArray[np.int64]

PLAIN = bool(config.DISABLE_JIT)
"""True where kernels run as plain Python."""

integer: Any = int if PLAIN else int64
"""Reads an array's element as int64; Numba's `int` keeps unsigned types, whose sums turn floats."""


CACHE_FOLDER = cache_folder()
"""Where compiled kernels are kept; empty where no folder can be written: then they are not kept."""


class _Compiling(event.Listener):
    """Says that kernels are compiled, before the first is."""

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"].py_func.__module__.startswith("lmarc."):
            kept = "once" if CACHE_FOLDER else "in every run, since no cache folder can be written"
            tell(f"compiling the text coder for this machine, {kept} (see 'lmarc warmup')")

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Compiling())


def kernel(function: F) -> F:
    """Compile a kernel that Python calls: cached on disk, without the GIL, never with fast maths.

    Arrays are not reference-counted inside (`_nrt`): with the counting the n-gram step takes eight
    times as long.
    """
    compiled = njit(nogil=True, error_model="numpy", _nrt=False)(function)
    if CACHE_FOLDER and not PLAIN:
        # Numba asks for its folder here and never again: other users of Numba keep theirs.
        before, config.CACHE_DIR = config.CACHE_DIR, CACHE_FOLDER
        compiled._cache = KernelCache(function)
        config.CACHE_DIR = before
    return compiled  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Compile a step that kernels call, inlined into each of them."""
    return njit(forceinline=True, nogil=True, error_model="numpy", _nrt=False)(function)  # type: ignore[no-any-return]
