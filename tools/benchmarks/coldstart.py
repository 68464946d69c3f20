"""Time from the start of a process to the first byte of text that it decodes, and where it goes.

Archive, model, Python and compiled kernels stand in the system's page cache; chunks are of the
default size and the model is not in the archive.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import lmarc
from tools.benchmarks._measure import describe_machine, format_table

# What `lmarc cat` does, part by part; each part's processor time as it begins and ends.
PARTS = """
import json, sys, time
marks = [("start of Python", 0.0)]
def mark(name):
    marks.append((name, time.process_time()))
mark("import of the command line")
import lmarc.cli.cat
mark("opening")
archive = lmarc.open(sys.argv[1], model=sys.argv[2] or None)
mark("import of llvmlite")
import llvmlite.binding
mark("import of kernels")
import lmarc.codec.ngram
mark("model")
from lmarc.model import registry
row = archive.models().to_pylist()[0]
registry.ngram_model(row["sha256"], path=sys.argv[2] or None)
mark("first chunk")
archive.read("text", 0, 4096)
mark("second chunk, warm")
archive.read("text", 1 << 20, 4096)
mark("")
print(json.dumps([[name, end - start] for (name, start), (_, end) in zip(marks, marks[1:])]))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--model", default="", help="the n-gram model (the one that comes with lmarc)"
    )
    parser.add_argument("--repeats", type=int, default=9, help="processes (%(default)s)")


def first_byte(archive: Path, model: str) -> tuple[float, float, float]:
    """Return seconds to the first byte, to the end, and of processor time."""
    command = [sys.executable, "-m", "lmarc", "cat", str(archive), "text", "--range", "0:4096"]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, *(["--model", model] if model else [])], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    if len(os.read(process.stdout.fileno(), 1)) != 1:
        raise SystemExit("lmarc cat has written nothing")
    first = time.perf_counter() - start
    process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return first, time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def parts(archive: Path, model: str) -> list[tuple[str, float]]:
    """Return the parts of one process and the processor time of each."""
    done = subprocess.run(
        [sys.executable, "-c", PARTS, str(archive), model],
        capture_output=True,
        text=True,
        check=True,
    )
    return [(name, seconds) for name, seconds in json.loads(done.stdout)]


def run(options: argparse.Namespace) -> int:
    """Make an archive and start processes that read from it."""
    from lmarc.codec.vectors import prose

    print(describe_machine("numba", "numpy", "pyarrow", "zstandard"), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "a.lmarc")
        with lmarc.Writer(archive, preset="balanced", model=options.model or None) as writer:
            writer.add_bytes("text", prose("cold start", 2 << 20))
        first_byte(archive, options.model)  # compiles what is not kept
        times = [first_byte(archive, options.model) for _ in range(options.repeats)]
        runs = [parts(archive, options.model) for _ in range(options.repeats)]
    head = ["`lmarc cat --range 0:4096`", "median, s", "best, s"]
    names = ("to the first byte", "whole process", "its processor time")
    rows = [
        [name, f"{statistics.median(column):.3f}", f"{min(column):.3f}"]
        for name, column in zip(names, zip(*times, strict=True), strict=True)
    ]
    print(format_table(head, rows), end="\n\n")
    rows = [
        [found[0][0], *(f"{f([s for _, s in found]):.3f}" for f in (statistics.median, min))]
        for found in zip(*runs, strict=True)
    ]
    print(format_table(["processor time of", "median, s", "best, s"], rows))
    return 0
