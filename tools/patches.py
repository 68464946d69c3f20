"""Give a network a Transformer over patches, and say what it brings.

    python tools/patches.py CORPUS... [--init MODEL] [--text 24M] [--only ARM,...] [--work DIR]

The patches are those of `lmarc train neural --patches`. Every arm begins with the same network and
learns from the same batches in the same order at the same rates, in the loop of the n-gram mixture:
the network as it comes, which learns nothing; alone; with patches; with patches while its own
weights stay; and, as a control, with more units that cost what the patches do. The tables have bits
per byte of 64 KiB chunks of text that was held out, as floats have them, in all, by domain, by a
byte's place in its patch and in its chunk; multiply-adds a byte; and seconds of processor time. An
arm that is in --work already is not trained again, and one that was stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmarc.cli import course
from lmarc.cli import options as units
from lmarc.model import registry
from lmarc.model.neural import NeuralModel, multiply_adds
from lmarc.model.transformer import Sizes
from lmarc.train import loop
from lmarc.train.beneath import initial_model
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.data import documents, gather
from lmarc.train.export import restore
from lmarc.train.feed import CHUNK, ByteSource
from lmarc.train.loop import CHECKPOINT, Settings, train_network
from lmarc.train.patch_network import Cut, PatchNetwork, cut
from lmarc.train.transformer import TransformerShape

Array = npt.NDArray[Any]

ARMS: Final = ("shipped", "alone", "patches", "frozen", "units")
HEAD: Final = (
    "network", "MB of text", "bits a byte", "share", "multiply-adds a byte", "parameters",
    "seconds",
)  # fmt: skip
CHUNKS: Final = 4  # of each domain, held out
TOGETHER: Final = 8  # chunks
STEPS: Final = 512
PARTS_KIB: Final = (1, 4, 16)  # a chunk is looked at in parts that begin there


@dataclass(frozen=True)
class HeldOut:
    """Chunks of text that was held out, in turn those of each domain."""

    domains: list[str]
    chunks: list[bytes]

    @classmethod
    def of(cls, texts: Mapping[str, bytes]) -> "HeldOut":
        """Take some chunks of each domain, evenly spaced; one that is short has one."""
        domains, chunks = [], []
        for domain, text in sorted(texts.items()):
            count = max(1, min(CHUNKS, len(text) // CHUNK))
            for number in range(count):
                start = len(text) // count * number
                domains.append(domain)
                chunks.append(text[start : start + CHUNK])
        return cls(domains, chunks)

    def mean_patch(self) -> float:
        """Return how many bytes a patch has."""
        ended = sum(int(cut_of(chunk).counts.sum()) for chunk in self.chunks)
        return sum(map(len, self.chunks)) / max(1, ended)


def befores(text: torch.Tensor) -> torch.Tensor:
    """Return the two bytes before each of `text`, int64 (B, T), from a chunk's start: (B, T, 2)."""
    padded = nn.functional.pad(text, (2, 0))
    return torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)


def cut_of(chunk: bytes) -> Cut:
    """Return the patches of a chunk."""
    text = torch.tensor(list(chunk))[None]
    return cut(befores(text), torch.zeros(1, dtype=torch.int64))


