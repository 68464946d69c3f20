"""`lmarc cat`."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def archive(run: Run, tree: Path) -> None:
    run("create", "a.lmarc", "tree", "--chunk-size", "4K")


def test_members_are_written_in_the_order_asked_for(run: Run, tree: Path) -> None:
    names = ["sub/data.bin", "empty", "text.txt", "sparse", "sub/deep/small", "text.txt"]
    done = run("cat", "a.lmarc", *(f"tree/{name}" for name in names))
    assert done.out == b"".join((tree / name).read_bytes() for name in names)
    assert run("cat", "a.lmarc", b"tree/not-utf8-\xff\xfe").out == b"odd name"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("0:10", slice(0, 10)),
        ("4090:9000", slice(4090, 9000)),
        ("-5:", slice(-5, None)),
        (":-767000", slice(None, -767000)),
        ("700000:99999999", slice(700000, None)),
        ("10:5", slice(0, 0)),
    ],
)
def test_a_range_is_a_slice(run: Run, tree: Path, text: str, chosen: slice) -> None:
    content = (tree / "sub" / "data.bin").read_bytes()
    assert run("cat", "a.lmarc", "tree/sub/data.bin", f"--range={text}").out == content[chosen]


def test_a_range_may_start_with_a_minus(run: Run, tree: Path) -> None:
    content = (tree / "sub" / "data.bin").read_bytes()
    done = run("cat", "a.lmarc", "tree/sub/data.bin", "--range", "-5:")
    assert done.out == content[-5:]
    done = run("cat", "a.lmarc", "--range", "-5:-2", "tree/sub/data.bin")
    assert done.out == content[-5:-2]


def test_a_range_may_cross_holes(run: Run, tree: Path) -> None:
    content = (tree / "sparse").read_bytes()
    done = run("cat", "a.lmarc", "tree/sparse", "--range", "1048570:1052680", "--jobs", "1")
    assert done.out == content[1048570:1052680]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("tree/nope", 19, "no member 'tree/nope'"),
        ("tree/s*", 19, "no member"),
        ("tree/sub", 3, "is a directory"),
        ("tree/link", 2, "symbolic link"),
    ],
)
def test_only_files_have_content(run: Run, name: str, code: int, says: str) -> None:
    done = run("cat", "a.lmarc", "tree/empty", "tree/sub/deep/small", name, code=code)
    assert done.out == b""
    assert says in done.err


def test_a_pipe_has_no_random_access(run: Run) -> None:
    assert "extract" in run("cat", "-", "x", code=2).err
