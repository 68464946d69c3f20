"""A neural model: a byte network's integers, and the n-gram model that it corrects.

spec/v1/model-file.md, section 6. Arrays in a file are in plain order, a row for each output; in
memory they are as `kernels.network` reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import network, neural
from lmarc.model import file
from lmarc.model.ngram import NgramModel, aligned

__all__ = ["MAX_UNITS", "SECTIONS", "NeuralModel", "base_of", "multiply_adds", "shapes"]

Array = npt.NDArray[Any]

MAX_UNITS: Final = 4096  # of a layer
MAX_EXPONENT: Final = 10
DIGEST_SIZE: Final = 32
SEEN: Final = network.N_SEEN

# Products: name -> (weights, exponents).
_PRODUCTS: Final = ("see", "inner", "high", "low", "see_low")
SECTIONS: Final = (
    "card", "ngram", "units", "last", "second_last", "low_bias",
    *(f"{name}{part}" for name in _PRODUCTS for part in ("", "_exp")),
    "join", "join_rate",
)  # fmt: skip


def shapes(n1: int, n2: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and shape of each section of numbers, for layers of n1 and n2 units."""
    outputs = 2 * n1 + 3 * n2 + 16
    products = {
        "see": (outputs, SEEN), "inner": (3 * n2, n1), "high": (16, n2), "low": (256, n2),
        "see_low": (16, SEEN),
    }  # fmt: skip
    known: dict[str, tuple[str, tuple[int, ...]]] = {
        "last": ("<i2", (256, outputs)),
        "second_last": ("<i2", (256, 2 * n1)),
        "low_bias": ("<i2", (16, 16)),
        "join": ("<i4", (neural.N_SETS, neural.N_WEIGHTS)),
        "join_rate": ("<i4", (1,)),
    }
    for name, shape in products.items():
        known[name] = ("i1", shape)
        known[f"{name}_exp"] = ("u1", shape[:1])
    return known


def multiply_adds(n1: int, n2: int) -> int:
    """Return the products that a network takes for a byte; of those for low symbols a sixteenth."""
    known = shapes(n1, n2)
    sizes = {name: int(np.prod(known[name][1])) for name in _PRODUCTS}
    return sum(sizes.values()) - sizes["low"] * 15 // 16


def base_of(sections: Mapping[str, bytes]) -> tuple[bytes, bytes | None]:
    """Return the SHA-256 of the n-gram model below a network, and its file if it is inside."""
    inside = sections["ngram"]
    if len(inside) == DIGEST_SIZE:
        return inside, None
    return hashlib.sha256(inside).digest(), inside


