"""What archiving would cost and save: samples of the data, each preset measured on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from lmarc.archive.create import find
from lmarc.archive.messages import Warn
from lmarc.archive.primer import chosen_from, kept
from lmarc.archive.spans import Origin, Span, read_all
from lmarc.archive.trials import Preset, Zstd19
from lmarc.archive.walk import FILE, Found
from lmarc.archive.workers import default_jobs
from lmarc.codec.base import PRESETS, ContentClass
from lmarc.codec.primed import PRESETS as PRIMED
from lmarc.codec.primed import model_below
from lmarc.errors import SourceError
from lmarc.routing.sniff import classify

__all__ = ["ZSTD_19", "Cost", "Estimate", "Measured", "Prices", "estimate"]

ZSTD_19: Final = "zstd -19"  # what everything is compared with

_WINDOW: Final = 1 << 20  # bytes that are read in one place
_PER_MEMBER: Final = 64  # bytes of Index and Entries, typically
_GB: Final = 1e9
_HOUR: Final = 3600.0


class Prices(NamedTuple):
    """What is paid, in any one currency."""

    storage: float = 0.023  # for a GB (10^9 bytes) and a month
    egress: float = 0.09  # for a GB that is read
    core_hour: float = 0.04
    reads: float = 1.0  # how often a month all of it is read


class Measured(NamedTuple):
    """What one way of coding has made of the samples."""

    name: str  # a preset, or ZSTD_19
    ratio: float  # bytes after coding for each byte of content
    encode_speed: float  # bytes of content a second, on one core
    decode_speed: float
    model_size: int = 0  # bytes of the model in the archive: with a primer


class Cost(NamedTuple):
    """What one way of coding comes to for all of the data."""

    name: str
    size: int  # bytes of the archive, estimated
    encode_hours: float  # on all cores
    decode_hours: float
    once: float  # for coding it
    monthly: float  # for storage and reads, decoding included
    # Until what is saved against zstd -19 has paid for the coding; None: never.
    months: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer of `estimate`."""

    member_count: int
    content_size: int  # bytes of all files
    sample_size: int  # bytes of them that were coded
    jobs: int  # cores
    prices: Prices
    measured: list[Measured]
    costs: list[Cost]  # in the order of `measured`


def estimate(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    sample_size: int = 8 << 20,
    presets: Sequence[str] = tuple(PRESETS),
    primer: int | None = None,
    prices: Prices = Prices(),  # noqa: B008 - of numbers
    jobs: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    warn: Warn | None = None,
    notify: Callable[[str], object] | None = None,
    **options: Any,
) -> Estimate:
    """Measure presets on samples of what is to be archived, and reckon what they cost and save.

    Parameters
    ----------
    paths : iterable of paths
        As for `create`, URLs too.
    sample_size : int
        Bytes to code with each preset: windows of 1 MiB, evenly spaced over all content.
    presets : sequence of str
        Which ones.
    primer : int, optional
        Bytes of text that `create` would choose from the same data; it is chosen here too, and
        what codes text with a model begins from it.
    prices : Prices
        What storage, reading and computing cost.
    jobs : int, optional
        Cores that would work; as many as there are otherwise. The samples are coded on one.
    storage_options : mapping, optional
        For the file systems of URLs.
    warn : callable, optional
        Gets one sentence for each file that was left out.
    notify : callable, optional
        Gets the name of each way of coding when it is its turn.
    **options
        directory, exclude, recurse, one_file_system and missing_ok, as for `create`.

    Raises
    ------
    ValueError
        There is no content to sample, or an argument is out of range.
    ModelError
        There is no text to choose a primer from, or no primer has such a size.
    OSError
        As for `create`.
    """
    if sample_size < 1:
        raise ValueError(f"the size of samples is {sample_size}, expected 1 byte or more")
    notes: Warn = warn if warn is not None else lambda message: None
    files, member_count = _files(paths, notes, {**options, "source_options": storage_options})
    origins = [found.place() for found in files]
    content_size = sum(origin.size for origin in origins)
    windows = list(_windows(origins, content_size, sample_size, notes)) if content_size else []
    if not windows:
        raise ValueError("there is no content to estimate: no file, or only empty ones")
    chosen = chosen_from(files, primer) if primer is not None else None
    measured = []
    for name in (ZSTD_19, *presets):
        if notify is not None:
            notify(name)
        with ExitStack() as stack:
            model = None
            if chosen is not None and name in PRIMED:
                model = stack.enter_context(kept(chosen.over(model_below(name))))
            measured.append(_measure(name, windows, model))
    count = jobs or default_jobs()
    whole = (content_size, member_count)
    costs = [_cost(one, measured[0], whole, count, prices) for one in measured]
    sampled = sum(len(content) for _, content in windows)
    return Estimate(member_count, content_size, sampled, count, prices, measured, costs)


