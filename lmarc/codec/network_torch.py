"""The byte network in PyTorch, in integers: the same bits as `lmarc.kernels.network`.

spec/v1/neural.md is the authority; products are those of `torch_products`, all else is int64.

An encoder goes along time, products of many bytes at once; a decoder goes along in many chunks.
"""

from __future__ import annotations

from collections.abc import Hashable
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.patches_torch import PatchState, TorchPatches
from lmarc.codec.torch_products import Products, wrap
from lmarc.model.neural import UPPER, NeuralModel, products_of

__all__ = ["State", "TorchNetwork"]

Array = npt.NDArray[Any]

_TABLES: Final = ("last", "second_last", "low_bias")
MAX_LOGIT: Final = 8191


class State(NamedTuple):
    """What the layers remember: int64, (rows, units) each; and the patches, where there are any."""

    first: torch.Tensor
    later: tuple[torch.Tensor, ...]
    patches: PatchState | None


def _squash(total: torch.Tensor, shift: int) -> torch.Tensor:
    y = (total >> shift).clamp(-32767, 32767)
    return (2 * y - ((y * y.abs()) >> 15)).clamp(max=32767)


def _gate(total: torch.Tensor) -> torch.Tensor:
    return (_squash(total, 4) >> 1) + 16384


def _input(state: torch.Tensor) -> torch.Tensor:
    return ((state + 128) >> 8).clamp(max=127)


def _correction(total: torch.Tensor) -> torch.Tensor:
    return (total >> 7).clamp(-MAX_LOGIT, MAX_LOGIT)


