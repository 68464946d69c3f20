"""What network and blend save of the n-gram codec's bytes, and what their time goes to.

The three codecs code the same chunks; each chunk is decoded and compared. Times are of processor
time. The network's parts run by themselves, on numbers that do not matter, for as many bytes; what
is left of the whole is the blend, or joining and learning how to join, and the profile's choice.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmarc.cli import options as units
from lmarc.codec import multiscale, neural, ngram
from lmarc.codec.base import TOGETHER, CodecNumber, ModelKind
from lmarc.model import registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import thread_scratch
from tools.benchmarks import _network, _page
from tools.benchmarks._measure import alternate, describe_machine, format_table
from tools.benchmarks._ratios import domain_of, geometric_mean
from tools.benchmarks.profile import Timed
from tools.benchmarks.ratio import Task, find_texts, name_of

BLOCK = 16 << 10  # bytes that the parts run for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="a folder with texts")
    parser.add_argument(
        "--chunk", type=units.size, default=64 << 10, metavar="SIZE", help="chunk size (64K)"
    )
    parser.add_argument(
        "--count", type=int, default=4, help="chunks of each text, evenly spaced (%(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="runs of each part (%(default)s)")
    parser.add_argument(
        "--model", help="the multi-scale model, of a network (the one that comes with lmarc)"
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="FILE",
        help="another multi-scale model to compare, over n-grams alone or another network",
    )
    _page.add_page_option(parser)


@dataclass
class Text:
    """What became of a text."""

    name: str
    domain: str
    size: int = 0  # bytes
    ngram: int = 0  # bytes of payloads
    neural: int = 0
    blended: int = 0
    left: int = 0  # chunks that go without network and blend

    @property
    def network_share(self) -> float:
        """Bytes with the network for each byte without."""
        return self.neural / self.ngram

    @property
    def share(self) -> float:
        """Bytes with the blend for each byte of the n-gram codec."""
        return self.blended / self.ngram


@dataclass
class Speeds:
    """Seconds of processor time for the bytes of all texts."""

    size: int = 0
    coding: float = 0.0
    decoding: float = 0.0


def measure_text(model: MultiscaleModel, network: NeuralModel, task: Task, speeds: Speeds) -> Text:
    """Code the chunks of a text with all three codecs."""
    found = Text(task.name, domain_of(task.path.name))
    chunks = list(task.chunks())
    payloads = []
    start = time.thread_time()
    coded = [multiscale.compress_either(model, chunk) for chunk in chunks]
    speeds.coding += time.thread_time() - start
    for chunk, (number, payload) in zip(chunks, coded, strict=True):
        found.size += len(chunk)
        found.blended += len(payload)
        found.neural += len(neural.compress_either(network, chunk)[1])
        found.ngram += len(ngram.compress_with(model.ngram, chunk))
        if number == CodecNumber.MULTISCALE:
            payloads.append((payload, len(chunk)))
        elif ngram.decompress_with(model.ngram, payload, len(chunk)) != chunk:
            raise SystemExit(f"a chunk of {task.name} does not decode to what was coded")
    found.left = len(chunks) - len(payloads)
    wanted = [
        c for c, (number, _) in zip(chunks, coded, strict=True) if number == CodecNumber.MULTISCALE
    ]
    start = time.thread_time()
    contents = multiscale.decompress_together(model, payloads)
    speeds.decoding += time.thread_time() - start
    if contents != wanted:
        raise SystemExit(f"a chunk of {task.name} does not decode to what was coded")
    speeds.size += found.size
    return found


def text_table(texts: Sequence[Text]) -> str:
    """Every text, and the means."""
    rows = [
        [
            text.name,
            text.domain,
            f"{8 * text.ngram / text.size:.3f}",
            f"{8 * text.neural / text.size:.3f}",
            f"{8 * text.blended / text.size:.3f}",
            f"{text.network_share:.3f}",
            f"{text.share:.3f}",
            str(text.left or ""),
        ]
        for text in texts
    ]
    means = [
        f"**{geometric_mean(share):.3f}**"
        for share in ([t.network_share for t in texts], [t.share for t in texts])
    ]
    rows.append(["**all**, geometric mean", "", "", "", "", *means, ""])
    return format_table(
        [
            "text", "domain", "n-gram, bits/byte", "network", "blend", "network's share",
            "blend's share", "chunks without",
        ],
        rows,
    )  # fmt: skip


def domain_table(texts: Sequence[Text]) -> str:
    """Every domain: the geometric mean of its texts' shares."""
    domains = list(dict.fromkeys(text.domain for text in texts))
    rows = [
        [
            domain,
            f"{geometric_mean(t.network_share for t in texts if t.domain == domain):.3f}",
            f"{geometric_mean(t.share for t in texts if t.domain == domain):.3f}",
        ]
        for domain in domains
    ]
    return format_table(["domain", "network's share", "blend's share"], rows)


