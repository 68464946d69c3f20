"""Train a network in the loop of a mixture: batches, steps, checkpoints, resuming.

The same code runs on a CPU and on CUDA. A checkpoint is a file beside the work, written to another
name and renamed; a training that is resumed goes on with the step, weights, average, optimiser and
states that it had, and with the text that would have come next. Where its length is given in bytes
of text, its end is that of one that was never stopped.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from lmarc.errors import ModelError
from lmarc.model.transformer import Sizes
from lmarc.train.correction import Corrector, bits_of
from lmarc.train.distil import Teacher
from lmarc.train.feed import Batch, Feed, Source
from lmarc.train.resident import Resident, memory

__all__ = ["CHECKPOINT", "LOG", "Course", "InTheLoop", "Settings", "train_network"]

CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "log.jsonl"
LOG_SECONDS = 20.0
WARM_UP: Final = 50  # steps
LOWEST_RATE: Final = 0.03  # share of the learning rate at the end
CLIP: Final = 1.0


@dataclass(frozen=True, slots=True)
class Course:
    """What decides a training, besides its network, its text and the mixture."""

    rows: int = 32  # chunks at a time
    steps: int = 512  # bytes, or tokens, of each between two changes of the weights
    rate: float = 4e-3
    decay: float = 0.01  # of the weights, for every step by the learning rate
    soft: float = 0.0  # share of the cost that a teacher's distributions set, if there is one
    average: float = 0.998  # decay of the moving average of the weights, which is what is kept
    seed: int = 1
    weights: Mapping[str, float] = field(default_factory=dict)  # of domains, beside their sizes
    minutes: float = 60.0  # the end is at this
    text: int | None = None  # or after as many steps, if that is sooner
    checkpoint_minutes: float = 2.0
    device: str = "cpu"

    def done(self, minutes: float, step: int) -> float:
        """Return how far a training has come, 1.0 at its end."""
        by_text = step * self.rows * self.steps / self.text if self.text else 0.0
        return max(minutes / self.minutes if self.minutes > 0 else 1.0, by_text)


@dataclass(frozen=True, slots=True)
class Settings(Course):
    """Those of a byte network."""

    first: int = 256  # units of the first layer
    second: int = 160  # of each other one
    layers: int = 2
    bits: int = 8  # of weights, or 4
    prune: float = 0.0  # share of the multiply-adds to leave out before
    # Of the Transformer over patches: width, heads, layers, hidden, window; None without patches
    patches: tuple[int, ...] | None = None

    def sizes(self) -> Sizes | None:
        """Return the Transformer's sizes, if there are patches.

        Raises
        ------
        ModelError
            For those that it cannot have, or with fewer units or bits.
        """
        if self.patches is None:
            return None
        if self.prune or self.bits != 8:
            raise ModelError("a network with patches keeps its units, and weights of eight bits")
        sizes = Sizes(*self.patches)
        sizes.check()
        return sizes


class InTheLoop(Protocol):
    """A network that corrects a mixture: a `torch.nn.Module` that has this besides."""

    def initial(self, rows: int) -> Any:
        """Return the state at a chunk's beginning: tensors, and `fresh`, which names rows."""

    def cost(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: Any
    ) -> tuple[torch.Tensor, Any]:
        """Return bits of each step, float32 (B, T), and the state."""

    def measures(
        self, text: torch.Tensor, freqs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return bytes and the mixture's bits of each step: (B, T)."""


N = TypeVar("N", bound=nn.Module)


def train_network(
    net: N,
    source: Source,
    texts: Mapping[str, bytes],
    settings: Course,
    folder: Path,
    *,
    resume: bool = False,
    teacher: Corrector[Any] | None = None,
    others: Mapping[str, Source] | None = None,
    report: Callable[[dict[str, Any]], object] = lambda line: None,
    prepared: Callable[[int, int], object] = lambda done, total: None,
) -> N:
    """Train a network on `texts`; return the moving average of its weights.

    Parameters
    ----------
    net : torch.nn.Module
        Where training begins; it is `InTheLoop`, and changed.
    source : Source
        Of a mixture whose tables have not seen `texts`.
    texts : mapping of str to bytes
        By domain.
    settings : Course
    folder : Path
        Where checkpoint and log are kept.
    resume : bool
        Whether to go on from the checkpoint there.
    teacher : Corrector, optional
        A network over the same mixture whose distributions this one learns too.
    others : mapping of str to Source
        For domains whose text the mixture of `source` has seen: a mixture that has not.
    report : callable
        Gets each line of the log: minutes, bytes seen, bits per byte of the mixture and with the
        network over the batches since the line before, in all and by domain.
    prepared : callable
        Gets how many chunks the mixture has walked over, of how many, where it walks over all of
        them before the training.

    Raises
    ------
    ModelError
        When there is nothing to resume, or what there is has other settings.
    """
    net = net.to(settings.device)
    state = _State(net, settings, None if teacher is None else Teacher(teacher, settings))
    if resume:
        state.load(folder / CHECKPOINT)
    folder.mkdir(parents=True, exist_ok=True)
    # The mixture walks on one thread beside a training on a CPU, on all but one beside another.
    threads = 1 if settings.device == "cpu" else max(1, (os.cpu_count() or 2) - 1)
    with _half_products(), ThreadPoolExecutor(threads, "feed") as executor:
        options: dict[str, Any] = {
            "seed": settings.seed,
            "skip": state.step,
            "weights": settings.weights,
            "others": others,
        }
        given = (executor, source, texts, settings.rows, settings.steps)
        feed: Feed
        if _fits(settings.device, memory(source, texts)):
            feed = Resident(*given, device=settings.device, progress=prepared, **options)
        else:
            feed = Feed(*given, ahead=4 * threads, **options)
        began = time.monotonic() - 60 * state.minutes
        saved = logged = time.monotonic()
        sums = _Sums()
        for batch in feed:
            state.minutes = (time.monotonic() - began) / 60
            if settings.done(state.minutes, state.step) >= 1:
                break
            sums.add(batch.domains, state.learn(batch))
            now = time.monotonic()
            if now - logged > LOG_SECONDS:
                line = {
                    "minutes": round(state.minutes, 2),
                    "bytes": state.bytes,
                    **sums.line(),
                }
                with (folder / LOG).open("a") as log:
                    log.write(json.dumps(line) + "\n")
                report(line)
                logged, sums = now, _Sums()
            if now - saved > 60 * settings.checkpoint_minutes:
                state.save(folder / CHECKPOINT)
                saved = now
    state.save(folder / CHECKPOINT)
    average: N = state.average
    return average


def _fits(device: str, size: int) -> bool:
    """Return whether so many bytes leave most of an accelerator's memory to the training."""
    return device.startswith("cuda") and size < 0.5 * torch.cuda.mem_get_info(device)[0]


class _Sums:
    """Bytes and bits since the last line of the log, by domain."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self._waiting: list[tuple[list[str], torch.Tensor]] = []

    def add(self, domains: list[str], measured: torch.Tensor) -> None:
        """Add each row's bytes, bits of the mixture and bits with the network: (3, B)."""
        self._waiting.append((domains, measured))

    def line(self) -> dict[str, Any]:
        # Only now, since asking waits for the device.
        for domains, measured in self._waiting:
            for domain, *values in zip(domains, *measured.tolist(), strict=True):
                for at, value in enumerate(values):
                    self._sums[domain][at] += value
        self._waiting.clear()
        total = [sum(sums[at] for sums in self._sums.values()) for at in range(3)]
        return {
            "mixture": round(total[1] / total[0], 4),
            "network": round(total[2] / total[0], 4),
            "domains": {
                domain: [round(sums[1] / sums[0], 4), round(sums[2] / sums[0], 4)]
                for domain, sums in sorted(self._sums.items())
            },
        }


class _State:
    """All that a training changes."""

    def __init__(self, net: Any, settings: Course, teacher: Teacher | None) -> None:
        self.net, self.settings, self.teacher = net, settings, teacher
        self.average: Any = copy.deepcopy(net)
        self.optimiser = torch.optim.AdamW(
            net.parameters(), settings.rate, betas=(0.9, 0.98), weight_decay=settings.decay,
            fused=settings.device != "cpu" or None,
        )  # fmt: skip
        self.hidden = net.initial(settings.rows)
        self.step, self.minutes = 0, 0.0
        self._bytes = torch.zeros((), dtype=torch.int64, device=settings.device)

    def learn(self, batch: Batch) -> torch.Tensor:
        """Take one step; return each row's bytes, and bits without and with the network."""
        before, text, freqs, fresh = (
            part.to(self.settings.device)
            if isinstance(part, torch.Tensor)
            else torch.from_numpy(np.ascontiguousarray(part)).to(self.settings.device)
            for part in batch[:4]
        )
        self._set_rate()
        hidden = self.hidden.fresh(fresh)
        if self.teacher is None:
            costs, self.hidden = self.net.cost(before, text, freqs, hidden)
            loss = costs.mean()
        else:
            logits, self.hidden = self.net.logits(before, text, freqs, hidden)
            costs = bits_of(logits, text)
            loss = self.teacher.mixed(costs, logits, (before, text, freqs), fresh)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            # The first steps are forgotten sooner.
            decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.net.parameters()), 1 - decay
            )
            counts, alone = self.net.measures(text, freqs)
            measured = torch.stack([part.sum(1).float() for part in (counts, alone, costs)])
            self._bytes += counts.sum()
        return measured

    @property
    def bytes(self) -> int:
        """Bytes of text seen; asking waits for the device."""
        return int(self._bytes)

    def _set_rate(self) -> None:
        """Warm up over steps, then follow a cosine."""
        done = min(1.0, self.settings.done(self.minutes, self.step))
        cosine = LOWEST_RATE + (1 - LOWEST_RATE) / 2 * (1 + math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * min(1.0, (self.step + 1) / WARM_UP) * cosine

    def save(self, path: Path) -> None:
        state = {
            "network": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "hidden": tuple(self.hidden),
            "teacher": () if self.teacher is None else tuple(self.teacher.hidden),
            "settings": self._kept(),
            "step": self.step,
            "bytes": self.bytes,
            "minutes": self.minutes,
        }
        temporary = path.with_name(path.name + ".partial")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def load(self, path: Path) -> None:
        if not path.exists():
            raise ModelError(f"there is no checkpoint {path} to resume from")
        state = torch.load(path, map_location=self.settings.device, weights_only=True)
        if state["settings"] != self._kept():
            raise ModelError(
                f"checkpoint {path} is of a training with {state['settings']}, "
                f"expected {self._kept()}"
            )
        self.net.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.hidden = type(self.hidden)(*state["hidden"])
        if self.teacher is not None:
            self.teacher.hidden = type(self.teacher.hidden)(*state["teacher"])
        self.step = int(state["step"])
        self._bytes.fill_(int(state["bytes"]))
        self.minutes = float(state["minutes"])

    def _kept(self) -> dict[str, Any]:
        """Return what must not change when a training is resumed."""
        free = ("minutes", "text", "checkpoint_minutes", "device")
        settings = asdict(self.settings).items()
        return {name: value for name, value in settings if name not in free}


@contextmanager
def _half_products() -> Iterator[None]:
    """Let products of float32 take bfloat16 (TF32 on CUDA) where the processor is faster at it.

    Forwards nothing is lost: rounded weights and activations have eight bits. Sums are float32.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
