"""Codecs 1 and 2: one zstd frame, and nothing else passes for one."""

import hashlib
import struct
import threading

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lmarc import CorruptError, ModelNotFoundError
from lmarc.codec.base import ModelKind, ModelRef
from lmarc.codec.zstd import DICTIONARY_CODEC, LEVELS, PLAIN_CODEC

CONTENT = b"the quick brown fox jumps over the lazy dog; " * 50
DICTIONARY = b"the lazy dog and the quick brown fox jumps over" * 4
MODEL = ModelRef(ModelKind.ZSTD_DICTIONARY, hashlib.sha256(DICTIONARY).digest(), DICTIONARY)


def frame(content: bytes = CONTENT, **options: object) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(content)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [LEVELS[0], 3, 19, LEVELS[-1]])
def test_content_comes_back_at_every_level(level: int) -> None:
    payload = PLAIN_CODEC.compress(memoryview(CONTENT), level)
    assert PLAIN_CODEC.decompress(memoryview(payload), len(CONTENT)) == CONTENT


@given(st.binary(min_size=1, max_size=2000))
def test_any_content_comes_back(content: bytes) -> None:
    assert PLAIN_CODEC.decompress(PLAIN_CODEC.compress(content, 3), len(content)) == content
    payload = DICTIONARY_CODEC.compress(content, 3, DICTIONARY)
    assert DICTIONARY_CODEC.decompress(payload, len(content), MODEL) == content


def test_a_frame_declares_its_size_and_nothing_that_the_chunk_says() -> None:
    for payload in (
        PLAIN_CODEC.compress(CONTENT, 3),
        DICTIONARY_CODEC.compress(CONTENT, 3, DICTIONARY),
    ):
        parameters = zstandard.get_frame_parameters(payload)
        assert parameters.content_size == len(CONTENT)
        assert not parameters.has_checksum
        assert parameters.dict_id == 0


def test_a_dictionary_helps_and_is_needed() -> None:
    payload = DICTIONARY_CODEC.compress(CONTENT[:60], 3, DICTIONARY)
    assert len(payload) < len(PLAIN_CODEC.compress(CONTENT[:60], 3))
    with pytest.raises(CorruptError, match="cannot be decompressed"):
        PLAIN_CODEC.decompress(payload, 60)


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        (b"", "begins with , expected 28b52ffd"),
        (b"\x28\xb5\x2f", "begins with 28b52f"),
        (b"\x28\xb5\x2f\xfd", "cannot be decompressed"),
        (struct.pack("<II", 0x184D2A50, len(CONTENT)) + bytes(len(CONTENT)), "begins with 502a"),
        (frame()[:-1], "did not decompress full frame"),
        (frame() + b"\x00", "1 bytes of unused data"),
        (frame(CONTENT + b"x"), "Frame_Content_Size is 2251, Content_Size is 2250"),
        (frame(write_content_size=False), "Frame_Content_Size is 18446744073709551615"),
        (frame()[:-4] + b"\xff\xff\xff\xff", "cannot be decompressed"),
    ],
)
def test_anything_but_one_whole_frame_is_corrupt(payload: bytes, match: str) -> None:
    with pytest.raises(CorruptError, match=match):
        PLAIN_CODEC.decompress(payload, len(CONTENT))


def test_a_window_beyond_the_limit_is_corrupt() -> None:
    # Frame_Header_Descriptor 0x80: four bytes of content size, a Window_Descriptor before them.
    # Window_Descriptor 0x78: 1 << (10 + 15) bytes.
    payload = bytes.fromhex("28b52ffd 80 78") + struct.pack("<I", 8) + bytes.fromhex("010000")
    with pytest.raises(CorruptError, match="window of a zstd frame is 33554432 bytes"):
        PLAIN_CODEC.decompress(payload, 8)


def test_a_frame_of_codec_1_names_no_dictionary() -> None:
    samples: list[bytes | bytearray | memoryview] = []
    samples += [b"%d words of a sample, %d" % (n, n * n) for n in range(3000)]
    trained = zstandard.train_dictionary(4096, samples)
    payload = zstandard.ZstdCompressor(dict_data=trained).compress(CONTENT)
    with pytest.raises(CorruptError, match=r"Dictionary_ID of a zstd frame is \d+"):
        PLAIN_CODEC.decompress(payload, len(CONTENT))


def test_a_dictionary_codec_needs_its_model() -> None:
    payload = DICTIONARY_CODEC.compress(CONTENT, 3, DICTIONARY)
    with pytest.raises(CorruptError, match="names no model"):
        DICTIONARY_CODEC.decompress(payload, len(CONTENT), None)
    other = ModelRef(ModelKind.NGRAM, bytes(32), DICTIONARY)
    with pytest.raises(CorruptError, match="has kind 2, expected 1"):
        DICTIONARY_CODEC.decompress(payload, len(CONTENT), other)
    absent = ModelRef(ModelKind.ZSTD_DICTIONARY, bytes(32), None)
    with pytest.raises(ModelNotFoundError, match="00000000 is not embedded"):
        DICTIONARY_CODEC.decompress(payload, len(CONTENT), absent)


def test_threads_share_the_codecs_and_agree() -> None:
    expected = [PLAIN_CODEC.compress(CONTENT, level) for level in LEVELS]
    found: list[list[bytes]] = []

    def work() -> None:
        found.append([PLAIN_CODEC.compress(CONTENT, level) for level in LEVELS])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
