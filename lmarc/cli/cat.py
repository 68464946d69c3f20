"""`lmarc cat`: write the content of members to standard output."""

from __future__ import annotations

import argparse
import sys

import lmarc
from lmarc.cli import options

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    parser.add_argument("members", nargs="+", metavar="MEMBER", help="the exact name of a file")
    parser.add_argument(
        "--range",
        type=options.byte_range,
        default=(None, None),
        metavar="START:END",
        help="only these bytes of each; negative ones count from the end",
    )
    options.add_model(parser)
    options.add_jobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the content."""
    if arguments.archive == "-":
        raise ValueError("a pipe has no random access: use 'lmarc extract - --to-stdout MEMBER'")
    start, end = arguments.range
    with lmarc.open(
        arguments.archive, storage_options=arguments.storage_options, model=arguments.model
    ) as archive:
        archive.copy(
            sys.stdout.buffer, names=arguments.members, start=start, end=end, jobs=arguments.jobs
        )
    return 0
