"""What people see: names, sizes, warnings and progress. The only module that knows rich.

Everything but results goes to standard error. On a terminal that is one progress bar, which appears
once the work has lasted a moment; elsewhere it is a plain line now and then, and nothing at all for
work that is soon done. rich is not even imported before the bar appears.
"""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from lmarc.errors import _without_secrets

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Console", "Steps", "json_line", "json_name", "name", "percent", "plural", "size"]

_BAR_AFTER: Final = 0.4  # seconds
_LINE_AFTER: Final = 30.0  # seconds, and between two lines
_REFRESH: Final = 0.1  # seconds between updates of the bar


def name(raw: bytes) -> str:
    """Show a member's name on one line, with nothing that a terminal would obey.

    A backslash is doubled and what is not printable or not UTF-8 becomes an escape, so no two names
    look the same.
    """
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return ascii(char)[1:-1]
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def json_name(raw: bytes, key: str = "name") -> dict[str, str]:
    """A name for JSON: as text, and exactly in base64 where it is not UTF-8."""
    try:
        return {key: raw.decode("utf-8")}
    except UnicodeDecodeError:
        import base64

        exact = base64.b64encode(raw).decode("ascii")
        return {key: raw.decode("utf-8", "replace"), f"{key}_base64": exact}


def json_line(value: dict[str, Any]) -> str:
    """One line of JSON, ASCII alone; the address of an archive goes without what may be secret."""
    if "archive" in value:
        value = {**value, "archive": _without_secrets(value["archive"])}
    return json.dumps(value, separators=(",", ":")) + "\n"


def size(byte_count: float) -> str:
    """Show bytes to three digits: 999 B, 1.02 kB, 72.1 MB."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    at = 0
    value = float(byte_count)
    while value >= 999.5 and at < len(units) - 1:
        value /= 1000
        at += 1
    if at == 0:
        return f"{int(value)} B"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {units[at]}"


def percent(stored: int, content: int) -> str:
    """Show a ratio behind sizes; nothing where there is no content."""
    return f" ({100 * stored / content:.1f} %)" if content else ""


def plural(count: int, thing: str) -> str:
    """Show how many things there are: 1 chunk, 2,000 directories."""
    if count != 1:
        thing = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count:,} {thing}"


class Console:
    """Warnings and progress of one command; a context manager.

    Parameters
    ----------
    verb : str
        What is going on, for the bar: `creating`.
    quiet : bool
        Whether to say nothing; warnings are still counted.
    bar : bool
        Whether a bar may appear on a terminal.
    extracting : bool
        Whether content is what is written, and archive what is read, instead of the reverse.
    """

    def __init__(
        self, verb: str, *, quiet: bool, bar: bool = True, extracting: bool = False
    ) -> None:
        self.warning_count = 0
        self.total: int | None = None  # bytes; may be set at any time, None: not known
        self._verb = verb
        self._quiet = quiet
        self._extracting = extracting
        self.by_written = extracting  # bytes written measure the work, not bytes read
        self._terminal = sys.stderr.isatty()
        self._bar_allowed = bar and self._terminal and not quiet
        self._start = time.monotonic()
        self._next = self._start + (_BAR_AFTER if self._terminal else _LINE_AFTER)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._read = 0
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @property
    def shows_bar(self) -> bool:
        """Whether a bar may appear."""
        return self._bar_allowed

    @property
    def summarises(self) -> bool:
        """Whether somebody sits there who wants to know how it went."""
        return self._terminal and not self._quiet

    @property
    def seconds(self) -> float:
        """How long this has lasted."""
        return time.monotonic() - self._start

    def warn(self, message: str) -> None:
        """Print a warning, and count it."""
        self.warning_count += 1
        self.say(f"warning: {message}")

    def say(self, message: str) -> None:
        """Print a line, unless quiet."""
        if not self._quiet:
            sys.stderr.write(f"lmarc: {_without_secrets(message)}\n")
            sys.stderr.flush()

    def progress(self, bytes_read: int, bytes_written: int) -> None:
        """Take note of how far the work has come: totals since its start."""
        self._read, self._written = bytes_read, bytes_written
        now = time.monotonic()
        if now < self._next or self._quiet:
            return
        if self._bar_allowed:
            self._next = now + _REFRESH
            self._show_bar()
        elif not self._terminal:
            self._next = now + _LINE_AFTER
            self.say(self._line())

    def expect(self, byte_count: int) -> None:
        """Set how many bytes there will be in all."""
        self.total = byte_count

    def _done(self) -> int:
        return self._written if self.by_written else self._read

    def _ratio(self) -> str:
        content = self._written if self._extracting else self._read
        stored = self._read if self._extracting else self._written
        return f"{100 * stored / content:.1f} %" if content else ""

    def _line(self) -> str:
        rate = size(self._done() / max(self.seconds, 1e-9))
        total = f" of {size(self.total)}" if self.total else ""
        return (
            f"{self._verb}: {size(self._done())}{total}, {rate}/s, ratio {self._ratio()},"
            f" {self.seconds:.0f} s"
        )

    def _show_bar(self) -> None:
        if self._progress is None:
            self._progress, self._task = self._make_bar()
        if self._task is not None:
            done = self._done()
            # What was counted before may have grown since.
            total = max(self.total, done) if self.total is not None else None
            self._progress.update(
                self._task, completed=done, total=total, ratio=self._ratio(), refresh=True
            )

    def _make_bar(self) -> tuple[Progress, TaskID]:
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("ratio {task.fields[ratio]}"),
            TimeRemainingColumn(),
            console=RichConsole(stderr=True),
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
        )
        bar.start()
        task = bar.add_task(self._verb, total=self.total, ratio="", completed=0)
        return bar, task


class Steps:
    """Progress of work whose steps differ in length; a context manager.

    Parameters
    ----------
    verb : str
        What is going on: `training`.
    quiet : bool
        Whether to say nothing.
    total : int
        About how many steps there are.
    """

    def __init__(self, verb: str, *, quiet: bool, total: int) -> None:
        self._verb = verb
        self._quiet = quiet
        self._total = total
        self._count = 0
        self._start = time.monotonic()
        self._next = self._start + _LINE_AFTER
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            self._progress, self._task = self._make_bar()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def begin(self, what: str) -> None:
        """Say what is being done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, what=what)

    def done(self, what: str) -> None:
        """Take note that a step is done; elsewhere than on a terminal a line now and then."""
        self._count += 1
        now = time.monotonic()
        if self._progress is not None and self._task is not None:
            total = max(self._total, self._count)
            self._progress.update(self._task, completed=self._count, total=total, what=what)
        elif now >= self._next and not self._quiet:
            self._next = now + _LINE_AFTER
            sys.stderr.write(f"lmarc: {self._verb}: {what}, {now - self._start:.0f} s\n")
            sys.stderr.flush()

    def _make_bar(self) -> tuple[Progress, TaskID]:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[what]}"),
            console=RichConsole(stderr=True),
            transient=True,
            redirect_stdout=False,
        )
        bar.start()
        return bar, bar.add_task(self._verb, total=self._total, what="")
