"""The byte network, as it is trained: two gated linear recurrences that correct the n-gram mixture.

spec/v1/neural.md has the arithmetic that codes text; this is the same in floats, with what the
integers round rounded too (straight-through), so that a trained network is its own export.

The first layer needs no product with its past: tables say what the two bytes before and the
mixture's distribution bring, gates say how long it stays. So training goes along time in one
product a layer, and so can encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from lmarc.train.scan import Round, gated_layer

__all__ = ["ByteNetwork", "Hidden", "Shape", "dyadic"]

TABLE_UNIT = 2.0**-11  # of table entries
MAX_EXPONENT = 10  # of int8 weights: they are multiples of at least 2**-10
LN2 = 0.6931471805599453


@dataclass(frozen=True, slots=True)
class Shape:
    """Units of the two layers; multiples of 16."""

    first: int
    second: int


class Hidden(NamedTuple):
    """What is carried from step to step: float32, (rows, units) each."""

    first: torch.Tensor
    second: torch.Tensor


def _round(value: torch.Tensor, unit: float) -> torch.Tensor:
    return Round.apply(value / unit) * unit


def dyadic(weight: torch.Tensor) -> torch.Tensor:
    """Return for each row of `weight` the exponent e for which its int8 multiples of 2**-e fit."""
    largest = weight.abs().amax(1, keepdim=True).clamp_min(2.0**-9)
    return torch.floor(torch.log2(127.49 / largest)).clamp(0, MAX_EXPONENT)


def _int8(weight: torch.Tensor) -> torch.Tensor:
    unit = torch.exp2(-dyadic(weight.detach()))
    return Round.apply(weight / unit).clamp(-127, 127) * unit


class ByteNetwork(nn.Module):
    """Two layers of gated linear recurrences over bytes (B rows, T steps)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        n1, n2 = shape.first, shape.second
        # What the byte before and the one before that bring; biases are in the first.
        self.last = nn.Embedding(256, 2 * n1 + 3 * n2 + 16)
        self.second_last = nn.Embedding(256, 2 * n1)
        self.see = nn.Linear(16, 2 * n1 + 3 * n2 + 16, bias=False)
        self.inner = nn.Linear(n1, 3 * n2, bias=False)
        self.high = nn.Linear(n2, 16, bias=False)
        self.low = nn.Linear(n2, 256, bias=False)
        self.see_low = nn.Linear(16, 16, bias=False)
        self.low_bias = nn.Embedding(16, 16)
        self.rounded = True
        with torch.no_grad():
            for table in (self.last, self.second_last):
                table.weight.normal_(0, 0.3)
            self.see.weight.normal_(0, 0.3)
            self.inner.weight.normal_(0, n1**-0.5)
            for part in (self.high, self.low, self.see_low, self.low_bias):
                part.weight.zero_()
            self.last.weight[:, 2 * n1 + 3 * n2 :] = 0
            self.see.weight[2 * n1 + 3 * n2 :] = 0
            # Gates that keep for 1 to some 300 bytes: 1 - a = (1 - x / 4)**2 / 2.
            for at, units in ((0, n1), (2 * n1, n2)):
                kept = torch.exp(torch.linspace(0.3, 5.7, units))
                self.last.weight[:, at : at + units] += 4 * (1 - (2 / (kept + 1)).sqrt())

    def initial(self, rows: int) -> Hidden:
        """Return the state at a chunk's beginning."""
        device = self.last.weight.device
        return Hidden(
            torch.zeros(rows, self.shape.first, device=device),
            torch.zeros(rows, self.shape.second, device=device),
        )

    def forward(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: Hidden
    ) -> tuple[torch.Tensor, torch.Tensor, Hidden]:
        """Return corrections of both nibbles' log2-probabilities.

        Parameters
        ----------
        before : int64, (B, T, 2)
            The byte before and the one before that.
        text : int64, (B, T)
        freqs : float32, (B, T, 2, 16)
            The mixture's, of 65536.
        hidden : Hidden

        Returns
        -------
        high, low : float32, (B, T, 16)
        hidden : Hidden
        """
        n1, n2 = self.shape.first, self.shape.second
        widths = [2 * n1, 3 * n2, 16]
        q = torch.floor(freqs / 512) / 128  # (B, T, 2, 16)
        # Weights are taken apart, not what they make: it is much smaller.
        last, second_last, see, inner = self.weights()
        tables = [part.contiguous() for part in last.split(widths, 1)]
        first, second, high = (
            nn.functional.linear(q[:, :, 0], weight).add_(
                nn.functional.embedding(before[..., 0], table)
            )
            for table, weight in zip(tables, see.split(widths), strict=True)
        )
        first.add_(nn.functional.embedding(before[..., 1], second_last))
        out, first_state = gated_layer(first, hidden.first, rounded=self.rounded)
        second.add_(nn.functional.linear(out, inner))
        out, second_state = gated_layer(second, hidden.second, rounded=self.rounded)
        high = high + nn.functional.linear(out, self._weight(self.high))
        nibble = text >> 4
        all_low = nn.functional.linear(out, self._weight(self.low))  # (B, T, 256)
        places = nibble[..., None] * 16 + torch.arange(16, device=text.device)
        low = all_low.gather(2, places)
        low = low + nn.functional.linear(q[:, :, 1], self._weight(self.see_low))
        low = low + self.low_bias(nibble)
        return high, low, Hidden(first_state, second_state)

    def weights(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the first layers' tables and weights, rounded as they are exported."""
        tables = self.last.weight, self.second_last.weight
        if self.rounded:
            tables = _round(tables[0], TABLE_UNIT), _round(tables[1], TABLE_UNIT)
        return *tables, self._weight(self.see), self._weight(self.inner)

    def _weight(self, layer: nn.Linear) -> torch.Tensor:
        return _int8(layer.weight) if self.rounded else layer.weight

    def cost(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: Hidden
    ) -> tuple[torch.Tensor, Hidden]:
        """Return bits of each byte, float32 (B, T), and the state."""
        high, low, hidden = self(before, text, freqs, hidden)
        logits = torch.stack([high, low], 2) + torch.log2(freqs)
        nibbles = torch.stack([text >> 4, text & 15], 2)
        nats = nn.functional.cross_entropy(
            (logits * LN2).flatten(0, 2), nibbles.flatten(), reduction="none"
        )
        return nats.view(*nibbles.shape).sum(2) / LN2, hidden
