"""Batches for networks that are trained in the loop: text, and what the mixture says of it.

Text is bytes or tokens: what a `Source` makes of it. Chunks come from text that the static tables
have not seen, each coded from a fresh start as an archive's chunks are. Every row of a batch is at
a place of its own in a chunk of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lmarc.codec.multiscale import blended_freqs
from lmarc.codec.neural import mixture_freqs
from lmarc.codec.ngram import choose_profile
from lmarc.errors import ModelError
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.ngram import NgramModel

if TYPE_CHECKING:
    from lmarc.train.loop import Course

__all__ = ["CHUNK", "Batch", "ByteSource", "Chunk", "Feed", "Order", "Source", "first_feed"]

Array = npt.NDArray[Any]
CHUNK: Final = 65536  # bytes


class Source(Protocol):
    """What text is made of, and what a mixture says of it. Safe to share between threads."""

    @property
    def levels(self) -> int:
        """Symbols of sixteen that a step has."""

    def cut(self, content: bytes) -> Array:
        """Return the steps of a chunk: integers, shape (count,)."""

    def freqs(self, content: bytes) -> Array:
        """Return the mixture's freqs of their symbols: uint16, shape (count, levels, 16)."""


class ByteSource:
    """Bytes, of two symbols each, and the n-gram mixture.

    Parameters
    ----------
    model : NgramModel
    blend : MultiscaleModel, optional
        One without a network, over `model`. Its freqs, which are to be corrected, follow those of
        the mixture, which are seen.
    """

    def __init__(self, model: NgramModel, blend: MultiscaleModel | None = None) -> None:
        self._model, self._blend = model, blend

    @property
    def levels(self) -> int:
        """2, or 4 with a blend."""
        return 2 if self._blend is None else 4

    def cut(self, content: bytes) -> Array:
        """Return bytes: uint8."""
        return np.frombuffer(content, np.uint8)

    def freqs(self, content: bytes) -> Array:
        """Return the freqs of both nibbles: uint16, shape (size, levels, 16)."""
        profile = choose_profile(self._model, content)
        seen = mixture_freqs(self._model, content, profile)
        if self._blend is None:
            return seen
        return np.concatenate([seen, blended_freqs(self._blend, content, profile, seen)], 1)


class Batch(NamedTuple):
    """Some steps of several chunks: arrays, or tensors where they already lie on a device."""

    before: Any  # int64, (B, T, 2)
    text: Any  # int64, (B, T)
    freqs: Any  # float32, (B, T, levels, 16)
    fresh: Any  # bool, (B,): rows that begin a chunk
    domains: list[str]  # of each row


