"""Turn a trained byte network into a model of integers, and train what joins it to the mixture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.neural import model_steps
from lmarc.codec.ngram import choose_profile
from lmarc.codec.ngram import model_steps as mixture_steps
from lmarc.errors import ModelError
from lmarc.kernels import neural, ngram
from lmarc.model import patches
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.grid import entries, integers, table_of, weights_of
from lmarc.train.patch_network import PatchNetwork
from lmarc.train.transformer import TransformerShape

__all__ = ["exponents_of", "export", "origins_of", "restore", "snapped", "train_join"]

JOIN_RATE: Final = 256  # 150 to 400 do well; less leaves text unlike the training text worse
_PRODUCTS: Final = ("see", "inner", "upper", "high", "low", "see_low")
_TABLES: Final = ("last", "second_last", "low_bias")


def export(net: ByteNetwork | PatchNetwork, base: NgramModel) -> NeuralModel:
    """Return the integers of a network that was trained with rounding; joined one to one."""
    if isinstance(net, PatchNetwork):
        arrays = export(net.below, base).arrays | _patches(net)
        return NeuralModel(arrays, base)
    arrays = {}
    with torch.no_grad():
        for name in _PRODUCTS:
            if name == "upper" and net.shape.layers == 2:
                continue
            exponents = net.weight_exponents(name)
            arrays[name] = (net.weight(name) * torch.exp2(exponents)).cpu().numpy().astype(np.int8)
            arrays[f"{name}_exp"] = exponents[:, 0].cpu().numpy().astype(np.uint8)
            if name == "upper":
                upper = (net.shape.layers - 2, 3 * net.shape.second)
                arrays[name] = arrays[name].reshape(*upper, net.shape.second)
                arrays["upper_exp"] = arrays["upper_exp"].reshape(upper)
        for name in _TABLES:
            weight = net.low_bias.weight if name == "low_bias" else net.weight(name)
            arrays[name] = entries(weight)
    arrays["join"] = np.full((neural.N_SETS, neural.N_WEIGHTS), 65536, np.int32)
    arrays["join_rate"] = np.array([JOIN_RATE], np.int32)
    return NeuralModel(arrays, base)


def _patches(net: PatchNetwork) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that a network with patches has more."""
    shape = net.transformer.shape
    with torch.no_grad():
        places = entries(net.weight("places")).reshape(patches.LONGEST, 256, shape.width)
        found: dict[str, npt.NDArray[Any]] = {
            patches.PATCHES: np.array(astuple(shape), np.uint16),
            "places": places,
            **net.transformer.arrays(),
        }
        for name in ("enter", "give"):
            found[name], found[f"{name}_exp"] = integers(getattr(net, name).weight)
    return found


def exponents_of(model: NeuralModel) -> dict[str, torch.Tensor]:
    """Return the exponents of a model's products, for `ByteNetwork.exponents`."""
    return {
        name: torch.from_numpy(model.arrays[f"{name}_exp"].astype(np.float32)).reshape(-1, 1)
        for name in _PRODUCTS
        if name in model.arrays
    }


def origins_of(model: NeuralModel) -> dict[str, torch.Tensor]:
    """Return a model's weights, for `ByteNetwork.origins`."""
    weights = _weights(model)
    del weights["low_bias"]
    return weights


def snapped(model: NeuralModel, base: NeuralModel, shift: int) -> NeuralModel:
    """Return the model that differs from `base` as an adapter can say: its tables by int8 multiples
    of 2**shift, its patches in nothing.
    """
    arrays = dict(model.arrays)
    if base.patches is not None:
        # The same numbers, which a file may have with other exponents.
        arrays |= {name: base.arrays[name] for name in patches.SECTIONS}
    for name in _TABLES:
        known = base.arrays[name].astype(np.int32)
        steps = (arrays[name] - known + (1 << shift >> 1)) >> shift
        # Never out of the type either.
        steps = steps.clip(-((known + 32768) >> shift), (32767 - known) >> shift).clip(-127, 127)
        arrays[name] = (known + (steps << shift)).astype(np.int16)
    return NeuralModel(arrays, model.ngram)


