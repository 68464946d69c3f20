"""Kernels are compiled once for a machine, without floats, and run as plain Python on demand."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lmarc.kernels import _jit
from lmarc.kernels._jit import I64Array, inlined, integer, kernel

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import hashlib
from lmarc.codec.ngram import compress_with, decompress_with
from lmarc.kernels._jit import PLAIN
from tests import tiny

text = tiny.prose(1, 60) + tiny.table(2, 60) + tiny.prose(1, 60)
model = tiny.random_model(3, text[:90], n_buckets=40, profiles=1)
payload = compress_with(model, text)
assert decompress_with(model, payload, len(text)) == text
print(PLAIN, hashlib.sha256(payload).hexdigest())
"""


def run(program: str, **environment: str) -> list[str]:
    """Return what a program prints under these variables, word for word."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_plain_python_gives_the_bytes_of_compiled_kernels() -> None:
    # Warnings are errors: NumPy warns where an int64 overflows.
    plain = run(PROGRAM, NUMBA_DISABLE_JIT="1", PYTHONWARNINGS="error::RuntimeWarning")
    compiled = run(PROGRAM, NUMBA_DISABLE_JIT="0")
    assert (plain[0], compiled[0]) == ("True", "False")
    assert plain[1] == compiled[1]


COMPILED = pytest.mark.skipif(_jit.PLAIN, reason="Numba is disabled")


@COMPILED
def test_kernels_never_use_fast_maths_and_divide_as_numpy_does() -> None:
    from lmarc.kernels import _compile

    assert "fastmath" not in _compile.OPTIONS
    assert _compile.OPTIONS["error_model"] == "numpy"


@COMPILED
def test_kernels_release_the_gil() -> None:
    # The kernel waits for a number that only another thread can write.
    flag = np.zeros(1, np.int64)
    waiting = threading.Thread(target=spin, args=(flag, 1 << 40))
    waiting.start()
    time.sleep(0.2)
    flag[0] = 1
    waiting.join(30)
    assert not waiting.is_alive()


@kernel
def spin(flag: I64Array, limit: int) -> int:
    """Count until the flag is up."""
    count = 0
    while count < limit and flag[0] == 0:
        count += 1
        flag[1 - len(flag)] |= 0
    return count


class Pair(NamedTuple):
    """Two arrays, and more."""

    left: Any
    right: Any
    rest: tuple[int, Any]


@kernel
def sums(pair: Pair, grid: Any, scale: Any, negative: bool) -> int:
    """Return a sum to which every argument adds something else."""
    total = 0
    for number in range(len(pair.left)):
        total += integer(pair.left[number]) * (number + 1)
    for number in range(len(pair.right)):
        total += integer(pair.right[number]) * 1000
    total += pair.rest[0] + integer(pair.rest[1][0])
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            total += integer(grid[row, column]) * (10 * row + column)
    signed: int = -total * scale if negative else total * scale
    return signed


def grid_sum(grid: Any) -> int:
    """Return what a grid adds to `sums`."""
    rows, columns = np.indices(grid.shape)
    return int((grid.astype(np.int64) * (10 * rows + columns)).sum())


GRIDS = {
    "rows": np.arange(12, dtype=np.uint16).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(12, dtype=np.uint16).reshape(3, 4)),
    "every other": np.arange(48, dtype=np.uint16).reshape(6, 8)[::2, 1::2],
    "one row": np.arange(4, dtype=np.uint16).reshape(1, 4),
    "columns backwards": np.asfortranarray(np.arange(12, dtype=np.uint16).reshape(3, 4))[:, ::-1],
    "backwards": np.arange(12, dtype=np.int32).reshape(3, 4)[::-1, ::-1],
    "none": np.zeros((0, 4), np.int64),
}


@COMPILED
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("negative", [False, True])
def test_kernels_get_what_they_are_called_with(name: str, negative: bool) -> None:
    grid = GRIDS[name]
    left = np.frombuffer(b"\1\2\3", np.uint8)  # read-only
    pair = Pair(left, np.array([7, 0xFFFFFFFF], np.uint32), (5, np.array([-9], np.int16)))
    expected = (1 + 4 + 9) + 1000 * (7 + 0xFFFFFFFF) + 5 - 9 + grid_sum(grid)
    for scale in (3, np.int64(3)):
        assert sums(pair, grid, scale, negative) == (-3 if negative else 3) * expected


@COMPILED
def test_arrays_that_are_mapped_from_a_file_are_arrays(tmp_path: Path) -> None:
    (tmp_path / "flag").write_bytes(b"\1" + bytes(7))
    assert spin(np.memmap(tmp_path / "flag", np.int64, "r+"), 9) == 0


@COMPILED
def test_a_kernel_is_compiled_once_for_arguments_of_a_kind() -> None:
    pair = Pair(np.zeros(1, np.uint8), np.zeros(1, np.uint8), (0, np.zeros(1, np.uint8)))
    sums(pair, GRIDS["rows"], 1, False)
    known = len(sums._entries)  # type: ignore[attr-defined]
    sums(pair._replace(left=np.ones(9, np.uint8)), GRIDS["rows"], 2, True)
    assert len(sums._entries) == known  # type: ignore[attr-defined]
    sums(pair._replace(left=np.ones(9, np.int8)), GRIDS["rows"], 2, True)
    assert len(sums._entries) == known + 1  # type: ignore[attr-defined]


@COMPILED
@pytest.mark.parametrize("value", [1.5, "text", None, [1], np.float32(1)])
def test_a_kernel_takes_nothing_else(value: object) -> None:
    with pytest.raises(TypeError, match="a kernel takes arrays, integers and tuples of them"):
        spin(np.ones(1, np.int64), value)  # type: ignore[arg-type]


@COMPILED
def test_a_kernel_returns_nothing_but_integers() -> None:
    @kernel
    def half(value: int) -> float:
        return value / 2

    with pytest.raises(TypeError, match="half returns float64, expected an integer"):
        half(3)


@COMPILED
def test_a_kernel_that_needs_python_is_refused() -> None:
    @kernel
    def said(value: int) -> int:
        print(value)
        return value

    with pytest.raises(TypeError, match=r"said needs .*Py"):
        said(3)


def test_an_element_is_read_as_a_signed_integer() -> None:
    element = _jit.integer(np.array([0xFFFFFFFF], np.uint32)[0])
    assert element == 0xFFFFFFFF
    assert element - 0x100000000 == -1


@inlined
def doubled(value: int) -> int:
    """Return twice a number."""
    return 2 * value


@COMPILED
def test_a_step_is_a_kernel_to_all_but_kernels() -> None:
    @kernel
    def quadrupled(value: int) -> int:
        return doubled(doubled(value))

    for value in (1, 7):
        assert doubled(value) == 2 * value
        assert quadrupled(value) == 4 * value  # which compiles both
        assert doubled(value) == 2 * value


PROCESSOR = """
from lmarc.kernels import _machine
from numba.core.registry import cpu_target
found = " ".join(map(str, cpu_target.target_context.codegen().magic_tuple()))
print(_machine.processor() == found, _machine.QUADS)
"""


@COMPILED
@pytest.mark.parametrize(
    ("environment", "quads"),
    [
        ({}, None),
        ({"NUMBA_CPU_NAME": "generic"}, False),
        ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2"}, False),
        ({"NUMBA_CPU_FEATURES": ""}, False),
        ({"NUMBA_ENABLE_AVX": "0"}, False),
    ],
)
def test_the_processor_is_the_one_that_numba_compiles_for(
    environment: dict[str, str], quads: bool | None
) -> None:
    same, found = run(PROCESSOR, **environment)
    assert same == "True"
    assert quads is None or found == str(quads)


@COMPILED
def test_machine_code_is_kept_in_a_folder_named_by_all_sources() -> None:
    from lmarc.kernels import _cache

    assert not _jit.CACHE_FOLDER or _jit.CACHE_FOLDER.endswith(_cache.sources_digest())
