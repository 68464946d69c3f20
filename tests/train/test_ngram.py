"""The same text gives the same model, and a training that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lmarc.codec.ngram import compress_with
from lmarc.errors import ModelError
from lmarc.model import file
from lmarc.model.ngram import NgramModel
from lmarc.train.data import Corpus, Document, gather
from lmarc.train.mixing import initial_profiles
from lmarc.train.ngram import mixture_pieces, train_ngram, write_model
from tests import tiny
from tests.tiny import TinyModel


def test_training_again_gives_the_same_file(tiny_model: TinyModel, tmp_path: Path) -> None:
    assert tiny.train(tmp_path, jobs=2) == tiny_model.data


def test_a_second_training_goes_on_from_what_was_kept(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    said: list[str] = []
    assert tiny.train(tmp_path, report=said.append) == tiny_model.data
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert kept
    # One step is lost, as when the training was stopped before it.
    lost = next(path for path in kept if path.name == "counts-4.npz")
    lost.unlink()
    assert tiny.train(tmp_path) == tiny_model.data
    again = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert {path for path in kept if kept[path] != again[path]} == {lost}
    assert not list(tmp_path.rglob("*.partial*"))
    assert said[0].startswith("counted lane")


def test_the_card_says_what_the_model_is_made_of(tmp_path: Path) -> None:
    corpus = tiny.corpus()
    data = tiny.train(tmp_path, card={"name": "tiny"})
    card = json.loads(file.unpack(data, 2)["card"])
    assert card["name"] == "tiny"
    assert card["corpus_sha256"] == corpus.digest
    assert card["training_text"] == sum(map(len, corpus.part("tables").values()))
    assert card["rows"] == sum(file.unpack(data, 2)["counts"])


def test_text_of_the_corpus_is_smaller_with_the_model(tiny_model: TinyModel) -> None:
    model = NgramModel.parse(tiny_model.data)
    empty = NgramModel(model.static(0).buckets[:64].reshape(1, 64) * 0, initial_profiles(1))
    for make in (tiny.prose, tiny.table):
        text = make(5, 4096)
        assert len(compress_with(model, text)) < 0.95 * len(compress_with(empty, text))


def test_a_small_size_is_kept_to(tmp_path: Path) -> None:
    sizes = [len(tiny.train(tmp_path, size=size, profiles=1)) for size in (90_000, 45_000)]
    assert sizes[0] <= 90_000
    assert sizes[1] <= 45_000
    assert sizes[1] < sizes[0]


def test_too_small_a_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="size is 2000 bytes"):
        tiny.train(tmp_path, size=2000, profiles=1)


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    corpus = gather([Document("d", "x", tiny.prose(1, 3000))], 1 << 20)
    with pytest.raises(ModelError, match="expected 65536 or more"):
        train_ngram(corpus, size=100_000, profiles=1, folder=tmp_path)
    only_tables = Corpus({"tables": {"d": [tiny.prose(1, 70_000)]}}, 70_000, "ab" * 32)
    with pytest.raises(ModelError, match="no training text is left for the mixture"):
        train_ngram(only_tables, size=100_000, profiles=1, folder=tmp_path)


def test_pieces_of_every_domain_are_mixed_in_a_fixed_order() -> None:
    texts = {"a": tiny.prose(1, 200_000), "b": tiny.table(2, 50_000)}
    pieces = mixture_pieces(texts, 1 << 20)
    assert pieces == mixture_pieces(dict(reversed(texts.items())), 1 << 20)
    assert {len(piece) for piece in pieces} <= {65_536, 16_384, 4096} | set(range(65_536))
    assert all(any(piece in text for text in texts.values()) for piece in pieces)
    assert any(piece in texts["b"] for piece in pieces)
    assert mixture_pieces({}, 1 << 20) == []


def test_a_model_is_written_at_once_and_named_by_its_digest(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")
    assert write_model(tiny_model.data, path) == hashlib.sha256(tiny_model.data).hexdigest()
    assert path.read_bytes() == tiny_model.data
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
