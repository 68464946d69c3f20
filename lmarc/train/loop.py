"""Train a byte network in the loop of the n-gram mixture: batches, steps, checkpoints, resuming.

The same code runs on a CPU and on CUDA. A checkpoint is a file beside the work, written to another
name and renamed; a training that is resumed goes on with the step, the weights and the optimiser's
state that it had, and with text that it had not drawn.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from lmarc.errors import ModelError
from lmarc.model.ngram import NgramModel
from lmarc.train.byte_network import ByteNetwork, Hidden, Shape
from lmarc.train.feed import Batch, Feed

__all__ = ["Settings", "train_network"]

CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "log.jsonl"
LOG_SECONDS = 20.0
WARM_UP: Final = 50  # steps
LOWEST_RATE: Final = 0.03  # share of the learning rate at the end
CLIP: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides a training, besides its text and n-gram model."""

    first: int = 256  # units of the first layer
    second: int = 160
    rows: int = 32  # chunks at a time
    steps: int = 512  # bytes of each between two changes of the weights
    rate: float = 4e-3
    seed: int = 1
    minutes: float = 60.0
    checkpoint_minutes: float = 2.0
    device: str = "cpu"


def train_network(
    model: NgramModel,
    texts: Mapping[str, bytes],
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    report: Callable[[dict[str, Any]], object] = lambda line: None,
) -> ByteNetwork:
    """Return a network trained on `texts` for `settings.minutes`.

    Parameters
    ----------
    model : NgramModel
        Whose tables have not seen `texts`.
    texts : mapping of str to bytes
        By domain.
    settings : Settings
    folder : Path
        Where checkpoint and log are kept.
    resume : bool
        Whether to go on from the checkpoint there.
    report : callable
        Gets each line of the log: minutes, bytes seen, bits per byte of the mixture and with the
        network, over the batches since the line before.

    Raises
    ------
    ModelError
        When there is nothing to resume, or what there is has other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    device = torch.device(settings.device)
    net: ByteNetwork = ByteNetwork(Shape(settings.first, settings.second)).to(device)
    optimiser = torch.optim.AdamW(
        net.parameters(), settings.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    step, spent = 0, 0.0
    if resume:
        step, spent = _load(folder / CHECKPOINT, net, optimiser, settings)
    hidden = net.initial(settings.rows)
    began = time.monotonic() - 60 * spent
    saved = logged = time.monotonic()
    alone = together = 0.0
    since = 0
    with ThreadPoolExecutor(1, "feed") as executor:
        feed = Feed(
            executor,
            model,
            texts,
            settings.rows,
            settings.steps,
            seed=settings.seed,
            skip=step,
        )
        for batch in feed:
            minutes = (time.monotonic() - began) / 60
            if minutes >= settings.minutes:
                break
            _set_rate(optimiser, settings, step, minutes)
            bits, cost, hidden = _learn(net, optimiser, batch, hidden, device)
            step, since = step + 1, since + 1
            alone, together = alone + bits, together + cost
            now = time.monotonic()
            if now - logged > LOG_SECONDS:
                line = {
                    "minutes": round(minutes, 2),
                    "bytes": step * settings.rows * settings.steps,
                    "mixture": round(alone / since, 4),
                    "network": round(together / since, 4),
                }
                with (folder / LOG).open("a") as log:
                    log.write(json.dumps(line) + "\n")
                report(line)
                logged, alone, together, since = now, 0.0, 0.0, 0
            if now - saved > 60 * settings.checkpoint_minutes:
                _save(folder / CHECKPOINT, net, optimiser, settings, step, minutes)
                saved = now
    _save(folder / CHECKPOINT, net, optimiser, settings, step, (time.monotonic() - began) / 60)
    return net


def _set_rate(optimiser: Any, settings: Settings, step: int, minutes: float) -> None:
    """Warm up over steps, then follow a cosine over time."""
    done = min(1.0, minutes / settings.minutes)
    cosine = LOWEST_RATE + (1 - LOWEST_RATE) / 2 * (1 + math.cos(math.pi * done))
    for group in optimiser.param_groups:
        group["lr"] = settings.rate * min(1.0, (step + 1) / WARM_UP) * cosine


def _learn(
    net: ByteNetwork, optimiser: Any, batch: Batch, hidden: Hidden, device: torch.device
) -> tuple[float, float, Hidden]:
    """Take one step; return bits per byte of the mixture and with the network, and the state."""
    before, text, freqs, fresh = (
        torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in batch
    )
    hidden = Hidden(*(part.masked_fill(fresh[:, None], 0) for part in hidden))
    costs, hidden = net.cost(before, text, freqs, hidden)
    loss = costs.mean()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
    optimiser.step()
    with torch.no_grad():
        nibbles = torch.stack([text >> 4, text & 15], 2)[..., None]
        bits = 16 * nibbles.numel() - torch.log2(freqs.gather(3, nibbles)).sum()
    return bits.item() / text.numel(), loss.item(), hidden


def _save(
    path: Path, net: ByteNetwork, optimiser: Any, settings: Settings, step: int, minutes: float
) -> None:
    state = {
        "network": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "settings": _kept(settings),
        "step": step,
        "minutes": minutes,
    }
    temporary = path.with_name(path.name + ".partial")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _load(path: Path, net: ByteNetwork, optimiser: Any, settings: Settings) -> tuple[int, float]:
    """Take up a checkpoint; return its step and the minutes spent."""
    if not path.exists():
        raise ModelError(f"there is no checkpoint {path} to resume from")
    state = torch.load(path, map_location=settings.device, weights_only=True)
    if state["settings"] != _kept(settings):
        raise ModelError(
            f"checkpoint {path} is of a training with {state['settings']}, "
            f"expected {_kept(settings)}"
        )
    net.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"]), float(state["minutes"])


def _kept(settings: Settings) -> dict[str, Any]:
    """Return what must not change when a training is resumed."""
    free = ("minutes", "checkpoint_minutes", "device")
    return {name: value for name, value in asdict(settings).items() if name not in free}
