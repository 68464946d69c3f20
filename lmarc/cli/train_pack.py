"""`lmarc train pack`: put training text into an archive of a given size, to be carried away."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from pathlib import Path

from lmarc.cli import course, options
from lmarc.cli.render import Steps, json_line, size

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet, .jsonl or .lmarc with text",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="ARCHIVE", help="the archive to write"
    )
    parser.add_argument(
        "--size",
        type=options.size,
        default=60 << 20,
        metavar="SIZE",
        help="bytes that the archive may have (default: 60MiB)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="pack the text too that the tables of n-gram models are counted on",
    )
    course.add_text(parser)
    options.add_jobs(parser)
    course.add_report(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read, choose and write."""
    output = Path(arguments.output)
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))
    start = time.monotonic()
    with Steps("packing", quiet=arguments.quiet, total=2) as steps:
        steps.begin("reading text")
        from lmarc.train.data import PARTS, documents, gather
        from lmarc.train.packing import pack

        found = documents(arguments.paths, arguments.column, arguments.field)
        corpus = gather(found, arguments.max_text)
        steps.done(f"read {size(corpus.size)} of text")
        steps.begin("packing")
        packed = pack(
            corpus,
            output,
            arguments.size,
            parts=PARTS if arguments.all else PARTS[1:],
            jobs=arguments.jobs,
            progress=lambda read, written: steps.begin(f"packing: {size(read)} of text"),
        )
        steps.done(f"packed {size(packed.text_size)} of text")
    if arguments.json:
        document = {
            "command": "train",
            "kind": "pack",
            "archive": arguments.output,
            "size": packed.size,
            "texts": packed.texts,
            "text_size": packed.text_size,
            "seconds": round(time.monotonic() - start, 3),
        }
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        sys.stdout.write(
            f"{arguments.output}: {packed.size:,} bytes, {size(packed.text_size)} of text in "
            f"{packed.texts:,} pieces\n"
        )
    return 0
