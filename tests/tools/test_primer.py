"""The primer benchmark never primes with what it measures, and counts the primer's bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tools import benchmark
from tools.benchmarks import primer


@pytest.mark.parametrize(("size", "count", "measured"), [(7, 4, 1), (16, 4, 4), (40, 4, 4)])
def test_blocks_are_measured_or_in_the_rest(size: int, count: int, measured: int) -> None:
    content = b"".join(bytes([number]) * 10 for number in range(size)) + b"end"
    blocks, rest = primer.split(content, 10, count)
    assert len(blocks) == measured
    assert all(block == block[:1] * 10 and block[:1] not in rest for block in blocks)
    assert sorted(b"".join(blocks) + rest) == sorted(content)


def test_a_primer_pays_from_where_it_saves_its_own_bytes() -> None:
    found = primer.Found("a.csv", "high", 4096, 10_000, 2000, 1500, 700)
    assert found.share == 0.75
    assert found.pays_from == 14_000
    assert primer.Found("a", "high", 4096, 10_000, 2000, 2000, 700).pays_from is None


def test_means_are_of_the_texts_of_a_kind() -> None:
    found = [
        primer.Found(name, "high", 4096, 100, 100, coded, 10)
        for name, coded in (("a.csv", 40), ("b.csv", 90), ("c.log", 60))
    ]
    lines = primer.kind_table(found).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells == [
        ["logs", "1", "0.600"],
        ["tables, XML", "2", "0.600"],
        ["**all**", "3", "0.600"],
    ]


def test_the_command_writes_its_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, page = tmp_path / "data", tmp_path / "page.md"
    data.mkdir()
    (data / "a.csv").write_bytes(tiny.table(1, 30_000))
    (data / "short.csv").write_bytes(tiny.table(1, 5000))
    page.write_text("<!-- primer: begin -->\n<!-- primer: end -->\n")
    options = ["--data", str(data), "--chunks", "1K,4K", "--count", "1", "--size", "4K"]
    assert benchmark.main(["primer", *options, "--page", str(page)]) == 0
    text = page.read_text()
    assert "1 texts of 8 KiB or more" in text
    assert "| a.csv " in text
    assert "short.csv" not in text
    with pytest.raises(SystemExit, match="no text of two blocks of 64 KiB"):
        benchmark.main(["primer", "--data", str(data), "--page", str(page)])
