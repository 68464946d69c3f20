"""The order in which a stream gives samples, and an iterator that reads ahead in that order.

The order is one of numbers alone: it can be followed, and left where it was, without reading.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lmarc.interop.samples import Samples

__all__ = ["Reader", "Shuffle"]

I64 = npt.NDArray[np.int64]
Run = tuple[int, int]  # number of the first sample, number behind the last

_REFILL: Final = 1000  # samples of a buffer that are read together when a stream goes on


class Shuffle:
    """The part of a shuffled sequence of samples that one of several readers gets.

    Parameters
    ----------
    blocks : int64, shape (blocks + 1,)
        Number of the first sample of each block, and behind them the count of all.
    shard, shards : int
        Which part, of how many; their sizes differ by one at most.
    shuffle : bool
        Whether to shuffle at all.
    seed, epoch : int
        What the order is drawn from.
    buffer : int
        Samples to draw from.
    chunks : int
        How many of the given blocks are neighbours in one that is moved as a whole.
    """

    def __init__(
        self,
        blocks: I64,
        shard: int,
        shards: int,
        *,
        shuffle: bool,
        seed: int,
        epoch: int,
        buffer: int,
        chunks: int,
    ) -> None:
        total = int(blocks[-1])
        bounds = [*blocks[:-1][::chunks].tolist(), total] if total else [0]
        runs: list[Run] = list(pairwise(bounds))
        if shuffle:
            random.Random(f"lmarc {seed} {epoch}").shuffle(runs)
        low, high = total * shard // shards, total * (shard + 1) // shards
        self.runs: list[Run] = []  # of this part, in the order in which they enter the buffer
        before = 0
        for first, last in runs:
            start, stop = max(low - before, 0), min(high - before, last - first)
            if start < stop:
                self.runs.append((first + start, first + stop))
            before += last - first
        self._size = high - low
        self._random = random.Random(f"lmarc {seed} {epoch} {shard} {shards}")
        self._capacity = buffer if shuffle else 1
        self._shuffle = shuffle

    def __len__(self) -> int:
        return self._size

    def wants(self, held: int) -> bool:
        """Tell whether a buffer that holds so many samples takes another run."""
        return held < self._capacity

    def enter(self, buffer: list[Any], items: list[Any]) -> None:
        """Put the samples of a run into a buffer."""
        buffer.extend(items if self._shuffle else reversed(items))

    def draw(self, buffer: list[Any]) -> Any:
        """Take the next sample from a buffer that is full, or holds all that is left."""
        if self._shuffle:
            place = self._random.randrange(len(buffer))
            buffer[place], buffer[-1] = buffer[-1], buffer[place]
        return buffer.pop()


class Reader:
    """Iterates over samples in the order of a `Shuffle`, reading ahead in threads of its own.

    Parameters
    ----------
    samples : Samples
        Where they are read.
    order : Shuffle
        Used up by this reader.
    start : int
        Samples at the start that are passed over.
    transform : callable, optional
        Makes of a sample what is given.
    ahead : int
        Runs that are read ahead.
    threads : int
        Threads that read and decode them.
    """

    def __init__(
        self,
        samples: Samples,
        order: Shuffle,
        start: int = 0,
        *,
        transform: Callable[[Any], Any] | None = None,
        ahead: int = 4,
        threads: int = 2,
    ) -> None:
        self.position = 0  # samples given, those passed over included
        self._samples = samples
        self._order = order
        self._transform = transform
        self._ahead = max(ahead, 1)
        self._pool = ThreadPoolExecutor(threads, "lmarc-ahead")
        self._next_run = 0  # of those that are to be submitted
        self._coming: deque[Future[list[Any]]] = deque()
        self._buffer: list[Any] = []
        self._pass_over(min(start, len(order)))

    def __iter__(self) -> Reader:
        return self

    def __next__(self) -> Any:
        self._submit()
        while self._coming and self._order.wants(len(self._buffer)):
            self._order.enter(self._buffer, self._coming.popleft().result())
            self._submit()
        if not self._buffer:
            self._pool.shutdown(wait=False)
            raise StopIteration
        sample = self._order.draw(self._buffer)
        self.position += 1
        return sample if self._transform is None else self._transform(sample)

    def _submit(self) -> None:
        runs = self._order.runs
        while len(self._coming) < self._ahead and self._next_run < len(runs):
            first, last = runs[self._next_run]
            self._coming.append(self._pool.submit(self._samples.read, range(first, last)))
            self._next_run += 1

    def _pass_over(self, count: int) -> None:
        """Follow the order without reading, then read what is in the buffer at its end."""
        numbers: list[int] = []
        runs = self._order.runs
        for _ in range(count):
            while self._next_run < len(runs) and self._order.wants(len(numbers)):
                self._order.enter(numbers, list(range(*runs[self._next_run])))
                self._next_run += 1
            self._order.draw(numbers)
        self.position = count
        for start in range(0, len(numbers), _REFILL):
            self._buffer += self._samples.read(numbers[start : start + _REFILL])
