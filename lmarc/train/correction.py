"""What networks over bytes have in common: they correct what a mixture says of both nibbles."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import torch
from torch import nn

__all__ = ["LN2", "Corrector", "bits_of"]

LN2: Final = 0.6931471805599453

H = TypeVar("H")


class Corrector(nn.Module, Generic[H]):
    """A network over bytes (B rows, T steps), trained in the loop of a mixture.

    It is `loop.InTheLoop`. A subclass has `initial`, which returns what it carries from step to
    step, an H, and `forward`, which returns corrections.
    """

    def initial(self, rows: int) -> H:
        """Return the state at a chunk's beginning."""
        raise NotImplementedError

    def forward(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: H, /
    ) -> tuple[torch.Tensor, torch.Tensor, H]:
        """Return corrections of both nibbles' log2-probabilities.

        Parameters
        ----------
        before : int64, (B, T, 2)
            The byte before and the one before that.
        text : int64, (B, T)
        freqs : float32, (B, T, 2 or 4, 16)
            Of both nibbles, of 65536: the mixture's, which the network sees; behind them, where
            there are four, those that are to be corrected in their place.
        hidden : H

        Returns
        -------
        high, low : float32, (B, T, 16)
        hidden : H
        """
        raise NotImplementedError

    def cost(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: H
    ) -> tuple[torch.Tensor, H]:
        """Return bits of each byte, float32 (B, T), and the state."""
        logits, hidden = self.logits(before, text, freqs, hidden)
        return bits_of(logits, text), hidden

    def logits(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: H
    ) -> tuple[torch.Tensor, H]:
        """Return both nibbles' log2-probabilities but for a sum, (B, T, 2, 16), and the state."""
        found: Any = self(before, text, freqs, hidden)
        high, low, hidden = found
        return torch.stack([high, low], 2) + torch.log2(freqs[:, :, -2:]), hidden

    def measures(
        self, text: torch.Tensor, freqs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return bytes and bits of each byte by the freqs that are corrected: (B, T)."""
        nibbles = torch.stack([text >> 4, text & 15], 2)[..., None]
        corrected = freqs[:, :, -2:].gather(3, nibbles)
        return torch.ones_like(text), 32 - torch.log2(corrected).sum((2, 3))


def bits_of(logits: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Return what each byte of `text`, (B, T), costs in bits: float32, (B, T)."""
    nibbles = torch.stack([text >> 4, text & 15], 2)
    nats = nn.functional.cross_entropy(
        (logits * LN2).flatten(0, 2), nibbles.flatten(), reduction="none"
    )
    return nats.view(*nibbles.shape).sum(2) / LN2