def costs_of(net: Any, source: ByteSource, chunks: Sequence[bytes]) -> list[Array]:
    """Return what each byte of each chunk costs, in bits: float32."""
    found: list[Array] = []
    for start in range(0, len(chunks), TOGETHER):
        part = chunks[start : start + TOGETHER]
        length = -(-max(map(len, part)) // STEPS) * STEPS
        text = torch.zeros(len(part), length, dtype=torch.int64)
        freqs = torch.full((len(part), length, 2, 16), 4096.0)
        for row, chunk in enumerate(part):
            text[row, : len(chunk)] = torch.tensor(list(chunk))
            freqs[row, : len(chunk)] = torch.from_numpy(source.freqs(chunk).astype(np.float32))
        before, hidden, costs = befores(text), net.initial(len(part)), []
        with torch.no_grad():
            for at in range(0, length, STEPS):
                here = slice(at, at + STEPS)
                cost, hidden = net.cost(before[:, here], text[:, here], freqs[:, here], hidden)
                costs.append(cost)
        whole = torch.cat(costs, 1).numpy()
        found.extend(whole[row, : len(chunk)] for row, chunk in enumerate(part))
    return found


class Tool:
    """What all arms share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        corpus = gather(documents(options.paths), options.max_text)
        self.texts = corpus.part("mixture")
        self.held_out = HeldOut.of(corpus.part("held out"))
        self.base = registry.ngram_model(registry.shipped("ngram"))
        model = initial_model(options.init, self.base)
        assert model is not None
        if model.patches is not None:
            raise SystemExit(f"{options.init} has patches, expected a network without")
        self.model = model
        self.mean = self.held_out.mean_patch()

    def network(self, kind: str) -> Any:
        """Return where an arm begins."""
        torch.manual_seed(1)
        model = self.model
        if kind in ("shipped", "alone"):
            return restore(model)
        sizes = Sizes(*self.options.shape)
        if kind == "units":
            return restore(model, grown(model, multiply_adds(*model.units, model.layers, sizes)))
        below = restore(model)
        assert isinstance(below, ByteNetwork)
        net = PatchNetwork(below, TransformerShape(*sizes))
        if kind == "frozen":
            net.below.requires_grad_(False)
        return net

    def row(self, arm: str) -> dict[str, Any]:
        """Train an arm, if it has not been; return what came of it."""
        kind, _, text = arm.partition(":")
        folder = self.options.work / arm
        if (folder / "row.json").exists():
            return dict(json.loads((folder / "row.json").read_text()))
        net, source = self.network(kind), ByteSource(self.base)
        patched = isinstance(net, PatchNetwork)
        shape = (net.below if patched else net).shape
        name = "with patches" if patched else f"{shape.first}x{shape.second}"
        sizes = Sizes(*self.options.shape) if patched else None
        products = multiply_adds(shape.first, shape.second, shape.layers, sizes)
        settings = Settings(
            minutes=1e9,
            text=units.size(text) if text else self.options.text,
            rows=self.options.rows,
            rate=self.options.rate,
        )
        began, seen, known = time.process_time(), 0, bytes_of(folder / CHECKPOINT)
        if kind != "shipped":
            net = train_network(net, source, self.texts, settings, folder, resume=known > 0)
            seen = bytes_of(folder / CHECKPOINT)
        seconds = (time.process_time() - began) * seen / max(1, seen - known)
        costs = np.concatenate(costs_of(net.eval(), source, self.held_out.chunks))
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "costs.npy", costs)
        torch.save(net.state_dict(), folder / "average.pt")
        row = {
            "network": f"{kind} ({name})",
            "MB of text": round(seen / 1e6, 1),
            "bits a byte": float(costs.mean()),
            "multiply-adds a byte": products,
            "parameters": sum(part.numel() for part in net.parameters()),
            "seconds": round(seconds),
        }
        (folder / "row.json").write_text(json.dumps(row) + "\n")
        return row

    def near(self, arm: str, sees: int) -> float:
        """Return bits per byte where the Transformer of an arm sees only its last patches."""
        net = self.network(arm.partition(":")[0])
        net.load_state_dict(torch.load(self.options.work / arm / "average.pt", weights_only=True))
        net.eval().transformer.sees = sees
        costs = costs_of(net, ByteSource(self.base), self.held_out.chunks)
        return float(np.concatenate(costs).mean())

    def costs(self, arm: str) -> Array:
        """Return what each held-out byte costs with an arm, in bits: float32."""
        return np.asarray(np.load(self.options.work / arm / "costs.npy"))


def bytes_of(checkpoint: Path) -> int:
    """Return how much text a training has seen."""
    if not checkpoint.exists():
        return 0
    return int(torch.load(checkpoint, weights_only=True)["bytes"])


def grown(model: NeuralModel, products: int) -> Shape:
    """Return units of about as many multiply-adds as `products`, in the model's proportion."""
    first, second = model.units
    shapes = [
        Shape(n1, n2, model.layers)
        for n1 in range(first, 4096, 16)
        for n2 in (round(n1 * second / first / 16) * 16,)
    ]

    def far(shape: Shape) -> int:
        return abs(multiply_adds(shape.first, shape.second, shape.layers) - products)

    return min(shapes, key=far)


def report(tool: Tool, arms: Sequence[str]) -> None:
    """Print what the arms make of text that was held out."""
    rows = [tool.row(arm) for arm in arms]
    first = rows[0]["bits a byte"]
    for row in rows:
        row["share"] = f"{row['bits a byte'] / first:.4f}"
        row["bits a byte"] = f"{row['bits a byte']:.4f}"
    print(f"a patch has {tool.mean:.2f} bytes")
    table(HEAD, [[row[name] for name in HEAD] for row in rows])
    held_out = tool.held_out
    sizes = [len(chunk) for chunk in held_out.chunks]
    positions = np.concatenate([np.arange(size) for size in sizes])
    groups = np.searchsorted([kib << 10 for kib in PARTS_KIB], positions, "right")
    ways = {
        "domain": np.repeat(held_out.domains, sizes),
        "byte of a patch": np.concatenate([_places(chunk) for chunk in held_out.chunks]) + 1,
        "from KiB of the chunk": np.array([0, *PARTS_KIB])[groups],
    }
    last = rows[-1]["network"]
    near = [(sees, tool.near(arms[-1], sees)) for sees in tool.options.sees]
    if near:
        lines = [[sees, f"{bits:.4f}", f"{bits / first:.4f}"] for sees, bits in near]
        table([f"patches seen, {last}", "bits a byte", "share"], lines)
    costs = [tool.costs(arm) for arm in arms]
    for way, labels in ways.items():
        lines = []
        for label in np.unique(labels):
            here = labels == label
            means = [float(cost[here].mean()) for cost in costs]
            shares = (f"{mean / means[0]:.4f}" for mean in means[1:])
            lines.append([label, f"{means[0]:.4f}", *shares])
        table([way, f"bits a byte, {arms[0]}", *arms[1:]], lines)


def _places(chunk: bytes) -> Array:
    """Return the place of each byte in its patch: 0 for the first."""
    ended = cut_of(chunk).ended[0].numpy()
    starts = np.flatnonzero(np.diff(ended, prepend=-1))
    sizes = np.diff(starts, append=len(ended))
    return np.arange(len(ended)) - np.repeat(starts, sizes)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("\n| " + " | ".join(head) + " |\n|---" + "|--:" * (len(head) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def main(given: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="+", metavar="CORPUS")
    parser.add_argument(
        "--init", default="shipped", metavar="MODEL", help="without patches (default: shipped)"
    )
    parser.add_argument("--text", type=units.size, default=24_000_000, help="bytes to learn from")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument(
        "--shape",
        type=course.shape,
        default=(128, 4, 2, 256, 64),
        metavar="WxHxLxFxN",
        help="width, heads, layers, hidden units and window of the Transformer (128x4x2x256x64)",
    )
    parser.add_argument(
        "--only",
        default=",".join(ARMS),
        help="arms, each with text of its own if it is to be so: units:30M (%(default)s)",
    )
    parser.add_argument(
        "--sees",
        type=lambda text: tuple(map(int, text.split(","))),
        default=(),
        help="look at the last arm again, which has patches, where it sees only so many: 1,8",
    )
    parser.add_argument("--max-text", type=units.size, default=400_000_000)
    parser.add_argument("--work", type=Path, default=Path("patches.work"))
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    report(Tool(options), options.only.split(","))
    return 0


loop.LOG_SECONDS = 5.0

if __name__ == "__main__":
    raise SystemExit(main())
