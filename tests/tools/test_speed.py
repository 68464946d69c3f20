"""The benchmarks of speed and of reads run at sizes that say nothing, and check what they time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import tiny
from tools import benchmark
from tools.benchmarks import read, speed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.lmmodel"
    path.write_bytes(tiny.random_model(1, tiny.prose(1, 2000), n_buckets=500).pack(b"{}"))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "words.txt").write_bytes(tiny.prose(1, 60_000))
    (folder / "sub" / "table.csv").write_bytes(tiny.table(2, 20_000))
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 20)
    return folder


def page_with(name: str, folder: Path) -> Path:
    page = folder / "page.md"
    page.write_text(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n")
    return page


def test_speed_writes_speeds_and_memory(data: Path, model: Path, tmp_path: Path) -> None:
    page = page_with("speed", tmp_path)
    options = ["--size", "1", "--slice", "0.02", "--repeats", "1", "--jobs", "1"]
    options += ["--data", str(data), "--model", str(model), "--page", str(page)]
    assert benchmark.main(["speed", *options]) == 0
    text = page.read_text()
    assert "| lmarc create, 1 jobs" in text
    assert "| lmarc extract, 1 jobs" in text
    assert "| 4 " in text
    for name, command in speed.PEERS.items():
        if shutil.which(command.split()[0]):
            assert f"times what a core of `{name}` does" in text


def test_a_slice_takes_its_share_of_every_text(data: Path, tmp_path: Path) -> None:
    texts, target = tmp_path / "texts", tmp_path / "slice"
    speed.copy_texts(data, texts)
    assert sorted(path.name for path in texts.rglob("*.*")) == ["table.csv", "words.txt"]
    assert speed.cut_slice(texts, target, 8000) == 8000
    assert target.read_bytes()[:2000] == tiny.table(2, 20_000)[9000:11_000]
    assert speed.cut_slice(texts, target, 1 << 30) == 80_000


def test_files_that_differ_end_the_benchmark(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(data, other)
    speed.check_equal(data, other)
    (other / "words.txt").write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"extracted files differ: words\.txt"):
        speed.check_equal(data, other)


def test_reads_are_timed_for_each_chunk_size_and_preset(data: Path, tmp_path: Path) -> None:
    page = page_with("read", tmp_path)
    options = ["--size", "1", "--count", "5", "--processes", "1", "--chunks", "4K,16K"]
    options += ["--data", str(data), "--ways", "zstd,high", "--page", str(page)]
    assert benchmark.main(["read", *options]) == 0
    text = page.read_text()
    for chunks in ("4 KiB, zstd", "4 KiB, high", "16 KiB, zstd", "16 KiB, high"):
        assert f"| {chunks} " in text


def test_times_are_described_by_median_and_95th_percentile() -> None:
    assert read.describe([float(number) for number in range(101)]) == "50.00 / 95.00"
    assert read.describe([3.0]) == "3.00 / 3.00"
