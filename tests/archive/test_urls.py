import os

import pytest

from lmarc.archive.urls import is_local, local_path, shown


@pytest.mark.parametrize("url", ["a.lmarc", "/a/b", "./x:y", "a b", "file:///a", "C", "a::b"[:1]])
def test_paths_are_local(url: str) -> None:
    assert is_local(url)


@pytest.mark.parametrize("url", ["s3://b/k", "memory://x", "simplecache::s3://b/k", "https://h/a"])
def test_urls_are_not(url: str) -> None:
    assert not is_local(url)


def test_file_urls_are_paths() -> None:
    assert local_path("file:///a/b") == "/a/b"
    assert local_path("~x") == "~x"
    assert local_path("file://~/x") == os.path.expanduser("~/x")


def test_shown_hides_credentials() -> None:
    assert shown("ftp://user:secret@host/a") == "ftp://host/a"
