"""Datasets for PyTorch: samples by number, and a stream that shuffles, splits and resumes.

    loader = DataLoader(ArchiveStream("s3://bucket/data.lmarc", "train.jsonl"), batch_size=32)

Datasets open their archive at first use, in each process for itself: they may be made before
workers are forked, and are pickled for those that are spawned without a request.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import torch  # noqa: TID253 - data sets derive from torch's; who imports this module uses them
from torch.utils.data import Dataset, IterableDataset, get_worker_info  # noqa: TID253

import lmarc
from lmarc.interop.samples import Samples, open_samples
from lmarc.interop.shuffle import Reader, Shuffle

__all__ = ["ArchiveDataset", "ArchiveStream"]

_VERSION: Final = 1  # of what `state_dict` returns


class _Opener:
    """The samples of an archive, opened at first use and once in each process.

    Parameters are those of `ArchiveDataset`.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        select: str | bytes | Iterable[str | bytes],
        kind: str,
        options: Mapping[str, Any],
    ) -> None:
        self._url = os.fspath(url)
        self._select = [select] if isinstance(select, str | bytes) else list(select)
        self._kind = kind
        self._options = dict(options)
        self._samples: Samples | None = None
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_process": -1}

    def __call__(self) -> Samples:
        if self._samples is None:
            archive = lmarc.open(self._url, **self._options)
            self._samples = open_samples(archive, self._select, self._kind)
        elif self._process not in (-1, os.getpid()):
            # A copy, as if it had been spawned: locks may have been held when this was forked.
            self._samples = pickle.loads(pickle.dumps(self._samples))
        self._process = os.getpid()
        return self._samples


