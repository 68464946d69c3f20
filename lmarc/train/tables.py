"""Choose the contexts worth keeping, quantise their rows, and place them into buckets.

A row is worth the bits it saves on the training text against the row of its shorter context that
would stand in for it; the rows that save most are kept, until the model is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.kernels import contexts
from lmarc.kernels.ngram import BUCKET_ROWS, BUCKET_SIZE, ROWS_AT, STATIC_LANES
from lmarc.kernels.placing import place
from lmarc.train.counts import PARENTS, Counts

__all__ = ["LEVELS", "Rows", "choose", "fill_buckets", "quantise"]

Array = npt.NDArray[Any]

SMOOTHING: Final = 2.0  # visits that the shorter context's row counts for
LOAD: Final = 0.85  # of the buckets' slots
_Q: Final = np.arange(16)
LEVELS: Final = (
    50 * _Q + 137
) * _Q  # -log2(p) in units of 2**-10 bits: spec/v1/ngram.md, section 4


class Rows(NamedTuple):
    """Rows chosen for a model."""

    ids: Array  # int64, (n_rows,)
    levels: Array  # uint8, (n_rows, 16)
    savings: Array  # float32, (n_rows,): bits on the training text


def quantise(probabilities: Array) -> Array:
    """Return the nearest level of each probability: uint8, the same shape."""
    bits = -1024 * np.log2(np.maximum(probabilities, 1e-9))
    middles = (LEVELS[1:] + LEVELS[:-1]) / 2
    return np.searchsorted(middles, bits.ravel()).reshape(bits.shape).astype(np.uint8)


def choose(
    counted: Mapping[int, Counts],
    threshold: float,
    lanes: Sequence[int] = STATIC_LANES,
    parents_of: Mapping[int, int | None] = PARENTS,
) -> Rows:
    """Return the rows that save more than `threshold` bits each.

    A parent stands before its children in `lanes`.

    A context's probabilities are its counts, smoothed with those of the longest shorter context
    that was kept.
    """
    fallback: dict[int, Array] = {}
    chosen = []
    for lane in lanes:
        ids, counts, parents = counted[lane]
        seen = counts.astype(np.float32)
        parent = parents_of[lane]
        if parent is None:
            prior = np.full_like(seen, 1 / 16)
        else:
            prior = np.where((parents >= 0)[:, None], fallback[parent][parents], np.float32(1 / 16))
        own = (seen + SMOOTHING * prior) / (seen.sum(axis=1, keepdims=True) + SMOOTHING)
        savings = (seen * np.log2(own / prior)).sum(axis=1)
        kept = savings > threshold
        fallback[lane] = np.where(kept[:, None], own, prior)
        chosen.append((ids[kept], quantise(own[kept]), savings[kept]))
    return Rows(*(np.concatenate(parts) for parts in zip(*chosen, strict=True)))


def fill_buckets(rows: Rows) -> tuple[Array, int]:
    """Place rows into buckets, the most useful first.

    Returns uint8[n_buckets, 64] and how many rows found no place.
    """
    count = len(rows.ids)
    n_buckets = max(1, int(count / BUCKET_ROWS / LOAD))
    order = np.argsort(-rows.savings, kind="stable")
    keys = (rows.ids[order] & contexts.MASK_32).astype(np.uint32)
    hashes = _row_hashes(keys, rows.ids[order] >> 32)
    levels = rows.levels[order]
    packed = levels[:, 0::2] | levels[:, 1::2] << 4
    tags = np.zeros((n_buckets, 8), np.uint16)
    slots = np.zeros((n_buckets, BUCKET_ROWS, 8), np.uint8)
    filled = np.zeros(n_buckets, np.int64)
    dropped = place(keys, hashes, packed, n_buckets, tags, slots, filled)
    buckets = np.zeros((n_buckets, BUCKET_SIZE), np.uint8)
    buckets[:, :ROWS_AT] = tags.astype("<u2").view(np.uint8)
    buckets[:, ROWS_AT:] = slots.reshape(n_buckets, -1)
    return buckets, int(dropped)


def _row_hashes(keys: Array, salts: Array) -> Array:
    """`contexts.compute_rows` for many keys: uint32."""
    mixed = (keys + (salts * contexts.SALT_STEP).astype(np.uint32)) * np.uint32(contexts.SALT_1)
    return mixed ^ (mixed >> np.uint32(16))
