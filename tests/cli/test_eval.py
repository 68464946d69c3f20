"""`lmarc eval`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors
from lmarc.model import registry


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for folder in ("books", "data"):
        (tmp_path / "texts" / folder).mkdir(parents=True)
    (tmp_path / "texts" / "books" / "one.txt").write_bytes(vectors.prose("1", 9000))
    (tmp_path / "texts" / "books" / "two.txt").write_bytes(vectors.prose("2", 9000))
    (tmp_path / "texts" / "data" / "a.json").write_bytes(vectors.records("3", 5000))
    return tmp_path / "texts"


def test_a_table_by_domain(
    texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(model_file), str(texts), "--chunk-size", "4k"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:]] == ["books", "data", "all"]
    assert [line.split()[1] for line in lines[3:]] == ["18,000", "5,000", "23,000"]


def test_json_by_file(texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", str(model_file), str(texts), "--by-file", "--limit", "5000", "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["size"] for row in document["domains"]] == [5000, 5000, 5000]
    assert document["all"]["size"] == 15_000
    assert document["all"]["coded_size"] == sum(row["coded_size"] for row in document["domains"])
    assert document["model_size"] == model_file.stat().st_size
    assert 0 < document["all"]["bits_per_byte"] <= document["all"]["coded_bits_per_byte"] * 1.001


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
def test_the_shipped_models_have_names(texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for name in ("ngram", "neural"):
        assert main(["eval", name, str(texts), "--limit", "2000", "--json"]) == 0
        sizes[name] = json.loads(capsys.readouterr().out)["multiply_adds"]
    assert sizes["neural"] > 10 * sizes["ngram"]


def test_no_text_is_said(
    tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(model_file), str(tmp_path / "none")]) == 3
    (tmp_path / "empty").mkdir()
    assert main(["eval", str(model_file), str(tmp_path / "empty")]) == 2
    assert "there is no text in" in capsys.readouterr().err
    command = ["eval", str(model_file), str(tmp_path / "empty"), "--chunk-size", "0"]
    assert main(command) == 2
