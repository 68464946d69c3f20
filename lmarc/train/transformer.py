"""A small decoder-only Transformer, as it is trained: what the integers round is rounded here too.

spec/v1/transformer.md has the arithmetic that codes text; this is the same in floats
(straight-through), so that a trained network is its own export. It knows nothing of what its steps
are: it takes vectors and returns vectors, for tokens, bytes or patches alike.

Layers are pre-norm: attention to the last steps of a window, where a score falls off with distance
(ALiBi; Press, Smith and Lewis, arXiv:2108.12409) by powers of two, then two products with a squared
ReLU between them (So et al., arXiv:2109.08668). Scores are in bits, so that the softmax is powers
of two. Norms have no gains of their own: the weights behind them have them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmarc.model.transformer import PRODUCTS
from lmarc.train.grid import dyadic, integers, product_grid, weights_of
from lmarc.train.scan import Round

__all__ = ["Past", "Transformer", "TransformerShape", "int8_weights", "slopes"]

# Units of the integers.
STREAM_UNIT: Final = 2.0**-10  # of what goes from layer to layer, int16
NORM_UNIT: Final = 2.0**-5  # of what a norm makes, and of queries, keys and values: int8
MIXED_UNIT: Final = 2.0**-6  # of what attention makes, int8
HIDDEN_UNIT: Final = 2.0**-5  # of the squared ReLU, int8
LARGEST: Final = 127
LARGEST_STREAM: Final = 32767
SCORE_SCALE: Final = 0.25  # bits for each unit of the product of query and key
LN2: Final = 0.6931471805599453


@dataclass(frozen=True, slots=True)
class TransformerShape:
    """Sizes of a Transformer.

    Parameters
    ----------
    width : int
        Numbers of a vector; a multiple of 16.
    heads : int
        They share the width; a head has a multiple of 16.
    layers : int
    hidden : int
        Units between the two products of a layer; a multiple of 16.
    window : int
        Steps that attention sees, the present one among them; a multiple of 16, up to 512.

    Raises
    ------
    ValueError
        For sizes that are not such.
    """

    width: int
    heads: int
    layers: int
    hidden: int
    window: int = 256

    def __post_init__(self) -> None:
        sizes = (self.width, self.hidden, self.window)
        if any(size < 16 or size % 16 for size in sizes) or self.window > 512:
            raise ValueError(f"sizes are {sizes}, expected multiples of 16 and a window up to 512")
        if self.heads < 1 or self.layers < 1 or self.width % (16 * self.heads):
            raise ValueError(
                f"{self.heads} heads share {self.width} numbers, expected a multiple of 16 each"
            )


class Past(NamedTuple):
    """What is carried from step to step; nothing of it has a gradient."""

    keys: torch.Tensor  # float32, (layers, rows, window, width), the newest last
    values: torch.Tensor  # likewise
    seen: torch.Tensor  # int64, (rows,): how many of them there are, up to window

    def fresh(self, rows: torch.Tensor) -> Past:
        """Return a past in which the rows that `rows`, bool (rows,), names begin anew."""
        return self._replace(seen=self.seen.masked_fill(rows, 0))


def slopes(heads: int) -> list[int]:
    """Return each head's n, 1 to 8: a score loses 2**-n bits with every step back."""
    return [max(1, 8 * (head + 1) // heads) for head in range(heads)]


def int8_weights(weight: torch.Tensor) -> torch.Tensor:
    """Return a weight as its int8 multiples of a power of two for each row (straight-through)."""
    known = weight.detach()
    return product_grid(dyadic(known)).round(weight)


class Transformer(nn.Module):
    """Layers of attention and two products each; from vectors to vectors.

    Attributes
    ----------
    sees : int
        Steps that attention sees, of those in the window; to measure what the others bring.
    """

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        width, hidden = shape.width, shape.hidden
        every = range(shape.layers)
        # Queries, keys and values; what attention has found; into and out of the hidden units.
        self.attend = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in every)
        self.merge = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in every)
        self.widen = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in every)
        self.narrow = nn.ModuleList(nn.Linear(hidden, width, bias=False) for _ in every)
        self.rounded, self.sees = True, shape.window
        added = (2 * shape.layers) ** -0.5
        scale = (width / shape.heads) ** -0.25
        with torch.no_grad():
            for layer in every:
                part = self.attend[layer].weight
                part.normal_(0, width**-0.5)
                # Scores of some bits: neither the flat nor the sharp end of the softmax.
                part[: 2 * width] *= scale * (1.44 / SCORE_SCALE) ** 0.5
                self.merge[layer].weight.normal_(0, added * width**-0.5)
                self.widen[layer].weight.normal_(0, 0.7 * width**-0.5)
                self.narrow[layer].weight.normal_(0, added * hidden**-0.5)

    def initial(self, rows: int) -> Past:
        """Return the past of steps that nothing stands before."""
        shape, device = self.shape, self.merge[0].weight.device
        size = (shape.layers, rows, shape.window, shape.width)
        return Past(
            torch.zeros(size, device=device),
            torch.zeros(size, device=device),
            torch.zeros(rows, dtype=torch.int64, device=device),
        )

    def forward(
        self, x: torch.Tensor, past: Past | None = None, counts: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Past]:
        """Return what the layers make of some steps, and the past of the steps behind them.

        Parameters
        ----------
        x : float32, (B, T, width)
            As it enters the stream: it is rounded to multiples of 2**-10 below 32.
        past : Past, optional
            That of B rows; nothing stands before otherwise.
        counts : int64, (B,), optional
            Steps of each row; what stands behind them is padding. All T otherwise.

        Returns
        -------
        y : float32, (B, T, width)
            Normalised: multiples of 2**-5 below 4.
        past : Past
        """
        rows, steps, width = x.shape
        past = past or self.initial(rows)
        biases = self._biases(past, steps)
        keys_kept, values_kept = [], []
        x = self._stream(x)
        for layer in range(self.shape.layers):
            queries, keys, values = (
                self._int8(part, NORM_UNIT)
                for part in self._product(self.attend[layer], self._norm(x)).split(width, 2)
            )
            keys = torch.cat([past.keys[layer], keys], 1)
            values = torch.cat([past.values[layer], values], 1)
            keys_kept.append(self._newest(keys, counts))
            values_kept.append(self._newest(values, counts))
            queries, keys, values = (self._heads(part) for part in (queries, keys, values))
            # With a bias the fused attention of PyTorch takes twice as long on a CPU.
            scores = queries * (SCORE_SCALE * LN2) @ keys.transpose(2, 3) + biases
            found = scores.softmax(3) @ values
            found = self._int8(found.transpose(1, 2).reshape(rows, steps, width), MIXED_UNIT)
            x = self._stream(x + self._product(self.merge[layer], found))
            hidden = self._product(self.widen[layer], self._norm(x)).clamp_min(0) ** 2
            hidden = self._int8(hidden, HIDDEN_UNIT)
            x = self._stream(x + self._product(self.narrow[layer], hidden))
        seen = (past.seen + (steps if counts is None else counts)).clamp_max(self.shape.window)
        return self._norm(x), Past(torch.stack(keys_kept), torch.stack(values_kept), seen)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the products as a file has them, when they were trained with rounding."""
        found: dict[str, npt.NDArray[Any]] = {}
        with torch.no_grad():
            for name in PRODUCTS:
                layers = [integers(part.weight) for part in getattr(self, name)]
                found[name], found[f"{name}_exp"] = map(np.stack, zip(*layers, strict=True))
        return found

    def load(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take weights from what `arrays` has returned."""
        with torch.no_grad():
            for name in PRODUCTS:
                weights = weights_of(arrays[name], arrays[f"{name}_exp"])
                for part, weight in zip(getattr(self, name), weights, strict=True):
                    part.weight.copy_(weight)

    def _newest(self, part: torch.Tensor, counts: torch.Tensor | None) -> torch.Tensor:
        """Return the last window of keys or values, (B, window + T, width), without gradient."""
        part, window = part.detach(), self.shape.window
        if counts is None:
            return part[:, -window:]
        places = counts[:, None] + torch.arange(window, device=part.device)
        return part.gather(1, places[..., None].expand(-1, -1, part.shape[2]))

    def _biases(self, past: Past, steps: int) -> torch.Tensor:
        """Return what is added to scores, in nats: float32, (1 or B, heads, T, window + T)."""
        window, device = self.shape.window, past.seen.device
        at = torch.arange(window + steps, device=device)
        distance = at[window:, None] - at  # (T, window + T)
        slope = torch.tensor(slopes(self.shape.heads), device=device)
        biases = -LN2 * distance * torch.exp2(-slope.float())[:, None, None]
        biases = biases.masked_fill((distance < 0) | (distance >= self.sees), -math.inf)[None]
        if bool((past.seen == window).all()):
            return biases
        unknown = at < window - past.seen[:, None]
        return biases.masked_fill(unknown[:, None, None], -math.inf)

    def _heads(self, part: torch.Tensor) -> torch.Tensor:
        """Take heads apart: (B, S, width) to (B, heads, S, width / heads)."""
        return part.unflatten(2, (self.shape.heads, -1)).transpose(1, 2)

    def _product(self, layer: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        return nn.functional.linear(inputs, int8_weights(weight) if self.rounded else weight)

    def _norm(self, x: torch.Tensor) -> torch.Tensor:
        return self._int8(x * torch.rsqrt(x.square().mean(2, keepdim=True) + 1e-6), NORM_UNIT)

    def _stream(self, x: torch.Tensor) -> torch.Tensor:
        if not self.rounded:
            return x
        whole: torch.Tensor = Round.apply(x / STREAM_UNIT)
        return whole.clamp(-LARGEST_STREAM, LARGEST_STREAM) * STREAM_UNIT

    def _int8(self, value: torch.Tensor, unit: float) -> torch.Tensor:
        if not self.rounded:
            return value
        whole: torch.Tensor = Round.apply(value / unit)
        return whole.clamp(-LARGEST, LARGEST) * unit
