"""What a training stands on is found by name, and no text meets a mixture that has seen it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.model import registry
from lmarc.train.beneath import (
    Fold,
    adapter_base,
    base_model,
    blend_model,
    initial_model,
    read_folds,
    texts_of,
    with_folds,
)
from lmarc.train.data import Corpus

TEXT = vectors.prose("beneath", 70_000)
CORPUS = Corpus({"mixture": {"d": [TEXT]}, "tables": {"d": [b"counted"], "e": [b"too"]}})


def test_the_part_of_the_tables_is_read_where_that_is_asked_for() -> None:
    assert texts_of(CORPUS, False) == {"d": TEXT}
    assert texts_of(CORPUS, True) == {"d": TEXT + b"counted", "e": b"too"}


def test_the_text_of_a_fold_has_a_mixture_of_its_own() -> None:
    fold = Fold(Corpus({"mixture": {"d": [b"folded"]}}), vectors.small_model())
    texts, others = with_folds({"d": TEXT}, [fold, fold], None)
    assert texts == {"d": TEXT, "d, fold 1": b"folded", "d, fold 2": b"folded"}
    assert sorted(others) == ["d, fold 1", "d, fold 2"]
    with pytest.raises(ModelError, match="6 bytes, expected 65536 or more"):
        with_folds({}, [fold], None)


def test_folds_are_read_by_their_paths(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "one").write_bytes(TEXT)
    (fold,) = read_folds([(str(tmp_path / "text"), str(model_file))], "text", "text", 1 << 30)
    assert fold.corpus.size == len(TEXT)
    assert fold.model.profile_count == base_model(str(model_file))[0].profile_count


def test_models_that_ship_are_found_by_their_short_names() -> None:
    base, digest = base_model(None)
    assert digest == registry.shipped("ngram")
    initial = initial_model("shipped", base)
    assert initial is not None
    assert initial.ngram is base
    assert initial_model(None, base) is None
    assert adapter_base("shipped").sha256 == registry.shipped("neural")
    assert blend_model(None, base) is None
    blend = blend_model("contexts", base)
    assert blend is not None
    assert blend.neural is None


def test_a_blend_is_for_models_of_as_many_profiles() -> None:
    with pytest.raises(ModelError, match="the blend is for 4 profiles"):
        blend_model("contexts", vectors.small_model())
