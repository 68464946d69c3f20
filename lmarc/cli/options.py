"""Values and options that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import grp
import json
import os
import pwd
import re
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

import lmarc

__all__ = [
    "Once",
    "add_archive",
    "add_coding",
    "add_device",
    "add_executor",
    "add_jobs",
    "add_model",
    "add_output",
    "add_selection",
    "add_sources",
    "add_text_fields",
    "byte_range",
    "check_selection",
    "components",
    "count",
    "executor",
    "owner",
    "paths",
    "patterns",
    "size",
    "storage_options",
    "time",
]

_UNITS: Final = {
    "": 1,
    "K": 1 << 10,
    "M": 1 << 20,
    "G": 1 << 30,
    "T": 1 << 40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}


def size(text: str) -> int:
    """Parse a count of bytes: `4096`, `64K` and `64KiB` (1024), `64kB` (1000), up to T."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?(?:iB|B)?)", text.strip(), re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 4096, 64K, 1MiB or 2GB")
    unit = found[2].upper().removesuffix("IB") if found[2].upper() != "B" else ""
    return int(float(found[1]) * _UNITS[unit]) if "." in found[1] else int(found[1]) * _UNITS[unit]


def count(text: str) -> int:
    """Parse a number that is at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1")
    return int(text)


def components(text: str) -> int:
    """Parse a number that is at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 0")
    return int(text)


def time(text: str) -> int:
    """Parse a time into nanoseconds since the epoch: seconds, or ISO 8601, local without a zone."""
    seconds = re.fullmatch(r"@?(-?)(\d+)(?:\.(\d{1,9}))?", text)
    if seconds is not None:
        value = int(seconds[2]) * 10**9 + int((seconds[3] or "").ljust(9, "0"))
        value = -value if seconds[1] else value
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no time such as 2026-01-31, 2026-01-31T12:00:00Z or 1700000000"
            ) from None
        value = int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000
    if not -(1 << 63) <= value < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is a time that 64 bits do not hold")
    return value


def owner(text: str) -> tuple[int, int, bytes, bytes]:
    """Parse `USER:GROUP` into (uid, gid, user, group).

    A number is recorded without a name; a name with the number that it has here, -1 if none.
    """
    user, colon, group = text.partition(":")
    if not colon or not user or not group or ":" in group:
        raise argparse.ArgumentTypeError(f"{text!r} is no owner such as root:root or 1000:100")
    uid, gid = -1, -1
    if user.isdecimal():
        uid, user = int(user), ""
    else:
        with contextlib.suppress(KeyError):
            uid = pwd.getpwnam(user).pw_uid
    if group.isdecimal():
        gid, group = int(group), ""
    else:
        with contextlib.suppress(KeyError):
            gid = grp.getgrnam(group).gr_gid
    if max(uid, gid) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} has a number that 63 bits do not hold")
    return uid, gid, os.fsencode(user), os.fsencode(group)


def byte_range(text: str) -> tuple[int | None, int | None]:
    """Parse `START:END`; either may be missing, and negative ones count from the end."""
    found = re.fullmatch(r"(-?\d+)?:(-?\d+)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 0:4096, 100: or :-10")
    return (
        int(found[1]) if found[1] is not None else None,
        int(found[2]) if found[2] is not None else None,
    )


def storage_options(text: str) -> dict[str, Any]:
    """Parse a JSON object."""
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"no JSON: {exc}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("no JSON object such as '{\"anon\": true}'")
    return value


def add_archive(parser: argparse.ArgumentParser, metavar: str = "ARCHIVE") -> None:
    """Add the archive and how to reach it."""
    parser.add_argument("archive", metavar=metavar, help="a path, a URL or - for a pipe")
    parser.add_argument(
        "--storage-options",
        type=storage_options,
        metavar="JSON",
        help="a JSON object of settings for the URL's file system, as fsspec takes them",
    )


class Once(argparse.Action):
    """An option that stands once: of two `-C`, tar takes each for the paths behind it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Take the value, unless there is one already."""
        if getattr(namespace, self.dest, self.default) != self.default:
            raise argparse.ArgumentError(self, "is given twice, expected one directory")
        setattr(namespace, self.dest, values)


