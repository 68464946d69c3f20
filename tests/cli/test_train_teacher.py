"""`lmarc train teacher` makes what `lmarc train neural --teacher` learns from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors

SHORT = ["--train-text", "60000", "--rows", "4", "--minutes", "9"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(100):
        (folder / f"{n}.txt").write_bytes(vectors.prose(f"{n}", 12_000))
    return folder


def test_a_student_learns_from_it(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, student = tmp_path / "teacher.pt", tmp_path / "student.lmmodel"
    base = ["--ngram", str(model_file), *SHORT, "--all", "--json"]
    fold = ["--fold", str(texts), str(model_file), "--weight", "texts, fold 1=0.5"]
    shape = ["--shape", "32x2x1x32x32"]
    assert main(["train", "teacher", str(texts), "-o", str(teacher), *base, *shape, *fold]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["kind"] == "teacher"
    assert made["size"] == teacher.stat().st_size
    assert 0 < made["bits_per_byte"] < made["mixture_bits_per_byte"] < 8
    assert not Path(f"{teacher}.work").exists()
    command = ["train", "neural", str(texts), "-o", str(student), *base, "--units", "16x16"]
    assert main([*command, "--teacher", str(teacher), "--soft", "0.9"]) == 0
    assert json.loads(capsys.readouterr().out)["bits_per_byte"] < 8


def test_it_goes_on_where_it_was_stopped(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, work = tmp_path / "teacher.pt", tmp_path / "work"
    command = ["train", "teacher", str(texts), "-o", str(teacher), "--ngram", str(model_file)]
    command += [*SHORT, "--all", "-q", "--work", str(work), "--shape", "16x1x1x16x16"]
    assert main([*command, "--resume"]) > 2
    assert "there is no checkpoint" in capsys.readouterr().err
    assert main(command) == 0
    before = teacher.read_bytes()
    assert main([*command, "--resume"]) == 0  # at its end already
    assert teacher.read_bytes() == before
    shape = ["--resume", "--shape", "32x1x1x16x16"]
    assert main([*command, *shape]) > 2
    assert "is of a training with" in capsys.readouterr().err


def test_a_shape_that_no_transformer_has_is_said(
    tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "teacher", str(texts), "-o", str(tmp_path / "t.pt"), "-q", "--all"]
    assert main([*command, "--shape", "90x3x2x192x128"]) > 2
    assert "the teacher's sizes are (90, 192, 128)" in capsys.readouterr().err
    assert not (tmp_path / "t.pt").exists()
