import ast
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import lmarc
from lmarc.archive.workers import Workers


def waiting(event: threading.Event, started: list[threading.Event]) -> Iterator[None]:
    """Give work to a thread that goes on until `event`."""
    with Workers(None, 1) as pool:
        begun = threading.Event()
        started.append(begun)
        pool.submit(begun.set)
        pool.submit(event.wait, 60)
        yield


def test_own_threads_have_ended_after_the_block() -> None:
    before = threading.active_count()
    with Workers(None, 2) as pool:
        assert pool.submit(sum, (1, 2)).result() == 3
    assert threading.active_count() == before
    with pytest.raises(RuntimeError):
        pool.submit(sum, (1, 2))


def test_work_that_was_not_begun_is_dropped_when_the_block_fails() -> None:
    event = threading.Event()
    given: list[Future[bool]] = []

    def fail() -> None:
        with Workers(None, 1) as pool:
            given.extend(pool.submit(event.wait, 60) for _ in range(100))
            event.set()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert all(future.done() for future in given)


def test_the_callers_executor_stays() -> None:
    with ThreadPoolExecutor(1) as executor:
        with Workers(executor, 4) as pool:
            assert pool is executor
        assert executor.submit(sum, (1, 2)).result() == 3


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_a_generator_that_is_left_waits_for_no_thread(how: str) -> None:
    """Nor could it: the collector may run where a thread that is joined can never end."""
    event = threading.Event()
    started: list[threading.Event] = []
    generator = waiting(event, started)
    next(generator)
    assert started[0].wait(60)

    def leave() -> None:
        nonlocal generator
        if how == "closed":
            generator.close()  # type: ignore[attr-defined]
        else:
            cycle: list[object] = [generator]
            cycle.append(cycle)
            del generator, cycle
            gc.collect()

    leaver = threading.Thread(target=leave, daemon=True)
    leaver.start()
    leaver.join(20)
    left = not leaver.is_alive()
    event.set()
    leaver.join(60)
    assert left


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def generators_that_wait(source: str) -> list[str]:
    """Return the generators that own an executor or join threads other than by `Workers`."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            nodes = list(own_nodes(function))
            calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
            ends = ("Executor", ".shutdown", "thread.join", "Thread")
            if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes) and any(
                call.endswith(ends) for call in calls
            ):
                found.append(function.name)
    return found


def test_no_generator_of_the_package_waits_for_threads() -> None:
    package = Path(lmarc.__file__).parent
    found = {path: generators_that_wait(path.read_text()) for path in package.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "block",
    ["with ThreadPoolExecutor(1) as pool:\n  yield 1", "yield 1\n pool.shutdown(wait=True)"],
)
def test_a_planted_generator_that_waits_is_found(block: str) -> None:
    assert generators_that_wait(f"def left():\n {block}") == ["left"]
