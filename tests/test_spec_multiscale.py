"""The vectors of spec/v1/multiscale.md hold for the kernels and for the reference decoder."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from lmarc.kernels import contexts, head, shapes
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import load_i32
from tests.kernels.test_shapes import memory_for
from tests.test_spec_vectors import PAGES, tables, vectors
from tools import reference_decoder


@kernel
def shapes_after(text: Any, memory: Any, lanes: Any, cursor: Any, fields: Any) -> None:
    """Take in all of `text` but its last byte, and write the keys."""
    shapes.reset(memory)
    contexts.reset(cursor, fields)
    for position in range(len(text) - 1):
        byte = int(text[position])
        shapes.ask(memory, 255, cursor, 11)
        shapes.compute_keys(memory, 255, lanes, cursor, text, position, 0)
        shapes.advance(memory, 255, cursor, byte)
        contexts.advance(cursor, fields, position, byte)
    shapes.ask(memory, 255, cursor, 11)
    shapes.compute_keys(memory, 255, lanes, cursor, text, len(text) - 1, 0)


@kernel
def head_after(weights: Any, pairs: Any, errors: Any, rate: int) -> None:
    """Move sixteen symbols' weights of two units in a table."""
    head.learn(weights, 0, pairs, 0, 1, load_i32(errors, 0), rate)


def test_shapes_are_as_on_the_page() -> None:
    page = vectors("multiscale.md", "shapes")
    texts = [bytes.fromhex(text) for text in re.findall(r"^After `(.*)`:$", page, re.MULTILINE)]
    assert len(texts) == 3
    for text, rows in zip(texts, tables(page), strict=True):
        memory = memory_for(1)
        shapes_after(
            np.frombuffer(text + b"\0", np.uint8),
            memory,
            np.arange(16, dtype=np.int32),
            np.zeros(contexts.N_CURSOR, np.int64),
            np.zeros(contexts.N_FIELDS, np.int32),
        )
        shape, keys = memory.cursor, memory.keys
        named = {name: int(value, 0) for name, value in rows}
        raws = [named.pop(f"raw key of context {lane}") for lane in range(16)]
        places = {
            "kinds": shapes.KINDS, "older_kinds": shapes.OLDER_KINDS, "runs": shapes.RUNS,
            "last_run": shapes.LAST_RUN, "line_shape": shapes.LINE_SHAPE, "marks": shapes.MARKS,
            "word_before": shapes.WORD_BEFORE,
        }  # fmt: skip
        assert {name: int(shape[at]) for name, at in places.items()} == named
        assert keys.tolist() == [reference_decoder.key_of(raw) for raw in raws]


def test_the_head_moves_as_on_the_page() -> None:
    (rows,) = tables(vectors("multiscale.md", "head"))
    for row in rows:
        weight, error, out, rate, after = (int(cell) for cell in row)
        assert reference_decoder.head_weight(weight, error, out, rate) == after
        for unit in (0, 1):
            weights, inputs = np.zeros((16, 2), np.int16), np.zeros(2, np.int16)
            weights[:, unit], inputs[unit] = weight, out
            flat = weights.reshape(-1).view(np.int32)
            head_after(flat, inputs.view(np.int32), np.full(16, error, np.int32), rate)
            assert weights[:, unit].tolist() == [after] * 16
            assert weights[:, 1 - unit].tolist() == [0] * 16


def test_steps_are_as_on_the_page() -> None:
    (rows,) = tables(vectors("multiscale.md", "blend"))
    for row in rows:
        total, rate, fine, step = (int(cell) for cell in row)
        assert reference_decoder.blend_step(total, rate, fine) == step


def test_kinds_are_those_of_the_page() -> None:
    kinds = [reference_decoder.kind_of(byte) for byte in range(256)]
    assert shapes.KIND.tolist() == kinds
    text = (PAGES / "multiscale.md").read_text()
    (rows,) = tables(text[text.index("### 3.1") : text.index("### 3.2")])
    assert [int(kind) for kind, _ in rows] == list(range(1, 16))
    assert rows.pop()[1] == "all others"
    on_page = [15] * 256
    for kind, cell in rows:
        numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[:`]", cell)[0])]
        if " to " in cell:
            numbers = list(range(numbers[0], numbers[1] + 1))
        for number in numbers:
            on_page[number] = int(kind)
    assert on_page == kinds
