"""A primer is chosen from a sample, evenly spread, of any amount of data: what recurs in it."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from lmarc.codec.primed import model_below
from lmarc.errors import ModelError
from lmarc.model import file, primed, registry
from lmarc.routing import primer
from lmarc.routing.primer import Source, choose, choose_primer, of_bytes, sample
from tests import tiny


def lines(count: int) -> bytes:
    """Return lines that say where they stand."""
    return b"".join(b"%07d %s\n" % (number, b"x" * (number % 50)) for number in range(count))


def places(pieces: list[bytes]) -> list[int]:
    """Return the numbers of the lines of `lines` in some pieces."""
    return [int(line[:7]) for line in b"".join(pieces).splitlines()]


@pytest.mark.parametrize("sizes", [[10**9], [1, 5, 3000, 20, 7, 10**9], [100] * 1000])
def test_all_of_little_text_is_sampled_once_and_in_order(sizes: list[int]) -> None:
    text, found = lines(1500), []
    rest = text
    for number, size in enumerate(sizes):
        found.append(of_bytes(f"{number}.txt", rest[:size]))
        rest = rest[size:]
    assert b"".join(sample(found)) == text[: sum(sizes)]


def test_the_pieces_of_one_text_are_whole_lines() -> None:
    pieces = sample([of_bytes("a", lines(20_000))], limit=50_000)
    assert all(piece.endswith(b"\n") and piece[7:8] == b" " for piece in pieces)


def test_characters_stay_whole_where_there_are_no_lines() -> None:
    text = "né語".encode() * 2000
    pieces = sample([of_bytes("a", text)])
    assert b"".join(pieces) == text
    assert len([piece.decode() for piece in pieces]) > 5


@pytest.mark.parametrize("count", [3000, 10_000, 40_000])
def test_a_sample_of_much_text_is_spread_over_it_and_within_the_limit(count: int) -> None:
    pieces = sample([of_bytes("a", lines(count))], limit=60_000)
    assert 29_000 < sum(map(len, pieces)) <= 60_000
    found = places(pieces)
    assert found == sorted(set(found))
    shares = [sum(q * count <= 4 * n < (q + 1) * count for n in found) for q in range(4)]
    assert min(shares) > 0.8 * max(shares)


def test_little_more_is_read_than_is_wanted_of_huge_data() -> None:
    read = 0

    def at(start: int, end: int) -> bytes:
        nonlocal read
        read += end - start
        return (b"line of %010d\n" % start) * ((end - start) // 18)

    huge = Source("huge.txt", 100 << 30, at)
    pieces = sample([huge], limit=50_000)
    assert 25_000 <= sum(map(len, pieces)) <= 50_000
    assert read < 60 * 50_000


def test_what_is_no_text_is_left_out() -> None:
    noise = random.Random(1).randbytes(50_000)
    text = tiny.table(1, 30_000)
    found = [of_bytes("a", noise), of_bytes("b", text), of_bytes("c", noise), of_bytes("d", b"")]
    got = b"".join(sample(found))
    assert got == text


def test_what_recurs_is_chosen_once_and_in_its_order() -> None:
    often = [tiny.table(1, 1000) for _ in range(5)]
    other = [tiny.table(2, 1000) for _ in range(3)]
    rare = [tiny.prose(3, 1000)]
    assert choose([*rare, *often, *other], 1000) == [often[0]]
    assert choose([*other, *rare, *often], 2500) == [other[0], often[0]]
    assert choose([*rare, *often, *other], 5000) == [rare[0], often[0], other[0]]


def test_no_more_is_chosen_than_is_asked_for() -> None:
    pieces = [tiny.prose(n, 500 + 37 * n) for n in range(40)]
    chosen = choose(pieces, 9000)
    assert 8000 < sum(map(len, chosen)) <= 9000
    assert choose([b"short"], 9000) == []


def test_a_primer_of_the_same_data_is_the_same() -> None:
    found = [of_bytes(f"{n}.csv", tiny.table(n, 20_000)) for n in range(4)]
    made = choose_primer(found, 5000)
    assert choose_primer(found, 5000) == made
    data = made.over(model_below("high"))
    sections = file.unpack(data, file.KIND_PRIMED)
    parsed = primed.parse(sections)
    assert parsed.below.hex() == registry.DEFAULT_CONTEXTS
    assert parsed.inside is None
    assert parsed.text == made.text
    assert len(made.text) <= 5000
    card = json.loads(sections["card"])
    assert sorted(card) == ["corpus_sha256", "pieces", "training_text"]
    assert (
        (card["pieces"], card["training_text"])
        == (made.pieces, made.sampled)
        == (made.pieces, 80_000)
    )
    model = registry.multiscale_model(hashlib.sha256(data).digest(), data)
    assert model.primer == parsed.text


@pytest.mark.parametrize("size", [0, 7, primed.MAX_TEXT + 1])
def test_a_size_that_no_primer_has_is_refused(size: int) -> None:
    with pytest.raises(ModelError, match=f"a primer of {size} bytes is asked for, expected 8 to"):
        choose_primer([of_bytes("a", lines(100))], size)


def test_no_text_is_an_error() -> None:
    with pytest.raises(ModelError, match="there is no text"):
        choose_primer([of_bytes("a", random.Random(1).randbytes(5000))])


def test_cells_are_drawn_one_of_each_block_and_on_all_levels_below() -> None:
    drawn = [[primer._drawn(block, level) for block in range(64)] for level in range(5)]
    assert drawn[0] == list(range(64))
    for level, cells in enumerate(drawn):
        assert [cell >> level for cell in cells] == list(range(64))
        assert all(primer._next(cell, below) == cell for cell in cells for below in range(level))
    assert len({cell & 15 for cell in drawn[4]}) > 8  # not all at one place of their blocks
