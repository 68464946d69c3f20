"""`lmarc train vocab`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors
from lmarc.train.vocabulary import read_vocabulary


@pytest.fixture
def text(tmp_path: Path) -> str:
    folder = tmp_path / "text"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.txt").write_bytes(vectors.prose(f"vocab {number}", 20_000))
    return str(folder)


def test_a_vocabulary_is_made_and_reported(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tokens"
    assert main(["train", "vocab", text, "-o", str(output), "--size", "280", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["tokens"]) == ("vocab", 280)
    assert document["bytes_per_token"] > 1.2
    assert len(read_vocabulary(output).tokens) == 280


def test_a_size_that_no_vocabulary_has_is_said(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "tokens")
    assert main(["train", "vocab", text, "-o", output, "--size", "100", "-q"]) != 0
    assert "expected 256 to 4096" in capsys.readouterr().err


def test_a_missing_package_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("no module", name="tokenizers")

    monkeypatch.setattr("lmarc.train.vocabulary.require_tokenizers", missing)
    assert main(["train", "vocab", text, "-o", str(tmp_path / "tokens"), "-q"]) != 0
    assert "needs tokenizers" in capsys.readouterr().err
