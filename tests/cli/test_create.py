"""`lmarc create`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, command, environment

MEMBERS = 14  # of `tree`, itself included


def _names(run: Run, archive: str = "a.lmarc") -> list[bytes]:
    return run("list", "--null", archive).out.split(b"\0")[:-1]


def test_success_is_silent(run: Run, tree: Path) -> None:
    done = run("create", "a.lmarc", "tree")
    assert (done.out, done.err) == (b"", "")
    assert len(_names(run)) == MEMBERS


def test_the_same_input_gives_the_same_bytes(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree", "--jobs", "1")
    run("create", "b.lmarc", "--jobs", "3", "tree")
    piped = run("create", "-", "tree").out
    assert (tmp_path / "a.lmarc").read_bytes() == (tmp_path / "b.lmarc").read_bytes() == piped


@pytest.mark.parametrize("kind", ["threads", "processes", "dask"])
def test_the_executor_does_not_show(kind: str, run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    done = run("create", "b.lmarc", "tree", "--executor", kind, "--jobs", "1")
    assert (done.out, done.err) == (b"", "")
    assert (tmp_path / "a.lmarc").read_bytes() == (tmp_path / "b.lmarc").read_bytes()


def test_a_scheduler_means_dask_and_resume_means_s3(run: Run, tree: Path) -> None:
    done = run("create", "a", "tree", "--executor", "threads", "--scheduler", "x:1", code=2)
    assert "a scheduler is for the executor 'dask', found 'threads'" in done.err
    done = run("create", "a", "tree", "--resume", code=2)
    assert "only an archive on S3 can be resumed, found 'a'" in done.err


def test_a_dry_run_names_objects_too(run: Run) -> None:
    done = run("create", "a", "memory://none", "--dry-run", code=3)
    assert "memory://none: no object is there" in done.err


def test_options_may_stand_between_arguments(run: Run, tree: Path) -> None:
    run("create", "a.lmarc", "-C", "tree", "sub", "--exclude", "deep", "text.txt")
    assert _names(run) == [b"sub", b"sub/data.bin", b"sub/hard", b"text.txt"]
    run("create", "a.lmarc", "-C", str(tree), "--", "empty")
    assert _names(run) == [b"empty"]


def test_a_second_directory_is_refused(run: Run, tree: Path) -> None:
    """`tar` would take the first path from the first directory."""
    done = run("create", "a.lmarc", "-C", "tree", "sub", "-C", "tree/sub", "deep", code=2)
    assert done.err.startswith("lmarc: argument -C/--directory: is given twice")
    run("create", "a.lmarc", "tree")
    assert run("extract", "a.lmarc", "-C", "x", "-C", "y", code=2).err == done.err.replace(
        "lmarc create", "lmarc extract"
    )


def test_arguments_that_may_be_missing_are_not_required(run: Run) -> None:
    for command_name in ("create", "extract", "list", "append"):
        assert "are required: ARCHIVE (see" in run(command_name, code=2).err


def test_patterns_leave_out(run: Run, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "patterns").write_text("# comment\n\n*\n!tree\n!*.txt\r\n")
    run("create", "a.lmarc", "tree", "-X", "patterns")
    assert _names(run) == [b"tree", b"tree/text.txt"]
    run("create", "a.lmarc", "tree", "-X", "-", stdin=b"tree/[!t]*\n")
    assert _names(run) == [b"tree", b"tree/text.txt"]


def test_paths_come_from_a_list(run: Run, tree: Path) -> None:
    raw = b"tree/not-utf8-\xff\xfe\0tree/new\nline\0"
    run("create", "a.lmarc", "-T", "-", "--null", stdin=raw)
    assert _names(run) == raw.split(b"\0")[:-1]
    done = run("create", "a.lmarc", "-T", "-", stdin=b"tree/gone\ntree/empty\n", code=1)
    assert "tree/gone: vanished" in done.err
    assert _names(run) == [b"tree/empty"]


def test_directories_alone_without_recursion(run: Run, tree: Path) -> None:
    run("create", "a.lmarc", "--no-recursion", "tree", "tree/sub")
    assert _names(run) == [b"tree", b"tree/sub"]


def test_metadata_is_clamped(run: Run, tree: Path) -> None:
    run("create", "a.lmarc", "tree", "--mtime", "1500000000", "--owner", "7:8")
    for line in run("list", "--json", "a.lmarc").text.splitlines():
        member = json.loads(line)
        assert (member["mtime_ns"], member["uid"], member["gid"]) == (1_500_000_000 * 10**9, 7, 8)
        assert (member["user"], member["group"]) == ("", "")


def test_a_dry_run_writes_nothing(run: Run, tree: Path, tmp_path: Path) -> None:
    done = run("create", "a.lmarc", "tree/sub", "--dry-run")
    assert done.text.splitlines() == [
        "tree/sub",
        "tree/sub/data.bin",
        "tree/sub/deep",
        "tree/sub/deep/small",
        "tree/sub/hard",
    ]
    assert not (tmp_path / "a.lmarc").exists()
    document = json.loads(run("create", "a.lmarc", "tree/sub", "-n", "--json").text)
    assert (document["dry_run"], document["members"]) == (True, 5)


def test_the_report_counts(run: Run, tree: Path, tmp_path: Path) -> None:
    document = json.loads(run("create", "a.lmarc", "tree", "--json").text)
    assert document["command"] == "create"
    assert document["archive"] == "a.lmarc"
    assert document["members"] == MEMBERS
    assert document["archive_size"] == (tmp_path / "a.lmarc").stat().st_size
    assert document["warnings"] == 0
    assert isinstance(document["seconds"], float)


def test_names_are_shown_with_verbose(run: Run, tree: Path) -> None:
    done = run("create", "-v", "a.lmarc", "tree")
    assert "tree/not-utf8-\\xff\\xfe\n" in done.text
    assert "tree/new\\nline\n" in done.text
    assert "14 members" in done.err
    piped = run("create", "-v", "-", "tree")
    assert piped.out.startswith(b"\x8dLMARC")
    assert "tree/sub/deep/small\n" in piped.err


def test_an_archive_is_replaced_whole_or_not_at_all(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a.lmarc", "tree")
    old = (tmp_path / "a.lmarc").read_bytes()
    done = run("create", "a.lmarc", "tree", "missing", code=3)
    assert done.err == "lmarc: missing: No such file or directory\n"
    assert (tmp_path / "a.lmarc").read_bytes() == old
    run("create", "a.lmarc", "tree/empty")
    assert _names(run) == [b"tree/empty"]
    assert sorted(os.listdir(tmp_path)) == ["a.lmarc", "tree"]


def test_the_archive_is_not_in_itself(run: Run, tree: Path) -> None:
    for _ in range(2):
        done = run("create", "tree/a.lmarc", "tree")
        assert done.err == ""
        assert len(_names(run, "tree/a.lmarc")) == MEMBERS
    with open(tree / "b.lmarc", "wb") as file:
        os.link(tree / "a.lmarc", tree / "copy")
        subprocess.run(
            command("create", "-", "tree"),
            cwd=tree.parent,
            env=environment(),
            stdout=file,
            check=True,
        )
    assert len(_names(run, "tree/b.lmarc")) == MEMBERS + 2


def test_what_cannot_be_kept_costs_a_warning(run: Run, tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    done = run("create", "a.lmarc", "tree", code=1)
    assert done.err == "lmarc: warning: tree/fifo: is a FIFO; not archived\n"
    assert len(_names(run)) == MEMBERS
    assert run("create", "-q", "a.lmarc", "tree", code=1).err == ""
    run("verify", "a.lmarc")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["a.lmarc"], 2, "nothing to archive"),
        (["-", "tree", "--json"], 2, "standard output"),
        (["a.lmarc", "tree", "--chunk-size", "1K"], 2, "chunk size"),
        (["a.lmarc", "tree", "--chunk-size", "lots"], 2, "no size"),
        (["a.lmarc", "tree", "--zstd-level", "99"], 2, "level"),
        (["a.lmarc", "tree", "--text-codec", "nope"], 2, "nope"),
        (["a.lmarc", "tree", "--preset", "slow"], 2, "slow"),
        (["a.lmarc", "tree", "--jobs", "0"], 2, "at least 1"),
        (["a.lmarc", "tree", "--mtime", "then"], 2, "no time"),
        (["a.lmarc", "tree", "--owner", "me"], 2, "no owner"),
        (["a.lmarc", "tree", "--storage-options", "[]"], 2, "JSON object"),
        (["a.lmarc", "tree", "-C", "nowhere"], 3, "nowhere: No such file"),
        (["a.lmarc", "tree", "-X", "nowhere"], 3, "nowhere: No such file"),
        (["a.lmarc", "tree", "-T", "nowhere"], 3, "nowhere: No such file"),
        (["tree", "tree"], 3, "tree: Is a directory"),
        (["no/where.lmarc", "tree"], 3, "where.lmarc: No such file or directory"),
        (["/dev/full", "tree"], 3, "/dev/full: No space left on device"),
        (["nowhere://x", "tree"], 22, "nowhere"),
    ],
)
def test_errors_are_one_sentence(
    run: Run, tree: Path, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    done = run("create", *arguments, code=code)
    assert done.out == b""
    assert done.err.startswith("lmarc: ")
    assert done.err.count("\n") == 1
    assert says in done.err
    assert os.listdir(tmp_path) == ["tree"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become somebody else")
def test_what_may_not_be_read_or_written(tree: Path, tmp_path: Path) -> None:
    (tree / "text.txt").chmod(0o600)
    tmp_path.chmod(0o755)

    def as_nobody(*arguments: str) -> tuple[int, str]:
        # In the directory already and all modules loaded, so that no parent need be open to all.
        script = (
            "import os, sys, lmarc.cli\n"
            "lmarc.cli.main(['create', '--preset', 'fast', 'warm', 'tree'])\n"
            "os.unlink('warm'); os.setuid(65534)\n"
            "sys.exit(lmarc.cli.main(sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    code, says = as_nobody("create", "--preset", "fast", "a", "tree")
    assert code == 3
    assert says.endswith("/a: Permission denied\n")
    code, says = as_nobody("create", "--preset", "fast", "/dev/null", "tree")
    assert code == 1
    assert "tree/text.txt: cannot be read: Permission denied; not archived" in says
