"""Samples are records or members, in the order of the archive, cut into blocks by chunk."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import lmarc
from lmarc.interop.samples import Samples, open_samples
from tests.archive.samples import noise, text

ROWS = [b"%d %s" % (number, noise(number, number % 90).hex().encode()) for number in range(3000)]
SMALL = {f"small/{number:02}": text(number, 40 * number) for number in range(30)}


@pytest.fixture
def archive(tmp_path: Path) -> lmarc.Archive:
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast", chunk_size=4096) as writer:
        writer.add_directory("small")
        writer.add_bytes("a.jsonl", b"\n".join(ROWS[:2000]))
        writer.add_bytes("b.jsonl", b"")
        writer.add_bytes("c.jsonl", b"\n".join(ROWS[2000:]) + b"\n")
        for name, data in SMALL.items():
            writer.add_bytes(name, data)
        writer.add_link("link", "a.jsonl")
    return lmarc.open(tmp_path / "a.lmarc")


def check_blocks(samples: Samples, count: int) -> None:
    blocks = samples.blocks
    assert blocks[0] == 0
    assert blocks[-1] == count
    assert (np.diff(blocks) > 0).all()
    assert count / 60 < len(blocks) < count


def test_records_of_several_members_are_one_sequence(archive: lmarc.Archive) -> None:
    samples = open_samples(archive, ["*.jsonl"], "records")
    check_blocks(samples, 3000)
    numbers = [2999, 0, 1999, 2000, 7, 7, 2001]
    assert samples.read(numbers) == [ROWS[number] for number in numbers]
    assert samples.read(range(1990, 2010)) == ROWS[1990:2010]
    assert pickle.loads(pickle.dumps(samples)).read([2500]) == [ROWS[2500]]


def test_a_block_of_records_costs_its_chunk_and_the_one_before(archive: lmarc.Archive) -> None:
    samples = open_samples(archive, ["a.jsonl"], "records")
    for first, last in zip(samples.blocks[:-1], samples.blocks[1:], strict=True):
        cold = lmarc.open(archive.url)
        open_samples(cold, ["a.jsonl"], "records").read(range(first, last))
        assert len(cold._cache._chunks) <= 2


def test_members_are_pairs_in_the_order_of_the_archive(archive: lmarc.Archive) -> None:
    samples = open_samples(archive, ["small"], "members")
    check_blocks(samples, 30)
    assert samples.read([3, 29, 0]) == [(n, SMALL[n]) for n in ("small/03", "small/29", "small/00")]
    assert len(open_samples(archive, [], "members").read(range(33))) == 33


def test_what_is_no_sample_is_refused(archive: lmarc.Archive) -> None:
    with pytest.raises(ValueError, match="samples is 'lines', expected 'records' or 'members'"):
        open_samples(archive, [], "lines")
    with pytest.raises(lmarc.MemberNotFoundError, match=r"no file matches .*none.* in /.*a\.lmarc"):
        open_samples(archive, ["none"], "records")
    assert open_samples(archive, ["b.jsonl"], "records").blocks.tolist() == [0]
    assert open_samples(archive, ["b.jsonl"], "members").blocks.tolist() == [0, 1]
