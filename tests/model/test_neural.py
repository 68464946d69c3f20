"""Neural model files: what is packed is parsed, what does not fit is refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError, ModelNotFoundError
from lmarc.model import file, registry
from lmarc.model.neural import SECTIONS, NeuralModel, base_of, shapes
from tests.naive_neural import random_network


def packed(inside: bytes | None = None) -> bytes:
    base = vectors.small_model().pack(b"{}") if inside is None else inside
    return vectors.small_network().pack(b"{}", base)


def test_a_packed_model_is_parsed_to_the_same_numbers() -> None:
    model = random_network(3, 32, 48)
    sections = file.unpack(model.pack(b"{}", b"d" * 32), file.KIND_NEURAL)
    assert tuple(sections) == SECTIONS
    again = NeuralModel.parse(sections, vectors.small_model())
    assert again.units == (32, 48)
    for name in shapes(32, 48):
        assert (again.arrays[name] == model.arrays[name]).all(), name


def test_weights_stand_as_the_kernels_read_them() -> None:
    model = random_network(4, 32, 16)
    inner = model.network.inner.reshape(3, 16, 16, 2)  # blocks, pairs of inputs
    assert (inner.transpose(0, 2, 1, 3).reshape(48, 32) == model.arrays["inner"]).all()
    low = model.network.low.reshape(16, 8, 16, 2)[5]
    assert (low.transpose(1, 0, 2).reshape(16, 16) == model.arrays["low"][80:96]).all()
    with pytest.raises(ValueError, match="read-only"):
        model.network.inner[0] = 1


def test_the_base_is_a_digest_or_a_file() -> None:
    assert base_of({"ngram": b"d" * 32}) == (b"d" * 32, None)
    assert base_of({"ngram": b"file"}) == (hashlib.sha256(b"file").digest(), b"file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": bytes(2)}, "does not hold two numbers"),
        ({"units": np.array([16, 24], "<u2").tobytes()}, "24 units"),
        ({"units": bytes(4)}, "0 units"),
        ({"inner": b"1"}, "section inner of a neural model holds 1 bytes, expected"),
        ({"high_exp": b"\x0b" * 16}, "section high_exp of a neural model exceeds 10"),
        ({"join_rate": b"\0\0\1\0"}, "join_rate of a neural model exceeds 4095"),
        ({"more": b""}, "neural model has sections"),
    ],
)
def test_sections_that_do_not_fit_are_refused(change: dict[str, bytes], message: str) -> None:
    sections = file.unpack(packed(), file.KIND_NEURAL) | change
    with pytest.raises(ModelError, match=message):
        NeuralModel.parse(sections, vectors.small_model())


def test_the_registry_parses_a_model_once() -> None:
    data = packed()
    digest = hashlib.sha256(data).digest()
    model = registry.neural_model(digest, data)
    assert registry.neural_model(digest) is model
    with pytest.raises(ModelError, match="the archive says 7"):
        registry.neural_model(digest, data, size=7)


def test_a_model_is_embedded_with_its_base_or_on_one_that_ships() -> None:
    registry.require_base(packed())
    with pytest.raises(ModelError, match=r"3f3f3f.*could not be read alone"):
        registry.require_base(packed(b"?" * 32))
    if registry.SHIPPED:
        registry.require_base(packed(registry.shipped("ngram")))


def test_a_base_that_is_nowhere_is_missed() -> None:
    data = packed(b"?" * 32)
    with pytest.raises(ModelNotFoundError, match="3f3f3f"):
        registry.neural_model(hashlib.sha256(data).digest(), data)
