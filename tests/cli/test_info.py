"""`lmarc info`."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_an_archive_is_described(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    text = run("info", "a.lmarc").text
    assert "version    1.0" in text
    assert "14: 7 files, 4 directories, 2 symbolic links, 1 hard link" in text
    document = json.loads(run("info", "--json", "a.lmarc").text)
    assert document["archive"] == "a.lmarc"
    assert document["archive_size"] == (tmp_path / "a.lmarc").stat().st_size
    assert (document["version"], document["members"], document["files"]) == ("1.0", 14, 7)
    assert sum(codec["chunks"] for codec in document["codecs"]) == document["chunks"]
    assert {group["name"] for group in document["content_classes"]} >= {"text", "binary"}


def test_an_empty_archive_is_described(run: Run) -> None:
    run("create", "a.lmarc", "-T", "-")
    document = json.loads(run("info", "--json", "a.lmarc").text)
    assert (document["members"], document["chunks"], document["codecs"]) == (0, 0, [])
    assert run("list", "a.lmarc").text == ""
    assert run("list", "--chunks", "--json", "a.lmarc").text == ""
    run("extract", "a.lmarc")


def test_a_pipe_cannot_be_described(run: Run) -> None:
    assert "path or a URL" in run("info", "-", code=2).err
