"""Plots of the ratio benchmark: bits per byte against chunk size, and against speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.benchmarks._ratios import NGRAM, STORED, XZ_FILE, Ratios, nearest, size_text

# Coder -> colour, marker, line; those not named here are left out of the lines. Colours are told
# apart by readers who see no red or green, and each line has a marker of its own.
STYLES = {
    "zstd -19": ("#999999", "o", "-"),
    "xz -9e": ("#777777", "s", "-"),
    "zstd -19 + dictionary": ("#E69F00", "o", "--"),
    "brotli -11": ("#CC79A7", "D", "-"),
    "PPMd-6": ("#56B4E9", "^", "-"),
    "PPMd-16 primed": ("#0072B2", "^", "--"),
    "PPMd-16 primed, own kind": ("#009E73", "v", "--"),
    NGRAM: ("#D55E00", "o", "-"),
    "lmarc neural": ("#8B1A1A", "s", ":"),
    "lmarc contexts": ("#7B3294", "o", "--"),
    "lmarc multiscale": ("#000000", "D", "-"),
    "lmarc subword": ("#B8860B", "v", ":"),
}
OTHERS = ("#444444", "o", "-")


@contextmanager
def _figure(path: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    settings = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.7,
        "axes.axisbelow": True,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
    }
    with plt.rc_context(settings):
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        yield figure, list(axes.flat)
        path.parent.mkdir(parents=True, exist_ok=True)
        # No date and no version inside, so that equal figures give equal files.
        figure.savefig(path, dpi=130, metadata={"Software": None})
        plt.close(figure)


def draw(ratios: Ratios, folder: Path) -> None:
    """Write both plots."""
    if len(ratios.sizes) > 1:
        draw_sizes(ratios, folder / "ratio-by-chunk-size.png")
    draw_speed(ratios, folder / "ratio-by-speed.png", nearest(ratios.sizes, 64 << 10))


def draw_sizes(ratios: Ratios, path: Path) -> None:
    """Draw bits per byte against chunk size, a panel for each domain and one for all texts."""
    panels: list[tuple[str, str | None]] = [("all texts", None)]
    panels += [(domain, domain) for domain in ratios.domains]
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    shown = [coder for coder in STYLES if coder in ratios.coders]
    height = 2.5 * rows + 0.65  # inches
    with _figure(path, rows, columns, (3.0 * columns, height)) as (figure, axes):
        for axis, (title, domain) in zip(axes, panels, strict=False):
            count = len(ratios.names(domain))
            axis.set_title(f"{title} ({count})")
            for coder in shown:
                colour, marker, line = STYLES[coder]
                axis.plot(
                    range(len(ratios.sizes)),
                    [ratios.bits(coder, size, domain) for size in ratios.sizes],
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    markersize=4,
                    linewidth=2.2 if coder == NGRAM else 1.3,
                    label=coder,
                    zorder=3 if coder == NGRAM else 2,
                )
            axis.set_xticks(range(len(ratios.sizes)), [size_text(size) for size in ratios.sizes])
            axis.tick_params(axis="x", labelsize=7)
            axis.set_ylim(bottom=0)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for row in range(rows):
            axes[row * columns].set_ylabel("bits per byte")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncol=4, frameon=False)
        figure.text(0.5, 0.52 / height, "chunk, coded by itself", ha="center")
        figure.tight_layout(rect=(0, 0.65 / height, 1, 1))


def draw_speed(ratios: Ratios, path: Path, size: int) -> None:
    """Draw bits per byte against the speed of one core, compressing and decompressing."""
    with _figure(path, 1, 2, (10, 4.6)) as (figure, axes):
        for number, (axis, title) in enumerate(
            zip(axes, ("compressing", "decompressing"), strict=True)
        ):
            points = []
            for coder in ratios.coders:
                speed = ratios.speed(coder, size)[number]
                if speed is None or coder in {STORED, XZ_FILE}:
                    continue
                colour, marker, _ = STYLES.get(coder, OTHERS)
                bits = ratios.bits(coder, size)
                axis.plot(speed, bits, color=colour, marker=marker, markersize=7, zorder=3)
                points.append((speed, bits, coder))
            axis.set_xscale("log")
            axis.set_title(f"{title}, {size_text(size)} chunks")
            axis.set_xlabel("MB/s of one core")
            low, high = axis.get_xlim()
            axis.set_xlim(low / 4, high * (high / low) ** 0.25)
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            _label(axis, points)
        axes[0].set_ylabel("bits per byte, all texts")
        figure.tight_layout()


def _label(axis: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Write names beside points, on the first side where nothing else is."""
    place = axis.transAxes.inverted().transform
    dots = {name: place(axis.transData.transform((x, y))) for x, y, name in points}
    half_height = 0.022
    taken = [(x - 0.012, x + 0.012, y - 0.02, y + 0.02) for x, y in dots.values()]
    for name, (x, y) in dots.items():
        width = 0.0165 * len(name)
        sides = [(x + 0.02, y), (x - 0.02 - width, y)]
        sides += [(x - width / 2, y + step * 0.05) for step in (1, -1, 2, -2, 3, -3)]
        for left, middle in sides:
            box = (left, left + width, middle - half_height, middle + half_height)
            if not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        weight = "bold" if name.startswith("lmarc") else "normal"
        axis.text(
            left,
            middle,
            name,
            transform=axis.transAxes,
            fontsize=8,
            va="center",
            fontweight=weight,
        )


Box = tuple[float, float, float, float]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
