"""`lmarc recover`."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Run, facts


def test_a_whole_archive_comes_out_whole(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    done = run("recover", "a.lmarc", "new")
    assert "14 members saved, 0 members lost" in done.err
    assert facts(tmp_path / "new" / "tree") == facts(tree)


def test_what_is_before_a_cut_is_saved(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(4):
        (source / f"f{number}").write_bytes(os.urandom(4096))
    run("create", "a.lmarc", "in", "--chunk-size", "4K")
    chunks = [
        json.loads(line) for line in run("list", "--chunks", "--json", "a.lmarc").text.splitlines()
    ]
    data = (tmp_path / "a.lmarc").read_bytes()
    (tmp_path / "cut").write_bytes(data[: chunks[2]["offset"] + 50])
    done = run("recover", "cut", "new", "--json", code=1)
    document = json.loads(done.text)
    assert sorted(lost["name"] for lost in document["lost"]) == ["in/f2", "in/f3"]
    assert document["intact"] == 3
    assert sorted(os.listdir(tmp_path / "new" / "in")) == ["f0", "f1"]


@pytest.mark.parametrize(("name", "code"), [("missing", 3), ("text", 12), ("-", 2)])
def test_errors_are_one_sentence(run: Run, tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "text").write_text("no archive\n" * 100)
    done = run("recover", name, "new", code=code)
    assert done.err.startswith("lmarc: ")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "new").exists()
