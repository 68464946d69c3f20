"""`lmarc train primer`, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.codec import vectors
from lmarc.model import registry


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(40):
        (folder / f"{n}.json").write_bytes(vectors.records(f"{n}", 5000))
    (folder / "noise").write_bytes(random.Random(1).randbytes(20_000))
    return folder


def extracted(archive: str, target: Path) -> dict[str, bytes]:
    assert main(["extract", archive, "-C", str(target), "-q"]) == 0
    return {path.name: path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.mark.parametrize("below", ["balanced", "high"])
def test_an_archive_of_records_with_a_primer_inside_is_smaller(
    below: str, tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "primer.lmmodel"
    command = ["train", "primer", str(texts), "-o", str(out), "--size", "8K", "--below", below]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["command"], document["kind"]) == ("train", "primer")
    assert document["size"] == out.stat().st_size
    assert document["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert document["text_size"] <= 8192
    assert document["training_size"] == 200_000
    assert not (tmp_path / "primer.lmmodel.partial").exists()

    plain, small = str(tmp_path / "plain.lmarc"), tmp_path / "small.lmarc"
    given = ["--chunk-size", "4K", "-q", "-C", str(texts), "."]
    assert main(["create", plain, "--preset", below, *given]) == 0
    assert main(["create", str(small), "--model", str(out), "--embed-model", *given]) == 0
    out.unlink()
    assert small.stat().st_size < Path(plain).stat().st_size
    wanted = {path.name: path.read_bytes() for path in texts.iterdir()}
    assert extracted(str(small), tmp_path / "target") == wanted
    capsys.readouterr()
    assert main(["verify", str(small), "-q"]) == 0


def test_a_primer_on_a_model_of_ones_own_holds_it(
    tmp_path: Path, texts: Path, model_file: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    own, out = tmp_path / "own.lmmodel", tmp_path / "primer.lmmodel"
    own.write_bytes(model_file.read_bytes())
    command = ["train", "primer", str(texts), "-o", str(out), "--size", "4K", "--below", str(own)]
    assert main(command) == 0
    first, second = capfdbinary.readouterr().out.decode().splitlines()
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert first == f"{out}: {out.stat().st_size:,} bytes, SHA-256 {digest}"
    assert second.startswith("primer: ")
    assert second.endswith(" pieces, out of 200 kB")

    archive = str(tmp_path / "a.lmarc")
    given = ["--model", str(out), "--embed-model", "-C", str(texts), "-q", "1.json", "2.json"]
    assert main(["create", archive, *given]) == 0
    own.unlink()
    out.unlink()
    assert main(["cat", archive, "2.json"]) == 0
    assert capfdbinary.readouterr().out == (texts / "2.json").read_bytes()


def test_what_cannot_be_primed_is_said(
    tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "primer.lmmodel"

    def said(path: Path, *options: str) -> str:
        assert main(["train", "primer", str(path), "-o", str(out), *options]) > 2
        return capsys.readouterr().err

    network = str(registry.shipped_path(registry.DEFAULT_NEURAL))
    assert "there is no text to choose a primer from" in said(texts / "noise")
    assert "is a model of kind 3, expected 2" in said(texts, "--below", network)
    assert "model file begins with" in said(texts, "--below", str(texts / "1.json"))
    assert "a primer of 1048576 bytes is asked for" in said(texts, "--size", "1M")
    assert str(tmp_path / "none") in said(tmp_path / "none")
    assert not out.exists()
