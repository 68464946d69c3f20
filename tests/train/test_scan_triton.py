"""The kernels of CUDA, in Triton's interpreter, have the values and gradients of a plain loop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lmarc.train.scan import Layer
from tests.train.test_scan import loop

# Triton looks at it once, when it is imported.
os.environ.setdefault("TRITON_INTERPRET", "1")


# What the interpreter allows and the compiler does not: it needs no device.
COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lmarc.codec import recurrence_triton
from lmarc.train import scan_triton

def compiled(function, pointers, kind, constants):
    names = function.arg_names
    signature = {name: kind for name in names[:pointers]}
    signature |= dict.fromkeys(names[pointers : pointers + 2], "i32")
    signature |= dict.fromkeys(constants, "constexpr")
    assert list(signature) == names
    source = ASTSource(fn=function, signature=signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1})

for parts, highway in ((2, False), (3, False), (3, True)):
    constants = {"parts": parts, "highway": highway, "rounded": True, "size": 32}
    for function, pointers in ((scan_triton._forward, 5), (scan_triton._backward, 7)):
        assert compiled(function, pointers, "*fp32", constants).asm["ptx"]
assert compiled(recurrence_triton._walk, 4, "*i64", {"size": 32}).asm["ptx"]
print("compiled")
"""


def test_kernels_compile_for_cuda(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COMPILED]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "compiled\n", done.stderr


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize(("parts", "highway"), [(2, False), (3, False), (3, True)])
@pytest.mark.parametrize("units", [5, 40])  # less than a program's, and more
def test_values_and_gradients_are_those_of_a_loop(
    units: int, parts: int, highway: bool, rounded: bool
) -> None:
    kernels = pytest.importorskip("lmarc.train.scan_triton")
    torch.manual_seed(units)
    values, start = 3 * torch.randn(3, 7, parts * units), torch.rand(3, units) * 2 - 1
    values[0, :, units : 2 * units] = 9  # reaches what int8 holds
    came = torch.rand(3, 7, units) * 2 - 1 if highway else None
    weight = torch.randn(3, 7, units)
    results = []
    for in_triton in (False, True):
        pre = values.clone().requires_grad_()
        through = None if came is None else came.clone().requires_grad_()
        given = (pre, start, through, rounded)
        out, last = Layer.apply(*given, kernels) if in_triton else loop(*given)
        (out * weight).sum().backward()
        grads = [pre.grad] if through is None else [pre.grad, through.grad]
        results.append((out.detach(), last, *grads))
    for plain, found in zip(*results, strict=True):
        torch.testing.assert_close(plain, found)
