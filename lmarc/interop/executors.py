"""Executors by name: threads, processes that replace each other, a Dask cluster."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final

from lmarc.errors import SourceError

__all__ = ["DaskExecutor", "ProcessExecutor", "executor"]

_ATTEMPTS: Final = 3  # of a task whose process was lost


def executor(kind: str, *, jobs: int | None = None, scheduler: str | None = None) -> Executor:
    """Return an executor for `create`, `extract` and the like; use it as a context manager.

    Parameters
    ----------
    kind : str
        'threads', 'processes' or 'dask'.
    jobs : int, optional
        How many workers; as many as there are processors otherwise.
    scheduler : str, optional
        Address of a Dask scheduler. A cluster of local processes is started otherwise.

    Raises
    ------
    ValueError
        Another kind, a scheduler for one that has none, or 'dask' where it is not installed.
    SourceError
        The scheduler does not answer.
    """
    count = jobs or len(os.sched_getaffinity(0))
    if scheduler is not None and kind != "dask":
        raise ValueError(f"a scheduler is for the executor 'dask', found {kind!r}")
    if kind == "threads":
        return ThreadPoolExecutor(count, "lmarc")
    if kind == "processes":
        return ProcessExecutor(count)
    if kind == "dask":
        return DaskExecutor(scheduler, count)
    raise ValueError(f"executor is {kind!r}, expected 'threads', 'processes' or 'dask'")


class _Worker:
    """One process and the pipe to it, which nobody else holds: its end shows at once."""

    def __init__(self) -> None:
        self.process: Any = None
        self._pipe: Any = None

    def _start(self) -> None:
        # A fork of a process with threads may never get on.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, call: bytes) -> tuple[bool, Any]:
        """Return whether a pickled call has returned, and what; or what it has raised.

        Raises
        ------
        SourceError
            The process was lost, and so were those that took its place.
        """
        for _ in range(_ATTEMPTS):
            try:
                if self.process is None:
                    self._start()
                self._pipe.send_bytes(call)
                answer: tuple[bool, Any] = self._pipe.recv()
            except (EOFError, OSError):
                self.end()
            else:
                return answer
        raise SourceError(f"a task was lost with its process {_ATTEMPTS} times")

    def end(self) -> None:
        """End the process: it sees the end of its pipe."""
        if self.process is not None:
            self._pipe.close()
            self.process.join()
            self.process = None


def _serve(pipe: Any) -> None:
    """Do what comes by a pipe until its other end is closed, or whoever holds it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    while True:
        try:
            function, args, kwargs = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return
        except BaseException as exc:
            answer = (False, exc)
        else:
            try:
                answer = (True, function(*args, **kwargs))
            except BaseException as exc:
                answer = (False, exc)
        try:
            data = pickle.dumps(answer)
        except Exception as exc:
            data = pickle.dumps((False, TypeError(f"cannot be sent back: {exc}")))
        try:
            pipe.send_bytes(data)
        except OSError:
            return


class ProcessExecutor(Executor):
    """Processes, of which a task survives the loss: it is given to a new one, three times in all.

    Those of `concurrent.futures` share a pipe: one that is killed while it answers can leave them
    all waiting for the rest of the answer.

    Parameters
    ----------
    count : int
        How many; each starts with its first task.
    """

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        self._ended = False
        self.workers = [_Worker() for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name="lmarc", daemon=True)
            for worker in self.workers
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in one of the processes."""
        if self._ended:
            raise RuntimeError("the executor was shut down")
        future: Future[Any] = Future()
        self._tasks.put((future, pickle.dumps((fn, args, kwargs))))
        return future

    def _work(self, worker: _Worker) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                worker.end()
                return
            future, call = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                returned, value = worker.run(call)
            except BaseException as exc:
                returned, value = False, exc
            if returned:
                future.set_result(value)
            else:
                future.set_exception(value)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        self._ended = True
        if cancel_futures:
            while not self._tasks.empty():
                task = self._tasks.get()
                if task is not None:
                    task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()


class DaskExecutor(Executor):
    """A Dask cluster. A task whose worker is lost goes to another, as the scheduler has it.

    Parameters
    ----------
    scheduler : str or None
        Its address; None: a cluster of local processes, of our own.
    count : int
        Processes of that cluster.
    """

    def __init__(self, scheduler: str | None, count: int) -> None:
        try:
            from dask.distributed import Client, LocalCluster
        except ImportError as exc:
            message = "the executor 'dask' needs Dask, found none: pip install 'lmarc[dask]'"
            raise ValueError(message) from exc
        self._cluster = None
        if scheduler is None:
            self._cluster = LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None
            )
        try:
            self._client = Client(self._cluster or scheduler)
        except (OSError, ValueError) as exc:
            message = f"the Dask scheduler does not answer: {str(exc) or type(exc).__name__}"
            raise SourceError(message, url=scheduler) from exc
        self._running: set[Future[Any]] = set()
        self._ended = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on one of the workers."""
        from dask.distributed import CancelledError, KilledWorker

        if self._ended:
            raise RuntimeError("the executor was shut down")
        # The same call is not the same work: results are not kept for another that looks alike.
        inner = self._client.submit(fn, *args, pure=False, retries=1, **kwargs)
        outer: Future[Any] = Future()
        self._running.add(outer)

        def done(inner: Any) -> None:
            self._running.discard(outer)
            if not outer.set_running_or_notify_cancel():
                return
            try:
                # A result that its worker takes along when it is lost is made and fetched again
                # here; what Dask's own executor passes on then is what it had in the place of one.
                value = inner.result()
            except (CancelledError, KilledWorker) as exc:
                lost = SourceError("the Dask cluster has lost a task, or the workers that ran it")
                lost.__cause__ = exc
                outer.set_exception(lost)
            except BaseException as exc:
                outer.set_exception(exc)
            else:
                outer.set_result(value)

        outer.add_done_callback(lambda future: inner.cancel() if future.cancelled() else None)
        inner.add_done_callback(done)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, and end it if it is our own."""
        self._ended = True
        running = list(self._running)
        if wait and not cancel_futures:
            concurrent.futures.wait(running)
        else:
            for future in running:
                future.cancel()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
