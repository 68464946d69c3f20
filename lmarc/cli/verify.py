"""`lmarc verify`: read everything in an archive and check it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import lmarc
from lmarc.cli import options
from lmarc.cli.render import Console, json_line, plural, size
from lmarc.errors import _without_secrets

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    parser.add_argument(
        "--max-size",
        type=options.size,
        metavar="SIZE",
        help="refuse to check more content than this, holes counted",
    )
    options.add_model(parser)
    options.add_jobs(parser)
    options.add_device(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the archive."""
    with Console("verifying", quiet=arguments.quiet, extracting=True) as console:
        console.by_written = False
        try:
            found = _verify(arguments, console)
        except lmarc.LmarcError as exc:
            if arguments.json:
                sys.stdout.write(json_line(_failure(arguments.archive, exc)))
            raise
        console.close()
        if arguments.json:
            document = {
                "command": "verify",
                "archive": arguments.archive,
                "ok": True,
                **found,
                "seconds": round(console.seconds, 3),
            }
            sys.stdout.write(json_line(document))
        elif not arguments.quiet:
            where = _without_secrets(arguments.archive)
            sys.stdout.write(
                f"{where}: sound: {plural(found['members'], 'member')},"
                f" {plural(found['chunks'], 'chunk')}, {size(found['content_size'])}\n"
            )
    return 0


def _verify(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    if arguments.archive == "-":
        found = lmarc.verify_stream(
            sys.stdin.buffer,
            jobs=arguments.jobs,
            max_size=arguments.max_size,
            model=arguments.model,
            progress=console.progress,
        )
    else:
        with lmarc.open(
            arguments.archive, storage_options=arguments.storage_options, model=arguments.model
        ) as archive:
            console.expect(archive.size)
            found = archive.verify(
                jobs=arguments.jobs, max_size=arguments.max_size, progress=console.progress
            )
    return {
        "members": found.member_count,
        "chunks": found.chunk_count,
        "content_size": found.content_size,
        "archive_size": found.archive_size,
    }


def _failure(archive: str, exc: lmarc.LmarcError) -> dict[str, Any]:
    return {
        "command": "verify",
        "archive": archive,
        "ok": False,
        "error": type(exc).__name__,
        "message": str(exc),
        "offset": getattr(exc, "offset", None),
        "exit_code": exc.exit_code,
    }
