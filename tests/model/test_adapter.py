"""Adapters: base and differences make the network again; what does not fit is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError, ModelNotFoundError
from lmarc.model import adapter, file, patches, registry
from lmarc.model.neural import NeuralModel, base_of, shapes

BASE = vectors.small_network()
NGRAM = vectors.small_model().pack(b"{}")
BASE_FILE = BASE.pack(b"{}", NGRAM)
DIGEST = hashlib.sha256(BASE_FILE).digest()


@pytest.fixture
def _base_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.lmmodel").write_bytes(BASE_FILE)
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path))


def changed(shift: int = 5, base: NeuralModel = BASE) -> NeuralModel:
    """Return a network that an adapter can tell, with every kind of number changed."""
    arrays: dict[str, Any] = {name: array.astype(np.int32) for name, array in base.arrays.items()}
    random = np.random.default_rng(1)
    for name in adapter.TABLES:
        arrays[name] += random.integers(-127, 128, arrays[name].shape) << shift
        arrays[name] = arrays[name].astype(np.int16).astype(np.int32)
    for name in ("inner", "high", "see", *(["upper"] if base.layers > 2 else [])):
        arrays[name] = random.integers(-128, 128, arrays[name].shape)
    arrays["join"] = arrays["join"] + 1
    arrays["join_rate"] = np.array([77])
    return NeuralModel(arrays, base.ngram)


def packed(model: NeuralModel | None = None, **given: bytes) -> bytes:
    options = {"card": b"{}", "digest": DIGEST, "ngram": b""} | given
    return adapter.pack(BASE if model is None else model, BASE, shift=5, **options)


@pytest.mark.usefixtures("_base_file")
def test_base_and_adapter_make_the_network_again() -> None:
    model = changed()
    # Sums wrap, so only what stays within its type is told by small steps.
    for name in adapter.TABLES:
        far = np.abs(model.arrays[name] - BASE.arrays[name]) > 127 << 5
        model.arrays[name][far] = BASE.arrays[name][far]
    data = packed(model)
    again = registry.neural_model(hashlib.sha256(data).digest(), data)
    for name in shapes(*BASE.units):
        assert (again.arrays[name] == model.arrays[name]).all(), name
    assert file.unpack(data, file.KIND_ADAPTER)["low"] == b""
    registry.neural_model(hashlib.sha256(data).digest(), data, kind=7)
    with pytest.raises(ModelError, match="is of kind 7, expected 3"):
        registry.neural_model(hashlib.sha256(data).digest(), data, kind=3)


def test_an_adapter_of_a_deep_network_has_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = vectors.deep_network()
    data = deep.pack(b"{}", NGRAM)
    (tmp_path / "deep.lmmodel").write_bytes(data)
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path))
    model = changed(base=deep)
    for name in adapter.TABLES:
        far = np.abs(model.arrays[name] - deep.arrays[name]) > 127 << 5
        model.arrays[name][far] = deep.arrays[name][far]
    given = {"card": b"{}", "digest": hashlib.sha256(data).digest(), "ngram": b""}
    coded = adapter.pack(model, deep, shift=5, **given)
    sections = file.unpack(coded, file.KIND_ADAPTER)
    assert list(sections)[8:10] == ["inner", "upper"]
    again = registry.neural_model(hashlib.sha256(coded).digest(), coded)
    assert again.layers == 4
    for name in shapes(*deep.units, deep.layers):
        assert (again.arrays[name] == model.arrays[name]).all(), name
    # Another's base, of fewer layers, and of none: neither is guessed at.
    for own, base in (
        (sections, file.unpack(BASE_FILE, file.KIND_NEURAL)),
        (file.unpack(packed(), file.KIND_ADAPTER), file.unpack(data, file.KIND_NEURAL)),
    ):
        adapter.check(own)
        with pytest.raises(ModelError, match="the base of an adapter has sections card"):
            adapter.applied(own, base)
    with pytest.raises(ModelError, match="changes no units and no layers"):
        adapter.pack(model, BASE, shift=5, **given)


def test_an_adapter_of_a_network_with_patches_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched = vectors.patched_network()
    data = patched.pack(b"{}", NGRAM)
    (tmp_path / "patched.lmmodel").write_bytes(data)
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path))
    model = changed(base=patched)
    for name in adapter.TABLES:
        far = np.abs(model.arrays[name] - patched.arrays[name]) > 127 << 5
        model.arrays[name][far] = patched.arrays[name][far]
    given = {"card": b"{}", "digest": hashlib.sha256(data).digest(), "ngram": b""}
    coded = adapter.pack(model, patched, shift=5, **given)
    own = file.unpack(coded, file.KIND_ADAPTER)
    assert not set(own) & set(patches.SECTIONS)
    again = registry.neural_model(hashlib.sha256(coded).digest(), coded)
    assert again.patches == patched.patches
    for name in shapes(*patched.units, patched.layers, patched.patches):
        assert (again.arrays[name] == model.arrays[name]).all(), name
    # It is told by the base alone whether there are patches; what has not all of them is none.
    base = file.unpack(data, file.KIND_NEURAL)
    assert adapter.applied(own, base)["places"] == base["places"]
    del base["give"]
    with pytest.raises(ModelError, match="the base of an adapter has sections card"):
        adapter.applied(own, base)
    with pytest.raises(ModelError, match=r"adapter has sections .*, patches; expected"):
        adapter.check(own | {"patches": bytes(10)})


@pytest.mark.parametrize("name", [name for name in patches.SECTIONS if name != patches.PATCHES])
def test_an_adapter_changes_no_patches(name: str) -> None:
    base = vectors.patched_network()
    arrays = base.arrays | {name: base.arrays[name].copy()}
    arrays[name].flat[5] -= 1
    given = {"card": b"{}", "digest": DIGEST, "ngram": b""}
    with pytest.raises(ModelError, match=f"changes no patches, section {name} differs"):
        adapter.pack(NeuralModel(arrays, base.ngram), base, shift=5, **given)


def test_an_adapter_adds_no_patches_and_takes_none() -> None:
    base = vectors.patched_network()
    plain = {name: array for name, array in base.arrays.items() if name not in patches.SECTIONS}
    without = NeuralModel(plain, base.ngram)
    given = {"card": b"{}", "digest": DIGEST, "ngram": b""}
    for model, other in ((without, base), (base, without)):
        with pytest.raises(ModelError, match="changes no patches, section patches differs"):
            adapter.pack(model, other, shift=5, **given)


@pytest.mark.usefixtures("_base_file")
def test_an_adapter_may_bring_an_n_gram_model() -> None:
    assert base_of(registry.neural_sections(packed()))[1] == NGRAM
    assert base_of(registry.neural_sections(packed(ngram=b"d" * 32)))[0] == b"d" * 32


def test_sums_wrap_to_their_types() -> None:
    own = file.unpack(packed(), file.KIND_ADAPTER)
    base = file.unpack(BASE_FILE, file.KIND_NEURAL)
    base["low_bias"], base["high"] = b"\xff\x7f" * 256, b"\x7f" * len(base["high"])
    own["low_bias"], own["high"] = b"\1" * 256, b"\2" * len(base["high"])
    found = adapter.applied(own, base)
    assert set(np.frombuffer(found["low_bias"], "<i2").tolist()) == {32767 + 32 - 65536}
    assert set(np.frombuffer(found["high"], "i1").tolist()) == {-127}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": b""}, "adapter has sections"),
        ({"base": b"b" * 31}, "section base of an adapter holds 31 bytes, expected 32"),
        ({"shifts": b"1"}, "section shifts of an adapter holds 1 bytes, expected 3"),
        ({"shifts": b"\0\0\x10"}, "section shifts of an adapter exceeds 15"),
        ({"see": b"1"}, "section see of an adapter holds 1 bytes, expected none or"),
        ({"last": b"1"}, "section last of an adapter holds 1 bytes, expected none or"),
        ({"join": b""}, "section join of a neural model holds 0 bytes"),
    ],
)
@pytest.mark.usefixtures("_base_file")
def test_sections_that_do_not_fit_are_refused(change: dict[str, bytes], message: str) -> None:
    data = file.pack(file.KIND_ADAPTER, file.unpack(packed(), file.KIND_ADAPTER) | change)
    with pytest.raises(ModelError, match=message):
        registry.neural_model(hashlib.sha256(data).digest(), data)


def test_a_base_that_is_nowhere_is_missed() -> None:
    data = packed(digest=b"?" * 32)
    with pytest.raises(ModelNotFoundError, match="3f3f3f"):
        registry.neural_model(hashlib.sha256(data).digest(), data)


def test_a_base_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = packed()
    (tmp_path / "first.lmmodel").write_bytes(first)
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path))
    with pytest.raises(ModelError, match="of kind 7, expected 3"):
        registry.neural_sections(packed(digest=hashlib.sha256(first).digest()))
    with pytest.raises(ModelError, match="the base of an adapter has sections card"):
        adapter.applied(file.unpack(first, file.KIND_ADAPTER), {"card": b""})


def test_what_an_adapter_cannot_say_is_not_packed() -> None:
    model = changed()
    for name, value, message in (
        ("last", 1, "differs by more"),
        ("second_last", 128 << 5, "differs by more"),
        ("high_exp", 1, "changes no exponents, those of high"),
    ):
        arrays = dict(BASE.arrays)
        arrays[name] = arrays[name].astype(np.int32)
        arrays[name].flat[0] += value
        with pytest.raises(ModelError, match=message):
            packed(NeuralModel(arrays, BASE.ngram))
    with pytest.raises(ModelError, match="changes no units"):
        adapter.pack(vectors_of_other_units(), model, card=b"", digest=DIGEST, ngram=b"", shift=5)


def vectors_of_other_units() -> NeuralModel:
    arrays = {name: np.zeros(shape, np.int32) for name, (_, shape) in shapes(16, 16).items()}
    return NeuralModel(arrays, BASE.ngram)


@pytest.mark.usefixtures("_base_file")
def test_an_archive_embeds_an_adapter_only_of_a_network_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"this adapter names its neural model .* read alone"):
        registry.require_base(packed())
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    monkeypatch.setattr(registry, "SHIPPED", {DIGEST.hex(): "base.lmmodel"})
    registry.require_base(packed())


@pytest.mark.usefixtures("_base_file")
def test_an_adapter_is_written_with_where_a_network_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "adapter.lmmodel"
    path.write_bytes(packed())
    assert registry.locate("neural", file.KIND_NEURAL, path).kind == file.KIND_ADAPTER
    with pytest.raises(ModelError, match="of kind 7, expected 2"):
        registry.locate("ngram", file.KIND_NGRAM, path)
