"""What a model makes of text is what the coder makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.codec import multiscale, neural, ngram, vectors
from lmarc.errors import ModelError
from lmarc.model import file
from lmarc.train.evaluate import MIXTURE_PRODUCTS, evaluate, load, texts_of
from tests import naive_multiscale

TEXTS = {"prose": vectors.prose("evaluate", 30_000), "json": vectors.records("evaluate", 9000)}


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    base = vectors.small_model().pack(b"{}")
    path = tmp_path / "net.lmmodel"
    path.write_bytes(vectors.small_network().pack(b"{}", base))
    return path


def test_coded_bytes_are_the_codecs_and_near_the_entropy(model_file: Path) -> None:
    model, size = load(str(model_file))
    assert size == model_file.stat().st_size
    assert model.multiply_adds == MIXTURE_PRODUCTS
    prose, records = evaluate(model, TEXTS, chunk_size=4096)
    assert (prose.size, prose.chunks, records.chunks) == (30_000, 8, 3)
    chunks = [TEXTS["prose"][at : at + 4096] for at in range(0, 30_000, 4096)]
    payloads = [ngram.compress_with(vectors.small_model(), chunk) for chunk in chunks]
    assert prose.coded_size == sum(map(len, payloads))
    assert prose.bits / 8 <= prose.coded_size <= 1.005 * prose.bits / 8 + 8 * len(chunks)
    assert prose.perplexity == 2**prose.bits_per_byte
    prose.add(records)
    assert prose.size == 39_000


def test_a_network_is_counted(network_file: Path) -> None:
    model, _ = load(str(network_file))
    # 16 inputs and 128 outputs; 32 and 48; 16 and 16 twice; 16 and 16.
    assert model.multiply_adds == MIXTURE_PRODUCTS + 16 * 128 + 32 * 48 + 3 * 16 * 16
    (found,) = evaluate(model, {"prose": TEXTS["prose"][:5000]})
    payload = neural.compress_with(vectors.small_network(), TEXTS["prose"][:5000])
    assert found.coded_size == len(payload)


def test_a_blend_is_counted_as_a_second_mixture(tmp_path: Path) -> None:
    path = tmp_path / "blend.lmmodel"
    path.write_bytes(naive_multiscale.file_of(vectors.small_blend()))
    model, size = load(str(path))
    assert size == path.stat().st_size
    # The network below, and what the head says of both symbols.
    network = 16 * 128 + 32 * 48 + 3 * 16 * 16 + 2 * 16 * 16
    assert model.multiply_adds == 2 * MIXTURE_PRODUCTS + network
    (found,) = evaluate(model, {"prose": TEXTS["prose"][:5000]})
    payload = multiscale.compress_with(vectors.small_blend(), TEXTS["prose"][:5000])
    assert found.coded_size == len(payload)
    assert found.bits / 8 <= found.coded_size


def test_texts_go_by_domain_or_by_file_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    for name in ("a", "b"):
        (tmp_path / "some" / name).write_text(name * 5)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("one", "two")))
    paths = [str(tmp_path / "some"), str(rows)]
    assert texts_of(paths) == {"some": b"aaaaabbbbb", "rows": b"onetwo"}
    assert texts_of(paths, limit=4) == {"some": b"aaaa", "rows": b"onet"}
    assert texts_of(paths, by_file=True) == {
        str(tmp_path / "some" / "a"): b"aaaaa",
        str(tmp_path / "some" / "b"): b"bbbbb",
        str(rows): b"onetwo",
    }


def test_what_codes_no_text_is_no_model_for_this(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(file.pack(9, {}))
    with pytest.raises(ModelError, match="of kind 9, expected one that codes text"):
        load(str(tmp_path / "m"))
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "none"))
