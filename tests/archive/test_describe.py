"""What an archive is, in words and numbers."""

from pathlib import Path

import lmarc


def test_sums_agree_with_the_tables(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_bytes("text.txt", b"some words, and more words\n" * 1000)
        out.add_bytes("data.bin", bytes(range(256)) * 100)
        out.add_directory("d")
        out.add_link("link", "text.txt")
    with lmarc.open(tmp_path / "a") as archive:
        document = archive.describe()
        chunks = archive.describe_chunks(range(len(archive.chunks())))
    assert (document["members"], document["files"]) == (4, 2)
    assert (document["directories"], document["symlinks"], document["hardlinks"]) == (1, 1, 0)
    assert document["file_size"] == document["content_size"] == 27_000 + 25_600
    for key in ("codecs", "content_classes"):
        assert sum(group["chunks"] for group in document[key]) == len(chunks)
        assert sum(group["content_size"] for group in document[key]) == document["content_size"]
        stored = sum(group["stored_size"] for group in document[key])
        assert stored == sum(chunk["stored_size"] for chunk in chunks)
    assert {chunk["content_class"] for chunk in chunks} == {"text", "binary"}


def test_an_archive_without_members_is_described(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast"):
        pass
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.describe()["codecs"] == []
        assert archive.describe_chunks([]) == []
