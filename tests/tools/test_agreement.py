"""What lmarc writes is what the specification says: the reference decoder reads it all."""

import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmarc
from tools import reference_decoder
from tools.good_archives import text

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def content(kind: str, size: int, seed: int) -> bytes:
    """Return bytes of a content class."""
    if kind == "text":
        return text(seed, size)
    if kind == "noise":
        return random.Random(seed).randbytes(size)
    return bytes(size)


COMPONENTS = st.binary(min_size=1, max_size=20).filter(
    lambda part: not {0, 0x2F} & set(part) and part not in {b".", b".."}
)
MEMBERS = st.lists(
    st.tuples(
        st.lists(COMPONENTS, min_size=1, max_size=4).map(b"/".join),
        st.sampled_from(["text", "noise", "zeros"]),
        st.integers(0, 20_000),
        st.integers(0, 1000),
    ),
    max_size=12,
)


def read(archive: reference_decoder.Archive) -> dict[bytes, bytes]:
    """Return the content of every file."""
    result = {}
    for number, entry in enumerate(archive.index.entries):
        if entry["type"] == reference_decoder.FILE:
            data = bytearray(entry["size"])
            for position, piece in archive.read(number):
                data[position : position + len(piece)] = piece
            result[entry["path"]] = bytes(data)
    return result


@SETTINGS
@given(members=MEMBERS, chunk_size=st.sampled_from([4096, 5000, 1 << 16]))
def test_what_lmarc_writes_is_read_by_both(
    tmp_path: Path, members: list[tuple[bytes, str, int, int]], chunk_size: int
) -> None:
    path = tmp_path / "archive.lmarc"
    wanted = {}
    with lmarc.Writer(str(path), chunk_size=chunk_size, jobs=1, preset="fast") as writer:
        for name, kind, size, seed in members:
            data = content(kind, size, seed)
            try:
                writer.add_bytes(name, data, mtime=seed)
            except ValueError:  # the name is there, or below a file
                continue
            wanted[name] = data
    raw = path.read_bytes()
    reference_decoder.verify(raw)
    assert read(reference_decoder.Archive(raw)) == wanted
    with lmarc.open(str(path)) as archive:
        assert {name: archive.read(name) for name in wanted} == wanted


def test_a_member_of_many_groups_is_read_by_both(tmp_path: Path) -> None:
    path = tmp_path / "archive.lmarc"
    large = text(1, 1 << 16) * (36 << 4)  # 36 MiB
    with lmarc.Writer(str(path), jobs=2, preset="fast") as writer:
        writer.add_bytes("before", b"before")
        writer.add_bytes("large", large)
        writer.add_bytes("after", b"after")
    raw = path.read_bytes()
    index = reference_decoder.verify(raw)
    assert len([1 for kind in kinds(raw) if kind == reference_decoder.ENTRIES]) >= 3
    assert [entry["path"] for entry in index.entries] == [b"before", b"large", b"after"]
    assert read(reference_decoder.Archive(raw))[b"large"] == large
    with lmarc.open(str(path)) as archive:
        assert archive.read("large", len(large) - 5, 5) == large[-5:]


def kinds(data: bytes) -> list[int]:
    """Return the type of each record."""
    found = []
    offset = 32
    while offset < len(data):
        record = reference_decoder.read_record(data, offset, None)
        found.append(record.type)
        offset += record.size
    return found
