import json
import re
from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.archive.setfile import (
    Shard,
    is_set,
    pack_set,
    parse_set,
    set_url,
    shard_address,
    shard_url,
)

SHARDS = [Shard(f"a-{n}.lmarc", 100 + n, n, bytes([n]) * 32) for n in range(3)]
SPEC = Path(__file__).parents[2] / "spec" / "v1" / "set.md"


def test_a_set_file_comes_back() -> None:
    assert parse_set(pack_set(SHARDS)) == SHARDS


def test_the_example_of_the_spec_is_one() -> None:
    block = re.search(r"^```json\n(.*?)^```", SPEC.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    (shard,) = parse_set(block[1].encode())
    assert pack_set([shard]).decode() == block[1]


def test_keys_that_are_not_known_are_ignored() -> None:
    document = json.loads(pack_set(SHARDS)) | {"note": 1}
    document["shards"][0]["note"] = 2
    assert parse_set(json.dumps(document).encode()) == SHARDS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""),
        ("name", ".."),
        ("name", "../a.lmarc"),
        ("name", "/etc/a.lmarc"),
        ("name", "s3://other/a.lmarc"),
        ("name", "zip::a"),
        ("name", "a\\b"),
        ("name", "a\0b"),
        ("name", 7),
        ("name", "a-1.lmarc"),  # that of another shard
        ("size", -1),
        ("size", 1.5),
        ("size", True),
        ("members", "1"),
        ("index_sha256", "00"),
        ("index_sha256", "A" * 64),
        ("index_sha256", None),
    ],
)
def test_what_is_not_lawful_is_refused(key: str, value: Any) -> None:
    document = json.loads(pack_set(SHARDS))
    document["shards"][0][key] = value
    with pytest.raises(lmarc.CorruptError):
        parse_set(json.dumps(document).encode())
    del document["shards"][0][key]
    with pytest.raises(lmarc.CorruptError):
        parse_set(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no JSON", lmarc.NotAnArchiveError),
        (b"\xff", lmarc.NotAnArchiveError),
        (b"[]", lmarc.NotAnArchiveError),
        (b'{"format": "other"}', lmarc.NotAnArchiveError),
        (b'{"format": "lmarc-set", "version": 2, "shards": []}', lmarc.UnsupportedVersionError),
        (b'{"format": "lmarc-set", "version": 1, "shards": []}', lmarc.CorruptError),
        (b'{"format": "lmarc-set", "version": 1, "shards": [7]}', lmarc.CorruptError),
        (b'{"format": "lmarc-set", "version": 1}', lmarc.CorruptError),
    ],
)
def test_other_bytes_are_no_set(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_set(data)


@pytest.mark.parametrize(
    ("pattern", "third", "whole"),
    [
        ("s3://b/name-{shard:05d}.lmarc", "s3://b/name-00002.lmarc", "s3://b/name.lmarcset"),
        ("name.{shard}.lmarc", "name.2.lmarc", "name.lmarcset"),
        ("d/{shard:03d}", "d/002", "d/archive.lmarcset"),
    ],
)
def test_addresses_follow_the_pattern(pattern: str, third: str, whole: str) -> None:
    assert shard_url(pattern, 2) == third
    assert set_url(pattern) == whole
    assert is_set(whole)
    assert not is_set(third)
    name = third.rpartition("/")[2]
    assert shard_address(whole, Shard(name, 0, 0, bytes(32))) == third


@pytest.mark.parametrize(
    "pattern", ["a.lmarc", "{shard}-{shard}", "{shard}/a", "{shard:x}", "{other}", "{shard!r}"]
)
def test_a_pattern_has_one_number_in_its_last_part(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"expected one \{shard"):
        shard_url(pattern, 0)