class ArchiveDataset(Dataset):
    """Samples by their numbers, for `DataLoader`, its samplers, and `torch.utils.data.Subset`.

    A batch is read together: near chunks in one request, each chunk decoded once.

    Parameters
    ----------
    url : str or path
        The archive: a path, or any URL that fsspec knows.
    select : str, or iterable of str or bytes
        Names or patterns of the files; all files if there are none.
    samples : str
        'records': the lines of those files (as `Archive.records`), bytes; 'members': the files
        themselves, pairs of name and bytes.
    transform : callable, optional
        Makes of a sample what the data set gives; must be picklable where workers are spawned.
    **options
        Those of `lmarc.open`: storage_options, cache_size, model.

    Raises
    ------
    MemberNotFoundError, ValueError, SourceError, FormatError
        At first use: no such file or archive.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        select: str | bytes | Iterable[str | bytes] = (),
        *,
        samples: str = "records",
        transform: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        self._samples = _Opener(url, select, samples, options)
        self._transform = transform

    def __len__(self) -> int:
        return int(self._samples().blocks[-1])

    def __getitem__(self, number: int) -> Any:
        """Return one sample; IndexError where there is none."""
        count = len(self)
        if not -count <= number < count:
            raise IndexError(f"sample {number}, there are {count}")
        return self.__getitems__([number % count])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Any]:
        """Return the samples of a batch; `DataLoader` asks for them so."""
        found = self._samples().read(numbers)
        return found if self._transform is None else [self._transform(one) for one in found]


class ArchiveStream(IterableDataset):
    """All samples once, in an order that reads each chunk about once.

    Blocks of neighbouring chunks come in an order drawn from seed and epoch, and their samples go
    through a buffer from which each next one is drawn. The sequence of blocks is cut among ranks
    and, within each, among the workers of `DataLoader`: no sample comes twice, none is missing, and
    ranks differ by one sample at most. Blocks are read and decoded ahead, in threads.

    `state_dict` says where the stream is, and after `load_state_dict` the same samples follow that
    would have followed. In a process with workers see `state_after`.

    Parameters
    ----------
    url, select, samples, transform, **options
        As for `ArchiveDataset`.
    shuffle : bool
        Whether to shuffle; in the order of the archive otherwise.
    seed : int
        What the order is drawn from, together with the epoch; the same on every rank.
    buffer : int
        Samples to draw from; as many are in memory at least.
    chunks : int
        Chunks that are neighbours in a block. A record that lies across the border of two blocks
        costs a chunk, so 1 reads chunks of records twice.
    rank, world_size : int, optional
        Which part of how many; those of `torch.distributed` if it is initialised, else 0 and 1.
    ahead : int
        Blocks that are read ahead.
    threads : int
        Threads that read and decode them.

    Raises
    ------
    ValueError
        A number out of range.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        select: str | bytes | Iterable[str | bytes] = (),
        *,
        samples: str = "records",
        transform: Callable[[Any], Any] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        buffer: int = 1000,
        chunks: int = 8,
        rank: int | None = None,
        world_size: int | None = None,
        ahead: int = 4,
        threads: int = 2,
        **options: Any,
    ) -> None:
        if (rank is None) != (world_size is None):
            raise ValueError(f"rank is {rank} and world_size {world_size}: give both or neither")
        for name, number in (("buffer", buffer), ("chunks", chunks), ("threads", threads)):
            if number < 1:
                raise ValueError(f"{name} is {number}, expected 1 or more")
        if rank is not None and world_size is not None and not 0 <= rank < world_size:
            raise ValueError(f"rank is {rank}, expected 0 to {world_size - 1}")
        self._samples = _Opener(url, select, samples, options)
        self._transform = transform
        self._order: dict[str, Any] = {
            "shuffle": shuffle,
            "seed": seed,
            "buffer": buffer,
            "chunks": chunks,
        }
        self._part = None if rank is None or world_size is None else (rank, world_size)
        self._ahead, self._thread_count = ahead, threads
        # Shared with workers that live through epochs.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._state: Mapping[str, Any] | None = None  # that was loaded
        self._reader: Reader | None = None

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; its order is another. Also for workers that are running."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        """Return how many samples come on this rank."""
        rank, world_size = self._placed()
        total = int(self._samples().blocks[-1])
        return total * (rank + 1) // world_size - total * rank // world_size

    def __iter__(self) -> Reader:
        """Start the epoch, or go on in it where a state was loaded for it."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
        self._reader = Reader(
            self._samples(),
            self._shuffle(worker, workers),
            self._start(worker, workers),
            transform=self._transform,
            ahead=self._ahead,
            threads=self._thread_count,
        )
        return self._reader

    def state_dict(self) -> dict[str, Any]:
        """Return where this process is: what its last iterator has given, as plain data.

        In the main process that is everything only where `DataLoader` has no workers.
        """
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
        position = 0 if self._reader is None else self._reader.position
        return self._described(workers, {worker: position})

    def state_after(
        self, batches: int, batch_size: int, workers: int, *, drop_last: bool = False
    ) -> dict[str, Any]:
        """Return where the stream is once `DataLoader` has given so many batches of this epoch.

        Parameters
        ----------
        batches : int
            Batches that it gave, from the start of the epoch on.
        batch_size, workers, drop_last
            What `DataLoader` was made with.
        """
        count = max(1, workers)
        sizes = [len(self._shuffle(worker, count)) for worker in range(count)]
        left = [s // batch_size if drop_last else -(-s // batch_size) for s in sizes]
        given = [0] * count
        # Workers take turns; one that has no batch left is passed over.
        while batches > 0 and any(left):
            for worker in range(count):
                if batches > 0 and left[worker]:
                    left[worker] -= 1
                    given[worker] += 1
                    batches -= 1
        positions = {w: min(sizes[w], given[w] * batch_size) for w in range(count)}
        return self._described(count, positions)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` or `state_after` was: for the epoch that it names.

        Raises
        ------
        ValueError
            It is the state of another order, rank, version or archive.
        """
        expected = self._described(state.get("workers", 1), {})
        for key in expected.keys() - {"epoch", "positions"}:
            if state.get(key) != expected[key]:
                message = f"{key} of the state is {state.get(key)!r}, here it is {expected[key]!r}"
                raise ValueError(message)
        self._state = dict(state)
        self.set_epoch(state["epoch"])

    def _described(self, workers: int, positions: dict[int, int]) -> dict[str, Any]:
        rank, world_size = self._placed()
        return {
            "version": _VERSION,
            "archive": self._samples().archive.footer.index_sha256.hex(),
            **self._order,
            "epoch": int(self._epoch),
            "rank": rank,
            "world_size": world_size,
            "workers": workers,
            "positions": positions,
        }

    def _start(self, worker: int, workers: int) -> int:
        """Return how many samples a loaded state says that a worker has given."""
        state = self._state
        if state is None or state["epoch"] != int(self._epoch):
            return 0
        if state["workers"] != workers:
            message = f"the state is that of {state['workers']} workers, there are {workers}"
            raise ValueError(f"{message}: go on with as many, or from the next epoch")
        positions = {int(key): value for key, value in state["positions"].items()}
        return int(positions.get(worker, 0))

    def _shuffle(self, worker: int, workers: int) -> Shuffle:
        rank, world_size = self._placed()
        shard, shards = rank * workers + worker, world_size * workers
        return Shuffle(self._samples().blocks, shard, shards, epoch=int(self._epoch), **self._order)

    def _placed(self) -> tuple[int, int]:
        """Return rank and size of the world."""
        if self._part is not None:
            return self._part
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1
