"""A Transformer in PyTorch, in integers: the bits of `lmarc.kernels.transformer`.

spec/v1/transformer.md is the authority. Products, those of attention too, are of floats that hold
integers (`torch_products`); all else is int64.

An encoder goes along time, many steps of a sequence at once; a decoder takes steps of many
sequences, each of which may be at another step of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy.typing as npt
import torch
from torch.nn import functional

from lmarc.codec.torch_products import Products, wrap
from lmarc.model.transformer import PRODUCTS, Sizes, slopes

__all__ = ["Past", "TorchTransformer"]

Array = npt.NDArray[Any]

SCORES: Final = 1 << 16  # of a head that are looked at together: blocks of window x window
UNSEEN: Final = -(1 << 30)  # a score below all others


class Past(NamedTuple):
    """Keys and values of the steps before: float, (layers, sequences, window, width) each.

    Along time they stand in order, the last step's last; in steps of several sequences, that of
    position p stands at p % window, and they are changed in place.
    """

    keys: torch.Tensor
    values: torch.Tensor


def _int8(value: torch.Tensor) -> torch.Tensor:
    return value.clamp(-127, 127)


def _rounded(total: torch.Tensor, shift: int) -> torch.Tensor:
    return (total + (1 << (shift - 1))) >> shift


def _added(stream: torch.Tensor, total: torch.Tensor, shift: int) -> torch.Tensor:
    return (stream + _rounded(total, shift)).clamp(-32767, 32767)


def _square(total: torch.Tensor) -> torch.Tensor:
    x = (total >> 5).clamp(0, 2047)
    return _rounded(x * x, 15).clamp(max=127)


def _exp2(distance: torch.Tensor) -> torch.Tensor:
    fraction = distance & 1023
    square = fraction * fraction >> 10
    mantissa = 65535 - (fraction * 21528 >> 9) + (square * 10290 >> 10)
    return mantissa >> (distance >> 10)


def _root(value: torch.Tensor) -> torch.Tensor:
    """The largest integer whose square is at most `value`, below 2**52."""
    root = value.to(torch.float64).sqrt().to(torch.int64)
    # Whatever a device makes of the float, the integers decide.
    root = root - (root * root > value).to(torch.int64)
    return root + ((root + 1) * (root + 1) <= value).to(torch.int64)


class TorchTransformer(Products):
    """A Transformer on a device.

    Parameters
    ----------
    sizes : Sizes
    arrays : mapping of str to array
        Those of PRODUCTS and their exponents, `_exp`.
    device : str
        A device of PyTorch.
    """

    def __init__(self, sizes: Sizes, arrays: Mapping[str, Array], device: str) -> None:
        super().__init__(
            device,
            {
                (name, layer): (arrays[name][layer], arrays[f"{name}_exp"][layer])
                for name in PRODUCTS
                for layer in range(sizes.layers)
            },
        )
        self.sizes = sizes
        self.along_steps = max(1, SCORES // sizes.window**2) * sizes.window
        self._gain = math.isqrt(sizes.width << 50)
        costs = [1 << (10 - n) for n in slopes(sizes.heads)]
        self._slopes = torch.tensor(costs, device=self.device)[:, None, None]

    def start(self, sequences: int) -> Past:
        """Return the state before the first step of some sequences."""
        layers, window, width = self.sizes.layers, self.sizes.window, self.sizes.width
        shape = (layers, sequences, window, width)
        keys, values = (torch.zeros(shape, dtype=self.float, device=self.device) for _ in range(2))
        return Past(keys, values)

    def step(
        self,
        entering: torch.Tensor,
        positions: torch.Tensor,
        past: Past,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Take a step of each of some sequences.

        Parameters
        ----------
        entering : int64, (n, width)
            The streams that enter.
        positions : int64, (n,) or (1,)
            Steps of each before this one, or of all of them.
        past : Past
            Changed.
        rows : int64, (n,), optional
            The sequences; all that there are, in order, if None.

        Returns
        -------
        int64, (n, width)
            What leaves.
        """
        window = self.sizes.window
        slots = positions % window
        distance = (slots[:, None] - torch.arange(window, device=self.device)) % window
        distance = distance[:, None, None]
        seen = distance <= positions[:, None, None, None]
        which = torch.arange(len(entering), device=self.device) if rows is None else rows

        def attend(layer: int, three: torch.Tensor) -> torch.Tensor:
            queries, *given = three.to(self.float).chunk(3, 1)
            kept = []
            for part, new in zip(past, given, strict=True):
                part[layer].index_put_((which, slots), new)
                kept.append(part[layer] if rows is None else part[layer, rows])
            keys, values = kept
            return self._found(queries[:, None], keys, values, distance, seen)[:, 0]

        return self._layers(entering, attend)

    def along(
        self, entering: torch.Tensor, position: torch.Tensor, past: Past
    ) -> tuple[torch.Tensor, Past]:
        """Take steps of one sequence that follow each other.

        Parameters
        ----------
        entering : int64, (T, width)
            The streams that enter; T is at least 1, and up to `along_steps` are taken together.
        position : int64, (1,)
            Steps before the first of these.
        past : Past
            Of one sequence.

        Returns
        -------
        leaving : int64, (T, width)
        past : Past
        """
        left = []
        for start in range(0, len(entering), self.along_steps):
            some = entering[start : start + self.along_steps]
            leaving, past = self._along(some, position + start, past)
            left.append(leaving)
        return torch.cat(left), past

    def _along(
        self, entering: torch.Tensor, position: torch.Tensor, past: Past
    ) -> tuple[torch.Tensor, Past]:
        window, width, steps = self.sizes.window, self.sizes.width, len(entering)
        # Each block of a window's queries looks at its own keys and those of the block before. The
        # last block is filled up with steps that none before them sees.
        here = torch.arange(window, device=self.device)
        distance = here[:, None] + window - torch.arange(2 * window, device=self.device)
        starts = position + torch.arange(0, steps, window, device=self.device)
        first = starts[:, None, None] + here[:, None] - distance
        seen = (distance >= 0) & (distance < window) & (first >= 0)
        left: list[list[torch.Tensor]] = [[], []]

        def attend(layer: int, three: torch.Tensor) -> torch.Tensor:
            filled = functional.pad(three.to(self.float), (0, 0, 0, -steps % window))
            queries, *given = filled.reshape(-1, window, 3, width).unbind(2)
            both = []
            for before, own, kept in zip(past, given, left, strict=True):
                blocks = torch.cat([before[layer], own])
                kept.append(blocks.reshape(-1, width)[steps : steps + window])
                both.append(torch.cat([blocks[:-1], blocks[1:]], 1))
            keys, values = both
            found = self._found(queries, keys, values, distance, seen[:, None])
            return found.reshape(-1, width)[:steps]

        leaving = self._layers(entering, attend)
        return leaving, Past(*(torch.stack(kept)[:, None] for kept in left))

    def _layers(self, stream: torch.Tensor, attend: Any) -> torch.Tensor:
        """Take a stream, (rows, width), through all layers; `attend` gets a layer's totals."""
        for layer in range(self.sizes.layers):
            three = _int8(_rounded(self._totals("attend", layer, self._norm(stream)), 10))
            found = attend(layer, three)
            stream = _added(stream, self._totals("merge", layer, found), 6)
            squares = _square(self._totals("widen", layer, self._norm(stream)))
            stream = _added(stream, self._totals("narrow", layer, squares), 5)
        return self._norm(stream)

    def _totals(self, name: str, layer: int, inputs: torch.Tensor) -> torch.Tensor:
        return wrap(self.product((name, layer), inputs))

    def _norm(self, stream: torch.Tensor) -> torch.Tensor:
        squares = 1 + (stream * stream >> 8).sum(-1, keepdim=True)
        return _int8(_rounded(stream * (self._gain // _root(squares << 12)), 18))

    def _found(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        distance: torch.Tensor,
        seen: torch.Tensor,
    ) -> torch.Tensor:
        """What queries, (n, Q, width), find among keys and values, (n, K, width): section 3.2.

        distance : int64, seen : bool, both of a shape that goes with (n, heads, Q, K).
        """
        queries, keys, values = (self._by_head(part) for part in (queries, keys, values))
        scores = (queries @ keys.transpose(2, 3)).to(torch.int64) >> 2
        scores = (scores - distance * self._slopes).masked_fill(~seen, UNSEEN)
        odds = _exp2((scores.amax(3, keepdim=True) - scores).clamp(max=32767))
        shares = odds * (2**31 // odds.sum(3, keepdim=True)) >> 16
        # Two halves of eight bits: exact in whatever precision products of floats are allowed.
        high, low = ((half.to(self.float) @ values).to(torch.int64) for half in _halves(shares))
        found = _int8(_rounded(256 * high + low, 14))
        return found.transpose(1, 2).reshape(len(found), -1, self.sizes.width)

    def _by_head(self, part: torch.Tensor) -> torch.Tensor:
        rows = part.to(self.float).reshape(len(part), part.shape[1], self.sizes.heads, -1)
        return rows.transpose(1, 2)


def _halves(shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return shares >> 8, shares & 255
