"""Counting is the same for any number of threads, and what was counted is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmarc.kernels import contexts
from lmarc.kernels.ngram import STATIC_LANES
from lmarc.train.counts import PARENTS, PIECE_SIZE, count_all, pieces_of
from tests import tiny


def test_texts_are_cut_into_pieces_that_do_not_cross_them() -> None:
    text, starts = pieces_of([b"a" * (PIECE_SIZE + 5), b"", b"b" * 3])
    assert len(text) == PIECE_SIZE + 8
    assert starts.tolist() == [0, PIECE_SIZE, PIECE_SIZE + 5, PIECE_SIZE + 8]


def test_no_text_has_no_pieces() -> None:
    text, starts = pieces_of([])
    assert (len(text), starts.tolist()) == (0, [0])


def test_every_static_lane_has_a_parent_that_stands_before_it() -> None:
    assert set(PARENTS) == set(STATIC_LANES)
    for lane, parent in PARENTS.items():
        assert parent is None or STATIC_LANES.index(parent) < STATIC_LANES.index(lane)
    assert PARENTS[contexts.ORDER_2] is None


def test_threads_do_not_change_the_counts_and_kept_counts_are_used(tmp_path: Path) -> None:
    text, starts = pieces_of([tiny.prose(1, 40_000), tiny.table(2, 40_000)])
    done: list[str] = []
    results = []
    for name, jobs in (("one", 1), ("three", 3)):
        (tmp_path / name).mkdir()
        results.append(count_all(text, starts, tmp_path / name, jobs=jobs, done=done.append))
    kept = tmp_path / "one"
    stamps = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    results.append(count_all(text, starts, kept))
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == stamps
    assert len(done) == 4 * len(STATIC_LANES)
    for lane in STATIC_LANES:
        for other in results[1:]:
            for first, second in zip(results[0][lane], other[lane], strict=True):
                assert np.array_equal(first, second)


def test_rows_are_ascending_and_seen_often_enough(tmp_path: Path) -> None:
    text, starts = pieces_of([tiny.prose(1, 300_000)])
    for lane, (ids, counts, parents) in count_all(text, starts, tmp_path).items():
        assert (np.diff(ids) > 0).all()
        # Contexts that collide in the sketch may have been seen less often than six times.
        assert np.median(counts.sum(axis=1)) >= 6
        parent = PARENTS[lane]
        assert (parents == -1).all() if parent is None else (parents >= -1).all()
