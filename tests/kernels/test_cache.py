"""Machine code is kept where nobody else can write, and a cache that fails costs time alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lmarc.kernels import _cache, _jit, rans

# A kernel that compiles in no time stands for all.
PROGRAM = """
import sys, tempfile
if len(sys.argv) > 1:
    tempfile.tempdir = sys.argv[1]
from lmarc.kernels import _jit, notice, rans
import numpy as np
assert "numba" not in sys.modules
notice.on_compile(lambda message: print(message))
words = np.zeros(4, np.uint32)
assert rans.encode(np.array([1 << 15], np.uint32), words) == 2
print("folder", _jit.CACHE_FOLDER)
if not rans.encode.compiled:
    assert "numba" not in sys.modules
"""


def run(tmp_path: Path, *arguments: str, **environment: str) -> list[str]:
    """Run PROGRAM in a process of its own; return its lines."""
    keep = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "HOME", "TMPDIR")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**keep, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_second_process_compiles_nothing(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    first, second = run(tmp_path, HOME=home), run(tmp_path, HOME=home)
    assert first[0].startswith("compiling the text coder for this machine, once")
    assert first[1].startswith(f"folder {home}/.cache/lmarc/kernels/")
    assert second == first[1:]


def test_a_home_that_cannot_be_written_leads_to_the_temporary_folder(tmp_path: Path) -> None:
    # Nobody, not even the superuser, makes a folder in /proc.
    lines = run(tmp_path, str(tmp_path), HOME="/proc/nowhere")
    assert lines[-1].startswith(f"folder {tmp_path}/lmarc-{os.getuid()}/kernels/")
    assert run(tmp_path, str(tmp_path), HOME="/proc/nowhere") == lines[-1:]


def test_kernels_work_without_any_folder(tmp_path: Path) -> None:
    lines = run(tmp_path, "/proc", HOME="/proc/nowhere")
    assert "in every run, since no cache folder can be written" in lines[0]
    assert lines[1:] == ["folder "]


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "home" / ".cache" / "lmarc"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    lines = run(tmp_path, str(tmp_path), HOME=str(tmp_path / "home"))
    assert lines[-1].startswith(f"folder {tmp_path}/lmarc-{os.getuid()}/")


def test_a_link_to_a_folder_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"lmarc-{os.getuid()}").symlink_to("elsewhere")
    assert run(tmp_path, str(tmp_path), HOME="/proc/nowhere")[-1] == "folder "


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-7],
        lambda data: b"",
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: data[:40] + bytes(len(data) - 40),
    ],
    ids=["cut", "empty", "a bit", "zeros"],
)
def test_a_damaged_cache_is_compiled_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    home = tmp_path / "home"
    run(tmp_path, HOME=str(home))
    (path,) = home.rglob("*.o")
    path.write_bytes(damage(path.read_bytes()))
    assert run(tmp_path, HOME=str(home))[0].startswith("compiling")
    assert run(tmp_path, HOME=str(home))[0].startswith("folder")


def test_the_folder_of_numba_is_used_where_one_is_given(tmp_path: Path) -> None:
    lines = run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "numba"))
    assert lines[-1].startswith(f"folder {tmp_path}/numba/lmarc/kernels/")


def test_other_users_of_numba_keep_their_folder() -> None:
    from numba import config

    assert str(config.CACHE_DIR) == os.environ.get("NUMBA_CACHE_DIR", "")


def test_the_name_of_the_folder_changes_with_the_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = _cache.sources_digest()
    monkeypatch.setattr(_cache, "_version", lambda package: tmp_path / package)
    for package in _cache.COMPILERS:
        (tmp_path / package).write_text("1")
    other = _cache.sources_digest()
    (tmp_path / "llvmlite").write_text("2")
    assert len({before, other, _cache.sources_digest()}) == 3


def test_the_versions_of_the_compiler_are_found() -> None:
    import llvmlite
    import numba

    for package in (numba, llvmlite):
        assert package.__version__ in _cache._version(package.__name__).read_text()


@pytest.mark.skipif(_jit.PLAIN, reason="Numba is disabled")
def test_machine_code_of_another_processor_has_another_name() -> None:
    def name(arguments: str, processor: str) -> str:
        return _cache.name_of(rans.encode.function, arguments, processor)  # type: ignore[attr-defined]

    names = {name("int", "x86"), name("int,int", "x86"), name("int", "x86 +avx512vnni")}
    assert len(names) == 3
    assert all(found.startswith("rans.encode-") for found in names)


def test_what_a_function_around_decides_is_not_kept() -> None:
    step = 3

    def inside(value: int) -> int:
        return value + step

    assert _cache.name_of(inside, "int", "x86") == ""