def restore(model: NeuralModel, shape: Shape | None = None) -> ByteNetwork | PatchNetwork:
    """Return a network with a model's weights: what `export` made of it, to go on with training.

    It has the patches that the model has. With a larger `shape` it is grown: it predicts the same,
    and what it has more begins by chance
    (Chen, Goodfellow and Shlens, *Net2Net*, 2016).

    Raises
    ------
    ModelError
        When `shape` is smaller than the model's.
    """
    n1, n2 = model.units
    shape = shape or Shape(n1, n2, model.layers)
    if shape.first < n1 or shape.second < n2 or shape.layers < model.layers:
        raise ModelError(
            f"the network to begin with has {model.layers} layers of {n1} and {n2} units, expected "
            f"at most {shape.layers} of {shape.first} and {shape.second}"
        )
    net = _grown(model, shape)
    if model.patches is None:
        return net
    whole = PatchNetwork(net, TransformerShape(*model.patches))
    whole.transformer.load(model.arrays)
    enter, give = (
        weights_of(model.arrays[name], model.arrays[f"{name}_exp"]) for name in ("enter", "give")
    )
    listening = torch.arange(3 * shape.second).view(3, -1)[:, :n2].flatten()
    with torch.no_grad():
        whole.places.weight.copy_(table_of(model.arrays["places"]).flatten(0, 1))
        whole.enter.weight.zero_()[:, :n1] = enter
        whole.give.weight[listening] = give
    return whole


def _grown(model: NeuralModel, shape: Shape) -> ByteNetwork:
    """Return the network below patches, of a `shape` that is no smaller than the model's."""
    n1, n2 = model.units
    net = ByteNetwork(shape)
    first = torch.arange(2 * shape.first).view(2, -1)[:, :n1].flatten()
    # What enters the layers from the second on, and what leaves them.
    entering = torch.arange(3 * shape.second * (shape.layers - 1)).view(-1, 3, shape.second)
    entering = entering[: model.layers - 1, :, :n2].flatten()
    leaving = torch.arange(shape.outs).view(-1, shape.second)[: model.layers - 1, :n2].flatten()
    high = torch.arange(shape.sums - 16, shape.sums)
    outputs = torch.cat([first, 2 * shape.first + entering, high])
    with torch.no_grad():
        # New units are not listened to yet.
        net.inner.weight[:, n1:] = 0
        for name, kept in _weights(model).items():
            weight = getattr(net, name).weight
            if name == "last":
                weight[:, outputs] = kept
            elif name == "second_last":
                weight[:, first] = kept
            elif name == "see":
                weight[outputs] = kept
            elif name == "inner":
                weight[entering[: 3 * n2], :n1] = kept
            elif name == "upper":
                rows = entering[3 * n2 :] - 3 * shape.second
                weight[:, n2:] = 0
                weight[rows, :n2] = kept
            elif name in ("high", "low"):
                weight[:, leaving] = kept
            else:
                weight[:, : kept.shape[1]] = kept
    return net


def _weights(model: NeuralModel) -> dict[str, torch.Tensor]:
    """Return the weights of products and tables but for those of patches."""
    found = {
        name: weights_of(model.arrays[name], model.arrays[f"{name}_exp"]).flatten(0, -2)
        for name in _PRODUCTS
        if name in model.arrays
    }
    return found | {name: table_of(model.arrays[name]) for name in _TABLES}


def train_join(model: NeuralModel, pieces: Sequence[bytes]) -> tuple[NeuralModel, float, float]:
    """Return the model with joining weights learnt over `pieces`, one after the other.

    Returns
    -------
    model : NeuralModel
    mixture, joint : float
        Bits per byte of the pieces with the mixture alone, and as they were coded on the way.
    """
    joint = model.joint()
    alone = together = 0
    for piece in pieces:
        profile = choose_profile(model.ngram, piece)
        together += ngram.cost(model_steps(model, piece, profile, joint))
        alone += ngram.cost(_mixture_steps(model.ngram, piece, profile))
    size = 1024 * max(1, sum(map(len, pieces)))
    arrays = {**model.arrays, "join": joint.weights.reshape(neural.N_SETS, neural.N_WEIGHTS)}
    return NeuralModel(arrays, model.ngram), alone / size, together / size


def _mixture_steps(model: NgramModel, piece: bytes, profile: int) -> npt.NDArray[np.uint32]:
    return mixture_steps(model, piece, profile, thread_scratch())
