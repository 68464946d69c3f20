import os

import pytest

from lmarc.archive.urls import cause, is_local, local_path, shown


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ftp://user:secret@host/a", "ftp://host/a"),
        ("simplecache::https://u:p@h/a", "simplecache::https://h/a"),
        ("https://h/a.lmarc?X-Amz-Signature=s&x=1", "https://h/a.lmarc?..."),
        (
            "404, url='https://h/a?sig=s' (https://h/a?sig=s)",
            "404, url='https://h/a?...' (https://h/a?...)",
        ),
        ("s3://b/what?.lmarc", "s3://b/what?.lmarc"),
        ("s3://b/a?versionId=7", "s3://b/a?versionId=7"),
        ("no@url?a=b", "no@url?a=b"),
    ],
)
def test_what_is_shown_holds_no_secrets(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_a_cause_that_tells_secrets_is_none() -> None:
    plain, telling = OSError("refused"), OSError("404 https://h/a?sig=s")
    assert cause(plain) is plain
    assert cause(telling) is None
