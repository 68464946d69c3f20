"""`lmarc train teacher`: train a Transformer that byte networks learn from."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any, Final

from lmarc.cli import options, trained
from lmarc.cli.render import Steps, size
from lmarc.cli.train_neural import weight
from lmarc.cli.train_subword import shape

__all__ = ["add_arguments", "run"]

_STEPS: Final = 3  # reading, training, measuring
_HELD_OUT: Final = 2_000_000  # bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet, .jsonl or .lmarc to learn from",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--shape",
        type=shape,
        default=(256, 4, 4, 768, 256),
        metavar="WxHxLxFxN",
        help="the Transformer's width, heads, layers, hidden units and window in bytes "
        "(default: 256x4x4x768x256)",
    )
    parser.add_argument(
        "--ngram",
        metavar="MODEL",
        help="the n-gram model to correct (default: the one that comes with lmarc)",
    )
    parser.add_argument(
        "--over",
        metavar="MODEL",
        help="correct what a multi-scale model without a network makes of the mixture, as its "
        "students do; 'contexts' for the one that comes with lmarc",
    )
    parser.add_argument(
        "--fold",
        action="append",
        nargs=2,
        default=[],
        metavar=("PATH", "MODEL"),
        help="learn from the text at PATH too, which the n-gram model has seen, over another "
        "n-gram MODEL that has not",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="learn from the text too that an n-gram model would count; for text of which the "
        "n-gram model has seen nothing",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="M", help="train this long (default: 60)"
    )
    parser.add_argument(
        "--train-text",
        type=options.size,
        metavar="SIZE",
        help="end after this much text, if that is sooner; the same text gives the same file then",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from what a training has left in --work"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default: cpu)"
    )
    parser.add_argument(
        "--rate", type=float, default=2e-3, metavar="R", help="the learning rate (default: 0.002)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of what is drawn by chance (default: 1)"
    )
    parser.add_argument(
        "--weight",
        action="append",
        type=weight,
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
        help="keep checkpoint and log here (default: FILE.work, until done)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Train, write the file, and look at text that was held out."""
    output = trained.output_of(arguments)
    start = time.monotonic()
    work = Path(arguments.work or f"{arguments.output}.work")
    with Steps("training", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        try:
            from lmarc.train.teacher import (
                TeacherSettings,
                held_out_bits,
                pack_teacher,
                train_teacher,
            )
        except ModuleNotFoundError as exc:
            raise ValueError(
                f"training networks needs {exc.name}, which is not installed: "
                "pip install 'lmarc[torch]'"
            ) from exc
        from lmarc.train.beneath import base_model, blend_model, read_folds
        from lmarc.train.data import documents, gather
        from lmarc.train.feed import ByteSource

        base, _ = base_model(arguments.ngram)
        blend = blend_model(arguments.over, base)
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), arguments.max_text
        )
        steps.done(f"read {size(corpus.size)} of text")
        width, heads, layers, hidden, window = arguments.shape
        settings = TeacherSettings(
            width=width,
            heads=heads,
            layers=layers,
            hidden=hidden,
            window=window,
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

        def walked(done: int, total: int) -> None:
            steps.begin(f"the mixture has walked over {done:,} of {total:,} chunks")

        steps.begin("training")
        net = train_teacher(
            corpus,
            base,
            settings,
            work,
            resume=arguments.resume,
            every_part=arguments.all,
            blend=blend,
            folds=read_folds(arguments.fold, arguments.column, arguments.field, arguments.max_text),
            report=told,
            prepared=walked,
        )
        data = pack_teacher(net, over=blend is not None)
        trained.write(data, output)
        steps.done("trained")
        steps.begin("looking at text that was held out")
        source = ByteSource(base, blend)
        held_out = trained.HeldOut(*held_out_bits(net, source, corpus, _HELD_OUT))
        steps.done("measured")
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)
    trained.report(arguments, data, corpus.size, held_out, start)
    return 0
