"""`lmarc train primer`: choose the text that stands before every chunk."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from typing import Any, Final

from lmarc.cli import options, trained
from lmarc.cli.render import Steps, json_line, size

__all__ = ["add_arguments", "run"]

_STEPS: Final = 1
_SIZE: Final = 32 << 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet or .lmarc to choose from; .jsonl is a text file",
    )
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write")
    parser.add_argument(
        "--below",
        default="high",
        metavar="MODEL",
        help="the model to prime: 'balanced', 'high' or 'max' for the one of that preset, which is "
        "named and not inside, or the file of an n-gram or multi-scale model, which goes into the "
        "file (default: high)",
    )
    parser.add_argument(
        "--size",
        type=options.size,
        default=_SIZE,
        metavar="SIZE",
        help="bytes of text at most, up to 256K (default: 32K)",
    )
    parser.add_argument(
        "--column", default="text", metavar="NAME", help="the column of Parquet (default: text)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Sample the data, choose, and write the model."""
    output = trained.output_of(arguments)
    start = time.monotonic()
    with Steps("choosing", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        from lmarc.train.primer import train_primer

        def told(done: int) -> None:
            steps.begin(f"reading text, {size(done)} gone over")

        made, data = train_primer(
            arguments.paths,
            arguments.below,
            arguments.size,
            column=arguments.column,
            progress=told,
        )
        trained.write(data, output)
        steps.done("chosen")
    sha256 = hashlib.sha256(data).hexdigest()
    document: dict[str, Any] = {
        "command": "train",
        "kind": "primer",
        "model": arguments.output,
        "size": len(data),
        "sha256": sha256,
        "training_size": made.sampled,
        "text_size": len(made.text),
        "pieces": made.pieces,
        "seconds": round(time.monotonic() - start, 3),
    }
    if arguments.json:
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        sys.stdout.write(
            f"{arguments.output}: {len(data):,} bytes, SHA-256 {sha256}\n"
            f"primer: {size(len(made.text))} in {made.pieces} pieces, out of {size(made.sampled)}\n"
        )
    return 0
