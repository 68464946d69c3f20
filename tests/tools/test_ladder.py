"""The ladder has a row for each network, of whatever kind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lmarc.codec import vectors
from lmarc.train.transformer import TransformerShape
from tools import ladder

SHAPES = ("16x16", "16x16x3", "float:16x16", "gru:16", "transformer:16x1x1x16x16")


def test_every_kind_of_network_has_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for number in range(40):
        (text / f"{number}.txt").write_bytes(vectors.prose(f"ladder {number}", 30_000))
    monkeypatch.setattr(ladder, "TIMED", 2048)
    monkeypatch.setattr("lmarc.train.loop.LOG_SECONDS", 0.1)
    options = ["--text", "40K", "--rows", "2", "--shapes", ",".join(SHAPES)]
    command = ["ladder.py", str(text), *options, "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", command)
    ladder.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"| {' | '.join(ladder.HEAD)} |"
    rows = [line.strip("| ").split(" | ") for line in lines[2:]]
    assert tuple(row[0] for row in rows) == SHAPES
    for (name, parameters, products, bits, share, *_), line in zip(rows, lines[2:], strict=True):
        assert int(parameters.replace(",", "")) > 1000
        assert int(products.replace(",", "")) > 1000
        assert 0 < float(bits) < 8
        assert 0.5 < float(share) < 1.1
        # Only what a codec runs is timed.
        assert ("|  |" in line) == (":" in name)


def test_a_network_is_what_its_name_says() -> None:
    assert ladder.network("32x16").rounded
    assert not ladder.network("float:32x16").rounded
    with pytest.raises(SystemExit, match="lstm:16 is no network"):
        ladder.network("lstm:16")
    assert ladder.network("32x16x4").shape.layers == 4
    assert ladder.network("gru:32").multiply_adds == 3 * 32 * (16 + 32) + 2 * 16 * 32 + 256
    expected = TransformerShape(width=32, heads=2, layers=1, hidden=48, window=64)
    assert ladder.network("transformer:32x2x1x48x64").shape == expected
