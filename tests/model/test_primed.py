"""A primed model is a text over a model that codes it, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError, ModelNotFoundError
from lmarc.model import file, primed, registry

BELOW = vectors.small_model().pack(b"{}")
BLEND = vectors.small_lanes().pack(b"{}", vectors.small_network().pack(b"{}", BELOW))
TEXT = b"what stands before every chunk"


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_a_file_gives_back_what_it_was_made_of() -> None:
    data = primed.pack(b"{}", BELOW, TEXT)
    assert primed.parse(file.unpack(data, file.KIND_PRIMED)) == (digest(BELOW), BELOW, TEXT)
    named = primed.pack(b"{}", digest(BELOW), TEXT)
    assert primed.parse(file.unpack(named, file.KIND_PRIMED)) == (digest(BELOW), None, TEXT)


@pytest.mark.parametrize("size", [0, primed.MAX_TEXT + 1])
def test_a_text_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(
        ModelError, match=f"section text .* holds {size} bytes, expected 1 to 262144"
    ):
        primed.pack(b"{}", BELOW, bytes(size))
    primed.pack(b"{}", BELOW, bytes(primed.MAX_TEXT))


def test_other_sections_are_refused() -> None:
    with pytest.raises(ModelError, match="sections card, text; expected card, below, text"):
        primed.parse({"card": b"", "text": b"a"})


def test_the_model_is_the_one_below_with_a_primer() -> None:
    data = primed.pack(b"{}", BELOW, TEXT)
    model = registry.ngram_model(digest(data), data, size=len(data), kind=file.KIND_PRIMED)
    assert model.primer == TEXT
    below = registry.ngram_model(digest(BELOW))
    assert below.primer == b""
    assert model.static(0) is below.static(0)
    data = primed.pack(b"{}", BLEND, TEXT)
    blend = registry.multiscale_model(digest(data), data, kind=file.KIND_PRIMED)
    assert (blend.primer, blend.units) == (TEXT, vectors.small_lanes().units)


def test_a_model_of_another_kind_than_the_archive_says_is_refused() -> None:
    data, plain = primed.pack(b"{}", BELOW, TEXT), BELOW
    with pytest.raises(ModelError, match="is of kind 8, expected 2"):
        registry.ngram_model(digest(data), data, kind=file.KIND_NGRAM)
    with pytest.raises(ModelError, match="is of kind 2, expected 8"):
        registry.ngram_model(digest(plain), plain, kind=file.KIND_PRIMED)
    over, blend = primed.pack(b"{}", BLEND, TEXT), BLEND
    with pytest.raises(ModelError, match="is of kind 8, expected 6"):
        registry.multiscale_model(digest(over), over, kind=file.KIND_MULTISCALE)
    with pytest.raises(ModelError, match="is of kind 6, expected 8"):
        registry.multiscale_model(digest(blend), blend, kind=file.KIND_PRIMED)


def test_only_the_codec_of_the_model_below_takes_it() -> None:
    data = primed.pack(b"{}", BELOW, TEXT)
    with pytest.raises(ModelError, match="on top of a model of kind 2, expected 6"):
        registry.multiscale_model(digest(data), data)
    over = primed.pack(b"{}", BLEND, TEXT)
    with pytest.raises(ModelError, match="on top of a model of kind 6, expected 2"):
        registry.ngram_model(digest(over), over)
    twice = primed.pack(b"{}", data, TEXT)
    with pytest.raises(ModelError, match="on top of a model of kind 8, expected 2"):
        registry.ngram_model(digest(twice), twice)


def test_one_that_is_not_inside_is_found_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = vectors.small_model().pack(b'{"name": "elsewhere"}')
    data = primed.pack(b"{}", digest(below), TEXT)
    monkeypatch.setattr(registry, "_MISSING", {})
    with pytest.raises(ModelNotFoundError, match=digest(below).hex()):
        registry.ngram_model(digest(data), data)
    (tmp_path / "below.lmmodel").write_bytes(below)
    monkeypatch.setattr(registry, "_MISSING", {})
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path))
    assert registry.ngram_model(digest(data), data).primer == TEXT


def test_it_is_located_where_the_model_below_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.lmmodel"
    path.write_bytes(primed.pack(b"{}", BELOW, TEXT))
    assert registry.locate("ngram", file.KIND_NGRAM, path).kind == file.KIND_PRIMED
    with pytest.raises(ModelError, match="kind 8, expected 6"):
        registry.locate("multiscale", file.KIND_MULTISCALE, path)
    assert registry.coding_kind(path.read_bytes()) == file.KIND_NGRAM


def test_it_is_embedded_with_the_model_below_or_with_one_that_ships() -> None:
    registry.require_base(primed.pack(b"{}", BLEND, TEXT))
    registry.require_base(primed.pack(b"{}", registry.shipped("contexts"), TEXT))
    with pytest.raises(ModelError, match="does not hold it"):
        registry.require_base(primed.pack(b"{}", digest(b"mine"), TEXT))
