"""Arguments of one walk that overlap."""

import os
from pathlib import Path

import pytest

from lmarc.archive.globs import Excludes
from lmarc.archive.overlap import MERGED, SAME, Earlier


@pytest.fixture
def top(tmp_path: Path) -> bytes:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "f").write_text("x")
    (tmp_path / "other").mkdir()
    return os.fsencode(tmp_path)


def _earlier(top: bytes, *names: bytes, recurse: bool = True) -> Earlier:
    earlier = Earlier(Excludes(), one_file_system=False, recurse=recurse)
    for name in names:
        earlier.add(name, top + b"/" + name if name else top)
    return earlier


@pytest.mark.parametrize("argument", [b"", b"d", b"d/f"])
def test_what_an_argument_has_given_is_the_same(top: bytes, argument: bytes) -> None:
    assert _earlier(top, argument).clash(b"d/f", os.lstat(top + b"/d/f")) == SAME


def test_another_name_is_free(top: bytes) -> None:
    assert _earlier(top, b"d").clash(b"other", os.lstat(top + b"/other")) is None
    assert _earlier(top, b"d").clash(b"d/new", os.lstat(top + b"/other")) is None
    assert _earlier(top, b"d/e").clash(b"d", os.lstat(top + b"/d")) is None


def test_two_directories_of_one_name_merge(top: bytes) -> None:
    assert _earlier(top, b"d").clash(b"d", os.lstat(top + b"/other")) == MERGED


def test_two_files_of_one_name_clash(top: bytes) -> None:
    verdict = _earlier(top, b"d").clash(b"d/f", os.lstat(top + b"/other"))
    assert verdict is not None
    assert "earlier member" in verdict


def test_nothing_stands_below_a_file(top: bytes) -> None:
    verdict = _earlier(top, b"d").clash(b"d/f/x", os.lstat(top + b"/other"))
    assert verdict is not None
    assert "no directory" in verdict


def test_a_file_is_no_parent_of_earlier_names(top: bytes) -> None:
    verdict = _earlier(top, b"d/e").clash(b"d", os.lstat(top + b"/d/f"))
    assert verdict is not None
    assert "no directory" in verdict


def test_without_recursion_nothing_below_is_covered(top: bytes) -> None:
    earlier = _earlier(top, b"d", recurse=False)
    assert earlier.clash(b"d/f", os.lstat(top + b"/d/f")) is None
    assert earlier.clash(b"d", os.lstat(top + b"/d")) == SAME
