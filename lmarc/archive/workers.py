"""The executor that a generator gives work to: the caller's, or threads of its own.

A generator that is left behind is finished by the garbage collector, which may run at any
allocation: also while the thread that allocates is just being started, and holds a lock of
`threading` that joining a thread needs. So threads are joined only where a generator ends by
itself; one that is closed or collected tells them to stop, and they do so in their own time.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor

__all__ = ["Workers", "default_jobs"]


def default_jobs() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A context manager that gives an executor, and ends it if it is its own.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        The caller's, left as it is.
    count : int
        Threads to start where there is none.
    """

    def __init__(self, executor: Executor | None, count: int) -> None:
        self._own = None if executor is not None else ThreadPoolExecutor(count, "lmarc")
        self._executor: Executor = executor or self._own  # type: ignore[assignment]

    def __enter__(self) -> Executor:
        return self._executor

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if self._own is not None:
            self._own.shutdown(wait=kind is not GeneratorExit, cancel_futures=True)
