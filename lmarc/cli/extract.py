"""`lmarc extract`: take members out of an archive."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from typing import Any

import lmarc
from lmarc.cli import options
from lmarc.cli.create import name_printer
from lmarc.cli.render import Console, json_line, plural, size

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    options.add_selection(parser)
    parser.add_argument(
        "-C",
        "--directory",
        action=options.Once,
        default=".",
        metavar="DIR",
        help="extract into this directory, made if missing",
    )
    parser.add_argument(
        "-O", "--to-stdout", action="store_true", help="write the content to standard output"
    )
    parser.add_argument(
        "--strip-components",
        type=options.components,
        default=0,
        metavar="N",
        help="drop N leading components of each name",
    )
    parser.add_argument(
        "-k", "--keep", action="store_true", help="leave what is there already as it is"
    )
    parser.add_argument(
        "--max-size",
        type=options.size,
        metavar="SIZE",
        help="refuse to write more content than this",
    )
    owners = parser.add_mutually_exclusive_group()
    owners.add_argument(
        "--numeric-owner", action="store_true", help="restore owners by number, not by name"
    )
    owners.add_argument(
        "--no-same-owner", action="store_true", help="restore no owners, even for the superuser"
    )
    options.add_model(parser)
    options.add_jobs(parser)
    options.add_device(parser)
    options.add_executor(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Extract."""
    if arguments.executor is not None and (arguments.to_stdout or arguments.archive == "-"):
        raise ValueError("an executor is for an archive at random, and for files that it becomes")
    if arguments.to_stdout and arguments.json:
        raise ValueError("--json writes to standard output, and so does --to-stdout")
    given: dict[str, Any] = {"globs": arguments.globs, "max_size": arguments.max_size}
    given["notify"] = name_printer(arguments, to_stderr=arguments.to_stdout or arguments.json)
    if not arguments.to_stdout:
        given |= {
            "directory": arguments.directory,
            "keep": arguments.keep,
            "strip_components": arguments.strip_components,
            "numeric_owner": arguments.numeric_owner,
            "same_owner": False if arguments.no_same_owner else None,
        }
    with Console(
        "extracting", quiet=arguments.quiet, bar=not arguments.verbose, extracting=True
    ) as console:
        given["progress"] = console.progress
        if not arguments.to_stdout:
            given["warn"] = console.warn
        extracted = _extract(arguments, given, console)
        console.close()
        if arguments.json:
            document = {
                "command": "extract",
                "archive": arguments.archive,
                "members": extracted.member_count,
                "content_size": extracted.size,
                "seconds": round(console.seconds, 3),
                "warnings": console.warning_count,
            }
            sys.stdout.write(json_line(document))
        elif (console.summarises and not arguments.to_stdout) or arguments.verbose:
            console.say(
                f"{plural(extracted.member_count, 'member')}, {size(extracted.size)} extracted"
                f" in {console.seconds:.1f} s"
            )
        return 1 if console.warning_count else 0


def _extract(arguments: argparse.Namespace, given: dict[str, Any], console: Console) -> Any:
    if arguments.archive == "-":
        pipe = sys.stdin.buffer
        status = os.fstat(pipe.fileno())
        if stat.S_ISREG(status.st_mode):
            console.by_written, console.total = False, status.st_size
        given["model"] = arguments.model
        if arguments.to_stdout:
            return lmarc.copy_stream(pipe, sys.stdout.buffer, **given)
        return lmarc.extract_stream(pipe, **given)
    with lmarc.open(
        arguments.archive, storage_options=arguments.storage_options, model=arguments.model
    ) as archive:
        given["jobs"] = arguments.jobs
        given["expect"] = console.expect
        if arguments.to_stdout:
            return archive.copy(sys.stdout.buffer, **given)
        with options.executor(arguments) as executor:
            return archive.extract(**given, executor=executor)
