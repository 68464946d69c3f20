"""The program as a whole: start-up, signals, pipes, terminals, storage, and its documentation."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmarc
from lmarc import errors
from lmarc.cli import COMMANDS, parser
from tests.cli.conftest import Run, command, environment, facts

DOCS = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def _wait_for_temporary(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the program has begun to write beside the target."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, "finished before it could be interrupted"
        if any(name.endswith(".tmp") for name in os.listdir(folder)):
            return
        time.sleep(0.005)
    raise AssertionError("nothing was written")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_create_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "old.lmarc").write_bytes(b"old")
    (tmp_path / "data").write_text(os.urandom(12 << 20).hex())  # many seconds at that level
    arguments = ("create", "old.lmarc", "data", "--zstd-level", "19", "--jobs", "1")
    with subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE
    ) as process:
        _wait_for_temporary(tmp_path, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said in (b"", b"lmarc: interrupted\n")
    assert sorted(os.listdir(tmp_path)) == ["data", "old.lmarc"]
    assert (tmp_path / "old.lmarc").read_bytes() == b"old"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path, number: int) -> None:
    """As `nohup lmarc create ...` has it."""
    (tmp_path / "data").write_text(os.urandom(1 << 20).hex())
    program = command("create", "new.lmarc", "data", "--zstd-level", "19", "--jobs", "1")
    ignoring = (
        "import os, signal, sys\n"
        f"signal.signal({int(number)}, signal.SIG_IGN)\n"
        "os.execv(sys.executable, sys.argv[1:])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", ignoring, *program], cwd=tmp_path, env=environment()
    ) as process:
        _wait_for_temporary(tmp_path, process)
        process.send_signal(number)
        assert process.wait(60) == 0
    assert sorted(os.listdir(tmp_path)) == ["data", "new.lmarc"]


def test_an_interrupted_extract_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(1 << 20) * 32)
    subprocess.run(command("create", "a", "data"), cwd=tmp_path, env=environment(), check=True)
    archive = (tmp_path / "a").read_bytes()
    with subprocess.Popen(
        command("extract", "-", "-C", "new"),
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(archive[: len(archive) // 2])
        process.stdin.flush()
        end = time.monotonic() + 60
        while not (tmp_path / "new" / "data").exists():
            assert time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b"lmarc: interrupted\n"
    assert os.listdir(tmp_path / "new") == []


@pytest.mark.parametrize("arguments", [("list", "a"), ("cat", "a", "data"), ("extract", "a", "-O")])
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_bytes("data", bytes(8 << 20))
        for number in range(20_000):  # more than any pipe holds
            out.add_bytes(f"{number:0250}", b"")
    with subprocess.Popen(
        command(*arguments),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_a_full_output_is_told(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a", "tree")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("list", "a"),
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == b"lmarc: standard output: No space left on device\n"


def _on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run with standard error on a terminal; return the exit code and what it showed."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env={**environment(), "TERM": "xterm", "COLUMNS": "140"},
            stdout=subprocess.DEVNULL,
            stderr=follower,
        )
    finally:
        os.close(follower)
    shown = b""
    try:
        while select.select([leader], [], [], 60)[0]:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            shown += part
            if not part:
                break
    finally:
        os.close(leader)
    return process.wait(60), shown.decode()


def test_a_terminal_sees_progress_and_a_summary(tmp_path: Path) -> None:
    (tmp_path / "data").write_text(os.urandom(3 << 20).hex())  # some seconds at that level
    code, shown = _on_a_terminal(
        tmp_path, "create", "a", "data", "--zstd-level", "19", "--jobs", "1"
    )
    assert code == 0
    assert "creating" in shown
    assert "MB/s" in shown
    assert "ratio" in shown
    assert "1 member, 6.29 MB read, archive of " in shown
    assert _on_a_terminal(tmp_path, "create", "-q", "a", "data") == (0, "")
    code, shown = _on_a_terminal(tmp_path, "extract", "a", "-C", "new")
    assert code == 0
    assert "1 member, 6.29 MB extracted in " in shown


def test_a_binary_archive_does_not_go_to_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    leader, follower = pty.openpty()
    done = subprocess.run(
        command("create", "-", "x"),
        cwd=tmp_path,
        env=environment(),
        stdout=follower,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(leader)
    os.close(follower)
    assert done.returncode == 2
    assert b"terminal" in done.stderr


def test_s3_works_as_a_path_does(
    run: Run,
    tree: Path,
    tmp_path: Path,
    s3_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    url = "s3://bucket/command-line/a.lmarc"
    run("create", url, "tree", "-X", "-", stdin=b"text.txt\n")
    run("append", url, "tree")
    run("extract", url, "-C", "new")
    assert facts(tmp_path / "new" / "tree").keys() == facts(tree).keys()
    assert run("cat", url, "tree/sub/deep/small").out == b"small"
    assert run("verify", url).text.startswith(f"{url}: sound: 14 members")
    missing = "s3://bucket/command-line/missing.lmarc"
    done = run("list", missing, code=3)
    assert missing.removeprefix("s3://") in done.err
    assert run("create", "s3://no-such-bucket/a.lmarc", "tree", code=22).err.count("\n") == 1


def test_errors_of_usage_are_one_sentence(run: Run) -> None:
    for arguments in ((), ("nope",), ("list",), ("list", "a", "--nope"), ("--nope",)):
        done = run(*arguments, code=2)
        assert done.err.startswith("lmarc: ")
        assert done.err.count("\n") == 1


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys, lmarc.cli\n"
        "try: lmarc.cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'torch', 'pyarrow', 'fsspec', 'rich', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    for arguments in (["--help"], ["create", "--help"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout
        assert done.stderr == "[]\n"


def test_list_loads_neither_numba_nor_torch_nor_rich(run: Run, tree: Path, tmp_path: Path) -> None:
    run("create", "a", "tree")
    script = (
        "import sys, lmarc.cli; lmarc.cli.main(['list', 'a'])\n"
        "heavy = {'numba', 'torch', 'rich', 'fsspec', 'pandas', 'dask', 'distributed'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "[]\n"


def _sections() -> dict[str, str]:
    """The page, section by section."""
    parts = re.split(r"^## (.+)$", DOCS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_option_of_every_command(name: str) -> None:
    sections = _sections()
    text = sections[name] + sections["Options of every command"]
    if name == "append":
        text += sections["create"]
    (commands,) = [
        action.choices for action in parser()._actions if isinstance(action.choices, dict)
    ]
    options = list(commands[name]._option_string_actions)
    assert [option for option in options if not re.search(rf"`{option}[ `]", text)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_no_option_that_is_not_there(name: str) -> None:
    (commands,) = [
        action.choices for action in parser()._actions if isinstance(action.choices, dict)
    ]
    known = commands[name]._option_string_actions
    named = re.findall(r"^\| .*?`(--[a-z-]+)", _sections()[name], flags=re.MULTILINE)
    assert [option for option in named if option not in known] == []


def test_the_page_names_every_exit_code() -> None:
    table = _sections()["Exit codes"]
    codes = {getattr(errors, name).exit_code for name in errors.__all__}
    assert [
        code for code in sorted(codes | {0, 1, 2, 3, 70, 130, 141}) if f"| {code} |" not in table
    ] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "b", "tree"),
        ("create", "b", "tree", "--dry-run"),
        ("append", "a", "tree"),
        ("extract", "a", "-C", "new"),
        ("list", "a"),
        ("list", "a", "--chunks"),
        ("verify", "a"),
        ("verify", "cut"),
        ("info", "a"),
        ("recover", "cut", "new"),
        ("selftest",),
        ("warmup",),
    ],
    ids=" ".join,
)
def test_the_page_names_every_key_of_json(
    run: Run, tree: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    run("create", "a", "tree")
    (tmp_path / "cut").write_bytes((tmp_path / "a").read_bytes()[:-1000])
    text = _sections()["JSON"]
    done = run(*arguments, "--json", code=None)
    assert done.text
    for line in done.text.splitlines():
        document = json.loads(line)
        assert [key for key in _keys(document) if f"`{key}`" not in text] == []


def _keys(value: object) -> Iterator[str]:
    """Every key in a document, but that of exact names, which is explained in words."""
    if isinstance(value, dict):
        for key, inside in value.items():
            if not (key.endswith("_base64") and key.removesuffix("_base64") in value):
                yield key
            yield from _keys(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _keys(inside)
