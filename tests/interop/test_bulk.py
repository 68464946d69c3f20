"""Tasks that want the same chunks share one read of each, whatever becomes of the other tasks."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.interop.bulk import Bulk
from tests.archive.samples import MEMBERS, make, text


@pytest.fixture
def archive(tmp_path: Path) -> lmarc.Archive:
    return lmarc.open(make(tmp_path / "a.lmarc"))


class Runner:
    """Does work in a thread, after the gate is open; keeps a log."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.fetched: list[int] = []

    async def __call__(self, work: Any, /, *arguments: Any) -> Any:
        if work.__name__ == "fetch":
            self.fetched += arguments[0]
        await self.gate.wait()
        return await asyncio.to_thread(work, *arguments)


async def stopped_and_shared(archive: lmarc.Archive, *, stop: bool) -> tuple[list[int], Any]:
    run = Runner()
    bulk = Bulk(archive, run)
    span = (archive.file_entry("b/large text"), 0, 150_000)
    first = asyncio.create_task(bulk.read([span]))
    second = asyncio.create_task(bulk.read([span]))
    while not run.fetched:
        await asyncio.sleep(0)
    if stop:
        first.cancel()
        await asyncio.sleep(0)
    run.gate.set()
    return run.fetched, await second


@pytest.mark.parametrize(("stop", "times"), [(False, 1), (True, 2)])
def test_a_chunk_is_read_once_unless_its_reader_is_stopped(
    archive: lmarc.Archive, stop: bool, times: int
) -> None:
    fetched, found = asyncio.run(stopped_and_shared(archive, stop=stop))
    assert found == [MEMBERS["b/large text"]]
    assert len(fetched) == times * len(set(fetched))


def test_a_whole_member_must_have_its_sha256(
    archive: lmarc.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = bytes(150_000)
    monkeypatch.setattr("lmarc.archive.ranges.Gather.results", lambda self: [wrong, wrong[:9]])

    async def read() -> list[Any]:
        run = Runner()
        run.gate.set()
        entry = archive.file_entry("b/large text")
        return await Bulk(archive, run).read([(entry, 0, 150_000), (entry, 0, 9)])

    whole, part = asyncio.run(read())
    assert isinstance(whole, lmarc.CorruptError)
    assert part == wrong[:9]


def test_a_task_that_needs_more_of_a_chunk_than_another_reads_on(tmp_path: Path) -> None:
    content = text(5, 16_000)
    path = make(tmp_path / "prose", {"prose": content}, preset="balanced")

    async def ahead(archive: lmarc.Archive) -> list[Any]:
        run = Runner()
        run.gate.set()
        return await Bulk(archive, run).read([(0, 10, 500)], ahead=True)

    async def read(archive: lmarc.Archive) -> tuple[list[int], list[Any]]:
        run = Runner()
        bulk = Bulk(archive, run)
        tasks = [asyncio.create_task(bulk.read([(0, 10, end)])) for end in (500, 9000, 400)]
        while not run.fetched:
            await asyncio.sleep(0)
        run.gate.set()
        return run.fetched, [part for (part,) in await asyncio.gather(*tasks)]

    with lmarc.open(path) as archive:
        (whole,) = asyncio.run(ahead(archive))
        assert whole == content[10:500]
        assert archive.chunk_reader.cached(0) == content
    with lmarc.open(path) as archive:
        fetched, parts = asyncio.run(read(archive))
    assert parts == [content[10:500], content[10:9000], content[10:400]]
    assert fetched == [0, 0]