class NeuralModel:
    """A network ready for the kernels, and its n-gram model.

    Parameters
    ----------
    arrays : mapping of str to array
        As `shapes` has them.
    ngram : NgramModel
    """

    def __init__(self, arrays: Mapping[str, Array], ngram: NgramModel) -> None:
        self.arrays = dict(arrays)
        self.ngram = ngram
        n2 = arrays["high"].shape[1]
        self.units = (arrays["inner"].shape[1], n2)
        low = arrays["low"].reshape(16, 16, n2)
        scales = {
            f"{name}_scales": _flat(1 << (MAX_EXPONENT - arrays[f"{name}_exp"].astype(np.int32)))
            for name in _PRODUCTS
        }
        self.network = network.Network(
            last=_flat(arrays["last"], np.int16),
            second_last=_flat(arrays["second_last"], np.int16),
            see=_paired(arrays["see"]),
            inner=_paired(arrays["inner"]),
            high=_paired(arrays["high"]),
            low=_flat(np.concatenate([_paired(part) for part in low]), np.int16),
            see_low=_paired(arrays["see_low"]),
            low_bias=_flat(arrays["low_bias"], np.int16),
            **scales,
        )

    @property
    def multiply_adds(self) -> int:
        """Products that the network takes for a byte."""
        return multiply_adds(*self.units)

    def hidden(self, rows: int) -> network.Hidden:
        """Return memory for the state of some rows."""
        n1, n2 = self.units
        seen, first, second = (aligned(rows * size, np.int16) for size in (SEEN, n1, n2))
        return network.Hidden(
            first=aligned(rows * n1, np.int16),
            second=aligned(rows * n2, np.int16),
            before=np.zeros(2 * rows, np.int64),
            seen_pairs=seen.view(np.int32),
            first_pairs=first.view(np.int32),
            second_pairs=second.view(np.int32),
            seen=seen,
            first_out=first,
            second_out=second,
            sums=aligned(rows * (2 * n1 + 3 * n2 + 16), np.int32),
            units_1=np.zeros(n1, np.int16),
            units_2=np.zeros(n2, np.int16),
        )

    def joint(self) -> neural.Joint:
        """Return a fresh copy of the weights that join mixture and network."""
        weights = aligned(neural.N_SETS * neural.N_WEIGHTS, np.int32)
        weights[:] = self.arrays["join"].reshape(-1)
        return neural.Joint(
            weights=weights,
            rate=_flat(self.arrays["join_rate"]),
            chosen=np.zeros(1, np.int32),
            **{
                name: aligned(16, np.int32)
                for name in ("freqs", "sums", "scratch", "mixed", "corrections")
            },
        )

    @classmethod
    def parse(cls, sections: Mapping[str, bytes], ngram: NgramModel) -> NeuralModel:
        """Return the model that a file's sections hold.

        Raises
        ------
        ModelError
            When they are not those of a neural model, or do not fit each other.
        """
        if tuple(sections) != SECTIONS:
            raise ModelError(
                f"neural model has sections {', '.join(sections)}; expected {', '.join(SECTIONS)}"
            )
        if len(sections["units"]) != 4:
            raise ModelError("section units of a neural model does not hold two numbers")
        n1, n2 = np.frombuffer(sections["units"], "<u2").tolist()
        for units in (n1, n2):
            if units % 16 or not 0 < units <= MAX_UNITS:
                raise ModelError(
                    f"a layer of a neural model has {units} units, "
                    f"expected a multiple of 16 up to {MAX_UNITS}"
                )
        arrays = {}
        for name, (dtype, shape) in shapes(n1, n2).items():
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            if len(sections[name]) != size:
                raise ModelError(
                    f"section {name} of a neural model holds {len(sections[name])} bytes, "
                    f"expected {size}"
                )
            arrays[name] = np.frombuffer(sections[name], dtype).reshape(shape)
        for name in _PRODUCTS:
            if arrays[f"{name}_exp"].max() > MAX_EXPONENT:
                raise ModelError(f"section {name}_exp of a neural model exceeds {MAX_EXPONENT}")
        if not 0 <= int(arrays["join_rate"][0]) <= MAX_RATE:
            raise ModelError(f"section join_rate of a neural model exceeds {MAX_RATE}")
        return cls(arrays, ngram)

    def pack(self, card: bytes, base: bytes) -> bytes:
        """Return the canonical file.

        Parameters
        ----------
        card : bytes
            The model card, JSON text.
        base : bytes
            The n-gram model: its SHA-256, or its file to have it inside.
        """
        known = shapes(*self.units)
        sections = {
            "card": card,
            "ngram": base,
            "units": np.array(self.units, "<u2").tobytes(),
        }
        for name in SECTIONS[len(sections) :]:
            sections[name] = self.arrays[name].astype(known[name][0]).tobytes()
        return file.pack(file.KIND_NEURAL, sections)


MAX_RATE: Final = 4095


def _flat(array: Array, dtype: npt.DTypeLike = np.int32) -> Array:
    memory = aligned(array.size, dtype)
    memory[:] = array.reshape(-1)
    memory.flags.writeable = False
    return memory


def _paired(weights: Array) -> Array:
    """Return the weights of M outputs and K inputs as [M / 16][K / 2][16][2], flattened."""
    outputs, inputs = weights.shape
    blocks = weights.reshape(outputs // 16, 16, inputs // 2, 2)
    return _flat(blocks.transpose(0, 2, 1, 3), np.int16)
