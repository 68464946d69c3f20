"""`lmarc train neural`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(40):
        (folder / f"{n}.txt").write_bytes(vectors.prose(f"{n}", 30_000))
    return folder


def test_a_network_is_trained_and_used(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net.lmmodel"
    options = ["--ngram", str(model_file), "--units", "16x16", "--rows", "4", "--minutes", "0.05"]
    assert main(["train", "neural", str(texts), "-o", str(out), *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["size"] == out.stat().st_size
    assert 0 < document["bits_per_byte"] < 8
    assert not Path(f"{out}.work").exists()
    archive = str(tmp_path / "a.lmarc")
    given = ["--preset", "max", "--model", str(out), "--embed-model"]
    assert main(["create", archive, str(texts / "1.txt"), "-q", *given]) == 0
    assert main(["verify", archive, "-q"]) == 0


def test_training_goes_on_from_a_model_with_more_units(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "1.lmmodel", tmp_path / "2.lmmodel"
    options = ["--ngram", str(model_file), "--rows", "4", "--json", "--minutes", "9"]
    options += ["--train-text", "200k", "--weight", "texts=2"]
    command = ["train", "neural", str(texts), *options, "-o"]
    assert main([*command, str(first), "--units", "16x16"]) == 0
    assert main([*command, str(second), "--units", "32x16", "--init", str(first)]) == 0
    bits = [json.loads(line)["bits_per_byte"] for line in capsys.readouterr().out.splitlines()]
    assert bits[1] < bits[0]
    assert main([*command, str(second), "--units", "16x16", "--init", str(second)]) > 2
    assert "32x16 units, expected at most 16x16" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["code", "=2", "code=many", "code=-1", "code=inf"])
def test_a_weight_of_another_form_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--weight", text])
    assert "is not of the form code=2.5" in capsys.readouterr().err


def test_units_of_another_form_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--units", "20x16"])
    assert "multiples of 16" in capsys.readouterr().err
