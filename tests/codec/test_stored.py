"""Codec 0."""

import pytest

from lmarc import CorruptError
from lmarc.codec.stored import CODEC


def test_stored_is_the_content_itself() -> None:
    assert CODEC.compress(memoryview(b"abc")) == b"abc"
    assert CODEC.decompress(memoryview(b"abc"), 3) == b"abc"


def test_a_payload_of_another_size_is_corrupt() -> None:
    with pytest.raises(CorruptError, match="stored payload has 3 bytes, Content_Size is 4"):
        CODEC.decompress(b"abc", 4)
