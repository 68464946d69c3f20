"""How messages show names and reasons."""

import pytest

from lmarc.archive.messages import reason, show


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a/b", "a/b"),
        ("é".encode(), "é"),
        (b"\xff", "\\xff"),
        (b"a\nb", "a\\nb"),
        (b"\x1b[31m", "\\x1b[31m"),
        ("\u202e".encode(), "\\u202e"),
    ],
)
def test_names_are_shown_on_one_line_without_control_characters(name: bytes, shown: str) -> None:
    assert show(name) == shown


def test_reasons_leave_out_number_and_path() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", "x")) == (
        "No such file or directory"
    )
    assert reason(ValueError("odd")) == "odd"
