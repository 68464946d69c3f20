"""Primers that are chosen from what is to be archived."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmarc.archive.walk import Found
from lmarc.codec.primed import below_of, model_below
from lmarc.errors import SourceError
from lmarc.routing.primer import SIZE, Primer, Source, choose_primer

__all__ = ["chosen_from", "kept", "make_primer"]


def make_primer(
    paths: Iterable[str | bytes | os.PathLike[str]],
    size: int = SIZE,
    *,
    preset: str | None = None,
    text_codec: str | None = None,
    model: str | os.PathLike[str] | None = None,
    progress: Callable[[int], object] = lambda done: None,
    **options: Any,
) -> bytes:
    """Choose a text that every chunk is to begin from, and return the file of a model with it.

    That is written to a file, which `model` of `create` and others names; with `embed_model` the
    archive needs nothing else.

    Parameters
    ----------
    paths : iterable of paths
        What to choose from, as for `create`: files that are text, read where they are sampled.
    size : int
        Bytes of text at most, up to 256 KiB.
    preset, text_codec : str, optional
        What the archive is written with.
    model : path, optional
        A model of one's own to stand on top of.
    progress : callable
        Gets how many bytes have been gone over.
    **options
        directory, exclude, source_options, recurse, one_file_system and missing_ok, as for
        `create`.

    Raises
    ------
    ValueError
        What codes text takes no primer.
    ModelError
        There is no text, or no primer has such a size.
    OSError
        As for `create`.
    """
    from lmarc.archive.create import find

    below = model_below(os.fspath(model) if model is not None else below_of(preset, text_codec))
    found = find(paths, warn=lambda message: None, open_files=False, **options)
    return chosen_from(found, size, progress=progress).over(below)


def chosen_from(
    found_all: Iterable[Found],
    size: int,
    *,
    progress: Callable[[int], object] = lambda done: None,
) -> Primer:
    """Return a primer that is chosen from files."""
    sources = (
        Source(os.fsdecode(one.name), one.size, _reader(one)) for one in found_all if one.size
    )
    return choose_primer(sources, size, progress=progress)


def _reader(found: Found) -> Callable[[int, int], bytes]:
    """Return what reads a file, or nothing of one that cannot be read: `create` says so of it."""

    def read(start: int, end: int) -> bytes:
        try:
            return found.read(start, end)
        except SourceError:
            return b""

    return read


@contextmanager
def kept(data: bytes) -> Iterator[str]:
    """Give the path of a file that holds a model, while inside."""
    with tempfile.TemporaryDirectory(prefix="lmarc-") as folder:
        path = Path(folder) / "primer.lmmodel"
        path.write_bytes(data)
        yield str(path)
