"""The patches of a neural model: a Transformer that steps once a word or so.

spec/v1/neural.md, section 4.7, and spec/v1/model-file.md, section 6. Arrays in a file are in plain
order, a row for each output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import patches
from lmarc.kernels._vector import QUADS
from lmarc.model.ngram import aligned
from lmarc.model.transformer import (
    PRODUCTS,
    Sizes,
    memory_of,
    paired,
    quads,
    scales_of,
)
from lmarc.model.transformer import kernel_of as transformer_of

__all__ = [
    "LONGEST", "MEAN_SIZE", "PATCHES", "PATCH_PRODUCTS", "SECTIONS", "kernel_of", "multiply_adds",
    "new_memory", "shapes", "sizes_of",
]  # fmt: skip

Array = npt.NDArray[Any]

PATCHES: Final = "patches"
"""The section, and the array, that holds the Transformer's sizes."""
LONGEST: Final = patches.LONGEST  # bytes of a patch
MEAN_SIZE: Final = 5.4  # bytes of a patch in text of all kinds
PATCH_PRODUCTS: Final = ("enter", *PRODUCTS, "give")
SECTIONS: Final = (
    PATCHES, "places", *(f"{name}{part}" for name in PATCH_PRODUCTS for part in ("", "_exp")),
)  # fmt: skip
_GIVE_SHIFT: Final = 2  # from totals in units of 2**-15 to those of 2**-17


def sizes_of(numbers: bytes) -> Sizes:
    """Return what the section `patches` says.

    Raises
    ------
    ModelError
        When no Transformer has such sizes.
    """
    if len(numbers) != 2 * len(Sizes._fields):
        raise ModelError(
            f"section {PATCHES} of a neural model holds {len(numbers)} bytes, expected five numbers"
        )
    sizes = Sizes(*np.frombuffer(numbers, "<u2").tolist())
    sizes.check()
    return sizes


def shapes(sizes: Sizes, n1: int, n2: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and shape of each section, for a network of `n1` and `n2` units."""
    products: dict[str, tuple[int, ...]] = {"enter": (sizes.width, n1), **sizes.shapes()}
    products["give"] = (3 * n2, sizes.width)
    known: dict[str, tuple[str, tuple[int, ...]]] = {
        PATCHES: ("<u2", (len(Sizes._fields),)),
        "places": ("<i2", (LONGEST, 256, sizes.width)),
    }
    for name, shape in products.items():
        known[name] = ("i1", shape)
        known[f"{name}_exp"] = ("u1", shape[:-1])
    return known


def multiply_adds(sizes: Sizes, n1: int, n2: int) -> int:
    """Return the products that a byte takes, in patches of MEAN_SIZE."""
    return round((sizes.multiply_adds + sizes.width * (n1 + 3 * n2)) / MEAN_SIZE)


def kernel_of(arrays: Mapping[str, Array]) -> patches.Patches:
    """Return what the kernel reads, of arrays as `shapes` has them."""
    laid_out = quads if QUADS else paired
    places = aligned(arrays["places"].size, np.int16)
    places[:] = arrays["places"].reshape(-1)
    places.flags.writeable = False
    given = np.left_shift(scales_of(arrays["give_exp"]), _GIVE_SHIFT)
    return patches.Patches(
        places=places,
        enter=laid_out(arrays["enter"]),
        enter_scales=scales_of(arrays["enter_exp"]),
        transformer=transformer_of(Sizes(*arrays[PATCHES].tolist()), arrays),
        give=laid_out(arrays["give"]),
        give_scales=given,
    )


def new_memory(sizes: Sizes, n1: int, n2: int, rows: int, chunks: int) -> patches.Memory:
    """Return memory for some rows of a step, and for the state of some chunks."""
    first = aligned(rows * n1, np.int16)
    most = max(sizes.width, n1)
    return patches.Memory(
        transformer=memory_of(sizes, rows, chunks),
        lengths=np.zeros(chunks, np.int64),
        bytes=np.zeros(chunks * LONGEST, np.int64),
        counts=np.zeros(chunks, np.int64),
        given=aligned(chunks * 3 * n2, np.int32),
        ended=np.zeros(rows, np.int64),
        first=first,
        first_pairs=first.view(np.int32),
        quads=aligned(rows * most // 4, np.int32),
        starts=np.zeros(rows, np.int32),
        sums=aligned(rows * max(sizes.width, 3 * n2), np.int32),
    )
