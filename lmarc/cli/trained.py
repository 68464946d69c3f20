"""How the commands that train a network or a blend end: they write the model, and report."""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from lmarc.cli.render import json_line, size

__all__ = ["HeldOut", "output_of", "report", "write"]


class HeldOut(NamedTuple):
    """What text that was held out takes, in bits per byte, and how much there was of it."""

    mixture: float  # by the mixture alone
    joint: float  # by the model
    size: int  # bytes


def output_of(arguments: argparse.Namespace) -> Path:
    """Return where the model is to be written; its folder is there."""
    output = Path(arguments.output)
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))
    return output


def write(data: bytes, output: Path) -> None:
    """Write a model's file beside `output` and rename it."""
    temporary = output.with_name(output.name + ".partial")
    temporary.write_bytes(data)
    os.replace(temporary, output)


def report(
    arguments: argparse.Namespace,
    data: bytes,
    training_size: int,
    held_out: HeldOut,
    start: float,
    without: str = "without",
) -> None:
    """Say what was made, as `train --json` and docs/cli.md have it.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `kind`, `output`, `json` and `quiet`.
    data : bytes
        The model's file.
    training_size : int
        Bytes of text that were read.
    held_out : HeldOut
    start : float
        Of `time.monotonic`.
    without : str
        How people are told what the mixture alone takes.
    """
    mixture, joint, count = held_out
    sha256 = hashlib.sha256(data).hexdigest()
    document = {
        "command": "train",
        "kind": arguments.kind,
        "model": arguments.output,
        "size": len(data),
        "sha256": sha256,
        "training_size": training_size,
        "held_out_size": count,
        "bits_per_byte": round(joint, 4) if count else None,
        "mixture_bits_per_byte": round(mixture, 4) if count else None,
        "seconds": round(time.monotonic() - start, 3),
    }
    if arguments.json:
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        sys.stdout.write(f"{arguments.output}: {len(data):,} bytes, SHA-256 {sha256}\n")
        sys.stdout.write(
            f"held out: {joint:.3f} bits per byte of {size(count)}, {mixture:.3f} {without}\n"
            if count
            else "held out: nothing, the text is too short for that\n"
        )
