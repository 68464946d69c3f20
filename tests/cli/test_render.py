"""What people see."""

import io
import json
import sys
import time

import pytest

from lmarc.cli import render
from lmarc.cli.render import Console


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain/name.txt", "plain/name.txt"),
        ("\u00e9\u4e2d".encode(), "\u00e9\u4e2d"),
        (b"a\\b", "a\\\\b"),
        (b"a\nb\t\x1b[2J", "a\\nb\\t\\x1b[2J"),
        (b"\xff\xc3", "\\xff\\xc3"),
        ("\u202e".encode(), "\\xe2\\x80\\xae"),
        (b"\xc2\x9b", "\\xc2\\x9b"),
    ],
)
def test_names_cannot_command_a_terminal(raw: bytes, shown: str) -> None:
    assert render.name(raw) == shown


def test_names_in_json_are_exact() -> None:
    assert render.json_name("\u00e9".encode()) == {"name": "\u00e9"}
    assert render.json_name(b"\xff", "key") == {"key": "\ufffd", "key_base64": "/w=="}
    line = render.json_line({"name": "\u00e9\n"})
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {"name": "\u00e9\n"}


@pytest.mark.parametrize(
    ("byte_count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1234, "1.23 kB"),
        (99_949, "99.9 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (12_345_678, "12.3 MB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_sizes_have_three_digits(byte_count: int, shown: str) -> None:
    assert render.size(byte_count) == shown


def test_warnings_are_counted_also_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        with Console("working", quiet=quiet) as console:
            console.warn("odd")
        assert console.warning_count == 1
    assert capsys.readouterr() == ("", "lmarc: warning: odd\n")


def test_long_work_gives_plain_lines_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Console("creating", quiet=False) as console:
        console.expect(4_000_000)
        for second in range(61):
            now[0] = 100.0 + second
            console.progress(second * 1000, second * 250)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "lmarc: creating: 30.0 kB of 4.00 MB, 1.00 kB/s, ratio 25.0 %, 30 s",
        "lmarc: creating: 60.0 kB of 4.00 MB, 1.00 kB/s, ratio 25.0 %, 60 s",
    ]


def test_a_terminal_gets_a_bar_for_work_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Console("extracting", quiet=False, extracting=True) as console:
        console.expect(2_000_000)
        console.progress(10, 10)
        assert terminal.getvalue() == ""
        now[0] = 101.0
        console.progress(250_000, 1_000_000)
        console.warn("odd")
        assert "1.0/2.0 MB" in terminal.getvalue()
        assert "ratio 25.0 %" in terminal.getvalue()
    assert "lmarc: warning: odd" in terminal.getvalue()


def test_steps_say_a_line_now_and_then_elsewhere_than_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with render.Steps("training", quiet=False, total=3) as steps:
        steps.begin("reading")
        steps.done("read")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(render, "_LINE_AFTER", 0.0)
    with render.Steps("training", quiet=False, total=3) as steps:
        steps.done("read 5 kB")
    assert capsys.readouterr().err == "lmarc: training: read 5 kB, 0 s\n"
    with render.Steps("training", quiet=True, total=3) as steps:
        steps.done("read 5 kB")
    assert capsys.readouterr().err == ""


def test_steps_are_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with render.Steps("training", quiet=False, total=2) as steps:
        for number in range(3):  # one more than was thought
            steps.begin("counting")
            steps.done(f"counted {number}")
    assert "training" in capsys.readouterr().err
