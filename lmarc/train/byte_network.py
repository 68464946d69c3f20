"""The byte network, as it is trained: gated linear recurrences that correct the n-gram mixture.

spec/v1/neural.md has the arithmetic that codes text; this is the same in floats, with what the
integers round rounded too (straight-through), so that a trained network is its own export.

The first layer needs no product with its past: tables say what the two bytes before and the
mixture's distribution bring, gates say how long it stays. So training goes along time in one
product a layer, and so can encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from lmarc.train.correction import Corrector
from lmarc.train.entering import entering
from lmarc.train.grid import TABLE_GRID, Grid, dyadic, product_grid
from lmarc.train.products import product
from lmarc.train.scan import gated_layer

__all__ = ["ByteNetwork", "Hidden", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Units of the first layer and of each other one, multiples of 16; and layers."""

    first: int
    second: int
    layers: int = 2

    @property
    def sums(self) -> int:
        """What enters all layers, and the high nibble's outputs: N of the spec."""
        return 2 * self.first + 3 * self.second * (self.layers - 1) + 16

    @property
    def outs(self) -> int:
        """What leaves all layers but the first."""
        return self.second * (self.layers - 1)


class Hidden(NamedTuple):
    """What is carried from step to step: float32, (rows, first) and (rows, outs)."""

    first: torch.Tensor
    second: torch.Tensor

    def fresh(self, rows: torch.Tensor) -> Hidden:
        """Return a state in which the rows that `rows`, bool (rows,), names begin anew."""
        return Hidden(*(part.masked_fill(rows[:, None], 0) for part in self))


