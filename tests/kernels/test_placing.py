"""Rows are found where they were placed."""

from __future__ import annotations

import numpy as np
import pytest

from lmarc.kernels.placing import place
from tests import naive


def placed(seed: int, count: int, n_buckets: int) -> tuple[int, int]:
    """Place rows of random keys; return how many were dropped and how many are found."""
    random = np.random.default_rng(seed)
    keys = random.integers(0, 1 << 32, count, np.uint32)
    hashes = random.integers(0, 1 << 32, count, np.uint32)
    hashes[:: max(1, count // 9)] &= np.uint32(0xFFFF0000)  # tags that would be 0
    rows = random.integers(1, 256, (count, 8), np.uint8)
    tags = np.zeros((n_buckets, 8), np.uint16)
    slots = np.zeros((n_buckets, 6, 8), np.uint8)
    filled = np.zeros(n_buckets, np.int64)
    dropped = place(keys, hashes, rows, n_buckets, tags, slots, filled)
    assert filled.sum() + dropped == count
    buckets = [
        naive.Bucket(
            tags[number, :6].tolist(),
            int(tags[number, 6]) | int(tags[number, 7]) << 16,
            slots[number].tolist(),
        )
        for number in range(n_buckets)
    ]
    triples = zip(keys.tolist(), hashes.tolist(), rows.tolist(), strict=True)
    found = sum(naive.find_static(buckets, key, hash_) == row for key, hash_, row in triples)
    return int(dropped), found


@pytest.mark.parametrize(("count", "n_buckets"), [(1, 1), (6, 1), (40, 10), (500, 100)])
def test_every_placed_row_is_found(count: int, n_buckets: int) -> None:
    dropped, found = placed(count, count, n_buckets)
    assert found >= count - dropped


def test_a_full_table_drops_what_does_not_fit() -> None:
    dropped, found = placed(1, 100, 5)
    assert dropped == 70
    assert found >= 30


def test_most_rows_have_a_place_at_the_load_of_a_model() -> None:
    dropped, _ = placed(2, 5100, 1000)
    assert dropped < 5100 / 20
