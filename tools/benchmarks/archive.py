"""Archives as files: speed and memory against tar and zstd, requests on S3, a million members.

Every time is the median of `--repeats` runs of whole commands, all in one run of this program.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools.benchmarks._measure import (
    Runs,
    alternate,
    make_tree,
    print_machine,
    print_table,
    time_command,
)

MB = 1_000_000
PARTS = ("speed", "s3", "many")
LMARC = [sys.executable, "-m", "lmarc"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="folder with files to archive")
    parser.add_argument("--size", type=int, default=500, help="MB of data for speed (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="worker threads (%(default)s)")
    parser.add_argument("--members", type=int, default=2000, help="on S3 (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="tiny members (%(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="which to run (%(default)s)")
    parser.add_argument("--work", type=Path, help="folder for what is made (a temporary one)")


def run_parts(options: argparse.Namespace, work: Path) -> None:
    """Run the parts asked for, in `work`, each in a process of its own."""
    parts: dict[str, Callable[[argparse.Namespace, Path], None]] = {
        "speed": measure_speed,
        "s3": measure_s3,
        "many": measure_many,
    }
    chosen = options.parts.split(",")
    if unknown := set(chosen) - set(parts):
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}")
    print_machine()
    for name in chosen:
        process = multiprocessing.get_context("spawn").Process(
            target=parts[name], args=(options, work)
        )
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"part {name} failed")


def measure_speed(options: argparse.Namespace, work: Path) -> None:
    """Create and extract `--size` MB, whole commands."""
    tree, out = work / "tree", work / "out"
    size = make_tree(options.data, tree, options.size * MB)
    print(f"{size / MB:.0f} MB in {sum(len(f) for _, _, f in os.walk(tree))} files\n")
    tar, archive = work / "tree.tar.zst", work / "tree.lmarc"
    jobs = options.jobs
    python = " ".join(LMARC)
    tar_create, create = Runs(f"tar c | zstd -3 -T{jobs}"), Runs(f"lmarc create, {jobs} jobs")
    tar_extract, extract = Runs("zstd -d | tar x"), Runs(f"lmarc extract, {jobs} jobs")

    def emptied() -> Path:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return out

    have_peers = bool(shutil.which("tar") and shutil.which("zstd"))
    shell = f"{python} create {archive} --preset fast --zstd-level 3 --jobs {jobs} -q -C {tree} ."
    steps = [lambda: time_command(shell, create)]
    if have_peers:
        peer = f"tar -C {tree} -cf - . | zstd -q -3 -T{jobs} -f -o {tar}"
        steps.insert(0, lambda: time_command(peer, tar_create))
    steps.append(
        lambda: time_command(f"{python} extract {archive} --jobs {jobs} -q -C {emptied()}", extract)
    )
    if have_peers:
        steps.append(
            lambda: time_command(f"zstd -q -d -c {tar} | tar -C {emptied()} -xf -", tar_extract)
        )
    alternate(options.repeats, *steps)

    rows = []
    for runs, made in (
        (tar_create, tar),
        (create, archive),
        (tar_extract, tar),
        (extract, archive),
    ):
        if runs.seconds:
            low, high = min(runs.seconds), max(runs.seconds)
            rows.append(
                [
                    runs.name,
                    f"{runs.median:.2f}",
                    f"{low:.2f}-{high:.2f}",
                    f"{size / MB / runs.median:.0f}",
                    f"{made.stat().st_size / size:.4f}",
                    f"{runs.peak / MB:.0f}",
                ]
            )
    print_table(["command", "s", "range", "MB/s", "size", "peak MB"], rows)
    if have_peers:
        print(f"create: {create.median / tar_create.median:.2f} times the peer's time")
        print(f"extract: {extract.median / tar_extract.median:.2f} times the peer's time\n")
    shutil.rmtree(tree)
    shutil.rmtree(out)


_CREATE_MANY = """
import sys, lmarc
with lmarc.Writer(sys.argv[1], preset="fast") as writer:
    for number in range(int(sys.argv[2])):
        writer.add_bytes(f"{number // 1000:04}/{number:07}.txt", b"%d" % number)
"""
_OPEN_MANY = """
import sys, lmarc
archive = lmarc.open(sys.argv[1])
assert len(archive) == int(sys.argv[2])
"""
_FILTER_MANY = (
    _OPEN_MANY
    + """
import pyarrow.compute as pc
members = archive.members
large = members.filter(pc.greater(members.column("size"), 5))
"""
)


def measure_s3(options: argparse.Namespace, work: Path) -> None:
    """Count the requests of each reader of `--members` members, as `remote` does."""
    from tools.benchmarks import remote

    folder = work / "s3"
    folder.mkdir()
    print(f"{options.members} members of {remote.MEMBER} bytes on S3\n")
    costs = remote.measure_requests(folder, options.members)
    rows = [[name, *("-" if c is None else str(c) for c in row)] for name, row in costs.items()]
    print_table(["reader", *remote.COLUMNS], rows)
    shutil.rmtree(folder)


def measure_many(options: argparse.Namespace, work: Path) -> None:
    """Create, open, filter and list an archive of very many tiny members."""
    archive = work / "many.lmarc"
    many = [str(archive), str(options.many)]
    print(f"{options.many} members of a few bytes\n")
    python = [sys.executable, "-c"]
    listed = f"{' '.join(LMARC)} list {archive} >{work / 'listing'}"
    runs = [
        time_command([*python, _CREATE_MANY, *many], Runs("create, Writer.add_bytes")),
        Runs("lmarc.open, len"),
        Runs("lmarc.open, filter by size"),
        Runs("lmarc list, to a file"),
    ]
    alternate(
        options.repeats,
        lambda: time_command([*python, _OPEN_MANY, *many], runs[1]),
        lambda: time_command([*python, _FILTER_MANY, *many], runs[2]),
        lambda: time_command(listed, runs[3]),
    )
    rows = [[item.name, f"{item.median:.2f}", f"{item.peak / MB:.0f}"] for item in runs]
    print_table(["what", "s", "peak MB"], rows)
    print(f"{archive.stat().st_size / options.many:.1f} bytes of archive for each member\n")


def run(options: argparse.Namespace) -> int:
    """Run the parts in a folder of their own."""
    start = time.perf_counter()
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        run_parts(options, Path(work))
    print(f"{time.perf_counter() - start:.0f} s in all")
    return 0
