"""A vocabulary: tokens of bytes at the leaves of a tree of three levels, sixteen branches each.

spec/v1/subword.md, section 2. A token's number is its leaf: four bits for each level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import segment

__all__ = ["LEVELS", "MAX_TOKENS", "MAX_TOKEN_SIZE", "Vocabulary"]

Array = npt.NDArray[Any]

LEVELS: Final = 3
MAX_TOKENS: Final = 16**LEVELS
MAX_TOKEN_SIZE: Final = 64  # bytes
NEWLINE: Final = 1
SEPARATOR: Final = 2
_SEPARATORS: Final = b",\t;|\n"


class Vocabulary:
    """Tokens by number, read-only; every single byte is one.

    Parameters
    ----------
    tokens : sequence of bytes
        256 to MAX_TOKENS, all different.

    Raises
    ------
    ModelError
        For tokens that are not such.
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self.tokens = tuple(tokens)
        count = len(self.tokens)
        if not 256 <= count <= MAX_TOKENS:
            raise ModelError(f"a vocabulary has {count} tokens, expected 256 to {MAX_TOKENS}")
        if not all(1 <= len(token) <= MAX_TOKEN_SIZE for token in self.tokens):
            raise ModelError(f"a token is empty or has more than {MAX_TOKEN_SIZE} bytes")
        if len(set(self.tokens)) < count or sum(len(token) == 1 for token in self.tokens) < 256:
            raise ModelError("a vocabulary has a token twice, or lacks a byte")
        self.sizes = np.array([len(token) for token in self.tokens], np.int32)
        self.text = np.frombuffer(b"".join(self.tokens), np.uint8)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int32)
        # What the contexts of lines and fields look at.
        self.flags = np.array(
            [
                (NEWLINE if b"\n" in token else 0)
                | (SEPARATOR if any(byte in _SEPARATORS for byte in token) else 0)
                for token in self.tokens
            ],
            np.uint8,
        )
        slots = 1 << (2 * len(self.text)).bit_length()
        self._edges = np.full(slots, segment.NONE, np.int32)
        self._children = np.zeros(slots, np.int32)
        self._ends = np.full(len(self.text) + 1, segment.NONE, np.int32)
        segment.build(self.sizes, self.text, self._edges, self._children, self._ends)

    def cut(self, content: bytes) -> Array:
        """Return the tokens of some bytes: uint16, shape (count,)."""
        text = np.frombuffer(content, np.uint8)
        found = np.empty(len(text), np.uint16)
        count = segment.cut(text, self._edges, self._children, self._ends, found)
        return found[:count].copy()

    def join(self, numbers: Array) -> bytes:
        """Return the bytes that tokens stand for."""
        return b"".join(self.tokens[number] for number in numbers.tolist())
