"""Speed and memory of `lmarc create` and `extract` on text, against xz and zstd.

Whole commands, run in turn, medians. The peers code a slice of the same text on one core; *a core*
is MB by seconds of processor time, which other programs on the machine change little.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lmarc.cli import options as units
from tools.benchmarks import _page
from tools.benchmarks._measure import (
    Runs,
    alternate,
    describe_machine,
    format_table,
    make_tree,
    time_command,
)
from tools.benchmarks.ratio import find_texts

MB = 1_000_000
PEERS = {"xz -9e": "xz -9e -T1", "zstd -19": "zstd -19 --single-thread"}
MEMORY_JOBS = (1, 2, 4)
MEMORY_COLUMNS = ["create", "extract", "create, beyond", "extract, beyond"]
LIBRARIES = "llvmlite.binding, numpy, pyarrow, zstandard, xxhash, fsspec"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="a text, or a folder with texts")
    parser.add_argument("--size", type=int, default=100, help="MB of text (%(default)s)")
    parser.add_argument("--slice", type=float, default=8, help="MB for the peers (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (%(default)s)")
    parser.add_argument("--jobs", type=units.count, default=2, help="worker threads (%(default)s)")
    parser.add_argument("--model", help="the n-gram model (the one that comes with lmarc)")
    parser.add_argument("--work", type=Path, help="folder for what is made (a temporary one)")
    _page.add_page_option(parser)


def copy_texts(data: Path, target: Path) -> None:
    """Copy a text, or the texts of a folder."""
    target.mkdir()
    if data.is_file():
        shutil.copy(data, target)
        return
    for path in find_texts(data, None):
        copy = target / path.relative_to(data)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)


def cut_slice(texts: Path, target: Path, size: int) -> int:
    """Write `size` bytes, every text's middle in proportion to its size; return how many."""
    paths = sorted(path for path in texts.rglob("*") if path.is_file())
    share = min(1.0, size / sum(path.stat().st_size for path in paths))
    with target.open("wb") as file:
        for path in paths:
            content = path.read_bytes()
            wanted = round(len(content) * share)
            start = (len(content) - wanted) // 2
            file.write(content[start : start + wanted])
        return file.tell()


def lmarc_commands(model: str | None, jobs: int) -> tuple[str, str]:
    """Return `create` and `extract` as the shell takes them, but for their paths."""
    python = f"exec {sys.executable} -m lmarc"
    given = f"--jobs {jobs} -q" + (f" --model {model}" if model else "")
    return f"{python} create --preset balanced {given}", f"{python} extract {given}"


def row(runs: Runs, content: int, stored: int | None) -> list[str]:
    """Return a line of the table of speeds."""
    return [
        runs.name,
        f"{content / MB:.1f}",
        f"{runs.median:.2f}",
        f"{content / MB / runs.median:.2f}",
        f"{content / MB / runs.median_cpu:.2f}",
        "" if stored is None else f"{stored / content:.4f}",
        f"{runs.peak / MB:.0f}",
    ]


