"""Keys of shapes equal those of the reference decoder after any text."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.kernels import shapes
from tests import tiny
from tests.kernels import compiled
from tools import reference_decoder

TEXTS = [
    b"",
    b"\n",
    b"\n\n\n",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaa",
    bytes(range(256)),
    b'{"name": "Ada", "born": 1815},\n{"name": "Alan", "born": 1912},\n',
    "né à Æther: 数字 ABC\n数".encode(),
    b"-_-_//\\|\t;;..,,::==''``([{<>}])",
    tiny.prose(1, 500),
    tiny.table(2, 500),
    random.Random(3).randbytes(500),
]


BITS = 11
ALL = tuple(range(shapes.N_CONTEXTS))


def memory_for(rows: int, bits: int = BITS) -> shapes.Shapes:
    """Return memory that holds something else."""
    return shapes.Shapes(
        cursor=np.full(shapes.N_CURSOR, 77, np.int64),
        histories=np.full(shapes.N_HISTORIES << bits, 77, np.uint32),
        slots=np.zeros(16, np.uint32),
        mixed=np.zeros(16, np.uint32),
        keys=np.zeros(16 * rows, np.uint32),
        seen=np.zeros(shapes.N_SEEN * rows, np.int64),
    )


def walked(
    text: bytes, lanes: tuple[int, ...] = ALL, bits: int = BITS, used: int = 255
) -> shapes.Shapes:
    """Return what the kernel writes for each byte and for the one behind the last."""
    cursor, fields, _ = tiny.scratch_arrays()
    memory = memory_for(len(text) + 1, bits)
    # One byte more, as chunks have, that must not be read.
    data = np.frombuffer(text + b"\xaa", np.uint8)
    order = np.array(lanes, np.int32)
    compiled.shape_keys_after(data[:-1], memory, used, order, cursor, fields, bits)
    return memory


def keys_of(text: bytes) -> list[list[int]]:
    """Return the kernel's keys for each byte and for the one behind the last."""
    keys: list[list[int]] = walked(text).keys.reshape(-1, 16).tolist()
    return keys


def plain_keys_of(text: bytes) -> list[list[int]]:
    plain, contexts = reference_decoder.Shapes(BITS), reference_decoder.NgramContexts()

    def keys() -> list[int]:
        return [reference_decoder.key_of(raw) for raw in plain.raw_keys(contexts)]

    rows = [keys()]
    for byte in text:
        plain.take(byte, contexts)
        contexts.take(byte)
        rows.append(keys())
    return rows


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_keys_equal_the_plain_ones_before_every_byte(text: bytes) -> None:
    assert keys_of(text) == plain_keys_of(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(b'aZ7\xc3\n ,;"([.|!'), max_size=60).map(bytes))
def test_keys_of_any_marks_and_letters_equal_the_plain_ones(text: bytes) -> None:
    assert keys_of(text) == plain_keys_of(text)


def test_every_byte_has_the_kind_that_the_specification_says() -> None:
    assert shapes.KIND.tolist() == [reference_decoder.kind_of(byte) for byte in range(256)]
    assert set(shapes.KIND.tolist()) == set(range(1, 16))


def test_texts_of_one_shape_have_the_same_keys_of_kinds() -> None:
    one, other = keys_of(b"Ada: 1815;")[-1], keys_of(b"Eva: 1902;")[-1]
    kinds, above, line, runs = 1, 3, 4, 5
    for key in (kinds, above, line, runs):
        assert one[key] == other[key]
    assert one[0] != other[0]


def test_runs_of_any_length_have_the_same_key() -> None:
    short, long = keys_of(b"ab 12")[-1], keys_of(b"abcdefgh 1234567890")[-1]
    assert short[5] == long[5]
    assert short[4] != long[4]


def test_a_lane_has_the_key_of_its_context() -> None:
    text = tiny.table(4, 200)
    order = (15, 3, 3, 9, 0, 8, 12, 14, 1, 2, 11, 10, 13, 0, 0, 0)
    mixed = walked(text, order).keys.reshape(-1, 16)
    assert (mixed == walked(text).keys.reshape(-1, 16)[:, order]).all()


@pytest.mark.parametrize("used", [0, 0b101, 0b10000010])
def test_histories_that_no_lane_has_are_left_alone(used: int) -> None:
    text = tiny.prose(6, 300)
    every, some = walked(text), walked(text, used=used)
    kept = [8 + k for k in range(shapes.N_HISTORIES) if used >> k & 1]
    same = [*range(shapes.N_SHAPES), *kept]
    keys = [memory.keys.reshape(-1, 16)[:, same] for memory in (every, some)]
    assert (keys[0] == keys[1]).all()
    histories = some.histories.reshape(shapes.N_HISTORIES, -1)
    assert [k + 8 for k in range(shapes.N_HISTORIES) if histories[k].any()] == kept


def test_a_history_is_what_came_after_the_same_bytes() -> None:
    memory = walked(b"one two. one three. one ")
    steps = [shapes.FOLLOWED + k for k in range(3)]  # two, three and four bytes
    assert [memory.cursor[at] for at in steps] == [int.from_bytes(b"tt")] * 3
    histories = memory.histories.reshape(shapes.N_HISTORIES, -1)
    assert (histories <= shapes.HISTORY_MASK).all()


def test_histories_of_few_places_are_shared() -> None:
    text = random.Random(5).randbytes(3000)
    keys = [walked(text, bits=bits).keys for bits in (4, 14)]
    assert (keys[0] != keys[1]).any()
    memory = walked(text, bits=4)
    assert (memory.slots[:8] >> 4).tolist() == list(range(8))


def test_a_byte_is_seen_with_what_stands_around_it() -> None:
    text = b"ab,c\nx1"
    seen = walked(text).seen.reshape(-1, shapes.N_SEEN).tolist()
    letter, digit, newline = 1, 3, 5
    kinds = letter << 12 | newline << 8 | letter << 4 | digit
    assert seen[-1] == [ord("1"), ord("x"), kinds, 2, ord(",")]
    assert seen[0] == [0, 0, 0, 0, 0]
    assert walked(b"a" * 100).seen.reshape(-1, shapes.N_SEEN)[-1, shapes.COLUMN] == 63
