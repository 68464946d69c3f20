"""`lmarc train neural`: train a byte network that corrects an n-gram model."""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

from lmarc.cli import options
from lmarc.cli.render import Steps, json_line, size

__all__ = ["add_arguments", "run"]

DEFAULT_UNITS: Final = (256, 160)
_STEPS: Final = 4  # reading, training, joining, measuring
_JOIN_TEXT: Final = 2_000_000  # bytes
_HELD_OUT: Final = 2_000_000


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
        "--ngram",
        metavar="MODEL",
        help="the n-gram model to correct, which goes into the file (default: the one that "
        "comes with lmarc, which is named and not inside)",
    )
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="a neural model to begin with, 'shipped' for the one that comes with lmarc: its "
        "network goes on learning, and grows where --units are more",
    )
    parser.add_argument(
        "--units",
        type=_units,
        metavar="AxB",
        help="units of the two layers, multiples of 16 (default: those of --init, or 256x160)",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="M", help="train this long (default: 60)"
    )
    parser.add_argument(
        "--train-text",
        type=options.size,
        metavar="SIZE",
        help="end after this much text, if that is sooner; the same text gives the same model then",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from what a training has left in --work"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default: cpu)"
    )
    parser.add_argument(
        "--rate", type=float, default=4e-3, metavar="R", help="the learning rate (default: 0.004)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of what is drawn by chance (default: 1)"
    )
    parser.add_argument(
        "--weight",
        action="append",
        type=_weight,
        default=[],
        metavar="DOMAIN=W",
        help="draw a domain W times as often as its size says; a domain is a folder or a file",
    )
    parser.add_argument(
        "--rows", type=options.count, default=32, metavar="N", help="chunks at a time (default: 32)"
    )
    options.add_text_fields(parser)
    parser.add_argument(
        "--max-text",
        type=options.size,
        default=1_000_000_000,
        metavar="SIZE",
        help="read no more text than this (default: 1GB)",
    )
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="keep checkpoint and log here (default: MODEL.work, until done)",
    )
    parser.add_argument(
        "--curve", metavar="PNG", help="draw bits per byte against text seen (needs matplotlib)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Train, export, learn how to join, write the model, and code text that was held out."""
    output = Path(arguments.output)
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))
    start = time.monotonic()
    work = Path(arguments.work or f"{arguments.output}.work")
    with Steps("training", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        try:
            from lmarc.train.curves import require_matplotlib
            from lmarc.train.neural import base_model, held_out_bits, initial_model, train_neural

            if arguments.curve is not None:
                require_matplotlib()
        except ModuleNotFoundError as exc:
            raise ValueError(
                f"training networks needs {exc.name}, which is not installed: "
                "pip install 'lmarc[torch]'"
            ) from exc
        from lmarc.train.data import documents, gather
        from lmarc.train.loop import LOG, Settings

        base, inside = base_model(arguments.ngram)
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), arguments.max_text
        )
        steps.done(f"read {size(corpus.size)} of text")
        init = initial_model(arguments.init, base)
        first, second = arguments.units or (init.units if init is not None else DEFAULT_UNITS)
        settings = Settings(
            first=first,
            second=second,
            rows=arguments.rows,
            rate=arguments.rate,
            seed=arguments.seed,
            weights=dict(arguments.weight),
            minutes=arguments.minutes,
            text=arguments.train_text,
            device=arguments.device,
        )

        def told(line: dict[str, Any]) -> None:
            steps.begin(
                f"{line['minutes']:.0f} of {arguments.minutes:.0f} minutes, "
                f"{size(line['bytes'])}: {line['network']:.3f} bits per byte, "
                f"{line['mixture']:.3f} without"
            )

        steps.begin("training")
        data = train_neural(
            corpus,
            base,
            inside,
            settings,
            work,
            resume=arguments.resume,
            join_text=_JOIN_TEXT,
            init=init,
            report=told,
            done=steps.done,
        )
        temporary = output.with_name(output.name + ".partial")
        temporary.write_bytes(data)
        os.replace(temporary, output)
        steps.begin("coding text that was held out")
        mixture, joint, count = held_out_bits(data, base, corpus, _HELD_OUT)
        steps.done("measured")
    if arguments.curve is not None:
        from lmarc.train.curves import draw

        draw(work / LOG, Path(arguments.curve))
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)
    sha256 = hashlib.sha256(data).hexdigest()
    document = {
        "command": "train",
        "kind": "neural",
        "model": arguments.output,
        "size": len(data),
        "sha256": sha256,
        "training_size": corpus.size,
        "held_out_size": count,
        "bits_per_byte": round(joint, 4) if count else None,
        "mixture_bits_per_byte": round(mixture, 4) if count else None,
        "seconds": round(time.monotonic() - start, 3),
    }
    if arguments.json:
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        sys.stdout.write(f"{arguments.output}: {len(data):,} bytes, SHA-256 {sha256}\n")
        sys.stdout.write(
            f"held out: {joint:.3f} bits per byte of {size(count)}, {mixture:.3f} without\n"
            if count
            else "held out: nothing, the text is too short for that\n"
        )
    return 0


def _units(text: str) -> tuple[int, int]:
    first, _, second = text.partition("x")
    try:
        units = int(first), int(second)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 256x160") from None
    if any(n % 16 or not 16 <= n <= 4096 for n in units):
        raise argparse.ArgumentTypeError(f"{text!r} has no multiples of 16 up to 4096")
    return units


def _weight(text: str) -> tuple[str, float]:
    domain, _, weight = text.rpartition("=")
    try:
        value = float(weight)
    except ValueError:
        value = -1.0
    if not domain or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form code=2.5")
    return domain, value
