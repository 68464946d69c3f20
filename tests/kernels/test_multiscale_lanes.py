"""Lanes of the multi-scale coder decode side by side as each does alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.codec import multiscale, vectors
from lmarc.codec.jobs import Job, joined, lanes_of
from lmarc.codec.ngram import parse_payload
from lmarc.kernels import rans
from lmarc.kernels.multiscale_lanes import Blends, decode
from lmarc.model.multiscale import MultiscaleModel
from tests import naive_multiscale

MODELS = {
    "network": vectors.small_blend(),
    "alone": naive_multiscale.random_blend(3, vectors.small_model()),
    "lanes": naive_multiscale.random_blend(7, vectors.small_network(), naive_multiscale.LANES),
    "doubts": naive_multiscale.random_blend(9, vectors.small_model(), (3, 9), (40_000, 60_000)),
    "doubts, network": naive_multiscale.random_blend(
        11, vectors.small_network(), (1, 15), (60_000, 30_000)
    ),
}
BITS, MATCH_BITS = 11, 13


def read_by(
    model: MultiscaleModel, contents: list[bytes], damage: dict[int, Any]
) -> list[tuple[int, int, bool]]:
    """Decode in one call; return for each lane words read, words there, and if its text is so."""
    jobs = []
    for number, content in enumerate(contents):
        profile, words = parse_payload(multiscale.compress_with(model, content), model.ngram)
        words = damage.get(number, lambda given: given)(words)
        jobs.append(Job(number, profile, words, len(content)))
    given = lanes_of(model.ngram, (BITS, MATCH_BITS), jobs)
    blends = Blends(
        joined([model.tables(job.profile) for job in jobs]),
        joined([model.weights(job.profile) for job in jobs]),
        model.scratch(BITS, len(jobs), 1),
    )
    decode(given, blends, model.network, model.hidden(len(jobs)), BITS, 32 - MATCH_BITS, 0)
    starts = given.text_starts
    return [
        (read, len(job.words), given.texts[start : start + job.size].tobytes() == content)
        for read, job, start, content in zip(
            given.reads.tolist(), jobs, starts[:-1], contents, strict=True
        )
    ]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_lanes_of_all_lengths_decode(model: MultiscaleModel) -> None:
    contents = [vectors.prose("a", 700), b"", vectors.records("b", 1), vectors.noise("c", 300)]
    for read, words, right in read_by(model, contents, {}):
        assert read == words
        assert right


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_lanes_decode(count: int) -> None:
    contents = [vectors.table(f"{number}", 90 * number + 5) for number in range(count)]
    assert all(right for _, _, right in read_by(MODELS["network"], contents, {}))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_damaged_lane_is_found_and_harms_no_other(model: MultiscaleModel) -> None:
    contents = [vectors.prose(name, 500) for name in "abcde"]
    damage = {
        0: lambda words: words[:1],
        2: lambda words: np.concatenate([words[:1] | 1 << 31, words[1:]]).astype(np.uint32),
        3: lambda words: np.concatenate([words[:9], words[9:] ^ 5]).astype(np.uint32),
    }
    found = read_by(model, contents, damage)
    assert [read for read, _, _ in found[:3:2]] == [rans.CORRUPT, rans.CORRUPT]
    assert not found[3][2]
    for number in (1, 4):
        read, words, right = found[number]
        assert read == words
        assert right
