"""A place to be attacked in: what stands outside the target must be the same afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmarc
from lmarc.interop.filesystem import LmarcFileSystem
from tools import reference_decoder

Tree = dict[str, tuple[Any, ...]]
SECRET = b"nobody may read or write this"


def tree(folder: Path) -> Tree:
    """Return mode, size, times, links and content of everything below a folder, itself included."""
    result: Tree = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content: Any = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        elif path.is_dir():
            content = sorted(os.listdir(path))
        result[str(path.relative_to(folder))] = (
            status.st_mode,
            status.st_nlink,
            status.st_mtime_ns,
            os.listxattr(path, follow_symlinks=False),
            content,
        )
    return result


def _by_index(archive: Path, target: Path) -> None:
    with lmarc.open(str(archive)) as opened:
        opened.extract(target)


def _by_pipe(archive: Path, target: Path) -> None:
    with archive.open("rb") as pipe:
        lmarc.extract_stream(pipe, target)


def _by_fsspec(archive: Path, target: Path) -> None:
    LmarcFileSystem(fo=str(archive)).get("", f"{target}/", recursive=True)


def _by_reference(archive: Path, target: Path) -> None:
    if reference_decoder.main([str(archive), str(target)]):
        raise lmarc.FormatError("refused by the reference decoder")


DOORS: dict[str, Callable[[Path, Path], None]] = {
    "index": _by_index,
    "pipe": _by_pipe,
    "fsspec": _by_fsspec,
    "reference": _by_reference,
}


class Arena:
    """A folder `outside`, which nobody may touch, and a target for each way to extract."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outside = folder / "outside"
        (self.outside / "folder").mkdir(parents=True)
        self.secret = self.outside / "secret"
        self.secret.write_bytes(SECRET)
        self.before = tree(self.outside)

    def target(self, door: str) -> Path:
        """Return the folder that a door extracts into; it is there."""
        path = self.folder / f"target-{door}"
        path.mkdir(exist_ok=True)
        return path

    def attack(self, data: bytes, *doors: str) -> dict[str, Exception | None]:
        """Extract `data` by each door; return what each raised.

        An error that is not lmarc's, or any change outside of the targets, is a failure.
        """
        archive = self.folder / "archive.lmarc"
        archive.write_bytes(data)
        outcomes: dict[str, Exception | None] = {}
        for door in doors or tuple(DOORS):
            try:
                DOORS[door](archive, self.target(door))
                outcomes[door] = None
            except (
                lmarc.LmarcError,
                FileNotFoundError,
            ) as error:  # what fsspec says of a dead link
                outcomes[door] = error
            self.check(door)
        return outcomes

    def check(self, door: str = "") -> None:
        """Assert that nothing changed outside of the targets."""
        assert tree(self.outside) == self.before, door
        known = {"outside", "archive.lmarc", *(f"target-{name}" for name in DOORS)}
        assert {path.name for path in self.folder.iterdir()} <= known, door

    def assert_refused(self, data: bytes, *doors: str) -> None:
        """Assert that each door refuses `data` and extracts nothing of it."""
        outcomes = self.attack(data, *doors)
        assert all(outcomes.values()), outcomes
        for door in outcomes:
            assert tree(self.target(door)).keys() == {"."}, door

    def assert_contained(self, data: bytes, *doors: str) -> dict[str, Tree]:
        """Assert that each door extracts `data`; return what it made."""
        outcomes = self.attack(data, *doors)
        assert not any(outcomes.values()), outcomes
        return {door: tree(self.target(door)) for door in outcomes}

    def attack_linked(self, data: bytes, door: str) -> Tree:
        """Extract `data` where the target shares an inode with the secret; return what it made."""
        archive = self.folder / "archive.lmarc"
        archive.write_bytes(data)
        DOORS[door](archive, self.target(door))
        return tree(self.target(door))
