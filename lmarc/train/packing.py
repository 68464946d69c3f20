"""Pack training text into an archive of a given size, to be carried to another machine.

The archive's members are PART/DOMAIN/NUMBER, and `lmarc.train.data` reads them back into the parts
and domains that they come from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import lmarc
from lmarc.errors import ModelError
from lmarc.train.data import Corpus

__all__ = ["Packed", "pack"]

CHUNK_SIZE: Final = 1 << 20  # nobody reads at random here
SAMPLE: Final = 4 << 20  # bytes of text on which the ratio is measured first
TRIES: Final = 8
SPARE: Final = 0.98  # share of the size that is aimed at


class Packed(NamedTuple):
    """What was packed."""

    texts: int
    text_size: int  # bytes
    size: int  # of the archive, bytes


def pack(
    corpus: Corpus,
    output: Path,
    size: int,
    *,
    parts: Sequence[str] = ("mixture", "held out"),
    jobs: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Packed:
    """Write as much of a corpus as fits in `size` bytes, every domain by its share.

    Parameters
    ----------
    corpus : Corpus
    output : Path
        The archive; it replaces what is there once it is whole.
    size : int
        Bytes that it may have.
    parts : sequence of str
        Parts of the corpus to take; the part 'tables' is of no use for training a network.
    jobs : int, optional
        Worker threads.
    progress : callable, optional
        As for `lmarc.Writer`.

    Raises
    ------
    ModelError
        When nothing fits.
    """
    total = sum(len(text) for part in parts for text in corpus.part(part).values())
    if not total:
        raise ModelError(f"there is no text of the parts {', '.join(parts)} to pack")
    temporary = output.with_name(output.name + ".partial")
    share = min(1.0, SAMPLE / total)
    try:
        too_large = False
        for _ in range(TRIES):
            packed = _write(corpus, parts, share, temporary, jobs, progress)
            fits = packed.size <= size
            if fits and (too_large or share == 1 or packed.size >= size * SPARE**2):
                break
            too_large = not fits
            # What is left out is like what is in: the size goes with the text.
            share = min(1.0, share * size * SPARE / packed.size)
        if packed.size > size:
            raise ModelError(
                f"{packed.text_size} bytes of text make an archive of {packed.size} bytes, "
                f"expected {size} or fewer"
            )
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return packed


def _write(
    corpus: Corpus,
    parts: Sequence[str],
    share: float,
    path: Path,
    jobs: int | None,
    progress: Callable[[int, int], object] | None,
) -> Packed:
    count = size = 0
    with lmarc.Writer(path, chunk_size=CHUNK_SIZE, jobs=jobs, progress=progress) as writer:
        for name, text in _chosen(corpus, parts, share):
            writer.add_bytes(name, text)
            count, size = count + 1, size + len(text)
    return Packed(count, size, path.stat().st_size)


def _chosen(corpus: Corpus, parts: Sequence[str], share: float) -> Iterator[tuple[str, bytes]]:
    """Yield names and texts: the first of each domain, whose order is that of hashes."""
    for part in parts:
        for domain, texts in sorted(corpus.texts.get(part, {}).items()):
            wanted = share * sum(map(len, texts))
            for number, text in enumerate(texts):
                if wanted <= 0:
                    break
                yield f"{part}/{domain}/{number}", text
                wanted -= len(text)
