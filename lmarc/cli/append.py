"""`lmarc append`: add files and directories to an archive."""

from __future__ import annotations

import argparse

import lmarc
from lmarc.cli import options
from lmarc.cli.create import coding, name_printer, report, sources, start_counting
from lmarc.cli.render import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    options.add_sources(parser)
    options.add_coding(parser)
    options.add_jobs(parser)
    options.add_device(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Add to the archive."""
    paths = options.paths(arguments)
    if not paths and arguments.files_from is None:
        raise ValueError("nothing to append: give a PATH, or -T FILE")
    if arguments.archive == "-":
        raise ValueError("a pipe cannot be appended to: give a path or a URL")
    found = sources(arguments)
    with Console("appending", quiet=arguments.quiet, bar=not arguments.verbose) as console:
        start_counting(console, paths, found)
        written = lmarc.append(
            arguments.archive,
            paths,
            **found,
            **coding(arguments),
            warn=console.warn,
            progress=console.progress,
            notify=name_printer(arguments, to_stderr=arguments.json),
        )
        console.close()
        return report(arguments, "append", written, console)
