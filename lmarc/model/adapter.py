"""An adapter: a neural model, told by how it differs from another (spec/v1/model-file.md, 6.1).

It is what an archive carries of a network that was trained on from one that every reader has: a
fraction of the network's size. Base and adapter together are the sections of a neural model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.model import file
from lmarc.model import neural as whole
from lmarc.model.neural import NeuralModel
from lmarc.model.patches import PATCHES
from lmarc.model.patches import SECTIONS as PATCH_SECTIONS

__all__ = ["MAX_SHIFT", "TABLES", "applied", "check", "pack"]

TABLES: Final = ("last", "second_last", "low_bias")
_JOIN: Final = ("join", "join_rate")
MAX_SHIFT: Final = 15

_LENGTHS: Final = {"base": whole.DIGEST_SIZE, "shifts": len(TABLES)}


def check(sections: Mapping[str, bytes]) -> None:
    """Raise ModelError unless sections are those of an adapter, whatever its base."""
    layers = whole.FIRST_DEEP if whole.UPPER in sections else 2
    expected = ("card", "base", "ngram", "shifts", *TABLES, *whole.products_of(layers), *_JOIN)
    if tuple(sections) != expected:
        raise ModelError(
            f"adapter has sections {', '.join(sections)}; expected {', '.join(expected)}"
        )
    for name, length in _LENGTHS.items():
        if len(sections[name]) != length:
            raise ModelError(
                f"section {name} of an adapter holds {len(sections[name])} bytes, expected {length}"
            )
    if max(sections["shifts"]) > MAX_SHIFT:
        raise ModelError(f"section shifts of an adapter exceeds {MAX_SHIFT}")


def applied(sections: Mapping[str, bytes], base: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the sections of the neural model that an adapter makes of its base.

    Parameters
    ----------
    sections : mapping of str to bytes
        Those of the adapter's file, as `check` has passed them.
    base : mapping of str to bytes
        Those of the neural model that it names.

    Raises
    ------
    ModelError
        When they do not fit the base. What comes of them is checked where it is parsed.
    """
    layers = whole.FIRST_DEEP if whole.UPPER in sections else 2
    expected = whole.sections_of(layers, PATCHES in base)
    if tuple(base) != expected:
        raise ModelError(
            f"the base of an adapter has sections {', '.join(base)}, expected {', '.join(expected)}"
        )
    shifts = dict(zip(TABLES, sections["shifts"], strict=True))
    found = dict(base)
    found["card"] = sections["card"]
    found["ngram"] = sections["ngram"] or base["ngram"]
    for name in _JOIN:
        found[name] = sections[name]
    for name in (*TABLES, *whole.products_of(layers)):
        if sections[name]:
            kind = np.dtype("<i2" if name in TABLES else "i1")
            found[name] = _moved(name, base[name], sections[name], kind, shifts.get(name, 0))
    return found


def _moved(name: str, base: bytes, difference: bytes, kind: np.dtype[Any], shift: int) -> bytes:
    if len(difference) * kind.itemsize != len(base):
        raise ModelError(
            f"section {name} of an adapter holds {len(difference)} bytes, "
            f"expected none or {len(base) // kind.itemsize}"
        )
    steps = np.frombuffer(difference, np.int8).astype(np.int32) << shift
    moved: bytes = (np.frombuffer(base, kind) + steps).astype(kind).tobytes()  # wraps
    return moved


def pack(
    model: NeuralModel,
    base: NeuralModel,
    *,
    card: bytes,
    digest: bytes,
    ngram: bytes,
    shift: int,
) -> bytes:
    """Return the file of the adapter that makes `model` of `base`.

    Parameters
    ----------
    model, base : NeuralModel
        Of the same units, layers and exponents.
    card : bytes
        The model card, JSON text.
    digest : bytes
        SHA-256 of the base's file.
    ngram : bytes
        The n-gram model that `model` corrects: its SHA-256 or its file; empty where it is that of
        the base.
    shift : int
        Tables differ by multiples of 2**shift.

    Raises
    ------
    ModelError
        When no adapter makes one of the other.
    """
    sections = {
        "card": card, "base": digest, "ngram": ngram, "shifts": bytes([shift] * len(TABLES)),
    }  # fmt: skip
    if (model.units, model.layers) != (base.units, base.layers):
        raise ModelError("an adapter changes no units and no layers")
    for name in PATCH_SECTIONS:
        if not np.array_equal(model.arrays.get(name, ()), base.arrays.get(name, ())):
            raise ModelError(f"an adapter changes no patches, section {name} differs")
    products = whole.products_of(model.layers)
    for name in products:
        if (model.arrays[f"{name}_exp"] != base.arrays[f"{name}_exp"]).any():
            raise ModelError(f"an adapter changes no exponents, those of {name} differ")
    for name in (*TABLES, *products):
        difference = _steps(model.arrays[name]) - _steps(base.arrays[name])
        if name in TABLES:
            steps = difference >> shift
            if (steps << shift != difference).any() or (np.abs(steps) > 127).any():
                raise ModelError(f"section {name} differs by more than an adapter holds")
            difference = steps
        sections[name] = difference.astype(np.int8).tobytes() if difference.any() else b""
    for name in _JOIN:
        sections[name] = model.arrays[name].astype("<i4").tobytes()
    return file.pack(file.KIND_ADAPTER, sections)


def _steps(array: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    return array.astype(np.int32)
