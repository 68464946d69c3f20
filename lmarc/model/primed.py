"""A primed model: a text that stands before every chunk, and the model that codes both.

spec/v1/model-file.md, section 6.2. What a chunk would have to learn of text like its own it knows
from its first byte on, for the price of the text once an archive: what a dictionary is to zstd.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from lmarc.errors import ModelError
from lmarc.model import file

__all__ = ["MAX_TEXT", "Primed", "pack", "parse"]

SECTIONS: Final = ("card", "below", "text")
DIGEST_SIZE: Final = 32
MAX_TEXT: Final = 1 << 18  # bytes


class Primed(NamedTuple):
    """What a primed model is made of."""

    below: bytes  # SHA-256 of the model below
    inside: bytes | None  # its file, where it is inside
    text: bytes


def parse(sections: Mapping[str, bytes]) -> Primed:
    """Return what a file's sections hold.

    Raises
    ------
    ModelError
        When they are not those of a primed model.
    """
    if tuple(sections) != SECTIONS:
        raise ModelError(
            f"primed model has sections {', '.join(sections)}; expected {', '.join(SECTIONS)}"
        )
    text, below = sections["text"], sections["below"]
    if not 1 <= len(text) <= MAX_TEXT:
        raise ModelError(
            f"section text of a primed model holds {len(text)} bytes, expected 1 to {MAX_TEXT}"
        )
    if len(below) == DIGEST_SIZE:
        return Primed(below, None, text)
    return Primed(hashlib.sha256(below).digest(), below, text)


def pack(card: bytes, below: bytes, text: bytes) -> bytes:
    """Return the file of a primed model.

    Parameters
    ----------
    card : bytes
        The model card, JSON text.
    below : bytes
        The model below, an n-gram model or a multi-scale one: its SHA-256, or its file to have it
        inside.
    text : bytes
        1 byte to `MAX_TEXT`.

    Raises
    ------
    ModelError
        When the text has another size.
    """
    sections = {"card": card, "below": below, "text": text}
    parse(sections)
    return file.pack(file.KIND_PRIMED, sections)
