"""The table of smaller networks has what each takes, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from lmarc.model import registry
from lmarc.model.neural import NeuralModel
from lmarc.train import rounding
from lmarc.train.beneath import base_model
from lmarc.train.neural import train_neural
from tests import tiny
from tools import shrink

NAMES = ("shipped", "4-bits", "pruned-50", "student-taught")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let the tool have its one thread, and later tests theirs."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_every_way_has_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrink, "HELD_OUT", 8000)
    monkeypatch.setattr(shrink, "JOIN_TEXT", 8000)
    monkeypatch.setattr(shrink, "TIMED", 4096)
    monkeypatch.setattr(rounding, "TEXT", 32 << 10)
    text = tmp_path / "text"
    text.mkdir()
    for number in range(100):
        (text / f"{number}.txt").write_bytes(tiny.prose(number, 4000))
    work = tmp_path / "work"
    options = ["--minutes", "0.001", "--only", ",".join(NAMES), "--work", str(work)]
    assert shrink.main([str(text), *options]) == 0
    out = capsys.readouterr().out.splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in out[: len(NAMES)]]
    assert out[len(NAMES)] == f"| {' | '.join(rows[0])} |"
    assert out[len(NAMES) + 2 :] == [f"| {' | '.join(row.values())} |" for row in rows]

    base, _ = base_model(None)
    found = {}
    for name, row in zip(NAMES, rows, strict=True):
        data = (work / name / "model.lmmodel").read_bytes()
        model = NeuralModel.parse(registry.neural_sections(data), base)
        assert row["network"] == f"{name} ({model.units[0]}x{model.units[1]})"
        numbers = {
            key: float(value.replace(",", "")) for key, value in row.items() if key != "network"
        }
        assert numbers["file"] == len(data)
        assert numbers["multiply-adds a byte"] == model.multiply_adds
        assert numbers["us a byte"] > 0
        found[name] = numbers
    whole, student = found["shipped"], found["student-taught"]
    for numbers in found.values():
        share = numbers["bits a byte"] / whole["bits a byte"]
        assert numbers["share"] == pytest.approx(share, abs=1e-4)
        assert 0.5 < numbers["share"] < 1.2
    assert whole["share"] == 1
    assert found["4-bits"]["file"] < whole["file"] / 2
    assert found["pruned-50"]["multiply-adds a byte"] <= whole["multiply-adds a byte"] / 2
    assert (whole["minutes"], student["minutes"]) == (0, 0.001)


@pytest.mark.usefixtures("one_thread")
def test_with_a_fold_no_other_text_is_learnt_from(
    tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("HELD_OUT", "JOIN_TEXT", "TIMED"):
        monkeypatch.setattr(shrink, name, 4096)
    for folder in ("text", "folded"):
        (tmp_path / folder).mkdir()
        for number in range(100):
            (tmp_path / folder / f"{number}.txt").write_bytes(tiny.prose(number, 4000))
    learnt: list[tuple[Mapping[str, float], bool]] = []

    def trained(*given: Any, **options: Any) -> bytes:
        learnt.append((given[3].weights, options["resume"]))
        assert [fold.corpus.size for fold in options["folds"]] == [400_000]
        return train_neural(*given, **options)

    monkeypatch.setattr(shrink, "train_neural", trained)
    options = ["--minutes", "0.001", "--only", "pruned-50", "--work", str(tmp_path / "work")]
    fold = ["--fold", str(tmp_path / "folded"), str(model_file)]
    assert shrink.main([str(tmp_path / "text"), *options, *fold]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["network"].startswith("pruned-50")
    checkpoint = torch.load(tmp_path / "work/pruned-50/checkpoint.pt", weights_only=True)
    options[1] = "0.1"
    assert shrink.main([str(tmp_path / "text"), *options, *fold, "--resume"]) == 0
    assert learnt == [({"text": 0.0}, False), ({"text": 0.0}, True)]
    gone_on = torch.load(tmp_path / "work/pruned-50/checkpoint.pt", weights_only=True)
    assert gone_on["step"] > checkpoint["step"]
