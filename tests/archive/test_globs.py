"""Patterns on member names."""

import pytest

from lmarc.archive.globs import Excludes, Selection


@pytest.mark.parametrize(
    ("pattern", "name", "is_directory", "left_out"),
    [
        ("*.o", b"a.o", False, True),
        ("*.o", b"d/e/a.o", False, True),
        ("*.o", b"a.o/x", False, False),
        ("a*c", b"a/c", False, False),
        ("a**c", b"a/b/c", False, True),
        ("build/", b"d/build", True, True),
        ("build/", b"d/build", False, False),
        ("d/*.txt", b"d/x.txt", False, True),
        ("d/*.txt", b"e/d/x.txt", False, True),
        ("/d/*.txt", b"e/d/x.txt", False, False),
        ("/d/*.txt", b"d/x.txt", False, True),
        ("./d", b"d", True, True),
        ("d/**/x", b"d/x", False, True),
        ("d/**/x", b"d/e/f/x", False, True),
        ("[a-c]?", b"bz", False, True),
        ("[!a-c]?", b"bz", False, False),
        ("[]]", b"]", False, True),
        ("[", b"[", False, True),
        ("[z-a]", b"m", False, False),
        ("a[!b]c", b"a/c", False, False),
        (r"\*", b"*", False, True),
        (r"\*", b"x", False, False),
        ("?", "é".encode(), False, True),
        ("?", b"\xff", False, True),
        (b"\xff*", b"\xffx", False, True),
        ("", b"x", False, False),
        ("/", b"x", True, False),
    ],
)
def test_a_pattern_leaves_out_just_what_it_says(
    pattern: str | bytes, name: bytes, is_directory: bool, left_out: bool
) -> None:
    assert Excludes([pattern]).match(name, is_directory) is left_out


def test_the_last_pattern_decides() -> None:
    excludes = Excludes(["*.log", "!keep.log"])
    assert excludes.match(b"d/a.log", False)
    assert not excludes.match(b"d/keep.log", False)
    assert Excludes(["!keep.log", "*.log"]).match(b"keep.log", False)


@pytest.mark.parametrize(
    ("pattern", "name", "selected"),
    [
        ("d", b"d", True),
        ("d", b"d/x/y", True),
        ("d/", b"d/x", True),
        ("./d", b"d/x", True),
        ("d", b"e/d", False),
        ("d", b"dx", False),
        ("*.txt", b"a.txt", True),
        ("*.txt", b"d/a.txt", False),
        ("**/*.txt", b"a.txt", True),
        ("**/*.txt", b"d/e/a.txt", True),
        ("a[1].txt", b"a[1].txt", True),
        ("a[1].txt", b"a1.txt", True),
    ],
)
def test_a_selection_matches_from_the_start_and_takes_what_is_below(
    pattern: str, name: bytes, selected: bool
) -> None:
    assert Selection([pattern]).match(name) is selected


def test_no_pattern_selects_everything() -> None:
    assert Selection().match(b"x")
    assert not Selection()


def test_a_selection_knows_which_patterns_matched_nothing() -> None:
    selection = Selection(["a", "b*", "c"])
    assert selection.match(b"a/x")
    assert selection.match(b"c")
    assert not selection.match(b"d")
    assert selection.unmatched() == ["b*"]
