"""A fold's text has not been counted by the fold's model, and is learnt from by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lmarc.codec import vectors
from lmarc.model.ngram import NgramModel
from lmarc.train.data import Document, documents, gather
from tools.make_fold import split


def test_no_text_is_on_both_sides() -> None:
    found = [Document("d", str(n), vectors.prose(f"{n}", 1000 + n)) for n in range(300)]
    corpus = gather(found, 1 << 30)
    fold, counted = split(corpus, 0.4)
    kept, rest = fold.texts["mixture"]["d"], counted.texts["tables"]["d"]
    assert not set(kept) & set(rest)
    assert sorted(kept + rest) == sorted(corpus.texts["tables"]["d"] + corpus.texts["mixture"]["d"])
    share = sum(map(len, kept)) / len(corpus.part("tables")["d"])
    assert 0.4 <= share < 0.42
    assert counted.texts["mixture"] == fold.texts["mixture"]


def test_a_second_fold_begins_behind_the_first() -> None:
    found = [Document("d", str(n), vectors.prose(f"{n}", 1000 + n)) for n in range(300)]
    corpus = gather(found, 1 << 30)
    first, second = (split(corpus, 0.4, after)[0].texts["mixture"]["d"] for after in (0, 0.4))
    last, counted = split(corpus, 0.4, 0.8)
    end = last.texts["mixture"]["d"]
    assert [*first, *second, *end] == corpus.texts["tables"]["d"]
    assert abs(sum(map(len, second)) - sum(map(len, first))) < 3000
    assert counted.texts["tables"]["d"] == [*first, *second, *corpus.texts["mixture"]["d"]]


def test_the_command_writes_text_and_model(tmp_path: Path) -> None:
    corpus = tmp_path / "texts"
    corpus.mkdir()
    for n in range(60):
        (corpus / f"{n}").write_bytes(vectors.prose(f"{n}", 20_000))
    subprocess.run(
        [sys.executable, "tools/make_fold.py", corpus, "--size", "300K", "-o", tmp_path / "out"],
        check=True, timeout=300, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    text = gather(documents([str(tmp_path / "out/fold.lmarc")]), 1 << 30).part("mixture")["texts"]
    assert 0.25 * 1_200_000 < len(text) < 0.4 * 1_200_000
    model = NgramModel.parse((tmp_path / "out/fold.lmmodel").read_bytes())
    assert model.profile_count == 2
