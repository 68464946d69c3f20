"""Training text comes from every kind of source, in a fixed order, and is dealt out by content."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmarc
from lmarc.errors import ModelError
from lmarc.train import data
from lmarc.train.data import _LITTLE_SPLIT, PARTS, Document, documents, gather
from tests import tiny


def texts(*paths: Path, **options: str) -> list[tuple[str, str, bytes]]:
    found = documents([str(path) for path in paths], **options)
    return [(document.domain, document.name, document.text) for document in found]


def test_a_folder_gives_its_files_by_name_and_no_links(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_bytes(b"2")
    (tmp_path / "z").write_bytes(b"3")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("a")
    folder = tmp_path.name
    assert texts(tmp_path) == [(folder, "a", b"1"), (folder, "z", b"3"), ("b", "two", b"2")]


def test_a_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    assert texts(tmp_path / "a") == [(tmp_path.name, "a", b"1")]


def test_jsonl_gives_a_field_or_the_line(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "né"}), json.dumps({"other": 1}), "no JSON", '"string"']
    (tmp_path / "x.jsonl").write_text("\n".join(lines) + "\n")
    found = [text for _, _, text in texts(tmp_path / "x.jsonl")]
    assert found == ["né".encode(), b'{"other": 1}\n', b"no JSON\n", b'"string"\n']
    (document, *_) = texts(tmp_path / "x.jsonl", text_field="other")
    assert document == ("x", "0", lines[0].encode() + b"\n")


def test_parquet_gives_a_row_of_its_column_each(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"text": ["one", None, "", "two"], "raw": [b"1", b"2", b"3", b"4"]}), path
    )
    assert texts(path) == [("x", "0", b"one"), ("x", "3", b"two")]
    assert [text for _, _, text in texts(path, column="raw")] == [b"1", b"2", b"3", b"4"]
    with pytest.raises(ModelError, match="has columns text, raw, not body"):
        texts(path, column="body")


def test_an_archive_gives_its_files(tmp_path: Path) -> None:
    path = tmp_path / "x.lmarc"
    with lmarc.Writer(str(path), preset="fast") as writer:
        writer.add_bytes("folder/a", b"first")
        writer.add_bytes("b", b"second")
    assert texts(path) == [("x", "folder/a", b"first"), ("x", "b", b"second")]


def test_an_archive_of_many_files_gives_them_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_RUN", 1000)
    written = [(f"{n:03}", tiny.prose(n, 10 + 7 * n)) for n in range(100)]
    with lmarc.Writer(str(tmp_path / "x.lmarc"), preset="fast", chunk_size=4096) as writer:
        for name, text in written:
            writer.add_bytes(name, text)
    assert [(name, text) for _, name, text in texts(tmp_path / "x.lmarc")] == written


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        texts(tmp_path / "none")


def some(count: int, domain: str = "d") -> list[Document]:
    return [Document(domain, str(n), tiny.prose(n, 300)) for n in range(count)]


def test_every_text_is_in_one_part() -> None:
    corpus = gather(some(300), 1 << 30)
    dealt = [text for part in PARTS for text in corpus.texts.get(part, {}).get("d", [])]
    assert sorted(dealt) == sorted(document.text for document in some(300))
    assert corpus.size == 300 * 300
    shares = [len(corpus.part(part)["d"]) / corpus.size for part in PARTS]
    assert 0.65 < shares[0] < 0.83
    assert 0.14 < shares[1] < 0.31


def test_another_source_moves_no_text_of_the_first() -> None:
    alone = gather(some(50), 1 << 30)
    more = [Document("e", str(n), tiny.table(n, 300)) for n in range(50)]
    both = gather([*more, *some(50)], 1 << 30)
    for part in PARTS:
        assert both.texts[part]["d"] == alone.texts[part]["d"]
    assert both.digest != alone.digest


def test_duplicates_and_empty_texts_count_once_and_never() -> None:
    corpus = gather([*some(5), *some(5), Document("d", "", b"")], 1 << 30)
    assert corpus.size == 5 * 300


def test_gathering_stops_at_the_limit() -> None:
    assert gather(some(50), 1000).size == 1200


def test_a_large_text_is_dealt_out_in_pieces() -> None:
    text = b"".join(bytes([n % 251]) * 997 for n in range(11_000))
    corpus = gather([Document("d", "large", text)], 1 << 30)
    pieces = [piece for part in corpus.texts.values() for piece in part["d"]]
    assert sum(map(len, pieces)) == len(text) == corpus.size
    assert max(map(len, pieces)) == _LITTLE_SPLIT
    assert len(corpus.texts) > 1
