"""Give the network that comes with lmarc a Transformer over patches, and say what it brings.

    python tools/patches.py CORPUS... [--text 24M] [--only ARM,...] [--work DIR]

A patch is a word or so: bytes up to the first that is no letter or digit, eight at most. Where one
has ended, what leaves the network's first layer there, and the patch's own bytes, step a small
causal Transformer; what that makes of them is added to what enters the second layer until the next
patch has ended. Bytes, words and patches of a like kind: MegaByte (arXiv:2305.07185), SpaceByte
(arXiv:2404.14408), BLT (arXiv:2412.09871).

Every arm begins with the shipped network and learns from the same batches in the same order at the
same rates, in the loop of the n-gram mixture: the network alone; with patches; with patches while
its own weights stay; and, as a control, with more units that cost what the patches do. The tables
have bits per byte of 64 KiB chunks of text that was held out, as floats have them, in all, by
domain, by a byte's place in its patch and in its chunk; multiply-adds a byte; and seconds of
processor time. An arm that is in --work already is not trained again, and one that was stopped
goes on.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmarc.cli import options as units
from lmarc.model import registry
from lmarc.model.neural import NeuralModel, multiply_adds
from lmarc.train import loop
from lmarc.train.beneath import initial_model
from lmarc.train.byte_network import ByteNetwork, Hidden, Shape
from lmarc.train.correction import bits_of
from lmarc.train.data import documents, gather
from lmarc.train.export import restore
from lmarc.train.feed import CHUNK, ByteSource
from lmarc.train.loop import CHECKPOINT, Settings, train_network
from lmarc.train.transformer import Past, Transformer, TransformerShape, int8_weights

Array = npt.NDArray[Any]

LONGEST: Final = 8  # bytes of a patch
SLOTS: Final = 1 << 13  # for patches by their bytes
FACTOR: Final = 0x2545F491
ARMS: Final = ("shipped", "alone", "patches", "frozen", "units")
HEAD: Final = (
    "network", "MB of text", "bits a byte", "share", "multiply-adds a byte", "parameters",
    "seconds",
)  # fmt: skip
CHUNKS: Final = 4  # of each domain, held out
TOGETHER: Final = 8  # chunks
STEPS: Final = 512
PARTS_KIB: Final = (1, 4, 16)  # a chunk is looked at in parts that begin there


class PatchHidden(NamedTuple):
    """What is carried from step to step, by row; nothing of it has a gradient."""

    first: torch.Tensor  # float32, (B, units), as in `Hidden`
    second: torch.Tensor
    keys: torch.Tensor  # float32, (layers, B, window, width), as in `Past`
    values: torch.Tensor
    seen: torch.Tensor  # int64, (B,)
    run: torch.Tensor  # int64, (B,): bytes since one that ends a patch by what it is
    tail: torch.Tensor  # int64, (B, LONGEST - 1): the last bytes
    given: torch.Tensor  # float32, (B, width): what the last patch made of all before it

    def fresh(self, rows: torch.Tensor) -> "PatchHidden":
        """Return a state in which the rows that `rows`, bool (B,), names begin anew."""

        def anew(part: torch.Tensor) -> torch.Tensor:
            return part.masked_fill(rows.view(-1, *(1,) * (part.dim() - 1)), 0)

        return PatchHidden(
            anew(self.first), anew(self.second), self.keys, self.values,
            *(anew(part) for part in self[4:]),
        )  # fmt: skip


class Patches(NamedTuple):
    """The patches that end in some steps, and what has come of the state."""

    ended: torch.Tensor  # int64, (B, T): how many have, after the byte before each step
    at: torch.Tensor  # int64, (B, P): the step after each one's last byte; 0 where it is padding
    lengths: torch.Tensor  # int64, (B, P): bytes of each
    counts: torch.Tensor  # int64, (B,): patches of each row, up to P
    run: torch.Tensor  # int64, (B,)


def parts_words(byte: torch.Tensor) -> torch.Tensor:
    """Return which bytes, int64, stand between words: ASCII that is no letter or digit."""
    lower = byte | 0x20
    letter = (lower >= 0x61) & (lower <= 0x7A)
    digit = (byte >= 0x30) & (byte <= 0x39)
    return ~(letter | digit | (byte >= 0x80))


def patches(before: torch.Tensor, run: torch.Tensor) -> Patches:
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
    return Patches(ended, at, lengths.gather(1, at), counts, steps - last[:, -1])


class PatchNetwork(nn.Module):
    """A byte network with a Transformer over patches (B rows, T steps, P patches)."""

    measures = ByteNetwork.measures

    def __init__(self, below: ByteNetwork, shape: TransformerShape) -> None:
        super().__init__()
        self.below = below
        n1, n2 = below.shape.first, below.shape.second
        self.encode = nn.Linear(n1, shape.width, bias=False)
        # Bytes by their place in the patch, and none; patches by a hash of their bytes.
        self.places = nn.Embedding(LONGEST * 256 + 1, shape.width, padding_idx=LONGEST * 256)
        self.words = nn.Embedding(SLOTS, shape.width)
        self.transformer = Transformer(shape)
        self.given = nn.Linear(shape.width, 3 * n2, bias=False)
        with torch.no_grad():
            self.encode.weight.normal_(0, n1**-0.5)
            self.places.weight.normal_(0, 0.3)
            self.places.weight[-1] = 0
            self.words.weight.normal_(0, 0.1)
            self.given.weight.zero_()  # it begins as the network below

    def initial(self, rows: int) -> PatchHidden:
        """Return the state at a chunk's beginning."""
        hidden, past = self.below.initial(rows), self.transformer.initial(rows)
        tail = past.seen.new_zeros(rows, LONGEST - 1)
        given = past.keys.new_zeros(rows, self.transformer.shape.width)
        return PatchHidden(*hidden, *past, past.seen, tail, given)

    def cost(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: PatchHidden
    ) -> tuple[torch.Tensor, PatchHidden]:
        """Return bits of each byte, float32 (B, T), and the state."""
        rows = before.shape[0]
        cut = patches(before, hidden.run)
        seen = torch.cat([hidden.tail, before[..., 0]], 1)
        kept: list[tuple[Past, torch.Tensor]] = []

        def condition(out: torch.Tensor) -> torch.Tensor:
            vectors = self._enter(out, seen, cut)
            past = Past(hidden.keys, hidden.values, hidden.seen)
            # Activations have eight bits, as bfloat16 has; it halves the time.
            with torch.autocast(out.device.type, torch.bfloat16, enabled=self.training):
                made, past = self.transformer(vectors, past, cut.counts)
            made = torch.cat([hidden.given[:, None], made], 1)  # (B, 1 + P, width)
            row = torch.arange(rows, device=out.device)
            kept.append((past, made[row, cut.counts].detach()))
            given = nn.functional.linear(made, int8_weights(self.given.weight))
            return chosen(given, cut.ended)

        high, low, after = self.below(
            before, text, freqs, Hidden(hidden.first, hidden.second), condition
        )
        past, last = kept[0]
        tail = seen[:, seen.shape[1] - (LONGEST - 1) :]
        state = PatchHidden(after.first, after.second, *past, cut.run, tail, last)
        return bits_of(torch.stack([high, low], 2) + torch.log2(freqs), text), state

    def _enter(self, out: torch.Tensor, seen: torch.Tensor, cut: Patches) -> torch.Tensor:
        """Return the vectors of patches, float32 (B, P, width)."""
        place = torch.arange(LONGEST, device=out.device)
        start = cut.at + LONGEST - cut.lengths  # in `seen`, of the first byte
        inside = place < cut.lengths[..., None]  # (B, P, LONGEST)
        where = (start[..., None] + place).clamp_max(seen.shape[1] - 1)
        content = seen.gather(1, where.flatten(1)).view_as(where)
        numbers = torch.where(inside, place * 256 + content, LONGEST * 256)
        vectors = nn.functional.embedding_bag(
            numbers.flatten(0, 1), self.places.weight, mode="sum", padding_idx=LONGEST * 256
        )
        hashed = torch.zeros_like(cut.at)
        for k in range(LONGEST):
            hashed = torch.where(inside[..., k], (hashed + content[..., k] + 1) * FACTOR, hashed)
            hashed = (hashed & 0xFFFFFFFF) ^ (hashed >> 15 & 0xFFFF)
        words = nn.functional.embedding(hashed & (SLOTS - 1), self.words.weight)
        first = nn.functional.linear(chosen(out, cut.at), int8_weights(self.encode.weight))
        return first + vectors.view_as(first) + words

    def multiply_adds(self, mean: float) -> int:
        """Return the products that a byte takes where patches have `mean` bytes."""
        shape, n1, n2 = self.transformer.shape, self.below.shape.first, self.below.shape.second
        layer = 4 * shape.width**2 + 2 * shape.width * (shape.hidden + shape.window)
        patch = shape.layers * layer + shape.width * (n1 + 3 * n2)
        return multiply_adds(n1, n2, self.below.shape.layers) + round(patch / mean)


