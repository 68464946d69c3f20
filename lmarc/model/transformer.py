"""A Transformer's integers: how they stand in a file, and as `kernels.transformer` reads them.

spec/v1/transformer.md. Arrays in a file are in plain order, a row for each output, the layers one
after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import transformer
from lmarc.kernels._vector import QUADS
from lmarc.model.ngram import aligned

__all__ = [
    "MAX_EXPONENT", "PRODUCTS", "Sizes", "kernel_of", "memory_of", "paired", "quads",
    "scales_of", "slopes",
]  # fmt: skip

Array = npt.NDArray[Any]

PRODUCTS: Final = ("attend", "merge", "widen", "narrow")
MAX_EXPONENT: Final = 10
MAX_WIDTH: Final = 512
MAX_HIDDEN: Final = 4096
MAX_LAYERS: Final = 16
MAX_WINDOW: Final = 512


class Sizes(NamedTuple):
    """Sizes of a Transformer: section `shape`."""

    width: int
    heads: int
    layers: int
    hidden: int
    window: int

    def check(self) -> None:
        """Raise ModelError for sizes that no Transformer has."""
        for name, most in (("width", MAX_WIDTH), ("hidden", MAX_HIDDEN), ("window", MAX_WINDOW)):
            size = getattr(self, name)
            if size % 16 or not 0 < size <= most:
                raise ModelError(
                    f"a Transformer has {name} {size}, expected a multiple of 16 up to {most}"
                )
        if not 0 < self.layers <= MAX_LAYERS:
            raise ModelError(f"a Transformer has {self.layers} layers, expected 1 to {MAX_LAYERS}")
        if self.heads < 1 or self.width % (16 * self.heads):
            raise ModelError(
                f"{self.heads} heads of a Transformer share {self.width} numbers, expected a "
                "multiple of 16 each"
            )

    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """Return layers, outputs and inputs of each product."""
        return {
            "attend": (self.layers, 3 * self.width, self.width),
            "merge": (self.layers, self.width, self.width),
            "widen": (self.layers, self.hidden, self.width),
            "narrow": (self.layers, self.width, self.hidden),
        }

    @property
    def multiply_adds(self) -> int:
        """Products of weights that a step takes, and of keys and values."""
        weights = sum(math.prod(shape) for shape in self.shapes().values())
        return weights + 2 * self.layers * self.window * self.width


def slopes(heads: int) -> list[int]:
    """Return for each head the n for which a score loses 2**-n bits with every step back."""
    return [max(1, 8 * (head + 1) // heads) for head in range(heads)]


def paired(weights: Array) -> Array:
    """Return weights of M outputs and K inputs as [M / 16][K / 2][16][2]: int16, flat, read-only.

    Those of several products stand one after the other.
    """
    *_, inputs = weights.shape
    blocks = weights.reshape(-1, 16, inputs // 2, 2).transpose(0, 2, 1, 3)
    memory = aligned(weights.size, np.int16)
    memory[:] = blocks.reshape(-1)
    memory.flags.writeable = False
    return memory


def quads(weights: Array) -> Array:
    """Return weights as `kernels.byte_products` takes them, [M / 16][K / 4][16][4], as `paired`."""
    *_, inputs = weights.shape
    blocks = weights.reshape(-1, 16, inputs // 4, 4).transpose(0, 2, 1, 3).astype(np.int16) + 128
    memory = aligned(weights.size // 2, np.int16)
    memory[:] = blocks.astype(np.uint8).reshape(-1).view(np.int16)
    memory.flags.writeable = False
    return memory


def scales_of(exponents: Array) -> Array:
    """Return what products are multiplied with: int32, flat, read-only."""
    memory = aligned(exponents.size, np.int32)
    memory[:] = 1 << (MAX_EXPONENT - exponents.reshape(-1).astype(np.int32))
    memory.flags.writeable = False
    return memory


def kernel_of(sizes: Sizes, arrays: Mapping[str, Array]) -> transformer.Transformer:
    """Return what the kernel reads, of the arrays of PRODUCTS and their exponents, `_exp`."""
    gain = math.isqrt(sizes.width << 50)
    laid_out = quads if QUADS else paired
    numbers = (sizes.width, sizes.heads, sizes.layers, sizes.hidden, sizes.window, gain)
    return transformer.Transformer(
        sizes=np.array(numbers, np.int64),
        slopes=np.array([1 << (10 - n) for n in slopes(sizes.heads)], np.int32),
        **{name: laid_out(arrays[name]) for name in PRODUCTS},
        **{f"{name}_scales": scales_of(arrays[f"{name}_exp"]) for name in PRODUCTS},
    )


def memory_of(sizes: Sizes, rows: int, sequences: int = 1) -> transformer.Memory:
    """Return memory for some rows of a step, and for the state of some sequences."""
    width, window = sizes.width, sizes.window
    stream, normed, mixed = (aligned(rows * width, np.int16) for _ in range(3))
    hidden = aligned(rows * sizes.hidden, np.int16)
    queries = aligned(width, np.int16)
    shares = aligned(sizes.heads * window, np.int16)
    ring = sequences * sizes.layers * window * width
    keys, values = aligned(ring, np.int16), aligned(ring, np.int16)
    return transformer.Memory(
        stream=stream,
        normed=normed,
        normed_pairs=normed.view(np.int32),
        mixed=mixed,
        mixed_pairs=mixed.view(np.int32),
        hidden=hidden,
        hidden_pairs=hidden.view(np.int32),
        quads=aligned(rows * max(width, sizes.hidden) // 4, np.int32),
        starts=np.zeros(rows, np.int32),
        sums=aligned(rows * max(3 * width, sizes.hidden), np.int32),
        keys=keys,
        key_pairs=keys.view(np.int32),
        values=values,
        value_pairs=values.view(np.int32),
        queries=queries,
        query_pairs=queries.view(np.int32),
        scores=aligned(sizes.heads * window, np.int32),
        shares=shares,
        share_pairs=shares.view(np.int32),
        scales=np.zeros(sizes.heads, np.int32),
        sequences=np.zeros(rows, np.int64),
        positions=np.zeros(rows, np.int64),
    )
