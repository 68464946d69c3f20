"""The states behind a primer: made once, copied for every chunk (spec/v1/model-file.md, 6.2).

A coder that has walked over the primer's text is in the state that each chunk begins with. Its
arrays are kept beside the model, and copied where a chunk is to begin, which takes a small part of
the time that coding a chunk does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

__all__ = ["Begun", "primed_text"]

KEPT: Final = 2  # states for a model: chunks have one size, but for the last of a member

Array = npt.NDArray[Any]
M = TypeVar("M")


class Begun(Generic[M]):
    """What a codec's coder has become behind the primers of its models. Safe to share.

    Parameters
    ----------
    walk : callable
        Gets a model, a profile and the bits of the tables; walks over the model's primer from the
        start of a chunk, and returns the arrays whose contents are the state behind it.
    choose : callable
        Gets a model; returns the profile that suits its primer.
    """

    def __init__(
        self,
        walk: Callable[[M, int, tuple[int, int]], Sequence[Array]],
        choose: Callable[[M], int],
    ) -> None:
        self._walk, self._choose = walk, choose
        self._lock = threading.Lock()
        self._states: WeakKeyDictionary[M, dict[Any, list[Array]]] = WeakKeyDictionary()
        self._profiles: WeakKeyDictionary[M, int] = WeakKeyDictionary()

    def profile(self, model: M) -> int:
        """Return the profile that chunks are coded with: the primer is text like theirs."""
        with self._lock:
            if model not in self._profiles:
                self._profiles[model] = self._choose(model)
            return self._profiles[model]

    def restore(
        self, model: M, profile: int, bits: tuple[int, int], arrays: Sequence[Array]
    ) -> None:
        """Fill `arrays`, as `walk` returns them for these tables, with the state it leaves."""
        with self._lock:
            states = self._states.setdefault(model, {})
            key = (profile, bits)
            if key not in states:
                if len(states) == KEPT:
                    del states[next(iter(states))]
                states[key] = [array.copy() for array in self._walk(model, profile, bits)]
            known = states[key]
        for array, state in zip(arrays, known, strict=True):
            array[...] = state


def primed_text(primer: bytes, content: bytes) -> npt.NDArray[np.uint8]:
    """Return primer and content, and the byte more that kernels take: uint8."""
    return np.frombuffer(primer + content + b"\0", np.uint8)
