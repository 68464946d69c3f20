"""`lmarc recover`: save what is intact in a damaged archive."""

from __future__ import annotations

import argparse
import sys

import lmarc
from lmarc.cli import options
from lmarc.cli.create import name_printer
from lmarc.cli.render import Console, json_line, json_name, plural, size

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser, "DAMAGED")
    parser.add_argument("directory", metavar="DIR", help="where the members go, made if missing")
    parser.add_argument(
        "-k", "--keep", action="store_true", help="leave what is there already as it is"
    )
    parser.add_argument(
        "--max-size",
        type=options.size,
        metavar="SIZE",
        help="refuse to write more content than this",
    )
    options.add_model(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Save what is intact."""
    if arguments.archive == "-":
        raise ValueError("recover reads an archive more than once: give a path or a URL")
    with Console(
        "recovering", quiet=arguments.quiet, bar=not arguments.verbose, extracting=True
    ) as console:
        found = lmarc.recover(
            arguments.archive,
            arguments.directory,
            storage_options=arguments.storage_options,
            keep=arguments.keep,
            max_size=arguments.max_size,
            model=arguments.model,
            warn=console.warn,
            progress=console.progress,
            notify=name_printer(arguments, to_stderr=arguments.json),
        )
        console.close()
    if arguments.json:
        document = {
            "command": "recover",
            "archive": arguments.archive,
            "intact": found.intact,
            "lost": [json_name(raw) for raw in found.lost],
            "nameless_chunks": found.nameless_chunks,
            "lost_size": found.lost_size,
            "seconds": round(console.seconds, 3),
            "warnings": console.warning_count,
        }
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        console.say(
            f"{plural(found.intact, 'member')} saved, {plural(len(found.lost), 'member')} lost;"
            f" {plural(found.nameless_chunks, 'chunk')} without a name,"
            f" {size(found.lost_size)} that belong to no record"
        )
    whole = not (found.lost or found.nameless_chunks or found.lost_size or console.warning_count)
    return 0 if whole else 1
