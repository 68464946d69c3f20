"""What blends start from is learnt from text, the same from the same text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import lmarc
from lmarc.codec import multiscale, vectors
from lmarc.codec.ngram import choose_profile
from lmarc.errors import ModelError
from lmarc.kernels import ngram
from lmarc.model import file, registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import NgramModel
from lmarc.train.blending import (
    LANES,
    doubt_of,
    held_out_bits,
    initial_arrays,
    model_below,
    train_blends,
    train_multiscale,
    with_unseen,
)
from lmarc.train.data import Corpus, Document, gather
from lmarc.train.ngram import mixture_pieces

PIECES = [
    make(f"{number}", 3000)
    for number in range(5)
    for make in (vectors.prose, vectors.records, vectors.table)
]


def corpus_of(count: int = 40) -> Corpus:
    found = [Document("d", str(n), vectors.records(f"{n}", 6000)) for n in range(count)]
    return gather(found, 1 << 30)


def cost(model: MultiscaleModel, pieces: list[bytes]) -> int:
    """Return what pieces cost in 1024ths of a bit."""
    total = 0
    for piece in pieces:
        profile = choose_profile(model.ngram, piece)
        total += ngram.cost(multiscale.model_steps(model, piece, profile))
    return total


@pytest.mark.parametrize(
    "base", [vectors.small_network(), vectors.small_model()], ids=["network", "alone"]
)
def test_learning_improves_on_the_start(base: NeuralModel | NgramModel) -> None:
    start = MultiscaleModel(initial_arrays(2), base, LANES)
    told: list[int] = []
    model = train_blends(base, PIECES, progress=told.append)
    assert sum(told) == 2 * len(PIECES)
    unseen = [vectors.records("unseen", 2000), vectors.table("unseen", 2000)]
    assert cost(model, unseen) < cost(start, unseen)
    again = train_blends(base, PIECES)
    assert again.pack(b"{}", b"d" * 32) == model.pack(b"{}", b"d" * 32)


def test_a_start_is_lawful_and_takes_what_is_below_as_it_is() -> None:
    model = MultiscaleModel(initial_arrays(2), vectors.small_network(), LANES)
    sections = file.unpack(model.pack(b"{}", b"d" * 32), file.KIND_MULTISCALE)
    assert MultiscaleModel.parse(sections, vectors.small_network()).units == (32, 16)
    rates = model.arrays["blend_rates"][0].tolist()
    assert rates == sorted(rates, reverse=True)


def test_what_the_mixture_is_sure_of_is_left_to_it() -> None:
    model = train_blends(vectors.small_model(), PIECES, lanes=(3, 8), sure=0.75)
    assert model.arrays["doubts"].tolist() == [49_152, 49_152]
    everything = train_blends(vectors.small_model(), PIECES, lanes=(3, 8))
    assert "doubts" not in everything.arrays
    # Weights learn from doubted symbols alone.
    assert (model.arrays["sures"] != everything.arrays["sures"]).any()


@pytest.mark.parametrize(("sure", "doubt"), [(1e-9, 1), (0.5, 32_768), (0.95, 62_259), (1, 65_536)])
def test_a_probability_is_a_freq(sure: float, doubt: int) -> None:
    assert doubt_of(sure) == doubt


def test_profiles_learn_from_their_own_pieces_last() -> None:
    model = train_blends(vectors.small_model(), PIECES)
    alike = train_blends(vectors.small_model(), PIECES, own_rounds=0)
    assert (alike.arrays["sures"][0] == alike.arrays["sures"][1]).all()
    assert (model.arrays["sures"][0] != model.arrays["sures"][1]).any()
    # At the pace of a chunk, not of training.
    assert (model.arrays["blend_rates"] == initial_arrays(2)["blend_rates"]).all()


@pytest.mark.parametrize("name", ["network", "alone"])
def test_text_becomes_a_model_that_an_archive_carries(
    tmp_path: Path, model_file: Path, name: str
) -> None:
    below = model_file
    if name == "network":
        below = tmp_path / "net.lmmodel"
        below.write_bytes(vectors.small_network().pack(b"{}", model_file.read_bytes()))
    corpus = corpus_of()
    base, inside = model_below(str(below))
    assert inside == below.read_bytes()
    steps: list[tuple[int, int]] = []
    data = train_multiscale(
        corpus, base, inside, 30_000, progress=lambda done, total: steps.append((done, total))
    )
    assert steps[-1][0] == steps[-1][1] == len(steps)
    card = json.loads(file.unpack(data, file.KIND_MULTISCALE)["card"])
    assert card["pieces"] * 2 == len(steps)
    assert card["corpus_sha256"] == corpus.digest
    mixture, joint, count = held_out_bits(data, base, corpus, 20_000)
    assert count > 0
    assert joint < mixture
    path = tmp_path / "blend.lmmodel"
    path.write_bytes(data)
    content = vectors.records("other", 20_000)
    with lmarc.Writer(
        tmp_path / "a", text_codec="multiscale", model=path, embed_model=True
    ) as writer:
        writer.add_bytes("a.json", content)
    path.unlink()
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.chunks().column("codec").to_pylist() == [6]
        assert archive.read("a.json") == content


def test_unseen_text_is_learnt_last_and_the_rest_of_it_measured() -> None:
    corpus = corpus_of()
    parted = with_unseen(corpus)
    held_out = corpus.texts["held out"]["d"]
    assert len(held_out) > 2
    assert parted.texts["unseen"]["d"] == held_out[1::2]
    assert parted.texts["held out"]["d"] == held_out[::2]
    assert parted.part("mixture") == corpus.part("mixture")
    base, inside = vectors.small_model(), b"d" * 32
    data = train_multiscale(parted, base, inside, 20_000)
    card = json.loads(file.unpack(data, file.KIND_MULTISCALE)["card"])
    pieces = mixture_pieces(corpus.part("mixture"), 20_000)
    last = mixture_pieces(parted.part("unseen"), 20_000)
    assert card["training_text"] == sum(map(len, [*pieces, *last]))
    model = train_blends(base, [*pieces, *last])
    sections = file.unpack(data, file.KIND_MULTISCALE)
    assert sections["sures"] == file.unpack(model.pack(b"{}", inside), 6)["sures"]


def test_no_text_is_said() -> None:
    with pytest.raises(ModelError, match="no text for the blend to learn from"):
        train_multiscale(gather([], 1 << 30), vectors.small_model(), b"d" * 32, 1000)


def test_a_blend_stands_on_a_network_or_an_ngram_model_alone(tmp_path: Path) -> None:
    path = tmp_path / "blend.lmmodel"
    path.write_bytes(vectors.small_blend().pack(b"{}", b"d" * 32))
    with pytest.raises(ModelError, match="of kind 6, expected a network or an n-gram model"):
        model_below(str(path))
    path.write_bytes(b"no model of any kind")
    with pytest.raises(ModelError, match="model file begins with"):
        model_below(str(path))
    with pytest.raises(FileNotFoundError):
        model_below(str(tmp_path / "none"))


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
@pytest.mark.parametrize("name", ["neural", "ngram"])
def test_what_ships_is_named_and_not_inside(name: str) -> None:
    base, inside = model_below(name)
    assert inside == registry.shipped(name)
    assert isinstance(base, NeuralModel) == (name == "neural")


def test_a_file_of_such_a_name_comes_first(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ngram").write_bytes(model_file.read_bytes())
    base, inside = model_below("ngram")
    assert inside == model_file.read_bytes()
    assert base is registry.ngram_model(hashlib.sha256(inside).digest())
