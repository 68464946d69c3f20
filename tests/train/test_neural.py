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
from lmarc.model.patches import SECTIONS
from lmarc.train.beneath import Fold, adapter_base, base_model
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.data import Document, gather
from lmarc.train.export import export, train_join
from lmarc.train.loop import Settings
from lmarc.train.neural import beginning, held_out_bits, train_neural
from lmarc.train.patch_network import PatchNetwork

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


PATCHED = replace(SETTINGS, patches=(32, 2, 1, 32, 16))


def test_a_network_with_patches_is_trained_and_codes_text(tmp_path: Path, model_file: Path) -> None:
    found = [Document("d", str(n), vectors.prose(f"{n}", 30_000)) for n in range(40)]
    corpus = gather(found, 1 << 30)
    base, inside = base_model(str(model_file))
    short = replace(PATCHED, minutes=9.0, text=30_000)
    data = train_neural(corpus, base, inside, short, tmp_path / "work", join_text=100_000)
    model = NeuralModel.parse(registry.neural_sections(data), base)
    assert model.patches == PATCHED.patches
    assert model.arrays["give"].any()
    path, content = tmp_path / "net.lmmodel", vectors.prose("other", 20_000)
    path.write_bytes(data)
    with lmarc.Writer(tmp_path / "a", preset="max", model=path, embed_model=True) as writer:
        writer.add_bytes("text", content)
    path.unlink()
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.chunks().column("codec").to_pylist() == [4]
        assert archive.read("text") == content


def test_a_training_with_patches_goes_on_where_it_stopped(tmp_path: Path, model_file: Path) -> None:
    corpus = gather([Document("d", "0", vectors.prose("own", 200_000), "mixture")], 1 << 30)
    base, inside = base_model(str(model_file))
    whole = replace(PATCHED, minutes=9.0, text=12 * 4 * 256)

    def trained(settings: Settings, folder: str, *, resume: bool = False) -> NeuralModel:
        given = (corpus, base, inside, settings, tmp_path / folder)
        data = train_neural(*given, resume=resume, join_text=5000)
        return NeuralModel.parse(registry.neural_sections(data), base)

    def stop(self: Settings, minutes: float, step: int) -> float:
        return 1.0 if step >= 5 else original(self, minutes, step)

    expected, original = trained(whole, "whole"), Settings.done
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "done", stop)
        trained(whole, "parts")
    found = trained(whole, "parts", resume=True)
    for name, array in expected.arrays.items():
        assert (array == found.arrays[name]).all(), name
    with pytest.raises(ModelError, match=r"'patches': \(32, 2, 1, 32, 32\)"):
        trained(replace(whole, patches=(32, 2, 1, 32, 32)), "parts", resume=True)


def test_what_begins_with_a_model_has_its_patches_or_gets_some() -> None:
    base = vectors.small_model()
    plain = export(ByteNetwork(Shape(16, 16)), base)
    net = beginning(PATCHED, plain)
    assert isinstance(net, PatchNetwork)
    assert not net.give.weight.any()
    patched = export(net, base)
    assert isinstance(beginning(PATCHED, patched), PatchNetwork)
    assert isinstance(beginning(PATCHED), PatchNetwork)
    assert isinstance(beginning(SETTINGS, plain), ByteNetwork)
    for settings, said in (
        (SETTINGS, "has patches of 32x2x1x32x16, expected no patches"),
        (replace(PATCHED, patches=(32, 1, 1, 32, 16)), "expected patches of 32x1x1x32x16"),
        (replace(PATCHED, prune=0.5), "keeps its units"),
        (replace(PATCHED, bits=4), "weights of eight bits"),
        (replace(PATCHED, patches=(40, 1, 1, 32, 16)), "width 40, expected a multiple of 16"),
    ):
        with pytest.raises(ModelError, match=said):
            beginning(settings, patched)
    with pytest.raises(ModelError, match="to adapt has no patches, expected patches of 32x2"):
        beginning(PATCHED, plain, adapts=True)


def test_an_adapter_leaves_the_patches_of_its_base(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = gather([Document("d", "0", vectors.prose("own", 200_000), "mixture")], 1 << 30)
    base, inside = base_model(str(model_file))
    short = replace(PATCHED, minutes=9.0, text=30_000)
    path = tmp_path / "base.lmmodel"
    path.write_bytes(train_neural(corpus, base, inside, short, tmp_path / "1", join_text=5000))
    monkeypatch.setenv(registry.MODEL_PATH, str(path))
    differs = adapter_base(str(path))
    data = train_neural(
        corpus, base, inside, replace(short, decay=0.0), tmp_path / "2", join_text=5000,
        init=differs.model, differs=differs,
    )  # fmt: skip
    adapted = NeuralModel.parse(registry.neural_sections(data), base)
    for name in SECTIONS:
        assert (adapted.arrays[name] == differs.model.arrays[name]).all()
    assert (adapted.arrays["inner"] != differs.model.arrays["inner"]).any()


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
