"""What fsspec passes along a chain becomes one address."""

from typing import Any

import pytest

from lmarc.interop.chain import address

ON_S3 = {"target_protocol": "s3", "target_options": {"anon": True}}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a.lmarc", None, None), ("a.lmarc", {})),
        (("s3://b/a.lmarc", None, {"anon": True}), ("s3://b/a.lmarc", {"anon": True})),
        (("b/a.lmarc", "s3", {"anon": True}), ("s3://b/a.lmarc", {"anon": True})),
        (
            ("s3://b/a", "simplecache", {"fo": "s3://b/a", **ON_S3}),
            ("simplecache::s3://b/a", {"simplecache": {}, "s3": {"anon": True}}),
        ),
        (
            ("in/a", "zip", {"fo": "b/z.zip", **ON_S3}),
            ("zip://in/a::s3://b/z.zip", {"zip": {}, "s3": {"anon": True}}),
        ),
    ],
)  # fmt: skip
def test_chains_become_one_address(arguments: Any, expected: Any) -> None:
    assert address(*arguments) == expected
