"""A vocabulary is learnt from text, sorted by neighbours, and kept in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.model.vocabulary import Vocabulary
from lmarc.train.vocabulary import (
    pieces_of,
    read_vocabulary,
    sorted_by_neighbours,
    train_vocabulary,
    write_vocabulary,
)

TEXTS = {"prose": vectors.prose("vocabulary", 60_000), "json": vectors.records("v", 40_000)}


def test_tokens_are_those_that_text_has_often() -> None:
    vocabulary = train_vocabulary(TEXTS, 400, 1 << 20)
    assert len(vocabulary.tokens) == 400
    assert b" the" in vocabulary.tokens
    text = TEXTS["prose"][:9000]
    assert len(vocabulary.cut(text)) < len(text) / 2
    assert vocabulary.join(vocabulary.cut(text)) == text
    assert train_vocabulary(TEXTS, 400, 1 << 20).tokens == vocabulary.tokens


def test_tokens_in_like_places_stand_together() -> None:
    words, marks = [b"%c%c" % (97 + n, 97 + n) for n in range(16)], [b"!%d" % n for n in range(9)]
    text = b"".join(words[n * 7 % 16] + marks[n * 5 % 9] for n in range(4000))
    vocabulary = Vocabulary([bytes([byte]) for byte in range(256)] + words + marks)
    tokens = sorted_by_neighbours(vocabulary, [text]).tokens
    assert sorted(tokens) == sorted(vocabulary.tokens)
    places = sorted(tokens.index(word) for word in words)
    assert places[-1] - places[0] < 40


def test_pieces_are_from_all_over_the_text() -> None:
    pieces = pieces_of({"a": bytes(1 << 20), "b": b"x" * (1 << 20)}, 1 << 19)
    assert {piece[:1] for piece in pieces} == {b"\0", b"x"}
    assert 1 << 18 <= sum(map(len, pieces)) <= 1 << 19


def test_a_vocabulary_comes_back_from_its_file(tmp_path: Path) -> None:
    vocabulary = vectors.small_subword().vocabulary
    write_vocabulary(vocabulary, tmp_path / "tokens")
    assert read_vocabulary(tmp_path / "tokens").tokens == vocabulary.tokens


@pytest.mark.parametrize("data", [b"", b"any", b"lmarc vocabulary 1\nxy\n"])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(data)
    with pytest.raises(ModelError):
        read_vocabulary(tmp_path / "tokens")


@pytest.mark.parametrize("size", [255, 4097])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ModelError, match="expected 256 to 4096"):
        train_vocabulary(TEXTS, size, 1 << 20)


def test_too_little_text_is_said() -> None:
    with pytest.raises(ModelError, match="are asked for"):
        train_vocabulary({"a": b"some words"}, 400, 1 << 20)
