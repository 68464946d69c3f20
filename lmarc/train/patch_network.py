"""A byte network with patches, as it is trained: a Transformer that steps once a word or so.

spec/v1/neural.md, section 4.7, has the arithmetic that codes text; this is the same in floats, with
what the integers round rounded too (straight-through), so that a trained network is its own export.

Where a patch has ended, what leaves the network's first layer there and the patch's own bytes enter
a small causal Transformer; what that makes of them is added to what enters the second layer, until
the next patch has ended. Bytes, words and patches of a like kind: MegaByte (arXiv:2305.07185),
SpaceByte (arXiv:2404.14408), BLT (arXiv:2412.09871).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from lmarc.model.patches import LONGEST
from lmarc.train.byte_network import ByteNetwork, Hidden
from lmarc.train.correction import Corrector
from lmarc.train.grid import TABLE_GRID
from lmarc.train.transformer import Past, Transformer, TransformerShape, int8_weights

__all__ = ["Cut", "PatchHidden", "PatchNetwork", "chosen", "cut", "parts_words"]

NONE = LONGEST * 256  # a row behind those of `places`: no byte stands there


class PatchHidden(NamedTuple):
    """What is carried from step to step, by row; nothing of it has a gradient."""

    first: torch.Tensor  # float32, (B, first), as in `Hidden`
    second: torch.Tensor
    keys: torch.Tensor  # float32, (layers, B, window, width), as in `Past`
    values: torch.Tensor
    seen: torch.Tensor  # int64, (B,)
    run: torch.Tensor  # int64, (B,): bytes since one that ended a patch by what it is
    tail: torch.Tensor  # int64, (B, LONGEST - 1): the last bytes
    left: torch.Tensor  # float32, (B, width): what left the Transformer last

    def fresh(self, rows: torch.Tensor) -> PatchHidden:
        """Return a state in which the rows that `rows`, bool (B,), names begin anew."""

        def anew(part: torch.Tensor) -> torch.Tensor:
            return part.masked_fill(rows.view(-1, *(1,) * (part.dim() - 1)), 0)

        # Of keys and values nothing is seen then.
        return PatchHidden(
            anew(self.first), anew(self.second), self.keys, self.values,
            *(anew(part) for part in self[4:]),
        )  # fmt: skip


class Cut(NamedTuple):
    """The patches that end in some steps."""

    ended: torch.Tensor  # int64, (B, T): how many have, after the byte before each step
    at: torch.Tensor  # int64, (B, P): the step after each one's last byte; 0 where it is padding
    lengths: torch.Tensor  # int64, (B, P): bytes of each
    counts: torch.Tensor  # int64, (B,): patches of each row, up to P
    run: torch.Tensor  # int64, (B,): as in `PatchHidden`, after the steps


def parts_words(byte: torch.Tensor) -> torch.Tensor:
    """Return which bytes, int64, stand between words: ASCII that is no letter or digit."""
    lower = byte | 0x20
    letter = (lower >= 0x61) & (lower <= 0x7A)
    digit = (byte >= 0x30) & (byte <= 0x39)
    return ~(letter | digit | (byte >= 0x80))


def cut(before: torch.Tensor, run: torch.Tensor) -> Cut:
    """Cut rows into patches: each ends with the first byte of a run that parts words, or is full.

    Parameters
    ----------
    before : int64, (B, T, 2)
        The byte before each step and the one before that.
    run : int64, (B,)
        Of the state.
    """
    rows, steps = before.shape[:2]
    parts = parts_words(before)
    ends = parts[..., 0] & ~parts[..., 1]
    step = torch.arange(1, steps + 1, device=run.device).expand(rows, -1)
    # Steps are counted from where the row's last such byte stood.
    last = torch.where(ends, step, -run[:, None]).cummax(1).values
    since = step - torch.cat([-run[:, None], last[:, :-1]], 1)
    lengths = (since - 1) % LONGEST + 1
    ends = ends | (lengths == LONGEST)
    ended = ends.cumsum(1)
    counts = ended[:, -1]
    width = max(1, int(counts.max()))
    # Steps at which no patch ends are written behind the others.
    places = torch.where(ends, ended - 1, width)
    at = torch.zeros(rows, width + 1, dtype=torch.int64, device=run.device)
    at = at.scatter_(1, places, step - 1)[:, :width]
    return Cut(ended, at, lengths.gather(1, at), counts, steps - last[:, -1])


def chosen(vectors: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return for each row the vectors, (B, S, N), at `places`, (B, M): (B, M, N)."""
    rows, steps, width = vectors.shape
    row = torch.arange(rows, device=places.device)[:, None]
    return nn.functional.embedding(places + steps * row, vectors.reshape(-1, width))


