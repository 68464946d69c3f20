"""Training text and what the mixture says of it, all in the memory of an accelerator.

A mixture on the processor is slower than a small network on an accelerator. So every chunk is
walked over once, before the training, which then goes over the text as often as there is time for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lmarc.train.feed import Batch, Order, Source

__all__ = ["Resident", "memory"]

Array = npt.NDArray[Any]

TOGETHER: Final = 256  # chunks that are waited for at a time
FREQ_SIZE: Final = 2  # bytes


def memory(source: Source, texts: Mapping[str, bytes]) -> int:
    """Return about how many bytes `Resident` needs."""
    return sum(map(len, texts.values())) * (1 + 16 * FREQ_SIZE * source.levels)


class Resident:
    """As `Feed`, but for the last steps of chunks that no batch would take.

    Parameters
    ----------
    executor, source, texts, rows, steps, seed, skip, weights, others
        As for `Feed`; every text is of bytes.
    device : str
        Where all of it lies.
    progress : callable
        Gets how many chunks are done, of how many.
    """

    def __init__(
        self,
        executor: Executor,
        source: Source,
        texts: Mapping[str, bytes],
        rows: int,
        steps: int,
        *,
        device: str,
        seed: int = 0,
        skip: int = 0,
        weights: Mapping[str, float] | None = None,
        others: Mapping[str, Source] | None = None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> None:
        self._rows, self._skip, self._device = rows, skip, device
        self._order = order = Order(source, texts, steps, seed=seed, weights=weights)
        chunks = [(name, number) for name in order.texts for number in range(order.count(name))]
        sizes = [len(order.content(*chunk)) // steps for chunk in chunks]
        ends = np.cumsum(sizes)
        # Of each chunk: its first block of `steps` bytes, and how many it has.
        self._places = {
            chunk: (int(end) - size, size)
            for chunk, end, size in zip(chunks, ends, sizes, strict=True)
        }
        total = int(ends[-1])
        self._text = torch.empty(total, steps, dtype=torch.uint8, device=device)
        shape = (total, steps, source.levels, 16)
        self._freqs = torch.empty(shape, dtype=torch.int16, device=device)
        for start in range(0, len(chunks), TOGETHER):
            some = chunks[start : start + TOGETHER]
            waiting = [
                executor.submit((others or {}).get(chunk[0], source).freqs, order.content(*chunk))
                for chunk in some
            ]
            for chunk, freqs in zip(some, waiting, strict=True):
                first, size = self._places[chunk]
                text = np.frombuffer(order.content(*chunk), np.uint8)[: size * steps]
                self._text[first : first + size].copy_(
                    torch.from_numpy(text.reshape(size, steps).copy())
                )
                found = freqs.result()[: size * steps].view(np.int16)
                self._freqs[first : first + size].copy_(
                    torch.from_numpy(found.reshape(size, *shape[1:]))
                )
            progress(min(start + TOGETHER, len(chunks)), len(chunks))

    def __iter__(self) -> Iterator[Batch]:
        rows = [self._order.draw() for _ in range(self._rows)]
        starts, sizes = np.array([self._places[chunk] for chunk in rows]).T
        # Rows begin at different places, so that they do not end together.
        lengths = np.array([len(self._order.content(*chunk)) for chunk in rows])
        at = lengths * np.arange(self._rows) // self._rows // self._text.shape[1]
        fresh = np.ones(self._rows, bool)
        for number in range(2**62):
            if number >= self._skip:
                yield self._batch(starts + at, at == 0, fresh, [name for name, _ in rows])
            at = at + 1
            fresh = at >= sizes
            for row in np.flatnonzero(fresh):
                rows[row] = self._order.draw()
                starts[row], sizes[row] = self._places[rows[row]]
                at[row] = 0

    def _batch(self, blocks: Array, first: Array, fresh: Array, domains: list[str]) -> Batch:
        at, is_first, is_fresh = (
            torch.from_numpy(part).to(self._device, non_blocking=True)
            for part in (blocks, first, fresh)
        )
        text = self._text[at].long()
        past = self._text[(at - 1).clamp_min(0), -2:].long().masked_fill(is_first[:, None], 0)
        padded = torch.cat([past, text], 1)
        before = torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)
        freqs = (self._freqs[at].to(torch.int32) & 0xFFFF).float()
        return Batch(before, text, freqs, is_fresh, domains)
