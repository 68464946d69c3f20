"""Behind a primer a chunk is coded as behind the same bytes of its own, and comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.codec import multiscale, ngram, priming, vectors
from lmarc.codec.base import CodecNumber
from lmarc.codec.priming import Begun, primed_text
from lmarc.errors import CorruptError
from lmarc.model.ngram import thread_scratch
from tests import naive_multiscale

PRIMER = vectors.records("primer", 900)
MODELS: dict[str, tuple[Any, Any]] = {
    "ngram": (ngram, vectors.small_model()),
    "network": (multiscale, vectors.small_blend()),
    "lanes": (multiscale, vectors.small_lanes()),
    "alone": (multiscale, naive_multiscale.random_blend(3, vectors.small_model())),
    "deep": (multiscale, vectors.deep_blend()),
}


@pytest.fixture(params=MODELS)
def coder(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Return a codec's module, and a model of it without a primer."""
    return MODELS[request.param]


def steps_of(codec: Any, model: Any, content: bytes, profile: int) -> Any:
    given = (thread_scratch(),) if codec is ngram else ()
    return codec.model_steps(model, content, profile, *given)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 700, 5000])
def test_steps_are_those_behind_the_same_bytes(coder: tuple[Any, Any], size: int) -> None:
    codec, model = coder
    primed, content = model.primed(PRIMER), vectors.records("behind", size)
    for profile in range(2):
        steps = steps_of(codec, primed, content, profile)
        both = steps_of(codec, model, PRIMER + content, profile)
        assert steps.tolist() == both[2 * len(PRIMER) :].tolist()


def test_contents_come_back_alone_and_together(coder: tuple[Any, Any]) -> None:
    codec, model = coder
    primed = model.primed(PRIMER)
    contents = [vectors.records(str(n), size) for n, size in enumerate((700, 0, 1, 6000, 699, 40))]
    payloads = [codec.compress_with(primed, content) for content in contents]
    for content, payload in zip(contents, payloads, strict=True):
        assert codec.decompress_with(primed, payload, len(content)) == content
    if codec is multiscale:
        pairs = list(zip(payloads, map(len, contents), strict=True))
        assert multiscale.decompress_together(primed, pairs) == contents


@pytest.mark.parametrize("name", ["ngram", "lanes"])
def test_text_like_the_primer_is_smaller_and_other_text_still_comes_back(name: str) -> None:
    codec, model = MODELS[name]
    primed, content = model.primed(PRIMER), vectors.records("like it", 600)
    smaller = codec.compress_with(primed, content)
    assert len(smaller) < 0.9 * len(codec.compress_with(model, content))
    noise = vectors.noise("unlike it", 500)
    assert codec.decompress_with(primed, codec.compress_with(primed, noise), 500) == noise


def test_any_profile_is_decoded_whatever_an_encoder_would_choose() -> None:
    for codec, model in MODELS.values():
        primed = model.primed(PRIMER)
        for profile in (0, 1):
            content = vectors.prose(f"profile {profile}", 300)
            steps = steps_of(codec, primed, content, profile)
            payload = ngram.pack_payload(profile, steps)
            assert codec.decompress_with(primed, payload, 300) == content


def test_chunks_of_several_profiles_are_decoded_together() -> None:
    model = vectors.small_lanes().primed(PRIMER)
    content = vectors.records("profiles", 400)
    payloads = [
        (ngram.pack_payload(profile, steps_of(multiscale, model, content, profile)), 400)
        for profile in (1, 0, 1, 0, 0)
    ]
    assert multiscale.decompress_together(model, payloads) == [content] * 5


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
def test_any_bytes_come_back_behind_any_primer(content: bytes, primer: bytes) -> None:
    for name in ("ngram", "network"):
        codec, model = MODELS[name]
        primed = model.primed(primer)
        payload = codec.compress_with(primed, content)
        assert codec.decompress_with(primed, payload, len(content)) == content


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_payload_gives_content_or_an_error(payload: bytes, size: int) -> None:
    for name in ("ngram", "deep"):
        codec, model = MODELS[name]
        try:
            content = codec.decompress_with(model.primed(PRIMER), payload, size)
        except CorruptError:
            continue
        assert len(content) == size


def test_a_model_with_a_primer_is_another_than_the_one_without(coder: tuple[Any, Any]) -> None:
    codec, model = coder
    content = vectors.records("apart", 300)
    before = codec.compress_with(model, content)
    primed = codec.compress_with(model.primed(PRIMER), content)
    assert codec.compress_with(model.primed(PRIMER[:-1]), content) != primed
    assert codec.compress_with(model, content) == before != primed
    assert model.primer == b""


def test_threads_share_what_is_kept() -> None:
    codec, model = MODELS["network"]
    primed = model.primed(PRIMER)
    contents = [vectors.records(f"thread {n}", 900 + n % 3 * 5000) for n in range(12)]
    alone = [codec.compress_with(model.primed(PRIMER), content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda content: codec.compress_with(primed, content), contents))
    assert found == alone


def test_the_network_stays_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    primed = vectors.small_blend().primed(PRIMER)
    content = vectors.records("device", 500)
    expected = multiscale.compress_with(primed, content)
    monkeypatch.setattr(multiscale, "device", lambda: "torch:cpu")
    assert multiscale.compress_with(primed, content) == expected
    assert multiscale.decompress_with(primed, expected, 500) == content


def test_there_is_no_other_payload_behind_a_primer() -> None:
    primed = vectors.small_blend().primed(PRIMER)
    content = vectors.noise("either", 400)
    number, payload = multiscale.compress_either(primed, content)
    assert number == CodecNumber.MULTISCALE
    assert multiscale.decompress_with(primed, payload, 400) == content


def test_states_are_made_once_and_a_few_are_kept() -> None:
    walks = []

    class Model:
        pass

    def walk(model: Model, profile: int, bits: tuple[int, int]) -> list[Any]:
        walks.append((profile, bits))
        return [np.full(3, profile), np.full((1, 2), bits[0])]

    chosen = []

    def choose(model: Model) -> int:
        chosen.append(model)
        return 5

    begun = Begun(walk, choose)
    model, into = Model(), [np.zeros(3, int), np.zeros((4, 2), int)]
    for profile, bits in ((1, 7), (2, 7), (1, 7), (2, 7)):
        begun.restore(model, profile, (bits, 0), into)
        assert into[0].tolist() == [profile] * 3
        assert into[1].tolist() == [[bits, bits]] * 4
    assert walks == [(1, (7, 0)), (2, (7, 0))]
    for number in range(priming.KEPT):
        begun.restore(model, 3 + number, (7, 0), into)
    begun.restore(model, 1, (7, 0), into)
    assert walks[-1] == (1, (7, 0))
    begun.restore(Model(), 1, (7, 0), into)
    assert len(walks) == priming.KEPT + 4
    assert [begun.profile(model), begun.profile(model)] == [5, 5]
    assert len(chosen) == 1


def test_kernels_get_one_byte_more() -> None:
    assert primed_text(b"ab", b"c").tolist() == [97, 98, 99, 0]
