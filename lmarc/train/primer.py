"""What the text of a primer is chosen from: files, tables and archives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from lmarc.codec.primed import model_below
from lmarc.routing.primer import SIZE, Primer, Source, choose_primer, of_bytes
from lmarc.routing.sniff import Sampler
from lmarc.train.data import documents, files

__all__ = ["sources", "train_primer"]


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


def _reader(path: str) -> Sampler:
    def read(start: int, end: int) -> bytes:
        with open(path, "rb") as opened:
            opened.seek(start)
            return opened.read(end - start)

    return read


def train_primer(
    paths: Sequence[str],
    below: str,
    size: int = SIZE,
    *,
    column: str = "text",
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[Primer, bytes]:
    """Return a primer that is chosen from `paths`, and the file of a model with it.

    Parameters
    ----------
    paths, column
        As for `sources`.
    below : str
        As for `model_below`.
    size, progress
        As for `choose_primer`.

    Raises
    ------
    OSError, ModelError
        As those do.
    """
    held = model_below(below)
    made = choose_primer(sources(paths, column), size, progress=progress)
    return made, made.over(held)
