"""The one door to compiled code: what a kernel is, and how it is called.

A kernel takes arrays and integers, allocates nothing, raises nothing and never uses floats, so its
results do not depend on the machine.  `NUMBA_DISABLE_JIT=1` runs the same source as plain Python,
slowly, for tests and coverage.

Machine code is kept in the user's cache, or in a temporary folder where that cannot be written
(`_cache`).  Numba compiles it (`_compile`) and is imported for that alone: importing it takes
longer than all the rest of reading a few bytes from an archive.  Code that is kept is loaded by
llvmlite (`_machine`), and one way of calling serves both.
"""

from __future__ import annotations

import functools
import os
import threading
from array import array
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ._cache import cache_folder
from .notice import tell

F = TypeVar("F", bound=Callable[..., Any])

# What kernels take.  Annotations are for people: code is compiled for the arguments of a call.
U8Array = npt.NDArray[np.uint8]
U16Array = npt.NDArray[np.uint16]
U32Array = npt.NDArray[np.uint32]
I16Array = npt.NDArray[np.int16]
I32Array = npt.NDArray[np.int32]
I64Array = npt.NDArray[np.int64]

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""True where kernels run as plain Python."""

CACHE_FOLDER = "" if PLAIN else cache_folder()
"""Where compiled kernels are kept; empty where no folder can be written: then they are not kept."""

# What of an array decides how it is compiled for, besides its dtype and dimensions.
_C_CONTIGUOUS, _F_CONTIGUOUS, _ALIGNED, _WRITEABLE = 0x0001, 0x0002, 0x0100, 0x0400
_FLAGS = _C_CONTIGUOUS | _F_CONTIGUOUS | _ALIGNED | _WRITEABLE
_LOCK = threading.RLock()
_Entry = tuple[Callable[[int], int], bool]  # machine code, and whether it returns something


class Step:
    """A function that kernels inline.

    Whoever else calls it has it compiled as a kernel.
    """

    def __init__(self, function: Callable[..., Any], find: Callable[[], Any] | None = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.find = find  # what it is to the compiler, where that is not the function
        self.known: Any = None  # that, once it was wanted
        self._kernel: Kernel | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        self._kernel = self._kernel or Kernel(self.function)
        return self._kernel(*arguments)


class _Integer(Step):
    def __call__(self, value: Any) -> int:
        return int(value)


def _int64() -> Any:
    from numba import int64

    return int64


integer: Any = int if PLAIN else _Integer(int, _int64)
"""Reads an array's element as int64; Numba's `int` keeps unsigned types, whose sums turn floats."""

COMPILED: list[Callable[..., Any]] = []
"""Every function of a kernel or a step."""


class Kernel:
    """A function that is compiled for what it is called with; it runs without the GIL.

    Arguments are arrays, integers, and tuples of those; it returns an integer or None.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.compiled = 0  # times that this process had to compile it
        # By what is seen at once of arguments, and by what code is compiled for: an array of which
        # rows are columns is either.
        self._entries: dict[tuple[object, ...], _Entry] = {}
        self._loaded: dict[str, _Entry] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        kinds: list[object] = []
        leaves = [0]  # the first is for what it returns
        _flatten(arguments, kinds, leaves)
        key = tuple(kinds)
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = self._prepare(arguments)
        entry, returns = found
        memory = array("q", leaves)
        status = entry(memory.buffer_info()[0])
        if status:
            raise RuntimeError(f"kernel {self.function.__qualname__} ended with status {status}")
        return memory[0] if returns else None

    def _prepare(self, arguments: tuple[Any, ...]) -> _Entry:
        from . import _cache, _machine

        structure = _structure(arguments)
        with _LOCK:
            if structure in self._loaded:
                return self._loaded[structure]
            name = ""
            code = None
            if CACHE_FOLDER:
                name = _cache.name_of(self.function, structure, _machine.processor())
                code = _cache.load(CACHE_FOLDER, name)
            if code is None:
                code = self._compile(arguments)
                if name:
                    _cache.save(CACHE_FOLDER, name, code)
            self._loaded[structure] = _machine.loaded(code.machine_code), code.returns
            return self._loaded[structure]

    def _compile(self, arguments: tuple[Any, ...]) -> Any:
        from . import _compile

        if self.function.__module__.startswith("lmarc."):
            kept = "once" if CACHE_FOLDER else "in every run, since no cache folder can be written"
            tell(f"compiling the text coder for this machine, {kept} (see 'lmarc warmup')")
        self.compiled += 1
        return _compile.compiled(self.function, arguments)


def _layout(values: npt.NDArray[Any]) -> int:
    flags = values.flags.num & _FLAGS
    # What is both, as a row is, is compiled for as the one.
    return flags & ~_F_CONTIGUOUS if flags & _C_CONTIGUOUS else flags


def _flatten(values: Iterable[Any], kinds: list[object], leaves: list[int]) -> None:
    """Append what code is compiled for, and the addresses of arrays and the integers."""
    # Before every chunk, of a hundred arrays: what is looked up here is looked up once.
    add, keep, known = kinds.append, leaves.append, np.ndarray
    for value in values:
        kind = type(value)
        if kind is known or isinstance(value, known):
            add(value.dtype)
            add(value.flags.num & _FLAGS | value.ndim << 16)
            keep(id(value))
        elif isinstance(value, tuple):
            add(kind)
            add(len(value))
            _flatten(value, kinds, leaves)
        elif kind is bool:
            add(kind)
            keep(value)
        elif isinstance(value, (int, np.integer)):
            add(int)
            keep(int(value))
        else:
            raise TypeError(f"a kernel takes arrays, integers and tuples of them, not {kind}")


def _structure(values: Iterable[Any]) -> str:
    """Return in words what code for such arguments is compiled for."""
    said = []
    for value in values:
        if isinstance(value, np.ndarray):
            said.append(f"{value.dtype.str}/{value.ndim}/{_layout(value)}")
        elif isinstance(value, tuple):
            said.append(f"{type(value).__qualname__}({_structure(value)})")
        else:
            said.append("bool" if isinstance(value, bool) else "int")
    return ",".join(said)


def kernel(function: F) -> F:
    """Make a kernel that Python calls: cached on disk, without the GIL, never with fast maths.

    Arrays are not reference-counted inside (`_nrt`): with the counting the n-gram step takes eight
    times as long.
    """
    if PLAIN:
        return function
    COMPILED.append(function)
    return Kernel(function)  # type: ignore[return-value]


def inlined(function: F) -> F:
    """Make a step that kernels call, inlined into each of them."""
    if PLAIN:
        return function
    COMPILED.append(function)
    return Step(function)  # type: ignore[return-value]


def optional(function: F) -> F:
    """Make a step that is nothing where its first argument is an empty tuple.

    Then none of it is compiled: what few models have costs the others no time to compile.
    """
    if PLAIN:

        @functools.wraps(function)
        def given(first: Any, *others: Any) -> Any:
            return function(first, *others) if first else None

        return given  # type: ignore[return-value]
    COMPILED.append(function)

    def find() -> Any:
        from . import _compile

        return _compile.optional(function)

    return Step(function, find)  # type: ignore[return-value]


def intrinsics(names: Iterable[str], find: Callable[[str], Any]) -> dict[str, Any]:
    """Return steps that the compiler knows by what `find` returns for their names."""

    def step(name: str) -> Step:
        def function() -> None:
            pass

        function.__name__ = function.__qualname__ = name
        return Step(function, lambda: find(name))

    return {name: step(name) for name in names}
