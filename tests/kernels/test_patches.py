"""A network with patches is the plain one of the reference decoder, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.kernels import patches
from lmarc.model.neural import NeuralModel
from lmarc.model.patches import SECTIONS
from lmarc.model.transformer import Sizes
from tests.kernels.test_network import plain_steps, says_the_same, walk, walk_together
from tests.naive_neural import random_network

SIZES = Sizes(32, 2, 2, 48, 16)
# Words longer than a patch, runs of what parts words, bytes that are no ASCII, and more patches
# than attention sees.
TEXT = (
    b"The unbelievable, so-called -- 'fox' (x)... jum\xc3\xa9ps!!\n\n12345678 123456789\t"
    b"\xff\xfe\x00\x01 "
    b"a b c d e f g h i j k l m n o p q r s t u v w x y z @[`{ A.Z/0:9 zzzzzzzzzzzzzzzzzzzz"
)


def given(text: bytes, seed: int = 1) -> tuple[Any, Any, Any]:
    """Return what a network sees before each byte of a text, its high nibbles, random freqs."""
    content = np.frombuffer(text, np.uint8).astype(np.int64)
    padded = np.concatenate([np.zeros(2, np.int64), content])
    past = np.stack([padded[1:-1], padded[:-2]], 1).reshape(-1)
    freqs = np.random.default_rng(seed).integers(1, 65_000, 32 * len(text)).astype(np.int32)
    return past, content >> 4, freqs


def walked(model: NeuralModel, text: bytes, rows: int) -> list[int]:
    out = np.zeros(32 * len(text), np.int32)
    walk(model.network, model.hidden(rows, 1), *given(text), rows, out)
    return out.tolist()


@pytest.mark.parametrize("rows", [1, 3, 16, 64])
@pytest.mark.parametrize("layers", [2, 4])
def test_it_is_the_plain_one_however_many_bytes_are_taken_together(layers: int, rows: int) -> None:
    model = random_network(layers, 48, 32, layers=layers, patches=SIZES)
    assert walked(model, TEXT, rows) == plain_steps(model, *given(TEXT))


@pytest.mark.parametrize("exponents", [0, 10])
@pytest.mark.parametrize("start", [b"", b"...", b"word", b"\x80", b" a"])
def test_it_is_the_plain_one_at_the_ends(start: bytes, exponents: int) -> None:
    model = random_network(7, 16, 16, exponents, patches=Sizes(16, 1, 1, 16, 16))
    text = start + TEXT[:40]
    assert walked(model, text, 5) == plain_steps(model, *given(text))


@pytest.mark.parametrize("count", [1, 4, 5])
def test_each_of_several_chunks_has_patches_of_its_own(count: int) -> None:
    model = random_network(3, 32, 48, layers=3, patches=SIZES)
    texts = [TEXT[7 * chunk :][:60] for chunk in range(count)]
    known = [given(text, seed) for seed, text in enumerate(texts)]
    out = np.zeros((count, 32 * 60), np.int32)
    past, highs, freqs = (np.stack(part) for part in zip(*known, strict=True))
    walk_together(model.network, model.hidden(count), past, highs, freqs, out)
    for found, own in zip(out, known, strict=True):
        assert found.tolist() == plain_steps(model, *own)


def test_a_chunk_starts_from_nothing() -> None:
    model = random_network(3, 32, 32, patches=SIZES)
    hidden, found = model.hidden(4, 1), []
    for _ in range(2):
        out = np.zeros(32 * len(TEXT), np.int32)
        walk(model.network, hidden, *given(TEXT), 4, out)
        found.append(out.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("name", SECTIONS[1:])
def test_every_number_of_patches_counts(name: str) -> None:
    """No array is read at another's place: what changes one changes what comes out."""
    model = random_network(11, 16, 32, exponents=6, patches=SIZES)
    array = model.arrays[name]
    changed = array + 1 if name.endswith("_exp") else np.roll(array, 1, axis=-1)
    other = NeuralModel({**model.arrays, name: changed}, model.ngram)
    found = walked(other, TEXT[:50], 3)
    assert found == plain_steps(other, *given(TEXT[:50]))
    assert found != walked(model, TEXT[:50], 3)


def test_bytes_that_part_words_are_ascii_and_no_letters_or_digits() -> None:
    parts_words = getattr(patches.parts_words, "function", patches.parts_words)
    found = [byte for byte in range(256) if parts_words(byte)]
    assert found == [byte for byte in range(128) if not chr(byte).isalnum()]


# Where nothing is compiled, what the processor has can be chosen.
BOTH_WAYS = """
from unittest.mock import patch
from lmarc.kernels import network, products, transformer
from lmarc.model import neural, transformer as sizes
from lmarc.model import patches as model_patches
from tests.kernels.test_patches import SIZES, TEXT, given, plain_steps, walked
from tests.naive_neural import random_network
for quads in (True, False):
    modules = (network, products, transformer, neural, sizes, model_patches)
    patched = [patch.object(module, "QUADS", quads) for module in modules]
    patched.append(patch.object(network, "PACKED", 4 if quads else 2))
    for one in patched:
        one.start()
    model = random_network(2, 32, 16, patches=SIZES)
    for rows in (1, 3):
        assert walked(model, TEXT[:40], rows) == plain_steps(model, *given(TEXT[:40])), quads
    for one in patched:
        one.stop()
print("the same")
"""


def test_bytes_are_multiplied_as_pairs_are() -> None:
    says_the_same(BOTH_WAYS)
