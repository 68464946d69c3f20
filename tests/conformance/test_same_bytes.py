"""The coder gives the same bytes for every processor, without compiling, and for any workers."""

import json
import os
import platform
import subprocess
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.codec import vectors
from lmarc.model import registry

KINDS = ("prose", "json", "csv", "chinese", "noise")
SIZES = (1, 3, 4095, 65_536)
INPUTS = [f"{kind}-{size}" for kind in KINDS for size in SIZES]
NEURAL = [
    f"{model}:{kind}-{size}"
    for model in ("neural", "deep")
    for kind in KINDS
    for size in (1, 4095, 20_000)
]
SUBWORD = [f"subword:{kind}-{size}" for kind in KINDS for size in (1, 4095, 20_000)]
MULTISCALE = [
    f"{model}:{kind}-{size}"
    for model in ("multiscale", "lanes", "doubts", "tower", "primed")
    for kind in KINDS
    for size in (1, 700, 20_000)
]
# Networks with patches are compiled apart from all others.
PATCHED = [f"words:{kind}-{size}" for kind in KINDS for size in (1, 700, 20_000)]
# In plain Python a byte takes milliseconds.
LITTLE = [
    "prose-1",
    "prose-3",
    "prose-300",
    "json-300",
    "chinese-300",
    "noise-100",
    "neural:prose-99",
    "deep:prose-99",
    "patched:prose-99",
    "subword:prose-99",
    "multiscale:json-99",
    "lanes:csv-99",
    "doubts:csv-99",
    "tower:json-99",
    "words:json-99",
    "primed:json-99",
]
# Through PyTorch on a processor it takes milliseconds too.
ELSEWHERE = ["neural:prose-99", "neural:json-700", "neural:noise-300", "deep:json-300"]
ELSEWHERE += ["patched:json-300", "words:prose-300"]
ELSEWHERE += ["subword:prose-99", "subword:json-700", "subword:noise-300"]
ELSEWHERE += ["multiscale:json-99", "multiscale:csv-700", "multiscale:noise-300"]
ELSEWHERE += ["lanes:json-300", "lanes:prose-300", "doubts:csv-700", "primed:json-300"]
SHIPPED = [f"model:{kind}-20000" for kind in KINDS] if registry.SHIPPED else []
X86 = platform.machine() == "x86_64"

pytestmark = pytest.mark.slow


def run(cache: Path | None, threads: int, names: list[str], **environment: str) -> dict[str, Any]:
    """Code in a process, with a cache of its own if one is named; return target and digests."""
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance.coder", str(threads), *names],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **environment,
        },
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="session")
def native() -> dict[str, Any]:
    """What this processor gives, one chunk after the other."""
    names = [*INPUTS, *LITTLE, *SHIPPED, *NEURAL, *SUBWORD, *MULTISCALE, *PATCHED, *ELSEWHERE]
    return run(None, 1, names)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([*INPUTS, *SHIPPED, *NEURAL, *SUBWORD, *MULTISCALE], id="most"),
        pytest.param(PATCHED, id="patches"),
    ],
)
@pytest.mark.parametrize(
    ("processor", "has"),
    [
        pytest.param("generic", "SSE2", id="generic"),
        pytest.param(
            "haswell", "AVX2", id="haswell", marks=pytest.mark.skipif(not X86, reason="x86-64")
        ),
    ],
)
def test_every_processor_gives_the_same_bytes(
    native: dict[str, Any], tmp_path: Path, processor: str, has: str, names: list[str]
) -> None:
    flags = Path("/proc/cpuinfo")
    if has == "AVX2" and flags.exists() and "avx2" not in flags.read_text():
        pytest.skip("this processor cannot run AVX2")
    found = run(tmp_path, 2, names, NUMBA_CPU_NAME=processor)
    assert found["target"] == processor
    assert found["digests"].items() <= native["digests"].items()


def test_plain_python_gives_the_same_bytes(native: dict[str, Any], tmp_path: Path) -> None:
    found = run(tmp_path, 1, LITTLE, NUMBA_DISABLE_JIT="1")
    assert found["target"] == "plain"
    assert found["digests"].items() <= native["digests"].items()


def test_a_network_in_pytorch_gives_the_same_bytes(native: dict[str, Any]) -> None:
    found = run(None, 2, ELSEWHERE, LMARC_DEVICE="torch")
    assert found["digests"].items() <= native["digests"].items()


def test_threads_that_share_a_model_give_the_same_bytes(native: dict[str, Any]) -> None:
    found = run(None, 5, [*INPUTS, *NEURAL, *SUBWORD, *MULTISCALE, *PATCHED])
    assert found["digests"].items() <= native["digests"].items()


def test_the_digests_of_the_self_test_are_among_them(native: dict[str, Any]) -> None:
    from lmarc.codec.selftest import digest_of

    for name in ("prose-1", "prose-4095"):
        assert native["digests"][name].startswith(digest_of("ngram", name))


def archive(path: Path, model: Path, **options: Any) -> bytes:
    """Write texts of all kinds and sizes with the small model; return the archive."""
    with lmarc.Writer(
        path, preset="balanced", model=model, embed_model=True, chunk_size=16_384, **options
    ) as writer:
        for name in INPUTS:
            kind, _, size = name.rpartition("-")
            make = {"json": vectors.records, "csv": vectors.table}.get(kind) or getattr(
                vectors, kind
            )
            writer.add_bytes(name, make(name, int(size)))
        writer.add_bytes("empty", b"")
        writer.add_bytes("zeros", bytes(50_000))
    return path.read_bytes()


def executors() -> list[Any]:
    spawn = get_context("spawn")
    return [
        pytest.param(lambda: ThreadPoolExecutor(1), id="1 thread"),
        pytest.param(lambda: ThreadPoolExecutor(7), id="7 threads"),
        pytest.param(lambda: ProcessPoolExecutor(1, mp_context=spawn), id="1 process"),
        pytest.param(lambda: ProcessPoolExecutor(3, mp_context=spawn), id="3 processes"),
    ]


@pytest.mark.parametrize("make", executors())
def test_every_executor_gives_the_same_archive(tmp_path: Path, model_file: Path, make: Any) -> None:
    expected = archive(tmp_path / "expected", model_file, jobs=2)
    executor: Executor
    with make() as executor:
        assert archive(tmp_path / "found", model_file, executor=executor) == expected
    with lmarc.open(tmp_path / "expected") as opened:
        assert opened.verify().member_count == len(INPUTS) + 2
