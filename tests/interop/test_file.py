"""A member behind one of fsspec's caches reads exact ranges, and survives pickling."""

import pickle
from pathlib import Path

import pytest

import lmarc
from lmarc.interop.file import CachedMemberFile
from lmarc.interop.filesystem import LmarcFileSystem


@pytest.fixture
def files(tmp_path: Path) -> LmarcFileSystem:
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast") as writer:
        writer.add_bytes("numbers", bytes(range(256)))
    return LmarcFileSystem(tmp_path / "a.lmarc")


def test_it_knows_what_fsspec_asks_of_a_file(files: LmarcFileSystem) -> None:
    with files.open("numbers", cache_type="bytes") as file:
        assert isinstance(file, CachedMemberFile)
        assert (file.size, file.path, file.fs) == (256, "numbers", files)
        assert file.info()["sha256"] == files.ukey("numbers")
        assert file._fetch_range(250, 300) == bytes(range(250, 256))
        assert file._fetch_range(9, 3) == b""
        assert file == files.open("numbers", cache_type="none")


def test_it_pickles_with_its_place(files: LmarcFileSystem) -> None:
    file = files.open("numbers", cache_type="readahead")
    file.seek(100)
    assert pickle.loads(pickle.dumps(file)).read(2) == bytes([100, 101])
