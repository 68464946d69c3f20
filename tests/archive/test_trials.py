"""A trial codes and decodes as an archive does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.archive.primer import kept
from lmarc.archive.trials import Preset, Zstd19
from lmarc.codec import vectors
from lmarc.codec.base import ContentClass
from lmarc.codec.primed import model_below
from lmarc.routing.primer import choose_primer, of_bytes

TEXT = vectors.records("trials", 40_000)


@pytest.mark.parametrize("name", ["fast", "balanced", "high"])
@pytest.mark.parametrize("content_class", [ContentClass.TEXT, ContentClass.BINARY])
def test_content_comes_back(name: str, content_class: int) -> None:
    coder = Preset(name, None)
    size, coded = coder.encode(content_class, TEXT)
    assert 0 < size < len(TEXT) // 4
    assert b"".join(coder.decode(size, coded)) == TEXT


def test_zstd_is_one_frame() -> None:
    size, coded = Zstd19().encode(ContentClass.TEXT, TEXT)
    assert size == len(coded)
    assert Zstd19().decode(size, coded) == [TEXT]


def test_a_model_of_ones_own_is_coded_with() -> None:
    primer = choose_primer([of_bytes("a", vectors.records("other", 40_000))], 8000)
    with kept(primer.over(model_below("balanced"))) as path:
        coder = Preset("balanced", path)
        size, coded = coder.encode(ContentClass.TEXT, TEXT[:4000])
        assert size < Preset("balanced", None).encode(ContentClass.TEXT, TEXT[:4000])[0]
        assert b"".join(coder.decode(size, coded)) == TEXT[:4000]
    assert not Path(path).exists()
