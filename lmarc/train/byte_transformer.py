"""A Transformer over bytes that corrects a mixture: the teacher of byte networks.

It sees what a byte network sees, the two bytes before and the mixture's freqs, and says what that
says. No codec runs it, so it is floats throughout, and may be of any size.
"""

from __future__ import annotations

import torch
from torch import nn

from lmarc.train.correction import Corrector
from lmarc.train.transformer import Past, Transformer, TransformerShape

__all__ = ["ByteTransformer"]


class ByteTransformer(Corrector[Past]):
    """Bytes (B rows, T steps) and the mixture's freqs in, corrections of both nibbles out."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.last = nn.Embedding(256, width)
        self.second_last = nn.Embedding(256, width)
        # Shares of 16 symbols, and their logarithms: how likely, and how sure.
        self.see = nn.Linear(32, width)
        self.transformer = Transformer(shape)
        self.transformer.rounded = False
        self.high = nn.Linear(width, 16, bias=False)
        self.low = nn.Linear(width, 256, bias=False)
        self.see_low = nn.Linear(32, 16, bias=False)
        self.low_bias = nn.Embedding(16, 16)
        with torch.no_grad():
            for part in (self.high, self.low, self.see_low, self.low_bias):
                part.weight.zero_()

    def initial(self, rows: int) -> Past:
        """Return the state at a chunk's beginning."""
        return self.transformer.initial(rows)

    def forward(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: Past
    ) -> tuple[torch.Tensor, torch.Tensor, Past]:
        """Return corrections, as `Corrector.forward` does."""
        share = freqs[:, :, :2] / 65536  # (B, T, 2, 16)
        seen = torch.cat([share, torch.log2(share) / 16], 3)
        x = self.last(before[..., 0]) + self.second_last(before[..., 1]) + self.see(seen[:, :, 0])
        out, hidden = self.transformer(x, hidden)
        nibble = text >> 4
        places = nibble[..., None] * 16 + torch.arange(16, device=text.device)
        low = self.low(out).gather(2, places) + self.see_low(seen[:, :, 1])
        return self.high(out), low + self.low_bias(nibble), hidden

    @property
    def multiply_adds(self) -> int:
        """Products that a byte takes, those of attention with a full window."""
        shape = self.shape
        layer = 4 * shape.width**2 + 2 * shape.width * (shape.hidden + shape.window)
        return shape.layers * layer + 32 * shape.width + 2 * 16 * shape.width + 32 * 16
