"""`lmarc selftest`: check that the coders of this machine give the bytes that they must."""

from __future__ import annotations

import argparse
import sys
import time

import lmarc
from lmarc.cli.render import json_line, plural

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("-v", "--verbose", action="store_true", help="name each vector")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Run every vector."""
    start = time.monotonic()
    outcomes = lmarc.selftest()
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    if arguments.json:
        document = {
            "command": "selftest",
            "ok": not wrong,
            "vectors": [{**outcome._asdict(), "ok": outcome.ok} for outcome in outcomes],
            "seconds": round(time.monotonic() - start, 3),
        }
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        for outcome in outcomes if arguments.verbose else wrong:
            state = "ok" if outcome.ok else f"gives {outcome.found}, expected {outcome.expected}"
            sys.stdout.write(f"{outcome.codec} {outcome.name}: {state}\n")
        if not wrong:
            sys.stdout.write(f"sound: {plural(len(outcomes), 'vector')}\n")
    if wrong:
        raise lmarc.SelfTestError(
            f"{len(wrong)} of {plural(len(outcomes), 'vector')} differ: text that is coded here "
            "could not be read elsewhere; write with --preset fast, and report this machine"
        )
    return 0
