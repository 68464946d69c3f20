"""Neural model files: what is packed is parsed, what does not fit is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError, ModelNotFoundError
from lmarc.kernels._vector import QUADS
from lmarc.model import file, patches, registry
from lmarc.model.neural import NeuralModel, base_of, multiply_adds, sections_of, shapes
from lmarc.model.transformer import Sizes
from tests.naive_neural import random_network

SIZES = Sizes(width=32, heads=2, layers=2, hidden=48, window=16)


def packed(inside: bytes | None = None) -> bytes:
    base = vectors.small_model().pack(b"{}") if inside is None else inside
    return vectors.small_network().pack(b"{}", base)


@pytest.mark.parametrize("layers", [2, 3, 8])
def test_a_packed_model_is_parsed_to_the_same_numbers(layers: int) -> None:
    model = random_network(3, 32, 48, layers=layers)
    sections = file.unpack(model.pack(b"{}", b"d" * 32), file.KIND_NEURAL)
    assert tuple(sections) == sections_of(layers)
    assert ("upper" in sections) == (layers > 2)
    again = NeuralModel.parse(sections, vectors.small_model())
    assert (again.units, again.layers) == ((32, 48), layers)
    for name in shapes(32, 48, layers):
        assert (again.arrays[name] == model.arrays[name]).all(), name


@pytest.mark.parametrize("layers", [2, 3, 8])
def test_patches_are_packed_behind_the_rest(layers: int) -> None:
    model = random_network(3, 32, 48, layers=layers, patches=SIZES)
    sections = file.unpack(model.pack(b"{}", b"d" * 32), file.KIND_NEURAL)
    assert tuple(sections) == sections_of(layers, True)
    assert tuple(sections) == sections_of(layers) + patches.SECTIONS
    again = NeuralModel.parse(sections, vectors.small_model())
    assert (again.units, again.layers, again.patches) == ((32, 48), layers, SIZES)
    for name in shapes(32, 48, layers, SIZES):
        assert (again.arrays[name] == model.arrays[name]).all(), name
    assert again.pack(b"{}", b"d" * 32) == model.pack(b"{}", b"d" * 32)


def test_a_model_without_patches_has_none() -> None:
    model = random_network(3, 32, 48)
    assert (model.patches, model.network.patches, model.hidden(3).patches) == (None, (), ())


def test_patches_have_memory_for_every_chunk() -> None:
    model = random_network(3, 32, 48, patches=SIZES)
    assert len(model.hidden(5).patches.lengths) == 5
    assert len(model.hidden(5, 1).patches.lengths) == 1
    assert len(model.hidden(5, 1).patches.ended) == 5


def test_what_a_byte_takes_is_counted() -> None:
    see, inner, upper = 16 * (2 * 384 + 9 * 256 + 16), 3 * 256 * 384, 3 * 256 * 256
    assert multiply_adds(384, 256, 4) == see + inner + 2 * upper + 2 * 16 * 768 + 16 * 16
    assert multiply_adds(384, 256) == 16 * (2 * 384 + 3 * 256 + 16) + inner + 2 * 16 * 256 + 256
    assert random_network(4, 32, 16, layers=3).multiply_adds == multiply_adds(32, 16, 3)
    more = patches.multiply_adds(SIZES, 32, 16)
    patched = random_network(4, 32, 16, layers=3, patches=SIZES)
    assert patched.multiply_adds == multiply_adds(32, 16, 3) + more


def test_weights_stand_as_the_kernels_read_them() -> None:
    model = random_network(4, 32, 16, layers=3)
    per = 4 if QUADS else 2  # inputs side by side

    def plain(memory: Any, outputs: int, inputs: int) -> Any:
        numbers = memory.view(np.uint8).astype(np.int16) - 128 if QUADS else memory
        blocks = numbers.reshape(outputs // 16, inputs // per, 16, per)
        return blocks.transpose(0, 2, 1, 3).reshape(outputs, inputs)

    network = model.network
    assert (plain(network.inner, 48, 32) == model.arrays["inner"]).all()
    assert (plain(network.upper, 48, 16) == model.arrays["upper"][0]).all()
    assert (plain(network.low, 256, 32) == model.arrays["low"]).all()
    with pytest.raises(ValueError, match="read-only"):
        model.network.inner[0] = 1


def test_the_base_is_a_digest_or_a_file() -> None:
    assert base_of({"ngram": b"d" * 32}) == (b"d" * 32, None)
    assert base_of({"ngram": b"file"}) == (hashlib.sha256(b"file").digest(), b"file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": bytes(2)}, "does not hold two numbers"),
        ({"units": bytes(5)}, "does not hold two numbers or three"),
        ({"units": bytes(8)}, "does not hold two numbers or three"),
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


def units(*numbers: int) -> dict[str, bytes]:
    return {"units": np.array(numbers, "<u2").tobytes()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (units(32, 16, 9), "says 9 layers, expected 3 to 8, or nothing for two"),
        (units(32, 16, 2), "neural model has sections .*upper.*; expected"),
        (units(32, 16), "neural model has sections .*upper.*; expected"),
        (units(32, 16, 3), "section last of a neural model holds"),
        (units(32, 24, 4), "24 units"),
        ({"upper": bytes(48 * 16)}, "section upper of a neural model holds 768 bytes, expected"),
        ({"upper_exp": b"\x0b" * 96}, "section upper_exp of a neural model exceeds 10"),
        ({"high": bytes(16 * 16)}, "section high of a neural model holds 256 bytes, expected 768"),
    ],
)
def test_layers_that_do_not_fit_are_refused(change: dict[str, bytes], message: str) -> None:
    data = vectors.deep_network().pack(b"{}", vectors.small_model().pack(b"{}"))
    sections = file.unpack(data, file.KIND_NEURAL) | change
    with pytest.raises(ModelError, match=message):
        NeuralModel.parse(sections, vectors.small_model())


def numbers(*sizes: int) -> dict[str, bytes]:
    return {"patches": np.array(sizes, "<u2").tobytes()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (numbers(32, 2, 2, 48), "section patches of a neural model holds 8 bytes"),
        (numbers(40, 1, 2, 48, 16), "width 40"),
        (numbers(32, 3, 2, 48, 16), "3 heads"),
        (numbers(32, 2, 2, 48, 528), "window 528"),
        (numbers(32, 2, 3, 48, 16), "section attend of a neural model holds 6144 bytes, expected"),
        (numbers(48, 1, 2, 48, 16), "section places of a neural model holds 131072 bytes"),
        ({"places": b""}, "section places of a neural model holds 0 bytes, expected 131072"),
        ({"enter": b"1"}, "section enter of a neural model holds 1 bytes, expected 1024"),
        ({"give": b"1"}, "section give of a neural model holds 1 bytes, expected 1536"),
        ({"give_exp": b"1"}, "section give_exp of a neural model holds 1 bytes, expected 48"),
        ({"enter_exp": b"\x0b" * 32}, "section enter_exp of a neural model exceeds 10"),
        ({"attend_exp": b"\x0b" * 192}, "section attend_exp of a neural model exceeds 10"),
        ({"merge_exp": b"\x0b" * 64}, "section merge_exp of a neural model exceeds 10"),
        ({"widen_exp": b"\x0b" * 96}, "section widen_exp of a neural model exceeds 10"),
        ({"narrow_exp": b"\x0b" * 64}, "section narrow_exp of a neural model exceeds 10"),
        ({"give_exp": b"\x0b" * 48}, "section give_exp of a neural model exceeds 10"),
        ({"more": b""}, "neural model has sections .*give_exp, more; expected"),
    ],
)
def test_patches_that_do_not_fit_are_refused(change: dict[str, bytes], message: str) -> None:
    data = vectors.patched_network().pack(b"{}", vectors.small_model().pack(b"{}"))
    sections = file.unpack(data, file.KIND_NEURAL) | change
    with pytest.raises(ModelError, match=message):
        NeuralModel.parse(sections, vectors.small_model())


@pytest.mark.parametrize("name", patches.SECTIONS)
def test_patches_have_all_their_sections_in_order(name: str) -> None:
    data = vectors.patched_network().pack(b"{}", b"d" * 32)
    sections = file.unpack(data, file.KIND_NEURAL)
    moved = sections.pop(name)
    with pytest.raises(ModelError, match="neural model has sections card"):
        NeuralModel.parse(sections, vectors.small_model())
    if name != patches.SECTIONS[-1]:
        with pytest.raises(ModelError, match="neural model has sections card"):
            NeuralModel.parse(sections | {name: moved}, vectors.small_model())


def test_two_layers_are_told_by_two_numbers() -> None:
    sections = file.unpack(packed(), file.KIND_NEURAL) | units(32, 16, 2)
    with pytest.raises(ModelError, match="says 2 layers"):
        NeuralModel.parse(sections, vectors.small_model())
    with pytest.raises(ModelError, match=r"sections .*; expected .*inner_exp, upper, upper_exp"):
        NeuralModel.parse(sections | units(32, 16, 3), vectors.small_model())


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
