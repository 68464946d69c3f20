"""`lmarc eval`: code text with a model, and say what it makes of it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from lmarc.cli import options
from lmarc.cli.render import Steps, json_line, name, size

if TYPE_CHECKING:
    from lmarc.train.evaluate import Evaluated

__all__ = ["add_arguments", "run"]

_COLUMNS = ("bytes", "bits/byte", "perplexity", "coded", "of entropy", "coding", "decoding")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a model file, or 'ngram', 'neural', 'multiscale', 'contexts' or 'subword' for those "
        "that come with lmarc",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet, .jsonl or .lmarc of text that the model has not seen",
    )
    parser.add_argument(
        "--chunk-size",
        type=options.size,
        default=64 << 10,
        metavar="SIZE",
        help="code so much at a time (default: 64KiB)",
    )
    parser.add_argument(
        "--limit", type=options.size, metavar="SIZE", help="take so much of each domain at most"
    )
    parser.add_argument(
        "--by-file", action="store_true", help="show each file, and not each folder"
    )
    options.add_text_fields(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, and write a table."""
    if not 0 < arguments.chunk_size <= 16 << 20:
        raise ValueError(f"--chunk-size is {arguments.chunk_size}, expected 1 byte to 16 MiB")
    start = time.monotonic()
    with Steps("evaluating", quiet=arguments.quiet, total=1) as steps:
        steps.begin("loading the model")
        from lmarc.train.evaluate import Evaluated, evaluate, load, texts_of

        model, model_size = load(arguments.model)
        texts = texts_of(
            arguments.paths,
            arguments.column,
            arguments.field,
            limit=arguments.limit,
            by_file=arguments.by_file,
        )
        found = evaluate(
            model,
            texts,
            chunk_size=arguments.chunk_size,
            report=lambda domain, done: steps.done(f"{domain}, {size(done)}"),
        )
        domains = list(found)
    if not domains:
        raise ValueError("there is no text in " + ", ".join(arguments.paths))
    total = Evaluated("all")
    for domain in domains:
        total.add(domain)
    if arguments.json:
        document = {
            "command": "eval",
            "model": arguments.model,
            "model_size": model_size,
            "multiply_adds": model.multiply_adds,
            "chunk_size": arguments.chunk_size,
            "domains": [_row(domain) for domain in domains],
            "all": _row(total),
            "seconds": round(time.monotonic() - start, 3),
        }
        sys.stdout.write(json_line(document))
        return 0
    sys.stdout.write(
        f"{arguments.model}: {model_size:,} bytes, {model.multiply_adds:,} multiply-adds a byte; "
        f"chunks of {arguments.chunk_size:,} bytes\n\n"
    )
    rows = [_cells(domain) for domain in [*domains, total]]
    widths = [max(len(row[at]) for row in [("", *_COLUMNS), *rows]) for at in range(8)]
    for row in [("", *_COLUMNS), *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    return 0


def _row(found: Evaluated) -> dict[str, Any]:
    return {
        "name": found.name,
        "size": found.size,
        "chunks": found.chunks,
        "bits_per_byte": round(found.bits_per_byte, 5),
        "perplexity": round(found.perplexity, 5),
        "coded_size": found.coded_size,
        "coded_bits_per_byte": round(found.coded_bits_per_byte, 5),
        "coding_speed": round(found.size / max(found.coding, 1e-9)),
        "decoding_speed": round(found.size / max(found.decoding, 1e-9)),
    }


def _cells(found: Evaluated) -> tuple[str, ...]:
    excess = found.coded_bits_per_byte / max(found.bits_per_byte, 1e-9)
    return (
        name(os.fsencode(found.name)),
        f"{found.size:,}",
        f"{found.bits_per_byte:.4f}",
        f"{found.perplexity:.3f}",
        f"{found.coded_size:,}",
        f"{100 * excess:.2f} %",
        f"{size(round(found.size / max(found.coding, 1e-9)))}/s",
        f"{size(round(found.size / max(found.decoding, 1e-9)))}/s",
    )
