"""Multi-scale model files: what is packed is parsed, what does not fit is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError, ModelNotFoundError
from lmarc.kernels import blend, ngram
from lmarc.model import file, registry
from lmarc.model.multiscale import (
    ALWAYS,
    PROFILE_ARRAYS,
    SECTIONS,
    SET_ARRAYS,
    MultiscaleModel,
    below,
)
from tests import naive_multiscale

BLEND = vectors.small_blend()
ALONE = naive_multiscale.random_blend(3, vectors.small_model())
LANES = naive_multiscale.random_blend(5, vectors.small_network(), naive_multiscale.LANES)
DOUBTS = naive_multiscale.random_blend(6, vectors.small_network(), (1, 9), (50_000, 1))
INSIDE = vectors.small_network().pack(b"{}", vectors.small_model().pack(b"{}"))


def packed(base: bytes = INSIDE) -> bytes:
    return BLEND.pack(b"{}", base)


def sections_of(data: bytes) -> dict[str, bytes]:
    return dict(file.unpack(data, file.KIND_MULTISCALE))


def numbers(*values: int) -> bytes:
    return np.array(values, "<i4").tobytes()


def changed(name: str, place: int, value: int) -> dict[str, bytes]:
    """Return a section with one number changed, counted from the start of the second profile."""
    array = np.frombuffer(sections_of(packed())[name], "<i4").copy()
    array.reshape(2, -1)[1, place] = value
    return {name: array.tobytes()}


@pytest.mark.parametrize("model", [BLEND, ALONE], ids=["network", "alone"])
def test_a_packed_model_is_parsed_to_the_same_numbers(model: MultiscaleModel) -> None:
    sections = sections_of(model.pack(b"{}", b"d" * 32))
    assert tuple(sections) == SECTIONS
    again = MultiscaleModel.parse(sections, model.neural or model.ngram)
    assert again.units == model.units
    assert again.ngram is model.ngram
    for name in PROFILE_ARRAYS:
        assert (again.arrays[name] == model.arrays[name]).all(), name
    assert again.pack(b"{}", b"d" * 32) == model.pack(b"{}", b"d" * 32)


def test_a_model_with_lanes_has_two_sections_more() -> None:
    sections = sections_of(LANES.pack(b"{}", b"d" * 32))
    assert tuple(sections) == (*SECTIONS, "lanes", "sets")
    again = MultiscaleModel.parse(sections, vectors.small_network())
    assert again.lanes == naive_multiscale.LANES
    assert (again.arrays["sets"] == LANES.arrays["sets"]).all()
    assert again.pack(b"{}", b"d" * 32) == LANES.pack(b"{}", b"d" * 32)
    assert again.tables(1).lanes.tolist() == [*naive_multiscale.LANES, 0, 0, 0]
    assert again.tables(1).plan.tolist() == [13, 4, 65_408, ALWAYS, 0b10111111]
    assert BLEND.tables(1).plan.tolist() == [8, 0, 65_536, ALWAYS, 0]


def test_a_model_with_doubts_has_a_section_more() -> None:
    sections = sections_of(DOUBTS.pack(b"{}", b"d" * 32))
    assert tuple(sections) == (*SECTIONS, "lanes", "sets", "doubts")
    again = MultiscaleModel.parse(sections, vectors.small_network())
    assert again.pack(b"{}", b"d" * 32) == DOUBTS.pack(b"{}", b"d" * 32)
    assert [again.tables(profile).plan[blend.DOUBT] for profile in (0, 1)] == [50_000, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doubts": numbers(1)}, "section doubts of a multi-scale model does not hold 2 profiles"),
        ({"doubts": numbers(9, 0)}, "section doubts .* holds 0 to 9, expected 1 to 65536"),
        ({"doubts": numbers(9, 65_537)}, "section doubts .* holds 9 to 65537, expected"),
    ],
)
def test_doubts_that_are_no_freqs_are_refused(change: dict[str, bytes], message: str) -> None:
    sections = sections_of(DOUBTS.pack(b"{}", INSIDE)) | change
    with pytest.raises(ModelError, match=message):
        MultiscaleModel.parse(sections, vectors.small_network())


def test_doubts_stand_behind_sets() -> None:
    sections = sections_of(DOUBTS.pack(b"{}", INSIDE))
    del sections["lanes"], sections["sets"]
    with pytest.raises(ModelError, match="and then perhaps doubts"):
        MultiscaleModel.parse(sections, vectors.small_network())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": b""}, r"section lanes of a multi-scale model holds \[\], expected 1 to 13"),
        ({"lanes": bytes(14)}, "section lanes .* expected 1 to 13 numbers below 16"),
        ({"lanes": b"\0\x10"}, r"section lanes .* holds \[0, 16\], expected"),
        ({"sets": bytes(64)}, "section sets of a multi-scale model does not hold 2 profiles"),
    ],
)
def test_lanes_that_do_not_fit_are_refused(change: dict[str, bytes], message: str) -> None:
    sections = sections_of(LANES.pack(b"{}", INSIDE)) | change
    with pytest.raises(ModelError, match=message):
        MultiscaleModel.parse(sections, vectors.small_network())


@pytest.mark.parametrize("name", ["lanes", *SET_ARRAYS])
def test_neither_of_the_two_sections_stands_alone(name: str) -> None:
    sections = sections_of(LANES.pack(b"{}", INSIDE))
    del sections[name]
    with pytest.raises(ModelError, match="perhaps lanes, sets"):
        MultiscaleModel.parse(sections, vectors.small_network())


def test_what_is_below_is_a_digest_or_a_file() -> None:
    sections = sections_of(packed(b"d" * 32))
    assert below(sections) == (b"d" * 32, None, BLEND.units)
    inside = below(sections | {"below": b"file", "units": bytes(4)})
    assert inside == (hashlib.sha256(b"file").digest(), b"file", (0, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": b""}, "multi-scale model has sections card, below, .*, more; expected card"),
        ({"units": bytes(2)}, "section units of a multi-scale model does not hold two numbers"),
        ({"units": bytes(4)}, "for a network of 0 and 0 units, the model below has 32 and 16"),
        ({"limits": numbers(1)}, "section limits of a multi-scale model does not hold 2 profiles"),
        ({"sures": bytes(4 * 512)}, "section sures of a multi-scale model does not hold 2"),
        (changed("rates", 127, 65_536), "section rates .* holds -?[0-9]+ to 65536, .*0 to 65535"),
        (changed("rates", 5, -1), "section rates .* holds -1 to [0-9]+, expected 0 to 65535"),
        (changed("rates", 63, 32_768), "section rates .* to 32768, expected 0 to 32767"),
        (changed("limits", 15, 0), "section limits .* holds 0 to [0-9]+, expected 1 to 63"),
        (changed("limits", 0, 64), "section limits .* to 64, expected 1 to 63"),
        (changed("blend_rates", 31, 4096), "section blend_rates .* to 4096, expected 0 to 4095"),
        (changed("blend_rates", 0, -1), "section blend_rates .* holds -1 to"),
        (changed("head_rates", 0, 65_537), "section head_rates .* to 65537, expected 0 to 65536"),
        (changed("head_rates", 0, -1), "section head_rates .* holds -1 to"),
        (changed("head_rates", 1, 256), "section head_rates .* to 256, expected 0 to 255"),
        (changed("head_rates", 1, -1), "section head_rates .* holds -1 to"),
    ],
)
def test_sections_that_do_not_fit_are_refused(change: dict[str, bytes], message: str) -> None:
    sections = sections_of(packed()) | change
    with pytest.raises(ModelError, match=message):
        MultiscaleModel.parse(sections, vectors.small_network())


def test_numbers_at_their_limits_are_lawful() -> None:
    sections = sections_of(packed())
    for name, place, value in (
        ("rates", 0, 32_767),
        ("rates", 64, 65_535),
        ("limits", 3, 63),
        ("blend_rates", 9, 4095),
        ("head_rates", 0, 65_536),
        ("head_rates", 1, 255),
        ("sures", 0, -(2**31)),
    ):
        found = MultiscaleModel.parse(
            sections | changed(name, place, value), vectors.small_network()
        )
        assert found.arrays[name][1].reshape(-1)[place] == value


def test_a_blend_is_for_the_model_that_it_was_trained_on() -> None:
    with pytest.raises(ModelError, match="network of 32 and 16 units, the model below has 0 and 0"):
        MultiscaleModel.parse(sections_of(packed()), vectors.small_model())


def test_kernels_get_the_profiles_numbers_and_weights_of_their_own() -> None:
    tables = BLEND.tables(1)
    half, whole = BLEND.arrays["rates"][1]
    assert tables.rates[: ngram.N_COUNTS].tolist() == (2 * half).tolist()
    assert tables.rates[ngram.N_COUNTS :].tolist() == whole.tolist()
    assert tables.head_rates.tolist() == BLEND.arrays["head_rates"][1].tolist()
    weights = BLEND.weights(1)
    assert weights.sures.tolist() == BLEND.arrays["sures"][1].reshape(-1).tolist()
    weights.sures[:] = 0
    assert BLEND.weights(1).sures.any()


def test_without_a_network_nothing_of_it_is_multiplied() -> None:
    assert ALONE.multiply_adds == 0
    assert len(ALONE.network.inner) == len(ALONE.hidden(3).units_2) == 0
    assert len(ALONE.hidden(3).seen) == 3 * len(ALONE.hidden(1).seen)
    # The network's, and a row of the head for each symbol of both nibbles.
    assert BLEND.multiply_adds == vectors.small_network().multiply_adds + 2 * 16 * 16


def test_a_threads_memory_is_kept_for_a_few_sizes() -> None:
    first = BLEND.scratch(11)
    assert BLEND.scratch(11) is first
    assert len(first.rows) == ((8 << 11) + 2) * 16
    assert (first.rows[-32:] == first.rows[-1]).all()
    assert len(first.head) == 17 * 16 * 16
    for bits in (11, 12, 13):
        many = ALONE.scratch(bits, 2, 3)
        assert len(many.shapes.keys) == 2 * 3 * 16
    assert BLEND.scratch(11) is not first


def test_only_lanes_that_are_histories_take_memory_for_them() -> None:
    assert len(BLEND.scratch(11).shapes.histories) == 0
    assert len(LANES.scratch(11, 3).shapes.histories) == 3 * (8 << 11)
    assert len(LANES.scratch(11).rows) == ((13 << 11) + 2) * 16


def test_the_registry_parses_a_model_once() -> None:
    data = packed()
    digest = hashlib.sha256(data).digest()
    model = registry.multiscale_model(digest, data)
    assert model.units == (32, 16)
    assert registry.multiscale_model(digest, size=len(data)) is model
    with pytest.raises(ModelError, match="the archive says 7"):
        registry.multiscale_model(digest, data, size=7)


def test_a_blend_without_a_network_is_found_too() -> None:
    data = naive_multiscale.file_of(ALONE)
    model = registry.multiscale_model(hashlib.sha256(data).digest(), data)
    assert model.neural is None
    assert model.ngram.profile_count == vectors.small_model().profile_count


@pytest.mark.parametrize(
    ("data", "missed"),
    [(packed(b"?" * 32), "3f3f3f"), (ALONE.pack(b"{}", b"!" * 32), "212121")],
    ids=["network", "alone"],
)
def test_what_is_below_and_nowhere_is_missed(data: bytes, missed: str) -> None:
    with pytest.raises(ModelNotFoundError, match=missed):
        registry.multiscale_model(hashlib.sha256(data).digest(), data)


def test_what_is_below_is_of_the_kind_that_the_units_tell() -> None:
    for data in (packed(vectors.small_model().pack(b"{}")), ALONE.pack(b"{}", INSIDE)):
        with pytest.raises(ModelError, match="of kind"):
            registry.multiscale_model(hashlib.sha256(data).digest(), data)


def small_network_on(digest: bytes) -> bytes:
    return vectors.small_network().pack(b"{}", digest)


def test_a_model_is_embedded_with_all_below_it_or_on_one_that_ships() -> None:
    registry.require_base(packed())
    registry.require_base(naive_multiscale.file_of(ALONE))
    for below_ in (b"?" * 32, small_network_on(b"?" * 32)):
        with pytest.raises(ModelError, match=r"3f3f3f.*could not be read alone"):
            registry.require_base(packed(below_))
    if registry.SHIPPED:
        registry.require_base(packed(registry.shipped("neural")))
        registry.require_base(packed(small_network_on(registry.shipped("ngram"))))


def test_the_ngram_model_at_the_bottom_is_found_if_it_ships(tmp_path: Path) -> None:
    path = tmp_path / "blend.lmmodel"

    def base_of(data: bytes) -> registry.ModelFile | None:
        path.write_bytes(data)
        return registry.shipped_base(hashlib.sha256(data).digest(), str(path))

    assert base_of(packed()) is None
    assert base_of(naive_multiscale.file_of(ALONE)) is None
    assert base_of(packed(b"?" * 32)) is None
    if registry.SHIPPED:
        digest = registry.shipped("ngram")
        size = registry.shipped_path(digest.hex()).stat().st_size
        for below_ in (digest, registry.shipped("neural"), small_network_on(digest)):
            assert base_of(packed(below_)) == (file.KIND_NGRAM, digest, size, None)


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
def test_the_shipped_model_is_on_the_shipped_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for cache in ("_PARSED", "_PARSED_NEURAL", "_PARSED_MULTISCALE"):
        monkeypatch.setattr(registry, cache, {})  # another test may have emptied one of them
    digest = registry.shipped("multiscale")
    model = registry.multiscale_model(digest)
    assert model.neural is registry.neural_model(registry.shipped("neural"))
    assert model.ngram is registry.ngram_model(registry.shipped("ngram"))
    base = registry.shipped_base(digest)
    assert base is not None
    assert base.sha256 == registry.shipped("ngram")
