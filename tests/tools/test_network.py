"""The network's benchmark counts real bytes, and times the coder's own parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmarc.codec import multiscale, neural, ngram, vectors
from lmarc.kernels._vector import QUADS
from tests import naive_multiscale, tiny
from tools import benchmark
from tools.benchmarks import _network, network
from tools.benchmarks.ratio import Task


def test_all_codecs_are_counted_on_the_same_chunks(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(tiny.prose(1, 8192))
    model, speeds = vectors.small_network(), network.Speeds()
    blend = vectors.small_blend()
    found = network.measure_text(blend, model, Task(path, "words", 4096, 9, 8192), speeds)
    chunks = [path.read_bytes()[at : at + 4096] for at in (0, 4096)]
    assert found.size == speeds.size == 8192
    assert found.ngram == sum(len(ngram.compress_with(model.ngram, chunk)) for chunk in chunks)
    assert found.neural == sum(len(neural.compress_either(model, chunk)[1]) for chunk in chunks)
    sizes = [len(multiscale.compress_either(blend, chunk)[1]) for chunk in chunks]
    assert found.blended == sum(sizes)
    assert speeds.coding > 0


def test_products_are_those_of_the_model() -> None:
    model = vectors.small_network()  # 32 and 16 units: 128 outputs of 16 inputs, 48 of 32
    assert _network.multiply_adds(model) == 128 * 16 + 48 * 32


def test_the_peak_is_of_as_many_multiply_adds_as_it_says() -> None:
    peak = _network.Peak()
    weights, packed = peak._weights.view(np.uint8 if QUADS else np.int16), peak._packed
    inputs = packed.view(np.int8 if QUADS else np.int16).reshape(2, -1).astype(np.int64)
    assert weights.size == peak.per_round
    by_lane = weights.astype(np.int64).reshape(12, 16, -1)
    expected = 12 * peak._sums.astype(np.int64) + (by_lane @ (2 * inputs[0] + inputs[1])).sum(0)
    peak.run(3)
    assert np.array_equal(peak._sums, expected.astype(np.int32))


def test_the_command_writes_its_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, page = tmp_path / "net.lmmodel", tmp_path / "page.md"
    model.write_bytes(naive_multiscale.file_of(vectors.small_blend()))
    page.write_text("<!-- network: begin -->\n<!-- network: end -->\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_bytes(tiny.prose(1, 6000))
    options = ["--data", str(tmp_path / "data"), "--model", str(model), "--chunk", "4K"]
    assert benchmark.main(["network", *options, "--repeats", "1", "--page", str(page)]) == 0
    assert "| **decompressing**, four chunks together" in page.read_text()
    assert "Network of 32x16 units" in capsys.readouterr().out
