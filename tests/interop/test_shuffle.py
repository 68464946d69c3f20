"""The order of a stream: all samples once, the same again, left and taken up anywhere."""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest

from lmarc.interop.shuffle import Reader, Shuffle

BLOCKS = np.array([0, 10, 11, 40, 90, 95, 130, 131, 180, 200])


class Numbers:
    """Samples that are their numbers."""

    archive: Any = None
    blocks = BLOCKS

    def __init__(self) -> None:
        self.asked: list[int] = []

    def read(self, numbers: Sequence[int]) -> list[Any]:
        self.asked += numbers
        return list(numbers)


def order(shard: int = 0, shards: int = 1, **options: Any) -> Shuffle:
    given = {"shuffle": True, "seed": 1, "epoch": 0, "buffer": 30, "chunks": 2, **options}
    return Shuffle(BLOCKS, shard, shards, **given)


def given(start: int = 0, shard: int = 0, shards: int = 1, **options: Any) -> list[int]:
    return list(Reader(Numbers(), order(shard, shards, **options), start))


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 200, 300])
@pytest.mark.parametrize("shuffle", [True, False])
def test_parts_share_all_samples_evenly(shards: int, shuffle: bool) -> None:
    parts = [given(0, shard, shards, shuffle=shuffle) for shard in range(shards)]
    assert sorted(chain(*parts)) == list(range(200))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [len(order(shard, shards)) for shard in range(shards)]


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    assert given() == given()
    assert given() != given(seed=2)
    assert given() != given(epoch=1)
    assert given(shuffle=False) == list(range(200))
    assert given(shuffle=False, seed=2, epoch=5) == list(range(200))


def test_samples_move_beyond_their_block() -> None:
    found = given(chunks=1, buffer=100)
    assert sum(abs(a - b) != 1 for a, b in pairwise(found)) > 180
    blocks_of_first = {int(np.searchsorted(BLOCKS, n, side="right")) for n in found[:40]}
    assert len(blocks_of_first) > 3


@pytest.mark.parametrize("start", [0, 1, 29, 30, 31, 100, 199, 200, 999])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_stream_goes_on_where_it_was(start: int, shuffle: bool) -> None:
    whole = given(shuffle=shuffle)
    assert given(start, shuffle=shuffle) == whole[start:]
    reader = Reader(Numbers(), order(shuffle=shuffle), start)
    assert reader.position == min(start, 200)
    list(reader)
    assert reader.position == 200
    assert list(reader) == []


def test_going_on_reads_little_again() -> None:
    samples = Numbers()
    assert len(list(Reader(samples, order(), 150))) == 50
    assert sorted(samples.asked) == sorted(given(150))


def test_runs_are_read_ahead_and_no_further() -> None:
    samples = Numbers()
    reader = Reader(samples, order(buffer=1, chunks=1), ahead=2, threads=1)
    assert samples.asked == []
    next(reader)
    reader._pool.shutdown(wait=True)
    assert {int(np.searchsorted(BLOCKS, n, side="right")) for n in samples.asked} == {
        int(np.searchsorted(BLOCKS, first, side="right")) for first, _ in order(chunks=1).runs[:3]
    }


def test_an_error_of_a_read_reaches_the_reader() -> None:
    class Broken(Numbers):
        def read(self, numbers: Sequence[int]) -> list[Any]:
            raise OSError("the storage is gone")

    with pytest.raises(OSError, match="the storage is gone"):
        next(Reader(Broken(), order()))
