"""Run the program as people do, and a directory with everything in it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MTIME = 1_600_000_000_123_456_789  # nanoseconds


@dataclass(frozen=True)
class Done:
    """How a run of the program went."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


Run = Callable[..., Done]


def environment() -> dict[str, str]:
    """The environment in which the package of this test run is found."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "TZ": "UTC", "COLUMNS": "100"}


def command(*arguments: str | bytes | Path) -> list[str | bytes | Path]:
    """The program with arguments; where no preset is given, text goes to zstd."""
    preset: tuple[str, ...] = ()
    if arguments and arguments[0] in ("create", "append") and "--preset" not in arguments:
        preset = ("--preset", "fast")
    return [sys.executable, "-m", "lmarc", *arguments[:1], *preset, *arguments[1:]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the program in `tmp_path`."""

    def run(
        *arguments: str | bytes | Path, code: int | None = 0, stdin: bytes = b"", **options: Any
    ) -> Done:
        done = subprocess.run(
            command(*arguments),
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment(),
            timeout=120,
            check=False,
            **options,
        )
        result = Done(done.returncode, done.stdout, done.stderr.decode())
        assert code is None or result.code == code, result.err
        assert "Traceback" not in result.err
        return result

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with every kind of thing that an archive keeps."""
    top = tmp_path / "tree"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "empty-dir").mkdir()
    (top / "text.txt").write_text("to be, or not to be\n" * 5000)
    (top / "sub" / "data.bin").write_bytes(bytes(range(256)) * 3000)
    (top / "sub" / "deep" / "small").write_text("small")
    (top / "empty").touch()
    os.symlink("text.txt", top / "link")
    os.symlink("/nowhere/at all", top / "broken")
    os.link(top / "text.txt", top / "sub" / "hard")
    with open(os.fsencode(top) + b"/not-utf8-\xff\xfe", "wb") as file:
        file.write(b"odd name")
    (top / "new\nline").write_text("x")
    with open(top / "sparse", "wb") as sparse:
        sparse.truncate(4 << 20)
        os.pwrite(sparse.fileno(), b"data" * 1024, 1 << 20)
    try:
        os.setxattr(top / "text.txt", "user.note", b"\x00value")
        os.setxattr(top / "sub", "user.note", b"of a directory")
    except OSError:
        pass
    (top / "sub" / "data.bin").chmod(0o4751)
    (top / "sub" / "deep" / "small").chmod(0o400)
    (top / "sub" / "deep").chmod(0o1750)
    everything = sorted(os.fsencode(path) for path in top.rglob("*"))
    for number, path in enumerate(reversed(everything)):
        os.utime(path, ns=(MTIME, MTIME + number), follow_symlinks=False)
    os.utime(top, ns=(MTIME, MTIME))
    return top


def facts(top: Path) -> dict[bytes, tuple[Any, ...]]:
    """All that must come back, for each path below `top`."""
    raw_top = os.fsencode(top)
    found: dict[bytes, tuple[Any, ...]] = {}
    inodes: dict[int, bytes] = {}
    for folder, folders, files in os.walk(raw_top):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content: bytes | None = None
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    content = file.read()
            xattrs = {
                key: os.getxattr(path, key, follow_symlinks=False)
                for key in os.listxattr(path, follow_symlinks=False)
                if key.startswith("user.")
            }
            short = os.path.relpath(path, raw_top)
            found[short] = (
                status.st_mode,
                status.st_mtime_ns,
                status.st_uid,
                status.st_gid,
                status.st_nlink if not os.path.isdir(path) else 0,
                inodes.setdefault(status.st_ino, short),
                content,
                xattrs,
            )
    return found
