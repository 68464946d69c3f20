"""The n-gram model that ships, as it is in memory, in the user's cache folder.

Unpacking it takes longer than all else that a process does to read some bytes.  A file holds a
head, the profiles and the buckets; its name is the SHA-256 of the model's file.  It is this
machine's own and never leaves it: what is wrong with it, or missing, costs time and nothing else.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np
import xxhash

from lmarc.kernels import folders, ngram
from lmarc.model.ngram import PROFILE_ARRAYS, NgramModel, aligned

__all__ = ["load_tables", "save_tables"]

FOLDER: Final = "models"
_HEAD: Final = struct.Struct("<8sQQ16s")  # magic, profiles, buckets, XXH3-128 of them and the rest
_COUNTED: Final = struct.Struct("<QQ")
_MAGIC: Final = b"lmtable1"
_SIZES: Final = [int(np.prod(shape)) for _, shape in PROFILE_ARRAYS.values()]  # of a profile


def load_tables(sha256: bytes) -> NgramModel | None:
    """Return the model whose file has this SHA-256; None where it is not kept, or not whole."""
    folder = folders.cache_folder(FOLDER)
    if not folder:
        return None
    try:
        with Path(folder, sha256.hex()).open("rb") as file:
            magic, profile_count, bucket_count, digest = _HEAD.unpack(file.read(_HEAD.size))
            held = 4 * profile_count * sum(_SIZES) + bucket_count * ngram.BUCKET_SIZE
            if magic != _MAGIC or file.seek(0, 2) != _HEAD.size + held:
                return None
            file.seek(_HEAD.size)
            numbers = np.empty(profile_count * sum(_SIZES), np.int32)
            buckets = aligned((bucket_count, ngram.BUCKET_SIZE), np.uint8)
            found = xxhash.xxh3_128(_COUNTED.pack(profile_count, bucket_count))
            for array in (numbers, buckets):
                memory = array.reshape(-1).view(np.uint8).data
                if file.readinto(memory) != len(memory):
                    return None
                found.update(memory)
    except (OSError, struct.error):
        return None
    if found.digest() != digest:
        return None
    ends = np.cumsum([profile_count * size for size in _SIZES])
    parts = np.split(numbers, ends[:-1])
    profiles = {
        name: part.reshape(profile_count, *shape)
        for (name, (_, shape)), part in zip(PROFILE_ARRAYS.items(), parts, strict=True)
    }
    return NgramModel(buckets, profiles)


def save_tables(sha256: bytes, model: NgramModel) -> None:
    """Keep what `load_tables` is to return, if the disk takes it."""
    folder = folders.cache_folder(FOLDER)
    if not folder:
        return
    arrays = [np.ascontiguousarray(model.profiles[name], np.int32) for name in PROFILE_ARRAYS]
    parts = [array.reshape(-1).view(np.uint8).data for array in (*arrays, model.buckets)]
    digest = xxhash.xxh3_128(_COUNTED.pack(model.profile_count, model.bucket_count))
    for part in parts:
        digest.update(part)
    head = _HEAD.pack(_MAGIC, model.profile_count, model.bucket_count, digest.digest())
    folders.keep(folder, sha256.hex(), [head, *parts])
