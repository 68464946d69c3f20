"""Chunks of the byte codecs with their network in PyTorch: `network_torch`, between the kernels.

An encoder asks the network about a whole chunk; a decoder about the next byte of several.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.network_torch import TorchNetwork
from lmarc.kernels import lanes, multiscale_lanes, neural

__all__ = ["decode", "decode_blended", "scores_of"]

Array = npt.NDArray[Any]

ALONG: Final = 2048  # bytes of a chunk whose products are taken together


def scores_of(network: TorchNetwork, content: bytes, freqs: Array) -> tuple[Array, Array]:
    """Return the corrections of a whole chunk, and what leaves the last layer.

    Parameters
    ----------
    network : TorchNetwork
    content : bytes
    freqs : uint16, shape (size, 2, 16)
        The mixture's.

    Returns
    -------
    corrections : int32, shape (size, 2, 16)
    outs : int16, shape (size, n2)
    """
    text = np.frombuffer(content, np.uint8).astype(np.int64)
    padded = np.concatenate([np.zeros(2, np.int64), text])
    before = np.stack([padded[1:-1], padded[:-2]], 1)
    state = network.start(1)
    found: list[Array] = []
    outs: list[Array] = []
    with torch.inference_mode():
        for start in range(0, len(text), ALONG):
            some = slice(start, start + ALONG)
            given = (before[some], freqs[some].astype(np.int64) >> 9, text[some] >> 4)
            past, seen, highs = (torch.from_numpy(part).to(network.device) for part in given)
            both, out, state = network.along(past, seen, highs, state)
            found.append(both.to(torch.int32).cpu().numpy())
            outs.append(network.last(out).to(torch.int16).cpu().numpy())
    if not found:
        return np.zeros((0, 2, 16), np.int32), np.zeros((0, network.units[1]), np.int16)
    return np.concatenate(found), np.concatenate(outs)


def decode(
    network: TorchNetwork, given: lanes.Lanes, joint: neural.Joint, bits: int, match_shift: int
) -> None:
    """Decode all lanes, as `lanes.decode` does with the network of the kernels."""
    with torch.inference_mode():
        walk = _Walk(network, given)
        for position in range(lanes.begin(given, bits, match_shift)):
            corrections = walk.high(position, bits)
            lanes.take_high(given, joint, corrections, walk.freqs, walk.highs, position, bits)
            lanes.take_low(given, joint, walk.low(), position, bits, match_shift)
    lanes.end(given)


def decode_blended(
    network: TorchNetwork,
    given: lanes.Lanes,
    blends: multiscale_lanes.Blends,
    bits: int,
    match_shift: int,
) -> None:
    """Decode all lanes, as `multiscale_lanes.decode` does with the network of the kernels."""
    with torch.inference_mode():
        walk = _Walk(network, given)
        for position in range(multiscale_lanes.begin(given, blends, bits, match_shift)):
            corrections = walk.high(position, bits)
            pairs = walk.pairs()
            multiscale_lanes.take_high(
                given, blends, corrections, pairs, walk.freqs, walk.highs, position, bits
            )
            multiscale_lanes.take_low(given, blends, walk.low(), pairs, position, bits, match_shift)
    lanes.end(given)


class _Walk:
    """The network's steps along all lanes, between the kernels' own."""

    def __init__(self, network: TorchNetwork, given: lanes.Lanes) -> None:
        count = len(given.coders)
        self._network, self._given = network, given
        self._state = network.start(count)
        self._outs = torch.zeros(0)
        self.before, self.highs = np.zeros(2 * count, np.int64), np.zeros(count, np.int64)
        self.freqs = np.zeros(16 * count, np.int32)

    def _tensor(self, array: Array) -> torch.Tensor:
        return torch.from_numpy(array).to(self._network.device, torch.int64)

    def _seen(self) -> torch.Tensor:
        return self._tensor(self.freqs).reshape(-1, 16) >> 9

    def high(self, position: int, bits: int) -> Array:
        """Return the corrections of the high nibbles: int32, (lanes * 16,)."""
        lanes.look(self._given, self.before, self.freqs, position, bits)
        corrections, self._outs, self._state = self._network.step(
            self._tensor(self.before).reshape(-1, 2), self._seen(), self._state
        )
        return _flat(corrections)

    def low(self) -> Array:
        """Return those of the low ones: int32, (lanes * 16,)."""
        return _flat(self._network.low(self._outs, self._seen(), self._tensor(self.highs)))

    def pairs(self) -> Array:
        """Return what leaves the last layer: int32, (lanes * n2 / 2,), pairs of int16."""
        last = self._network.last(self._outs).to(torch.int16).cpu().numpy()
        pairs: Array = np.ascontiguousarray(last).reshape(-1).view(np.int32)
        return pairs


def _flat(corrections: torch.Tensor) -> Array:
    flat: Array = corrections.to(torch.int32).cpu().numpy().reshape(-1)
    return flat
