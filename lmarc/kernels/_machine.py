"""The processor at hand, and how machine code for it is loaded. Needs llvmlite, not Numba."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

ENTRY = "lmarc_kernel"
"""The symbol of a kernel, `int32 (int64 *)`: arguments, behind a place for what it returns."""

_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
_engines: list[tuple[Any, bytes]] = []  # machine code, which they point to, lives as long as they


@functools.cache
def features() -> str:
    """Return what code may use of the processor, as LLVM lists it, and Numba decides it."""
    told = os.environ.get("NUMBA_CPU_FEATURES")
    if told is not None:
        return told
    if os.environ.get("NUMBA_CPU_NAME", "").lower() == "generic":
        return ""
    try:
        found = llvm.get_host_cpu_features()
    except RuntimeError:
        return ""
    if os.environ.get("NUMBA_ENABLE_AVX") == "0":
        found.update((name, False) for name in found if name.startswith("avx"))
    return str(found.flatten())


QUADS = "+avx512vnni" in features().split(",")
"""Whether kernels should use `dot_quads`: whether the processor has an instruction for it."""


@functools.cache
def processor() -> str:
    """Return what machine code is made for: system, processor and what that has."""
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    return f"{llvm.get_process_triple()} {name} {features()}"


@functools.cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(llvm.get_process_triple())


def loaded(machine_code: bytes) -> Callable[[int], int]:
    """Return the function ENTRY of an object file; it releases the GIL while it runs."""
    # An engine takes its target machine with it.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target().create_target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    _engines.append((engine, machine_code))
    return _PROTOTYPE(engine.get_function_address(ENTRY))
