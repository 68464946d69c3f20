"""Draw how a training went: bits per byte against the text that was seen."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from lmarc.errors import ModelError

__all__ = ["draw", "require_matplotlib"]


def require_matplotlib() -> None:
    """Raise ModuleNotFoundError where there is none: before an hour of training, not after it."""
    importlib.import_module("matplotlib")


def draw(log: Path, png: Path) -> None:
    """Draw a log: what the network saves of the mixture's bits, in all and by domain.

    Raises
    ------
    ModelError
        When the log has no line yet: it gets one every twenty seconds.
    """
    lines = []
    if log.exists():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    if not lines:
        raise ModelError(f"{log} has no line to draw: the training was too short for a curve")
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    seen = [line["bytes"] / 1e6 for line in lines]
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for domain in sorted({domain for line in lines for domain in line["domains"]}):
        points = [
            (at, 100 * (line["domains"][domain][1] / line["domains"][domain][0] - 1))
            for at, line in zip(seen, lines, strict=True)
            if line["domains"].get(domain, (0, 0))[0]
        ]
        axes.plot(*_smoothed(points), label=domain, linewidth=0.9)
    together = [
        (at, 100 * (line["network"] / line["mixture"] - 1))
        for at, line in zip(seen, lines, strict=True)
    ]
    axes.plot(*_smoothed(together), label="all", color="black", linewidth=2)
    axes.set_xlabel("text seen, MB")
    axes.set_ylabel("bits against the mixture alone, %")
    axes.grid(color="#e6e6e6")
    axes.legend(fontsize=8, ncols=2)
    figure.tight_layout()
    # No date and no version inside, so that equal figures give equal files.
    figure.savefig(png, dpi=130, metadata={"Software": None})
    plt.close(figure)


def _smoothed(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return places and running means: one line of the log is a few chunks and jumps about."""
    width = max(1, len(points) // 12)
    values = [value for _, value in points]
    means = [
        sum(values[max(0, at - width) : at + 1]) / len(values[max(0, at - width) : at + 1])
        for at in range(len(values))
    ]
    return [at for at, _ in points], means
