"""Kernels are integers through and through, and none of their int64 products can overflow."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmarc.kernels

pytestmark = pytest.mark.slow

FOLDER = Path(lmarc.kernels.__file__).parent
ROOT = FOLDER.parent.parent
MODULES = (
    "contexts", "counting", "distributions", "lanes", "match", "mixture", "network", "neural",
    "ngram", "patches", "placing", "rans",
)  # fmt: skip
# Compiles every kernel without optimisation and without the cache, and tells the types of all
# variables, of the steps inlined into them too.
PROGRAM = """
import json, os, sys
from numba.core import compiler

types, compile_extra = {}, compiler.compile_extra

def noted(typing, target, function, *rest, **more):
    made = compile_extra(typing, target, function, *rest, **more)
    layer, _, module = function.__module__.rpartition(".")
    if layer == "lmarc.kernels" and module in sys.argv[1:]:
        known = types.setdefault(f"{module}.{function.__qualname__}", [])
        known += sorted({str(kind) for kind in made.type_annotation.typemap.values()})
    return made

compiler.compile_extra = noted
from tests.kernels import test_counting, test_pair_products
from tests.kernels.test_placing import placed
from tests import tiny
from lmarc.codec import neural, vectors
from lmarc.codec.ngram import compress_with, decompress_with
from lmarc.model.transformer import Sizes
from tests.naive_neural import random_network
from tests.kernels import test_distributions

test_counting.test_counts_are_the_plain_ones(1)
test_counting.test_parents_are_the_shorter_contexts_where_first_met()
placed(1, 9, 2)
test_pair_products.test_products_of_pairs_are_exact(1, (16, 16))
model = tiny.random_model(3, b"some text", n_buckets=4)
decompress_with(model, compress_with(model, b"some text"), 9)
net = vectors.small_network()
payload = neural.compress_with(net, b"some text")
neural.decompress_with(net, payload, 9)
patched = random_network(1, 16, 16, patches=Sizes(16, 1, 1, 16, 16))
neural.compress_with(patched, b"some text")
os.environ["LMARC_DEVICE"] = "torch"
neural.decompress_with(net, neural.compress_with(net, b"some text"), 9)
test_distributions.freqs_of(b"some text")
print(json.dumps(types))
"""


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the types of all variables, by kernel."""
    environment = {
        **os.environ,
        "NUMBA_OPT": "0",
        "NUMBA_DISABLE_JIT": "0",
        "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *MODULES],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def functions(name: str) -> Iterator[ast.FunctionDef]:
    """Yield the functions of a module that Numba compiles."""
    for node in ast.parse((FOLDER / f"{name}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield node


def test_every_kernel_was_compiled(types: dict[str, list[str]]) -> None:
    names = {f"{name}.{function.name}" for name in MODULES for function in functions(name)}
    assert set(types) == names
    assert all(types.values())


def test_no_variable_of_a_kernel_is_a_float(types: dict[str, list[str]]) -> None:
    floats = {
        name: [kind for kind in kinds if "float" in kind or "complex" in kind]
        for name, kinds in types.items()
    }
    assert {name: kinds for name, kinds in floats.items() if kinds} == {}


def test_no_variable_of_a_kernel_is_an_unsigned_sum(types: dict[str, list[str]]) -> None:
    # uint64 with int64 becomes a float; elements of arrays go through `integer`.
    unsigned = {name for name, kinds in types.items() if "uint64" in kinds}
    assert unsigned == set()


def test_one_operation_alone_goes_through_floats() -> None:
    source = (FOLDER / "_vector_llvm.py").read_text()
    tree = ast.parse(source)
    using = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(name, ast.Name) and name.id == "FLOATS" for name in ast.walk(node))
    }
    assert using == {"log_bits"}
    assert source.count("Float") == 1
    assert "Double" not in source


@pytest.mark.parametrize("name", MODULES)
def test_sources_hold_no_float_and_no_true_division(name: str) -> None:
    for function in functions(name):
        for node in ast.walk(function):
            assert not isinstance(node, ast.Div), f"{function.name} divides"
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))


@pytest.mark.parametrize("name", MODULES)
def test_constant_factors_of_int64_stay_below_two_to_the_30(name: str) -> None:
    """Numba multiplies int64 with `nsw`, so that a product of 2**63 would be undefined.

    Keys have 32 bits, so a factor below 2**30 is safe. Inside `splat` a number is cut to 32 bits;
    there a salt, at most 16, meets a larger factor.
    """
    module = importlib.import_module(f"lmarc.kernels.{name}")

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.Constant):
            return int(node.value) if isinstance(node.value, int) else 0
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = getattr(module, node.value.id, None)
            found = getattr(owner, node.attr, 0)
        else:
            found = getattr(module, node.id, 0) if isinstance(node, ast.Name) else 0
        return found if isinstance(found, int) else 0

    factors = {
        (ast.unparse(node), max(value(node.left), value(node.right)))
        for function in functions(name)
        for node in ast.walk(function)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)
    }
    large = {source for source, factor in factors if factor >= 1 << 30}
    assert large <= {"salt * SALT_STEP"}
