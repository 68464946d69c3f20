"""Whatever the bytes, models and payloads are: kernels do what the plain restatement does."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmarc.codec.ngram import decompress_with, model_steps
from lmarc.errors import CorruptError
from lmarc.model.ngram import NgramModel, Scratch
from tests import naive, tiny
from tests.kernels.test_mixture import freqs_of

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PIECES = st.sampled_from(
    [
        b"the ",
        b"one,",
        b"two;",
        b"\n",
        b"\t",
        b"Name",
        b"12345",
        b"\xc3\xa9",
        b"aaaaaaaa",
        b"\0",
        b"|",
    ]
)
TEXTS = st.one_of(st.binary(max_size=250), st.lists(PIECES, max_size=60).map(b"".join))


@cache
def model(seed: int) -> NgramModel:
    """Return a small model with rows for some of the texts."""
    text = tiny.prose(seed, 80) + b"the one,two;\n\tName12345" + bytes(range(0, 256, 7))
    return tiny.random_model(seed, text, n_buckets=(1, 5, 60, 300)[seed % 4])


def outcome(model: NgramModel, payload: bytes, size: int) -> bytes | None:
    try:
        return decompress_with(model, payload, size)
    except CorruptError:
        return None


def plain_outcome(model: NgramModel, payload: bytes, size: int) -> bytes | None:
    profile = tiny.naive_profile(model, payload[0])
    try:
        return naive.decode(tiny.naive_buckets(model), profile, payload[1:], size)
    except naive.CodingError:
        return None


@QUICK
@given(TEXTS, st.integers(0, 3), st.integers(0, 1))
def test_freqs_are_the_plain_ones_and_the_content_comes_back(
    text: bytes, seed: int, profile: int
) -> None:
    buckets, start = tiny.naive_buckets(model(seed)), tiny.naive_profile(model(seed), profile)
    plain = naive.model(buckets, start, text)
    steps = model_steps(model(seed), text, profile, Scratch())
    assert steps.tolist() == [cumfreq << 16 | freq for cumfreq, freq in plain]
    payload = bytes([profile]) + naive.store(*naive.rans_encode(plain))
    assert decompress_with(model(seed), payload, len(text)) == text
    assert all(freq >= 1 and cumfreq + freq <= 65_536 for cumfreq, freq in plain)


@QUICK
@given(st.binary(min_size=5, max_size=60), st.integers(0, 80), st.integers(0, 3))
def test_noise_decodes_or_is_refused_as_the_plain_one_does(
    noise: bytes, size: int, seed: int
) -> None:
    payload = bytes([seed % 2]) + noise
    found = outcome(model(seed), payload, size)
    assert found == plain_outcome(model(seed), payload, size)


@QUICK
@given(TEXTS.filter(bool), st.data(), st.integers(0, 3))
def test_damage_decodes_or_is_refused_as_the_plain_one_does(
    text: bytes, data: st.DataObject, seed: int
) -> None:
    buckets, start = tiny.naive_buckets(model(seed)), tiny.naive_profile(model(seed), 0)
    payload = bytearray(b"\0" + naive.encode(buckets, start, text))
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(8, 8 * len(payload) - 1))
        payload[bit // 8] ^= 1 << bit % 8
    kept = data.draw(st.integers(min(6, len(payload)), len(payload)))
    damaged = bytes(payload[:kept])
    found = outcome(model(seed), damaged, len(text))
    assert found == plain_outcome(model(seed), damaged, len(text))
    if found is not None:
        # What is accepted is what an encoder would write for it.
        assert naive.encode(buckets, start, found) == damaged[1:]


@QUICK
@given(st.binary(max_size=40), st.integers(0, 3000))
def test_a_short_payload_of_a_large_chunk_ends_without_harm(noise: bytes, size: int) -> None:
    found = outcome(model(0), b"\0" + noise, size)
    assert found is None or len(found) == size


@QUICK
@given(st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=16, max_size=16), st.booleans())
def test_any_weights_give_lawful_freqs(weights: list[int], same: bool) -> None:
    applied = [naive.applied(weight) for weight in weights]
    inputs = [
        [(j * 1009 + s * (0 if same else 7919)) % 30_000 - 13_000 for s in range(16)]
        for j in range(16)
    ]
    freqs = naive.mix(inputs, applied)
    assert freqs_of(np.array(inputs, np.int16), np.array(applied, np.int32)) == freqs
    assert sum(freqs) == 65_536
    assert 1 <= min(freqs) <= max(freqs) <= 65_521
