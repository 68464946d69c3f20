"""How Numba compiles kernels. Importing this imports Numba.

A kernel becomes an object file with one function that is called from outside (`_machine.ENTRY`).
That gets an array of int64: a place for what it returns, integers as they are, and for each array
of NumPy the address of its object, from which it reads where the elements are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import overload
from numba.np.arrayobj import make_array, populate_array

from ._cache import Code
from ._jit import COMPILED, Step
from ._machine import ENTRY

OPTIONS = {"error_model": "numpy", "_nrt": False}
# Python never calls a step, nor does C: what they would call takes a quarter of the time.
STEP_OPTIONS = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    **OPTIONS,
}
I32, I64, ADDRESS = ir.IntType(32), ir.IntType(64), ir.IntType(64).as_pointer()
# Where PyArrayObject has what: `data`, `dimensions` and `strides`, behind the head of an object
# (NumPy's C interface, PyArrayObject_fields).
_WORD = ctypes.sizeof(ctypes.c_void_p)
_DATA = object.__basicsize__
_DIMENSIONS, _STRIDES = _DATA + 2 * _WORD, _DATA + 3 * _WORD
# What an object file may want of the process that loads it.
_KNOWN = ("llvm.", "memset", "memcpy", "memmove")


def _of(step: Step) -> Any:
    """Return what a step is to Numba."""
    if step.known is None:
        step.known = step.find() if step.find is not None else njit(**STEP_OPTIONS)(step.function)
    return step.known


def optional(function: Callable[..., Any]) -> Callable[..., None]:
    """Return what Numba takes for a step that is nothing where its first argument is `()`."""
    step = njit(**STEP_OPTIONS)(function)

    def called(*arguments: Any) -> None:
        pass

    # Numba wants no annotations here: it compares parameters as they are written.
    @overload(called, jit_options=STEP_OPTIONS)
    def chosen(*arguments):  # type: ignore[no-untyped-def]
        def nothing(*arguments):  # type: ignore[no-untyped-def]
            return None

        def all_of_it(*arguments):  # type: ignore[no-untyped-def]
            step(*arguments)

        return all_of_it if len(arguments[0]) else nothing

    return called


@contextmanager
def linked() -> Iterator[None]:
    """Put what Numba knows in the place of steps, wherever kernels and steps name one.

    Only while inside: Python must not call it, since there is nothing that Python could call.
    """
    namespaces = {id(names): names for names in (function.__globals__ for function in COMPILED)}
    for names in list(namespaces.values()):
        for value in names.values():
            if isinstance(value, ModuleType) and value.__name__.startswith(__package__ or ""):
                namespaces[id(vars(value))] = vars(value)
    named = [
        (names, name, value)
        for names in namespaces.values()
        for name, value in names.items()
        if isinstance(value, Step)
    ]
    cells = [
        (cell, cell.cell_contents)
        for function in COMPILED
        for cell in function.__closure__ or ()
        if isinstance(cell.cell_contents, Step)
    ]
    try:
        for names, name, step in named:
            names[name] = _of(step)
        for cell, step in cells:
            cell.cell_contents = _of(step)
        yield
    finally:
        for names, name, step in named:
            names[name] = step
        for cell, step in cells:
            cell.cell_contents = step


def _type_of(value: Any) -> Any:
    """Return Numba's type of an argument; that of any integer is int64."""
    if isinstance(value, tuple):
        kinds = [_type_of(item) for item in value]
        if hasattr(value, "_fields"):
            return types.BaseTuple.from_types(kinds, type(value))
        return types.Tuple(kinds)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return types.int64
    return numba.typeof(value)


@global_compiler_lock
def compiled(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Code:
    """Compile a kernel for what it is called with.

    Raises
    ------
    TypeError
        When it returns anything but an integer, or its code needs what is not in every process.
    """
    flags = compiler.Flags()
    cpu_target.options.parse_as_flags(flags, {"nopython": True, **OPTIONS})
    # As Numba does for a C callback: its one caller is written below, into the same library.
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    typing, target = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    target.refresh()
    kinds = tuple(map(_type_of, arguments))
    with linked():
        made = compiler.compile_extra(typing, target, function, kinds, None, flags, {})
    result = made.signature.return_type
    if result != types.none and not isinstance(result, types.Integer):
        raise TypeError(f"kernel {function.__qualname__} returns {result}, expected an integer")
    with target.push_code_library(made.library):
        entry = _entry(target, made, kinds)
    made.library.add_ir_module(entry)
    made.library.finalize()
    wanted = {
        item.name
        for item in made.library._final_module.functions
        if item.is_declaration and not item.name.startswith(_KNOWN)
    }
    if wanted:
        raise TypeError(f"kernel {function.__qualname__} needs {', '.join(sorted(wanted))}")
    return Code(made.library._get_compiled_object(), result != types.none)


def _entry(target: Any, made: Any, kinds: tuple[Any, ...]) -> Any:
    """Return a module with the function that is called from outside."""
    module = made.library.create_ir_module(ENTRY)
    entry = ir.Function(module, ir.FunctionType(I32, [ADDRESS]), ENTRY)
    builder = ir.IRBuilder(entry.append_basic_block())
    (given,) = entry.args
    leaves = (
        builder.load(builder.gep(given, [ir.Constant(I64, number)])) for number in range(1, 1 << 16)
    )
    values = [_value(target, builder, kind, leaves) for kind in kinds]
    callee = target.declare_function(module, made.fndesc)
    result = made.signature.return_type
    status, found = target.call_conv.call_function(builder, callee, result, kinds, values)
    if result != types.none:
        builder.store(target.cast(builder, found, result, types.int64), given)
    builder.ret(status.code)
    return module


def _value(target: Any, builder: Any, kind: Any, leaves: Iterator[Any]) -> Any:
    """Return an argument as Numba has it."""
    if isinstance(kind, types.BaseTuple):
        items = [_value(target, builder, item, leaves) for item in kind]
        return target.make_tuple(builder, kind, items)
    leaf = next(leaves)
    if not isinstance(kind, types.Array):
        return target.cast(builder, leaf, types.int64, kind)
    array = make_array(kind)(target, builder)
    shape, strides = (
        [builder.load(builder.gep(numbers, [ir.Constant(I64, axis)])) for axis in range(kind.ndim)]
        for numbers in (
            _field(builder, leaf, _DIMENSIONS, ADDRESS), _field(builder, leaf, _STRIDES, ADDRESS)
        )
    )  # fmt: skip
    populate_array(
        array,
        data=_field(builder, leaf, _DATA, array.data.type),
        shape=cgutils.pack_array(builder, shape, I64),
        strides=cgutils.pack_array(builder, strides, I64),
        itemsize=ir.Constant(I64, target.get_abi_sizeof(target.get_data_type(kind.dtype))),
        meminfo=None,
        parent=ir.Constant(array.parent.type, None),
    )
    return array._getvalue()


def _field(builder: Any, leaf: Any, offset: int, kind: Any) -> Any:
    at = builder.add(leaf, ir.Constant(I64, offset))
    return builder.load(builder.inttoptr(at, kind.as_pointer()))
