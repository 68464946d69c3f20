"""`lmarc warmup`: compile the coders' kernels ahead."""

from __future__ import annotations

import argparse
import sys

import lmarc
from lmarc.cli.render import json_line

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Compile."""
    warm = lmarc.warmup()
    if arguments.json:
        document = {
            "command": "warmup",
            "folder": warm.folder or None,
            "kernels": warm.kernels,
            "compiled": warm.compiled,
            "seconds": round(warm.seconds, 3),
        }
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        where = f"kept in {warm.folder}" if warm.folder else "not kept"
        sys.stdout.write(
            f"{warm.kernels} kernels, {warm.compiled} of them compiled in {warm.seconds:.1f} s;"
            f" {where}\n"
        )
    if warm.folder:
        return 0
    if not arguments.quiet:
        sys.stderr.write(
            "lmarc: warning: no cache folder can be written, so every run compiles anew;"
            " let XDG_CACHE_HOME name one that can\n"
        )
    return 1