class PatchNetwork(Corrector[PatchHidden]):
    """A byte network with a Transformer over patches (B rows, T steps, P patches).

    It begins as the network below: what the Transformer makes of patches is not listened to yet.

    Parameters
    ----------
    below : ByteNetwork
    shape : TransformerShape

    """

    def __init__(self, below: ByteNetwork, shape: TransformerShape) -> None:
        super().__init__()
        self.below = below
        n1, n2 = below.shape.first, below.shape.second
        self.enter = nn.Linear(n1, shape.width, bias=False)
        self.places = nn.Embedding(LONGEST * 256, shape.width)  # bytes by their place in the patch
        self.transformer = Transformer(shape)
        self.give = nn.Linear(shape.width, 3 * n2, bias=False)
        self.rounded = below.rounded
        with torch.no_grad():
            self.enter.weight.normal_(0, n1**-0.5)
            self.places.weight.normal_(0, 0.3)
            self.give.weight.zero_()

    @property
    def rounded(self) -> bool:
        """Whether all of it is rounded as the integers are."""
        return bool(self.below.rounded)

    @rounded.setter
    def rounded(self, value: bool) -> None:
        self.below.rounded = self.transformer.rounded = value

    def initial(self, rows: int) -> PatchHidden:
        """Return the state at a chunk's beginning."""
        hidden, past = self.below.initial(rows), self.transformer.initial(rows)
        tail = past.seen.new_zeros(rows, LONGEST - 1)
        left = past.keys.new_zeros(rows, self.transformer.shape.width)
        return PatchHidden(*hidden, *past, past.seen, tail, left)

    def forward(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: PatchHidden
    ) -> tuple[torch.Tensor, torch.Tensor, PatchHidden]:
        """Return corrections, as `Corrector.forward` does."""
        ends = cut(before, hidden.run)
        seen = torch.cat([hidden.tail, before[..., 0]], 1)
        past, left = Past(hidden.keys, hidden.values, hidden.seen), hidden.left

        def condition(out: torch.Tensor) -> torch.Tensor:
            nonlocal past, left
            vectors = self._entering(out, seen, ends)
            made, past = self.transformer(vectors, past, ends.counts)
            made = torch.cat([left[:, None], made], 1)  # (B, 1 + P, width)
            rows = torch.arange(len(made), device=made.device)
            left = made[rows, ends.counts].detach()
            given = nn.functional.linear(made, self.weight("give"))
            return chosen(given, ends.ended)

        below = Hidden(hidden.first, hidden.second)
        high, low, after = self.below(before, text, freqs, below, condition)
        tail = seen[:, seen.shape[1] - (LONGEST - 1) :]
        state = PatchHidden(after.first, after.second, *past, ends.run, tail, left)
        return high, low, state

    def _entering(self, out: torch.Tensor, seen: torch.Tensor, ends: Cut) -> torch.Tensor:
        """Return the vectors of patches, float32 (B, P, width)."""
        place = torch.arange(LONGEST, device=out.device)
        start = ends.at + LONGEST - ends.lengths  # in `seen`, of the first byte
        where = (start[..., None] + place).clamp_max(seen.shape[1] - 1)  # (B, P, LONGEST)
        content = seen.gather(1, where.flatten(1)).view_as(where)
        inside = place < ends.lengths[..., None]
        numbers = torch.where(inside, place * 256 + content, NONE)
        table = nn.functional.pad(self.weight("places"), (0, 0, 0, 1))
        vectors = nn.functional.embedding_bag(
            numbers.flatten(0, 1), table, mode="sum", padding_idx=NONE
        )
        first = nn.functional.linear(chosen(out, ends.at), self.weight("enter"))
        return first + vectors.view_as(first)

    def weight(self, name: str) -> torch.Tensor:
        """Return the weights of `places`, `enter` or `give`, rounded as they are exported."""
        weight: torch.Tensor = getattr(self, name).weight
        if not self.rounded:
            return weight
        return TABLE_GRID.round(weight) if name == "places" else int8_weights(weight)
