"""What an open archive says of its members: links, directories, slices."""

from pathlib import Path

import pytest

import lmarc
from lmarc.interop.filesystem import LmarcFileSystem
from lmarc.interop.view import View


@pytest.fixture
def view(tmp_path: Path) -> View:
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast") as writer:
        writer.add_bytes("a/file", b"content")
        writer.add_link("link", "a/file")
    return View(lmarc.open(tmp_path / "a.lmarc"), "a.lmarc")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(None, None, (0, 7)), (-3, None, (4, 7)), (2, -2, (2, 5)), (5, 2, (5, 5)), (99, 120, (7, 7))],
)
def test_a_slice_becomes_a_span(
    view: View, start: int | None, end: int | None, expected: tuple[int, int]
) -> None:
    for name in ("a/file", "link"):
        assert view.span(name, start, end) == (0, *expected)


def test_what_is_no_file_is_named(view: View) -> None:
    with pytest.raises(IsADirectoryError, match=r"'a' is a directory in a\.lmarc"):
        view.file("a")
    with pytest.raises(FileNotFoundError, match=r"no member 'b' in a\.lmarc"):
        view.file("b")
    with pytest.raises(FileNotFoundError, match=r"no member 'b' in a\.lmarc"):
        view.listing("b", True)
    assert view.found("b", None, False, False) == []


def test_links_are_followed_within_the_archive(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast") as writer:
        writer.add_bytes("a/file", b"content")
        writer.add_link("a/b", "../c")
        writer.add_link("c", "a/file")
        writer.add_link("loop", "loop")
        writer.add_link("outside", "../../etc/passwd")
        writer.add_link("absolute", "/etc/passwd")
        writer.add_link("folder", "a")
    files = LmarcFileSystem(tmp_path / "a.lmarc")
    assert files.cat_file("a/b") == b"content"
    assert files.info("a/b")["size"] == 7
    assert files.isfile("a/b")
    for name in ("loop", "outside", "absolute", "folder"):
        assert files.info(name)["type"] == "link"
        with pytest.raises(FileNotFoundError):
            files.cat_file(name)
