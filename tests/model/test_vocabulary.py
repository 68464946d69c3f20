"""A vocabulary has every byte and nothing twice."""

from __future__ import annotations

import pytest

from lmarc.errors import ModelError
from lmarc.model.vocabulary import Vocabulary

BYTES = [bytes([byte]) for byte in range(256)]


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (BYTES[:255], "has 255 tokens"),
        (BYTES + [b"%04d" % n for n in range(3841)], "has 4097 tokens"),
        ([*BYTES, b""], "empty"),
        ([*BYTES, bytes(65)], "more than 64"),
        ([*BYTES, b"ab", b"ab"], "twice"),
        ([*BYTES[:255], b"ab"], "lacks a byte"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tokens: list[bytes], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        Vocabulary(tokens)


def test_flags_say_where_lines_and_fields_end() -> None:
    vocabulary = Vocabulary([*BYTES, b"a\n", b"a;b", b"\n,", b"ab"])
    assert vocabulary.flags[256:].tolist() == [3, 2, 3, 0]
    assert [number for number in range(256) if vocabulary.flags[number]] == [9, 10, 44, 59, 124]


def test_the_largest_and_the_smallest_vocabulary_cut() -> None:
    full = Vocabulary(BYTES + [b"%04d" % n for n in range(3839)] + [b"x" * 64])
    assert full.cut(b"00170018" + b"x" * 65).tolist() == [256 + 17, 256 + 18, 4095, ord("x")]
    assert Vocabulary(BYTES).cut(b"any").tolist() == list(b"any")
    assert full.cut(b"").tolist() == []
