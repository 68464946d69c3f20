"""`lmarc train teacher`: train a Transformer that byte networks learn from."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Final

from lmarc.cli import course, trained
from lmarc.cli.render import Steps, size

__all__ = ["add_arguments", "run"]

_STEPS: Final = 3  # reading, training, measuring
_HELD_OUT: Final = 2_000_000  # bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    course.add_paths(parser, "FILE")
    parser.add_argument(
        "--shape",
        type=course.shape,
        default=(256, 4, 4, 768, 256),
        metavar="WxHxLxFxN",
        help="the Transformer's width, heads, layers, hidden units and window in bytes "
        "(default: 256x4x4x768x256)",
    )
    course.add_mixture(parser, inside=False)
    course.add_course(parser, rate=2e-3, rates="0.002", rows=32, chunks="32", work="FILE")
    course.add_report(parser)


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

        settings = TeacherSettings(
            **course.shape_of(arguments),
            rows=arguments.rows,
            rate=arguments.rate,
            **course.course_of(arguments),
        )
        settings.shape()  # before text is read
        base, _ = base_model(arguments.ngram)
        blend = blend_model(arguments.over, base)
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), arguments.max_text
        )
        steps.done(f"read {size(corpus.size)} of text")
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
            report=course.told(steps, arguments.minutes),
            prepared=course.walked(steps),
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
