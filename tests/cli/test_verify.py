"""`lmarc verify`."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_sound_archive_is_sound(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    done = run("verify", "a.lmarc")
    assert done.text.startswith("a.lmarc: sound: 14 members, ")
    assert done.err == ""
    data = (tmp_path / "a.lmarc").read_bytes()
    assert run("verify", "-", "--jobs", "1", stdin=data).text.startswith("-: sound: 14 members")
    assert run("verify", "-q", "a.lmarc").out == b""
    document = json.loads(run("verify", "--json", "a.lmarc").text)
    assert isinstance(document.pop("seconds"), float)
    sizes = sum(
        path.stat().st_size
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "text.txt"
    )
    assert document.pop("chunks") > 1
    assert document == {
        "command": "verify",
        "archive": "a.lmarc",
        "ok": True,
        "members": 14,
        "content_size": sizes,
        "archive_size": len(data),
    }


def test_damage_is_told_with_its_place(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    data = bytearray((tmp_path / "a.lmarc").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.lmarc").write_bytes(data)
    done = run("verify", "a.lmarc", code=15)
    assert done.err.startswith("lmarc: a.lmarc: ")
    assert "at byte" in done.err
    document = json.loads(run("verify", "--json", "a.lmarc", code=15).text)
    assert (document["ok"], document["error"], document["exit_code"]) == (False, "CorruptError", 15)
    assert document["offset"] < len(data)
    assert document["message"] in done.err
