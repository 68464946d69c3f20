"""Random trees of files come back as they were, by every way there is."""

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmarc
from lmarc.archive.stream import BeginEntry, Data
from tests.archive.samples import noise, text

NAME = st.one_of(
    st.sampled_from([b"a", b"b", b"c.txt", b"-", b"...", b"\xff\xfe", b"new\nline", b"x" * 255]),
    st.binary(min_size=1, max_size=6).filter(
        lambda name: not {0, 47} & set(name) and name not in (b".", b"..")
    ),
)
CONTENT = st.one_of(
    st.just(b""),
    st.binary(max_size=50),
    st.builds(text, st.integers(0, 5), st.integers(0, 20_000)),
    st.builds(noise, st.integers(0, 5), st.integers(0, 20_000)),
    st.integers(1, 30_000).map(bytes),
)
THING = st.one_of(
    st.tuples(st.just("file"), CONTENT, st.integers(0, 0o777), st.integers(0, 2**62)),
    st.tuples(st.just("symlink"), NAME),
    st.tuples(st.just("link"), st.integers(0, 20)),
)
TREES = st.recursive(
    st.dictionaries(NAME, THING, max_size=4),
    lambda inner: st.dictionaries(NAME, st.one_of(THING, inner), max_size=4),
    max_leaves=8,
)


def build(folder: bytes, tree: dict[bytes, Any], files: list[bytes]) -> None:
    os.mkdir(folder)
    for name, thing in tree.items():
        path = os.path.join(folder, name)
        if isinstance(thing, dict):
            build(path, thing, files)
        elif thing[0] == "symlink":
            os.symlink(thing[1], path)
        elif thing[0] == "link" and files:
            os.link(files[thing[1] % len(files)], path)
        elif thing[0] == "file":
            with open(path, "wb") as file:
                file.write(thing[1])
            os.chmod(path, thing[2])
            os.utime(path, ns=(0, thing[3]))
            files.append(path)


def facts(folder: bytes) -> dict[bytes, tuple[Any, ...]]:
    """Return all that an archive keeps of a folder."""
    found: dict[bytes, tuple[Any, ...]] = {}
    inodes: dict[int, bytes] = {}
    for parent, directories, files in os.walk(folder):
        directories.sort()
        for name in sorted([*directories, *files]):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            first = inodes.setdefault(status.st_ino, path)
            content = b""
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                content = Path(os.fsdecode(path)).read_bytes()
            key = os.path.relpath(path, folder)
            same = os.path.relpath(first, folder)
            found[key] = (status.st_mode, status.st_mtime_ns, status.st_uid, content, same)
    return found


@given(TREES, st.sampled_from([4096, 16_384, 1 << 20]), st.integers(1, 3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_tree_comes_back(tree: dict[bytes, Any], chunk_size: int, jobs: int) -> None:
    folder = tempfile.mkdtemp().encode()
    try:
        source = os.path.join(folder, b"tree")
        build(source, tree, [])
        path = os.fsdecode(os.path.join(folder, b"a"))
        expected = facts(source)
        lmarc.create(
            path, ["tree"], directory=folder, chunk_size=chunk_size, jobs=jobs, preset="fast"
        )
        with lmarc.open(path) as archive:
            archive.verify()
            archive.extract(os.path.join(folder, b"out"), jobs=jobs)
            assert facts(os.path.join(folder, b"out", b"tree")) == expected
            members = {member.path: archive.read(member.path) for member in archive if member.size}
        streamed: dict[bytes, bytearray] = {}
        names: dict[int, bytes] = {}
        with open(path, "rb") as file:
            for event in lmarc.read_stream(io.BytesIO(file.read()), jobs=jobs):
                if isinstance(event, BeginEntry):
                    names[event.number] = event.path
                elif isinstance(event, Data):
                    streamed.setdefault(names[event.number], bytearray()).extend(event.data)
        assert streamed == members
        assert lmarc.recover(path, os.path.join(folder, b"saved")).lost == []
        assert facts(os.path.join(folder, b"saved", b"tree")) == expected
    finally:
        shutil.rmtree(folder)
