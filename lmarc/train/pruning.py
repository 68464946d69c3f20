"""Leave out the units of a byte network that matter least.

What a unit matters is how much the cost would change without it, to first order: the square of its
output times the cost's gradient by it, summed over text (Molchanov et al., arXiv:1906.10771, with
what leaves a unit in the place of a weight). No unit of a layer of gated recurrences feeds another
of its own layer, so one that is left out leaves nothing behind, and products only become smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

import torch

from lmarc.model.neural import multiply_adds
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.feed import Source, first_feed
from lmarc.train.loop import Settings

__all__ = ["keep", "prune", "saliencies"]

BATCHES: Final = 12
STEP: Final = 16  # units: layers are multiples of it


def prune(
    net: ByteNetwork,
    share: float,
    source: Source,
    texts: Mapping[str, bytes],
    settings: Settings,
    others: Mapping[str, Source] | None = None,
) -> ByteNetwork:
    """Return a network with `share` of the multiply-adds less, or a little more than that.

    Parameters
    ----------
    net : ByteNetwork
    share : float
        0 to 1, without both.
    source, texts, settings, others
        As for `loop.train_network`: what tells which units matter.
    """
    first, second = saliencies(net, source, texts, settings, others)
    return keep(net, *_chosen(net.shape, share, first, second))


def saliencies(
    net: ByteNetwork,
    source: Source,
    texts: Mapping[str, bytes],
    settings: Settings,
    others: Mapping[str, Source] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how much each unit matters, of the first layer and of all others together: float32,
    (units,) each.
    """
    shape = net.shape
    totals = torch.zeros(shape.first), torch.zeros(shape.second)
    hidden = net.initial(settings.rows)
    with ThreadPoolExecutor(1, "feed") as executor:
        feed = first_feed(executor, source, texts, settings, others)
        for batch in islice(feed, BATCHES):
            before, text, freqs, fresh = map(torch.from_numpy, batch[:4])
            hidden = hidden.fresh(fresh)
            rows = text.shape[0]
            net.masks = (
                torch.ones(rows, 1, shape.first, requires_grad=True),
                torch.ones(rows, 1, shape.second, requires_grad=True),
            )
            costs, hidden = net.cost(before, text, freqs, hidden)
            for total, grad in zip(
                totals, torch.autograd.grad(costs.sum(), net.masks), strict=True
            ):
                total += grad[:, 0].square().sum(0)
    net.masks = None
    return totals


def _chosen(
    shape: Shape, share: float, first: torch.Tensor, second: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the units to keep: of all shapes that are small enough, those that matter most."""
    most = (1 - share) * multiply_adds(shape.first, shape.second, shape.layers)
    orders = first.argsort(descending=True), second.argsort(descending=True)
    sums = first[orders[0]].cumsum(0), second[orders[1]].cumsum(0)
    best, kept = -1.0, Shape(STEP, STEP)
    for n1 in range(STEP, shape.first + 1, STEP):
        for n2 in range(STEP, shape.second + 1, STEP):
            if multiply_adds(n1, n2, shape.layers) <= most:
                left = float(sums[0][n1 - 1] + sums[1][n2 - 1])
                if left > best:
                    best, kept = left, Shape(n1, n2, shape.layers)
    return orders[0][: kept.first].sort().values, orders[1][: kept.second].sort().values


def keep(net: ByteNetwork, first: torch.Tensor, second: torch.Tensor) -> ByteNetwork:
    """Return the network of some units: int64 tensors of their numbers in the first layer, and in
    every other one.
    """
    n1, n2, layers = net.shape.first, net.shape.second, net.shape.layers
    small = ByteNetwork(Shape(len(first), len(second), layers))
    keeps = torch.cat([first, first + n1])
    # What enters the layers from the second on, and what leaves them.
    entering = (
        3 * n2 * torch.arange(layers - 1)[:, None, None] + n2 * torch.arange(3)[:, None]
    ) + second
    leaving = (n2 * torch.arange(layers - 1)[:, None] + second).flatten()
    inner, upper = entering[0].flatten(), (entering[1:] - 3 * n2).flatten()
    high = torch.arange(net.shape.sums - 16, net.shape.sums)
    outputs = torch.cat([keeps, 2 * n1 + entering.flatten(), high])
    with torch.no_grad():
        small.last.weight.copy_(net.last.weight[:, outputs])
        small.second_last.weight.copy_(net.second_last.weight[:, keeps])
        small.see.weight.copy_(net.see.weight[outputs])
        small.inner.weight.copy_(net.inner.weight[inner][:, first])
        if layers > 2:
            small.upper.weight.copy_(net.upper.weight[upper][:, second])
        for name in ("high", "low"):
            getattr(small, name).weight.copy_(getattr(net, name).weight[:, leaving])
        for name in ("see_low", "low_bias"):
            getattr(small, name).weight.copy_(getattr(net, name).weight)
    return small