def chosen(vectors: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return for each row the vectors, (B, S, N), at `places`, (B, M): (B, M, N)."""
    rows, steps, width = vectors.shape
    row = torch.arange(rows, device=places.device)[:, None]
    return nn.functional.embedding(places + steps * row, vectors.reshape(-1, width))


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


def cut_of(chunk: bytes) -> Patches:
    """Return the patches of a chunk."""
    text = torch.tensor(list(chunk))[None]
    return patches(befores(text), torch.zeros(1, dtype=torch.int64))


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
        self.mean = self.held_out.mean_patch()

    def network(self, kind: str) -> Any:
        """Return where an arm begins."""
        torch.manual_seed(1)
        model = initial_model("shipped", self.base)
        assert model is not None
        if kind in ("shipped", "alone"):
            return restore(model)
        net = PatchNetwork(restore(model), TransformerShape(*self.options.shape))
        if kind == "units":
            return restore(model, grown(model, net.multiply_adds(self.mean)))
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
        name = "with patches"
        products = net.multiply_adds(self.mean) if isinstance(net, PatchNetwork) else 0
        if not products:
            name = f"{net.shape.first}x{net.shape.second}"
            products = multiply_adds(net.shape.first, net.shape.second, net.shape.layers)
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
    parser.add_argument("--text", type=units.size, default=24_000_000, help="bytes to learn from")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument(
        "--shape",
        type=lambda text: tuple(map(int, text.split(","))),
        default=(128, 4, 2, 256, 64),
        help="width,heads,layers,hidden,window of the Transformer (%(default)s)",
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
