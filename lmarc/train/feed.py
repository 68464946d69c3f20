"""Batches for networks that are trained in the loop: text, and what the n-gram mixture says of it.

Chunks come from text that the static tables have not seen, each coded from a fresh start as an
archive's chunks are. Every row of a batch is at a place of its own in a chunk of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.codec.ngram import choose_profile, table_bits
from lmarc.errors import ModelError
from lmarc.kernels import distributions
from lmarc.model.ngram import NgramModel, thread_scratch

__all__ = ["Batch", "Feed", "mixture_freqs"]

Array = npt.NDArray[Any]
CHUNK: Final = 65536  # bytes


def mixture_freqs(model: NgramModel, content: bytes) -> Array:
    """Return the mixture's freqs over `content`: uint16, shape (size, 2, 16)."""
    profile = choose_profile(model, content)
    bits, match_bits = table_bits(len(content))
    freqs = np.empty((len(content), 2, 16), np.uint16)
    distributions.record(
        model.static(profile),
        model.weights(profile),
        thread_scratch().state(bits, match_bits),
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        freqs.reshape(-1),
    )
    return freqs


class Batch(NamedTuple):
    """Some steps of several chunks."""

    before: Array  # int64, (B, T, 2)
    text: Array  # int64, (B, T)
    freqs: Array  # float32, (B, T, 2, 16)
    fresh: Array  # bool, (B,): rows that begin a chunk


class Feed:
    """An endless, reproducible sequence of batches.

    Iterating owns no threads: a generator that is left behind is finished by the garbage collector,
    which must never wait for one (`lmarc.archive.workers` says why).

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Where the mixture walks ahead, over a few chunks; the caller's, who ends it.
    model : NgramModel
    texts : mapping of str to bytes
        Text by domain; domains are drawn by size, or by `weights`. One that is shorter than
        `steps` is left out.
    rows, steps : int
        Shape of a batch.
    seed : int
    skip : int
        Batches to pass over, for a training that goes on.

    Raises
    ------
    ModelError
        When every text is shorter than `steps`.
    """

    def __init__(
        self,
        executor: Executor,
        model: NgramModel,
        texts: Mapping[str, bytes],
        rows: int,
        steps: int,
        *,
        seed: int = 0,
        skip: int = 0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._executor = executor
        self._model = model
        self._texts = {name: text for name, text in texts.items() if len(text) >= steps}
        if not self._texts:
            raise ModelError(f"no domain has {steps} bytes of text for the network to learn from")
        self._rows, self._steps = rows, steps
        self._random = np.random.default_rng([seed, skip])
        self._names = sorted(self._texts)
        sizes = [len(texts[name]) * (weights or {}).get(name, 1.0) for name in self._names]
        self._shares = np.array(sizes) / sum(sizes)
        self._order: dict[str, list[int]] = {}

    def _draw(self) -> bytes:
        """Return a chunk; every chunk of a domain comes once before one comes again."""
        name = self._names[int(self._random.choice(len(self._names), p=self._shares))]
        text = self._texts[name]
        if not self._order.get(name):
            count = max(1, len(text) // CHUNK)
            self._order[name] = self._random.permutation(count).tolist()
        start = self._order[name].pop() * CHUNK
        return text[start : start + CHUNK]

    def __iter__(self) -> Iterator[Batch]:
        waiting = []

        def ask() -> None:
            content = self._draw()
            waiting.append((content, self._executor.submit(mixture_freqs, self._model, content)))

        for _ in range(4):
            ask()
        rows: list[tuple[Array, Array, int]] = []
        # Rows begin at different times, so that they do not end together.
        for row in range(self._rows):
            content, freqs = waiting.pop(0)
            ask()
            at = len(content) * row // self._rows // self._steps * self._steps
            rows.append((np.frombuffer(content, np.uint8), freqs.result(), at))
        first = True
        while True:
            fresh = np.zeros(self._rows, bool)
            for row, (text, _, at) in enumerate(rows):
                if at + self._steps > len(text):
                    content, freqs = waiting.pop(0)
                    ask()
                    rows[row] = (np.frombuffer(content, np.uint8), freqs.result(), 0)
                    fresh[row] = True
            yield self._batch(rows, fresh | first)
            first = False
            rows = [(text, freqs, at + self._steps) for text, freqs, at in rows]

    def _batch(self, rows: list[tuple[Array, Array, int]], fresh: Array) -> Batch:
        padded = np.zeros((self._rows, self._steps + 2), np.int64)
        freqs = np.empty((self._rows, self._steps, 2, 16), np.float32)
        for row, (text, all_freqs, at) in enumerate(rows):
            known = min(at, 2)
            padded[row, 2 - known :] = text[at - known : at + self._steps]
            freqs[row] = all_freqs[at : at + self._steps]
        before = np.stack([padded[:, 1:-1], padded[:, :-2]], 2)
        return Batch(before, padded[:, 2:], freqs, fresh)
