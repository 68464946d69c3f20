"""Tables in the cache are those of the model's file, or are not taken."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lmarc.codec.vectors import small_model
from lmarc.model.ngram import LINE, NgramModel
from lmarc.model.tables import load_tables, save_tables

SHA256 = hashlib.sha256(b"a model").digest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the cache, empty."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "lmarc" / "models"


def same(found: NgramModel | None, model: NgramModel) -> bool:
    return (
        found is not None
        and np.array_equal(found.buckets, model.buckets)
        and found.profiles.keys() == model.profiles.keys()
        and all(
            np.array_equal(found.profiles[name], model.profiles[name]) for name in found.profiles
        )
        and found.pack(b"{}") == model.pack(b"{}")
    )


def test_a_model_comes_back_as_it_was(cache: Path) -> None:
    model = small_model()
    assert load_tables(SHA256) is None
    save_tables(SHA256, model)
    found = load_tables(SHA256)
    assert same(found, model)
    assert found is not None
    assert found.buckets.ctypes.data % LINE == 0
    assert not found.buckets.flags.writeable
    assert [path.name for path in cache.iterdir()] == [SHA256.hex()]
    assert load_tables(hashlib.sha256(b"another").digest()) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"x" + data[1:],
        lambda data: data[:8] + b"\7" + data[9:],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    ],
)
def test_a_damaged_file_is_not_taken(cache: Path, damage: Callable[[bytes], bytes]) -> None:
    save_tables(SHA256, small_model())
    path = cache / SHA256.hex()
    path.write_bytes(damage(path.read_bytes()))
    assert load_tables(SHA256) is None


PROGRAM = """
import hashlib, sys
from lmarc.model import file, registry
from lmarc.model.ngram import NgramModel

parsed = []
parse = NgramModel.parse
NgramModel.parse = classmethod(lambda cls, data: parsed.append(len(data)) or parse(data))
model = registry.ngram_model(registry.shipped("ngram"))
print(parsed, hashlib.sha256(model.buckets).hexdigest())
"""


def run(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_model_that_ships_is_unpacked_once(cache: Path) -> None:
    first, second = run(), run()
    assert first[0] != "[]"
    assert second == ["[]", first[1]]
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert run() == first
    assert run() == second


def test_no_cache_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody, not even the superuser, makes a folder in /proc.
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.setattr("tempfile.tempdir", "/proc")
    save_tables(SHA256, small_model())
    assert load_tables(SHA256) is None
