"""What coders are tested with."""

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.codec.ngram import compress_with
from lmarc.kernels import ngram
from lmarc.model.ngram import NgramModel


@pytest.mark.parametrize("name", vectors.INPUTS)
def test_an_input_has_its_size_and_is_always_the_same(name: str) -> None:
    content = vectors.content_of(name)
    assert len(content) == int(name.rpartition("-")[2])
    assert content == vectors.content_of(name)


def test_inputs_are_what_they_are_called() -> None:
    assert vectors.content_of("json-8192").startswith(b'{"id": 0, "name": "')
    assert vectors.content_of("csv-8192").startswith(b"1000,")
    assert "的" in vectors.content_of("chinese-8192").decode(errors="ignore")
    assert vectors.noise("a", 100) != vectors.noise("b", 100)


def test_the_small_model_is_found_by_lookups_at_home_and_in_second_places() -> None:
    model = vectors.small_model()
    buckets = model.static(0).buckets.reshape(-1, ngram.BUCKET_SIZE)
    assert buckets[:, 12:16].any(), "no bucket spills"
    content = vectors.content_of("prose-4095")
    empty = NgramModel(np.zeros_like(buckets), model.profiles)
    homes_only = buckets.copy()
    homes_only[:, 12:16] = 0
    sizes = [
        compress_with(one, content)
        for one in (model, NgramModel(homes_only, model.profiles), empty)
    ]
    assert len(set(sizes)) == 3


def test_both_profiles_are_chosen() -> None:
    chosen = {
        compress_with(vectors.small_model(), vectors.content_of(name))[0]
        for name in vectors.INPUTS
        if not name.endswith("-65536")
    }
    assert chosen == {0, 1}