def without_head(model: MultiscaleModel) -> MultiscaleModel:
    """Return a blend whose head never learns, so that it says nothing."""
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    arrays["head_rates"][:, 0] = 0
    return MultiscaleModel(arrays, model.neural or model.ngram, model.lanes)


def variants_table(
    models: Mapping[str, MultiscaleModel | NeuralModel], tasks: Sequence[Task]
) -> str:
    """Return each model's share of the n-gram codec's payloads, and its time beside the first's."""
    shares: dict[str, list[float]] = {name: [] for name in models}
    seconds = dict.fromkeys(models, 0.0)
    for task in tasks:
        chunks = list(task.chunks())
        base = 0
        coded = dict.fromkeys(models, 0)
        for chunk in chunks:
            for name, model in models.items():
                coder = neural if isinstance(model, NeuralModel) else multiscale
                start = time.thread_time()
                coded[name] += len(coder.compress_with(model, chunk))
                seconds[name] += time.thread_time() - start
            base += len(ngram.compress_with(next(iter(models.values())).ngram, chunk))
        for name, size in coded.items():
            shares[name].append(size / base)
    first = next(iter(seconds.values()))
    rows = [
        [name, f"{geometric_mean(found):.3f}", f"{max(found):.3f}", f"{seconds[name] / first:.2f}"]
        for name, found in shares.items()
    ]
    return format_table(["model", "share", "worst text", "time of coding"], rows)


