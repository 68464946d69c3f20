from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.archive.estimate import ZSTD_19, Measured, Prices, _cost, estimate
from lmarc.codec import vectors
from tests.archive.samples import noise, text


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for number in range(6):
        (tmp_path / "d" / f"{number}.txt").write_bytes(text(number, 300_000))
    (tmp_path / "d" / "noise").write_bytes(noise(1, 1_800_000))
    (tmp_path / "d" / "empty").touch()
    return tmp_path / "d"


def test_the_size_is_near_that_of_the_archive(data: Path, tmp_path: Path) -> None:
    found = estimate([data], presets=["fast"], jobs=2)
    lmarc.create(tmp_path / "a", [data], preset="fast")
    size = (tmp_path / "a").stat().st_size
    assert [one.name for one in found.costs] == [ZSTD_19, "fast"]
    assert abs(found.costs[1].size - size) < size * 0.1
    assert (found.member_count, found.content_size) == (9, 3_600_000)
    assert all(one.encode_speed > 0 and one.decode_speed > 0 for one in found.measured)


def test_samples_are_spread_over_all_content(data: Path) -> None:
    """Half of it is noise: a sample of the beginning would not see that."""
    (data / "0.txt").write_bytes(text(9, 6_000_000))
    (data / "noise").write_bytes(noise(1, 6_000_000))
    found = estimate([data], presets=["fast"], sample_size=4 << 20)
    assert found.sample_size <= 4 << 20
    assert 0.3 < found.measured[1].ratio < 0.8


def test_objects_are_sampled_where_they_are() -> None:
    store = fsspec.filesystem("memory")
    store.pipe({"/e/a": text(1, 100_000), "/e/b": noise(1, 100_000)})
    try:
        found = estimate(["memory://e"], presets=["fast"])
        assert found.content_size == 200_000
        assert 0.4 < found.measured[1].ratio < 0.7
    finally:
        store.store.clear()


def test_a_file_that_cannot_be_read_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmarc.archive import estimate as module

    def refuse(origin: object) -> int:
        raise lmarc.SourceError("cannot be read", url="x")

    monkeypatch.setattr(module, "_class_of", refuse)
    warnings: list[str] = []
    with pytest.raises(ValueError, match="no content to estimate"):
        estimate([data], presets=["fast"], warn=warnings.append)
    assert warnings


@pytest.mark.parametrize("size", [0, -1])
def test_a_sample_has_bytes(size: int, data: Path) -> None:
    with pytest.raises(ValueError, match="expected 1 byte or more"):
        estimate([data], sample_size=size)


def test_nothing_has_no_estimate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no content to estimate"):
        estimate([tmp_path])


HOUR = 3600e6  # bytes that an hour takes at 1 MB/s


@pytest.mark.parametrize(
    ("ratio", "speed", "months"),
    [
        (0.15, 1e6, 900 / 180),  # 1,000 core hours against 100; 5 % of 3,600 GB less to store
        (0.15, 20e6, 0.0),  # smaller and faster
        (0.30, 1e6, None),  # larger and slower
        (0.30, 20e6, None),  # larger: what is saved at once is lost in time
    ],
)
def test_months_until_the_coding_has_paid(ratio: float, speed: float, months: float | None) -> None:
    prices = Prices(storage=1, egress=0, core_hour=1, reads=0)
    whole = (round(1000 * HOUR), 0)
    against = Measured(ZSTD_19, 0.2, 10e6, 1e9)
    one = Measured("x", ratio, speed, 1e9)
    cost = _cost(one, against, whole, 4, prices)
    assert cost.months == (None if months is None else pytest.approx(months))
    assert cost.encode_hours == pytest.approx(1000 * 1e6 / speed / 4)
    assert cost.size == round(3600e9 * ratio)


def test_reading_counts_both_ways() -> None:
    prices = Prices(storage=0, egress=0.1, core_hour=3600, reads=2)
    cost = _cost(
        Measured("x", 0.5, 1e6, 1e9), Measured(ZSTD_19, 0.5, 1e6, 1e9), (10**9, 0), 1, prices
    )
    assert cost.monthly == pytest.approx(2 * (0.5 * 0.1 + 1))


def records_in(folder: Path) -> Path:
    for number in range(8):
        (folder / f"{number}.json").write_bytes(vectors.records(f"{number}", 40_000))
    return folder


def test_a_primer_counts_as_it_would_in_the_archive(tmp_path: Path) -> None:
    folder = records_in(tmp_path)
    presets = ["fast", "balanced"]
    without = estimate([folder], presets=presets)
    found = estimate([folder], presets=presets, primer=8000)
    archives = [tmp_path / "without.lmarc", tmp_path / "with.lmarc"]
    for archive, primer in zip(archives, (None, 8000), strict=True):
        lmarc.create(archive, [folder], exclude=["*.lmarc"], primer=primer)
    with lmarc.open(archives[1]) as opened:
        (model,) = opened.models().to_pylist()
    assert [one.model_size for one in found.measured] == [0, 0, model["size"]]
    assert found.measured[2].ratio < 0.95 * without.measured[2].ratio
    assert found.costs[1].size == without.costs[1].size
    sizes = [archive.stat().st_size for archive in archives]
    difference = found.costs[2].size - without.costs[2].size
    assert abs(difference - (sizes[1] - sizes[0])) < 0.1 * without.costs[2].size


def test_no_text_for_a_primer_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(noise(1, 9000))
    with pytest.raises(lmarc.ModelError, match="there is no text to choose a primer from"):
        estimate([tmp_path], presets=["fast"], primer=8000)
