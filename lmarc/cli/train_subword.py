"""`lmarc train subword`: train a mixture over tokens and the Transformer that corrects it."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Final

from lmarc.cli import course, options, trained
from lmarc.cli.render import Steps, size

__all__ = ["add_arguments", "run"]

_STEPS: Final = 5  # reading, mixture, training, joining, measuring
_JOIN_TEXT: Final = 1_000_000  # bytes
_HELD_OUT: Final = 2_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    course.add_paths(parser)
    parser.add_argument(
        "--vocab", required=True, metavar="FILE", help="what 'lmarc train vocab' has written"
    )
    parser.add_argument(
        "--shape",
        type=course.shape,
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
    course.add_course(
        parser,
        rate=3e-3,
        rates="0.003",
        rows=32,
        chunks="32",
        tokens=True,
        kept="mixture, checkpoint and log",
    )
    course.add_report(parser)


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
        settings = SubwordSettings(
            **course.shape_of(arguments),
            static_rows=arguments.static_rows,
            rows=arguments.rows,
            steps=128,
            rate=arguments.rate,
            **course.course_of(arguments),
        )

        steps.begin("training")
        data = train_subword(
            corpus,
            vocabulary,
            settings,
            work,
            resume=arguments.resume,
            join_text=_JOIN_TEXT,
            report=course.told(steps, arguments.minutes),
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
