"""A training goes on from its checkpoint, and tells what it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.train import loop
from lmarc.train.loop import Settings, train_network

TEXTS = {"prose": vectors.prose("loop", 200_000)}
SHORT = Settings(first=16, second=16, rows=2, steps=256, minutes=0.03)


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    train_network(vectors.small_model(), TEXTS, SHORT, tmp_path)
    first = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)
    assert first["step"] > 0
    longer = replace(SHORT, minutes=0.06)
    train_network(vectors.small_model(), TEXTS, longer, tmp_path, resume=True)
    second = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)
    assert second["step"] > first["step"]
    assert second["minutes"] > first["minutes"] >= 0.03


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no checkpoint"):
        train_network(vectors.small_model(), TEXTS, SHORT, tmp_path, resume=True)


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    train_network(vectors.small_model(), TEXTS, replace(SHORT, minutes=0), tmp_path)
    with pytest.raises(ModelError, match=r"'first': 16.*expected.*'first': 32"):
        train_network(vectors.small_model(), TEXTS, replace(SHORT, first=32), tmp_path, resume=True)


def test_the_log_has_bits_per_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.2)
    lines: list[dict[str, float]] = []
    settings = replace(SHORT, minutes=0.05)
    train_network(vectors.small_model(), TEXTS, settings, tmp_path, report=lines.append)
    kept = [json.loads(line) for line in (tmp_path / loop.LOG).read_text().splitlines()]
    assert kept == lines
    assert all(0 < line["network"] < 8 and 0 < line["mixture"] < 8 for line in lines)
