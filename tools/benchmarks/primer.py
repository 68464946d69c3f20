"""What a primer brings: chunks of a text behind pieces of the rest of that text, and without.

Of each text some blocks are measured, and the primer is chosen by `lmarc train primer` from what is
left. Blocks are cut into chunks of each size, coded, decoded and compared; sizes are those of
payloads, and the primed model's file, once an archive, stands beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmarc.cli import options as units
from lmarc.codec import multiscale, ngram
from lmarc.codec.primed import PRESETS, model_below
from lmarc.model import registry
from lmarc.routing.primer import SIZE, choose_primer, of_bytes
from tools.benchmarks import _page
from tools.benchmarks._measure import describe_machine, format_table
from tools.benchmarks._ratios import DOMAINS, domain_of, geometric_mean, size_text
from tools.benchmarks.ratio import find_texts, name_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="a folder with texts")
    parser.add_argument(
        "--files",
        action="append",
        metavar="GLOB",
        help="only these, relative to --data (all texts); can be repeated",
    )
    parser.add_argument("--chunks", default="4K,64K", help="chunk sizes (%(default)s)")
    parser.add_argument(
        "--count",
        type=units.count,
        default=4,
        help="blocks of each text, of the largest chunk size, evenly spaced, a quarter of the text "
        "at most (%(default)s)",
    )
    parser.add_argument(
        "--size", type=units.size, default=SIZE, metavar="SIZE", help="bytes of a primer (32K)"
    )
    parser.add_argument("--max", action="store_true", help="measure the preset max too")
    _page.add_page_option(parser)


@dataclass(frozen=True)
class Found:
    """One text by one preset, in chunks of one size."""

    name: str
    preset: str
    chunk_size: int
    content: int  # bytes that were coded
    without: int  # bytes of payloads
    primed: int  # the same, behind the primer
    model: int  # bytes of the primed model's file

    @property
    def share(self) -> float:
        """Bytes behind the primer, of those without."""
        return self.primed / self.without

    @property
    def pays_from(self) -> float | None:
        """Bytes of such text from which on the model's file is worth its own; None: never."""
        saved = self.without - self.primed
        return self.model * self.content / saved if saved > 0 else None


def split(content: bytes, block: int, count: int) -> tuple[list[bytes], bytes]:
    """Return up to `count` whole blocks, evenly spaced, a quarter at most; and all the rest."""
    total = len(content) // block
    wanted = min(count, max(1, total // 4))
    numbers = {(2 * number + 1) * total // (2 * wanted) for number in range(wanted)}
    parts = [content[at : at + block] for at in range(0, len(content), block)]
    rest = b"".join(part for number, part in enumerate(parts) if number not in numbers)
    return [parts[number] for number in sorted(numbers)], rest


def measure(
    name: str, content: bytes, presets: Sequence[str], sizes: Sequence[int], count: int, primer: int
) -> list[Found]:
    """Return what a text takes by each preset and chunk size."""
    blocks, rest = split(content, max(sizes), count)
    found = []
    for preset in presets:
        below = model_below(preset)
        data = choose_primer([of_bytes(name, rest)], primer).over(below)
        codec: Any = ngram if PRESETS[preset] == "ngram" else multiscale
        find = registry.ngram_model if codec is ngram else registry.multiscale_model
        models = (find(below), find(hashlib.sha256(data).digest(), data))
        for size in sizes:
            chunks = [
                block[at : at + size] for block in blocks for at in range(0, len(block), size)
            ]
            without, primed = (
                sum(_coded(codec, model, chunk) for chunk in chunks) for model in models
            )
            total = sum(map(len, chunks))
            found.append(Found(name, preset, size, total, without, primed, len(data)))
    return found


def _coded(codec: Any, model: Any, chunk: bytes) -> int:
    payload = codec.compress_with(model, chunk)
    if codec.decompress_with(model, payload, len(chunk)) != chunk:
        raise SystemExit("a chunk does not decode to what was coded")
    return len(payload)


def kind_table(found: Sequence[Found]) -> str:
    """Return the shares of each kind of text, geometric means over its texts."""
    columns = list(dict.fromkeys((one.chunk_size, one.preset) for one in found))
    columns.sort(key=lambda column: column[0])
    kinds: dict[str, set[str]] = {}
    for kind in [*DOMAINS, domain_of("")]:
        names = {one.name for one in found if domain_of(Path(one.name).name) == kind}
        if names:
            kinds[kind] = names
    kinds["**all**"] = {one.name for one in found}
    rows = []
    for kind, names in kinds.items():
        means = [
            geometric_mean(
                one.share
                for one in found
                if one.name in names and (one.chunk_size, one.preset) == column
            )
            for column in columns
        ]
        rows.append([kind, str(len(names)), *(f"{mean:.3f}" for mean in means)])
    head = ["", "texts", *(f"{preset}, {size_text(size)}" for size, preset in columns)]
    return format_table(head, rows)


def text_table(found: Sequence[Found]) -> str:
    """Return the bytes of each text."""
    rows = []
    for one in found:
        pays = one.pays_from
        rows.append(
            [
                one.name,
                one.preset,
                size_text(one.chunk_size),
                f"{one.content:,}",
                f"{one.without:,}",
                f"{one.primed:,}",
                f"{one.share:.3f}",
                f"{one.model:,}",
                "never" if pays is None else f"{pays / 1e6:.1f} MB",
            ]
        )
    head = ["text", "preset", "chunk", "bytes", "without", "primed", "share", "model", "pays from"]
    return format_table(head, rows)


def run(options: argparse.Namespace) -> int:
    """Measure every text, print the tables."""
    machine = describe_machine("numpy", "numba", "zstandard")
    sizes = [units.size(text) for text in options.chunks.split(",")]
    presets = [preset for preset in PRESETS if preset != "max" or options.max]
    paths = find_texts(options.data, options.files)
    names = [path.name for path in paths]
    found: list[Found] = []
    texts = 0
    for number, path in enumerate(paths, 1):
        name = name_of(path, names, options.data)
        print(f"{number} of {len(paths)}: {name}", file=sys.stderr, flush=True)
        if path.stat().st_size >= 2 * max(sizes):
            content = path.read_bytes()
            found += measure(name, content, presets, sizes, options.count, options.size)
            texts += 1
    if not found:
        raise SystemExit(f"no text of two blocks of {size_text(max(sizes))} in {options.data}")
    what = (
        f"{texts} texts of {size_text(2 * max(sizes))} or more, up to {options.count} blocks of "
        f"{size_text(max(sizes))} of each; a primer of {size_text(options.size)} at most, chosen "
        "from the rest of the same text. Bytes behind the primer as a share of those without, "
        "geometric means over the texts of a kind:"
    )
    bytes_are = (
        "By text, in bytes. *Model* is the file that an archive embeds; *pays from* is how much "
        "such text makes up for it."
    )
    parts = [machine, what, kind_table(found), bytes_are, text_table(found)]
    _page.publish(options.page, "primer", "\n\n".join(parts))
    return 0