class ByteNetwork(Corrector[Hidden]):
    """Layers of gated linear recurrences over bytes (B rows, T steps).

    Parameters
    ----------
    shape : Shape

    Attributes
    ----------
    exponents : dict of str to tensor
        Products whose exponents, float32 (outputs, 1), stay as they are.
    origins : dict of str to tensor
        Weights of products and tables, of eight bits, that those here differ from by larger steps.
    masks : pair of float32 tensors, optional
        What leaves the first layer, and every other one, is multiplied by them; they broadcast to
        (B, T, units).
    tap : callable, optional
        Gets the name of some sums, what they are products of, (B, T, inputs), and the sums,
        (B, T, outputs): first, inner, upper 0 and so on, high, low (all 256) and see_low.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.exponents: dict[str, torch.Tensor] = {}
        self.origins: dict[str, torch.Tensor] = {}
        self.tap: Callable[[str, torch.Tensor, torch.Tensor], None] = _ignore
        self.masks: tuple[torch.Tensor, torch.Tensor] | None = None
        n1, n2 = shape.first, shape.second
        # What the byte before and the one before that bring; biases are in the first.
        self.last = nn.Embedding(256, shape.sums)
        self.second_last = nn.Embedding(256, 2 * n1)
        self.see = nn.Linear(16, shape.sums, bias=False)
        self.inner = nn.Linear(n1, 3 * n2, bias=False)
        if shape.layers > 2:
            self.upper = nn.Linear(n2, 3 * n2 * (shape.layers - 2), bias=False)
        self.high = nn.Linear(shape.outs, 16, bias=False)
        self.low = nn.Linear(shape.outs, 256, bias=False)
        self.see_low = nn.Linear(16, 16, bias=False)
        self.low_bias = nn.Embedding(16, 16)
        self.rounded = True
        with torch.no_grad():
            for table in (self.last, self.second_last):
                table.weight.normal_(0, 0.3)
            self.see.weight.normal_(0, 0.3)
            self.inner.weight.normal_(0, n1**-0.5)
            if shape.layers > 2:
                self.upper.weight.normal_(0, n2**-0.5)
            for part in (self.high, self.low, self.see_low, self.low_bias):
                part.weight.zero_()
            self.last.weight[:, -16:] = 0
            self.see.weight[-16:] = 0
            # Gates that keep for 1 to some 300 bytes: 1 - a = (1 - x / 4)**2 / 2.
            starts = [(2 * n1 + 3 * n2 * layer, n2) for layer in range(shape.layers - 1)]
            for at, units in ((0, n1), *starts):
                kept = torch.exp(torch.linspace(0.3, 5.7, units))
                self.last.weight[:, at : at + units] += 4 * (1 - (2 / (kept + 1)).sqrt())

    def initial(self, rows: int) -> Hidden:
        """Return the state at a chunk's beginning."""
        device = self.last.weight.device
        return Hidden(
            torch.zeros(rows, self.shape.first, device=device),
            torch.zeros(rows, self.shape.outs, device=device),
        )

    def forward(
        self,
        before: torch.Tensor,
        text: torch.Tensor,
        freqs: torch.Tensor,
        hidden: Hidden,
        condition: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, Hidden]:
        """Return corrections, as `Corrector.forward` does.

        Parameters
        ----------
        condition : callable, optional
            From what leaves the first layer, (B, T, first), to what is added to all that enters
            the second, (B, T, 3 second).
        """
        shape = self.shape
        q = torch.floor(freqs[:, :, :2] / 512) / 128  # (B, T, 2, 16)
        first, *others, high = self.entering(before, q[:, :, 0], one_hot=text.device.type != "cpu")
        self.tap("first", q[:, :, 0], first)
        out, first_state = gated_layer(first, hidden.first, rounded=self.rounded)
        if self.masks is not None:
            out = out * self.masks[0]
        second = product(out, *self.parts("inner")[0], others[0])
        if condition is not None:
            second.add_(condition(out))
        self.tap("inner", out, second)
        starts = hidden.second.split(shape.second, 1)
        out, state = gated_layer(second, starts[0].contiguous(), rounded=self.rounded)
        if self.masks is not None:
            out = out * self.masks[1]
        outs, states = [out], [state]
        uppers = self.parts("upper", 3 * shape.second) if shape.layers > 2 else []
        for number, (given, sums, start) in enumerate(
            zip(uppers, others[1:], starts[1:], strict=True)
        ):
            sums = product(out, *given, sums)
            self.tap(f"upper {number}", out, sums)
            out, state = gated_layer(sums, start.contiguous(), out, rounded=self.rounded)
            if self.masks is not None:
                out = out * self.masks[1]
            outs.append(out)
            states.append(state)
        out = torch.cat(outs, 2) if len(outs) > 1 else out
        second_state = torch.cat(states, 1)
        high = product(out, *self.parts("high")[0], high)
        self.tap("high", out, high)
        nibble = text >> 4
        all_low = product(out, *self.parts("low")[0])  # (B, T, 256)
        self.tap("low", out, all_low)
        places = nibble[..., None] * 16 + torch.arange(16, device=text.device)
        low = all_low.gather(2, places)
        low = product(q[:, :, 1], *self.parts("see_low")[0], low)
        self.tap("see_low", q[:, :, 1], low)
        low = low + self.low_bias(nibble)
        return high, low, Hidden(first_state, second_state)

    def entering(
        self, before: torch.Tensor, seen: torch.Tensor, *, one_hot: bool
    ) -> list[torch.Tensor]:
        """Return what enters each layer from outside, and the high nibble's sums.

        Parameters
        ----------
        before : int64, (B, T, 2)
        seen : float32, (B, T, 16)
        one_hot : bool
            Take rows of tables by products with what is 1 in one place and 0 elsewhere: more
            arithmetic and less memory traffic, and gradients that scatter nothing. An accelerator
            is faster so.
        """
        shape = self.shape
        widths = [2 * shape.first, *[3 * shape.second] * (shape.layers - 1), 16]
        tables, see = self.weight("last").split(widths, 1), self.weight("see").split(widths)
        second_last = self.weight("second_last")
        if not one_hot:
            earlier = [second_last, *[None] * shape.layers]
            return [
                entering(before, seen, *given) for given in zip(tables, earlier, see, strict=True)
            ]
        linear = nn.functional.linear
        last, second = (
            torch.zeros(*seen.shape[:2], 256, device=seen.device).scatter_(2, places, 1.0)
            for places in before.split(1, 2)
        )
        both = torch.cat([seen, last], 2)
        weights = [torch.cat(parts, 1) for parts in zip(see, (t.T for t in tables), strict=True)]
        first = linear(torch.cat([both, second], 2), torch.cat([weights[0], second_last.T], 1))
        return [first, *(linear(both, weight) for weight in weights[1:])]

    def parts(
        self, name: str, size: int | None = None
    ) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Return the weights of a product, as `weight` does, and their units for `product`.

        They are split into parts of `size` outputs.
        """
        weight = self.weight(name)
        size = size or len(weight)
        if not self.rounded or self.masks is not None:
            return [(part, None) for part in weight.split(size)]
        unit = torch.exp2(-self.weight_exponents(name))
        return list(zip(weight.split(size), unit.split(size), strict=True))

    def weight(self, name: str) -> torch.Tensor:
        """Return the weights of a table or product, rounded as they are exported."""
        weight: torch.Tensor = getattr(self, name).weight
        if not self.rounded:
            return weight
        grid, origin = self._grid(name), self.origins.get(name)
        if origin is None:
            return grid.round(weight)
        return grid.round_from(origin.to(weight.device), weight)

    def weight_exponents(self, name: str) -> torch.Tensor:
        """Return the exponents of a product, float32 (outputs, 1)."""
        weight = getattr(self, name).weight.detach()
        kept = self.exponents.get(name)
        return dyadic(weight) if kept is None else kept.to(weight.device)

    def _grid(self, name: str) -> Grid:
        if name in ("last", "second_last"):
            return TABLE_GRID
        return product_grid(self.weight_exponents(name))


def _ignore(name: str, inputs: torch.Tensor, sums: torch.Tensor) -> None:
    """Tap nothing."""
