"""The subword codec's Transformer in PyTorch: that of `transformer_torch`, with its tokens.

spec/v1/subword.md is the authority. An encoder goes along time, many tokens of a chunk at once; a
decoder takes a token of many chunks. What leaves the Transformer goes back to the kernels, which
have the branches' small products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.transformer_torch import TorchTransformer
from lmarc.kernels import lanes, neural, subword_coder
from lmarc.model.subword import SubwordModel

__all__ = ["TorchSubword", "decode", "leaving_of"]

Array = npt.NDArray[Any]


class TorchSubword(TorchTransformer):
    """A model's Transformer on a device.

    Parameters
    ----------
    model : SubwordModel
    device : str
        A device of PyTorch.
    """

    def __init__(self, model: SubwordModel, device: str) -> None:
        super().__init__(model.sizes, model.arrays, device)
        self._embedding = 32 * self.tensor(model.arrays["embedding"], torch.int64)

    def entering(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the streams of tokens, int64: (n, width)."""
        return self._embedding[tokens]


def leaving_of(network: TorchSubword, tokens: Array) -> Array:
    """Return what leaves the Transformer before each token of a whole chunk.

    Parameters
    ----------
    network : TorchTransformer
    tokens : uint16, shape (count,)

    Returns
    -------
    int16, shape (count, width)
    """
    count, most = len(tokens), network.along_steps
    # Token 0 stands for the one before the first.
    before = np.zeros(count, np.int64)
    before[1:] = tokens[: max(0, count - 1)]
    found = np.empty((count, network.sizes.width), np.int16)
    past = network.start(1)
    with torch.inference_mode():
        for start in range(0, count, most):
            given = torch.from_numpy(before[start : start + most]).to(network.device)
            position = torch.full((1,), start, device=network.device)
            leaving, past = network.along(network.entering(given), position, past)
            found[start : start + most] = leaving.to(torch.int16).cpu().numpy()
    return found


def decode(
    network: TorchSubword,
    given: lanes.Lanes,
    joint: neural.Joint,
    tokens: subword_coder.Tokens,
    net: subword_coder.Network,
    bits: int,
    match_shift: int,
) -> None:
    """Decode all lanes, as `subword_coder.decode` does with the Transformer of the kernels."""
    count, position = len(given.coders), 0
    before = np.zeros(count, np.int64)
    with torch.inference_mode():
        past = network.start(count)
        going = subword_coder.begin(given, tokens, bits, match_shift)
        while going:
            entering = network.entering(torch.from_numpy(before).to(network.device))
            positions = torch.full((1,), position, device=network.device)
            leaving = network.step(entering, positions, past).to(torch.int16).cpu().numpy()
            pairs = leaving.reshape(-1).view(np.int32)
            going = subword_coder.take(
                given, joint, tokens, net, pairs, before, position, bits, match_shift
            )
            position += 1
    lanes.end(given)
