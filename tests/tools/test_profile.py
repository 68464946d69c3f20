"""The profile times the coder's own step, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.codec.ngram import choose_profile
from tests import tiny
from tools import benchmark
from tools.benchmarks import _steps, profile

CHUNKS = [tiny.prose(1, 3000), tiny.table(2, 1000)]


def test_the_last_walk_is_the_coder_itself_and_each_part_is_timed() -> None:
    model = tiny.random_model(1, CHUNKS[0], n_buckets=500)
    found = profile.measure(model, CHUNKS, 1)
    assert set(_steps.PARTS.values()) < set(found)
    assert all(nanoseconds > 0 for nanoseconds in found.values())
    assert choose_profile(model, CHUNKS[0]) in {0, 1}


def test_the_table_splits_the_step_into_differences() -> None:
    found = dict(zip(_steps.PARTS.values(), (50.0, 110.0, 180.0, 280.0, 400.0), strict=True))
    found |= {"steps": 400.0, "rans": 20.0, "choose": 30.0, "encoder": 500.0, "decoder": 450.0}
    lines = profile.table(found).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(ns, share) for _, ns, share in cells] == [
        ("50", "10%"),
        ("60", "12%"),
        ("70", "14%"),
        ("100", "20%"),
        ("120", "24%"),
        ("400", "80%"),
        ("20", "4%"),
        ("30", "6%"),
        ("500", "100%"),
        ("50", "10%"),
        ("450", "90%"),
    ]


def test_the_command_writes_its_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, page = tmp_path / "tiny.lmmodel", tmp_path / "page.md"
    model.write_bytes(tiny.random_model(1, CHUNKS[0], n_buckets=500).pack(b"{}"))
    page.write_text("<!-- profile: begin -->\n<!-- profile: end -->\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_bytes(CHUNKS[0])
    options = ["--data", str(tmp_path / "data"), "--model", str(model), "--chunk", "4K"]
    assert benchmark.main(["profile", *options, "--repeats", "1", "--page", str(page)]) == 0
    assert "| **decompressing**" in page.read_text()
    assert "1 chunks of up to 4 KiB" in capsys.readouterr().out
