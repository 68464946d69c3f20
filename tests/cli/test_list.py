"""`lmarc list`."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import MTIME, Run

SHOWN = """\
tree/
tree/broken
tree/empty
tree/empty-dir/
tree/link
tree/new\\nline
tree/not-utf8-\\xff\\xfe
tree/sparse
tree/sub/
tree/sub/data.bin
tree/sub/deep/
tree/sub/deep/small
tree/sub/hard
tree/text.txt
"""


@pytest.fixture
def archive(run: Run, tree: Path, tmp_path: Path) -> bytes:
    """Make `a.lmarc` of `tree`; return its bytes."""
    run("create", "a.lmarc", "tree")
    return (tmp_path / "a.lmarc").read_bytes()


def test_names_come_one_a_line_with_escapes(run: Run, archive: bytes) -> None:
    done = run("list", "a.lmarc")
    assert (done.text, done.err) == (SHOWN, "")
    assert run("list", "-", stdin=archive).text == SHOWN


def test_globs_select(run: Run, archive: bytes) -> None:
    assert run("list", "a.lmarc", "tree/s*/*.bin").text == "tree/sub/data.bin\n"
    done = run("list", "a.lmarc", "tree/empty", "nope", code=19)
    assert (done.text, done.err) == ("tree/empty\n", "lmarc: no member matches 'nope'\n")
    assert run("list", "-", "tree/empty", stdin=archive).text == "tree/empty\n"


def test_long_shows_what_tar_shows(run: Run, archive: bytes, tree: Path) -> None:
    lines = run("list", "-l", "a.lmarc").text.splitlines()
    assert run("list", "-l", "-", stdin=archive).text.splitlines() == lines
    by_name = {line.split(" 2020-09-13 12:26 ")[1]: line.split() for line in lines}
    assert by_name["tree/"][0].startswith("d")
    assert by_name["tree/sub/data.bin"][0] == "-rwsr-x--x"
    assert by_name["tree/sub/data.bin"][2] == str((tree / "sub" / "data.bin").stat().st_size)
    assert by_name["tree/link -> text.txt"][0].startswith("l")
    assert by_name["tree/text.txt link to tree/sub/hard"][0].startswith("h")


def test_null_gives_exact_names(run: Run, archive: bytes) -> None:
    names = run("list", "--null", "a.lmarc").out.split(b"\0")
    assert b"tree/not-utf8-\xff\xfe" in names
    assert b"tree/new\nline" in names
    assert run("list", "--null", "-", stdin=archive).out.split(b"\0") == names


def _members(text: str) -> dict[str, dict[str, Any]]:
    return {member["name"]: member for member in map(json.loads, text.splitlines())}


def test_json_says_everything(run: Run, archive: bytes, tree: Path) -> None:
    done = run("list", "--json", "a.lmarc")
    assert done.text.isascii()
    assert run("list", "--json", "-", stdin=archive).text == done.text
    members = _members(done.text)
    status = (tree / "text.txt").stat()
    content = (tree / "text.txt").read_bytes()
    file = members["tree/sub/hard"]
    xattrs = file.pop("xattrs")
    user, group = file.pop("user"), file.pop("group")
    assert isinstance(user, str)
    assert isinstance(group, str)
    assert file == {
        "type": "file",
        "name": "tree/sub/hard",
        "mode": "0644",
        "mtime_ns": status.st_mtime_ns,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sparse": False,
        "changed_while_read": False,
    }
    assert status.st_mtime_ns >= MTIME
    if "user.note" in os.listxattr(tree / "text.txt"):
        value = base64.b64encode(b"\0value").decode()
        assert {"key": "user.note", "value_base64": value} in xattrs
    assert members["tree/link"]["link_target"] == "text.txt"
    assert members["tree/text.txt"]["type"] == "hardlink"
    assert members["tree/sub/data.bin"]["mode"] == "4751"
    odd = members["tree/not-utf8-\ufffd\ufffd"]
    assert base64.b64decode(odd["name_base64"]) == b"tree/not-utf8-\xff\xfe"


def test_chunks_are_shown_with_class_and_codec(run: Run, archive: bytes) -> None:
    chunks = [
        json.loads(line) for line in run("list", "--chunks", "--json", "a.lmarc").text.splitlines()
    ]
    assert [chunk["chunk"] for chunk in chunks] == list(range(len(chunks)))
    assert {"text", "binary"} <= {chunk["content_class"] for chunk in chunks}
    assert {chunk["codec"] for chunk in chunks} <= {"stored", "zstd", "zstd+dictionary"}
    assert set(chunks[0]) == {
        "chunk",
        "offset",
        "stored_size",
        "content_size",
        "content_class",
        "codec",
        "model",
    }
    table = run("list", "--chunks", "a.lmarc").text.splitlines()
    assert len(table) == len(chunks) + 1
    one = run("list", "--chunks", "--json", "a.lmarc", "tree/sub/data.bin").text.splitlines()
    assert 0 < len(one) < len(chunks)
    assert run("list", "--chunks", "--json", "a.lmarc", "tree/empty").text == ""
    assert "index" in run("list", "--chunks", "-", stdin=archive, code=2).err


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("missing", None, 3, "missing: No such file or directory"),
        ("empty", b"", 12, "empty"),
        ("text", b"just some text\n" * 100, 12, "lmarc archive starts with"),
        ("cut", -1, 14, "recover"),
        ("directory", "directory", 3, "Is a directory"),
    ],
)
def test_what_is_no_sound_archive_gets_one_sentence(
    run: Run, tmp_path: Path, tree: Path, name: str, content: object, code: int, says: str
) -> None:
    if content == "directory":
        (tmp_path / name).mkdir()
    elif content == -1:
        run("create", "whole", "tree/empty")
        (tmp_path / name).write_bytes((tmp_path / "whole").read_bytes()[:-1])
    elif isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    done = run("list", name, code=code)
    assert done.out == b""
    assert done.err.startswith("lmarc: ")
    assert done.err.count("\n") == 1
    assert name in done.err
    assert says in done.err
