"""Small n-gram models for tests, made of random numbers or trained; and the same for `naive`."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmarc.kernels import contexts, ngram, placing
from lmarc.model.ngram import PROFILE_ARRAYS, NgramModel
from lmarc.train.data import Corpus, Document, gather
from lmarc.train.mixing import initial_profiles
from lmarc.train.ngram import train_ngram
from tests import naive

Array = npt.NDArray[Any]

TEXT = (
    "the a of to in and that is was it for on as with at by his from they we say her she "
    "or an will my one all would there their what so up out if about who get which go me "
    "when make can like time no just him know take people into year your good some could "
    "them see other than"
)
WORDS = TEXT.split()


def prose(seed: int, size: int) -> bytes:
    """Return words in sentences and lines, the same for the same seed."""
    choose = random.Random(seed)
    text = ""
    while len(text) < size:
        line = " ".join(choose.choices(WORDS, weights=range(len(WORDS), 0, -1), k=9))
        text += line.capitalize() + choose.choice((".\n", ", ", "; "))
    return text.encode()[:size]


def table(seed: int, size: int) -> bytes:
    """Return lines of comma-separated values, the same for the same seed."""
    choose = random.Random(seed)
    text = ""
    while len(text) < size:
        place = choose.choice(("north", "south", "east", "west"))
        text += f"{choose.randrange(1000)},{place},{choose.random():.3f},{choose.choice(WORDS)}\n"
    return text.encode()[:size]


def buckets_for(text: bytes, n_buckets: int) -> Array:
    """Return buckets with rows for the contexts of `text`, in the order in which they are met."""
    walk = naive.Contexts()
    rows: dict[tuple[int, int], list[int]] = {}
    for byte in text:
        keys = walk.keys()
        for salt, symbol in ((0, byte >> 4), (1 + (byte >> 4), byte & 15)):
            for lane in naive.STATIC_LANES:
                rows.setdefault((keys[lane], salt), [5] * 16)[symbol] = 1
        walk.advance(byte)
    keys_of = np.array([key for key, _ in rows], np.uint32)
    hashes = np.array([naive.row_hash(key, salt) for key, salt in rows], np.uint32)
    levels: Array = np.array(list(rows.values()), np.uint8).reshape(-1, 16)
    tags = np.zeros((n_buckets, 8), np.uint16)
    slots = np.zeros((n_buckets, 6, 8), np.uint8)
    filled = np.zeros(n_buckets, np.int64)
    packed = levels[:, 0::2] | levels[:, 1::2] << 4
    placing.place(keys_of, hashes, packed, n_buckets, tags, slots, filled)
    return np.hstack([tags.view(np.uint8), slots.reshape(n_buckets, -1)])


def random_model(seed: int, text: bytes, n_buckets: int = 7, profiles: int = 2) -> NgramModel:
    """Return a model with rows for `text` and weights that nobody trained."""
    random_ = np.random.default_rng(seed)
    arrays = initial_profiles(profiles)
    for name in ("sets", "bytes", "confidences"):
        arrays[name] = random_.integers(-20_000, 40_000, arrays[name].shape, np.int32)
    arrays["hits"] = random_.integers(0, 65_536, arrays["hits"].shape, np.int32)
    arrays["limits"] = random_.integers(1, 64, arrays["limits"].shape, np.int32)
    arrays["mixer_rates"] = random_.integers(0, 1000, arrays["mixer_rates"].shape, np.int32)
    arrays["rates"][:, 0] = random_.integers(0, 32_768, arrays["rates"][:, 0].shape)
    arrays["rates"][:, 1] = random_.integers(0, 65_536, arrays["rates"][:, 1].shape)
    return NgramModel(buckets_for(text, n_buckets), arrays)


def naive_buckets(model: NgramModel) -> list[naive.Bucket]:
    """Return the static rows of a model as `naive` reads them."""
    data = model.static(0).buckets.reshape(-1, ngram.BUCKET_SIZE)
    return [
        naive.Bucket(
            [int.from_bytes(bytes(bucket[2 * slot : 2 * slot + 2]), "little") for slot in range(6)],
            int.from_bytes(bytes(bucket[12:16]), "little"),
            [
                [int(byte) >> shift & 15 for byte in bucket[at : at + 8] for shift in (0, 4)]
                for at in range(16, 64, 8)
            ],
        )
        for bucket in data
    ]


def naive_profile(model: NgramModel, number: int) -> naive.Profile:
    """Return a profile of a model as `naive` reads it."""
    arrays = {name: model.profiles[name][number].tolist() for name in PROFILE_ARRAYS}
    share, gain = arrays.pop("rates")
    return naive.Profile(share=share, gain=gain, **arrays)


def scratch_arrays() -> tuple[Any, Any, Any]:
    """Return cursor, fields and keys for the kernels of `contexts`."""
    return (
        np.zeros(contexts.N_CURSOR, np.int64),
        np.zeros(contexts.N_FIELDS, np.int32),
        np.zeros(16, np.uint32),
    )


def corpus(size: int = 200_000) -> Corpus:
    """Return training text of two kinds, `size` bytes of each."""
    makers = {"prose": prose, "table": table}
    return gather(
        (
            Document(domain, str(number), make(1000 + number, 5000))
            for domain, make in makers.items()
            for number in range(size // 5000)
        ),
        limit=1 << 30,
    )


def train(folder: Path, *, size: int = 120_000, profiles: int = 2, **options: Any) -> bytes:
    """Return the file of a model trained on `corpus`; steps are kept in `folder`."""
    return train_ngram(corpus(), size=size, profiles=profiles, folder=folder, **options)


@dataclass(frozen=True)
class TinyModel:
    """A model that was trained in seconds: its file, and what the file holds."""

    path: Path
    data: bytes
    sha256: bytes


def trained(folder: Path) -> TinyModel:
    """Train a model and write it into a folder."""
    data = train(folder)
    path = folder / "tiny.lmmodel"
    path.write_bytes(data)
    return TinyModel(path, data, hashlib.sha256(data).digest())
