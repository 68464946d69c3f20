"""Contexts of tokens are counted as by hand, and rows go where they save."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lmarc.codec import vectors
from lmarc.kernels import subword, tokens
from lmarc.train.subword_tables import PARENTS, TokenSource, count_rows, train_tables
from tools import reference_decoder

VOCABULARY = vectors.small_subword().vocabulary
TEXT = VOCABULARY.cut(vectors.prose("tables", 30_000))


def test_rows_are_counted_as_by_hand() -> None:
    counted = count_rows(VOCABULARY, TEXT)
    plain = reference_decoder.TokenContexts(list(VOCABULARY.tokens))
    by_hand: dict[int, Counter[tuple[int, int, int]]] = {lane: Counter() for lane in PARENTS}
    for token in TEXT.tolist():
        keys = [reference_decoder.key_of(raw) for raw in plain.raw_keys()]
        for level, salt in enumerate((0, 1 + (token >> 8), 17 + (token >> 4))):
            for lane in PARENTS:
                by_hand[lane][keys[lane], salt, token >> 8 - 4 * level & 15] += 1
        plain.take(token)
    for lane, (ids, counts, _) in counted.items():
        for number, row in zip(ids.tolist(), counts.tolist(), strict=True):
            key, salt = number & 0xFFFFFFFF, number >> 32
            assert row == [by_hand[lane][key, salt, symbol] for symbol in range(16)]
        assert (counts.sum(1) >= 6).all()
        assert len(ids)


def test_parents_are_shorter_contexts_of_the_same_node() -> None:
    counted = count_rows(VOCABULARY, TEXT)
    for lane, parent in PARENTS.items():
        ids, counts, parents = counted[lane]
        if parent is None:
            assert (parents == -1).all()
            continue
        other = counted[parent]
        assert (parents >= 0).all()
        assert (other.ids[parents] >> 32 == ids >> 32).all()
        assert (other.counts[parents].sum(1) >= counts.sum(1)).all()
    assert counted[tokens.ORDER_0].ids[0] >> 32 == 0


def test_tables_hold_as_many_rows_as_are_asked_for() -> None:
    few, many = (train_tables(VOCABULARY, TEXT, rows) for rows in (60, 100_000))
    assert few.shape == (int(60 / 6 / 0.85), 64)
    assert len(many) > len(few)
    assert set(PARENTS) == set(subword.STATIC_LANES)


def test_a_source_gives_tokens_and_their_freqs() -> None:
    source = TokenSource(vectors.small_subword().mixture, VOCABULARY)
    content = vectors.prose("source", 700)
    assert source.levels == 3
    assert np.array_equal(source.cut(content), VOCABULARY.cut(content))
    assert source.freqs(content).shape == (len(VOCABULARY.cut(content)), 3, 16)
