"""What the n-gram coder's time goes to: lookup, mixing, learning, rANS.

Kernels that leave out the later parts of the step run in turn over the same chunks; a part's time
is the difference between two of them. A processor overlaps parts, so a part left out of the whole
might save less, or more, than the table says. Seconds are of processor time, the best run of each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lmarc.cli import options as units
from lmarc.codec.base import ModelKind
from lmarc.codec.ngram import (
    choose_profile,
    compress_with,
    decompress_with,
    model_steps,
    table_bits,
)
from lmarc.kernels import rans
from lmarc.model import registry
from lmarc.model.ngram import NgramModel, thread_scratch
from tools.benchmarks import _page, _steps
from tools.benchmarks._measure import alternate, describe_machine, format_table
from tools.benchmarks.ratio import Task, find_texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="a folder with texts")
    parser.add_argument(
        "--chunk", type=units.size, default=64 << 10, metavar="SIZE", help="chunk size (64K)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (%(default)s)")
    parser.add_argument("--model", help="the n-gram model (the one that comes with lmarc)")
    _page.add_page_option(parser)


class Timed:
    """One action over all chunks, its processor time by run."""

    def __init__(self, action: Callable[[int], object], count: int) -> None:
        self._action, self._count = action, count
        self.seconds: list[float] = []

    def __call__(self) -> None:
        """Run it over every chunk."""
        start = time.thread_time()
        for number in range(self._count):
            self._action(number)
        self.seconds.append(time.thread_time() - start)

    def nanoseconds(self, size: int) -> float:
        """Return those of the best run by byte: whatever else runs can only add to it."""
        return 1e9 * min(self.seconds) / size


def measure(model: NgramModel, chunks: Sequence[bytes], repeats: int) -> dict[str, float]:
    """Return nanoseconds a byte of each part, and of the whole encoder and decoder."""
    size = sum(map(len, chunks))
    scratch = thread_scratch()
    profiles = [choose_profile(model, chunk) for chunk in chunks]
    all_steps = [
        model_steps(model, chunk, profile, scratch)
        for chunk, profile in zip(chunks, profiles, strict=True)
    ]
    payloads = [compress_with(model, chunk) for chunk in chunks]
    words = np.empty(max(map(len, chunks)) + 2, np.uint32)

    def walker(last: int) -> Callable[[int], object]:
        kernel = _steps.walk(last)

        def action(number: int) -> None:
            chunk, profile = chunks[number], profiles[number]
            bits, match_bits = table_bits(len(chunk))
            written = np.empty(2 * len(chunk), np.uint32)
            kernel(
                model.static(profile),
                model.weights(profile),
                scratch.state(bits, match_bits),
                np.frombuffer(chunk + b"\0", np.uint8),
                bits,
                32 - match_bits,
                written,
            )
            if last == _steps.LEARNING and not np.array_equal(written, all_steps[number]):
                raise SystemExit("the step that is timed is not the coder's step")

        return action

    def steps(number: int) -> object:
        return model_steps(model, chunks[number], profiles[number], scratch)

    def decompress(number: int) -> None:
        chunk = chunks[number]
        if decompress_with(model, payloads[number], len(chunk)) != chunk:
            raise SystemExit("a chunk does not decode to what was coded")

    actions: dict[str, Callable[[int], object]] = {
        name: walker(last) for last, name in _steps.PARTS.items()
    }
    actions |= {
        "choose": lambda number: choose_profile(model, chunks[number]),
        "steps": steps,
        "rans": lambda number: rans.encode(all_steps[number], words),
        "encoder": lambda number: compress_with(model, chunks[number]),
        "decoder": decompress,
    }
    timed = {name: Timed(action, len(chunks)) for name, action in actions.items()}
    alternate(repeats + 1, *timed.values())
    return {name: one.nanoseconds(size) for name, one in timed.items()}


def table(found: dict[str, float]) -> str:
    """Return the profile of the encoder, and the totals."""
    rows = []
    encoder = found["encoder"]

    def add(name: str, nanoseconds: float) -> None:
        rows.append([name, f"{nanoseconds:.0f}", f"{nanoseconds / encoder:.0%}"])

    before = 0.0
    for name in _steps.PARTS.values():
        add(name, found[name] - before)
        before = found[name]
    add("**the step**", found["steps"])
    add("rANS, encoding", found["rans"])
    add("choosing a profile", found["choose"])
    add("**compressing**", encoder)
    add("rANS, decoding, and waiting for symbols", found["decoder"] - found["steps"])
    add("**decompressing**", found["decoder"])
    return format_table(["part", "ns a byte", "of compressing"], rows)


def run(options: argparse.Namespace) -> int:
    """Time parts on a chunk from the middle of every text."""
    machine = describe_machine("numpy", "numba", "llvmlite")
    located = registry.locate("ngram", ModelKind.NGRAM, options.model)
    model = registry.ngram_model(located.sha256, path=located.path)
    tasks = [
        Task(path, path.name, options.chunk, 1, options.chunk)
        for path in find_texts(options.data, None)
    ]
    chunks = [chunk for task in tasks for chunk in task.chunks()]
    found = measure(model, chunks, options.repeats)
    what = (
        f"{len(chunks)} chunks of up to {options.chunk >> 10} KiB, one from the middle of each "
        f"text, {sum(map(len, chunks)) / 1e6:.1f} MB; one thread."
    )
    parts = [machine, what, table(found)]
    _page.publish(options.page, "profile", "\n\n".join(parts))
    return 0
