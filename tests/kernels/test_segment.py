"""Text is cut into the longest tokens."""

from __future__ import annotations

import random

from lmarc.codec import vectors
from lmarc.model.vocabulary import Vocabulary


def longest(tokens: tuple[bytes, ...], content: bytes) -> list[int]:
    """Cut in the plain way."""
    numbers = {token: number for number, token in enumerate(tokens)}
    found, at = [], 0
    while at < len(content):
        size = max(n for n in range(1, 65) if content[at : at + n] in numbers)
        found.append(numbers[content[at : at + size]])
        at += len(content[at : at + size])
    return found


def test_the_longest_token_is_taken_at_each_place() -> None:
    choose = random.Random(5)
    pieces = {bytes(choose.choices(b"abc", k=choose.randrange(2, 9))) for _ in range(300)}
    vocabulary = Vocabulary([bytes([byte]) for byte in range(256)] + sorted(pieces))
    for size in (0, 1, 2, 700):
        content = bytes(choose.choices(b"abcd", k=size))
        assert vocabulary.cut(content).tolist() == longest(vocabulary.tokens, content)


def test_what_is_cut_joins_again() -> None:
    vocabulary = vectors.small_subword().vocabulary
    for name in ("prose-4095", "chinese-8192", "noise-8192"):
        content = vectors.content_of(name)
        cut = vocabulary.cut(content)
        assert vocabulary.join(cut) == content
        assert name == "noise-8192" or len(cut) < len(content)
