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
from lmarc.kernels._vector import QUADS
from lmarc.model import file, patches
from lmarc.model.ngram import NgramModel, aligned
from lmarc.model.transformer import MAX_EXPONENT, Sizes, paired, quads, scales_of

__all__ = [
    "FIRST_DEEP", "MAX_LAYERS", "MAX_UNITS", "UPPER", "NeuralModel", "base_of", "inputs_of",
    "multiply_adds", "products_of", "sections_of", "shapes",
]  # fmt: skip

Array = npt.NDArray[Any]

MAX_UNITS: Final = 4096  # of a layer
MAX_LAYERS: Final = 8
FIRST_DEEP: Final = 3  # layers from which on there is a product between equal layers
DIGEST_SIZE: Final = 32
SEEN: Final = network.N_SEEN


# Products: each has weights, and exponents in a section of its own. Networks of more than two
# layers have UPPER too, behind `inner`.
_PRODUCTS: Final = ("see", "inner", "high", "low", "see_low")
UPPER: Final = "upper"


def products_of(layers: int) -> tuple[str, ...]:
    """Return the names of the products of a network of some layers, in a file's order."""
    see, inner, *others = _PRODUCTS
    return (see, inner, *((UPPER,) if layers >= FIRST_DEEP else ()), *others)


def sections_of(layers: int, patched: bool = False) -> tuple[str, ...]:
    """Return the names of the sections of a model of some layers, in order; perhaps of patches."""
    products = [f"{name}{part}" for name in products_of(layers) for part in ("", "_exp")]
    tables = ("last", "second_last", "low_bias")
    more = patches.SECTIONS if patched else ()
    return ("card", "ngram", "units", *tables, *products, "join", "join_rate", *more)


