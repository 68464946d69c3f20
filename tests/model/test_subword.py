"""A subword model comes back from its file, and one that is none is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.model import file
from lmarc.model.subword import SECTIONS, SubwordModel


def packed(**changes: bytes) -> bytes:
    """Return the small model's file with other sections."""
    sections = file.unpack(vectors.small_subword().pack(b"{}"), file.KIND_SUBWORD)
    return file.pack(file.KIND_SUBWORD, {**sections, **changes})


def test_a_model_comes_back_from_its_file() -> None:
    model = vectors.small_subword()
    data = model.pack(b'{"name": "small"}')
    again = SubwordModel.parse(data)
    assert again.pack(b'{"name": "small"}') == data
    assert again.sizes == model.sizes
    assert again.vocabulary.tokens == model.vocabulary.tokens
    for name, array in model.arrays.items():
        assert np.array_equal(again.arrays[name], array), name
    assert tuple(file.unpack(data, file.KIND_SUBWORD)) == SECTIONS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sizes": bytes(12)}, "has 12 tokens"),
        ({"tokens": bytes(12)}, "section tokens"),
        ({"shape": bytes(8)}, "section shape"),
        ({"shape": bytes(10)}, "has width 0"),
        ({"shape": np.array([32, 2, 2, 48, 520], "<u2").tobytes()}, "has window 520"),
        ({"shape": np.array([32, 2, 2, 64, 32], "<u2").tobytes()}, "section widen"),
        ({"embedding": b""}, "section embedding"),
        ({"third": bytes(16)}, "section third"),
        ({"second_exp": b"\x0b" * 256}, "second_exp"),
        ({"join": bytes(4)}, "section join"),
        ({"join_rate": np.array([-1], "<i4").tobytes()}, "join_rate"),
        ({"counts": b"\7" * 61}, "section"),
        ({"hits": bytes(4)}, "profiles"),
        ({"sets": bytes(4)}, "section sets"),
    ],
)
def test_models_of_no_sense_are_refused(changes: dict[str, bytes], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        SubwordModel.parse(packed(**changes))


def test_other_sections_are_refused() -> None:
    sections = file.unpack(vectors.small_subword().pack(b"{}"), file.KIND_SUBWORD)
    del sections["card"]
    with pytest.raises(ModelError, match="has sections"):
        SubwordModel.parse(file.pack(file.KIND_SUBWORD, sections))


def test_sizes_are_checked_before_memory_is_taken() -> None:
    """A section that declares more than the model's shape needs is never decompressed."""
    data = bytearray(packed(third=bytes(1 << 28)))
    with pytest.raises(ModelError, match=r"section third .* holds 268435456 bytes"):
        SubwordModel.parse(bytes(data))


@pytest.mark.parametrize("make", [bytes, lambda: vectors.small_model().pack(b"{}")])
def test_other_files_are_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(ModelError):
        SubwordModel.parse(make())


def test_joining_weights_are_a_chunks_own() -> None:
    model = vectors.small_subword()
    joint = model.joint()
    joint.weights[:] = 0
    assert model.joint().weights.any()
    assert model.multiply_adds == model.sizes.multiply_adds + 3 * 16 * 32
