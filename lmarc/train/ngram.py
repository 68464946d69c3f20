"""Make an n-gram model from text: count, choose, place, train the mixture, write the file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels._cache import sources_digest
from lmarc.model.ngram import NgramModel
from lmarc.train.counts import count_all, pieces_of
from lmarc.train.data import Corpus
from lmarc.train.mixing import initial_profiles, train_profiles
from lmarc.train.tables import Rows, choose, fill_buckets

__all__ = ["train_ngram"]

Array = npt.NDArray[Any]
Report = Callable[[str], object]

LOWEST_SAVING: Final = 8.0  # bits; rows that save less are never worth their place
ROW_SIZE: Final = 6.8  # bytes of a row in the file, about
PROFILE_SIZE: Final = 64_000  # bytes of a profile in the file, about
# Twice as much made prose 0.2 % smaller and text unlike the training text 0.5 % larger.
MIXTURE_TEXT: Final = 12 << 20  # bytes that the profiles are trained on
PIECE_SIZES: Final = (65536, 16384, 4096)  # of the mixture's text, in turn
MIN_TEXT: Final = 64 << 10  # bytes for the tables


def train_ngram(
    corpus: Corpus,
    *,
    size: int,
    profiles: int,
    folder: Path,
    jobs: int = 1,
    card: Mapping[str, object] | None = None,
    report: Report = lambda what: None,
) -> bytes:
    """Return the file of a model trained on `corpus`: the same corpus and settings, the same bytes.

    Parameters
    ----------
    corpus : Corpus
        Its part 'tables' is counted, its part 'mixture' trains the profiles.
    size : int
        Bytes that the file may have.
    profiles : int
        Kinds of text to tell apart.
    folder : Path
        Where finished steps are kept, in a folder named by the text and the code that counts it: a
        training that was stopped goes on there.
    jobs : int
        Threads for counting; they do not change the result.
    card : mapping, optional
        What the model card says besides.
    report : callable, optional
        Told of every finished step.

    Raises
    ------
    ModelError
        When there is too little text.
    """
    tables = corpus.part("tables")
    text, starts = pieces_of([tables[domain] for domain in sorted(tables)])
    if len(text) < MIN_TEXT:
        raise ModelError(
            f"training text for the tables is {len(text)} bytes, expected {MIN_TEXT} or more"
        )
    counted_by = hashlib.sha256(sources_digest().encode() + hashlib.sha256(text.data).digest())
    counted_by.update(starts.tobytes())
    work = folder / counted_by.hexdigest()[:16]  # another text, or other code, counts anew
    work.mkdir(parents=True, exist_ok=True)
    counted = count_all(text, starts, work, jobs=jobs, done=report)
    pieces = mixture_pieces(corpus.part("mixture"), MIXTURE_TEXT)
    if not pieces:
        raise ModelError("no training text is left for the mixture")
    profiles = max(1, min(profiles, len(pieces) // 4))
    report("choosing rows")
    rows = choose(counted, LOWEST_SAVING)
    budget = size - profiles * PROFILE_SIZE
    wanted = max(1, int(budget / ROW_SIZE))
    if len(rows.ids) > wanted:
        threshold = float(np.partition(rows.savings, -wanted)[-wanted])
        rows = choose(counted, threshold)
    details = dict(card or {}) | {"training_text": len(text), "corpus_sha256": corpus.digest}
    while True:
        kept = best_rows(rows, wanted)
        buckets, dropped = fill_buckets(kept)
        report(f"placed {len(kept.ids) - dropped} rows in {len(buckets)} buckets")
        # The tables' size shows before the profiles are trained, which takes far longer.
        bare = len(NgramModel(buckets, initial_profiles(1)).pack(b"")) + profiles * PROFILE_SIZE
        if bare <= size or wanted == 1:
            model = train_profiles(buckets, pieces, profiles)
            report(f"trained {profiles} profiles on {len(pieces)} pieces")
            details["rows"] = len(kept.ids) - dropped
            data = model.pack(json.dumps(details, indent=1, sort_keys=True).encode())
            if len(data) <= size:
                return data
            bare = len(data)
        if wanted == 1:
            raise ModelError(f"size is {size} bytes, {profiles} profiles alone need {bare}")
        report(f"{bare} bytes are more than {size}: choosing fewer rows")
        wanted = max(1, int(wanted * size / bare * 0.998))


def best_rows(rows: Rows, count: int) -> Rows:
    """Return the `count` rows that save most, the earlier of equals."""
    if len(rows.ids) <= count:
        return rows
    order = np.sort(np.argsort(-rows.savings, kind="stable")[:count])
    return Rows(rows.ids[order], rows.levels[order], rows.savings[order])


def mixture_pieces(texts: Mapping[str, bytes], limit: int) -> list[bytes]:
    """Cut up to `limit` bytes, every domain alike, into pieces of several sizes, and mix them."""
    pieces: list[bytes] = []
    share = limit // max(1, len(texts))
    for domain in sorted(texts):
        text = texts[domain]
        mean = sum(PIECE_SIZES) // len(PIECE_SIZES)
        count = max(1, min(share, len(text)) // mean)
        step = max(1, len(text) // count)
        for number in range(count):
            piece = text[number * step :][: PIECE_SIZES[number % len(PIECE_SIZES)]]
            if piece:
                pieces.append(piece)
    return sorted(pieces, key=lambda piece: hashlib.sha256(piece).digest())


def write_model(data: bytes, path: Path) -> str:
    """Write a model's file beside `path` and rename it; return its SHA-256 in hex."""
    temporary = path.with_name(path.name + ".partial")
    NgramModel.parse(data)
    temporary.write_bytes(data)
    os.replace(temporary, path)
    return hashlib.sha256(data).hexdigest()
