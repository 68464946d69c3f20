"""Count the contexts of training text, one kind of context after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.kernels import contexts, counting
from lmarc.kernels.ngram import STATIC_LANES

__all__ = ["PARENTS", "PIECE_SIZE", "Counts", "count_all", "pieces_of"]

PIECE_SIZE: Final = 1 << 16  # bytes
VISITS: Final = 3  # of one context in one piece that count
LEAST: Final = 6  # visits in all that make a context worth counting
SKETCH_BITS: Final = 30
SEEN_BITS: Final = 19
TABLE_BITS: Final = 25

# Each static lane's shorter context: what a row is measured against, and smoothed with.
PARENTS: Final[dict[int, int | None]] = {
    contexts.ORDER_2: None,
    contexts.ORDER_3: contexts.ORDER_2,
    contexts.ORDER_4: contexts.ORDER_3,
    contexts.ORDER_5: contexts.ORDER_4,
    contexts.ORDER_6: contexts.ORDER_5,
    contexts.WORD: contexts.ORDER_4,
    contexts.WORD_PAIR: contexts.WORD,
}

Array = npt.NDArray[Any]


class Counts(NamedTuple):
    """What was counted for one lane."""

    ids: Array  # int64, (n_contexts,): key, and salt << 32
    counts: Array  # uint32, (n_contexts, 16)
    parents: Array  # int32, (n_contexts,): row in the parent lane's arrays, or -1


def pieces_of(texts: Sequence[bytes | Array]) -> tuple[Array, Array]:
    """Join texts, and cut each of them into pieces of a chunk's size: uint8 text, int64 starts."""
    starts: list[int] = []
    offset = 0
    for text in texts:
        starts += range(offset, offset + len(text), PIECE_SIZE)
        offset += len(text)
    parts = [np.frombuffer(text, np.uint8) for text in texts]
    joined = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return joined, np.array([*starts, offset], np.int64)


def _scratch() -> tuple[Array, Array, Array]:
    return (
        np.zeros(contexts.N_CURSOR, np.int64),
        np.zeros(contexts.N_FIELDS, np.int32),
        np.zeros(16, np.uint32),
    )


def _count_lane(text: Array, starts: Array, lane: int) -> tuple[Array, Array]:
    # A sketch of four places for each visit that could count keeps collisions rare.
    bits = min(SKETCH_BITS, max(16, (8 * len(text)).bit_length()))
    sketch = np.zeros(1 << bits, np.uint8)
    seen = np.zeros(1 << SEEN_BITS, np.uint8)
    scratch = _scratch()
    counting.sketch(text, starts, lane, VISITS, bits, SEEN_BITS, sketch, seen, *scratch)
    table_bits = min(TABLE_BITS, bits)
    ids = np.full(1 << table_bits, -1, np.int64)
    counts = np.zeros((1 << table_bits, 16), np.uint32)
    least = LEAST
    while True:
        found = counting.count(
            text, starts, lane, VISITS, bits, SEEN_BITS, sketch, seen, *scratch, least, table_bits,
            ids, counts
        )  # fmt: skip
        if found >= 0:
            break
        least += least // 2
        ids[:] = -1
        counts[:] = 0
    used = np.flatnonzero(ids >= 0)
    used = used[np.argsort(ids[used], kind="stable")]
    return ids[used], counts[used]


def _index_of(ids: Array) -> tuple[int, Array]:
    bits = max(4, (2 * len(ids)).bit_length())
    index = np.full(1 << bits, -1, np.int32)
    counting.fill_index(ids, bits, index)
    return bits, index


def count_all(
    text: Array,
    starts: Array,
    folder: Path,
    *,
    jobs: int = 1,
    done: Callable[[str], object] = lambda what: None,
) -> dict[int, Counts]:
    """Count every static lane; finished lanes are kept in `folder` and not counted again.

    Parameters
    ----------
    text : uint8, shape (size,)
    starts : int64, shape (n_pieces + 1,)
    folder : Path
        Of this text only: the caller names it by the text's digest.
    jobs : int
        Lanes counted at the same time, each with up to 4 GiB of memory for 400 MB of text.
    done : callable
        Told what was finished, for progress.
    """

    def counted(lane: int) -> tuple[Array, Array]:
        path = folder / f"counts-{lane}.npz"
        if not path.exists():
            ids, counts = _count_lane(text, starts, lane)
            _save(path, ids=ids, counts=counts)
        done(f"counted lane {lane}")
        with np.load(path) as saved:
            return saved["ids"], saved["counts"]

    with ThreadPoolExecutor(jobs) as pool:
        # The longest contexts take longest: first.
        order = sorted(STATIC_LANES, key=lambda lane: lane not in (4, 8, 9))
        results = dict(zip(order, pool.map(counted, order), strict=True))
        indices = {lane: _index_of(ids) for lane, (ids, _) in results.items()}

        def linked(lane: int) -> Array:
            path = folder / f"parents-{lane}.npz"
            parent = PARENTS[lane]
            parents = np.full(len(results[lane][0]), -2, np.int32)
            if parent is not None and not path.exists():
                counting.link(
                    text, starts, lane, parent, results[lane][0], *indices[lane],
                    results[parent][0], *indices[parent], *_scratch(), parents,
                )  # fmt: skip
                _save(path, parents=parents)
            elif parent is not None:
                with np.load(path) as saved:
                    parents = saved["parents"]
            done(f"linked lane {lane}")
            return np.maximum(parents, -1)

        linked_all = dict(zip(order, pool.map(linked, order), strict=True))
    return {lane: Counts(*results[lane], linked_all[lane]) for lane in STATIC_LANES}


def _save(path: Path, **arrays: Array) -> None:
    temporary = path.with_suffix(".partial.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]
    temporary.rename(path)
