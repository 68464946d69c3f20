"""What the ratio benchmark makes of its measurements: means, comparisons, tables."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tools.benchmarks._measure import format_table

RIVALS = ("zstd -19", "xz -9e", "brotli -11", "PPMd-6")
"""The classical compressors of which the best one, file by file, is what lmarc is held against."""
NGRAM, STORED = "lmarc ngram", "lmarc, stored"
XZ_FILE = "xz -9e, .xz file"
PRIMED, PRIMED_OWN = "PPMd-16 primed", "PPMd-16 primed, own kind"
MB = 1_000_000

# Domain -> names of files, as patterns; the first that fits decides.
DOMAINS = {
    "books": (
        "dickens", "alice29.txt", "asyoulik.txt", "lcet10.txt", "plrabn12.txt",
        "tinyshakespeare.txt", "book[12]",
    ),
    "papers, news": ("paper[1-6]", "news", "bib"),
    "Wikipedia": ("enwik*", "*_wiki_*"),
    "code": ("*.c", "*.py", "*.lsp", "*.html", "*.1", "prog[clp]", "HumanEval.jsonl"),
    "questions in JSON": ("*.json", "*.jsonl"),
    "logs": ("*.log", "trans"),
    "tables, XML": ("*.csv", "*.tsv", "xml", "*.xml"),
}  # fmt: skip
OTHER = "other"


def domain_of(name: str) -> str:
    """Return the domain of a file by its name."""
    for domain, patterns in DOMAINS.items():
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
            return domain
    return OTHER


@dataclass
class Cell:
    """All sampled chunks of one file at one chunk size, by one coder."""

    file: str
    domain: str
    chunk_size: int  # bytes
    coder: str
    chunks: int = 0
    content: int = 0  # bytes
    coded: int = 0  # bytes
    # Of processor time; zero: not measured.
    compress_seconds: float = 0.0
    decompress_seconds: float = 0.0

    @property
    def bits(self) -> float:
        """Bits per byte."""
        return 8 * self.coded / self.content


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, nan of nothing."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def size_text(size: int) -> str:
    """Return `64 KiB` for 65536."""
    return f"{size >> 20} MiB" if size >= 1 << 20 and size % (1 << 20) == 0 else f"{size >> 10} KiB"


class Ratios:
    """Measurements to ask: every question takes what was measured on the same chunks."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = {(cell.file, cell.chunk_size, cell.coder): cell for cell in cells}
        self.sizes = sorted({cell.chunk_size for cell in cells})
        self.coders = list(dict.fromkeys(cell.coder for cell in cells))
        self.files = sorted(
            {cell.file: cell.domain for cell in cells}.items(),
            key=lambda pair: (list(DOMAINS).index(pair[1]) if pair[1] in DOMAINS else 99, pair[0]),
        )
        self.domains = list(dict.fromkeys(domain for _, domain in self.files))

    def cell(self, file: str, size: int, coder: str) -> Cell:
        """Return one cell."""
        return self._cells[file, size, coder]

    def names(self, domain: str | None = None) -> list[str]:
        """Return the files of a domain, or all."""
        return [file for file, own in self.files if domain in {None, own}]

    def bits(self, coder: str, size: int, domain: str | None = None) -> float:
        """Return bits per byte, the geometric mean over files."""
        return geometric_mean(self.cell(file, size, coder).bits for file in self.names(domain))

    def rival(self, file: str, size: int) -> Cell:
        """Return the best of RIVALS."""
        return min((self.cell(file, size, coder) for coder in RIVALS), key=lambda cell: cell.coded)

    def against_best(self, file: str, size: int, coder: str = NGRAM) -> float:
        """Return a coder's bytes as a share of the best rival's."""
        return self.cell(file, size, coder).coded / self.rival(file, size).coded

    def mean_against_best(self, size: int, coder: str = NGRAM, domain: str | None = None) -> float:
        """Return the geometric mean of `against_best` over files."""
        return geometric_mean(self.against_best(file, size, coder) for file in self.names(domain))

    def speed(self, coder: str, size: int) -> tuple[float | None, float | None]:
        """Return MB/s of processor time, compressing and decompressing, where it was measured."""
        cells = [self.cell(file, size, coder) for file in self.names()]
        content = sum(cell.content for cell in cells) / MB
        compress = sum(cell.compress_seconds for cell in cells)
        decompress = sum(cell.decompress_seconds for cell in cells)
        return content / compress if compress else None, (
            content / decompress if decompress else None
        )


def headline_table(ratios: Ratios) -> str:
    """Lmarc against the best rival, one row a chunk size."""
    rows = []
    for size in ratios.sizes:
        shares = {file: ratios.against_best(file, size) for file in ratios.names()}
        worst = max(shares, key=lambda file: shares[file])
        best = min(shares, key=lambda file: shares[file])
        rows.append(
            [
                size_text(size),
                f"{ratios.mean_against_best(size):.3f}",
                f"{ratios.mean_against_best(size, STORED):.3f}",
                f"{shares[best]:.3f} {best}",
                f"{shares[worst]:.3f} {worst}",
                str(sum(share > 1 for share in shares.values())),
            ]
        )
    head = ["chunk", "payload", "whole record", "best text", "worst text", "texts above 1"]
    return format_table(head, rows)


def mean_table(ratios: Ratios) -> str:
    """Every coder at every chunk size: bits per byte."""
    head = ["chunk", *map(size_text, ratios.sizes)]
    rows = [
        [coder, *(f"{ratios.bits(coder, size):.3f}" for size in ratios.sizes)]
        for coder in ratios.coders
    ]
    return format_table(head, rows)


def domain_table(ratios: Ratios, size: int) -> str:
    """Every coder in every domain at one chunk size: bits per byte, and lmarc's share."""
    rows = [
        [coder, *(f"{ratios.bits(coder, size, domain):.3f}" for domain in ratios.domains)]
        for coder in ratios.coders
    ]
    shares = [f"{ratios.mean_against_best(size, domain=domain):.3f}" for domain in ratios.domains]
    rows.append([f"{NGRAM} / best", *shares])
    return format_table([size_text(size), *ratios.domains], rows)


def file_table(ratios: Ratios, sizes: Sequence[int], detail: int) -> str:
    """Every file: lmarc's share of the best rival at each of `sizes`; both in bits at `detail`."""
    head = ["text", "domain", NGRAM, "best rival", *(f"share, {size_text(s)}" for s in sizes)]
    rows = []
    for file, domain in ratios.files:
        rival = ratios.rival(file, detail)
        rows.append(
            [
                file,
                domain,
                f"{ratios.cell(file, detail, NGRAM).bits:.3f}",
                f"{rival.bits:.3f} {rival.coder}",
                *(f"{ratios.against_best(file, size):.3f}" for size in sizes),
            ]
        )
    return format_table(head, rows)


def speed_table(ratios: Ratios, size: int) -> str:
    """Every coder's speed beside its ratio."""
    rows = []
    for coder in ratios.coders:
        speeds = ["" if x is None else f"{x:.2f}" for x in ratios.speed(coder, size)]
        rows.append([coder, f"{ratios.bits(coder, size):.3f}", *speeds])
    return format_table([size_text(size), "bits per byte", "compress", "decompress"], rows)


def nearest(sizes: Sequence[int], wanted: int) -> int:
    """Return the chunk size that was measured and is closest to `wanted`."""
    distance: Callable[[int], float] = lambda size: abs(math.log(size / wanted))  # noqa: E731
    return min(sizes, key=distance)
