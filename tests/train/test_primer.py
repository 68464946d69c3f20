"""A primer is trained on files as they are, and on the texts of tables and archives."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmarc
from lmarc.codec.primed import model_below
from lmarc.model import file, primed, registry
from lmarc.train.primer import sources, train_primer
from tests import tiny


def test_sources_are_read_as_they_are(tmp_path: Path) -> None:
    line = json.dumps({"text": "one"}).encode() + b"\n"
    (tmp_path / "a.jsonl").write_bytes(line)
    pq.write_table(pa.table({"body": ["two", "three"]}), tmp_path / "b.parquet")
    with lmarc.Writer(str(tmp_path / "c.lmarc"), preset="fast") as writer:
        writer.add_bytes("member", b"four")
    found = list(sources([str(tmp_path)], "body"))
    assert [one.read(0, one.size) for one in found] == [line, b"two", b"three", b"four"]
    assert found[0].read(2, 6) == line[2:6]
    with pytest.raises(FileNotFoundError, match="none"):
        list(sources([str(tmp_path / "none")]))


def test_a_primer_is_chosen_from_all_of_them(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_bytes(tiny.table(number, 5000))
    made, data = train_primer([str(tmp_path)], "high", 2000)
    assert made.sampled == 15_000
    assert data == made.over(model_below("high"))
    parsed = primed.parse(file.unpack(data, file.KIND_PRIMED))
    assert (parsed.text, parsed.below.hex()) == (made.text, registry.DEFAULT_CONTEXTS)
