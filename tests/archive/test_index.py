from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmarc
from lmarc.archive.index import parse_index, parse_index_payload
from lmarc.errors import CorruptError, FormatError
from tests.archive.samples import make, noise, text

MEMBERS = {"a": noise(1, 50_000), "b": text(1, 90_000), "c": noise(2, 3_000), "d": b""}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> lmarc.Archive:
    path = make(tmp_path_factory.mktemp("archive") / "a", MEMBERS, chunk_size=4096)
    return lmarc.open(path)


@given(st.integers(0, 3), st.integers(0, 95_000), st.integers(0, 95_000))
def test_pieces_of_a_range_are_those_that_overlap_it(
    archive: lmarc.Archive, entry: int, start: int, end: int
) -> None:
    index = archive.index
    pieces = index.pieces_by_chunk
    overlap = (
        (pieces.entry == entry) & (pieces.position < end) & (pieces.position + pieces.size > start)
    )
    expected = pieces.position[overlap] if start < end else np.empty(0, np.int64)
    found = index.pieces_of(entry, start, end)
    if start < end:
        assert found.position.tolist() == sorted(expected.tolist())


def test_the_index_must_be_the_one_that_the_footer_names(archive: lmarc.Archive) -> None:
    ending = archive.ending
    parse_index(ending.index, ending.footer, ending.archive_tag)
    with pytest.raises(CorruptError, match="SHA-256"):
        parse_index(ending.index[:-1], ending.footer, ending.archive_tag)
    with pytest.raises(CorruptError, match="Archive_Tag"):
        parse_index(ending.index, ending.footer, ending.archive_tag ^ 1)


@given(st.data())
def test_any_change_of_an_index_is_a_format_error_or_harmless(
    archive: lmarc.Archive, data: st.DataObject
) -> None:
    payload = bytearray(archive.ending.index[32:])
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parse_index_payload(memoryview(payload), archive.footer.index_offset)
    except FormatError:
        pass


def test_counts_must_be_those_of_the_tables(archive: lmarc.Archive, tmp_path: Path) -> None:
    for place in (0, 8, 16, 24):
        payload = bytearray(archive.ending.index[32:])
        payload[place] ^= 1
        with pytest.raises(CorruptError, match="the Index says"):
            parse_index_payload(memoryview(payload), archive.footer.index_offset)