def _files(
    paths: Iterable[str | bytes | os.PathLike[str]], warn: Warn, options: dict[str, Any]
) -> tuple[list[Found], int]:
    """Return the files that have content, and how many members there are in all."""
    files = []
    count = 0
    for found in find(paths, warn=warn, open_files=False, **options):
        count += 1
        if found.type == FILE and found.size:
            files.append(found)
    return files, count


def _windows(
    origins: list[Origin], content_size: int, sample_size: int, warn: Warn
) -> Iterator[tuple[int, bytes]]:
    """Give class and content of windows, evenly spaced over all content.

    What a window holds of one class is together, as it would be in chunks.
    """
    count = max(1, min(sample_size, content_size) // _WINDOW)
    size = min(sample_size, content_size) // count
    place, before = 0, 0  # the file where a window begins, and all content before it
    for number in range(count):
        start = content_size * number // count
        while before + origins[place].size <= start:
            before += origins[place].size
            place += 1
        yield from _window(origins, place, start - before, size, warn).items()


def _window(
    origins: list[Origin], place: int, position: int, size: int, warn: Warn
) -> dict[int, bytes]:
    """Return the content of each class in `size` bytes from a position in a file on."""
    found: dict[int, bytes] = {}
    while size and place < len(origins):
        origin = origins[place]
        end = min(origin.size, position + size)
        try:
            content_class = _class_of(origin)
            (content,) = read_all([Span(origin, position, end, 0, False)])
            found[content_class] = found.get(content_class, b"") + content
        except SourceError as exc:
            warn(f"{exc}; not sampled")
        size -= end - position
        place, position = place + 1, 0
    return found


def _class_of(origin: Origin) -> int:
    def sample(start: int, end: int) -> bytes:
        return read_all([Span(origin, start, end, 0, False)])[0]

    return classify(sample, origin.size, os.fsencode(origin.url))


def _measure(name: str, windows: list[tuple[int, bytes]], model: str | None) -> Measured:
    """Code all windows in one way, and decode them again."""
    coder: Zstd19 | Preset = Zstd19() if name == ZSTD_19 else Preset(name, model)
    coder.decode(*coder.encode(ContentClass.TEXT, windows[0][1][:4096]))  # loads and compiles
    content_size = sum(len(content) for _, content in windows)
    started = time.perf_counter()
    coded = [coder.encode(content_class, content) for content_class, content in windows]
    encoded = time.perf_counter()
    for one in coded:
        coder.decode(*one)
    decoded = time.perf_counter()
    return Measured(
        name,
        sum(size for size, _ in coded) / content_size,
        content_size / max(encoded - started, 1e-9),
        content_size / max(decoded - encoded, 1e-9),
        os.path.getsize(model) if model is not None else 0,
    )


def _cost(
    one: Measured, against: Measured, whole: tuple[int, int], jobs: int, prices: Prices
) -> Cost:
    """Reckon what a way of coding costs for `whole`: bytes of content, and members."""
    size, once, monthly = _bill(one, whole, prices)
    _, once_zstd, monthly_zstd = _bill(against, whole, prices)
    more_at_once, saved = once - once_zstd, monthly_zstd - monthly
    months: float | None = None
    if one is against or (more_at_once <= 0 and saved >= 0):
        months = 0.0
    elif saved > 0:
        months = more_at_once / saved
    content_size = whole[0]
    encode_hours = content_size / one.encode_speed / _HOUR / jobs
    decode_hours = content_size / one.decode_speed / _HOUR / jobs
    return Cost(one.name, size, encode_hours, decode_hours, once, monthly, months)


def _bill(one: Measured, whole: tuple[int, int], prices: Prices) -> tuple[int, float, float]:
    """Return bytes, what coding costs once, and what a month of storing and reading costs."""
    content_size, member_count = whole
    size = round(content_size * one.ratio) + _PER_MEMBER * member_count + one.model_size
    once = content_size / one.encode_speed / _HOUR * prices.core_hour
    reading = size / _GB * prices.egress + content_size / one.decode_speed / _HOUR * (
        prices.core_hour
    )
    return size, once, size / _GB * prices.storage + reading * prices.reads
