"""Contexts of training text are counted as a plain count would, in pieces."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lmarc.kernels import counting
from tests import naive, tiny

Array = npt.NDArray[Any]
TEXT = tiny.prose(1, 900) + tiny.table(2, 700)
STARTS = [0, 500, 900, 1600]
CAP, SEEN_BITS, BITS, TABLE_BITS = 3, 19, 20, 16


def plain_counts(lane: int) -> dict[int, Counter[int]]:
    """Return symbol counts by id, the first three visits of each piece."""
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for begin, end in pairwise(STARTS):
        walk = naive.Contexts()
        visits: Counter[int] = Counter()
        for byte in TEXT[begin:end]:
            key = walk.keys()[lane]
            for salt, symbol in ((0, byte >> 4), (1 + (byte >> 4), byte & 15)):
                id_ = key | salt << 32
                visits[id_] += 1
                if visits[id_] <= CAP:
                    counts[id_][symbol] += 1
            walk.advance(byte)
    return counts


def arrays() -> tuple[Array, Array]:
    return np.frombuffer(TEXT, np.uint8), np.array(STARTS, np.int64)


def counted(lane: int, least: int, table_bits: int = TABLE_BITS) -> tuple[int, Array, Array]:
    text, starts = arrays()
    sketch, seen = np.zeros(1 << BITS, np.uint8), np.zeros(1 << SEEN_BITS, np.uint8)
    counting.sketch(text, starts, lane, CAP, BITS, SEEN_BITS, sketch, seen, *tiny.scratch_arrays())
    ids = np.full(1 << table_bits, -1, np.int64)
    counts = np.zeros((1 << table_bits, 16), np.uint32)
    found = counting.count(
        text, starts, lane, CAP, BITS, SEEN_BITS, sketch, seen, *tiny.scratch_arrays(),
        least, table_bits, ids, counts,
    )  # fmt: skip
    return found, ids, counts


@pytest.mark.parametrize("lane", [naive.ORDER_2, naive.ORDER_6, naive.WORD, naive.WORD_PAIR])
def test_counts_are_the_plain_ones(lane: int) -> None:
    found, ids, counts = counted(lane, 1)
    plain = plain_counts(lane)
    assert found == len(plain)
    rows = {int(ids[at]): counts[at].tolist() for at in np.flatnonzero(ids >= 0)}
    assert rows == {id_: [seen[s] for s in range(16)] for id_, seen in plain.items()}


def test_rare_contexts_are_left_out() -> None:
    _, ids, _ = counted(naive.ORDER_3, 4)
    wanted = {id_ for id_, seen in plain_counts(naive.ORDER_3).items() if seen.total() >= 4}
    found = set(ids[ids >= 0].tolist())
    assert wanted <= found
    assert len(found - wanted) < 3  # contexts that collide in the sketch add up


def test_a_table_that_is_too_small_says_so() -> None:
    assert counted(naive.ORDER_6, 1, table_bits=8)[0] == -1


def test_parents_are_the_shorter_contexts_where_first_met() -> None:
    lane, parent = naive.ORDER_4, naive.ORDER_3
    ids = [np.sort(table[table >= 0]) for table in (counted(lane, 2)[1], counted(parent, 2)[1])]
    indices = []
    for table in ids:
        index = np.full(1 << 14, -1, np.int32)
        counting.fill_index(table, 14, index)
        assert sorted(index[index >= 0].tolist()) == list(range(len(table)))
        indices.append(index)
    parents = np.full(len(ids[0]), -2, np.int32)
    text, starts = arrays()
    counting.link(
        text, starts, lane, parent, ids[0], 14, indices[0], ids[1], 14, indices[1],
        *tiny.scratch_arrays(), parents,
    )  # fmt: skip
    known = set(ids[1].tolist())
    expected: dict[int, int | None] = {}
    for begin, end in pairwise(STARTS):
        walk = naive.Contexts()
        for byte in TEXT[begin:end]:
            keys = walk.keys()
            for salt in (0, (1 + (byte >> 4)) << 32):
                shorter = keys[parent] | salt
                expected.setdefault(keys[lane] | salt, shorter if shorter in known else None)
            walk.advance(byte)
    for id_, row in zip(ids[0].tolist(), parents.tolist(), strict=True):
        assert (int(ids[1][row]) if row >= 0 else None) == expected[id_]
