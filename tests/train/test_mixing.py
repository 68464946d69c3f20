"""Profiles are sorted by kind of text and learn from text."""

from __future__ import annotations

import numpy as np

from lmarc.codec.ngram import choose_profile, compress_with
from lmarc.model.ngram import PROFILE_ARRAYS, RANGES, NgramModel
from lmarc.train.mixing import cluster, initial_profiles, train_profiles
from tests import tiny

PIECES = [make(seed, 4096) for seed in range(8) for make in (tiny.prose, tiny.table)]
NO_ROWS = np.zeros((1, 64), np.uint8)


def test_untrained_profiles_are_lawful_and_alike() -> None:
    arrays = initial_profiles(3)
    assert set(arrays) == set(PROFILE_ARRAYS)
    for name, array in arrays.items():
        assert array.shape == (3, *PROFILE_ARRAYS[name][1])
        assert (array == array[0]).all()
        low, high = RANGES.get(name, (-(1 << 31), (1 << 31) - 1))
        assert low <= array.min() <= array.max() <= high
    assert NgramModel.parse(NgramModel(NO_ROWS, arrays).pack(b"{}")).profile_count == 3


def test_pieces_of_one_kind_come_together() -> None:
    group = cluster(PIECES, 2)
    assert len(set(group[0::2].tolist())) == len(set(group[1::2].tolist())) == 1
    assert group[0] != group[1]
    assert cluster(PIECES, 1).tolist() == [0] * len(PIECES)


def test_more_groups_than_kinds_do_no_harm() -> None:
    assert set(cluster([b"a" * 99] * 4, 3).tolist()) <= {0, 1, 2}


def test_training_makes_text_of_its_kind_smaller() -> None:
    told: list[int] = []
    model = train_profiles(NO_ROWS, PIECES, 2, progress=told.append)
    untrained = NgramModel(NO_ROWS, initial_profiles(1))
    chosen = set()
    for make in (tiny.prose, tiny.table):
        text = make(99, 4096)
        assert len(compress_with(model, text)) < len(compress_with(untrained, text))
        chosen.add(choose_profile(model, text))
    assert chosen == {0, 1}
    assert sum(told) == 2 * len(PIECES)


def test_training_again_gives_the_same() -> None:
    first, second = (train_profiles(NO_ROWS, PIECES[:4], 2).pack(b"{}") for _ in range(2))
    assert first == second


def test_a_profile_that_nothing_chose_is_trained_on_everything() -> None:
    model = train_profiles(NO_ROWS, [PIECES[0]] * 3, 2, moves=1)
    for name in ("sets", "bytes", "confidences"):
        assert not np.array_equal(model.profiles[name][1], initial_profiles(1)[name][0])
