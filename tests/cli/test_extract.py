"""`lmarc extract`, and with it the round trip of everything."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run, command, environment, facts


def test_a_tree_comes_back_with_everything(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    done = run("extract", "a.lmarc", "-C", "new")
    assert (done.out, done.err) == (b"", "")
    assert facts(tmp_path / "new" / "tree") == facts(tree)
    assert (tmp_path / "new" / "tree").stat().st_mtime_ns == tree.stat().st_mtime_ns
    sparse = (tmp_path / "new" / "tree" / "sparse").stat()
    assert sparse.st_blocks <= (tree / "sparse").stat().st_blocks + 16


def test_a_tree_comes_back_through_a_pipe(tree: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        command("create", "-", "tree"), stdout=subprocess.PIPE, cwd=tmp_path, env=environment()
    ) as create:
        extract = subprocess.run(
            command("extract", "-", "-C", "new"),
            stdin=create.stdout,
            cwd=tmp_path,
            env=environment(),
            check=False,
        )
    assert (create.returncode, extract.returncode) == (0, 0)
    assert facts(tmp_path / "new" / "tree") == facts(tree)


@pytest.mark.parametrize("source", ["a.lmarc", "-"])
def test_globs_select(run: Run, tree: Path, tmp_path: Path, source: str) -> None:
    run("create", "a.lmarc", "tree")
    stdin = (tmp_path / "a.lmarc").read_bytes() if source == "-" else b""
    run("extract", source, "tree/empty*", "tree/sub/deep", "-C", "new", stdin=stdin)
    found = sorted(
        str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*")
    )
    assert found == [
        "tree",
        "tree/empty",
        "tree/empty-dir",
        "tree/sub",
        "tree/sub/deep",
        "tree/sub/deep/small",
    ]


def test_a_hard_link_alone_brings_its_content(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    # `tree/sub/hard` comes before `tree/text.txt`, so the latter is the link.
    run("extract", "a.lmarc", "tree/text.txt", "-C", "new")
    assert (tmp_path / "new" / "tree" / "text.txt").read_bytes() == (tree / "text.txt").read_bytes()
    stdin = (tmp_path / "a.lmarc").read_bytes()
    done = run("extract", "-", "tree/text.txt", "-C", "piped", stdin=stdin, code=1)
    assert "hard link" in done.err


@pytest.mark.parametrize("source", ["a.lmarc", "-"])
def test_content_goes_to_standard_output_in_order(
    run: Run, tree: Path, tmp_path: Path, source: str
) -> None:
    run("create", "a.lmarc", "tree", "--chunk-size", "4K")
    stdin = (tmp_path / "a.lmarc").read_bytes() if source == "-" else b""
    done = run("extract", source, "-O", "tree/sub", "tree/sparse", stdin=stdin)
    names = ("sparse", "sub/data.bin", "sub/deep/small", "sub/hard")
    assert done.out == b"".join((tree / name).read_bytes() for name in names)


def test_components_are_stripped(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    run("extract", "a.lmarc", "--strip-components", "1", "-C", "new")
    assert facts(tmp_path / "new") == facts(tree)


def test_extracting_twice_replaces_and_keep_keeps(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    for _ in range(2):
        run("extract", "a.lmarc", "-C", "new")
    assert facts(tmp_path / "new" / "tree") == facts(tree)
    small = tmp_path / "new" / "tree" / "sub" / "deep" / "small"
    small.unlink()
    small.write_text("mine")
    run("extract", "a.lmarc", "-C", "new", "-k")
    assert small.read_text() == "mine"


def test_what_matches_nothing_is_an_error_after_the_rest(
    run: Run, tree: Path, tmp_path: Path
) -> None:
    run("create", "a.lmarc", "tree")
    for source, stdin in (("a.lmarc", b""), ("-", (tmp_path / "a.lmarc").read_bytes())):
        done = run("extract", source, "nope*", "tree/empty", "-C", "n", code=19, stdin=stdin)
        assert done.err == "lmarc: no member matches 'nope*'\n"
        (tmp_path / "n" / "tree" / "empty").unlink()


def test_no_more_is_written_than_allowed(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    assert "at most 1,024" in run("extract", "a.lmarc", "--max-size", "1K", "-C", "n", code=21).err
    assert not (tmp_path / "n").exists()
    stdin = (tmp_path / "a.lmarc").read_bytes()
    run("extract", "-", "--max-size", "1K", "-C", "n", code=21, stdin=stdin)
    assert not [path for path in (tmp_path / "n").rglob("*") if path.is_file()]
    run("extract", "a.lmarc", "-O", "--max-size", "1K", code=21)


def test_one_damaged_chunk_costs_its_members_alone(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(4):
        (source / f"f{number}").write_bytes(os.urandom(4096))
    run("create", "a.lmarc", "in", "--chunk-size", "4K")
    chunks = [
        json.loads(line) for line in run("list", "--chunks", "--json", "a.lmarc").text.splitlines()
    ]
    data = bytearray((tmp_path / "a.lmarc").read_bytes())
    data[chunks[1]["offset"] + 100] ^= 1
    (tmp_path / "a.lmarc").write_bytes(data)
    done = run("extract", "a.lmarc", "-C", "new", code=15)
    assert done.err.count("\n") == 2
    assert "in/f1: not extracted" in done.err
    assert sorted(os.listdir(tmp_path / "new" / "in")) == ["f0", "f2", "f3"]
    for name in ("f0", "f2", "f3"):
        assert (tmp_path / "new" / "in" / name).read_bytes() == (source / name).read_bytes()


def test_names_are_shown_and_counted_when_asked(run: Run, tree: Path) -> None:
    run("create", "a.lmarc", "tree")
    done = run("extract", "-v", "a.lmarc", "tree/empty-dir", "-C", "new")
    assert done.text == "tree/empty-dir\n"
    assert "1 member, 0 B extracted" in done.err
    document = json.loads(run("extract", "--json", "a.lmarc", "-C", "new").text)
    assert document["command"] == "extract"
    assert document["members"] == len(facts(tree)) + 1
    assert document["warnings"] == 0


def test_a_link_in_the_way_is_refused(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "new").mkdir()
    os.symlink(outside, tmp_path / "new" / "tree")
    done = run("extract", "a.lmarc", "-C", "new", code=20)
    assert "symbolic link" in done.err
    assert os.listdir(outside) == []


def test_a_cut_pipe_leaves_whole_files_only(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree", "--chunk-size", "64K")
    data = (tmp_path / "a.lmarc").read_bytes()
    done = run("extract", "-", "-C", "new", stdin=data[: len(data) - 500], code=14)
    assert done.err.startswith("lmarc: -: ")
    for path in (tmp_path / "new" / "tree").rglob("*"):
        if path.is_file():
            original = tree / path.relative_to(tmp_path / "new" / "tree")
            assert path.read_bytes() == original.read_bytes()
