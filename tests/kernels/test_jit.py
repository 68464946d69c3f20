"""Kernels are compiled once for a machine, without floats, and run as plain Python on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmarc.kernels import _jit, rans

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


def run(**environment: str) -> list[str]:
    """Return what PROGRAM prints under these variables."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
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
    plain = run(NUMBA_DISABLE_JIT="1", PYTHONWARNINGS="error::RuntimeWarning")
    compiled = run(NUMBA_DISABLE_JIT="0")
    assert (plain[0], compiled[0]) == ("True", "False")
    assert plain[1] == compiled[1]


@pytest.mark.skipif(_jit.PLAIN, reason="Numba is disabled")
def test_kernels_release_the_gil_and_never_use_fast_maths() -> None:
    options = rans.encode.targetoptions  # type: ignore[attr-defined]
    assert options["nogil"] is True
    assert not options.get("fastmath")
    assert options["error_model"] == "numpy"


def test_an_element_is_read_as_a_signed_integer() -> None:
    element = _jit.integer(np.array([0xFFFFFFFF], np.uint32)[0])
    assert element == 0xFFFFFFFF
    assert element - 0x100000000 == -1


@pytest.mark.skipif(_jit.PLAIN, reason="Numba is disabled")
def test_machine_code_is_kept_in_a_folder_named_by_all_sources() -> None:
    from lmarc.kernels import _cache

    assert not _jit.CACHE_FOLDER or _jit.CACHE_FOLDER.endswith(_cache.sources_digest())
