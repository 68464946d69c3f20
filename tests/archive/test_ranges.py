"""Bytes of many ranges come together from chunks in any order."""

from pathlib import Path

import pytest

import lmarc
from lmarc.archive.ranges import Gather
from tests.archive.samples import MEMBERS, make

SPANS = [("b/large text", 0, 150_000), ("a/text", 10, 20), ("b/large text", 16_000, 33_000)]


@pytest.fixture
def archive(tmp_path: Path) -> lmarc.Archive:
    return lmarc.open(make(tmp_path / "a.lmarc"))


def gathered(archive: lmarc.Archive) -> Gather:
    spans = [(archive.file_entry(name), start, end) for name, start, end in SPANS]
    return Gather(archive.index, spans)


def test_a_chunk_is_needed_once_and_fills_every_range(archive: lmarc.Archive) -> None:
    gather = gathered(archive)
    chunks = gather.chunks
    assert chunks == sorted(set(chunks))
    for chunk in reversed(chunks):
        gather.put(chunk, archive.chunk_reader.contents([chunk])[chunk])
    assert gather.results() == [MEMBERS[name][start:end] for name, start, end in SPANS]


def test_a_chunk_that_is_lost_costs_its_ranges_only(archive: lmarc.Archive) -> None:
    gather = gathered(archive)
    error = lmarc.CorruptError("lost")
    for chunk in gather.chunks:
        content = archive.chunk_reader.contents([chunk])[chunk]
        gather.put(chunk, error if chunk == gather.chunks[-1] else content)
    first, second, third = gather.results()
    assert first is error
    assert second == MEMBERS["a/text"][10:20]
    assert third == MEMBERS["b/large text"][16_000:33_000]


def test_an_empty_range_needs_nothing(archive: lmarc.Archive) -> None:
    gather = Gather(archive.index, [(archive.file_entry("empty"), 0, 0)])
    assert gather.chunks == []
    assert gather.results() == [b""]
