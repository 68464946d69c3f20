"""Choose the text of a primed model from data: pieces that have most in common with all of it.

The data is taken for one stream, cut into cells, of which a sample, evenly spread, is read: how
much does not depend on how much data there is. Of the sample those pieces are chosen that cover
most of what recurs: COVER (Liao, Petri, Moffat & Wirth, Effective Construction of Relative
Lempel-Ziv Dictionaries, 2016), as zstd makes its dictionaries.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import ContentClass
from lmarc.codec.primed import MAX_TEXT, primed_model
from lmarc.errors import ModelError
from lmarc.routing.sniff import Sampler, classify

__all__ = ["SIZE", "Primer", "Source", "choose", "choose_primer", "of_bytes", "sample"]

Array = npt.NDArray[Any]

SIZE: Final = 32 << 10  # bytes of a primer, unless another is asked for
CELL: Final = 1024  # bytes
LIMIT: Final = 4 << 20  # bytes of a sample
GRAM: Final = 8  # bytes: what recurs
GRAM_BITS: Final = 22  # of a gram's hash
MULTIPLIER: Final = 0x9E3779B97F4A7C15


class Source(NamedTuple):
    """Something to read from: a file, a row of a table, a member of an archive."""

    name: str
    size: int  # bytes
    read: Sampler


class Primer(NamedTuple):
    """A text that is to stand before every chunk, and what it was chosen from."""

    text: bytes
    pieces: int
    sampled: int  # bytes of text
    sample_sha256: str

    def over(self, below: bytes) -> bytes:
        """Return the file of a primed model on top of a model, as `model_below` returns that."""
        card = {
            "corpus_sha256": self.sample_sha256,
            "pieces": self.pieces,
            "training_text": self.sampled,
        }
        return primed_model(self.text, below, json.dumps(card, indent=1, sort_keys=True).encode())


def of_bytes(name: str, text: bytes) -> Source:
    """Return a source whose bytes are in memory."""
    return Source(name, len(text), lambda start, end: text[start:end])


def sample(
    found: Iterable[Source], limit: int = LIMIT, progress: Callable[[int], object] = lambda n: None
) -> list[bytes]:
    """Return pieces of text, evenly spread over the data, in its order.

    Sources stand one behind the other and are cut into cells of `CELL` bytes; a piece is the lines
    that begin in a cell. Cells are read as they come until the pieces exceed `limit`; then of any
    two cells side by side one goes, drawn by a hash of its number, and from there on one of two is
    read, then one of four, and so on. So all equal parts of the data have a cell each in the
    sample. Half of `limit` at most is read for each doubling of the data, and `limit` is held.

    Parameters
    ----------
    found : iterable of Source
        What is no text by `lmarc.routing.sniff` is left out.
    limit : int
        Bytes.
    progress : callable
        Told how many bytes of data were gone over, after each source.
    """
    kept: dict[int, bytes] = {}
    level = position = held = 0
    for source in found:
        end = position + source.size
        cell = _next(position // CELL, level)
        text = cell * CELL < end and _is_text(source)
        while text and cell * CELL < end:
            piece = _lines(source, cell * CELL - position)
            kept[cell] = kept.get(cell, b"") + piece
            held += len(piece)
            while held > limit:
                level += 1
                kept = {one: kept[one] for one in kept if _next(one, level) == one}
                held = sum(map(len, kept.values()))
            cell = _next(cell + 1, level)
        position = end
        progress(position)
    return [kept[one] for one in sorted(kept) if kept[one]]


def _next(cell: int, level: int) -> int:
    """Return the first cell from `cell` on that is drawn: one of each 2 ** level side by side."""
    block = cell >> level
    drawn = _drawn(block, level)
    return drawn if drawn >= cell else _drawn(block + 1, level)


def _drawn(block: int, level: int) -> int:
    """Return the cell of a block; it is drawn on all lower levels too."""
    for below in reversed(range(level)):
        coin = hashlib.blake2b(b"%d %d" % (below, block), digest_size=1).digest()[0] & 1
        block = 2 * block + coin
    return block


def _is_text(source: Source) -> bool:
    name = os.fsencode(source.name)
    return classify(source.read, source.size, name) == ContentClass.TEXT


def _lines(source: Source, start: int) -> bytes:
    """Return the lines that begin in a cell; `start` is negative where the source begins in it."""
    end = min(start + CELL, source.size)
    first = max(start - 1, 0)
    window = source.read(first, min(end + CELL, source.size))
    begin = 0 if start <= 0 else _line_start(window, start - first)
    stop = len(window) if end == source.size else _line_start(window, end - first)
    return window[begin:stop]


def _line_start(window: bytes, at: int) -> int:
    """Return where a line begins at `at` or in the cell behind; where none does, a character."""
    found = window.find(b"\n", at - 1, at + CELL - 1)
    if found >= 0:
        return found + 1
    while at < len(window) and 0x80 <= window[at] < 0xC0:
        at += 1
    return at


def choose(pieces: Sequence[bytes], size: int) -> list[bytes]:
    """Return the pieces that cover most of what recurs, in their order, `size` bytes at most.

    Again and again that piece is taken which has most to a byte of what none before it has: a gram
    of `GRAM` bytes counts as much as there are pieces with it.
    """
    grams = [_grams(piece) for piece in pieces]
    if not any(len(own) for own in grams):
        return []
    counts = np.bincount(np.concatenate(grams), minlength=1 << GRAM_BITS).astype(np.int32)

    def worth(number: int) -> float:
        return float(counts[grams[number]].sum()) / len(pieces[number])

    # Worth only falls as others are taken: who is first when it is reckoned again is the best.
    queue = [(-worth(number), number) for number, own in enumerate(grams) if len(own)]
    heapq.heapify(queue)
    taken: list[int] = []
    left = size
    while queue:
        _, number = heapq.heappop(queue)
        now = worth(number)
        if not now or len(pieces[number]) > left:
            continue
        if queue and now < -queue[0][0]:
            heapq.heappush(queue, (-now, number))
            continue
        taken.append(number)
        counts[grams[number]] = 0
        left -= len(pieces[number])
    return [pieces[number] for number in sorted(taken)]


def _grams(piece: bytes) -> Array:
    """Return the hashes of a piece's grams, each once: int64, shape (n,)."""
    if len(piece) < GRAM:
        return np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(piece, np.uint8), GRAM)
    numbers = np.ascontiguousarray(windows).view("<u8")[:, 0]
    hashes = (numbers * np.uint64(MULTIPLIER)) >> np.uint64(64 - GRAM_BITS)
    return np.unique(hashes.astype(np.int64))


def choose_primer(
    found: Iterable[Source],
    size: int = SIZE,
    *,
    progress: Callable[[int], object] = lambda n: None,
) -> Primer:
    """Return a primer whose text is chosen from `found`; the same for the same data.

    Parameters
    ----------
    found : iterable of Source
    size : int
        Bytes of text at most.
    progress : callable
        As for `sample`.

    Raises
    ------
    ModelError
        When there is no text, or for a size that no primer has.
    """
    if not GRAM <= size <= MAX_TEXT:
        raise ModelError(f"a primer of {size} bytes is asked for, expected {GRAM} to {MAX_TEXT}")
    pieces = sample(found, progress=progress)
    chosen = choose(pieces, size)
    if not chosen:
        raise ModelError("there is no text to choose a primer from")
    sampled = b"".join(pieces)
    return Primer(b"".join(chosen), len(chosen), len(sampled), hashlib.sha256(sampled).hexdigest())
