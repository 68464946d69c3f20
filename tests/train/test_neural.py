"""From text to a model, an archive and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import lmarc
from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.model import registry
from lmarc.model.neural import NeuralModel
from lmarc.train.beneath import Fold, base_model
from lmarc.train.data import Document, gather
from lmarc.train.export import train_join
from lmarc.train.loop import Settings
from lmarc.train.neural import held_out_bits, train_neural

SETTINGS = Settings(first=16, second=16, rows=4, steps=256, minutes=0.1)


def test_text_becomes_a_model_that_an_archive_carries(tmp_path: Path, model_file: Path) -> None:
    found = [Document("d", str(n), vectors.prose(f"{n}", 30_000)) for n in range(40)]
    corpus = gather(found, 1 << 30)
    base, inside = base_model(str(model_file))
    data = train_neural(corpus, base, inside, SETTINGS, tmp_path / "work", join_text=100_000)
    mixture, joint, count = held_out_bits(data, base, corpus, 50_000)
    assert count > 0
    assert joint < mixture
    path = tmp_path / "net.lmmodel"
    path.write_bytes(data)
    with lmarc.Writer(tmp_path / "a", preset="max", model=path, embed_model=True) as writer:
        writer.add_bytes("text", vectors.prose("other", 20_000))
    path.unlink()
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.chunks().column("codec").to_pylist() == [4]
        assert archive.read("text") == vectors.prose("other", 20_000)


def test_trust_is_learnt_on_no_text_that_the_mixture_has_seen(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, inside = base_model(str(model_file))
    own, seen = (
        gather([Document("d", "0", vectors.prose(name, 80_000), "mixture")], 1 << 30)
        for name in ("own", "seen")
    )
    asked: list[bytes] = []

    def joined(model: NeuralModel, pieces: Sequence[bytes]) -> object:
        asked.extend(pieces)
        return train_join(model, pieces)

    monkeypatch.setattr("lmarc.train.neural.train_join", joined)
    settings = replace(SETTINGS, minutes=0.0)
    for folds, text in (([Fold(seen, base)], own), ([], seen)):
        asked.clear()
        train_neural(text, base, inside, settings, tmp_path, join_text=50_000, folds=folds)
        whole = text.part("mixture")["d"]
        assert asked
        assert all(piece in whole for piece in asked)


def test_too_little_text_is_said(tmp_path: Path, model_file: Path) -> None:
    base, inside = base_model(str(model_file))
    corpus = gather([Document("d", "a", b"little")], 1 << 30)
    with pytest.raises(ModelError, match="expected 65536 or more"):
        train_neural(corpus, base, inside, SETTINGS, tmp_path, join_text=1000)


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
def test_the_shipped_base_is_named_and_not_inside() -> None:
    _, inside = base_model(None)
    assert inside.hex() == registry.DEFAULT_NGRAM
