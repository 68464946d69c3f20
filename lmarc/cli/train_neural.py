"""`lmarc train neural`: train a byte network that corrects an n-gram model."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Final

from lmarc.cli import course, options, trained
from lmarc.cli.render import Steps, size

__all__ = ["add_arguments", "run"]

DEFAULT_UNITS: Final = (256, 160)
MAX_LAYERS: Final = 8
_STEPS: Final = 4  # reading, training, joining, measuring
_JOIN_TEXT: Final = 2_000_000  # bytes
_HELD_OUT: Final = 2_000_000
_ADAPTER_RATE: Final = 0.008
_ADAPTER_ROWS: Final = 8  # minutes are few: many small steps
_SOFT: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    course.add_paths(parser)
    course.add_mixture(parser, inside=True)
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
        help="units of the first layer and of each other one, multiples of 16 (default: those of "
        "--init, or 256x160)",
    )
    parser.add_argument(
        "--layers",
        type=options.count,
        metavar="N",
        help=f"layers, 2 to {MAX_LAYERS} (default: those of --init, or 2)",
    )
    parser.add_argument(
        "--patches",
        type=course.shape,
        metavar="WxHxLxFxN",
        help="give the network patches, of a word or so: width, heads, layers, hidden units and "
        "window in patches of a Transformer that steps once for each (default: those of --init, "
        "or none)",
    )
    parser.add_argument(
        "--adapter",
        action="store_true",
        help="write only how the network differs from that of --init, in a small file to embed",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(4, 8),
        default=8,
        help="of weights; with 4 they are rounded at the end, and the file has half the size "
        "(default: 8)",
    )
    parser.add_argument(
        "--prune",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="begin with the units of --init that matter most, with this share of the "
        "multiply-adds less",
    )
    parser.add_argument(
        "--teacher",
        metavar="MODEL",
        help="learn the distributions of this neural model too, or of what 'lmarc train teacher' "
        "has written; 'shipped' for the model that comes with lmarc",
    )
    parser.add_argument(
        "--soft",
        type=_share,
        metavar="SHARE",
        help="how much the --teacher counts, against the text itself (default: 0.5)",
    )
    course.add_course(
        parser,
        rate=None,
        rates="0.004, with --adapter 0.008",
        rows=None,
        chunks="32, with --adapter 8",
    )
    parser.add_argument(
        "--curve", metavar="PNG", help="draw bits per byte against text seen (needs matplotlib)"
    )
    course.add_report(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, export, learn how to join, write the model, and code text that was held out."""
    output = trained.output_of(arguments)
    _check(arguments)
    start = time.monotonic()
    work = Path(arguments.work or f"{arguments.output}.work")
    with Steps("training", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        try:
            from lmarc.train.beneath import (
                adapter_base,
                base_model,
                blend_model,
                initial_model,
                read_folds,
            )
            from lmarc.train.curves import require_matplotlib
            from lmarc.train.neural import held_out_bits, train_neural
            from lmarc.train.teacher import find_teacher

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
        init = initial_model(arguments.init, base)
        differs = adapter_base(arguments.init) if arguments.adapter else None
        first, second = arguments.units or (init.units if init is not None else DEFAULT_UNITS)
        found = None if init is None or init.patches is None else tuple(init.patches)
        settings = Settings(
            first=first,
            second=second,
            layers=arguments.layers or (2 if init is None else init.layers),
            rows=arguments.rows or (32 if differs is None else _ADAPTER_ROWS),
            rate=arguments.rate or (4e-3 if differs is None else _ADAPTER_RATE),
            decay=0.01 if differs is None else 0.0,  # what no text changes stays as it is
            bits=arguments.bits,
            prune=arguments.prune,
            patches=arguments.patches or found,
            soft=0.0 if arguments.teacher is None else arguments.soft or _SOFT,
            **course.course_of(arguments),
        )
        settings.sizes()  # before text is read
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), arguments.max_text
        )
        steps.done(f"read {size(corpus.size)} of text")
        folds = read_folds(arguments.fold, arguments.column, arguments.field, arguments.max_text)
        steps.begin("training")
        data = train_neural(
            corpus,
            base,
            inside,
            settings,
            work,
            resume=arguments.resume,
            join_text=_JOIN_TEXT,
            every_part=arguments.all,
            init=init,
            teacher=find_teacher(arguments.teacher, base, over=arguments.over is not None),
            differs=differs,
            blend=blend_model(arguments.over, base),
            folds=folds,
            report=course.told(steps, arguments.minutes),
            prepared=course.walked(steps),
            done=steps.done,
        )
        trained.write(data, output)
        steps.begin("coding text that was held out")
        held_out = trained.HeldOut(*held_out_bits(data, base, corpus, _HELD_OUT))
        steps.done("measured")
    if arguments.curve is not None:
        from lmarc.train.curves import draw

        draw(work / LOG, Path(arguments.curve))
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)
    trained.report(arguments, data, corpus.size, held_out, start)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if arguments.init is None and (arguments.adapter or arguments.prune):
        raise ValueError("--adapter and --prune need --init, a network to change")
    if arguments.adapter and (
        arguments.units or arguments.layers or arguments.prune or arguments.bits != 8
    ):
        raise ValueError(
            "--adapter leaves --units, --layers, --prune and --bits as --init has them"
        )
    if arguments.layers is not None and not 2 <= arguments.layers <= MAX_LAYERS:
        raise ValueError(f"--layers is {arguments.layers}, expected 2 to {MAX_LAYERS}")
    if arguments.prune and arguments.units:
        raise ValueError("--prune chooses the units, so it does not go with --units")
    if arguments.soft is not None and arguments.teacher is None:
        raise ValueError("--soft says how much a --teacher counts, and there is none")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share, more than 0 and less than 1")
    return value


def _units(text: str) -> tuple[int, int]:
    first, _, second = text.partition("x")
    try:
        units = int(first), int(second)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 256x160") from None
    if any(n % 16 or not 16 <= n <= 4096 for n in units):
        raise argparse.ArgumentTypeError(f"{text!r} has no multiples of 16 up to 4096")
    return units