class Order:
    """Chunks of several domains by chance: each comes once before one comes again.

    Parameters
    ----------
    source : Source
    texts : mapping of str to bytes
        Text by domain; domains are drawn by size, or by `weights`. One that has fewer steps than
        `steps` is left out.
    steps : int
        Of a chunk that a batch takes.
    seed : int
    weights : mapping of str to float
        How much oftener than by its size a domain is drawn; 1.0 where it is not named.

    Raises
    ------
    ModelError
        When every text is shorter than `steps`, or `weights` names no domain or leaves none.
    """

    def __init__(
        self,
        source: Source,
        texts: Mapping[str, bytes],
        steps: int,
        *,
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.texts = {
            name: text for name, text in texts.items() if len(source.cut(text[:CHUNK])) >= steps
        }
        if not self.texts:
            raise ModelError(f"no domain has {steps} steps of text for the network to learn from")
        self._random = np.random.default_rng(seed)
        self._names = sorted(self.texts)
        weights = dict(weights or {})
        for name in weights:
            if name not in texts:
                raise ModelError(
                    f"there is a weight for domain {name}, expected one of {', '.join(texts)}"
                )
        sizes = [len(self.texts[name]) * weights.get(name, 1.0) for name in self._names]
        if not sum(sizes):
            raise ModelError("the weights of all domains are 0: nothing is left to learn from")
        self._shares = np.array(sizes) / sum(sizes)
        self._left: dict[str, list[int]] = {}

    def count(self, name: str) -> int:
        """Return how many chunks a domain has; what is left of a last one is left alone."""
        return max(1, len(self.texts[name]) // CHUNK)

    def content(self, name: str, number: int) -> bytes:
        """Return a chunk's bytes."""
        return self.texts[name][number * CHUNK : (number + 1) * CHUNK]

    def draw(self) -> tuple[str, int]:
        """Return the next chunk: its domain and its number there."""
        name = self._names[int(self._random.choice(len(self._names), p=self._shares))]
        if not self._left.get(name):
            self._left[name] = self._random.permutation(self.count(name)).tolist()
        return name, self._left[name].pop()


@dataclass(slots=True)
class Chunk:
    """A row's text, how far it has come, and what the mixture says of it once it is asked."""

    domain: str
    number: int  # in its domain
    content: bytes
    text: Array
    at: int = 0
    freqs: Future[Array] | None = None


class Feed:
    """An endless, reproducible sequence of batches.

    Iterating owns no threads: a generator that is left behind is finished by the garbage collector,
    which must never wait for one (`lmarc.archive.workers` says why).

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Where the mixture walks ahead, over a few chunks; the caller's, who ends it.
    source : Source
    texts, seed, weights
        As for `Order`.
    rows, steps : int
        Shape of a batch.
    skip : int
        Batches to pass over, for a training that goes on: those after them are the same as if they
        had been asked for.
    others : mapping of str to Source
        For domains whose text the mixture of `source` has seen: a mixture that has not.
    ahead : int
        Chunks that the mixture walks over before they are needed.

    Raises
    ------
    ModelError
        As `Order` does.
    """

    def __init__(
        self,
        executor: Executor,
        source: Source,
        texts: Mapping[str, bytes],
        rows: int,
        steps: int,
        *,
        seed: int = 0,
        skip: int = 0,
        weights: Mapping[str, float] | None = None,
        others: Mapping[str, Source] | None = None,
        ahead: int = 4,
    ) -> None:
        self._executor = executor
        self._source, self._others = source, dict(others or {})
        self._order = Order(source, texts, steps, seed=seed, weights=weights)
        self._rows, self._steps = rows, steps
        self._skip, self._ahead = skip, ahead

    def _chunk(self, name: str, number: int) -> Chunk:
        content = self._order.content(name, number)
        return Chunk(name, number, content, self._source.cut(content))

    def _draw(self) -> Chunk:
        return self._chunk(*self._order.draw())

    def _ask(self, chunk: Chunk) -> Chunk:
        """Let the mixture walk over a chunk."""
        source = self._others.get(chunk.domain, self._source)
        chunk.freqs = self._executor.submit(source.freqs, chunk.content)
        return chunk

    def __iter__(self) -> Iterator[Batch]:
        # Rows begin at different places, so that they do not end together.
        rows = [self._draw() for _ in range(self._rows)]
        for row, chunk in enumerate(rows):
            chunk.at = len(chunk.text) * row // self._rows // self._steps * self._steps
        fresh = np.ones(self._rows, bool)
        for _ in range(self._skip):
            fresh = self._move(rows, self._draw)
        waiting: deque[Chunk] = deque()

        def take() -> Chunk:
            waiting.append(self._ask(self._draw()))
            return waiting.popleft()

        for chunk in rows:
            self._ask(chunk)
        waiting.extend(self._ask(self._draw()) for _ in range(self._ahead))
        while True:
            yield self._batch(rows, fresh)
            fresh = self._move(rows, take)

    def _move(self, rows: list[Chunk], take: Callable[[], Chunk]) -> Array:
        """Go on by a batch; return which rows have taken a new chunk."""
        fresh = np.zeros(self._rows, bool)
        for row, chunk in enumerate(rows):
            chunk.at += self._steps
            if chunk.at + self._steps > len(chunk.text):
                rows[row] = take()
                fresh[row] = True
        return fresh

    def _batch(self, rows: list[Chunk], fresh: Array) -> Batch:
        padded = np.zeros((self._rows, self._steps + 2), np.int64)
        freqs = np.empty((self._rows, self._steps, self._source.levels, 16), np.float32)
        for row, chunk in enumerate(rows):
            known = min(chunk.at, 2)
            text = chunk.text[chunk.at - known : chunk.at + self._steps]
            padded[row, 2 - known :] = text
            assert chunk.freqs is not None
            freqs[row] = chunk.freqs.result()[chunk.at : chunk.at + self._steps]
        before = np.stack([padded[:, 1:-1], padded[:, :-2]], 2)
        return Batch(before, padded[:, 2:], freqs, fresh, [chunk.domain for chunk in rows])


def first_feed(
    executor: Executor,
    source: Source,
    texts: Mapping[str, bytes],
    settings: Course,
    others: Mapping[str, Source] | None,
) -> Feed:
    """Return what a training on a processor learns from, from its beginning, to look at it.

    The executor is the caller's; the rest is what `loop.train_network` gets.
    """
    return Feed(
        executor,
        source,
        texts,
        settings.rows,
        settings.steps,
        seed=settings.seed,
        weights=settings.weights,
        others=others,
    )
