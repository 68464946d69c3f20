"""A chunk is what its row in the Index says, or it is not decoded."""

import dataclasses
from pathlib import Path

import pytest

import lmarc
from lmarc.archive.chunks import decode_records
from lmarc.archive.rows import check_row, decode_rows
from tests.archive.samples import CHUNK_SIZE, make, text
from tests.archive.test_fetch import archive

__all__ = ["archive"]


@pytest.mark.parametrize(
    "change",
    [
        {"content_size": 1},
        {"codec": 0},
        {"model_slot": 0xFFFF},
        {"content_class": 0},
        {"payload_checksum": 0},
        {"content_checksum": 0},
        {"number": 7},
    ],
)
def test_a_record_must_be_what_its_row_says(change: dict[str, int], archive: lmarc.Archive) -> None:
    (row,) = archive.chunk_reader.rows([3])
    assert row.codec == 2
    arguments = (archive.ending.archive_tag, [1], {0: archive.model(0)})
    (content,) = decode_rows(archive.source, [row], *arguments)
    assert isinstance(content, bytes)
    (error,) = decode_rows(archive.source, [row._replace(**change)], *arguments)
    assert isinstance(error, lmarc.CorruptError)
    assert error.offset == row.offset


def test_a_source_that_fails_is_the_error_of_each_chunk(archive: lmarc.Archive) -> None:
    rows = archive.chunk_reader.rows([3, 4])
    beyond = [row._replace(offset=archive.size) for row in rows]
    contents = decode_rows(archive.source, beyond, 0, [1], {})
    assert [type(content) for content in contents] == [lmarc.SourceError] * 2


PROSE = text(11, 60_000)


def test_the_contents_checksum_is_compared_with_whole_contents_only(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"prose": PROSE}, preset="balanced")
    with lmarc.open(path) as archive:
        reader = archive.chunk_reader
        ((row, record),) = reader.fetch([2])
        checked = check_row(row, record, archive.ending.archive_tag, [2], archive.model(0))
        wrong = checked._replace(header=dataclasses.replace(checked.header, content_checksum=1))
        (whole,) = decode_records([wrong])
        (beginning,) = decode_records([wrong._replace(needed=1000)])
        assert isinstance(whole, lmarc.CorruptError)
        assert beginning == PROSE[2 * CHUNK_SIZE :][:1000]
