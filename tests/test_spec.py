"""The specification is true: its examples decode, its sentences are those that the code quotes."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash
import zstandard

from tools import craft, reference_decoder

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "spec"
FORMAT = (SPEC / "v1" / "format.md").read_text()
QUOTING = [
    *sorted((ROOT / "lmarc").rglob("*.py")),
    *sorted((ROOT / "tools").rglob("*.py")),
]


def example(name: str) -> bytes:
    """Return the bytes of the block ```hex NAME of format.md; each line must say where it is."""
    block = re.search(rf"^```hex {name}\n(.*?)^```", FORMAT, re.MULTILINE | re.DOTALL)
    assert block, name
    data = b""
    for line in block[1].splitlines():
        if line:
            parts = re.fullmatch(r"([0-9a-f]{8})  ((?:[0-9a-f]{2} ?)+)(?: +\S.*)?", line)
            assert parts, line
            assert int(parts[1], 16) == len(data), line
            data += bytes.fromhex(parts[2])
    return data


def plain(text: str) -> str:
    """Return text without marks and line breaks."""
    return re.sub(r"\s+", " ", text.replace("`", "").replace("*", "")).strip()


def quotes(source: str) -> Iterator[str]:
    """Yield what stands in double quotes in comments that begin with one, joined over lines."""
    quoted: list[str] = []
    for line in [*source.splitlines(), ""]:
        comment = re.match(r"\s*# (.*)", line)
        if comment and (quoted or comment[1].startswith('"')):
            quoted.append(comment[1])
            if comment[1].endswith('"'):
                yield plain(" ".join(quoted)[1:-1])
                quoted = []
        else:
            assert not quoted, f"a quotation is not closed: {quoted}"


SENTENCES = " ".join(plain(page.read_text()) for page in sorted(SPEC.rglob("*.md")))


@pytest.mark.parametrize("path", QUOTING, ids=lambda path: str(path.relative_to(ROOT)))
def test_quoted_sentences_are_in_the_spec(path: Path) -> None:
    missing = [quote for quote in quotes(path.read_text()) if quote not in SENTENCES]
    assert not missing


def test_the_reference_decoder_quotes_the_spec() -> None:
    source = (ROOT / "tools" / "reference_decoder.py").read_text()
    assert len(list(quotes(source))) > 50


def test_a_quotation_over_two_lines_is_one() -> None:
    assert list(quotes('x = 1\n    # "One and\n    # two."\n    # not "this"\n')) == [
        "One and two."
    ]


def test_links_between_pages_lead_somewhere() -> None:
    for page in SPEC.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)


def test_the_example_archive_is_one_member_of_three_bytes() -> None:
    data = example("one-member")
    index = reference_decoder.verify(data)
    (entry,) = index.entries
    assert (entry["path"], entry["size"], entry["mode"]) == (b"a.txt", 3, 0o644)
    assert entry["mtime"] == 1_700_000_000 * 10**9
    assert list(reference_decoder.Archive(data).read(0)) == [(0, b"abc")]


def test_the_example_archive_is_a_fixture() -> None:
    assert (ROOT / "fixtures" / "v1" / "one-member.lmarc").read_bytes() == example("one-member")


def test_lmarc_reads_the_example_archive(tmp_path: Path) -> None:
    import lmarc

    path = tmp_path / "example.lmarc"
    path.write_bytes(example("one-member"))
    with lmarc.open(str(path)) as archive:
        archive.verify()
        assert archive.read("a.txt") == b"abc"


def test_the_remarks_of_the_example_are_true() -> None:
    block = re.search(r"^```hex one-member\n(.*?)^```", FORMAT, re.MULTILINE | re.DOTALL)
    assert block
    count = 0
    for line in block[1].splitlines():
        remark = re.fullmatch(
            r"[0-9a-f]{8}  ((?:[0-9a-f]{2} ?)+) +[A-Z]\w+(?: of \w+:)? (\d+)(?:: \w+)?", line
        )
        if remark:
            value = int.from_bytes(bytes.fromhex(remark[1]), "little")
            assert value == int(remark[2]), line
            count += 1
    assert count > 20


def test_the_example_zstd_frame_decodes() -> None:
    frame = example("zstd-frame")
    assert reference_decoder.zstd(frame, 30, None) == b"abc" * 10
    assert zstandard.decompress(frame) == b"abc" * 10


def test_the_xxh3_vectors_are_right() -> None:
    inputs = {
        "nothing": b"",
        "bytes 0 to 15": bytes(range(16)),
        "bytes 0 to 16": bytes(range(17)),
        "bytes 0 to 128": bytes(range(129)),
        "bytes 0 to 240": bytes(range(241)),
        "4096 zero bytes": bytes(4096),
    }
    rows = re.findall(r"^\| (.+?) \| ([0-9a-f]{16}) \| ([0-9a-f ]{23}) \|$", FORMAT, re.MULTILINE)
    assert len(rows) == 8
    for text, value, stored in rows:
        data = bytes.fromhex(text.strip("`")) if text.startswith("`") else inputs[text]
        assert xxhash.xxh3_64_intdigest(data) == int(value, 16)
        assert struct.pack("<Q", int(value, 16)) == bytes.fromhex(stored)


@pytest.mark.parametrize(
    ("heading", "layout", "name"),
    [
        ("## 3. Header", craft.HEADER, "Header_Checksum"),
        ("## 4. Records", craft.RECORD, "Record_Checksum"),
        ("## 5. Chunk", craft.CHUNK_HEADER, "Reserved"),
        ("## 6. Model", craft.MODEL_HEADER, "Model_SHA256"),
        ("### 7.2 Entries", craft.ENTRIES_HEADER, "Chunk_Count"),
        ("### 7.3 Index", craft.INDEX_HEADER, "Model_Count"),
        ("## 8. Footer", craft.FOOTER_PAYLOAD, "End_Magic"),
    ],
)
def test_field_tables_have_the_size_of_their_struct(
    heading: str, layout: struct.Struct, name: str
) -> None:
    section = FORMAT.split(f"\n{heading}\n")[1]
    widths = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
    size = 0
    for field, kind in re.findall(r"^\| ([A-Z]\w+) \| (u\d+|\d+ bytes) \|", section, re.MULTILINE):
        size += widths.get(kind) or int(kind.split()[0])
        if field == name:
            break
    assert size == layout.size
