"""The patches of a byte network in PyTorch, in integers: the bits of `lmarc.kernels.patches`.

spec/v1/neural.md, section 4.7, is the authority; products are those of `torch_products`, all else
is int64.

An encoder finds the patches that end in many bytes of a chunk, and takes them through the
Transformer together; a decoder takes a byte of many chunks, and those whose patch ends there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.torch_products import Products, wrap
from lmarc.codec.transformer_torch import Past, TorchTransformer
from lmarc.model.patches import LONGEST
from lmarc.model.transformer import Sizes

__all__ = ["PatchState", "TorchPatches"]

Array = npt.NDArray[Any]


class PatchState(NamedTuple):
    """What patches leave to the bytes behind them: int64, a row for each chunk."""

    recent: torch.Tensor  # (rows, LONGEST): the last bytes, the newest last
    lengths: torch.Tensor  # (rows,): how many of them are of the patch that has not ended
    counts: torch.Tensor  # (rows,): patches that have ended
    given: torch.Tensor  # (rows, 3 n2): what the second layer is given of them
    past: Past  # of a sequence for each row; steps change it in place


class TorchPatches(Products):
    """What a model does with patches, on a device.

    Parameters
    ----------
    sizes : Sizes
        Of the Transformer.
    arrays : mapping of str to array
        The model's.
    device : str
        A device of PyTorch.
    """

    def __init__(self, sizes: Sizes, arrays: Mapping[str, Array], device: str) -> None:
        names = ("enter", "give")
        super().__init__(device, {name: (arrays[name], arrays[f"{name}_exp"]) for name in names})
        self.transformer = TorchTransformer(sizes, arrays, device)
        self._places = 64 * self.tensor(arrays["places"].astype(np.int64))
        parts = [byte < 128 and not chr(byte).isalnum() for byte in range(256)]
        self._parts_words = torch.tensor(parts, device=self.device)
        self._place = torch.arange(LONGEST, device=self.device) - LONGEST
        self._given = len(arrays["give"])

    def start(self, rows: int) -> PatchState:
        """Return the state before the first byte of some chunks."""
        shapes = (rows, LONGEST), (rows,), (rows,), (rows, self._given)
        recent, lengths, counts, given = (
            torch.zeros(shape, dtype=torch.int64, device=self.device) for shape in shapes
        )
        return PatchState(recent, lengths, counts, given, self.transformer.start(rows))

    def step(
        self, first: torch.Tensor, before: torch.Tensor, state: PatchState
    ) -> tuple[torch.Tensor, PatchState]:
        """Take a byte of each of some chunks.

        Parameters
        ----------
        first : int64, (rows, n1)
            What leaves the first layer, as products take it.
        before : int64, (rows, 2)
            The byte before, and the one before that.
        state : PatchState

        Returns
        -------
        given : int64, (rows, 3 n2)
            What is added to the sums of the second layer.
        state : PatchState
        """
        recent = torch.cat([state.recent[:, 1:], before[:, :1]], 1)
        lengths, counts, given = state.lengths + 1, state.counts, state.given
        ends = self._word_ends(before) | (lengths == LONGEST)
        rows = ends.nonzero()[:, 0]
        if len(rows):
            entering = self._entering(first[rows], recent[rows], lengths[rows])
            leaving = self.transformer.step(entering, counts[rows], state.past, rows)
            given = given.index_copy(0, rows, self._give(leaving))
        lengths = lengths.masked_fill(ends, 0)
        return given, PatchState(recent, lengths, counts + ends, given, state.past)

    def along(
        self, first: torch.Tensor, before: torch.Tensor, state: PatchState
    ) -> tuple[torch.Tensor, PatchState]:
        """Take bytes of one chunk that follow each other.

        Parameters and what is returned are those of `step`, but that rows are the bytes, and that
        `state` has one.
        """
        text = torch.cat([state.recent[0], before[:, 0]])
        ends, lengths = self._cut(before, state.lengths)
        at = ends.nonzero()[:, 0]
        past, given = state.past, state.given
        if len(at):
            # The bytes that end with each patch's last.
            recent = text.unfold(0, LONGEST, 1)[1 + at]
            entering = self._entering(first[at], recent, lengths[at])
            leaving, past = self.transformer.along(entering, state.counts, past)
            given = torch.cat([given, self._give(leaving)])
        after = PatchState(
            text[None, -LONGEST:],
            lengths[-1:].masked_fill(ends[-1:], 0),
            state.counts + len(at),
            given[-1:],
            past,
        )
        return given[ends.cumsum(0)], after

    def _word_ends(self, before: torch.Tensor) -> torch.Tensor:
        """Return where a byte is the first of a run that parts words: bool, (rows,)."""
        parts = self._parts_words[before]
        return parts[:, 0] & ~parts[:, 1]

    def _cut(
        self, before: torch.Tensor, carried: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return with which bytes of a chunk a patch ends, and how many it has with each of them.

        `carried`, int64, (1,), bytes are of the patch that had not ended.
        """
        ends = self._word_ends(before)
        # Bytes are counted from the last with which a word ended: LONGEST of them fill a patch.
        number = torch.arange(1, len(before) + 1, device=self.device)
        last = torch.cat([-carried, torch.where(ends, number, -carried)]).cummax(0).values
        lengths = (number - last[:-1] - 1) % LONGEST + 1
        return ends | (lengths == LONGEST), lengths

    def _entering(
        self, first: torch.Tensor, recent: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return the vectors of patches, which have the last `lengths` of some recent bytes."""
        place = self._place + lengths[:, None]
        brought = self._places[place.clamp(min=0), recent] * (place >= 0)[..., None]
        total = wrap(self.product("enter", first) + brought.sum(1))
        return ((total + 64) >> 7).clamp(-32767, 32767)

    def _give(self, leaving: torch.Tensor) -> torch.Tensor:
        return wrap(4 * self.product("give", leaving))
