"""`lmarc append`."""

import json
import os
from pathlib import Path

from tests.cli.conftest import Run, facts


def test_what_is_appended_comes_back_with_the_rest(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "--no-recursion", "tree", "tree/sub", "tree/text.txt")
    old = (tmp_path / "a.lmarc").read_bytes()
    done = run("append", "a.lmarc", "tree")
    assert (done.out, done.err) == (b"", "")
    assert (tmp_path / "a.lmarc").read_bytes().startswith(old)
    run("extract", "a.lmarc", "-C", "new")
    assert facts(tmp_path / "new" / "tree").keys() == facts(tree).keys()
    run("verify", "a.lmarc")


def test_what_is_there_is_kept(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    old = (tmp_path / "a.lmarc").read_bytes()
    document = json.loads(run("append", "--json", "a.lmarc", "tree").text)
    assert (document["command"], document["members"]) == ("append", 0)
    assert (tmp_path / "a.lmarc").read_bytes() == old
    (tree / "empty").write_text("grown")
    done = run("append", "a.lmarc", "tree", "-v", code=1)
    assert done.err.count("warning") == 1
    assert "tree/empty" in done.err
    assert run("cat", "a.lmarc", "tree/empty").out == b""


def test_a_hard_link_to_another_version_keeps_its_content(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    run("create", "a.lmarc", "a")
    (tmp_path / "a").write_text("newer")
    os.link(tmp_path / "a", tmp_path / "b")
    run("append", "a.lmarc", "a", "b", code=1)
    assert run("cat", "a.lmarc", "a", "b").out == b"oldnewer"


def test_the_archive_is_not_in_itself(run: Run, tree: Path) -> None:
    run("create", "tree/a.lmarc", "tree/empty")
    run("append", "tree/a.lmarc", "tree")
    assert "a.lmarc" not in run("list", "tree/a.lmarc").text


def test_errors_leave_the_archive_alone(run: Run, tree: Path, tmp_path: Path) -> None:
    assert "nothing to append" in run("append", "a.lmarc", code=2).err
    assert "pipe" in run("append", "-", "tree", code=2).err
    run("append", "a.lmarc", "tree", code=3)
    run("create", "a.lmarc", "tree/empty")
    old = (tmp_path / "a.lmarc").read_bytes()
    assert run("append", "a.lmarc", "tree", "nowhere", code=3).err.startswith("lmarc: nowhere: ")
    assert (tmp_path / "a.lmarc").read_bytes() == old
