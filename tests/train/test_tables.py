"""Rows that save bits are kept, quantised to the nearest level, and placed."""

from __future__ import annotations

import numpy as np
import pytest

from lmarc.kernels import contexts
from lmarc.kernels.ngram import STATIC_LANES
from lmarc.model.ngram import NgramModel
from lmarc.train.counts import Counts
from lmarc.train.mixing import initial_profiles
from lmarc.train.tables import LEVELS, Rows, choose, fill_buckets, quantise
from tests import naive, tiny


def test_levels_are_those_of_the_coder() -> None:
    assert [-int(level) for level in LEVELS] == [naive.level_input(q) for q in range(16)]


def test_probabilities_go_to_the_nearest_level() -> None:
    probabilities = 2.0 ** (-LEVELS / 1024)
    assert quantise(probabilities).tolist() == list(range(16))
    assert quantise(np.array([[0.0, 1.0]])).tolist() == [[15, 0]]
    bits = np.random.default_rng(1).random(1000) * 14_000
    levels = quantise(2.0 ** (-bits / 1024))
    nearest = np.abs(LEVELS[:, None] - bits).min(axis=0)
    assert np.abs(LEVELS[levels] - bits) == pytest.approx(nearest)


def counted(**lanes: tuple[list[int], list[list[int]], list[int]]) -> dict[int, Counts]:
    """Return counts of lanes by their names; all others are empty."""
    empty = Counts(np.zeros(0, np.int64), np.zeros((0, 16), np.uint32), np.zeros(0, np.int32))
    result = dict.fromkeys(STATIC_LANES, empty)
    for name, (ids, counts, parents) in lanes.items():
        result[getattr(contexts, name)] = Counts(
            np.array(ids, np.int64), np.array(counts, np.uint32), np.array(parents, np.int32)
        )
    return result


SURE, EVEN = [50] + [0] * 15, [4] * 16


def test_a_row_that_says_nothing_new_is_left_out() -> None:
    rows = choose(
        counted(ORDER_2=([7, 8], [SURE, EVEN], [-1, -1]), ORDER_3=([9], [SURE], [0])), 8.0
    )
    # Sure order 2 saves; an even row is what stands in for it; order 3 repeats its parent.
    assert rows.ids.tolist() == [7]
    assert rows.levels[0, 0] == 0
    assert rows.savings[0] > 100


def test_a_longer_context_that_differs_is_kept() -> None:
    other = [0] * 15 + [50]
    rows = choose(counted(ORDER_2=([7], [SURE], [-1]), ORDER_3=([9], [other], [0])), 8.0)
    assert rows.ids.tolist() == [7, 9]
    assert rows.levels[1, 15] < rows.levels[1, 0]


def test_a_row_is_smoothed_with_the_shorter_context_that_was_kept() -> None:
    few = [0, 3] + [0] * 14
    child = counted(ORDER_2=([7], [SURE], [-1]), ORDER_3=([9], [few], [0]))
    orphan = counted(ORDER_2=([7], [SURE], [-1]), ORDER_3=([9], [few], [-1]))
    smooth, alone = (choose(counts, 2.0).levels[1] for counts in (child, orphan))
    assert smooth[0] < alone[0]
    assert smooth[5] > alone[5]


def test_placed_rows_are_found_by_the_coder() -> None:
    random = np.random.default_rng(2)
    ids = np.unique(random.integers(0, 1 << 37, 600)) % (17 << 32)
    levels = random.integers(1, 16, (len(ids), 16)).astype(np.uint8)
    savings = random.random(len(ids)).astype(np.float32)
    buckets, dropped = fill_buckets(Rows(ids, levels, savings))
    assert dropped < len(ids) / 20
    plain = tiny.naive_buckets(NgramModel(buckets, initial_profiles(1)))
    found = 0
    for id_, row in zip(ids.tolist(), levels.tolist(), strict=True):
        key, salt = id_ & 0xFFFFFFFF, id_ >> 32
        found += naive.find_static(plain, key, naive.row_hash(key, salt)) == row
    assert found >= len(ids) - dropped - 2


def test_the_most_useful_rows_are_placed_first() -> None:
    # Seven rows for one bucket: the one that saves least has no place.
    rows = Rows(
        np.arange(7, dtype=np.int64),
        np.full((7, 16), 3, np.uint8),
        np.array([5, 1, 9, 8, 7, 6, 4], np.float32),
    )
    buckets, dropped = fill_buckets(rows)
    assert (len(buckets), dropped) == (1, 1)
    tags = buckets[0, :12].view(np.uint16).tolist()
    assert tags == [naive.row_hash(id_, 0) & 0xFFFF or 1 for id_ in (2, 3, 4, 5, 0, 6)]
