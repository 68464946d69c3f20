"""`lmarc estimate`: reckon what archiving would cost and save."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

import lmarc
from lmarc.cli import options
from lmarc.cli.create import sources
from lmarc.cli.render import Console, json_line, plural, size

__all__ = ["add_arguments", "price", "run"]

_PRESETS: Final = ("fast", "balanced", "high", "max")
_HEADER: Final = (
    "",
    "size",
    "ratio",
    "MB/s in",
    "MB/s out",
    "hours",
    "once",
    "a month",
    "pays after",
)
_AGAINST: Final = "zstd -19"


def price(text: str) -> float:
    """Parse a number that is not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no price such as 0.023")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_sources(parser)
    parser.add_argument(
        "--storage-options",
        type=options.storage_options,
        metavar="JSON",
        help="a JSON object of settings for the file system of URLs, as fsspec takes them",
    )
    parser.add_argument(
        "--preset",
        action="append",
        choices=_PRESETS,
        help="measure this one only (may be given again)",
    )
    parser.add_argument(
        "--sample", type=options.size, default=8 << 20, metavar="SIZE", help="code this much (8M)"
    )
    parser.add_argument(
        "--primer",
        type=options.size,
        metavar="SIZE",
        help="with a primer of this size, as `create --primer` has",
    )
    options.add_jobs(parser)
    prices = lmarc.Prices()
    for name, value, what in (
        ("storage", prices.storage, "a GB and a month of storage"),
        ("egress", prices.egress, "a GB that is read"),
        ("core-hour", prices.core_hour, "an hour of a core"),
    ):
        parser.add_argument(
            f"--{name}-price",
            type=price,
            default=value,
            metavar="N",
            help=f"the price of {what} ({value})",
        )
    parser.add_argument(
        "--reads",
        type=price,
        default=prices.reads,
        metavar="N",
        help=f"how often a month all of it is read ({prices.reads:g})",
    )
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and say what comes of it."""
    paths = options.paths(arguments)
    if not paths:
        raise ValueError("nothing to estimate: give a PATH, or -T FILE")
    prices = lmarc.Prices(
        arguments.storage_price, arguments.egress_price, arguments.core_hour_price, arguments.reads
    )
    with Console("estimating", quiet=arguments.quiet, bar=False) as console:
        found = lmarc.estimate(
            paths,
            sample_size=arguments.sample,
            presets=tuple(arguments.preset or _PRESETS),
            primer=arguments.primer,
            prices=prices,
            jobs=arguments.jobs,
            storage_options=arguments.storage_options,
            warn=console.warn,
            notify=(lambda name: console.say(f"measuring {name}")) if arguments.verbose else None,
            **sources(arguments),
        )
        console.close()
        if arguments.json:
            sys.stdout.write(json_line(_document(found, console)))
        else:
            sys.stdout.write(_table(found))
        return 1 if console.warning_count else 0


def _document(found: Any, console: Console) -> dict[str, Any]:
    return {
        "command": "estimate",
        "members": found.member_count,
        "content_size": found.content_size,
        "sample_size": found.sample_size,
        "jobs": found.jobs,
        "prices": found.prices._asdict(),
        "codings": [
            {
                "name": measured.name,
                "ratio": round(measured.ratio, 6),
                "encode_speed": round(measured.encode_speed),
                "decode_speed": round(measured.decode_speed),
                "model_size": measured.model_size,
                **{key: value for key, value in cost._asdict().items() if key != "name"},
            }
            for measured, cost in zip(found.measured, found.costs, strict=True)
        ],
        "seconds": round(console.seconds, 3),
        "warnings": console.warning_count,
    }


def _table(found: Any) -> str:
    rows = [_HEADER]
    for measured, cost in zip(found.measured, found.costs, strict=True):
        months = "never" if cost.months is None else f"{cost.months:.1f} months"
        rows.append(
            (
                measured.name,
                size(cost.size),
                f"{measured.ratio:.3f}",
                f"{measured.encode_speed / 1e6:.2f}",
                f"{measured.decode_speed / 1e6:.2f}",
                f"{cost.encode_hours:.2f}",
                f"{cost.once:.2f}",
                f"{cost.monthly:.2f}",
                "" if measured.name == _AGAINST else months,
            )
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADER))]
    what = f"{plural(found.member_count, 'member')}, {size(found.content_size)}"
    how = f"measured on {size(found.sample_size)}, reckoned for {plural(found.jobs, 'core')}"
    lines = [f"{what}; {how}"]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"
