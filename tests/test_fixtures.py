"""Archives that are kept for ever: lmarc and the reference decoder agree on each of them."""

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

import lmarc
from tools import reference_decoder
from tools.make_fixtures import listing

FIXTURES = Path(__file__).parent.parent / "fixtures"
MANIFEST: list[dict[str, Any]] = tomllib.loads((FIXTURES / "MANIFEST.toml").read_text())["fixture"]
GOOD = [fixture for fixture in MANIFEST if "error" not in fixture]
BAD = [fixture for fixture in MANIFEST if "error" in fixture]


def name(fixture: dict[str, Any]) -> str:
    return str(fixture["path"])


def tree(folder: Path, entries: set[bytes]) -> dict[bytes, tuple[Any, ...]]:
    """Return what each path below a folder is; the times are of those that have an entry."""
    result: dict[bytes, tuple[Any, ...]] = {}
    base = os.fsencode(folder)
    for parent, directories, names in os.walk(base):
        for child in directories + names:
            path = os.path.join(parent, child)
            status = os.lstat(path)
            content: Any = None
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                content = Path(os.fsdecode(path)).read_bytes()
            mode = status.st_mode & ~0o7000
            name = os.path.relpath(path, base)
            result[name] = (mode, status.st_mtime_ns if name in entries else None, content)
    return result


def test_the_manifest_names_every_file() -> None:
    listed = {fixture["path"] for fixture in MANIFEST}
    there = {str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*.lmarc")}
    assert listed == there


@pytest.mark.parametrize("fixture", MANIFEST, ids=name)
def test_a_fixture_is_never_changed(fixture: dict[str, Any]) -> None:
    data = (FIXTURES / fixture["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == fixture["sha256"]


@pytest.mark.parametrize("fixture", GOOD, ids=name)
def test_both_readers_tell_the_same_members(fixture: dict[str, Any]) -> None:
    path = FIXTURES / fixture["path"]
    index = reference_decoder.verify(path.read_bytes())
    assert len(index.entries) == fixture["members"]
    assert listing(index.entries) == fixture["listing"]
    with lmarc.open(str(path)) as archive:
        archive.verify()
        assert listing(archive.members.to_pylist()) == fixture["listing"]


@pytest.mark.parametrize("fixture", GOOD, ids=name)
def test_both_readers_extract_the_same_tree(fixture: dict[str, Any], tmp_path: Path) -> None:
    path = FIXTURES / fixture["path"]
    assert reference_decoder.main([str(path), str(tmp_path / "reference")]) == 0
    with lmarc.open(str(path)) as archive:
        archive.extract(tmp_path / "lmarc")
        entries = set(archive.members["path"].to_pylist())
    assert tree(tmp_path / "lmarc", entries) == tree(tmp_path / "reference", entries)


def read_all(path: Path) -> None:
    """Open, verify and read everything; verify alone must find what is wrong."""
    with lmarc.open(str(path)) as archive:
        archive.verify()


@pytest.mark.parametrize("fixture", BAD, ids=name)
def test_a_bad_fixture_raises_its_class(fixture: dict[str, Any]) -> None:
    with pytest.raises(lmarc.LmarcError) as caught:
        read_all(FIXTURES / fixture["path"])
    assert type(caught.value).__name__ == fixture["error"]


@pytest.mark.parametrize("fixture", BAD, ids=name)
def test_the_reference_decoder_refuses_a_bad_fixture(fixture: dict[str, Any]) -> None:
    data = (FIXTURES / fixture["path"]).read_bytes()
    with pytest.raises(reference_decoder.RefusedError):
        reference_decoder.verify(data)


@pytest.mark.parametrize("fixture", BAD, ids=name)
def test_a_bad_fixture_extracts_nothing_outside(fixture: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "target"
    try:
        with lmarc.open(str(FIXTURES / fixture["path"])) as archive:
            archive.extract(target)
    except lmarc.LmarcError:
        pass
    assert [path.name for path in tmp_path.iterdir()] in ([], ["target"])
