"""The ratio benchmark measures what it says: real payloads on equal chunks, and fair peers."""

from __future__ import annotations

import lzma
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import tiny
from tools import benchmark
from tools.benchmarks import _page, _peers, _ratios, ratio

TEXT = tiny.prose(1, 30_000)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.lmmodel"
    path.write_bytes(tiny.random_model(1, TEXT[:2000], n_buckets=500).pack(b"{}"))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "words.txt").write_bytes(TEXT)
    (folder / "table.csv").write_bytes(tiny.table(2, 9000))
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 20)
    return folder


def test_every_peer_decodes_what_it_codes() -> None:
    training = [
        SimpleNamespace(domain="a", name=str(n), text=tiny.prose(n, 60_000)) for n in (1, 2)
    ]
    dictionary = _peers.TrainingText.sample(training * 50).dictionary
    for coder in _peers.coders(4096, dictionary):
        for content in (TEXT[:4096], TEXT[:1]):
            coded = _peers.measure(coder, content)
            assert coded.size == len(coder.compress(content)), coder.name


def test_a_peer_that_decodes_to_something_else_ends_the_benchmark() -> None:
    wrong = _peers.Coder("wrong", lambda content: content, lambda payload, size: payload[1:])
    with pytest.raises(RuntimeError, match="wrong does not decode"):
        _peers.measure(wrong, TEXT)


@pytest.mark.parametrize("size", [1, 5, 4095, 4096, 20_000])
def test_the_size_of_an_xz_file_is_that_of_a_real_one(size: int) -> None:
    coder = next(coder for coder in _peers.coders(32_768, None) if coder.name == "xz -9e")
    real = lzma.compress(TEXT[:size], preset=9 | lzma.PRESET_EXTREME)
    assert abs(_peers.xz_container_size(len(coder.compress(TEXT[:size]))) - len(real)) <= 4


def test_primed_ppmd_gains_from_what_it_has_seen_and_forgets_each_chunk() -> None:
    primed = _peers.PrimedPpmd(tiny.prose(3, 50_000))
    alone = next(coder for coder in _peers.coders(4096, None) if coder.name == "PPMd-16")
    content = TEXT[:4096]
    first = primed.measure(content).size
    assert first < 0.8 * len(alone.compress(content))
    primed.measure(TEXT[4096:8192])
    assert primed.measure(content).size == first


def test_chunks_are_spread_over_a_file_and_stay_within_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(number // 1000 for number in range(10_500)))

    def chunks(count: int, sample: int) -> list[bytes]:
        return list(ratio.Task(path, "file", 1000, count, sample).chunks())

    assert b"".join(chunks(99, 1 << 20)) == path.read_bytes()
    assert [chunk[0] for chunk in chunks(3, 1 << 20)] == [1, 5, 9]
    assert len(chunks(99, 2500)) == 2
    assert len(chunks(99, 10)) == 1


def test_texts_are_found_by_their_bytes_or_their_names(data: Path) -> None:
    (data / "trans").write_bytes(bytes(range(256)))
    assert [path.name for path in ratio.find_texts(data, None)] == [
        "table.csv",
        "trans",
        "words.txt",
    ]
    assert [path.name for path in ratio.find_texts(data, ["*.csv"])] == ["table.csv"]
    with pytest.raises(SystemExit, match="no texts"):
        ratio.find_texts(data, ["nothing*"])


def test_shares_are_against_the_best_rival_of_each_file() -> None:
    sizes = {"zstd -19": (50, 90), "xz -9e": (40, 80), "brotli -11": (60, 70), "PPMd-6": (80, 100)}
    sizes[_ratios.NGRAM] = (20, 70)
    cells = [
        _ratios.Cell(file, "logs", 4096, coder, 1, 100, coded[number])
        for coder, coded in sizes.items()
        for number, file in enumerate(("a", "b"))
    ]
    ratios = _ratios.Ratios(cells)
    assert ratios.against_best("a", 4096) == 0.5
    assert ratios.against_best("b", 4096) == 1.0
    assert ratios.mean_against_best(4096) == pytest.approx(math.sqrt(0.5))
    assert ratios.bits("xz -9e", 4096) == pytest.approx(8 * math.sqrt(0.4 * 0.8))


def test_the_command_writes_its_section_and_plots_and_repeats_them(
    data: Path, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page, saved = tmp_path / "docs" / "page.md", tmp_path / "saved.json"
    page.parent.mkdir()
    page.write_text("# Mine\n<!-- ratio: begin -->\nold\n<!-- ratio: end -->\nkept\n")
    train = tmp_path / "train"
    train.mkdir()
    for number in range(40):
        (train / f"{number}.txt").write_bytes(tiny.prose(number, 20_000))
    options = ["--data", data, "--train", train, "--model", model, "--chunks", "4K,16K"]
    options += ["--count", "2", "--jobs", "1", "--save", saved, "--page", page]
    options += ["--codecs", "multiscale"]
    assert benchmark.main(["ratio", *map(str, options)]) == 0
    text = page.read_text()
    assert text.startswith("# Mine\n")
    assert text.endswith("kept\n")
    assert "old" not in text
    names = [coder.name for coder in _peers.coders(4096, b"")] + ["lmarc multiscale"]
    for name in [*names, "zstd -19 + dictionary", _ratios.PRIMED, _ratios.STORED, _ratios.NGRAM]:
        assert f"| {name} " in text
    images = sorted((page.parent / "images").iterdir())
    assert [image.name for image in images] == ["ratio-by-chunk-size.png", "ratio-by-speed.png"]
    again = ["--load", str(saved), "--page", str(page), "--no-plots"]
    assert benchmark.main(["ratio", *again]) == 0
    assert page.read_text() == text
    assert "whole record" in capfd.readouterr().out


def test_a_page_without_the_section_is_not_guessed_at() -> None:
    with pytest.raises(SystemExit, match="no section"):
        _page.replace_section("# page", "ratio", "text")