def measure_speed(options: argparse.Namespace, texts: Path, work: Path) -> str:
    """Time everything; return the table and what it says."""
    tree, out, archive, part = (work / name for name in ("tree", "out", "a.lmarc", "slice"))
    size = make_tree(texts, tree, int(options.size * MB))
    slice_size = cut_slice(texts, part, int(options.slice * MB))
    create_text, extract_text = lmarc_commands(options.model, options.jobs)
    create = Runs(f"lmarc create, {options.jobs} jobs")
    extract = Runs(f"lmarc extract, {options.jobs} jobs")
    found = {name: text for name, text in PEERS.items() if shutil.which(text.split()[0])}
    coding = {name: Runs(name) for name in found}
    decoding = {name: Runs(f"{name.split()[0]} -d, of {name}") for name in found}

    def run_extract() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        time_command(f"{extract_text} {archive} -C {out}", extract)

    def peer_steps(name: str, text: str) -> list[Callable[[], object]]:
        made = work / f"slice.{name.split(maxsplit=1)[0]}"
        program = text.split(maxsplit=1)[0]
        return [
            lambda: time_command(f"exec {text} -c {part} >{made}", coding[name]),
            lambda: time_command(f"exec {program} -dc {made} >{work / 'decoded'}", decoding[name]),
        ]

    steps: list[Callable[[], object]] = [
        lambda: time_command(f"{create_text} {archive} -C {tree} .", create),
        run_extract,
    ]
    for name, text in found.items():
        steps += peer_steps(name, text)
    alternate(options.repeats, *steps)
    check_equal(tree, out)

    rows = [row(create, size, archive.stat().st_size), row(extract, size, None)]
    for name in found:
        stored = (work / f"slice.{name.split()[0]}").stat().st_size
        rows += [row(coding[name], slice_size, stored), row(decoding[name], slice_size, None)]
    lines = [
        format_table(["command", "MB", "s", "MB/s", "a core", "size", "peak MB"], rows),
        "",
    ]
    speed = size / create.median_cpu
    for name in found:
        share = speed / (slice_size / coding[name].median_cpu)
        lines.append(f"A core of `create` does {share:.2f} times what a core of `{name}` does.")
    files = sum(path.is_file() for path in tree.rglob("*"))
    lines.append(f"`create` had {files} files, and `extract` gave back equal ones.")
    shutil.rmtree(tree)
    shutil.rmtree(out)
    return "\n".join(lines)


def check_equal(one: Path, other: Path) -> None:
    """Compare the files of two folders, or end the benchmark."""
    names = [str(path.relative_to(one)) for path in sorted(one.rglob("*")) if path.is_file()]
    _, different, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    if different or missing:
        raise SystemExit(f"extracted files differ: {', '.join((different + missing)[:3])}")


def measure_memory(options: argparse.Namespace, texts: Path, work: Path) -> str:
    """Return the peak memory of `create` and `extract` by number of workers."""
    tree, archive = work / "small", work / "small.lmarc"
    make_tree(texts, tree, int(min(options.size, 32) * MB))
    bare = time_command([sys.executable, "-c", "pass"]).peak
    loaded = time_command([sys.executable, "-c", f"import {LIBRARIES}"]).peak
    rows = []
    for jobs in MEMORY_JOBS:
        create, extract = lmarc_commands(options.model, jobs)
        peaks = [time_command(f"{create} {archive} -C {tree} .").peak]
        with tempfile.TemporaryDirectory(dir=work) as out:
            peaks.append(time_command(f"{extract} {archive} -C {out}").peak)
        rows.append(
            [str(jobs), *(f"{(peak - base) / MB:.0f}" for base in (0, loaded) for peak in peaks)]
        )
    shutil.rmtree(tree)
    table = format_table(["workers", *MEMORY_COLUMNS], rows)
    return (
        f"Peak memory, in MB, and how much of it is beyond Python with the libraries ({LIBRARIES}),"
        f" which has {loaded / MB:.0f} MB; Python alone has {bare / MB:.0f}:\n\n{table}"
    )


def run(options: argparse.Namespace) -> int:
    """Measure speed, then memory."""
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        texts = work / "texts"
        copy_texts(options.data, texts)
        warm_up(options, work)
        parts = [
            describe_machine("zstandard", "numpy", "numba", "llvmlite"),
            measure_speed(options, texts, work),
            measure_memory(options, texts, work),
        ]
    _page.publish(options.page, "speed", "\n\n".join(parts))
    return 0


def warm_up(options: argparse.Namespace, work: Path) -> None:
    """Run both commands on a little text, so that kernels are compiled and files are cached."""
    (work / "little").mkdir()
    (work / "little" / "text.txt").write_text("some words of a text\n" * 400)
    create, extract = lmarc_commands(options.model, 1)
    time_command(f"{create} {work / 'little.lmarc'} -C {work / 'little'} .")
    time_command(f"{extract} {work / 'little.lmarc'} -C {work / 'little'}")