def _opened(units: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """Return what leaves the second layer: section 4.3."""
    return _input((units * _gate(total) + 16384) >> 15)


def _carried(units: torch.Tensor, total: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """Return what leaves a later layer: section 4.4."""
    gate = _gate(total)
    return _input((units * gate + 256 * below * (32767 - gate) + 16384) >> 15)


class TorchNetwork(Products):
    """A model's network on a device.

    Parameters
    ----------
    model : NeuralModel
    device : str
        A device of PyTorch.
    """

    def __init__(self, model: NeuralModel, device: str) -> None:
        arrays = model.arrays
        matrices: dict[Hashable, tuple[Array, Array]] = {
            name: (arrays[name], arrays[f"{name}_exp"])
            for name in products_of(model.layers)
            if name != UPPER
        }
        # Products into later layers by their numbers, from 3 on.
        matrices |= {
            (UPPER, number): (arrays[UPPER][number - 3], arrays[f"{UPPER}_exp"][number - 3])
            for number in range(3, model.layers + 1)
        }
        super().__init__(device, matrices)
        self.units, self.layers = model.units, model.layers
        self.patches = (
            None if model.patches is None else TorchPatches(model.patches, arrays, device)
        )
        self._tables = {name: 64 * self.tensor(arrays[name].astype(np.int64)) for name in _TABLES}

    def start(self, rows: int) -> State:
        """Return the state before the first byte of some chunks."""
        first, *later = (
            torch.zeros(rows, units, dtype=torch.int64, device=self.device)
            for units in (self.units[0], *[self.units[1]] * (self.layers - 1))
        )
        patches = None if self.patches is None else self.patches.start(rows)
        return State(first, tuple(later), patches)

    def _sums(self, before: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Section 4.1, before it is wrapped: int64, (rows, N)."""
        sums = self._tables["last"][before[:, 0]] + self.product("see", seen)
        sums[:, : 2 * self.units[0]] += self._tables["second_last"][before[:, 1]]
        return sums

    def _high(self, sums: torch.Tensor, outs: torch.Tensor) -> torch.Tensor:
        return _correction(wrap(sums[:, -16:] + self.product("high", outs)))

    def _layers(
        self, sums: torch.Tensor, before: torch.Tensor, state: State, along: bool
    ) -> tuple[torch.Tensor, State]:
        """Sections 4.2 to 4.4: return the outs, (rows, (L - 1) n2), and the state.

        `along` says whether rows follow each other in one chunk.
        """
        n1, n2 = self.units
        move = self._recur if along else self._move
        units, first = move(wrap(sums[:, : 2 * n1]), state.first)
        entering, outs, later = _input(units), [], []
        patches = state.patches
        if self.patches and patches:
            patch = self.patches.along if along else self.patches.step
            given, patches = patch(entering, before, patches)
            sums[:, 2 * n1 : 2 * n1 + 3 * n2] += given
        for number in range(2, self.layers + 1):
            at = 2 * n1 + 3 * n2 * (number - 2)
            key = "inner" if number == 2 else (UPPER, number)
            own = wrap(sums[:, at : at + 3 * n2] + self.product(key, entering))
            units, last = move(own[:, : 2 * n2], state.later[number - 2])
            total = own[:, 2 * n2 :]
            entering = _opened(units, total) if number == 2 else _carried(units, total, entering)
            outs.append(entering)
            later.append(last)
        return torch.cat(outs, 1), State(first, tuple(later), patches)

    def step(
        self, before: torch.Tensor, seen: torch.Tensor, state: State
    ) -> tuple[torch.Tensor, torch.Tensor, State]:
        """Take a byte of each of some chunks.

        Parameters
        ----------
        before : int64, (rows, 2)
        seen : int64, (rows, 16)
            The mixture's freqs of the high nibble >> 9.
        state : State

        Returns
        -------
        corrections : int64, (rows, 16)
            For the high nibbles.
        outs : int64, (rows, (L - 1) n2)
            What `low` takes: that of the second layer to that of the last.
        state : State
        """
        sums = self._sums(before, seen)
        outs, state = self._layers(sums, before, state, along=False)
        return self._high(sums, outs), outs, state

    def low(self, outs: torch.Tensor, seen: torch.Tensor, highs: torch.Tensor) -> torch.Tensor:
        """Return the corrections for low nibbles: int64, (rows, 16)."""
        places = 16 * highs[:, None] + torch.arange(16, device=self.device)
        sums = self._tables["low_bias"][highs] + self.product("low", outs).gather(1, places)
        return _correction(wrap(sums + self.product("see_low", seen)))

    def along(
        self, before: torch.Tensor, seen: torch.Tensor, highs: torch.Tensor, state: State
    ) -> tuple[torch.Tensor, torch.Tensor, State]:
        """Take bytes of one chunk that follow each other.

        Parameters
        ----------
        before : int64, (T, 2)
        seen : int64, (T, 2, 16)
        highs : int64, (T,)
        state : State
            Of one row.

        Returns
        -------
        corrections : int64, (T, 2, 16)
        outs : int64, (T, (L - 1) n2)
            What leaves the layers from the second on.
        state : State
        """
        sums = self._sums(before, seen[:, 0])
        outs, state = self._layers(sums, before, state, along=True)
        both = torch.stack([self._high(sums, outs), self.low(outs, seen[:, 1], highs)], 1)
        return both, outs, state

    def _move(self, sums: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gates, values = self._first_parts(sums)
        moved = (gates * state + values) >> 15
        return moved, moved

    def last(self, outs: torch.Tensor) -> torch.Tensor:
        """Return what leaves the last layer, of what leaves all from the second on."""
        return outs[:, -self.units[1] :]

    def _first_parts(self, sums: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gates, and what is added to them times the state before it is shifted."""
        keep, new = sums.chunk(2, 1)
        gates = _gate(keep)
        return gates, (32767 - gates) * _squash(new, 3) + 16384

    def _recur(self, sums: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gates, values = self._first_parts(sums)
        if gates.is_cuda and find_spec("triton"):
            from lmarc.codec.recurrence_triton import states_of

            states = states_of(gates, values, state[0])
            return states, states[-1:]
        states = torch.empty_like(gates)
        row = state[0]
        for step in range(len(gates)):
            row = (gates[step] * row + values[step]) >> 15
            states[step] = row
        return states, row[None]
