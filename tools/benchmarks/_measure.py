"""What benchmarks share: timing of whole commands, memory, tables, the machine, test data."""

import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

# A process starts with the peak memory of the one that starts it, so a small one does: its own few
# MB are the least that is measured.
_LAUNCHER = """
import os, sys, time
os.set_inheritable(int(sys.argv[1]), False)
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
with open(int(sys.argv[1]), "w") as report:
    print(code, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=report)
"""


@dataclass
class Runs:
    """Repeated measurements of one command."""

    name: str
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)  # of all its threads and children
    peak: int = 0  # bytes of resident memory, of the largest process

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def median_cpu(self) -> float:
        """Seconds of processor time."""
        return statistics.median(self.cpu_seconds)


def time_command(
    command: str | Sequence[str], runs: Runs | None = None, cwd: Path | None = None
) -> Runs:
    """Run a command, of the shell if it is a string; add its time and peak memory to `runs`."""
    runs = runs or Runs(str(command))
    shell = ["sh", "-ec", command] if isinstance(command, str) else list(command)
    os.sync()  # what others have written is not this command's to wait for
    reading, writing = os.pipe()
    launch = [sys.executable, "-ISc", _LAUNCHER, str(writing), *shell]
    with os.fdopen(reading) as report:
        try:
            process = subprocess.Popen(launch, cwd=cwd, pass_fds=[writing])
        finally:
            os.close(writing)
        words = report.read().split()
    if process.wait() or len(words) != 4 or int(words[0]):
        raise SystemExit(f"exit code {words[0] if words else '?'}: {command}")
    runs.seconds.append(float(words[1]))
    runs.cpu_seconds.append(float(words[2]))
    runs.peak = max(runs.peak, int(words[3]) << 10)
    return runs


def alternate(repeats: int, *steps: Callable[[], object]) -> None:
    """Run the steps in turn, `repeats` times: a slow minute of the machine hits them all."""
    for _ in range(repeats):
        for step in steps:
            step()


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, padded to be read as it is."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = []
    for number, row in enumerate([head, *rows]):
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rules = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
            lines.append("|" + "|".join(rules) + "|")
    return "\n".join(lines)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table and an empty line."""
    print(format_table(head, rows), end="\n\n", flush=True)


def describe_machine(*packages: str) -> str:
    """Name the machine, Python and the versions of packages, and the load.

    To be called before anything is measured: later the load is the benchmark's own.
    """
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    # Programs that ran in the minute before: figures of a busy machine are worth less.
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    return (
        f"{processor}, {cores} cores, {memory} GiB, {platform.system()} {platform.release()}.\n"
        f"Python {platform.python_version()}, {versions}. Load before: {load}."
    )


def print_machine() -> None:
    """Name the machine and the versions that the figures below belong to."""
    print(describe_machine("zstandard", "pyarrow", "numpy", "fsspec"))
    zstd = shutil.which("zstd")
    if zstd:
        done = subprocess.run([zstd, "--version"], capture_output=True, text=True, check=True)
        print(done.stdout.strip().strip("*").strip())
    print(flush=True)


def make_tree(data: Path, target: Path, size: int) -> int:
    """Fill `target` with copies of the files in `data` until they are `size` bytes; return that.

    The n-th copy of a file begins at another place in it, so that no two are the same.
    """
    sources = sorted(path for path in data.rglob("*") if path.is_file() and not path.is_symlink())
    if not sources:
        raise SystemExit(f"no files in {data}")
    rng = random.Random(1)
    total = copy = 0
    while total < size:
        for source in sources:
            content = source.read_bytes()[: size - total]
            if copy and content:
                cut = rng.randrange(len(content))
                content = content[cut:] + content[:cut]
            path = target / f"{copy:03}" / source.relative_to(data)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            total += len(content)
            if total >= size:
                break
        copy += 1
    return total
