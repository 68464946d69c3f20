"""Sizes of texts cut into chunks that decode alone: the codecs for text and their peers.

Every coder codes the same chunks in the same run, and each chunk is decoded and compared. Sizes are
those of real payloads; seconds are of processor time. `--train` names the text from which peers
take what they may know beforehand: a zstd dictionary and the text that PPMd is primed with.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmarc.cli import options as units
from lmarc.codec.base import (
    CodecNumber,
    CodecSettings,
    ContentClass,
    ModelCodec,
    ModelKind,
    ModelRef,
)
from lmarc.codec.choose import decode_chunk, encode_chunk, settings_for
from lmarc.codec.registry import codec_by_name
from lmarc.format.chunk import ChunkHeader
from lmarc.model import registry
from lmarc.routing.sniff import classify
from tools.benchmarks import _page
from tools.benchmarks._measure import describe_machine
from tools.benchmarks._peers import (
    PRIMING_SIZE,
    Coded,
    Coder,
    PrimedPpmd,
    TrainingText,
    coders,
    measure,
    xz_container_size,
)
from tools.benchmarks._ratios import (
    NGRAM,
    OTHER,
    PRIMED,
    PRIMED_OWN,
    RIVALS,
    STORED,
    XZ_FILE,
    Cell,
    Ratios,
    domain_of,
    domain_table,
    file_table,
    headline_table,
    mean_table,
    nearest,
    size_text,
    speed_table,
)

SIZES = "4K,16K,64K,256K,1M"
OTHERS = ("neural", "contexts", "multiscale", "subword")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, help="folder with texts")
    parser.add_argument("--chunks", default=SIZES, help="chunk sizes (%(default)s)")
    parser.add_argument(
        "--files",
        action="append",
        metavar="GLOB",
        help="only these, relative to --data (all texts); can be repeated",
    )
    parser.add_argument("--train", nargs="+", metavar="PATH", help="training text, as for `train`")
    parser.add_argument("--model", help="the n-gram model (the one that comes with lmarc)")
    parser.add_argument(
        "--codecs",
        default=",".join(OTHERS),
        help="codecs with the models that come with lmarc, besides the n-gram codec (%(default)s)",
    )
    parser.add_argument(
        "--count", type=int, default=16, help="chunks of each file, evenly spaced (%(default)s)"
    )
    parser.add_argument(
        "--sample",
        type=units.size,
        default=2 << 20,
        metavar="SIZE",
        help="bytes of each file at most, but at least one chunk (2M)",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--save", type=Path, help="keep what was measured, as JSON")
    parser.add_argument("--load", type=Path, help="measure nothing, take what --save has kept")
    parser.add_argument("--no-plots", action="store_true", help="draw nothing")
    _page.add_page_option(parser)


@dataclasses.dataclass(frozen=True)
class Task:
    """One file at one chunk size."""

    path: Path
    name: str
    chunk_size: int
    count: int
    sample: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the sampled chunks, evenly spaced over the file; the last may be short."""
        size = self.path.stat().st_size
        total = -(-size // self.chunk_size)
        wanted = max(1, min(total, self.count, self.sample // self.chunk_size))
        with self.path.open("rb") as file:
            for number in range(wanted):
                index = (2 * number + 1) * total // (2 * wanted)
                file.seek(index * self.chunk_size)
                yield file.read(self.chunk_size)

    @property
    def work(self) -> int:
        """Bytes to code, about."""
        return min(self.path.stat().st_size, self.sample, self.count * self.chunk_size)


def find_texts(folder: Path, patterns: Sequence[str] | None) -> list[Path]:
    """Return the files that lmarc takes for text, or whose names say so."""
    paths = sorted({path for glob in patterns or ["**/*"] for path in folder.glob(glob)})
    found = [path for path in paths if path.is_file() and path.stat().st_size]
    if patterns is None:
        found = [path for path in found if is_text(path)]
    if not found:
        raise SystemExit(f"no texts in {folder}")
    return found


def name_of(path: Path, names: Sequence[str], folder: Path) -> str:
    """Return a file's name, with its folders where another has the same."""
    return path.name if names.count(path.name) == 1 else str(path.relative_to(folder))


def is_text(path: Path) -> bool:
    """Tell whether the router calls a file text, or it is one of the corpora's texts by name."""
    content = path.read_bytes()
    text = classify(content, len(content), os.fsencode(path.name)) == ContentClass.TEXT
    return text or domain_of(path.name) != OTHER


class Bench:
    """One worker's coders."""

    def __init__(
        self, settings: CodecSettings, training: TrainingText | None, codecs: Sequence[str]
    ) -> None:
        self._settings = settings
        self._others = [_coder_of(name) for name in codecs]
        for coder in self._others:
            measure(coder, b"kernels are loaded and memory is touched before anything is timed")
        self._dictionary = training.dictionary if training else None
        self._mixed = PrimedPpmd(training.mixed) if training else None
        self._own = [PrimedPpmd(text) for text in training.domains.values()] if training else []
        self._model: ModelRef | None = None
        if settings.model_sha256 is not None:
            sha256, path = settings.model_sha256, settings.model_path
            self._model = ModelRef(ModelKind.NGRAM, sha256, None, path)
        self._ngram(b"kernels are loaded and memory is touched before anything is timed")

    def _ngram(self, content: bytes) -> tuple[Coded, int]:
        """Code a chunk as `create` does: the payload of the codec, the size of the record."""
        results: list[Any] = []

        def compress(content: bytes) -> bytes:
            results.append(encode_chunk(content, ContentClass.TEXT, self._settings))
            return bytes(results[-1].payload)

        def decompress(payload: bytes, size: int) -> bytes:
            return decode_chunk(results[-1].codec, payload, size, self._model)

        coded = measure(Coder(NGRAM, compress, decompress), content)
        stored = coded.size + ChunkHeader.OVERHEAD
        if results[-1].codec != CodecNumber.NGRAM:
            # zstd or nothing at all was smaller; the codec by itself is what NGRAM stands for.
            from lmarc.codec.ngram import CODEC

            coded = measure(
                Coder(
                    NGRAM,
                    lambda content: CODEC.compress(content, self._model),
                    lambda payload, size: CODEC.decompress(payload, size, self._model),
                ),
                content,
            )
        return coded, stored

    def run(self, task: Task) -> list[Cell]:
        """Code the chunks of a task by every coder."""
        cells: dict[str, Cell] = {}

        def add(coder: str, coded: Coded, content: bytes) -> None:
            cell = cells.setdefault(
                coder, Cell(task.name, domain_of(task.path.name), task.chunk_size, coder)
            )
            cell.chunks += 1
            cell.content += len(content)
            cell.coded += coded.size
            cell.compress_seconds += coded.compress_seconds or 0.0
            cell.decompress_seconds += coded.decompress_seconds or 0.0

        peers = coders(task.chunk_size, self._dictionary)
        own: PrimedPpmd | None = None
        for content in task.chunks():
            for peer in peers:
                coded = measure(peer, content)
                add(peer.name, coded, content)
                if peer.name == "xz -9e":
                    size = xz_container_size(coded.size)
                    add(XZ_FILE, dataclasses.replace(coded, size=size), content)
            if self._mixed is not None:
                add(PRIMED, self._mixed.measure(content), content)
                if own is None:  # as lmarc chooses a profile: by what codes a beginning best
                    head = content[:4096]
                    own = min(self._own, key=lambda primed: primed.measure(head).size)
                add(PRIMED_OWN, own.measure(content), content)
            coded, stored = self._ngram(content)
            add(STORED, dataclasses.replace(coded, size=stored), content)
            add(NGRAM, coded, content)
            for coder in self._others:
                add(coder.name, measure(coder, content), content)
        return list(cells.values())


def _coder_of(name: str) -> Coder:
    """Return a codec of lmarc with the model that comes with it; `contexts` is preset `high`."""
    codec, model = codec_by_name("multiscale" if name == "contexts" else name), None
    assert isinstance(codec, ModelCodec)
    if name == "contexts":
        found = registry.locate(name, ModelKind.MULTISCALE)
        model = ModelRef(found.kind, found.sha256, None, None, found.size)
    return Coder(
        f"lmarc {name}",
        lambda content: codec.compress(content, model),
        lambda payload, size: codec.decompress(payload, size, model),
    )


_BENCH: list[Bench] = []


def _start_worker(settings: CodecSettings, training: Path | None, codecs: Sequence[str]) -> None:
    text = pickle.loads(training.read_bytes()) if training else None
    _BENCH.append(Bench(settings, text, codecs))


def _run_task(task: Task) -> list[Cell]:
    return _BENCH[0].run(task)


def measure_all(options: argparse.Namespace, settings: CodecSettings) -> list[Cell]:
    """Run every task in `--jobs` processes; the order of results does not depend on them."""
    sizes = [units.size(text) for text in options.chunks.split(",")]
    paths = find_texts(options.data, options.files)
    names = [path.name for path in paths]
    tasks = [
        Task(path, name_of(path, names, options.data), size, options.count, options.sample)
        for size in sizes
        for path in paths
    ]
    tasks.sort(key=lambda task: -task.work)
    total = sum(task.work for task in tasks)
    print(f"{len(paths)} texts, {total / 1e6:.0f} MB of chunks", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        training = None
        if options.train:
            from lmarc.train.data import documents

            training = Path(folder, "training")
            training.write_bytes(pickle.dumps(TrainingText.sample(documents(options.train))))
        start, done, cells = time.perf_counter(), 0, []
        context = multiprocessing.get_context("spawn")
        codecs = options.codecs.split(",") if options.codecs else []
        with context.Pool(options.jobs, _start_worker, (settings, training, codecs)) as pool:
            for task, made in zip(tasks, pool.imap(_run_task, tasks), strict=True):
                cells += made
                done += task.work
                seconds = time.perf_counter() - start
                left = seconds * (total - done) / done
                text = f"{done / total:4.0%}, {left:4.0f} s left, {size_text(task.chunk_size)}"
                print(f"{text} of {task.name}", file=sys.stderr, flush=True)
    return sorted(cells, key=lambda cell: (cell.file, cell.chunk_size))


def settings_of(model: str | None) -> tuple[CodecSettings, int]:
    """Return the settings of preset `balanced` with a model, and that model's size in bytes."""
    found = registry.locate("ngram", ModelKind.NGRAM, model)
    settings = settings_for("balanced")
    if found.path is None:
        return settings, found.size
    return (
        dataclasses.replace(settings, model_sha256=found.sha256, model_path=found.path),
        found.size,
    )


def section(ratios: Ratios, about: dict[str, Any]) -> str:
    """Return the page's section: what was measured, and the tables."""
    middle = nearest(ratios.sizes, 64 << 10)
    detail = [size for size in ratios.sizes if size in {4 << 10, 64 << 10, 256 << 10}]
    detail = detail or ratios.sizes
    chunks = ", ".join(
        f"{sum(ratios.cell(file, size, NGRAM).chunks for file in ratios.names())} of "
        f"{size_text(size)}"
        for size in ratios.sizes
    )
    trained = (
        f"The dictionary (112 KiB) and {PRIMING_SIZE / 1e6:.0f} MB of priming text come from the "
        f"same training text as lmarc's model."
        if PRIMED in ratios.coders
        else "Peers with training text were left out."
    )
    model = f"Model: {about['model_size']:,} bytes, beside the archive and not counted."
    comparison = (
        f"Bytes of lmarc as a share of the best of {', '.join(RIVALS)}, chosen text by text on the "
        "same chunks; geometric mean over all texts. *Payload* compares what the codecs write; "
        f"*whole record* adds the {ChunkHeader.OVERHEAD} bytes of a chunk record to lmarc's side "
        "alone, and takes zstd's payload where it is smaller, as an archive does."
    )
    parts = [
        about["machine"],
        f"{len(ratios.files)} texts; chunks: {chunks}. {model} {trained}",
        "### Against the best of the classical ones",
        comparison,
        headline_table(ratios),
        "### All coders",
        "Bits per byte, geometric mean over all texts.",
        mean_table(ratios),
        "### By kind of text",
        *(domain_table(ratios, size) for size in detail),
        "### By text",
        f"Bits per byte at {size_text(middle)}; shares as above.",
        file_table(ratios, detail, middle),
        "### Speed of one core",
        "MB/s of processor time. The coder with a dictionary starts with it loaded.",
        speed_table(ratios, middle),
    ]
    return "\n\n".join(parts)


def run(options: argparse.Namespace) -> int:
    """Measure or load, then print, write the page and draw."""
    start = time.perf_counter()
    if options.load is not None:
        kept = json.loads(options.load.read_text())
        about, cells = kept["about"], [Cell(**cell) for cell in kept["cells"]]
    else:
        if options.data is None:
            raise SystemExit("--data or --load is needed")
        settings, model_size = settings_of(options.model)
        packages = ("zstandard", "brotli", "pyppmd", "numpy", "numba", "llvmlite")
        about = {"machine": describe_machine(*packages), "model_size": model_size}
        cells = measure_all(options, settings)
    order = {cell.coder: number for number, cell in reversed(list(enumerate(cells)))}
    cells.sort(key=lambda cell: order[cell.coder])
    if options.save is not None:
        kept = {"about": about, "cells": [dataclasses.asdict(cell) for cell in cells]}
        options.save.write_text(json.dumps(kept, indent=0))
    ratios = Ratios(cells)
    _page.publish(options.page, "ratio", section(ratios, about))
    if not options.no_plots and options.page.is_file():
        from tools.benchmarks import _plots

        _plots.draw(ratios, options.page.parent / "images")
    print(f"{time.perf_counter() - start:.0f} s in all", file=sys.stderr)
    return 0
