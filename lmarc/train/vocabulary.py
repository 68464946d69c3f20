"""Make a vocabulary of tokens: byte-level BPE, its tokens sorted into a tree by their neighbours.

Tokens that stand in like places are to share branches, so that a branch says much of what follows:
they are split in two along the direction in which their neighbours differ most, again and again.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.model.vocabulary import MAX_TOKEN_SIZE, MAX_TOKENS, Vocabulary

__all__ = [
    "pieces_of",
    "read_vocabulary",
    "require_tokenizers",
    "sorted_by_neighbours",
    "train_vocabulary",
    "write_vocabulary",
]

Array = npt.NDArray[Any]

PIECE: Final = 1 << 16  # bytes of text at a time
NEIGHBOURS: Final = 512  # tokens, the most frequent ones, that count as neighbours
DIRECTIONS: Final = 48  # of the neighbours' differences that are looked at
LEAF: Final = 16
HEADER: Final = b"lmarc vocabulary 1\n"


def require_tokenizers() -> None:
    """Raise ModuleNotFoundError where tokenizers is not installed."""
    importlib.import_module("tokenizers")


def train_vocabulary(texts: Mapping[str, bytes], size: int, limit: int) -> Vocabulary:
    """Return a vocabulary learnt from up to `limit` bytes of text, every domain by its size.

    Parameters
    ----------
    texts : mapping of str to bytes
        By domain.
    size : int
        Tokens, 256 to MAX_TOKENS.
    limit : int

    Raises
    ------
    ModelError
        For another size, or where the text is too short for so many tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if not 256 <= size <= MAX_TOKENS:
        raise ModelError(f"a vocabulary of {size} tokens is asked for, expected 256 to 4096")
    pieces = pieces_of(texts, limit)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_SIZE // 2,
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece.decode("utf-8", "ignore") for piece in pieces), trainer)
    bytes_of = _byte_level()
    found = {
        bytes(bytes_of[character] for character in token): None
        for token in sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    }
    if len(found) != size:
        raise ModelError(f"the text gives {len(found)} tokens, {size} are asked for")
    return sorted_by_neighbours(Vocabulary(list(found)), pieces)


def pieces_of(texts: Mapping[str, bytes], limit: int) -> list[bytes]:
    """Return pieces of text from all over it, up to `limit` bytes."""
    total = sum(map(len, texts.values()))
    stride = max(1, -(-total // max(1, limit)))
    return [
        texts[name][start : start + PIECE]
        for name in sorted(texts)
        for start in range(0, len(texts[name]), PIECE * stride)
    ]


def _byte_level() -> dict[str, int]:
    """Return the byte that each character of byte-level BPE stands for."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {
        chr(256 + number): byte for number, byte in enumerate(hidden)
    }


def sorted_by_neighbours(vocabulary: Vocabulary, pieces: list[bytes]) -> Vocabulary:
    """Return the same tokens, those with like neighbours in `pieces` beside each other."""
    count = len(vocabulary.tokens)
    pairs = np.zeros(count * count, np.int32)
    for piece in pieces:
        text = vocabulary.cut(piece).astype(np.int64)
        np.add.at(pairs, text[:-1] * count + text[1:], 1)
    table = pairs.reshape(count, count)
    often = np.argsort(-table.sum(1), kind="stable")[:NEIGHBOURS]
    profiles = []
    for side in (table[:, often], table[often].T):
        shares = side / (side.sum(1, keepdims=True) + 16.0)
        profiles.append(np.sqrt(shares))
    points = np.concatenate(profiles, 1)
    points -= points.mean(0)
    _, _, directions = np.linalg.svd(points, full_matrices=False)
    order = _split(points @ directions[:DIRECTIONS].T, np.arange(count))
    return Vocabulary([vocabulary.tokens[number] for number in order])


def _split(points: Array, members: Array) -> list[int]:
    """Return `members` in order: halves along the direction in which they differ most."""
    if len(members) <= 2:
        return [int(member) for member in members]
    own = points[members] - points[members].mean(0)
    _, vectors = np.linalg.eigh(own.T @ own)
    direction = vectors[:, -1]
    direction = direction * (1 if direction[np.abs(direction).argmax()] > 0 else -1)
    order = members[np.argsort(own @ direction, kind="stable")]
    half = len(members) // 2
    if len(members) > LEAF:
        half = -(-half // LEAF) * LEAF
    return _split(points, order[:half]) + _split(points, order[half:])


def write_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Write a vocabulary as a file: a line of text, then a line of hexadecimal for each token."""
    lines = "".join(f"{token.hex()}\n" for token in vocabulary.tokens)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_bytes(HEADER + lines.encode())
    temporary.replace(path)


def read_vocabulary(path: Path) -> Vocabulary:
    """Return the vocabulary of a file.

    Raises
    ------
    ModelError
        When it holds none.
    OSError
        When it cannot be read.
    """
    data = path.read_bytes()
    if not data.startswith(HEADER):
        raise ModelError(f"{path} is no vocabulary that 'lmarc train vocab' has written")
    try:
        tokens = [bytes.fromhex(line.decode()) for line in data[len(HEADER) :].splitlines()]
    except ValueError as exc:
        raise ModelError(f"{path} holds a line that is not hexadecimal") from exc
    return Vocabulary(tokens)
