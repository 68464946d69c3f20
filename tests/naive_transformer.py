"""The Transformer of spec/v1/transformer.md in plain Python integers: slow, and easy to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmarc.model.transformer import PRODUCTS, Sizes, slopes
from tools.reference_decoder import exp2, wrap


def random_arrays(seed: int, sizes: Sizes, exponents: tuple[int, int] = (5, 11)) -> dict[str, Any]:
    """Return weights of any numbers."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in sizes.shapes().items():
        arrays[name] = random.integers(-127, 128, shape).astype(np.int8)
        arrays[f"{name}_exp"] = random.integers(*exponents, shape[:2]).astype(np.uint8)
    return arrays


def clamp(value: int, most: int = 127) -> int:
    return min(max(value, -most), most)


def product(weights: Any, exponents: Any, inputs: Sequence[int]) -> list[int]:
    return [
        wrap(sum(int(w) * x for w, x in zip(row, inputs, strict=True)) << (10 - int(exponent)))
        for row, exponent in zip(weights, exponents, strict=True)
    ]


def norm(stream: Sequence[int]) -> list[int]:
    squares = 1 + sum(value * value >> 8 for value in stream)
    factor = math.isqrt(len(stream) << 50) // math.isqrt(squares << 12)
    return [clamp((value * factor + (1 << 17)) >> 18) for value in stream]


def attention(
    sizes: Sizes, queries: Sequence[int], past: Sequence[tuple[list[int], list[int]]]
) -> list[int]:
    """Return what a step finds; the last of `past`, keys and values, is its own."""
    seen = past[-sizes.window :]
    own = sizes.width // sizes.heads
    found = []
    for head, slope in enumerate(slopes(sizes.heads)):
        part = slice(head * own, (head + 1) * own)
        scores = []
        for distance, (keys, _) in zip(range(len(seen) - 1, -1, -1), seen, strict=True):
            dot = sum(a * b for a, b in zip(queries[part], keys[part], strict=True))
            scores.append((dot >> 2) - (distance << (10 - slope)))
        odds = [exp2(min(max(scores) - score, 32767)) for score in scores]
        scale = (1 << 31) // sum(odds)
        shares = [(value * scale) >> 16 for value in odds]
        for at in range(part.start, part.stop):
            total = sum(share * values[at] for share, (_, values) in zip(shares, seen, strict=True))
            found.append(clamp((total + (1 << 13)) >> 14))
    return found


class Steps:
    """A sequence of steps: what a Transformer keeps of those that were taken."""

    def __init__(self, sizes: Sizes, arrays: Mapping[str, Any]) -> None:
        self.sizes, self.arrays = sizes, arrays
        self.pasts: list[list[tuple[list[int], list[int]]]] = [[] for _ in range(sizes.layers)]

    def step(self, entering: Sequence[int]) -> list[int]:
        """Return what leaves, int8, when a vector enters."""
        width = self.sizes.width
        stream = [clamp(value, 32767) for value in entering]
        for layer, past in enumerate(self.pasts):
            attend, merge, widen, narrow = (
                (self.arrays[name][layer], self.arrays[f"{name}_exp"][layer]) for name in PRODUCTS
            )
            three = [clamp((total + 512) >> 10) for total in product(*attend, norm(stream))]
            queries, keys, values = three[:width], three[width : 2 * width], three[2 * width :]
            past.append((keys, values))
            found = attention(self.sizes, queries, past)
            added = product(*merge, found)
            stream = [
                clamp(value + ((more + 32) >> 6), 32767)
                for value, more in zip(stream, added, strict=True)
            ]
            hidden = [min(max(total >> 5, 0), 2047) for total in product(*widen, norm(stream))]
            hidden = [min((value * value + (1 << 14)) >> 15, 127) for value in hidden]
            added = product(*narrow, hidden)
            stream = [
                clamp(value + ((more + 16) >> 5), 32767)
                for value, more in zip(stream, added, strict=True)
            ]
        return norm(stream)


def transformer(
    sizes: Sizes, arrays: Mapping[str, Any], entering: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Return what leaves, int8, for each step that enters."""
    steps = Steps(sizes, arrays)
    return [steps.step(vector) for vector in entering]
