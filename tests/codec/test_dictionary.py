"""A dictionary is made where it pays, and only there."""

import random

from lmarc.codec.dictionary import train_dictionary
from lmarc.codec.zstd import DICTIONARY_CODEC, PLAIN_CODEC


def records(count: int, chunk_size: int, seed: int = 1) -> list[bytes]:
    """Text with more words than a chunk of it holds, so that a dictionary helps."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=12)) for _ in range(3000)]
    text = " ".join(rng.choices(words, k=count)).encode()
    return [text[start : start + chunk_size] for start in range(0, len(text), chunk_size)]


def test_a_dictionary_saves_more_than_its_own_size() -> None:
    samples = records(100_000, 4096)
    dictionary = train_dictionary(samples, 3)
    assert dictionary is not None
    plain = sum(len(PLAIN_CODEC.compress(sample, 3)) for sample in samples)
    coded = sum(len(DICTIONARY_CODEC.compress(sample, 3, dictionary)) for sample in samples)
    assert coded + len(dictionary) + 80 < plain


def test_the_same_samples_give_the_same_dictionary() -> None:
    samples = records(60_000, 4096)
    assert train_dictionary(samples, 3) == train_dictionary(list(samples), 3)


def test_large_chunks_that_learn_the_words_by_themselves_get_none() -> None:
    assert train_dictionary(records(100_000, 1 << 20), 3) is None


def test_little_text_gets_none() -> None:
    assert train_dictionary([], 3) is None
    assert train_dictionary(records(1000, 4096), 3) is None


def test_text_that_the_trainer_refuses_gets_none() -> None:
    assert train_dictionary([bytes(1 << 20)], 3) is None


def test_noise_gets_none() -> None:
    rng = random.Random(1)
    assert train_dictionary([rng.randbytes(4096) for _ in range(200)], 3) is None
