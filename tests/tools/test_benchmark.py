"""The benchmark runs, at sizes that say nothing, and prints what the documentation quotes."""

import random
import shutil
from pathlib import Path

import pytest

from tools import benchmark
from tools.benchmarks import _measure


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "words.txt").write_text("some words of a text\n" * 2000)
    (folder / "sub" / "noise.bin").write_bytes(random.Random(1).randbytes(50_000))
    return folder


def test_each_module_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "archive" in benchmark.commands()
    with pytest.raises(SystemExit):
        benchmark.main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in benchmark.commands())


def test_archive_prints_every_part(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small = ["--size", "1", "--repeats", "1", "--many", "300", "--members", "30"]
    work = tmp_path / "work"
    assert benchmark.main(["archive", "--data", str(data), "--work", str(work), *small]) == 0
    shown = capfd.readouterr().out
    assert "lmarc create, 2 jobs" in shown
    assert "| lmarc:// " in shown
    assert "lmarc list, to a file" in shown
    if shutil.which("zstd") and shutil.which("tar"):
        assert "times the peer's time" in shown
    assert list(work.iterdir()) == []


def test_an_unknown_part_is_refused(data: Path) -> None:
    with pytest.raises(SystemExit, match="no such part: fast"):
        benchmark.main(["archive", "--data", str(data), "--parts", "fast"])


def test_make_tree_fills_a_folder_with_varied_copies(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "tree"
    assert _measure.make_tree(data, target, 200_000) == 200_000
    files = sorted(path for path in target.rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) == 200_000
    assert len({path.read_bytes() for path in files}) == len(files)
    again = tmp_path / "again"
    _measure.make_tree(data, again, 200_000)
    assert [path.read_bytes() for path in sorted(again.rglob("*.*"))] == [
        path.read_bytes() for path in files
    ]


def test_a_command_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        _measure.time_command("exit 3")
    assert _measure.time_command(["true"]).peak > 0