def shapes(
    n1: int, n2: int, layers: int = 2, sizes: Sizes | None = None
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and shape of each section of numbers.

    Parameters
    ----------
    n1, n2 : int
        Units of the first layer, and of each of the others.
    layers : int
        2 to MAX_LAYERS.
    sizes : Sizes, optional
        Of the Transformer of a model with patches.
    """
    outputs = 2 * n1 + 3 * n2 * (layers - 1) + 16
    outs = (layers - 1) * n2
    products = {
        "see": (outputs, SEEN), "inner": (3 * n2, n1), UPPER: (layers - 2, 3 * n2, n2),
        "high": (16, outs), "low": (256, outs), "see_low": (16, SEEN),
    }  # fmt: skip
    known: dict[str, tuple[str, tuple[int, ...]]] = {
        "last": ("<i2", (256, outputs)),
        "second_last": ("<i2", (256, 2 * n1)),
        "low_bias": ("<i2", (16, 16)),
        "join": ("<i4", (neural.N_SETS, neural.N_WEIGHTS)),
        "join_rate": ("<i4", (1,)),
    }
    for name in products_of(layers):
        known[name] = ("i1", products[name])
        known[f"{name}_exp"] = ("u1", products[name][:-1])
    return known | (patches.shapes(sizes, n1, n2) if sizes else {})


def multiply_adds(n1: int, n2: int, layers: int = 2, sizes: Sizes | None = None) -> int:
    """Return the products that a network takes for a byte; of those for low symbols a sixteenth.

    Parameters are those of `shapes`.
    """
    known = shapes(n1, n2, layers)
    counts = {name: int(np.prod(known[name][1])) for name in products_of(layers)}
    own = sum(counts.values()) - counts["low"] * 15 // 16
    return own + (patches.multiply_adds(sizes, n1, n2) if sizes else 0)


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
        n2, n1 = arrays["inner"].shape[0] // 3, arrays["inner"].shape[1]
        self.units = (n1, n2)
        self.layers = 1 + arrays["high"].shape[1] // n2
        sizes = arrays.get(patches.PATCHES)
        self.patches = None if sizes is None else Sizes(*sizes.tolist())
        none = {UPPER: np.zeros((0, 3 * n2, n2)), f"{UPPER}_exp": np.zeros((0, 3 * n2))}
        known = none | dict(arrays)
        laid_out = quads if QUADS else paired
        self.network = network.Network(
            last=_flat(arrays["last"], np.int16),
            second_last=_flat(arrays["second_last"], np.int16),
            low_bias=_flat(arrays["low_bias"], np.int16),
            **{name: laid_out(known[name]) for name in (*_PRODUCTS, UPPER)},
            **{f"{name}_scales": scales_of(known[f"{name}_exp"]) for name in (*_PRODUCTS, UPPER)},
            patches=() if self.patches is None else patches.kernel_of(arrays),
        )

    @property
    def multiply_adds(self) -> int:
        """Products that the network takes for a byte."""
        return multiply_adds(*self.units, self.layers, self.patches)

    def hidden(self, rows: int, chunks: int | None = None) -> network.Hidden:
        """Return memory for the state of some rows, each of a chunk of its own if nothing is said.

        `chunks` is 1 where rows follow each other in one.
        """
        n1, n2 = self.units
        chunks = rows if chunks is None else chunks
        later = self.layers - 1
        seen, seen_packed = inputs_of(rows * SEEN)
        first, first_packed = inputs_of(rows * n1)
        outs, outs_packed = inputs_of(later * rows * n2)
        return network.Hidden(
            first=aligned(rows * n1, np.int16),
            later=aligned(later * rows * n2, np.int16),
            before=np.zeros(2 * rows, np.int64),
            seen=seen,
            seen_packed=seen_packed,
            first_out=first,
            first_packed=first_packed,
            outs=outs,
            outs_packed=outs_packed,
            last_pairs=outs[(later - 1) * rows * n2 :].view(np.int32),
            seen_starts=np.zeros(rows, np.int32),
            first_starts=np.zeros(rows, np.int32),
            outs_starts=np.zeros(later * rows, np.int32),
            sums=aligned(rows * (2 * n1 + 3 * n2 * later + 16), np.int32),
            units_1=np.zeros(n1, np.int16),
            units_2=np.zeros(n2, np.int16),
            layers=np.zeros(self.layers, np.int16),
            patches=()
            if self.patches is None
            else patches.new_memory(self.patches, n1, n2, rows, chunks),
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
        found = sections.get("units", b"")
        numbers = np.frombuffer(found[: len(found) & -2], "<u2").tolist()
        layers = numbers[2] if len(numbers) == 3 else 2
        patched = patches.PATCHES in sections
        expected = sections_of(layers, patched)
        if tuple(sections) != expected:
            raise ModelError(
                f"neural model has sections {', '.join(sections)}; expected {', '.join(expected)}"
            )
        if len(found) not in (4, 6):
            raise ModelError("section units of a neural model does not hold two numbers or three")
        if len(numbers) == 3 and not FIRST_DEEP <= layers <= MAX_LAYERS:
            raise ModelError(
                f"section units of a neural model says {layers} layers, expected "
                f"{FIRST_DEEP} to {MAX_LAYERS}, or nothing for two"
            )
        n1, n2 = numbers[:2]
        for units in (n1, n2):
            if units % 16 or not 0 < units <= MAX_UNITS:
                raise ModelError(
                    f"a layer of a neural model has {units} units, "
                    f"expected a multiple of 16 up to {MAX_UNITS}"
                )
        sizes = patches.sizes_of(sections[patches.PATCHES]) if patched else None
        arrays = {}
        for name, (dtype, shape) in shapes(n1, n2, layers, sizes).items():
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            if len(sections[name]) != size:
                raise ModelError(
                    f"section {name} of a neural model holds {len(sections[name])} bytes, "
                    f"expected {size}"
                )
            arrays[name] = np.frombuffer(sections[name], dtype).reshape(shape)
        for name in (*products_of(layers), *(patches.PATCH_PRODUCTS if patched else ())):
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
        known = shapes(*self.units, self.layers, self.patches)
        units = self.units if self.layers == 2 else (*self.units, self.layers)
        sections = {
            "card": card,
            "ngram": base,
            "units": np.array(units, "<u2").tobytes(),
        }
        for name in sections_of(self.layers, self.patches is not None)[len(sections) :]:
            sections[name] = self.arrays[name].astype(known[name][0]).tobytes()
        return file.pack(file.KIND_NEURAL, sections)


MAX_RATE: Final = 4095


def inputs_of(count: int) -> tuple[Array, Array]:
    """Return memory for inputs of products: int16 numbers, and int32 that hold several each."""
    numbers = aligned(count, np.int16)
    packed = aligned(count // network.PACKED, np.int32) if QUADS else numbers.view(np.int32)
    return numbers, packed


def _flat(array: Array, dtype: npt.DTypeLike = np.int32) -> Array:
    memory = aligned(array.size, dtype)
    memory[:] = array.reshape(-1)
    memory.flags.writeable = False
    return memory
