"""What members are taken for, from their content rather than their names."""

import codecs
import json
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmarc.codec.base import ContentClass
from lmarc.routing.sniff import HEAD_SIZE, classify

ENGLISH = (
    "It was the best of times, it was the worst of times,\r\n\tit was the age of wisdom. " * 400
)
GERMAN = "Die Bären saßen müde vor der Höhle und zählten die Äpfel für den Käse. " * 400
RUSSIAN = "Все счастливые семьи похожи друг на друга. " * 600  # noqa: RUF001
CHINESE = "子曰:「學而時習之,不亦說乎?有朋自遠方來,不亦樂乎?人不知而不慍。」\n" * 400


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def floats(count: int) -> bytes:
    values = [1000 + 3 * index + random.Random(index).random() for index in range(count)]
    return struct.pack(f"<{count}f", *values)


def npy(descr: str, data: bytes) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (10,), }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def safetensors(data: bytes) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def wav(data: bytes) -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 44100, 176400, 4, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVE" + fmt + b"data" + data


TAR_HEADER = b"a".ljust(257, b"\0") + b"ustar".ljust(255, b"\0")
RECORDS = b"".join(struct.pack("<B6s", n % 251, noise(3, n % 97)) for n in range(9999))

CASES: list[tuple[str, bytes, ContentClass]] = [
    ("ascii", ENGLISH.encode(), ContentClass.TEXT),
    ("one line", b"x\n", ContentClass.TEXT),
    ("escape sequences", b"\x1b[31mred\x1b[0m and plain\n" * 100, ContentClass.TEXT),
    ("utf-8", CHINESE.encode(), ContentClass.TEXT),
    ("utf-8 with mark", codecs.BOM_UTF8 + GERMAN.encode(), ContentClass.TEXT),
    ("utf-16 with mark", CHINESE.encode("utf-16"), ContentClass.TEXT),
    ("utf-16-be with mark", codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16-be"), ContentClass.TEXT),
    ("utf-16 without mark", ENGLISH.encode("utf-16-le"), ContentClass.TEXT),
    ("latin-1", GERMAN.encode("latin-1"), ContentClass.TEXT),
    ("koi8-r", RUSSIAN.encode("koi8-r"), ContentClass.TEXT),
    ("tar of text", TAR_HEADER + ENGLISH.encode(), ContentClass.TEXT),
    ("text with one odd part", ENGLISH.encode() + noise(1024), ContentClass.TEXT),
    ("text, then noise", ENGLISH.encode() + noise(1 << 20), ContentClass.INCOMPRESSIBLE),
    ("noise", noise(100_000), ContentClass.INCOMPRESSIBLE),
    ("short noise", noise(500), ContentClass.INCOMPRESSIBLE),
    ("zip", b"PK\x03\x04" + bytes(500) + noise(90_000), ContentClass.INCOMPRESSIBLE),
    ("a few bytes", b"\x00\x01\xff", ContentClass.BINARY),
    ("zeros", bytes(100_000), ContentClass.BINARY),
    ("records", RECORDS, ContentClass.BINARY),
    ("raw floats", floats(20_000), ContentClass.NUMERIC),
    ("few raw floats", floats(200), ContentClass.NUMERIC),
    ("npy", npy("<f8", noise(10_000)), ContentClass.NUMERIC),
    ("npy of objects", npy("|O", noise(10_000)), ContentClass.INCOMPRESSIBLE),
    ("safetensors", safetensors(noise(10_000)), ContentClass.NUMERIC),
    ("wav", wav(noise(10_000)), ContentClass.NUMERIC),
    ("empty", b"", ContentClass.BINARY),
]


@pytest.mark.parametrize(
    ("content", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_classify_tells_by_content(content: bytes, expected: ContentClass) -> None:
    assert classify(content, len(content), b"name") == expected
    assert classify(memoryview(content), len(content), b"misleading.jpg") == expected


def test_classify_reads_only_a_few_samples() -> None:
    content = ENGLISH.encode() * 100
    asked: list[tuple[int, int]] = []

    def sample(start: int, end: int) -> bytes:
        asked.append((start, end))
        return content[start:end]

    assert classify(sample, len(content), b"") == ContentClass.TEXT
    assert len(asked) == 5
    assert sum(end - start for start, end in asked) <= 2 * HEAD_SIZE
    assert asked[0][0] == 0
    assert asked[-1][1] == len(content)


def test_classify_bears_a_member_shorter_than_announced() -> None:
    content = ENGLISH.encode()[: HEAD_SIZE + 100]
    assert classify(content, 1 << 30, b"") == ContentClass.TEXT
    assert classify(b"", 1 << 30, b"") == ContentClass.BINARY


def test_the_name_decides_where_the_content_leaves_doubt() -> None:
    torn = b"caf\xe9 \x00 ol\xe9\n" + b"\xe9t\xe9 " * 3
    assert classify(torn, len(torn), b"notes.bin") == ContentClass.BINARY
    log = (b"GET /caf\xe9 200 some words\n" * 5 + b"\x00\x01") * 40
    assert classify(log, len(log), b"server.bin") == ContentClass.BINARY
    assert classify(log, len(log), b"server.log") == ContentClass.TEXT


@pytest.mark.parametrize("cut", range(4))
def test_a_character_cut_at_either_end_of_a_sample_is_still_text(cut: int) -> None:
    content = b"x" * cut + "鬱€ß".encode() * 50_000
    assert classify(content, len(content), b"") == ContentClass.TEXT


@given(st.binary(max_size=300), st.sampled_from([bytes, memoryview]))
def test_classify_takes_any_bytes(content: bytes, kind: Callable[[bytes], bytes]) -> None:
    assert classify(kind(content), len(content), b"") in tuple(ContentClass)
