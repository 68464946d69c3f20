"""From text to a model, an archive and back."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmarc
from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.model import registry
from lmarc.train.data import Document, gather
from lmarc.train.loop import Settings
from lmarc.train.neural import base_model, held_out_bits, train_neural

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


def test_too_little_text_is_said(tmp_path: Path, model_file: Path) -> None:
    base, inside = base_model(str(model_file))
    corpus = gather([Document("d", "a", b"little")], 1 << 30)
    with pytest.raises(ModelError, match="expected 65536 or more"):
        train_neural(corpus, base, inside, SETTINGS, tmp_path, join_text=1000)


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
def test_the_shipped_base_is_named_and_not_inside() -> None:
    _, inside = base_model(None)
    assert inside.hex() == registry.DEFAULT_NGRAM
