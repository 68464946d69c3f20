"""Values on the command line."""

import argparse

import pytest

from lmarc.cli import options


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("64K", 65536),
        ("64k", 65536),
        ("64KiB", 65536),
        ("64kB", 64000),
        ("1.5M", 3 << 19),
        ("2GB", 2 * 10**9),
        ("1TiB", 1 << 40),
        ("7B", 7),
    ],
)
def test_sizes_are_parsed(text: str, size: int) -> None:
    assert options.size(text) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1X", "1 2", "1Ki", "0x10", "1KBB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no size"):
        options.size(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("20260131", 20260131 * 10**9),
        ("@1.5", 1_500_000_000),
        ("@-1", -(10**9)),
        ("1970-01-02T00:00:00Z", 86_400 * 10**9),
        ("1970-01-01T01:00:00.000001+01:00", 1000),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
    ],
)
def test_times_are_parsed(text: str, nanoseconds: int) -> None:
    assert options.time(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "yesterday", "9" * 30, "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.time(text)


def test_owners_are_parsed() -> None:
    assert options.owner("0:12") == (0, 12, b"", b"")
    assert options.owner("root:no-such-group")[:1] == (0,)
    assert options.owner("root:no-such-group")[1:] == (-1, b"root", b"no-such-group")
    for text in ("root", ":", "a:", ":b", "a:b:c", f"{1 << 63}:0"):
        with pytest.raises(argparse.ArgumentTypeError):
            options.owner(text)


def test_ranges_are_parsed() -> None:
    assert options.byte_range("1:20") == (1, 20)
    assert options.byte_range(":") == (None, None)
    assert options.byte_range("-5:") == (-5, None)
    for text in ("", "5", "a:b", "1:2:3"):
        with pytest.raises(argparse.ArgumentTypeError):
            options.byte_range(text)


def test_storage_options_are_an_object() -> None:
    assert options.storage_options('{"anon": true}') == {"anon": True}
    for text in ("", "[]", "{"):
        with pytest.raises(argparse.ArgumentTypeError):
            options.storage_options(text)


def test_counts_are_whole() -> None:
    assert options.count("3") == 3
    assert options.components("0") == 0
    for text in ("0", "-1", "x", "²"):
        with pytest.raises(argparse.ArgumentTypeError):
            options.count(text)
