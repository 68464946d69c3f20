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
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.codec import base
from lmarc.codec.base import DEFAULT_PRESET, ContentClass, ModelKind
from lmarc.errors import ModelError
from lmarc.model import file, primed, registry
from lmarc.routing.sniff import Sampler, classify
from lmarc.train.data import documents, files

__all__ = [
    "PRESETS", "SIZE", "Source", "Trained", "below_of", "choose", "model_below", "of_bytes",
    "sample", "sources", "train_primer",
]  # fmt: skip

Array = npt.NDArray[Any]

# Preset -> the shipped model that a primed one for it is on top of, as `registry.shipped` has it.
PRESETS: Final = {
    name: preset.text_model or preset.text_codec
    for name, preset in base.PRESETS.items()
    if preset.text_codec is not None
}
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


class Trained(NamedTuple):
    """A primed model, and what it was made of."""

    data: bytes  # its file
    text_size: int  # bytes of the primer
    pieces: int
    sampled: int  # bytes of text that it was chosen from


def sources(paths: Sequence[str], column: str = "text") -> Iterator[Source]:
    """Yield what there is to read below `paths`, in a fixed order.

    Files are read where they are sampled and no further, JSON lines as they are; tables and
    archives are read as `lmarc.train.data.documents` has them.

    Raises
    ------
    OSError
        A path that is not there.
    ModelError
        A Parquet file without `column`.
    """
    for path in files(paths):
        if path.endswith((".parquet", ".lmarc")):
            for document in documents([path], column):
                yield of_bytes(document.name, document.text)
        else:
            yield Source(path, os.path.getsize(path), _reader(path))


def of_bytes(name: str, text: bytes) -> Source:
    """Return a source whose bytes are in memory."""
    return Source(name, len(text), lambda start, end: text[start:end])


def _reader(path: str) -> Sampler:
    def read(start: int, end: int) -> bytes:
        with open(path, "rb") as opened:
            opened.seek(start)
            return opened.read(end - start)

    return read


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


def model_below(name: str) -> bytes:
    """Return what a primed model holds of the model below it: its file, or the digest of one.

    Parameters
    ----------
    name : str
        A preset, whose model ships and is named by its SHA-256, or the file of an n-gram or
        multi-scale model.

    Raises
    ------
    ModelError
        When the file is another.
    OSError
        When there is none.
    """
    if name in PRESETS and not Path(name).exists():
        return registry.shipped(PRESETS[name])
    data = Path(name).read_bytes()
    kind = file.kind_of(data)
    if kind not in (ModelKind.NGRAM, ModelKind.MULTISCALE):
        raise ModelError(
            f"{name} is a model of kind {kind}, expected 2 (n-gram) or 6 (multi-scale), which can "
            "be primed"
        )
    digest = hashlib.sha256(data).digest()
    return digest if digest.hex() in registry.SHIPPED else data


def below_of(preset: str | None, text_codec: str | None) -> str:
    """Return the preset whose model a primer is on top of, where these are asked for.

    Raises
    ------
    ValueError
        When what codes text takes no primer.
    """
    if text_codec is None:
        found = preset or DEFAULT_PRESET
        what = f"preset {found}"
    else:
        # Of presets that need no other model than the codec's own.
        found = next((name for name, model in PRESETS.items() if model == text_codec), "")
        what = f"codec {text_codec}"
    if found not in PRESETS:
        raise ValueError(
            f"{what} takes no primer, expected preset {', '.join(PRESETS)}, or codec ngram or "
            "multiscale"
        )
    return found


def train_primer(
    found: Iterable[Source],
    below: bytes,
    size: int = SIZE,
    *,
    progress: Callable[[int], object] = lambda n: None,
) -> Trained:
    """Return a primed model whose text is chosen from `found`; the same for the same data.

    Parameters
    ----------
    found : iterable of Source
    below : bytes
        As `model_below` returns it.
    size : int
        Bytes of text at most.
    progress : callable
        As for `sample`.

    Raises
    ------
    ModelError
        When there is no text, or for a size that no primer has.
    """
    if not GRAM <= size <= primed.MAX_TEXT:
        raise ModelError(
            f"a primer of {size} bytes is asked for, expected {GRAM} to {primed.MAX_TEXT}"
        )
    pieces = sample(found, progress=progress)
    chosen = choose(pieces, size)
    if not chosen:
        raise ModelError("there is no text to choose a primer from")
    text = b"".join(chosen)
    sampled = b"".join(pieces)
    card = {
        "corpus_sha256": hashlib.sha256(sampled).hexdigest(),
        "pieces": len(chosen),
        "training_text": len(sampled),
    }
    data = primed.pack(json.dumps(card, indent=1, sort_keys=True).encode(), below, text)
    return Trained(data, len(text), len(chosen), len(sampled))
