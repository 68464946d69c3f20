"""The model that the writer codes text with."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from lmarc.codec import models, vectors
from lmarc.codec.models import text_model
from lmarc.errors import ModelError, ModelNotFoundError
from lmarc.model import file, registry


def test_a_model_file_is_read_as_it_is(tmp_path: Path) -> None:
    data = file.pack(2, {})
    (tmp_path / "model").write_bytes(data)
    sha256 = hashlib.sha256(data).digest()
    path = str(tmp_path / "model")
    assert text_model("ngram", path, embed=True) == (2, sha256, len(data), data)
    assert text_model("ngram", path, embed=False) == (2, sha256, len(data), b"")


def test_a_missing_file_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="cannot be read"):
        text_model("ngram", str(tmp_path / "none"), embed=False)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"to be, or not to be", "begins with"), (file.pack(3, {}), "of kind 3, expected 2")],
)
def test_what_is_no_model_of_the_codec_is_refused(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ModelError, match=f"other: model file.* {says}"):
        text_model("ngram", str(tmp_path / "other"), embed=False)


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
def test_without_a_file_the_shipped_model_is_meant() -> None:
    found = text_model("ngram", None, embed=True)
    assert (found.kind, found.size) == (2, len(found.data))
    assert hashlib.sha256(found.data).hexdigest() == found.sha256.hex() == registry.DEFAULT_NGRAM


def test_without_a_shipped_model_a_file_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_DEFAULTS", {})
    with pytest.raises(ModelNotFoundError, match="name the file of one with --model"):
        text_model("ngram", None, embed=False)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: vectors.small_model().pack(b"{}"), "ngram"),
        (lambda: vectors.small_network().pack(b"{}", bytes(32)), "neural"),
        (lambda: vectors.small_blend().pack(b"{}", bytes(32)), "multiscale"),
        (lambda: file.pack(file.KIND_ADAPTER, {}), "neural"),
        (lambda: b"no model at all, but as long as one", None),
    ],
)
def test_a_model_says_which_codec_it_is_for(tmp_path: Path, make: Any, name: str | None) -> None:
    path = tmp_path / "a.lmmodel"
    path.write_bytes(make())
    assert models.codec_of(path) == name
    assert models.codec_of(tmp_path / "missing") is None
