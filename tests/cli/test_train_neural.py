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


def test_units_of_another_form_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--units", "20x16"])
    assert "multiples of 16" in capsys.readouterr().err
