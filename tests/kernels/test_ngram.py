"""The whole step equals the plain restatement, in encoder and decoder; damage is refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lmarc.codec.ngram import model_steps, table_bits
from lmarc.kernels import ngram, rans
from lmarc.model.ngram import NgramModel, Scratch
from tests import naive, tiny

TEXTS = {
    "empty": b"",
    "one byte": b"x",
    "prose": tiny.prose(1, 700),
    "table": tiny.table(2, 700),
    "noise": random.Random(3).randbytes(500),
    "run": b"a" * 600,
    "long match": tiny.prose(4, 300) * 3,
    "utf-8": "Größe, 数据; naïve — 文本\n".encode() * 12,
    "every byte": bytes(range(256)) * 2,
}
Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def model() -> NgramModel:
    """A model with rows for part of the texts, and full buckets that spill."""
    return tiny.random_model(5, TEXTS["prose"][:60] + TEXTS["table"][:60], n_buckets=90)


def steps_of(model: NgramModel, text: bytes, profile: int = 0) -> list[tuple[int, int]]:
    steps = model_steps(model, text, profile, Scratch())
    return [(int(step) >> 16, int(step) & 0xFFFF) for step in steps]


def decode(model: NgramModel, words: Array, size: int, profile: int = 0) -> tuple[int, bytes]:
    bits, match_bits = table_bits(size)
    text = np.zeros(size + 1, np.uint8)
    read = ngram.decode(
        model.static(profile),
        model.weights(profile),
        Scratch().state(bits, match_bits),
        words,
        text,
        bits,
        32 - match_bits,
        0,
        True,
    )
    return read, text[:size].tobytes()


def words_of(model: NgramModel, text: bytes, profile: int = 0) -> Array:
    steps = model_steps(model, text, profile, Scratch())
    words = np.zeros(len(text) + 2, np.uint32)
    return words[rans.encode(steps, words) :].copy()


@pytest.mark.parametrize("profile", [0, 1])
@pytest.mark.parametrize("name", TEXTS)
def test_freqs_are_the_plain_ones(model: NgramModel, name: str, profile: int) -> None:
    text = TEXTS[name]
    plain = naive.model(tiny.naive_buckets(model), tiny.naive_profile(model, profile), text)
    assert steps_of(model, text, profile) == plain


@pytest.mark.parametrize("n_buckets", [1, 2, 5000])
def test_few_and_many_buckets_are_looked_up_alike(n_buckets: int) -> None:
    text = TEXTS["prose"][:400]
    model = tiny.random_model(6, text, n_buckets)
    plain = naive.model(tiny.naive_buckets(model), tiny.naive_profile(model, 0), text)
    assert steps_of(model, text) == plain


@pytest.mark.parametrize("size", [4096, 4097, 8192, 8193, 16_384, 16_385])
def test_the_size_of_the_content_decides_the_tables(model: NgramModel, size: int) -> None:
    # What follows 40 bytes differs between sizes only by the collisions of smaller tables.
    text = random.Random(size).randbytes(size)
    bits, match_bits = table_bits(size)
    assert (bits, match_bits) == (naive.table_bits(size), naive.table_bits(size) + 2)
    assert decode(model, words_of(model, text), size) == (len(words_of(model, text)), text)


@pytest.mark.parametrize("size", [4097, 16_385])
def test_larger_tables_are_used_as_the_plain_coder_does(model: NgramModel, size: int) -> None:
    text = tiny.table(7, 300)
    steps = steps_of(model, text + bytes(size - len(text)))[:600]
    coder = naive.Coder(tiny.naive_buckets(model), tiny.naive_profile(model, 0), size)
    plain = []
    for byte in text:
        coder.start_byte()
        for half, symbol in enumerate((byte >> 4, byte & 15)):
            freqs = coder.predict(half, byte >> 4)
            plain.append((sum(freqs[:symbol]), freqs[symbol]))
            coder.learn(symbol)
        coder.end_byte(byte)
    assert steps == plain


@pytest.mark.parametrize("name", TEXTS)
def test_decoding_inverts_encoding_and_reads_every_word(model: NgramModel, name: str) -> None:
    words = words_of(model, TEXTS[name])
    assert decode(model, words, len(TEXTS[name])) == (len(words), TEXTS[name])


def test_the_words_are_the_plain_ones(model: NgramModel) -> None:
    plain = naive.rans_encode(
        naive.model(tiny.naive_buckets(model), tiny.naive_profile(model, 1), TEXTS["table"])
    )
    high, low, *others = words_of(model, TEXTS["table"], 1).tolist()
    assert (high << 32 | low, others) == plain


def test_scratch_memory_keeps_nothing_between_chunks(model: NgramModel) -> None:
    scratch = Scratch()
    texts = [TEXTS["prose"], TEXTS["noise"], TEXTS["prose"]]
    first, _, again = [model_steps(model, text, 0, scratch).tolist() for text in texts]
    assert first == again


def test_the_model_is_not_changed(model: NgramModel) -> None:
    before = model.pack(b"{}")
    steps_of(model, TEXTS["table"])
    assert model.pack(b"{}") == before


@pytest.mark.parametrize("missing", [1, 2, 5])
def test_missing_words_are_noticed(model: NgramModel, missing: int) -> None:
    words = words_of(model, TEXTS["prose"])
    read, _ = decode(model, words[:-missing].copy(), len(TEXTS["prose"]))
    assert read == rans.CORRUPT


def test_words_left_over_are_noticed(model: NgramModel) -> None:
    words = words_of(model, TEXTS["prose"])
    more = np.append(words, np.uint32(7))
    assert decode(model, more, len(TEXTS["prose"]))[0] != len(more)


@pytest.mark.parametrize(
    "words", [[], [1], [1 << 31, 0], [0, (1 << 31) - 1, 5], [0xFFFFFFFF, 0xFFFFFFFF]]
)
def test_states_out_of_range_are_refused(model: NgramModel, words: list[int]) -> None:
    assert decode(model, np.array(words, np.uint32), 9)[0] == rans.CORRUPT


def test_a_small_state_without_words_is_lawful(model: NgramModel) -> None:
    assert decode(model, np.array([0, 0], np.uint32), 0) == (2, b"")
    assert decode(model, np.array([0, 1], np.uint32), 0)[0] == rans.CORRUPT


def test_the_cost_is_close_to_the_size_of_the_payload(model: NgramModel) -> None:
    steps = model_steps(model, TEXTS["prose"], 0, Scratch())
    size = 4 * len(words_of(model, TEXTS["prose"]))
    assert abs(ngram.cost(steps) / 8192 - size) < 8
