"""Where networks run: on the processor, or through PyTorch on an accelerator. The bytes are equal.

The choice stands in the environment, so that worker processes have it too.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["DEVICE", "DEVICES", "Elsewhere", "device"]

M = TypeVar("M")
N = TypeVar("N")

DEVICE: Final = "LMARC_DEVICE"
DEVICES: Final = ("cpu", "auto", "cuda", "torch")  # the last: PyTorch on the processor


def device() -> str:
    """Return where networks run: 'cpu', or a device's name in PyTorch with 'torch:' before it.

    Raises
    ------
    ValueError
        When `LMARC_DEVICE` names what this machine or this installation does not have.
    """
    return _resolved(os.environ.get(DEVICE, "cpu"))


@cache
def _resolved(name: str) -> str:
    if name == "cpu":
        return name
    if name not in DEVICES:
        raise ValueError(f"{DEVICE} is {name!r}, expected one of {', '.join(DEVICES)}")
    found = importlib.util.find_spec("torch") is not None
    if name == "torch":
        if not found:
            raise ValueError("device is torch, which is not installed: pip install 'lmarc[torch]'")
        return "torch:cpu"
    if found:
        import torch

        if torch.cuda.is_available():
            return "torch:cuda"
    if name == "auto":
        return "cpu"
    raise ValueError(
        "device is cuda, which needs PyTorch and an accelerator that it knows; this machine has "
        f"{'PyTorch but no such accelerator' if found else 'no PyTorch'}: use the device cpu"
    )


class Elsewhere(Generic[M, N]):
    """The networks of models on devices of PyTorch, made once and kept with the model.

    Parameters
    ----------
    make : callable
        Gets a model and a device's name in PyTorch; returns the network.
    """

    def __init__(self, make: Callable[[M, str], N]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: WeakKeyDictionary[M, dict[str, N]] = WeakKeyDictionary()

    def __call__(self, model: M, where: str) -> N:
        """Return a model's network; `where` is what `device` says."""
        with self._lock:
            kept = self._kept.setdefault(model, {})
            if where not in kept:
                kept[where] = self._make(model, where.removeprefix("torch:"))
            return kept[where]
