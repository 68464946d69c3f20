"""Which models a primed model can be on top of."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.codec.primed import MAX_TEXT, below_of, model_below, primed_model
from lmarc.errors import ModelError
from lmarc.model import file, primed, registry
from tests import tiny


def test_the_model_below_is_named_where_it_ships_and_inside_otherwise(tmp_path: Path) -> None:
    digest = bytes.fromhex(registry.DEFAULT_NGRAM)
    assert model_below("balanced") == digest
    assert model_below(str(registry.shipped_path(digest.hex()))) == digest
    assert model_below("max").hex() == registry.DEFAULT_MULTISCALE
    own = tiny.random_model(1, tiny.prose(1, 2000), n_buckets=500).pack(b"{}")
    (tmp_path / "own").write_bytes(own)
    assert model_below(str(tmp_path / "own")) == own


@pytest.mark.parametrize(
    ("preset", "text_codec", "below"),
    [
        (None, None, "balanced"),
        ("high", None, "high"),
        ("fast", "multiscale", "max"),
        (None, "ngram", "balanced"),
    ],
)
def test_a_primer_is_on_top_of_what_codes_text(
    preset: str | None, text_codec: str | None, below: str
) -> None:
    assert below_of(preset, text_codec) == below


def test_what_codes_without_a_model_takes_none() -> None:
    with pytest.raises(ValueError, match="preset fast takes no primer, expected preset balanced"):
        below_of("fast", None)
    with pytest.raises(ValueError, match="codec subword takes no primer"):
        below_of("high", "subword")


def test_a_model_of_another_kind_cannot_be_primed() -> None:
    path = str(registry.shipped_path(registry.DEFAULT_NEURAL))
    with pytest.raises(ModelError, match=r"is a model of kind 3, expected 2 \(n-gram\) or 6"):
        model_below(path)


def test_the_file_of_a_primed_model_has_what_it_is_made_of() -> None:
    below = model_below("balanced")
    data = primed_model(b"some text", below, b'{"a": 1}')
    sections = file.unpack(data, file.KIND_PRIMED)
    assert sections["card"] == b'{"a": 1}'
    assert primed.parse(sections) == (below, None, b"some text")
    with pytest.raises(ModelError):
        primed_model(bytes(MAX_TEXT + 1), below, b"{}")
