"""Make the network that comes with lmarc smaller, in several ways, and say what each costs.

    python tools/shrink.py CORPUS... [--minutes 4] [--only NAME,...] [--work DIR]
        [--fold TEXT MODEL]... [--resume]

Every row is trained for as long, on the same text, on one thread, but for what is only rounded to
four bits: networks without their least important units, and students of the shipped network beside
the same students alone. With `--fold`, which takes what tools/make_fold.py makes, they learn from
its text and from no other: text that the shipped network need not have seen. With `--resume` they
go on from what --work has of them, up to --minutes in all. The table has bits per byte of text that
was held out, as it is coded; the share of what the shipped network takes; multiply-adds a byte;
bytes of the file; and processor time of coding a byte.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lmarc.cli import options as units
from lmarc.codec.neural import compress_with
from lmarc.model import registry
from lmarc.model.neural import NeuralModel, multiply_adds
from lmarc.train.beneath import Fold, base_model, initial_model, read_folds
from lmarc.train.data import Corpus, documents, gather
from lmarc.train.export import restore
from lmarc.train.loop import Settings
from lmarc.train.neural import held_out_bits, train_neural

HEAD = (
    "network", "minutes", "MB of text", "bits a byte", "share", "multiply-adds a byte", "file",
    "us a byte",
)  # fmt: skip
JOIN_TEXT = 1_000_000  # bytes
HELD_OUT = 2_000_000
TIMED = 128 << 10  # bytes of text that are coded
RATE, RATE_FROM_CHANCE = 2e-3, 4e-3
STUDENT = {"first": 128, "second": 64}


class Way(NamedTuple):
    """How a network is made."""

    # Of a training; `to` is what it is pruned to the multiply-adds of.
    settings: dict[str, Any]
    begins: bool = True  # with the shipped network
    taught: bool = False  # by the shipped network
    trains: bool = True


WAYS = {
    "shipped": Way({}, trains=False),
    "4-bits": Way({"bits": 4}, trains=False),
    "pruned-25": Way({"prune": 0.25}),
    "pruned-25-taught": Way({"prune": 0.25, "soft": 0.95}, taught=True),
    "pruned-25-alone": Way({"first": 304, "second": 224, "layers": 4}, begins=False),
    "pruned-50": Way({"prune": 0.5}),
    "pruned-25-4-bits": Way({"prune": 0.25, "bits": 4}),
    "student-alone": Way(STUDENT, begins=False),
    "student-taught": Way({**STUDENT, "soft": 0.5}, begins=False, taught=True),
    "student-pruned": Way({"to": STUDENT}),
    "student-pruned-taught": Way({"to": STUDENT, "soft": 0.5}, taught=True),
}


def measure(
    name: str,
    corpus: Corpus,
    minutes: float,
    work: Path,
    folds: Sequence[Fold],
    resume: bool = False,
) -> list[str]:
    """Make one network; return its row, without the share."""
    way = WAYS[name]
    base, inside = base_model(None)
    shipped = initial_model("shipped", base)
    assert shipped is not None
    folder = work / name
    given: dict[str, Any] = {
        "first": shipped.units[0],
        "second": shipped.units[1],
        "layers": shipped.layers if way.begins else 2,
        "rows": 16,
        "rate": RATE if way.begins else RATE_FROM_CHANCE,
    }
    given |= way.settings
    if "to" in given:
        most = multiply_adds(*given.pop("to").values())
        given["prune"] = 1 - most / shipped.multiply_adds
    weights = dict.fromkeys(corpus.part("mixture"), 0.0) if folds else {}
    settings = Settings(minutes=minutes if way.trains else 0.0, weights=weights, **given)
    data = registry.find_bytes(registry.shipped("neural"))
    seen = 0
    if way.settings or way.trains:
        data = train_neural(
            corpus,
            base,
            inside,
            settings,
            folder,
            join_text=JOIN_TEXT,
            init=shipped if way.begins else None,
            teacher=restore(shipped) if way.taught else None,
            folds=folds,
            resume=resume and way.trains,
        )
        state = torch.load(folder / "checkpoint.pt", weights_only=True)
        seen = int(state["step"]) * settings.rows * settings.steps
    _, bits, _ = held_out_bits(data, base, corpus, HELD_OUT)
    model = NeuralModel.parse(registry.neural_sections(data), base)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.lmmodel").write_bytes(data)
    content = max(corpus.part("held out").values(), key=len)[:TIMED]
    compress_with(model, content[:4096])
    times = []
    for _ in range(3):
        start = time.thread_time()
        compress_with(model, content)
        times.append((time.thread_time() - start) / len(content) * 1e6)
    return [
        f"{name} ({model.units[0]}x{model.units[1]})", f"{settings.minutes:g}", f"{seen / 1e6:.1f}",
        f"{bits:.4f}", f"{model.multiply_adds:,}", f"{len(data):,}", f"{min(times):.2f}",
    ]  # fmt: skip


def main(given: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="+", metavar="CORPUS")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--fold", nargs=2, action="append", default=[])
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--only", default=",".join(WAYS))
    parser.add_argument("--max-text", type=units.size, default=400_000_000)
    parser.add_argument("--work", type=Path, default=Path("shrink.work"))
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    corpus = gather(documents(options.paths), options.max_text)
    folds = read_folds(options.fold, "text", "text", 1 << 40)
    rows, first = [], 0.0
    for name in options.only.split(","):
        row = measure(name, corpus, options.minutes, options.work, folds, options.resume)
        first = first or float(row[3])
        rows.append([*row[:4], f"{float(row[3]) / first:.4f}", *row[4:]])
        print(json.dumps(dict(zip(HEAD, rows[-1], strict=True))), flush=True)
    print("| " + " | ".join(HEAD) + " |")
    print("|---" + "|--:" * (len(HEAD) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
