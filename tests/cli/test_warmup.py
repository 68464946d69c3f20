"""`lmarc warmup`, and what a first use says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import environment


def lmarc(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program with a home of its own."""
    variables = {**environment(), "HOME": str(tmp_path / "home"), **more}
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        variables.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "lmarc", *arguments],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_after_a_warm_up_nothing_is_compiled(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "text").write_text("to be, or not to be\n" * 500)
    warm = lmarc(tmp_path, "warmup", "--json")
    assert warm.stderr.count("\n") == 1
    assert warm.stderr.startswith("lmarc: compiling the text coder for this machine, once")
    document = json.loads(warm.stdout)
    assert document["compiled"] == document["kernels"] > 0
    assert document["folder"].startswith(str(tmp_path / "home" / ".cache" / "lmarc" / "kernels"))
    options = ("--preset", "balanced", "--model", str(model_file), "--embed-model", "-q")
    made = lmarc(tmp_path, "create", "a", "text", *options)
    assert (made.returncode, made.stderr) == (0, "")
    for command in (["verify", "a"], ["extract", "a", "-C", "out"], ["cat", "a", "text"]):
        done = lmarc(tmp_path, *command)
        assert (done.returncode, done.stderr) == (0, "")
    again = json.loads(lmarc(tmp_path, "warmup", "--json").stdout)
    assert (again["compiled"], again["folder"]) == (0, document["folder"])
    said = lmarc(tmp_path, "warmup")
    assert said.stdout.endswith(f"; kept in {document['folder']}\n")


# Nobody makes folders in /proc. With plain kernels there is nothing to compile.
NOWHERE = """
import sys, tempfile
tempfile.tempdir = "/proc"
from lmarc.cli import main
sys.exit(main(["warmup"]))
"""


def test_a_machine_without_a_folder_for_kernels_is_told(tmp_path: Path) -> None:
    variables = {**environment(), "HOME": "/proc/nowhere", "NUMBA_DISABLE_JIT": "1"}
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        variables.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", NOWHERE],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.endswith("; not kept\n")
    assert "warning: no cache folder can be written" in done.stderr
