"""Round a trained byte network to four bits where that costs least.

A weight becomes -7 to 7 times a power of two that it shares with few neighbours. What rounding it
costs is known to second order: the square of the error, times the mean square of what it is
multiplied by, times that of the cost's gradient by the sum that it enters (the diagonal of the
empirical Fisher information; Hassibi and Stork, *Second order derivatives for network pruning*,
1993). A file is compressed, so a choice costs what its own bits take there too, as in Wiedemann et
al., *DeepCABAC*, arXiv:1907.11900. What rounding a weight adds to its sum is taken off again by the
weights of its row that are still to be rounded (Frantar et al., *GPTQ*, arXiv:2210.17323).

The grid is one of int8 weights with an exponent for each output, or of int16 table entries, so
kernels and files know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import torch

from lmarc.train.byte_network import ByteNetwork
from lmarc.train.feed import Source, first_feed
from lmarc.train.grid import TABLE_GRID, dyadic
from lmarc.train.loop import Settings

__all__ = ["Sensed", "round_to_four_bits", "sense"]

TEXT: Final = 1 << 20  # bytes over which a network is seen at most
LARGEST: Final = 7  # multiple of a unit
GROUP: Final = 2  # neighbours in a row, or bytes of a table, that share a power of two
POWERS: Final = 5  # of two that a unit can be of the row's
TABLE_POWERS: Final = 7  # and of TABLE_STEP
SHARE: Final = 0.52  # of what the values of eight bits tell: the file of those has some more
TRIES: Final = 9  # at what a bit is worth
DAMPING: Final = 0.01  # of the moments, by their mean
RARE: Final = 1e-7  # share of text that every byte has at least
TABLES: Final = ("last", "second_last")
ROUNDS: Final = 2  # choosing values changes what they take in the file, and so the choice
THIN: Final = 8  # of so many rows one tells what a price brings
# Two to minus these is where the price of a bit is looked for first, times the mean of what weights
# would cost if they were zero: where some three bits a weight are left; and how far around it.
MIDDLE, RANGE = 7, 8.0

# What bits some stored integers take, each: float32, of their shape.
Bits = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Sensed:
    """What a network was seen to do over text.

    Attributes
    ----------
    moments : dict of str to float32 tensor
        Means of the products of a product's inputs with each other, (inputs, inputs).
    gradients : dict of str to float32 tensor
        What squares of errors in its sums cost, (outputs,): mean squares of the cost's gradient,
        but halfway in ratio between those and their mean.
    last, second_last : float32 tensor, (256,)
        How often each byte is the one before, and the one before that.
    count : int
        Bytes of text.
    """

    moments: dict[str, torch.Tensor] = field(default_factory=dict)
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)
    last: torch.Tensor = field(default_factory=lambda: torch.zeros(256))
    second_last: torch.Tensor = field(default_factory=lambda: torch.zeros(256))
    count: int = 0
    _waiting: dict[str, torch.Tensor] = field(default_factory=dict)

    def tap(self, name: str, inputs: torch.Tensor, sums: torch.Tensor) -> None:
        """Take in what enters some sums, and keep these for their gradient."""
        self._waiting[name] = sums
        if name != "high":  # the same as what enters low
            flat = inputs.detach().reshape(-1, inputs.shape[2])
            self.moments[name] = self.moments.get(name, 0) + flat.T @ flat

    def take(self, costs: torch.Tensor) -> None:
        """Take in the gradients of what a batch costs by the sums that it had."""
        found = torch.autograd.grad(costs.sum(), list(self._waiting.values()))
        for name, gradient in zip(self._waiting, found, strict=True):
            squares = gradient.reshape(-1, gradient.shape[2]).square().sum(0)
            self.gradients[name] = self.gradients.get(name, 0) + squares
        self._waiting.clear()

    def finish(self) -> None:
        """Turn sums into means."""
        for name, sums in self.moments.items():
            self.moments[name] = sums / self.count
        for name, sums in self.gradients.items():
            # Roots, to scale: squares make too much of the outputs that matter most.
            roots, mean = sums.sqrt(), sums.mean() / self.count
            self.gradients[name] = roots * (mean / roots.mean().clamp_min(1e-30))
        self.last, self.second_last = self.last / self.count, self.second_last / self.count


def sense(
    net: ByteNetwork,
    source: Source,
    texts: Mapping[str, bytes],
    settings: Settings,
    others: Mapping[str, Source] | None = None,
) -> Sensed:
    """Return what a network, on the processor, does over some of the text that it is trained on.

    What is given is what `loop.train_network` gets.
    """
    found = Sensed()
    hidden = net.initial(settings.rows)
    size = min(TEXT, sum(map(len, texts.values())))
    ignored, net.tap = net.tap, found.tap
    with ThreadPoolExecutor(1, "feed") as executor:
        feed = first_feed(executor, source, texts, settings, others)
        for batch in islice(feed, max(1, size // (settings.rows * settings.steps))):
            before, text, freqs, fresh = map(torch.from_numpy, batch[:4])
            costs, hidden = net.cost(before, text, freqs, hidden.fresh(fresh))
            found.take(costs)
            found.last += torch.bincount(before[:, :, 0].flatten(), minlength=256)
            found.second_last += torch.bincount(before[:, :, 1].flatten(), minlength=256)
            found.count += text.numel()
    net.tap = ignored
    found.finish()
    return found


class _Array(NamedTuple):
    """What is to be rounded."""

    name: str
    # (rows, columns): in units of its rows, or of the table
    weight: torch.Tensor
    # (rows, 1), and (rows, columns): what the square of an error costs is their product
    scale: torch.Tensor
    squares: torch.Tensor
    # how many powers of two the unit can be multiplied by
    powers: int
    # for equal parts of a product's rows, moments of what they are multiplied by
    moments: list[torch.Tensor]
    # bits of its values with eight bits
    whole: float


def round_to_four_bits(net: ByteNetwork, found: Sensed) -> None:
    """Round a network's weights, so that its file has half the size; their exponents stay then.

    The weights of what is seen of the mixture, and of the high nibble, are few and matter most:
    they stay as they are.
    """
    with torch.no_grad():
        arrays = [*_products(net, found), *_tables(net, found)]
        kept = sum(_size(_steps(net, name)) for name in ("see", "high"))
        price = _price(arrays, SHARE * (sum(array.whole for array in arrays) + kept) - kept)
        for array in arrays:
            bits = _settled(array, price)
            powers = _powers(array, bits, price)
            steps = _spread(array, powers, bits, price)
            weight = getattr(net, array.name).weight
            if array.name in TABLES:
                weight.copy_(steps.T * TABLE_GRID.unit)
            else:
                net.exponents[array.name] = exponents = _fine_exponents(weight)
                weight.copy_(steps * torch.exp2(-exponents))


def _products(net: ByteNetwork, found: Sensed) -> Iterator[_Array]:
    uppers = [f"upper {layer}" for layer in range(net.shape.layers - 2)]
    for name, parts in {"inner": ["inner"], "upper": uppers, "low": ["low"]}.items():
        if parts:
            weight = getattr(net, name).weight
            unit = torch.exp2(-_fine_exponents(weight))
            moments = [found.moments[part] for part in parts]
            scale = torch.cat([found.gradients[part] for part in parts])[:, None] * unit.square()
            squares = torch.stack([part.diagonal() for part in moments])
            squares = squares.repeat_interleave(len(weight) // len(parts), 0)
            whole = _size(_steps(net, name))
            yield _Array(name, weight / unit, scale, squares, POWERS, moments, whole)


def _tables(net: ByteNetwork, found: Sensed) -> Iterator[_Array]:
    layers = ["first", "inner", *(f"upper {layer}" for layer in range(net.shape.layers - 2))]
    gradients = torch.cat([found.gradients[name] for name in (*layers, "high")])[:, None]
    for name, shares in zip(TABLES, (found.last, found.second_last), strict=True):
        weight = getattr(net, name).weight.T
        scale = gradients[: len(weight)] * TABLE_GRID.unit**2
        squares = shares.clamp_min(RARE).expand_as(weight)
        whole = _size(net.weight(name) / TABLE_GRID.unit)
        yield _Array(name, weight / TABLE_GRID.unit, scale, squares, TABLE_POWERS, [], whole)


def _fine_exponents(weight: torch.Tensor) -> torch.Tensor:
    """Return exponents with which the largest weight of a row is LARGEST times its largest unit."""
    return dyadic(weight, LARGEST << POWERS - 1)


def _steps(net: ByteNetwork, name: str) -> torch.Tensor:
    """Return the integers of a product with eight bits."""
    return net.weight(name) * torch.exp2(net.weight_exponents(name))


def _price(arrays: list[_Array], room: float) -> float:
    """Return the price of a bit at which values take about `room` bits.

    It is looked for in some of the rows, between two prices that come closer with each try.
    """
    errors = sum(
        float((array.scale * array.squares * array.weight.square()).sum()) for array in arrays
    )
    mean = errors / sum(array.weight.numel() for array in arrays)
    middle, step = math.log2(mean + 1e-30) - MIDDLE, RANGE
    for _ in range(TRIES):
        step /= 2
        total = 0.0
        for array in arrays:
            few = array._replace(
                weight=array.weight[::THIN],
                scale=array.scale[::THIN],
                squares=array.squares[::THIN],
            )
            bits = _settled(few, 2.0**middle)
            steps = _choice(few, _powers(few, bits, 2.0**middle), bits, 2.0**middle)
            total += _size(steps) * len(array.weight) / len(few.weight)
        middle += step if total > room else -step
    return float(2.0**middle)


def _settled(array: _Array, price: float) -> Bits:
    """Return what values take where they are chosen by what they take."""
    bits: Bits = torch.zeros_like
    for _ in range(ROUNDS):
        bits = _bits(_choice(array, _powers(array, bits, price), bits, price))
    return bits


def _powers(array: _Array, bits: Bits, price: float) -> torch.Tensor:
    """Return for each weight the power of two with which its group costs least."""
    rows, columns = array.weight.shape
    found = []
    for power in range(array.powers):
        powers = torch.full_like(array.weight, 2.0**power)
        steps = _choice(array, powers, bits, price)
        total = array.scale * array.squares * (array.weight - steps).square() + price * bits(steps)
        total = torch.nn.functional.pad(total, (0, -columns % GROUP))
        found.append(total.view(rows, -1, GROUP).sum(2))
    best = torch.exp2(torch.stack(found).argmin(0).float())
    return best.repeat_interleave(GROUP, 1)[:, :columns]


def _choice(array: _Array, powers: torch.Tensor, bits: Bits, price: float) -> torch.Tensor:
    """Return the multiples of `powers` that cost least: the nearest, the one below it, or zero."""
    weight = array.weight
    nearest = torch.floor(weight / powers + 0.5).clamp(-LARGEST, LARGEST)
    steps = torch.stack([nearest, nearest - nearest.sign(), torch.zeros_like(nearest)]) * powers
    total = array.scale * array.squares * (weight - steps).square() + price * bits(steps)
    return steps.gather(0, total.argmin(0, keepdim=True))[0]


def _spread(array: _Array, powers: torch.Tensor, bits: Bits, price: float) -> torch.Tensor:
    """Return integers, of a product each chosen when those before it have left their errors.

    Of a table's columns a byte takes one, so its errors stay where they are.
    """
    if not array.moments:
        return _choice(array, powers, bits, price)
    parts = (part.chunk(len(array.moments)) for part in (array.weight, array.scale, powers))
    rounded = []
    for moments, weight, scale, own in zip(array.moments, *parts, strict=True):
        order = moments.diagonal().argsort(descending=True)
        damping = DAMPING * float(moments.diagonal().mean()) + 1e-9
        damped = moments.double()[order][:, order] + damping * torch.eye(len(moments)).double()
        inverse = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True).float()
        left, own, steps = weight[:, order], own[:, order], torch.empty_like(weight)
        for column, row in enumerate(inverse):
            here, after = slice(column, column + 1), slice(column + 1, None)
            one = array._replace(
                weight=left[:, here], scale=scale, squares=row[here].square().reciprocal()
            )
            steps[:, here] = _choice(one, own[:, here], bits, price)
            left[:, after] -= (left[:, here] - steps[:, here]) / row[here] * row[after]
        rounded.append(steps[:, order.argsort()])
    return torch.cat(rounded)


def _bits(steps: torch.Tensor) -> Bits:
    """Return what integers take by how often they stand in `steps`, 14 bits at most."""
    most = int(steps.abs().max())
    counts = torch.bincount((steps.flatten() + most).long(), minlength=2 * most + 1).float()
    sizes = -torch.log2((counts + 0.3) / (counts.sum() + 0.3 * len(counts))).clamp_min(-14)
    return lambda values: sizes[(values + most).clamp(0, 2 * most).long()]


def _size(steps: torch.Tensor) -> float:
    """Return the bits that integers take in all, each by how often it stands there."""
    return float(_bits(steps)(steps).sum())
