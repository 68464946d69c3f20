"""A model is found by its digest, wherever it is, and nothing else is taken for it."""

import hashlib
from pathlib import Path

import pytest

from lmarc.errors import ModelError, ModelMismatchError, ModelNotFoundError
from lmarc.model import registry


@pytest.fixture
def data(model_file: Path) -> bytes:
    return model_file.read_bytes()


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.MODEL_PATH, raising=False)
    monkeypatch.setattr(registry, "_PARSED", {})
    monkeypatch.setattr(registry, "_MISSING", {})


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_a_file_named_by_hand_comes_first(model_file: Path, data: bytes) -> None:
    assert registry.find_bytes(digest(data), str(model_file)) == data


def test_models_are_found_in_folders_and_files_of_the_path(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.lmmodel").write_bytes(b"another")
    (folder / "b.lmmodel").write_bytes(data)
    (folder / "c.txt").write_bytes(data + b"1")
    (tmp_path / "file").write_bytes(data + b"2")
    monkeypatch.setenv(registry.MODEL_PATH, f"{tmp_path}/none:{folder}::{tmp_path}/file")
    assert registry.find_bytes(digest(data)) == data
    assert registry.find_bytes(digest(data + b"2")) == data + b"2"
    with pytest.raises(ModelNotFoundError, match=r"LMARC_MODEL_PATH .*folder"):
        registry.find_bytes(digest(data + b"1"))


def test_a_model_that_is_nowhere_is_missed_with_its_digest_and_the_way_out() -> None:
    with pytest.raises(ModelNotFoundError, match=f"{'00' * 32}.*name its file with --model"):
        registry.find_bytes(bytes(32))


def test_another_file_than_the_archive_names_is_a_mismatch_unless_the_model_is_elsewhere(
    tmp_path: Path, model_file: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(ModelMismatchError, match=r"other has SHA-256 .*, expected "):
        registry.find_bytes(digest(data), str(tmp_path / "other"))
    monkeypatch.setenv(registry.MODEL_PATH, str(model_file))
    assert registry.find_bytes(digest(data), str(tmp_path / "other")) == data


def test_a_model_is_parsed_once_in_a_process(model_file: Path, data: bytes) -> None:
    first = registry.ngram_model(digest(data), path=str(model_file))
    assert registry.ngram_model(digest(data)) is first
    assert registry.ngram_model(digest(data), data) is first


def test_a_size_that_the_archive_states_must_be_the_models(data: bytes) -> None:
    assert registry.ngram_model(digest(data), data, size=len(data)).profile_count == 2
    with pytest.raises(ModelMismatchError, match="the archive says 7"):
        registry.ngram_model(digest(data), data, size=7)


def test_what_is_missing_for_one_chunk_is_not_sought_again_for_the_next(
    monkeypatch: pytest.MonkeyPatch, model_file: Path
) -> None:
    with pytest.raises(ModelNotFoundError):
        registry.ngram_model(bytes(32))
    monkeypatch.setattr(registry, "find_bytes", None)
    with pytest.raises(ModelNotFoundError, match="name its file"):
        registry.ngram_model(bytes(32))
    monkeypatch.undo()
    # Soon it is: somebody may have put it there.
    monkeypatch.setattr(registry, "MISSING_FOR", 0)
    monkeypatch.setenv(registry.MODEL_PATH, str(model_file))
    with pytest.raises(ModelNotFoundError):
        registry.ngram_model(bytes(32))


# Of 384 and 256 units; the ones before them have 256 and 160.
LARGER = {f"lmarc-{name}.lmmodel" for name in ("neural-4", "multiscale-5", "multiscale-6")}


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
@pytest.mark.parametrize("sha256", registry.SHIPPED)
def test_a_shipped_model_has_its_digest_and_size(sha256: str) -> None:
    data = registry.find_bytes(bytes.fromhex(sha256))
    assert len(data) <= 20_000_000
    name = registry.SHIPPED[sha256]
    if name.startswith("lmarc-neural"):
        units = (384, 256) if name in LARGER else (256, 160)
        assert registry.neural_model(bytes.fromhex(sha256)).units == units
    elif name.startswith("lmarc-multiscale"):
        units = (384, 256) if name in LARGER else (256, 160)
        assert registry.multiscale_model(bytes.fromhex(sha256)).units == units
    elif name.startswith("lmarc-contexts"):
        assert registry.multiscale_model(bytes.fromhex(sha256)).units == (0, 0)
    elif name.startswith("lmarc-subword"):
        assert registry.subword_model(bytes.fromhex(sha256)).sizes.width == 96
    else:
        assert registry.ngram_model(bytes.fromhex(sha256)).bucket_count > 0


def test_a_shipped_model_whose_file_is_damaged_is_a_mismatch(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shipped.lmmodel").write_bytes(data[:-1])
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    monkeypatch.setattr(registry, "SHIPPED", {digest(data).hex(): "shipped.lmmodel"})
    with pytest.raises(ModelMismatchError, match=r"shipped\.lmmodel has SHA-256"):
        registry.find_bytes(digest(data))


def test_a_model_to_write_with_is_looked_at_before_anything_is_written(
    tmp_path: Path, model_file: Path, data: bytes
) -> None:
    found = registry.locate("ngram", 2, model_file)
    assert found == registry.ModelFile(2, digest(data), len(data), str(model_file))
    (tmp_path / "text").write_text("text")
    with pytest.raises(ModelError, match="text: model file begins with"):
        registry.locate("ngram", 2, tmp_path / "text")
    with pytest.raises(ModelError, match="of kind 2, expected 3"):
        registry.locate("neural", 3, model_file)
    with pytest.raises(ModelNotFoundError, match="no model for the numeric codec"):
        registry.locate("numeric", 3)
