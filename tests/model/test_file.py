"""Model files: written in one form, and read only when every rule of the page holds."""

from __future__ import annotations

import struct

import pytest
import zstandard

from lmarc.errors import ModelError
from lmarc.model import file

SECTIONS = {"card": b"{}", "counts": bytes(range(200)) * 9, "empty": b"", "a_9": b"x" * 1000}


def test_unpacking_gives_what_was_packed_in_order() -> None:
    unpacked = file.unpack(file.pack(2, SECTIONS), 2)
    assert list(unpacked.items()) == list(SECTIONS.items())


def test_the_same_sections_give_the_same_file() -> None:
    assert file.pack(2, SECTIONS) == file.pack(2, dict(SECTIONS))


def test_the_file_is_laid_out_as_the_page_says() -> None:
    data = file.pack(2, {"ab": b"content"})
    frame = zstandard.ZstdCompressor(level=19).compress(b"content")
    header = bytes.fromhex("8d4c4d4d4f440d0a 0100 0200 01000000")
    section = b"ab" + bytes(14) + struct.pack("<QQ", len(frame), 7)
    assert data == header + section + frame


@pytest.mark.parametrize("size", [0, 7, 15, 16, 47, 60])
def test_a_file_cut_short_is_refused(size: int) -> None:
    with pytest.raises(ModelError):
        file.unpack(file.pack(2, SECTIONS)[:size], 2)


def test_every_truncation_is_refused() -> None:
    data = file.pack(2, {"card": b"{}", "b": b"12345"})
    for size in range(len(data)):
        with pytest.raises(ModelError):
            file.unpack(data[:size], 2)


def changed(offset: int, new: bytes) -> bytes:
    data = bytearray(file.pack(2, {"card": b"{}", "b": b"12345"}))
    data[offset : offset + len(new)] = new
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\3\4" + bytes(60), "begins with"),
        (changed(8, b"\2"), "is of version 2"),
        (changed(10, b"\3"), "is of kind 3, expected 2"),
        (changed(12, struct.pack("<I", 65)), "declares 65 sections"),
        (changed(12, struct.pack("<I", 9)), "declares 9 sections"),
        (changed(16, b"Card"), "unlawfully"),
        (changed(16, b"ca\0d"), "unlawfully"),
        (changed(16, bytes(16)), "unlawfully"),
        (changed(16, b"b\0\0\0"), "twice"),
        (changed(40, struct.pack("<Q", 3)), "does not hold 3 bytes"),
        (changed(40, struct.pack("<Q", 1 << 40)), "at most"),
        (changed(32, struct.pack("<Q", 1 << 62)), "do not fill"),
        (file.pack(2, SECTIONS) + b"\0", "do not fill"),
        (changed(84, b"\xff\xff"), "cannot be read"),
    ],
)
def test_what_breaks_a_rule_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        file.unpack(data, 2)


def test_bytes_behind_a_frame_are_refused() -> None:
    frame = zstandard.compress(b"12345") + b"more"
    section = b"b".ljust(16, b"\0") + struct.pack("<QQ", len(frame), 5)
    header = bytes.fromhex("8d4c4d4d4f440d0a 0100 0200 01000000")
    with pytest.raises(ModelError, match="cannot be read"):
        file.unpack(header + section + frame, 2)


def parts_of(frame: bytes, sizes: list[int]) -> list[bytes]:
    parts = [bytearray(size) for size in sizes]
    section = file.Section("b", sum(sizes), memoryview(frame))
    section.read_into(memoryview(part) for part in parts)
    return [bytes(part) for part in parts]


@pytest.mark.parametrize("content", [b"", b"12345", bytes(1 << 20), bytes(range(256)) * 2000])
@pytest.mark.parametrize("checksum", [False, True])
def test_a_section_is_read_in_parts(content: bytes, checksum: bool) -> None:
    frame = zstandard.ZstdCompressor(level=19, write_checksum=checksum).compress(content)
    first = len(content) // 3
    parts = parts_of(frame, [first, 0, len(content) - first])
    assert b"".join(parts) == content


def test_a_section_in_parts_is_refused_unless_it_is_one_frame_and_fills_them() -> None:
    content = b"12345" * 1000
    frame = zstandard.compress(content)
    for wrong in (frame + b"m", frame + frame, frame[:-1], frame[:-8]):
        with pytest.raises(ModelError, match="no single frame"):
            parts_of(wrong, [5000])
    with pytest.raises(ModelError, match="does not hold 4999 bytes"):
        parts_of(frame, [4999])
    section = file.Section("b", 5000, memoryview(frame))
    for few in ([4999], [4000]):
        with pytest.raises(ModelError, match="does not fill its 5000 bytes"):
            section.read_into(memoryview(bytearray(size)) for size in few)
    damaged = bytearray(frame)
    damaged[10] ^= 255
    with pytest.raises(ModelError):
        parts_of(bytes(damaged), [5000])
    liar = bytes.fromhex("28b52ffd a0 00000040 110000 6161")  # says 1 GiB, holds two bytes
    with pytest.raises(ModelError):
        parts_of(liar, [1 << 30])


@pytest.mark.parametrize(
    "frame",
    [
        bytes.fromhex("28b52ffd 80 90 05000000 290000 6162636465"),  # a window of 256 MiB
        bytes.fromhex("28b52ffd 21 07 05 290000 6162636465"),  # a Dictionary_ID
    ],
)
def test_a_frame_that_needs_more_than_its_section_is_refused(frame: bytes) -> None:
    section = b"b".ljust(16, b"\0") + struct.pack("<QQ", len(frame), 5)
    header = bytes.fromhex("8d4c4d4d4f440d0a 0100 0200 01000000")
    with pytest.raises(ModelError, match="needs a dictionary or much memory"):
        file.unpack(header + section + frame, 2)


def test_a_section_that_claims_much_takes_no_memory_for_it() -> None:
    # The frame says 1 GiB too, but holds two bytes.
    frame = bytes.fromhex("28b52ffd a0 00000040 110000 6161")
    section = b"b".ljust(16, b"\0") + struct.pack("<QQ", len(frame), 1 << 30)
    header = bytes.fromhex("8d4c4d4d4f440d0a 0100 0200 01000000")
    with pytest.raises(ModelError):
        file.unpack(header + section + frame, 2)
