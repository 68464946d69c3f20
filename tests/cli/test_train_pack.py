"""`lmarc train pack`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors


def test_text_is_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts").mkdir()
    for n in range(40):
        (tmp_path / "texts" / f"{n}.txt").write_bytes(vectors.prose(f"{n}", 9000))
    out = tmp_path / "p.lmarc"
    assert main(["train", "pack", str(tmp_path / "texts"), "-o", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["size"] == out.stat().st_size
    assert 0 < document["text_size"] < 40 * 9000
    assert document["text_size"] == 9000 * document["texts"]
    assert main(["train", "pack", str(tmp_path / "texts"), "-o", str(out), "--all"]) == 0
    assert "360 kB of text in 40 pieces" in capsys.readouterr().out


def test_a_size_that_is_too_small_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_bytes(vectors.noise("n", 90_000))
    out = tmp_path / "p.lmarc"
    assert (
        main(["train", "pack", str(tmp_path / "text"), "-o", str(out), "--all", "--size", "1k"]) > 2
    )
    assert "expected 1024 or fewer" in capsys.readouterr().err
    assert not out.exists()
