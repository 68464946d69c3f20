"""The vectors of spec/v1/transformer.md and subword.md hold for kernels and reference decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmarc.kernels import contexts, tokens, transformer
from lmarc.kernels._jit import integer, kernel
from lmarc.kernels._vector import store_i16
from lmarc.model.ngram import thread_scratch
from lmarc.model.transformer import Sizes, kernel_of, memory_of
from tests import naive_transformer
from tests.test_spec_vectors import tables, vectors
from tools import reference_decoder


@kernel
def norm_of(net: Any, memory: Any) -> None:
    """Write the norm of the stream."""
    transformer._norm(net, memory, 0)


@kernel
def rounded_of(memory: Any, out: Any) -> None:
    """Write sums as queries have them."""
    store_i16(out, 0, transformer._rounded(memory, 0))


@kernel
def attend_of(net: Any, memory: Any, sums: Any, steps: Any) -> None:
    """Put keys and values of some steps into the ring, and let the last attend."""
    for step in range(steps):
        for at in range(48):
            memory.sums[at] = sums[48 * step + at]
        transformer._put(memory, 0, 16, 0, step)
    transformer._attend(net, memory, 0, 0, steps - 1)


@kernel
def keys_of(cursor: Any, fields: Any, flags: Any, text: Any, keys: Any) -> None:
    """Write the keys behind some tokens."""
    contexts.reset(cursor, fields)
    for position in range(len(text)):
        tokens.advance(cursor, fields, flags, position, integer(text[position]))
    tokens.compute_keys(cursor, fields, text, len(text), keys)


def numbers(cell: str) -> list[int]:
    return [int(number, 0) for number in cell.split()]


def small() -> tuple[Any, Any]:
    sizes = Sizes(16, 1, 1, 16, 16)
    net = kernel_of(sizes, naive_transformer.random_arrays(1, sizes))
    return net, memory_of(sizes, 1)


def test_streams_are_divided_by_their_root_mean_square() -> None:
    net, memory = small()
    (rows,) = tables(vectors("transformer.md", "transformer-norm"))
    for stream, expected in rows:
        memory.stream[:] = numbers(stream)
        norm_of(net, memory)
        assert memory.normed.tolist() == numbers(expected)
        assert reference_decoder.norm(numbers(stream)) == numbers(expected)
        assert naive_transformer.norm(numbers(stream)) == numbers(expected)


def test_totals_become_int8() -> None:
    _, memory = small()
    (rows,) = tables(vectors("transformer.md", "transformer-functions"))
    out = np.zeros(16, np.int16)
    for total, int8, square, correction in ([int(cell) for cell in row] for row in rows):
        memory.sums[:16] = total
        rounded_of(memory, out)
        assert set(out.tolist()) == {int8}
        assert reference_decoder.clamp(total + 512 >> 10, 127) == int8
        inner = min(max(total >> 5, 0), 2047)
        assert min(inner * inner + (1 << 14) >> 15, 127) == square
        assert reference_decoder.clamp(total >> 5, 8191) == correction


def test_attention_finds_what_the_page_says() -> None:
    (rows,) = tables(vectors("transformer.md", "transformer-attention"))
    for row in rows:
        queries = numbers(row[0])
        keys, values = ([numbers(step) for step in cell.split(";")] for cell in row[1:3])
        net, memory = small()
        # A sum that is rounded to x is 1024 x.
        sums = [
            1024 * np.array([*queries, *key, *value])
            for key, value in zip(keys, values, strict=True)
        ]
        attend_of(net, memory, np.concatenate(sums).astype(np.int32), len(sums))
        assert memory.mixed.tolist() == numbers(row[3])
        sizes = Sizes(16, 1, 1, 16, 16)
        past = list(zip(keys, values, strict=True))
        assert naive_transformer.attention(sizes, queries, past) == numbers(row[3])


def test_keys_are_those_of_the_page() -> None:
    (rows,) = tables(vectors("subword.md", "subword-keys"))
    expected = [int(key, 0) for _, key in rows]
    text = [3, 2, 0, 1, 0, 2, 3, 1, 3]
    known = reference_decoder.TokenContexts([b"a", b"b\n", b", ", b"cd"])
    for token in text:
        known.take(token)
    assert known.raw_keys() == expected
    state = thread_scratch().state(11, 13)
    flags = np.array([0, 3, 2, 0], np.uint8)
    keys_of(state.cursor, state.fields, flags, np.array(text, np.uint16), state.keys)
    assert state.keys[:10].tolist() == [reference_decoder.key_of(raw) for raw in expected]
