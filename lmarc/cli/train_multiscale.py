"""`lmarc train multiscale`: train what the multi-scale codec's chunks start from."""

from __future__ import annotations

import argparse
import time
from typing import Final

from lmarc.cli import course, options, trained
from lmarc.cli.render import Steps, size

__all__ = ["add_arguments", "contexts", "run", "sure"]

_STEPS: Final = 3  # reading, learning, measuring
_HELD_OUT: Final = 2_000_000  # bytes
_CONTEXTS: Final = 16  # of the spec
_MOST: Final = 13


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    course.add_paths(parser)
    parser.add_argument(
        "--below",
        default="neural",
        metavar="MODEL",
        help="the model to blend, a network or an n-gram model, which goes into the file; "
        "'neural' or 'ngram' for those that come with lmarc, which are named and not inside "
        "(default: neural)",
    )
    parser.add_argument(
        "--train-text",
        type=options.size,
        default=10_000_000,
        metavar="SIZE",
        help="learn from this much text, of every domain alike (default: 10MB)",
    )
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="learn last from half of the text that is held out, up to --train-text again: for a "
        "model that has learnt from the rest",
    )
    parser.add_argument(
        "--contexts",
        type=contexts,
        metavar="N,...",
        help="blend these contexts of larger scales, by their numbers in spec/v1/multiscale.md, "
        f"section 3.4: fewer are faster, {_MOST} at most (default: {_MOST} of them)",
    )
    parser.add_argument(
        "--sure",
        type=sure,
        metavar="P",
        help="leave to the n-gram mixture what it gives this probability or more, which saves the "
        "blend's time for it, for instance 0.95 (default: blend everything)",
    )
    course.add_text(parser)
    course.add_report(parser)


def run(arguments: argparse.Namespace) -> int:
    """Learn, write the model, and code text that was held out."""
    output = trained.output_of(arguments)
    start = time.monotonic()
    with Steps("training", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        from lmarc.train.blending import (
            LANES,
            held_out_bits,
            model_below,
            train_multiscale,
            with_unseen,
        )
        from lmarc.train.data import documents, gather

        base, inside = model_below(arguments.below)
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), arguments.max_text
        )
        if arguments.held_out:
            corpus = with_unseen(corpus)
        steps.done(f"read {size(corpus.size)} of text")

        def told(done: int, total: int) -> None:
            steps.begin(f"learning from piece {done} of {total}")

        data = train_multiscale(
            corpus,
            base,
            inside,
            arguments.train_text,
            progress=told,
            lanes=arguments.contexts or LANES,
            sure=arguments.sure,
        )
        trained.write(data, output)
        steps.done("learnt")
        steps.begin("coding text that was held out")
        held_out = trained.HeldOut(*held_out_bits(data, base, corpus, _HELD_OUT))
        steps.done("measured")
    trained.report(arguments, data, corpus.size, held_out, start, "by the n-gram mixture alone")
    return 0


def sure(text: str) -> float:
    """Return the probability of an option."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no probability above 0 and up to 1")
    return found


def contexts(text: str) -> tuple[int, ...]:
    """Return the numbers of contexts of an option of the form 6,8,13."""
    try:
        found = tuple(map(int, text.split(",")))
    except ValueError:
        found = ()
    if not 1 <= len(found) <= _MOST or set(found) - set(range(_CONTEXTS)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form 6,8,13, with up to {_MOST} numbers from 0 to "
            f"{_CONTEXTS - 1}"
        )
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r} names a context twice")
    return found
