"""Train networks of several kinds and sizes on the same text, and say what each buys.

    python tools/ladder.py CORPUS... [--text 8M] [--shapes 64x32,128x64x4,gru:64,...] [--work DIR]

Every network learns in the loop of the n-gram mixture that comes with lmarc (with `--over`, of a
blend over it), from the same start of the same text. `AxBxL` has L layers, `AxB` two. The table has
bits per byte over the last quarter of that text as it was learnt, each byte before it was learnt
from, against those of the mixture alone; multiply-adds a byte; and what coding takes of a core.
`float:AxB` rounds nothing, `gru:N` is a GRU of N units in floats, and `transformer:WxHxLxFxN` a
Transformer of a width, heads, layers, hidden units and window, for comparison: no codec runs them.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from lmarc.cli import options as units
from lmarc.codec.neural import compress_with
from lmarc.model import registry
from lmarc.model.neural import multiply_adds
from lmarc.model.ngram import NgramModel
from lmarc.train import loop
from lmarc.train.beneath import blend_model
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.byte_transformer import ByteTransformer
from lmarc.train.correction import LN2
from lmarc.train.data import documents, gather
from lmarc.train.export import export
from lmarc.train.feed import ByteSource
from lmarc.train.loop import LOG, Settings, train_network
from lmarc.train.transformer import TransformerShape

SHAPES = "64x32,128x64,192x128,256x160,384x256,gru:64,gru:128"
HEAD = (
    "network", "parameters", "multiply-adds a byte", "bits a byte", "share of the mixture's",
    "us a byte", "minutes",
)  # fmt: skip
TIMED = 64 << 10  # bytes of text that are coded


class GruHidden(NamedTuple):
    """What a GRU carries from step to step: float32, (rows, units)."""

    state: torch.Tensor

    def fresh(self, rows: torch.Tensor) -> Any:
        """Return a state in which the rows that `rows` names begin anew."""
        return GruHidden(self.state.masked_fill(rows[:, None], 0))


class GruNetwork(nn.Module):
    """A GRU in the place of the two layers of `ByteNetwork`."""

    measures = ByteNetwork.measures

    def __init__(self, size: int) -> None:
        super().__init__()
        self.last = nn.Embedding(256, 3 * size)
        self.see = nn.Linear(16, 3 * size)
        self.hidden = nn.Linear(size, 3 * size)
        self.high = nn.Linear(size, 16)
        self.low = nn.Linear(size, 256)
        self.see_low = nn.Linear(16, 16, bias=False)
        for part in (self.high, self.low, self.see_low):
            nn.init.zeros_(part.weight)

    def initial(self, rows: int) -> GruHidden:
        """Return the state at a chunk's beginning."""
        return GruHidden(torch.zeros(rows, self.high.in_features))

    @property
    def multiply_adds(self) -> int:
        """Products that a byte takes."""
        size: int = self.high.in_features
        return 3 * size * (16 + size) + 2 * 16 * size + 256

    def cost(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: GruHidden
    ) -> tuple[torch.Tensor, GruHidden]:
        """Return bits of each byte, float32 (B, T), and the state."""
        q = torch.floor(freqs / 512) / 128
        inputs = self.last(before[..., 0]) + self.see(q[:, :, 0])
        state, states = hidden.state, []
        for given in inputs.unbind(1):
            reset, update, new = given.chunk(3, 1)
            own_reset, own_update, own_new = self.hidden(state).chunk(3, 1)
            keep = torch.sigmoid(update + own_update)
            value = torch.tanh(new + torch.sigmoid(reset + own_reset) * own_new)
            state = value + keep * (state - value)
            states.append(state)
        out = torch.stack(states, 1)
        places = (text >> 4)[..., None] * 16 + torch.arange(16)
        low = self.low(out).gather(2, places) + self.see_low(q[:, :, 1])
        logits = torch.stack([self.high(out), low], 2) + torch.log2(freqs)
        nibbles = torch.stack([text >> 4, text & 15], 2)
        nats = nn.functional.cross_entropy(
            (logits * LN2).flatten(0, 2), nibbles.flatten(), reduction="none"
        )
        return nats.view(*nibbles.shape).sum(2) / LN2, GruHidden(state.detach())


def network(name: str) -> Any:
    """Return a network as `--shapes` names it."""
    kind, _, sizes = name.rpartition(":")
    numbers = map(int, sizes.split("x"))
    if kind == "gru":
        return GruNetwork(*numbers)
    if kind == "transformer":
        return ByteTransformer(TransformerShape(*numbers))
    if kind not in ("", "float"):
        raise SystemExit(f"{name} is no network: expected AxB, float:, gru: or transformer:")
    net = ByteNetwork(Shape(*numbers))
    net.rounded = not kind
    return net


def measure(
    name: str, source: ByteSource, base: NgramModel, texts: dict[str, bytes], args: Any
) -> list[str]:
    """Train one network; return its row."""
    torch.manual_seed(1)
    net = network(name)
    settings = Settings(
        minutes=1e9, text=args.text, rate=args.rate, rows=args.rows, device=args.device
    )
    text, work = args.text, args.work
    start = time.monotonic()
    kept = train_network(net, source, texts, settings, work)
    minutes = (time.monotonic() - start) / 60
    lines = [json.loads(line) for line in (work / LOG).read_text().splitlines()]
    last = [line for line in lines if line["bytes"] > 0.75 * text] or lines[-1:]
    alone = sum(line["mixture"] for line in last) / len(last)
    together = sum(line["network"] for line in last) / len(last)
    speed = ""
    if isinstance(net, ByteNetwork):
        products = multiply_adds(net.shape.first, net.shape.second, net.shape.layers)
    else:
        products = net.multiply_adds
    if isinstance(kept, ByteNetwork) and kept.rounded:
        model = export(kept.cpu(), base)
        content = max(texts.values(), key=len)[:TIMED]
        compress_with(model, content[:1000])
        began = time.thread_time()
        compress_with(model, content)
        speed = f"{1e6 * (time.thread_time() - began) / len(content):.2f}"
    parameters = sum(part.numel() for part in net.parameters())
    share = f"{together / alone:.4f}"
    return [
        name, f"{parameters:,}", f"{products:,}", f"{together:.4f}", share, speed, f"{minutes:.1f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--text", type=units.size, default=8 << 20, help="bytes to learn from (8M)")
    parser.add_argument("--shapes", default=SHAPES, help="(%(default)s)")
    parser.add_argument("--over", help="correct this multi-scale model without a network")
    parser.add_argument("--rate", type=float, default=4e-3, help="(%(default)s)")
    parser.add_argument("--rows", type=int, default=32, help="(%(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--work", type=Path, default=Path("ladder-work"))
    args = parser.parse_args()
    base = registry.ngram_model(registry.shipped("ngram"))
    source = ByteSource(base, blend_model(args.over, base))
    texts = gather(documents(args.corpus), 1 << 30).part("mixture")
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for name in args.shapes.split(","):
        shutil.rmtree(args.work, ignore_errors=True)
        row = measure(name, source, base, texts, args)
        print("| " + " | ".join(row) + " |", flush=True)
    shutil.rmtree(args.work, ignore_errors=True)


loop.LOG_SECONDS = 2.0

if __name__ == "__main__":
    main()
