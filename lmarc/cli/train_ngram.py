"""`lmarc train ngram`: make an n-gram model from text."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

from lmarc.cli import options
from lmarc.cli.render import Steps, json_line, size

__all__ = ["add_arguments", "run"]

_STEPS: Final = (
    19  # reading, seven lanes counted and linked, choosing, placing, training, measuring
)
_PROFILES: Final = 4
_LARGEST_PROFILES: Final = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet, .jsonl or .lmarc to learn from",
    )
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write")
    parser.add_argument(
        "--size",
        type=options.size,
        default=20_000_000,
        metavar="SIZE",
        help="bytes that the model may have (default: 20MB)",
    )
    options.add_text_fields(parser)
    parser.add_argument(
        "--profiles",
        type=options.count,
        default=_PROFILES,
        metavar="N",
        help=f"kinds of text to tell apart (default: {_PROFILES})",
    )
    parser.add_argument(
        "--max-text",
        type=options.size,
        default=400_000_000,
        metavar="SIZE",
        help="read no more text than this; ten times as much memory is needed (default: 400MB)",
    )
    parser.add_argument(
        "--jobs", type=options.count, default=1, metavar="N", help="count N tables at once"
    )
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="keep finished steps here, to go on after a stop (default: MODEL.work, until done)",
    )
    parser.add_argument(
        "--card", metavar="FILE", help="a JSON object for the model card: data, licences, names"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model, and code with it the text that was held out."""
    output = Path(arguments.output)
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))
    if arguments.profiles > _LARGEST_PROFILES:
        raise ValueError(f"--profiles is {arguments.profiles}, at most {_LARGEST_PROFILES}")
    card = _card(arguments.card)
    start = time.monotonic()
    work = Path(arguments.work or f"{arguments.output}.work")
    with Steps("training", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        from lmarc.train.data import documents, gather
        from lmarc.train.measure import measure
        from lmarc.train.ngram import train_ngram, write_model

        found = documents(arguments.paths, arguments.column, arguments.field)
        corpus = gather(found, arguments.max_text)
        steps.done(f"read {size(corpus.size)} of text")
        data = train_ngram(
            corpus,
            size=arguments.size,
            profiles=arguments.profiles,
            folder=work,
            jobs=arguments.jobs,
            card=card,
            report=steps.done,
        )
        sha256 = write_model(data, output)
        steps.begin("coding text that was held out")
        held_out = measure(data, corpus.part("held out"))
        steps.done("measured")
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)
    document: dict[str, Any] = {
        "command": "train",
        "kind": "ngram",
        "model": arguments.output,
        "size": len(data),
        "sha256": sha256,
        "training_size": corpus.size,
        "held_out_size": held_out.size,
        "bits_per_byte": round(held_out.bits_per_byte, 4) if held_out.size else None,
        "seconds": round(time.monotonic() - start, 3),
    }
    if arguments.json:
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        sys.stdout.write(
            f"{arguments.output}: {len(data):,} bytes, SHA-256 {sha256}\n"
            + (
                f"held out: {held_out.bits_per_byte:.3f} bits per byte of {size(held_out.size)}\n"
                if held_out.size
                else "held out: nothing, the text is too short for that\n"
            )
        )
    return 0


def _card(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    with open(os.path.expanduser(path), "rb") as file:
        try:
            card = json.load(file)
        except ValueError as exc:
            raise ValueError(f"--card {path} is no JSON: {exc}") from None
    if not isinstance(card, dict):
        raise ValueError(f"--card {path} is no JSON object")
    return card
