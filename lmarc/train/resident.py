"""Training text and what the mixture says of it, all in the memory of an accelerator.

A mixture on the processor is slower than a small network on an accelerator. So every chunk is
walked over once, before the training, which then goes over the text as often as there is time for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lmarc.train.feed import Batch, Chunk, Feed, Source

__all__ = ["Resident", "memory"]

Array = npt.NDArray[Any]

TOGETHER: Final = 256  # chunks that are waited for at a time
FREQ_SIZE: Final = 2  # bytes


def memory(source: Source, texts: Mapping[str, bytes]) -> int:
    """Return about how many bytes `Resident` needs."""
    return sum(map(len, texts.values())) * (1 + 16 * FREQ_SIZE * source.levels)


class Resident(Feed):
    """A feed of which nothing is computed while it is used.

    Parameters
    ----------
    executor, source, texts, rows, steps, **options
        As for `Feed`, but for `ahead`.
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
        progress: Callable[[int, int], object] = lambda done, total: None,
        **options: Any,
    ) -> None:
        super().__init__(executor, source, texts, rows, steps, ahead=0, **options)
        self._device = device
        chunks = [
            self._chunk(name, number)
            for name in self._order.texts
            for number in range(self._order.count(name))
        ]
        self._chunks = {(chunk.domain, chunk.number): chunk for chunk in chunks}
        # Text and freqs lie in blocks of `steps`; of each chunk, where its first is.
        sizes = [len(chunk.text) // steps for chunk in chunks]
        ends = np.cumsum(sizes).tolist()
        self._firsts = {
            place: end - size for place, end, size in zip(self._chunks, ends, sizes, strict=True)
        }
        # Bytes as they are; PyTorch knows little of uint16, which tokens are.
        dtype = np.uint8 if chunks[0].text.dtype == np.uint8 else np.int32
        self._text = torch.from_numpy(np.zeros((ends[-1], steps), dtype)).to(device)
        shape = (ends[-1], steps, source.levels, 16)
        self._freqs = torch.empty(shape, dtype=torch.int16, device=device)
        for start in range(0, len(chunks), TOGETHER):
            some = [super(Resident, self)._ask(chunk) for chunk in chunks[start : start + TOGETHER]]
            for chunk, size in zip(some, sizes[start : start + TOGETHER], strict=True):
                first = self._firsts[chunk.domain, chunk.number]
                blocks, count = slice(first, first + size), size * steps
                text = chunk.text[:count].astype(dtype)
                self._text[blocks].copy_(torch.from_numpy(text.reshape(size, steps)))
                assert chunk.freqs is not None
                freqs = chunk.freqs.result()[:count].view(np.int16)
                self._freqs[blocks].copy_(torch.from_numpy(freqs.reshape(size, *shape[1:])))
                chunk.freqs = None
            progress(min(start + TOGETHER, len(chunks)), len(chunks))

    def _draw(self) -> Chunk:
        return replace(self._chunks[self._order.draw()], at=0)

    def _ask(self, chunk: Chunk) -> Chunk:
        return chunk

    def _batch(self, rows: list[Chunk], fresh: Array) -> Batch:
        blocks = [self._firsts[row.domain, row.number] + row.at // self._steps for row in rows]
        at, begins, is_fresh = (
            torch.from_numpy(np.array(part)).to(self._device, non_blocking=True)
            for part in (blocks, [row.at == 0 for row in rows], fresh)
        )
        text = self._text[at].long()
        past = self._text[(at - 1).clamp_min(0), -2:].long().masked_fill(begins[:, None], 0)
        padded = torch.cat([past, text], 1)
        before = torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)
        freqs = (self._freqs[at].to(torch.int32) & 0xFFFF).float()
        return Batch(before, text, freqs, is_fresh, [row.domain for row in rows])
