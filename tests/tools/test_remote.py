"""Readers of archives on S3 cost what is promised, and the page says so."""

import random
from pathlib import Path

import pytest

from tools import benchmark
from tools.benchmarks import remote
from tools.benchmarks.remote import COLUMNS, Cost

MEMBERS = 60


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Cost | None]]:
    return remote.measure_requests(tmp_path_factory.mktemp("remote"), MEMBERS)


def cost(costs: dict[str, list[Cost | None]], reader: str, column: str) -> Cost:
    found = costs[reader][COLUMNS.index(column)]
    assert found is not None
    return found


@pytest.mark.parametrize("reader", ["lmarc://", "lmarc://, chunks of 256 KiB", "lmarc records"])
def test_lmarc_asks_for_what_it_needs(costs: dict[str, list[Cost | None]], reader: str) -> None:
    opened = cost(costs, reader, "open, list")
    assert opened.methods.keys() == {"GET"}
    assert opened.methods["GET"] <= 2
    assert cost(costs, reader, "list again") == Cost({}, 0)
    assert cost(costs, reader, "unpickle") == Cost({}, 0)
    chunk = (256 << 10) + 60 if "256" in reader or "records" in reader else (1 << 20) + 60
    one = cost(costs, reader, "1 member")
    # A line of 150 kB may lie in two chunks of text, and the first one needs a dictionary.
    assert one.methods == {"GET": 2 if "records" in reader else 1}
    assert one.received <= (3 * chunk if "records" in reader else chunk)
    many = cost(costs, reader, "20 members")
    assert many.methods.keys() <= {"GET"}
    assert sum(many.methods.values()) <= 20
    few = cost(costs, reader, "100 bytes of 1")
    assert sum(few.methods.values()) <= 1
    assert few.received <= (2 * chunk if "records" in reader else chunk)


def test_peers_are_measured_beside_it(costs: dict[str, list[Cost | None]]) -> None:
    for reader in ("zip://", "tar://", ".jsonl, offsets known"):
        assert cost(costs, reader, "open, list").methods["HEAD"] == 1
    assert cost(costs, "tar://", "open, list").received > MEMBERS * remote.MEMBER
    assert cost(costs, "zip://", "unpickle").received > 0
    assert str(Cost({"HEAD": 1, "GET": 2}, 1_500_000)) == "1 HEAD + 2 GET, 1.50 MB"
    assert str(Cost({}, 0)) == "0"


def test_a_wrong_answer_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="something else than was asked for"):
        remote.check(False)


def test_the_page_gets_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    choice = random.Random(1).choice
    (data / "words.txt").write_text(" ".join(choice(["salt", "sea", "stone"]) for _ in range(9000)))
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- remote: begin -->\n<!-- remote: end -->\nbelow\n")
    small = ["--members", "21", "--size", "1", "--records", "100", "--delay", "5", "--repeats", "1"]
    assert benchmark.main(["remote", "--data", str(data), "--page", str(page), *small]) == 0
    text = page.read_text()
    assert "21 members of 150 kB" in text
    assert "with 5 ms a request" in text
    assert "| balanced |" in text
    assert text.startswith("above")
