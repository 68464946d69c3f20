"""A training goes on from its checkpoint, and tells what it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.train import loop
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.feed import ByteSource
from lmarc.train.loop import Settings, train_network

TEXTS = {"prose": vectors.prose("loop", 200_000)}
SHORT = Settings(first=16, second=16, rows=2, steps=256, minutes=0.03)

SMALL = Shape(16, 16)


def network(shape: Shape = SMALL) -> ByteNetwork:
    torch.manual_seed(5)
    return ByteNetwork(shape)


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    train_network(network(), ByteSource(vectors.small_model()), TEXTS, SHORT, tmp_path)
    first = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)
    assert first["step"] > 0
    longer = replace(SHORT, minutes=0.06)
    train_network(
        network(), ByteSource(vectors.small_model()), TEXTS, longer, tmp_path, resume=True
    )
    second = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)
    assert second["step"] > first["step"]
    assert second["minutes"] > first["minutes"] >= 0.03


def test_a_training_that_was_stopped_ends_as_if_it_was_not(tmp_path: Path) -> None:
    """Its length being given in text: time is never the same."""
    model, domains = vectors.small_model(), {"a": TEXTS["prose"], "b": vectors.records("b", 90_000)}
    whole = replace(SHORT, minutes=1e9, text=40 * 2 * 256)
    expected = train_network(network(), ByteSource(model), domains, whole, tmp_path / "whole")

    def stop(self: Any, minutes: float, step: int) -> float:
        return 1.0 if step >= 23 else original(self, minutes, step)

    original = Settings.done
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "done", stop)
        train_network(network(), ByteSource(model), domains, whole, tmp_path / "parts")
    found = train_network(
        network(), ByteSource(model), domains, whole, tmp_path / "parts", resume=True
    )
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight)


def test_what_is_kept_is_an_average(tmp_path: Path) -> None:
    net = network()
    kept = train_network(net, ByteSource(vectors.small_model()), TEXTS, SHORT, tmp_path)
    assert kept is not net
    assert not torch.equal(kept.high.weight, net.high.weight)
    last = replace(SHORT, average=0.0)
    kept = train_network(
        network(), ByteSource(vectors.small_model()), TEXTS, last, tmp_path / "last"
    )
    state = torch.load(tmp_path / "last" / loop.CHECKPOINT, weights_only=True)
    assert torch.equal(kept.high.weight, state["network"]["high.weight"])


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    source, work = ByteSource(vectors.small_model()), tmp_path / "work"
    with pytest.raises(ModelError, match="no checkpoint"):
        train_network(network(), source, TEXTS, SHORT, work, resume=True)
    assert not work.exists()


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    train_network(
        network(), ByteSource(vectors.small_model()), TEXTS, replace(SHORT, minutes=0), tmp_path
    )
    with pytest.raises(ModelError, match=r"'first': 16.*expected.*'first': 32"):
        train_network(
            network(Shape(32, 16)),
            ByteSource(vectors.small_model()),
            TEXTS,
            replace(SHORT, first=32),
            tmp_path,
            resume=True,
        )


def test_the_log_has_bits_per_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.2)
    lines: list[dict[str, Any]] = []
    settings = replace(SHORT, minutes=0.05)
    train_network(
        network(), ByteSource(vectors.small_model()), TEXTS, settings, tmp_path, report=lines.append
    )
    kept = [json.loads(line) for line in (tmp_path / loop.LOG).read_text().splitlines()]
    assert kept == lines
    assert all(0 < line["network"] < 8 and 0 < line["mixture"] < 8 for line in lines)
    assert all(line["domains"] == {"prose": [line["mixture"], line["network"]]} for line in lines)
    assert lines
