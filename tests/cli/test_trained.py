"""What a training ends with: a whole file, and a report for people or in JSON."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path

import pytest

from lmarc.cli import trained

DATA = b"a model"


def given(path: Path, **options: bool) -> argparse.Namespace:
    return argparse.Namespace(
        **{"kind": "neural", "output": str(path), "json": False, "quiet": False, **options}
    )


def test_a_model_is_written_whole(tmp_path: Path) -> None:
    path = trained.output_of(given(tmp_path / "net.lmmodel"))
    path.write_bytes(b"an older one")
    trained.write(DATA, path)
    assert path.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        trained.output_of(given(tmp_path / "none" / "net.lmmodel"))
    assert caught.value.filename == str(tmp_path / "none")


def test_json_has_what_text_is_rounded_from(capsys: pytest.CaptureFixture[str]) -> None:
    held_out = trained.HeldOut(1.53921, 1.45674, 1000)
    trained.report(given(Path("m"), json=True), DATA, 5000, held_out, time.monotonic())
    document = json.loads(capsys.readouterr().out)
    assert document.pop("seconds") >= 0
    assert document == {
        "command": "train",
        "kind": "neural",
        "model": "m",
        "size": 7,
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "training_size": 5000,
        "held_out_size": 1000,
        "bits_per_byte": 1.4567,
        "mixture_bits_per_byte": 1.5392,
    }


def test_people_are_told_in_two_lines_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    held_out = trained.HeldOut(1.5392, 1.4567, 1000)
    trained.report(given(Path("m")), DATA, 5000, held_out, 0.0, "by counts")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("m: 7 bytes, SHA-256 ")
    assert second == "held out: 1.457 bits per byte of 1.00 kB, 1.539 by counts"
    trained.report(given(Path("m")), DATA, 50, trained.HeldOut(0.0, 0.0, 0), 0.0)
    assert "too short" in capsys.readouterr().out
    trained.report(given(Path("m"), quiet=True), DATA, 5000, held_out, 0.0)
    assert capsys.readouterr().out == ""


def test_json_says_null_where_nothing_was_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    trained.report(given(Path("m"), json=True), DATA, 9, trained.HeldOut(0.0, 0.0, 0), 0.0)
    document = json.loads(capsys.readouterr().out)
    assert (document["bits_per_byte"], document["mixture_bits_per_byte"]) == (None, None)
