"""Kernels around the steps that other kernels inline, so that tests can call them one by one."""

from __future__ import annotations

from typing import Any

from lmarc.kernels import contexts, head, match, mixture, shapes
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import (
    load_i32,
    narrow,
    pack,
    smaller,
    splat,
    store_i32,
    store_words,
    widen,
)


@kernel
def keys_after(text: Any, cursor: Any, fields: Any, keys: Any) -> None:
    """Write the keys of the byte behind `text`."""
    contexts.reset(cursor, fields)
    for position in range(len(text)):
        contexts.advance(cursor, fields, position, text[position])
    contexts.compute_keys(cursor, fields, text, len(text), keys)


@kernel
def shape_keys_after(
    text: Any, memory: Any, used: Any, lanes: Any, cursor: Any, fields: Any, bits: Any
) -> None:
    """Write the keys of lanes for each byte of `text`, and the one behind it."""
    shapes.reset(memory)
    contexts.reset(cursor, fields)
    for position in range(len(text)):
        shapes.ask(memory, used, cursor, bits)
        shapes.compute_keys(memory, used, lanes, cursor, text, position, position)
        shapes.advance(memory, used, cursor, text[position])
        contexts.advance(cursor, fields, position, text[position])
    shapes.ask(memory, used, cursor, bits)
    shapes.compute_keys(memory, used, lanes, cursor, text, len(text), len(text))


@kernel
def learn_head(
    weights: Any,
    weight_pairs: Any,
    tables: Any,
    pairs: Any,
    n_pairs: Any,
    errors: Any,
    rates: Any,
    scores: Any,
) -> None:
    """Ask the head's tables in turn, and let each learn after that."""
    for step in range(len(tables)):
        table, at = tables[step], step * n_pairs
        store_i32(scores, 16 * step, head.scores(weights, table, pairs, at, n_pairs))
        error = load_i32(errors, 16 * step)
        head.learn(weight_pairs, table, pairs, at, n_pairs, error, rates[step])


@kernel
def rows_of(keys: Any, salt: Any, rows: Any) -> None:
    """Write the hashes of keys."""
    contexts.compute_rows(keys, salt, rows)


@kernel
def walk_matches(matcher: Any, positions: Any, text: Any, slots: Any, found: Any) -> None:
    """Write size and guess before each byte of `text`."""
    for position in range(len(text)):
        match.find(matcher, positions, text, position, slots[position])
        found[position, 0] = matcher[match.MATCH_SIZE]
        found[position, 1] = matcher[match.GUESS]
        match.advance(matcher, text[position])


@kernel
def length_bucket(size: Any) -> int:
    """Return the length that stands for a size."""
    return match.length_bucket(size)


@kernel
def log2(values: Any, out: Any) -> None:
    """Write `mixture.log2` of sixteen values."""
    store_i32(out, 0, mixture.log2(load_i32(values, 0)))


@kernel
def exp2(values: Any, out: Any) -> None:
    """Write `mixture.exp2` of sixteen values."""
    distances = smaller(load_i32(values, 0), splat(32767))
    store_i32(out, 0, widen(mixture.exp2(narrow(distances))))


@kernel
def scaled(values: Any, out: Any) -> None:
    """Write `mixture.scaled` of sixteen values."""
    store_i32(out, 0, mixture.scaled(load_i32(values, 0)))


@kernel
def freqs_of(inputs: Any, weights: Any, packed: Any, out: Any) -> None:
    """Write the freqs of a mixture, and their sums."""
    store_words(packed, 0, pack(load_i32(weights, 0)))
    freqs, sums = mixture.freqs_of(inputs, packed)
    store_i32(out, 0, widen(freqs))
    store_i32(out, 16, widen(sums))


@kernel
def normalised(logits: Any, out: Any) -> None:
    """Write the freqs of logits, and their sums."""
    freqs, sums = mixture.normalised(load_i32(logits, 0))
    store_i32(out, 0, freqs)
    store_i32(out, 16, sums)


@kernel
def weight_steps(inputs: Any, freqs: Any, symbol: Any, rate: Any, out: Any) -> None:
    """Write how far weights move."""
    store_i32(out, 0, mixture.weight_steps(inputs, narrow(load_i32(freqs, 0)), symbol, rate))


@kernel
def move(weights: Any, at: Any, steps: Any) -> None:
    """Add steps to a weight vector."""
    mixture.move(weights, at, load_i32(steps, 0))