def add_output(parser: argparse.ArgumentParser, *, as_json: bool = True) -> None:
    """Add how much is said."""
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("-v", "--verbose", action="store_true", help="name each member")
    if as_json:
        parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the number of workers."""
    parser.add_argument(
        "--jobs", type=count, metavar="N", help="work on N chunks at once (default: one a core)"
    )


def add_executor(parser: argparse.ArgumentParser) -> None:
    """Add who does the work."""
    parser.add_argument(
        "--executor",
        choices=("threads", "processes", "dask"),
        help="work in threads (the default), in processes, or on a Dask cluster",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of that cluster (default: processes of our own)"
    )


def executor(arguments: argparse.Namespace) -> AbstractContextManager[Executor | None]:
    """The executor that is asked for; None within the block where none is."""
    if arguments.executor is None and arguments.scheduler is None:
        return contextlib.nullcontext()
    kind = arguments.executor or "dask"
    return lmarc.executor(kind, jobs=arguments.jobs, scheduler=arguments.scheduler)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where networks run."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        help="where networks run: an accelerator that PyTorch knows, the processor, or auto for "
        "the first if there is one (default: LMARC_DEVICE, or cpu); the bytes are the same",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add where a model is that the archive names and does not hold."""
    parser.add_argument(
        "--model", metavar="FILE", help="look here first for a model that is not in the archive"
    )


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add what to archive."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a file or directory to archive")
    parser.add_argument(
        "-C",
        "--directory",
        action=Once,
        metavar="DIR",
        help="read relative paths from this directory",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="leave out names that match (may be given again)",
    )
    parser.add_argument(
        "-X",
        "--exclude-from",
        action="append",
        default=[],
        metavar="FILE",
        help="read such patterns from the lines of a file; - for standard input",
    )
    parser.add_argument(
        "-T",
        "--files-from",
        metavar="FILE",
        help="read further paths from the lines of a file; - for standard input",
    )
    parser.add_argument(
        "--null", action="store_true", help="paths of -T end with a NUL instead of a line end"
    )
    parser.add_argument("--no-recursion", action="store_true", help="do not look below directories")
    parser.add_argument(
        "--one-file-system", action="store_true", help="stay out of other file systems"
    )


def add_coding(parser: argparse.ArgumentParser) -> None:
    """Add how content and metadata are stored."""
    parser.add_argument(
        "--preset",
        choices=("fast", "balanced", "high", "max"),
        help="trade speed for size; what follows overrides its parts",
    )
    parser.add_argument("--text-codec", metavar="NAME", help="the codec for text")
    parser.add_argument("--zstd-level", type=int, metavar="N", help="zstd's level")
    parser.add_argument(
        "--chunk-size", type=size, metavar="SIZE", help="content of a chunk, 4K to 16M"
    )
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="the model file of the text codec, which it decides unless --text-codec does",
    )
    parser.add_argument(
        "--embed-model", action="store_true", help="store that model in the archive"
    )
    parser.add_argument(
        "--index-lines",
        choices=("jsonl", "text", "none"),
        help="members whose lines can be read by number at once: JSON lines (default), "
        "all text, or none",
    )
    parser.add_argument("--mtime", type=time, metavar="TIME", help="record no later time than this")
    parser.add_argument(
        "--owner", type=owner, metavar="USER:GROUP", help="record this owner for everything"
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add which members are meant."""
    parser.add_argument(
        "globs",
        nargs="*",
        metavar="GLOB",
        help="a name or pattern from its start; a directory takes all below it (default: all)",
    )


def check_selection(unmatched: Sequence[str]) -> int:
    """Raise MemberNotFoundError for patterns that no member has matched; else return 0."""
    if unmatched:
        shown = ", ".join(repr(pattern) for pattern in unmatched)
        raise lmarc.MemberNotFoundError(f"no member matches {shown}")
    return 0


def patterns(arguments: argparse.Namespace) -> list[str | bytes]:
    """The patterns of --exclude and -X, in order; blank lines and `#` comments are none."""
    given: list[str | bytes] = list(arguments.exclude)
    for file in arguments.exclude_from:
        lines = _read(file).split(b"\n")
        given += [line.removesuffix(b"\r") for line in lines if line.strip() and line[:1] != b"#"]
    return given


def paths(arguments: argparse.Namespace) -> list[str | bytes]:
    """The paths to archive: arguments, then those of -T."""
    given: list[str | bytes] = list(arguments.paths)
    if arguments.files_from is not None:
        end = b"\0" if arguments.null else b"\n"
        given += [path for path in _read(arguments.files_from).split(end) if path]
    return given


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    with open(os.path.expanduser(file), "rb") as opened:
        return opened.read()


def add_text_fields(parser: argparse.ArgumentParser) -> None:
    """Add where text stands in files that hold more than text."""
    parser.add_argument(
        "--column", default="text", metavar="NAME", help="the column of Parquet (default: text)"
    )
    parser.add_argument(
        "--field", default="text", metavar="NAME", help="the field of JSON lines (default: text)"
    )
