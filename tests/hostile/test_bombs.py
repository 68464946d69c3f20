"""Small archives that claim much: refused before memory, time or disk is spent."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lmarc
from tests.hostile.arena import Arena
from tools.bad_archives import BAD
from tools.craft import SPARSE, ZSTD, Builder, Chunk, Entry, Piece, file, simple

ROOT = Path(__file__).parent.parent.parent
MIB = 1 << 20
BOMBS = [
    "chunk-too-large",
    "record-size-of-chunk",
    "record-size-of-entries",
    "record-beyond-end",
    "zstd-bomb",
    "model-too-large",
    "table-too-large",
    "table-of-entries-too-large",
    "table-ratio",
    "table-bomb",
    "table-window",
    "arrow-body-compression",
    "arrow-offsets",
    "group-too-large",
    "index-chunk-content-size",
    "index-chunk-size",
    "footer-index-size",
    "size-negative",
    "piece-overflow",
]

# Each archive is opened, verified and read as a stream; then the peak of memory is printed.
CHILD = """
import resource, sys, lmarc
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
with lmarc.open(sys.argv[1]) as archive:
    archive.verify()
before = peak()
for path in sys.argv[2:]:
    try:
        with lmarc.open(path) as archive:
            archive.verify()
    except lmarc.LmarcError:
        pass
    try:
        with open(path, "rb") as pipe:
            for _ in lmarc.read_stream(pipe):
                pass
    except lmarc.LmarcError:
        pass
print(peak() - before)
"""


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    good = tmp_path / "good.lmarc"
    good.write_bytes(simple([(Entry(b"a"), b"abc")]).finish())
    paths = []
    for name in BOMBS:
        paths.append(tmp_path / f"{name}.lmarc")
        paths[-1].write_bytes(BAD[name][1]())
    command = [sys.executable, "-c", CHILD, str(good), *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(result.stdout) < 96 << 10  # KiB; a group may lawfully hold 16 MiB, a table 64


def zeros(count: int) -> bytes:
    """Return an archive of `count` lawful chunks of 16 MiB of zeros, a member each."""
    content = bytes(16 * MIB)
    builder = Builder()
    for number in range(count):
        member = file(b"%d" % number, content)
        builder.group([member], [Chunk(content, ZSTD)], [Piece(number, number, 0, len(content))])
    return builder.finish()


def test_a_lawful_bomb_is_stopped_by_max_size(arena: Arena) -> None:
    data = zeros(4)
    assert len(data) < 20_000
    (arena.folder / "archive.lmarc").write_bytes(data)
    target = arena.target("index")
    path = str(arena.folder / "archive.lmarc")
    with lmarc.open(path) as archive, pytest.raises(lmarc.LimitError):
        archive.extract(target, max_size=MIB)
    assert not list(target.iterdir())


def test_a_lawful_bomb_from_a_pipe_is_stopped_by_max_size(arena: Arena) -> None:
    (arena.folder / "archive.lmarc").write_bytes(zeros(4))
    target = arena.target("pipe")
    with (arena.folder / "archive.lmarc").open("rb") as pipe, pytest.raises(lmarc.LimitError):
        lmarc.extract_stream(pipe, target, max_size=20 * MIB)
    assert sum(path.stat().st_size for path in target.iterdir()) <= 20 * MIB


def test_a_hole_of_exabytes_is_stopped_by_max_size(arena: Arena) -> None:
    hole = Entry(b"a", flags=SPARSE, size=(1 << 63) - 1, sha256=hashlib.sha256(b"").digest())
    (arena.folder / "archive.lmarc").write_bytes(simple([hole]).finish())
    started = time.monotonic()
    with lmarc.open(str(arena.folder / "archive.lmarc")) as archive:
        with pytest.raises(lmarc.LimitError):
            archive.extract(arena.target("index"), max_size=1 << 40)
        assert archive.read("a", position=1 << 62, size=5) == bytes(5)
    assert time.monotonic() - started < 10


def test_a_hole_of_exabytes_is_stopped_where_its_zeros_would_be_hashed(arena: Arena) -> None:
    digest = hashlib.sha256(b"").digest()
    size = (1 << 63) - 1
    path = arena.folder / "archive.lmarc"
    # Before, between and behind pieces, and in a member that has none.
    content = Chunk(b"ab")
    inner = Builder()
    inner.group(
        [Entry(b"in", flags=SPARSE, size=size, sha256=digest)],
        [content],
        [Piece(0, 0, 1 << 50, 1), Piece(0, 0, 1 << 60, 1)],
    )
    builders = [simple([Entry(b"a", flags=SPARSE, size=size, sha256=digest)]), inner]
    started = time.monotonic()
    for number, builder in enumerate(builders):
        path.write_bytes(builder.finish())
        with lmarc.open(str(path)) as archive, pytest.raises(lmarc.LimitError, match="holes"):
            archive.verify()
        with path.open("rb") as pipe, pytest.raises(lmarc.LimitError, match="holes"):
            lmarc.verify_stream(pipe)
        with path.open("rb") as pipe, pytest.raises(lmarc.LimitError, match="holes"):
            lmarc.extract_stream(pipe, arena.target(f"pipe{number}"))
        with path.open("rb") as pipe, pytest.raises(lmarc.LimitError, match="holes"):
            lmarc.extract_stream(pipe, arena.target(f"globs{number}"), globs=["*"], max_size=9)
        warnings: list[str] = []
        found = lmarc.recover(path, arena.target(f"saved{number}"), warn=warnings.append)
        assert found.intact == 0
        assert "holes" in warnings[0]
    assert time.monotonic() - started < 10


def test_sums_of_sizes_do_not_overflow(arena: Arena) -> None:
    digest = hashlib.sha256(b"").digest()
    holes = [Entry(b"%d" % n, flags=SPARSE, size=(1 << 63) - 1, sha256=digest) for n in range(3)]
    (arena.folder / "archive.lmarc").write_bytes(simple(list(holes)).finish())
    path = str(arena.folder / "archive.lmarc")
    with lmarc.open(path) as archive, pytest.raises(lmarc.LimitError):
        archive.extract(arena.target("index"), max_size=1 << 40)


def test_too_many_entries_in_a_group_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.lmarc"
    members = [file(b"%d" % number) for number in range(65_537)]
    path.write_bytes(simple(list(members)).finish())
    with lmarc.open(str(path)) as archive, pytest.raises(lmarc.LimitError):
        archive.verify()