def profile(blend: MultiscaleModel, model: NeuralModel, chunk: bytes, repeats: int) -> str:
    """Return the table of parts of the step."""
    chunk = chunk[:BLOCK]
    choice = ngram.choose_profile(model.ngram, chunk)
    payload = multiscale.compress_with(blend, chunk)
    freqs = np.full(16, 4096, np.int32)
    size, rows = len(chunk), neural.ALONG
    along, together = model.hidden(rows), model.hidden(TOGETHER)
    n1, n2 = model.units
    sizes = [(len(model.arrays["see"]), 16), (3 * n2, n1), *[(3 * n2, n2)] * (model.layers - 2)]
    products = [_network.Products(outputs, inputs, rows) for outputs, inputs in sizes]
    processor, rounds = _network.Peak(), 64 * size

    def large(_: int) -> None:
        for product in products:
            product.run(size // rows)

    actions: dict[str, Callable[[int], object]] = {
        "mixture": lambda _: ngram.model_steps(model.ngram, chunk, choice, thread_scratch()),
        "network": lambda _: _network.walk(model.network, along, rows, 1, size // rows, freqs),
        "network, four chunks": lambda _: _network.walk(
            model.network, together, TOGETHER, 0, size // TOGETHER, freqs
        ),
        "products": large,
        "peak": lambda _: processor.run(rounds),
        "neural": lambda _: neural.model_steps(model, chunk, choice, model.joint()),
        "step": lambda _: multiscale.model_steps(blend, chunk, choice),
        "coding": lambda _: multiscale.compress_with(blend, chunk),
        "decoding": lambda _: multiscale.decompress_with(blend, payload, size),
        "decoding, four chunks": lambda _: multiscale.decompress_together(
            blend, [(payload, size)] * TOGETHER
        ),
    }
    timed = {name: Timed(action, 1) for name, action in actions.items()}
    alternate(repeats + 1, *timed.values())
    taken = {name: one.nanoseconds(size) for name, one in timed.items()}
    taken["decoding, four chunks"] /= TOGETHER
    other = taken["step"] - taken["mixture"] - taken["network"]
    lines: list[tuple[str, float]] = [
        ("products of the network", taken["products"]),
        ("the rest of the network", taken["network"] - taken["products"]),
        ("the n-gram mixture", taken["mixture"]),
        ("the blend, and what it learns", other),
        ("**the step, coding**", taken["step"]),
        ("rANS and choosing a profile", taken["coding"] - taken["step"]),
        ("**compressing**", taken["coding"]),
        ("**decompressing**, a chunk alone", taken["decoding"]),
        ("**decompressing**, four chunks together", taken["decoding, four chunks"]),
        ("the network, four chunks together", taken["network, four chunks"]),
        ("the step of codec `neural`, coding", taken["neural"]),
    ]
    count = _network.multiply_adds(model)
    speed = count / taken["products"]
    peak = processor.per_round * rounds / (taken["peak"] * size)
    text = (
        f"The large products take {count:,} multiply-adds a byte, {speed:.1f} a nanosecond: "
        f"{speed / peak:.0%} of the {peak:.1f} that the processor does on numbers that stay in its "
        "registers."
    )
    table = format_table(
        ["part", "ns a byte", "of compressing"],
        [[name, f"{ns:.0f}", f"{ns / taken['coding']:.0%}"] for name, ns in lines],
    )
    return f"{table}\n\n{text}"


def run(options: argparse.Namespace) -> int:
    """Measure every text, then the parts of the step."""
    machine = describe_machine("numpy", "numba", "llvmlite")
    located = registry.locate("multiscale", ModelKind.MULTISCALE, options.model)
    model = registry.multiscale_model(located.sha256, path=located.path)
    network = model.neural
    if network is None:
        raise SystemExit(f"{options.model} has no network below")
    paths = find_texts(options.data, None)
    names = [path.name for path in paths]
    speeds = Speeds()
    multiscale.compress_either(model, b"kernels are loaded before anything is timed" * 9)
    texts = []
    for path in paths:
        name = name_of(path, names, options.data)
        task = Task(path, name, options.chunk, options.count, options.count * options.chunk)
        texts.append(measure_text(model, network, task, speeds))
    texts.sort(key=lambda text: (text.domain, text.name))
    worst = max(texts, key=lambda text: text.share)
    first = paths[0].read_bytes()[: options.chunk]
    n1, n2 = model.units
    layers = f" in {network.layers} layers" if network.layers > 2 else ""
    what = (
        f"{len(texts)} texts, {speeds.size / 1e6:.1f} MB in chunks of {options.chunk >> 10} KiB, "
        f"up to {options.count} of a text. Network of {n1}x{n2} units{layers}; the "
        f"blend's file has {located.size:,} bytes. "
        f"Worst text: {worst.name}, {worst.share:.3f}. One core: coding "
        f"{speeds.size / 1e6 / speeds.coding:.2f} MB/s, decoding "
        f"{speeds.size / 1e6 / speeds.decoding:.2f} MB/s."
    )
    variants: dict[str, MultiscaleModel | NeuralModel] = {
        "the network, codec `neural`": network,
        "the blend": model,
        "the blend without the layer that learns": without_head(model),
    }
    for other in options.also:
        found = registry.locate("multiscale", ModelKind.MULTISCALE, other)
        variants[Path(other).stem] = registry.multiscale_model(found.sha256, path=found.path)
    tasks = [
        Task(path, name_of(path, names, options.data), options.chunk, 1, options.chunk)
        for path in paths
    ]
    parts = [
        machine,
        what,
        domain_table(texts),
        "One chunk of each text by each part of it, whatever another would make smaller:",
        variants_table(variants, tasks),
        text_table(texts),
        "### Its time",
        profile(model, network, first, options.repeats),
    ]
    _page.publish(options.page, "network", "\n\n".join(parts))
    return 0
