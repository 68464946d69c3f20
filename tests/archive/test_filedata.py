import os
from pathlib import Path

import pytest

from lmarc.archive.filedata import FileData
from lmarc.archive.walk import Found, walk
from tests.archive.samples import noise

DATA = noise(1, 10_000)


def blocks_of(found: Found, small: int, size: int) -> tuple[list[tuple[int, bytes]], FileData]:
    data = FileData(found, small)
    return list(data.blocks(size)), data


@pytest.mark.parametrize(("small", "size"), [(0, 999), (10_000, 4096), (1 << 20, 1 << 20)])
def test_a_file_comes_in_blocks(small: int, size: int, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    for found in walk([tmp_path / "f"], warn=print):
        assert FileData(found, small).sample(5, 50) == DATA[5:50]
        blocks, data = blocks_of(found, small, size)
        assert b"".join(block for _, block in blocks) == DATA
        assert data.complete
        assert data.size == len(DATA)


def test_extents_are_read_alone(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    for found in walk([tmp_path / "f"], warn=print):
        found.extents = [(0, 10), (5000, 5020)]
        blocks, data = blocks_of(found, 1 << 20, 15)
        assert blocks == [(0, DATA[:10]), (5000, DATA[5000:5015]), (5015, DATA[5015:5020])]
        assert data.size == 30


def test_a_cut_file_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    for found in walk([tmp_path / "f"], warn=print):
        os.truncate(tmp_path / "f", 3000)
        blocks, data = blocks_of(found, 0, 2000)
        assert [len(block) for _, block in blocks] == [2000, 1000]
        assert not data.complete
        assert data.error is None
