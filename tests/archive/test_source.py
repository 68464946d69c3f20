import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmarc.archive.source import LocalSource, coalesce, open_source, read_coalesced
from lmarc.errors import SourceError

CONTENT = bytes(range(256)) * 100
RANGES = st.lists(
    st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 300)).map(
        lambda pair: (pair[0], min(len(CONTENT), sum(pair)))
    ),
    min_size=1,
    max_size=20,
)


@given(RANGES, st.integers(0, 2000), st.integers(1, 5000))
def test_coalesced_ranges_cover_all_and_stay_within_bounds(
    ranges: list[tuple[int, int]], gap: int, largest: int
) -> None:
    joined = coalesce(ranges, gap, largest)
    assert joined == sorted(joined)
    for start, end in ranges:
        assert any(first <= start and end <= last for first, last in joined)
    for first, last in joined:
        assert (first, last) in ranges or last - first <= largest


@given(RANGES)
def test_coalesced_reads_give_each_range(ranges: list[tuple[int, int]]) -> None:
    blocks = read_coalesced(ranges, lambda joined: [CONTENT[a:b] for a, b in joined])
    assert [bytes(block) for block in blocks] == [CONTENT[a:b] for a, b in ranges]


def test_a_gap_within_the_limit_costs_no_request() -> None:
    near, far = (0, 10), (1 << 20, (1 << 20) + 10)
    assert coalesce([near, far]) == [(0, far[1])]
    apart = (far[1] + 1, far[1] + 5)
    assert coalesce([near, apart]) == [near, apart]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_a_local_source_reads_by_position(path: Path) -> None:
    source = open_source(str(path))
    assert source.read_suffix(10) == (CONTENT[-10:], len(CONTENT))
    assert source.read_suffix(1 << 20) == (CONTENT, len(CONTENT))
    assert source.read(5, 9) == CONTENT[5:9]
    assert source.total() == len(CONTENT)
    assert [bytes(b) for b in source.read_ranges([(9, 11), (1, 2)])] == [
        CONTENT[9:11],
        CONTENT[1:2],
    ]
    source.close()
    assert source.read(0, 1) == CONTENT[:1]


def test_reading_beyond_the_end_names_the_file_and_range(path: Path) -> None:
    with pytest.raises(SourceError, match=r"ends after 25600 bytes \(.*file, bytes 0 to 30000\)"):
        open_source(str(path)).read(0, 30_000)


def test_a_local_source_is_pinned_to_its_file(path: Path) -> None:
    source = LocalSource(str(path))
    source.read(0, 1)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.read(1, 2) == CONTENT[1:2]
    copy = pickle.loads(pickle.dumps(source))
    other = path.with_name("other")
    other.write_bytes(CONTENT)
    other.rename(path)
    assert source.read(1, 2) == CONTENT[1:2]
    with pytest.raises(SourceError, match="was replaced"):
        copy.read(0, 1)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(str(tmp_path / "none")).read(0, 1)
    with pytest.raises(IsADirectoryError):
        open_source(str(tmp_path)).read(0, 1)
    with pytest.raises(SourceError, match="no regular file"):
        open_source(os.devnull).read(0, 1)


def test_another_machine_may_number_the_same_file_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    source = LocalSource(str(path))
    assert source.read(0, 3) == b"con"
    (tmp_path / "b").write_bytes(b"replace")
    (tmp_path / "b").rename(path)
    pickled = pickle.dumps(source)
    with pytest.raises(SourceError, match="was replaced"):
        pickle.loads(pickled).read(0, 3)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="another"))
    assert pickle.loads(pickled).read(0, 3) == b"rep"
