"""`lmarc train subword`: train a mixture over tokens and the Transformer that corrects it."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any, Final

from lmarc.cli import options, trained
from lmarc.cli.render import Steps, size
from lmarc.cli.train_neural import weight

__all__ = ["add_arguments", "run", "shape"]

_STEPS: Final = 5  # reading, mixture, training, joining, measuring
_JOIN_TEXT: Final = 1_000_000  # bytes
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
        "--vocab", required=True, metavar="FILE", help="what 'lmarc train vocab' has written"
    )
    parser.add_argument(
        "--shape",
        type=shape,
        default=(96, 3, 2, 192, 128),
        metavar="WxHxLxFxN",
        help="the Transformer's width, heads, layers, hidden units and window in tokens "
        "(default: 96x3x2x192x128)",
    )
    parser.add_argument(
        "--static-rows",
        type=options.count,
        default=700_000,
        metavar="N",
        help="rows of the static tables, some 6 bytes each (default: 700000)",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="M", help="train this long (default: 60)"
    )
    parser.add_argument(
        "--train-tokens",
        type=options.count,
        metavar="N",
        help="end after as many tokens, if that is sooner; the same text gives the same model then",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from what a training has left in --work"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default: cpu)"
    )
    parser.add_argument(
        "--rate", type=float, default=3e-3, metavar="R", help="the learning rate (default: 0.003)"
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
        help="keep mixture, checkpoint and log here (default: MODEL.work, until done)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Train, export, learn how to join, write the model, and code text that was held out."""
    output = trained.output_of(arguments)
    start = time.monotonic()
    work = Path(arguments.work or f"{arguments.output}.work")
    with Steps("training", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        try:
            from lmarc.train.subword import SubwordSettings, held_out_bits, train_subword
        except ModuleNotFoundError as exc:
            raise ValueError(
                f"training networks needs {exc.name}, which is not installed: "
                "pip install 'lmarc[torch]'"
            ) from exc
        from lmarc.train.data import documents, gather
        from lmarc.train.vocabulary import read_vocabulary

        vocabulary = read_vocabulary(Path(arguments.vocab))
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), arguments.max_text
        )
        steps.done(f"read {size(corpus.size)} of text")
        width, heads, layers, hidden, window = arguments.shape
        settings = SubwordSettings(
            width=width,
            heads=heads,
            layers=layers,
            hidden=hidden,
            window=window,
            static_rows=arguments.static_rows,
            rows=arguments.rows,
            steps=128,
            rate=arguments.rate,
            seed=arguments.seed,
            weights=dict(arguments.weight),
            minutes=arguments.minutes,
            text=arguments.train_tokens,
            device=arguments.device,
        )

        def told(line: dict[str, Any]) -> None:
            steps.begin(
                f"{line['minutes']:.0f} of {arguments.minutes:.0f} minutes, "
                f"{size(line['bytes'])}: {line['network']:.3f} bits per byte, "
                f"{line['mixture']:.3f} without"
            )

        steps.begin("training")
        data = train_subword(
            corpus,
            vocabulary,
            settings,
            work,
            resume=arguments.resume,
            join_text=_JOIN_TEXT,
            report=told,
            done=steps.done,
        )
        trained.write(data, output)
        steps.begin("coding text that was held out")
        held_out = trained.HeldOut(*held_out_bits(data, corpus, _HELD_OUT))
        steps.done("measured")
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)
    trained.report(arguments, data, corpus.size, held_out, start)
    return 0


def shape(text: str) -> tuple[int, int, int, int, int]:
    """Return the sizes of a Transformer of an option of the form 96x3x2x192x128."""
    try:
        width, heads, layers, hidden, window = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 96x3x2x192x128") from None
    return width, heads, layers, hidden, window
