"""The head's scores and its learning are those of the reference decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.kernels import head
from tests.kernels import compiled
from tools import reference_decoder


def learnt(
    tables: list[int], inputs: Any, errors: Any, rates: list[int], start: int = 0
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the scores of each step by the kernel and by the plain head, and compare weights."""
    units = inputs.shape[1]
    memory = np.full(head.N_TABLES * units * 16, start, np.int16)
    scores = np.zeros(16 * len(tables), np.int32)
    compiled.learn_head(
        memory,
        memory.view(np.int32),
        np.array(tables, np.int64),
        inputs.astype(np.int16).reshape(-1).view(np.int32),
        units // 2,
        errors.astype(np.int32).reshape(-1),
        np.array(rates, np.int64),
        scores,
    )
    plain = reference_decoder.Head(units)
    plain.weights = [[[start] * units for _ in range(16)] for _ in range(head.N_TABLES)]
    expected = []
    for table, row, error, rate in zip(
        tables, inputs.tolist(), errors.tolist(), rates, strict=True
    ):
        expected.append(plain.scores(table, row))
        plain.learn(table, row, error, rate)
    # Pairs of inputs, symbols, the two of a pair: as a table of weights by symbol and input.
    found = memory.reshape(head.N_TABLES, units // 2, 16, 2).transpose(0, 2, 1, 3)
    assert found.reshape(head.N_TABLES, 16, units).tolist() == plain.weights
    return scores.reshape(-1, 16).tolist(), expected


@pytest.mark.parametrize("units", [16, 48])
def test_every_score_and_weight_is_the_plain_one(units: int) -> None:
    random = np.random.default_rng(units)
    tables = [0, 3, 0, 16, 3, 0, 16]
    inputs = random.integers(-127, 128, (len(tables), units))
    errors = random.integers(-16_384, 16_385, (len(tables), 16))
    found, expected = learnt(tables, inputs, errors, [40, 255, 9, 255, 1, 0, 200])
    assert found == expected
    assert any(any(row) for row in found)


@pytest.mark.parametrize("start", [-32_767, 32_767])
@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_and_scores_stop_at_their_limits(start: int, sign: int) -> None:
    inputs = np.full((4, 16), 127 * sign)
    inputs[:, 1::2] *= -1
    errors = np.full((4, 16), 16_384)
    errors[:, 5:9] = -16_384
    found, expected = learnt([2] * 4, inputs, errors, [255] * 4, start)
    assert found == expected


def test_sums_that_overflow_wrap() -> None:
    inputs = np.full((1, 4096), 127)
    found, expected = learnt([1], inputs, np.zeros((1, 16), np.int64), [0], 32_767)
    assert found == expected
    assert found[0] == [-head.MAX_SCORE] * 16  # though no factor is negative


def test_a_rate_of_zero_teaches_nothing() -> None:
    inputs, errors = np.full((2, 16), 100), np.full((2, 16), 9000)
    found, _ = learnt([4, 4], inputs, errors, [0, 0])
    assert not any(map(any, found))


def test_what_was_learnt_says_more_of_the_same_symbol() -> None:
    inputs = np.tile(np.arange(-60, 60, 7)[:16], (9, 1))
    errors = np.full((9, 16), -500)
    errors[:, 3] = 7500
    found, _ = learnt([7] * 9, inputs, errors, [200] * 9)
    assert [row[3] for row in found] == sorted(row[3] for row in found)
    assert found[-1][3] > 0 > found[-1][4]
