"""The subword codec's Transformer in PyTorch, in integers: the bits of `lmarc.kernels.transformer`.

spec/v1/transformer.md is the authority. Products, those of attention too, are of floats that hold
integers (`torch_products`); all else is int64.

An encoder goes along time, many tokens of a chunk at once; a decoder takes a token of many chunks.
What leaves the Transformer goes back to the kernels, which have the branches' small products.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.torch_products import Products, wrap
from lmarc.kernels import lanes, neural, subword_coder
from lmarc.model.subword import SubwordModel
from lmarc.model.transformer import PRODUCTS, slopes

__all__ = ["Past", "TorchTransformer", "decode", "leaving_of"]

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
    """A model's Transformer on a device.

    Parameters
    ----------
    model : SubwordModel
    device : str
        A device of PyTorch.
    """

    def __init__(self, model: SubwordModel, device: str) -> None:
        arrays, sizes = model.arrays, model.sizes
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
        self._gain = int(model.network.transformer.sizes[-1])
        self._embedding = 32 * self.tensor(arrays["embedding"], torch.int64)
        costs = [1 << (10 - n) for n in slopes(sizes.heads)]
        self._slopes = torch.tensor(costs, device=self.device)[:, None, None]

    def start(self, sequences: int) -> Past:
        """Return the state before the first step of some sequences."""
        layers, window, width = self.sizes.layers, self.sizes.window, self.sizes.width
        shape = (layers, sequences, window, width)
        keys, values = (torch.zeros(shape, dtype=self.float, device=self.device) for _ in range(2))
        return Past(keys, values)

    def step(self, tokens: torch.Tensor, position: int, past: Past) -> torch.Tensor:
        """Take a step of each of some sequences.

        Parameters
        ----------
        tokens : int64, (sequences,)
            Those that enter.
        position : int
            Steps before this one.
        past : Past
            Changed.

        Returns
        -------
        int64, (sequences, width)
            What leaves.
        """
        window = self.sizes.window
        slot = position % window
        distance = (slot - torch.arange(window, device=self.device)[None]) % window
        seen = distance <= position

        def attend(layer: int, three: torch.Tensor) -> torch.Tensor:
            queries, keys, values = three.chunk(3, 1)
            past.keys[layer, :, slot], past.values[layer, :, slot] = keys, values
            kept = past.keys[layer], past.values[layer]
            return self._found(queries[:, None], kept[0], kept[1], distance, seen)[:, 0]

        return self._layers(self._embedding[tokens], attend)

    def along(self, tokens: torch.Tensor, position: int, past: Past) -> tuple[torch.Tensor, Past]:
        """Take steps of one sequence that follow each other.

        Parameters
        ----------
        tokens : int64, (T,)
            Those that enter; T is a multiple of the window.
        position : int
            Steps before the first of these; a multiple of the window.
        past : Past
            Of one sequence.

        Returns
        -------
        leaving : int64, (T, width)
        past : Past
        """
        window, width = self.sizes.window, self.sizes.width
        # Each block of a window's queries looks at its own keys and those of the block before.
        here = torch.arange(window, device=self.device)
        distance = here[:, None] + window - torch.arange(2 * window, device=self.device)
        starts = torch.arange(position, position + len(tokens), window, device=self.device)
        first = starts[:, None, None] + here[:, None] - distance
        seen = (distance >= 0) & (distance < window) & (first >= 0)
        left: list[list[torch.Tensor]] = [[], []]

        def attend(layer: int, three: torch.Tensor) -> torch.Tensor:
            queries, *given = three.to(self.float).reshape(-1, window, 3, width).unbind(2)
            both = []
            for before, own, kept in zip(past, given, left, strict=True):
                blocks = torch.cat([before[layer], own])
                kept.append(blocks[-1:])
                both.append(torch.cat([blocks[:-1], blocks[1:]], 1))
            keys, values = both
            return self._found(queries, keys, values, distance, seen[:, None]).reshape(-1, width)

        leaving = self._layers(self._embedding[tokens], attend)
        return leaving, Past(*(torch.stack(kept) for kept in left))

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

        distance : int64, (Q, K); seen : bool, of a shape that goes with (n, heads, Q, K).
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


def leaving_of(network: TorchTransformer, tokens: Array) -> Array:
    """Return what leaves the Transformer before each token of a whole chunk.

    Parameters
    ----------
    network : TorchTransformer
    tokens : uint16, shape (count,)

    Returns
    -------
    int16, shape (count, width)
    """
    count, most, window = len(tokens), network.along_steps, network.sizes.window
    # Token 0 stands for the one before the first; what comes behind the last changes nothing.
    entering = np.zeros(-(-count // window) * window, np.int64)
    entering[1:count] = tokens[: max(0, count - 1)]
    found = np.empty((len(entering), network.sizes.width), np.int16)
    past = network.start(1)
    with torch.inference_mode():
        for start in range(0, len(entering), most):
            given = torch.from_numpy(entering[start : start + most]).to(network.device)
            leaving, past = network.along(given, start, past)
            found[start : start + most] = leaving.to(torch.int16).cpu().numpy()
    return found[:count]


def decode(
    network: TorchTransformer,
    given: lanes.Lanes,
    joint: neural.Joint,
    tokens: subword_coder.Tokens,
    net: subword_coder.Network,
    bits: int,
    match_shift: int,
) -> None:
    """Decode all lanes, as `subword_coder.decode` does with the Transformer of the kernels."""
    count, position = len(given.coders), 0
    before = np.zeros(count, np.int64)
    with torch.inference_mode():
        past = network.start(count)
        going = subword_coder.begin(given, tokens, bits, match_shift)
        while going:
            entering = torch.from_numpy(before).to(network.device)
            leaving = network.step(entering, position, past).to(torch.int16).cpu().numpy()
            pairs = leaving.reshape(-1).view(np.int32)
            going = subword_coder.take(
                given, joint, tokens, net, pairs, before, position, bits, match_shift
            )
            position += 1
    lanes.end(given)
