"""What the commands that train a network share: options of its course, and what is told of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from lmarc.cli import options
from lmarc.cli.render import Steps, size

__all__ = [
    "add_course", "add_mixture", "add_paths", "add_report", "add_text", "course_of", "shape",
    "shape_of", "told", "walked", "weight",
]  # fmt: skip

_SIZES: Final = ("width", "heads", "layers", "hidden", "window")


def add_paths(parser: argparse.ArgumentParser, what: str = "MODEL") -> None:
    """Add the text to learn from, and the file to write."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet, .jsonl or .lmarc to learn from",
    )
    parser.add_argument("-o", "--output", required=True, metavar=what, help="the file to write")


def add_mixture(parser: argparse.ArgumentParser, *, inside: bool) -> None:
    """Add what a network over bytes corrects, and on what text.

    Where `inside` is true, the file that is written holds the n-gram model.
    """
    which = ", which goes into the file" if inside else ""
    named = ", which is named and not inside" if inside else ""
    parser.add_argument(
        "--ngram",
        metavar="MODEL",
        help=f"the n-gram model to correct{which} (default: the one that comes with lmarc{named})",
    )
    parser.add_argument(
        "--over",
        metavar="MODEL",
        help="correct what a multi-scale model without a network makes of the mixture, in place of "
        "the mixture; 'contexts' for the one that comes with lmarc: for a network that such a "
        "model is to blend",
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


def add_course(
    parser: argparse.ArgumentParser,
    *,
    rate: float | None,
    rates: str,
    rows: int | None,
    chunks: str,
    tokens: bool = False,
    kept: str = "checkpoint and log",
    work: str = "MODEL",
) -> None:
    """Add what decides a training besides its network.

    Parameters
    ----------
    rate, rows : float, int, or None
        Their defaults; `rates` and `chunks` say them.
    tokens : bool
        Whether text is counted in tokens.
    kept, work : str
        What --work holds, and the metavariable of the file that it is named after.
    """
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="M", help="train this long (default: 60)"
    )
    parser.add_argument(
        "--train-tokens" if tokens else "--train-text",
        dest="train_text",
        type=options.count if tokens else options.size,
        metavar="N" if tokens else "SIZE",
        help=f"end after {'as many tokens' if tokens else 'this much text'}, if that is sooner; "
        "the same text gives the same model then",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from what a training has left in --work"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default: cpu)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=rate,
        metavar="R",
        help=f"the learning rate (default: {rates})",
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
        "--rows",
        type=options.count,
        default=rows,
        metavar="N",
        help=f"chunks at a time (default: {chunks})",
    )
    add_text(parser)
    parser.add_argument(
        "--work",
        metavar="DIR",
        help=f"keep {kept} here (default: {work}.work, until done)",
    )


def add_text(parser: argparse.ArgumentParser) -> None:
    """Add where text stands in files that hold more, and how much of it is read."""
    options.add_text_fields(parser)
    parser.add_argument(
        "--max-text",
        type=options.size,
        default=1_000_000_000,
        metavar="SIZE",
        help="read no more text than this (default: 1GB)",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add how much is said."""
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def course_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `lmarc.train.loop.Course` takes of the options, without rate and rows."""
    return {
        "seed": arguments.seed,
        "weights": dict(arguments.weight),
        "minutes": arguments.minutes,
        "text": arguments.train_text,
        "device": arguments.device,
    }


def shape_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the settings of a Transformer take of --shape."""
    return dict(zip(_SIZES, arguments.shape, strict=True))


def told(steps: Steps, minutes: float) -> Callable[[dict[str, Any]], None]:
    """Return what shows a line of the log as the step that is under way."""

    def show(line: dict[str, Any]) -> None:
        steps.begin(
            f"{line['minutes']:.0f} of {minutes:.0f} minutes, "
            f"{size(line['bytes'])}: {line['network']:.3f} bits per byte, "
            f"{line['mixture']:.3f} without"
        )

    return show


def walked(steps: Steps) -> Callable[[int, int], None]:
    """Return what shows how far the mixture has walked before a training."""

    def show(done: int, total: int) -> None:
        steps.begin(f"the mixture has walked over {done:,} of {total:,} chunks")

    return show


def weight(text: str) -> tuple[str, float]:
    """Return the domain and the weight of an option of the form code=2.5."""
    domain, _, given = text.rpartition("=")
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not domain or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form code=2.5")
    return domain, value


def shape(text: str) -> tuple[int, int, int, int, int]:
    """Return the sizes of a Transformer of an option of the form 96x3x2x192x128."""
    try:
        width, heads, layers, hidden, window = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 96x3x2x192x128") from None
    return width, heads, layers, hidden, window
