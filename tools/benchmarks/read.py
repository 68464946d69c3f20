"""Time of random 4 KiB reads of text, by chunk size: cold and cached chunks, and a fresh process.

Archives stand in the system's page cache. A *cold* read decodes its chunk as far as it reaches, or
two where it crosses a border; chunks of zstd are measured beside those of the presets.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmarc
from lmarc.cli import options as units
from tools.benchmarks import _page
from tools.benchmarks._measure import Runs, describe_machine, format_table, time_command
from tools.benchmarks.ratio import find_texts

SIZES = "16K,64K,256K"
READ_SIZE = 4096  # bytes
WAYS: dict[str, dict[str, Any]] = {
    "zstd": {"preset": "balanced", "text_codec": "zstd"},
    "balanced": {"preset": "balanced"},
    "high": {"preset": "high"},
    "max": {"preset": "max"},
}
SLOW = frozenset({"max"})  # which takes this part of the reads
SLOW_SHARE = 5

Place = tuple[str, int]  # member, position


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="a folder with texts")
    parser.add_argument("--chunks", default=SIZES, help="chunk sizes (%(default)s)")
    parser.add_argument("--size", type=int, default=16, help="MB of text (%(default)s)")
    parser.add_argument("--count", type=int, default=200, help="reads of each kind (%(default)s)")
    parser.add_argument("--processes", type=int, default=9, help="fresh ones (%(default)s)")
    parser.add_argument("--ways", default=",".join(WAYS), help="(%(default)s)")
    _page.add_page_option(parser)


def make_archive(path: Path, texts: Sequence[Path], size: int, **settings: Any) -> None:
    """Write about `size` bytes, every text's beginning in proportion to its size."""
    share = min(1.0, size / sum(text.stat().st_size for text in texts))
    with lmarc.Writer(path, **settings) as writer:
        for number, text in enumerate(texts):
            content = text.read_bytes()
            writer.add_bytes(f"{number}/{text.name}", content[: round(len(content) * share)])


def places(archive: lmarc.Archive, count: int) -> list[Place]:
    """Choose random positions, every byte of the archive as likely as any other."""
    rng = random.Random(1)
    members = [(member.name, member.size) for member in archive if member.size > READ_SIZE]
    names, sizes = zip(*members, strict=True)
    chosen = rng.choices(range(len(names)), weights=sizes, k=count)
    return [(names[number], rng.randrange(sizes[number] - READ_SIZE)) for number in chosen]


def time_reads(archive: lmarc.Archive, wanted: Sequence[Place]) -> list[float]:
    """Return milliseconds of each read."""
    found = []
    for name, position in wanted:
        start = time.perf_counter()
        content = archive.read(name, position, READ_SIZE)
        found.append(1000 * (time.perf_counter() - start))
        if len(content) != READ_SIZE:
            raise SystemExit(f"read {len(content)} bytes of {name}, expected {READ_SIZE}")
    return found


def describe(times: Sequence[float]) -> str:
    """Return median and 95th percentile."""
    high = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    return f"{statistics.median(times):.2f} / {high:.2f}"


def measure(path: Path, count: int, processes: int) -> list[str]:
    """Return the cells of one archive: cold, cached, fresh process."""
    with lmarc.open(path, cache_size=0) as archive:
        wanted = places(archive, max(count, processes))
        time_reads(archive, wanted[:3])  # kernels and model are loaded
        cold = time_reads(archive, wanted[:count])
    with lmarc.open(path) as archive:
        for _ in range(2):  # the second read of a chunk decodes all of it
            time_reads(archive, wanted[:count])
        cached = time_reads(archive, wanted[:count])
    fresh = Runs("fresh")
    for name, position in wanted[:processes]:
        command = [sys.executable, "-m", "lmarc", "cat", str(path), name]
        span = f"{position}:{position + READ_SIZE}"
        quoted = " ".join(f"'{part}'" for part in [*command, "--range", span])
        time_command(f"exec {quoted} >/dev/null", fresh)
    return [describe(cold), describe(cached), describe([1000 * x for x in fresh.seconds])]


def run(options: argparse.Namespace) -> int:
    """Make archives and read from them."""
    machine = describe_machine("zstandard", "pyarrow", "numpy", "numba")
    texts = find_texts(options.data, None)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for text in options.chunks.split(","):
            for way in options.ways.split(","):
                path = Path(folder, f"{text}-{way}.lmarc")
                chunk_size = units.size(text)
                make_archive(
                    path, texts, int(options.size * 1e6), chunk_size=chunk_size, **WAYS[way]
                )
                count = max(1, options.count // SLOW_SHARE if way in SLOW else options.count)
                cells = measure(path, count, options.processes)
                rows.append([f"{chunk_size >> 10} KiB, {way}", *cells])
                print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["chunks", "cold chunk, ms", "cached chunk, ms", "fresh process, ms"]
    slow = max(1, options.count // SLOW_SHARE)
    what = (
        f"{options.count} reads of 4 KiB at random positions of {options.size} MB of text, {slow} "
        f"with `max`; median / 95th percentile. A fresh process ({options.processes} runs) is all "
        "of `lmarc cat --range`, start of Python and end included."
    )
    parts = [machine, what, format_table(head, rows)]
    _page.publish(options.page, "read", "\n\n".join(parts))
    return 0
