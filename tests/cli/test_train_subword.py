"""`lmarc train subword` makes a model that archives are written with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with text, a vocabulary and a model."""
    folder = tmp_path_factory.mktemp("subword")
    (folder / "text").mkdir()
    for number in range(30):
        (folder / "text" / f"{number}.txt").write_bytes(vectors.prose(f"cli {number}", 20_000))
    text = str(folder / "text")
    vocabulary, model = str(folder / "tokens"), str(folder / "model.lmmodel")
    assert main(["train", "vocab", text, "-o", vocabulary, "--size", "300", "-q"]) == 0
    assert main([
        "train", "subword", text, "-o", model, "--vocab", vocabulary, "--shape", "16x1x1x16x16",
        "--train-tokens", "20000", "--rows", "4", "--minutes", "5", "-q",
    ]) == 0  # fmt: skip
    return folder


def test_a_model_codes_an_archive(made: Path, tmp_path: Path) -> None:
    archive = str(tmp_path / "a.lmarc")
    model = str(made / "model.lmmodel")
    create = ["create", archive, str(made / "text"), "--text-codec", "subword", "--model", model]
    assert main([*create, "--embed-model", "-q"]) == 0
    out = tmp_path / "out"
    assert main(["extract", archive, "-C", str(out), "-q"]) == 0
    (found,) = out.rglob("7.txt")
    assert found.read_bytes() == (made / "text" / "7.txt").read_bytes()


def test_a_model_is_measured(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not (made / "model.lmmodel.work").exists()
    text = str(made / "text")
    assert main(["eval", str(made / "model.lmmodel"), text, "--limit", "20000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["multiply_adds"] > 1000


def test_a_vocabulary_that_is_none_is_said(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = str(made / "text" / "1.txt")
    output = str(tmp_path / "m.lmmodel")
    code = main(["train", "subword", str(made / "text"), "-o", output, "--vocab", wrong, "-q"])
    assert code != 0
    assert "is no vocabulary" in capsys.readouterr().err


def test_a_shape_that_no_model_has_is_said(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "subword", str(made / "text"), "-o", str(tmp_path / "m.lmmodel")]
    options = ["--vocab", str(made / "tokens"), "--shape", "90x3x2x192x128", "-q"]
    assert main([*command, *options]) != 0
    assert "has width 90" in capsys.readouterr().err
