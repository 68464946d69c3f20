"""The subword coder's network, as it is trained: a Transformer over tokens that corrects a mixture.

spec/v1/subword.md has the arithmetic. A token's vector enters the Transformer; what leaves it says
for each branch of the next token's path how much more or less probable it is than the mixture has
it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lmarc.model.vocabulary import LEVELS, Vocabulary
from lmarc.train.correction import LN2
from lmarc.train.scan import Round
from lmarc.train.transformer import Past, Transformer, TransformerShape, int8_weights

__all__ = ["EMBEDDING_UNIT", "SubwordNetwork"]

EMBEDDING_UNIT = 2.0**-5  # of a token's vector, int8


class SubwordNetwork(nn.Module):
    """Tokens (B rows, T steps) in, corrections of the three symbols of the next ones out."""

    sizes: torch.Tensor

    def __init__(self, shape: TransformerShape, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(vocabulary.tokens), shape.width)
        self.transformer = Transformer(shape)
        # Rows of the branches at each level; those below a node stand together.
        self.branches = nn.ModuleList(
            nn.Linear(shape.width, 16 ** (level + 1), bias=False) for level in range(LEVELS)
        )
        self.register_buffer("sizes", torch.from_numpy(vocabulary.sizes.astype(np.int64)))
        with torch.no_grad():
            for part in self.branches:
                part.weight.zero_()

    def initial(self, rows: int) -> Past:
        """Return the state at a chunk's beginning."""
        return self.transformer.initial(rows)

    def forward(
        self, before: torch.Tensor, text: torch.Tensor, past: Past
    ) -> tuple[torch.Tensor, Past]:
        """Return corrections of the symbols' log2-probabilities.

        Parameters
        ----------
        before : int64, (B, T)
            The token before each.
        text : int64, (B, T)
            Tokens; of a token's corrections those below its own branches are asked for.
        past : Past

        Returns
        -------
        corrections : float32, (B, T, 3, 16)
        past : Past
        """
        table = self.embedding.weight
        if self.transformer.rounded:
            table = Round.apply(table / EMBEDDING_UNIT).clamp(-127, 127) * EMBEDDING_UNIT
        out, past = self.transformer(nn.functional.embedding(before, table), past)
        first, second, third = (
            int8_weights(part.weight) if self.transformer.rounded else part.weight
            for part in self.branches
        )
        high = nn.functional.linear(out, first)
        # Of few branches all are computed, of many those that are asked for.
        places = (text >> 8)[..., None] * 16 + torch.arange(16, device=text.device)
        middle = nn.functional.linear(out, second).gather(2, places)
        rows = nn.functional.embedding(text >> 4, third.view(16 ** (LEVELS - 1), -1))
        low = (rows.unflatten(2, (16, -1)) @ out[..., None])[..., 0]
        return torch.stack([high, middle, low], 2), past

    def cost(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: Past
    ) -> tuple[torch.Tensor, Past]:
        """Return bits of each token, float32 (B, T), and the state.

        before : int64, (B, T, 2), of which the first is looked at; freqs : float32, (B, T, 3, 16).
        """
        corrections, hidden = self(before[..., 0], text, hidden)
        logits = (corrections + torch.log2(freqs)) * LN2
        symbols = self._symbols(text)
        nats = nn.functional.cross_entropy(
            logits.flatten(0, 2), symbols.flatten(), reduction="none"
        )
        return nats.view(*symbols.shape).sum(2) / LN2, hidden

    def measures(
        self, text: torch.Tensor, freqs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return bytes and the mixture's bits of each token: (B, T)."""
        chosen = freqs.gather(3, self._symbols(text)[..., None])
        return self.sizes[text], 16 * LEVELS - torch.log2(chosen).sum((2, 3))

    @staticmethod
    def _symbols(text: torch.Tensor) -> torch.Tensor:
        return torch.stack([text >> 8, text >> 4 & 15, text & 15], 2)
