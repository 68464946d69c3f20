"""`lmarc create`: pack files and directories into a new archive."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import Any

import lmarc
from lmarc.cli import options
from lmarc.cli.primed import primed
from lmarc.cli.render import Console, json_line, name, percent, plural, size

__all__ = [
    "add_arguments",
    "coding",
    "name_printer",
    "report",
    "run",
    "sources",
    "start_counting",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    options.add_sources(parser)
    options.add_coding(parser)
    options.add_jobs(parser)
    options.add_device(parser)
    options.add_executor(parser)
    parser.add_argument(
        "--primer",
        type=options.size,
        metavar="SIZE",
        help="choose this much text from what is archived, 32K or so, and begin every chunk of "
        "text from it (docs/models.md)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="on S3: go on from what an earlier run has uploaded, and keep it if this one fails",
    )
    parser.add_argument(
        "--shard-size",
        type=options.size,
        metavar="SIZE",
        help="begin another archive after this much content; ARCHIVE has {shard:05d} in its name",
    )
    parser.add_argument(
        "--source-options",
        type=options.storage_options,
        metavar="JSON",
        help="as --storage-options, for PATHs that are URLs (default: the same)",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="name what would be archived, write nothing"
    )
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the archive."""
    paths = options.paths(arguments)
    if not paths and arguments.files_from is None:
        raise ValueError("nothing to archive: give a PATH, or -T FILE")
    to_stdout = arguments.archive == "-"
    if to_stdout and arguments.json and not arguments.dry_run:
        raise ValueError("--json writes to standard output, and so does an archive named '-'")
    if to_stdout and sys.stdout.isatty() and not arguments.dry_run:
        raise ValueError("an archive named '-' goes to a pipe or a file, not to a terminal")
    found = sources(arguments)
    with Console("creating", quiet=arguments.quiet, bar=not arguments.verbose) as console:
        if arguments.dry_run:
            return _dry_run(arguments, paths, found, console)
        start_counting(console, paths, found)
        with primed(arguments, paths, found), options.executor(arguments) as executor:
            written = lmarc.create(
                arguments.archive,
                paths,
                **found,
                **coding(arguments),
                executor=executor,
                resume=arguments.resume,
                shard_size=arguments.shard_size,
                source_options=arguments.source_options,
                warn=console.warn,
                progress=console.progress,
                notify=name_printer(arguments, to_stderr=to_stdout or arguments.json),
            )
        console.close()
        return report(arguments, "create", written, console)


def sources(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give what `lmarc.walk` and `lmarc.create` are told about finding files."""
    return {
        "directory": arguments.directory,
        "exclude": options.patterns(arguments),
        "recurse": not arguments.no_recursion,
        "one_file_system": arguments.one_file_system,
        # Names on the command line are meant; those of a list may be gone by now.
        "missing_ok": arguments.files_from is not None,
    }


def coding(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give what `lmarc.create` and `lmarc.append` are told about writing; defaults left out."""
    given = {
        "preset": arguments.preset,
        "text_codec": arguments.text_codec,
        "zstd_level": arguments.zstd_level,
        "chunk_size": arguments.chunk_size,
        "jobs": arguments.jobs,
        "mtime": arguments.mtime,
        "owner": arguments.owner,
        "storage_options": arguments.storage_options,
        "model": arguments.model,
        "embed_model": arguments.embed_model or None,
        "index_lines": arguments.index_lines,
    }
    return {key: value for key, value in given.items() if value is not None}


def name_printer(arguments: argparse.Namespace, *, to_stderr: bool) -> Any:
    """Give what prints each member's name with -v, else None."""
    if not arguments.verbose:
        return None
    stream = sys.stderr if to_stderr else sys.stdout
    return lambda raw: stream.write(name(raw) + "\n")


def start_counting(console: Console, paths: list[str | bytes], found: dict[str, Any]) -> None:
    """On a terminal, count beside the work how much there is to read, for the time left."""
    if not console.shows_bar:
        return

    def count() -> None:
        total = 0
        try:
            for one in lmarc.walk(paths, **found, warn=lambda message: None, open_files=False):
                total += min(one.size, one.stat.st_blocks * 512) if one.size else 0
        except OSError:
            return
        console.total = total

    threading.Thread(target=count, daemon=True).start()


def _dry_run(
    arguments: argparse.Namespace, paths: list[str | bytes], found: dict[str, Any], console: Console
) -> int:
    member_count = content_size = 0
    for one in lmarc.walk(paths, **found, warn=console.warn, open_files=False):
        member_count += 1
        content_size += one.size
        if not arguments.json and not arguments.quiet:
            sys.stdout.write(name(one.name) + "\n")
    if arguments.json:
        document = {
            "command": "create",
            "archive": arguments.archive,
            "dry_run": True,
            "members": member_count,
            "content_size": content_size,
            "warnings": console.warning_count,
        }
        sys.stdout.write(json_line(document))
    elif arguments.verbose:
        console.say(f"{plural(member_count, 'member')}, {size(content_size)}; nothing was written")
    return 1 if console.warning_count else 0


def report(arguments: argparse.Namespace, command: str, written: Any, console: Console) -> int:
    """Say what was written; return the exit code."""
    if arguments.json:
        document = {
            "command": command,
            "archive": arguments.archive,
            "members": written.member_count,
            "content_size": written.content_size,
            "archive_size": written.archive_size,
            "seconds": round(console.seconds, 3),
            "warnings": console.warning_count,
        }
        sys.stdout.write(json_line(document))
    elif console.summarises or arguments.verbose:
        ratio = percent(written.archive_size, written.content_size) if command == "create" else ""
        console.say(
            f"{plural(written.member_count, 'member')}, {size(written.content_size)} read,"
            f" archive of {size(written.archive_size)}{ratio} in {console.seconds:.1f} s"
        )
    return 1 if console.warning_count else 0
