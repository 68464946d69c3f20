"""Primed models are those of spec/v1/model-file.md, section 6.2, in every implementation."""

from __future__ import annotations

import hashlib
import re

import pytest

from lmarc.codec import multiscale, ngram, vectors
from lmarc.errors import ModelError
from lmarc.model import file, primed, registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.ngram import Scratch
from tests import naive, naive_multiscale, naive_neural, tiny
from tests.test_spec_vectors import PAGES, tables
from tools import craft_ngram, multiscale_archives, ngram_archives, reference_decoder

TEXT = tiny.prose(1, 260) + tiny.table(2, 240)
CONTENTS = {
    "text": TEXT[100:300],
    "more": tiny.table(2, 240)[-30:] + tiny.table(3, 150),
    "bytes": bytes(range(0, 256, 2)),
    "few": b"19;Three",
}
MODEL = tiny.random_model(5, TEXT[:90] + TEXT[300:390], n_buckets=90)
BLENDS = {
    "network": vectors.small_blend(),
    "alone": naive_multiscale.random_blend(3, vectors.small_model()),
    "wild": naive_multiscale.random_blend(4, naive_neural.random_network(5, 16, 32)),
    "lanes": naive_multiscale.random_blend(5, vectors.small_network(), naive_multiscale.LANES),
    "deep": naive_multiscale.random_blend(7, naive_neural.random_network(8, 32, 16, layers=4)),
}


def section() -> str:
    """Return section 6.2 of the page."""
    page = (PAGES / "model-file.md").read_text()
    return page[page.index("### 6.2") : page.index("## 7.")]


def test_the_sections_and_the_limit_are_those_of_the_page() -> None:
    (rows,) = tables(section())
    assert [name for name, _, _ in rows] == list(primed.SECTIONS)
    (limit,) = re.findall(r"1 to ([\d,]+) of them", rows[2][2])
    assert int(limit.replace(",", "")) == primed.MAX_TEXT
    limits = (PAGES / "model-file.md").read_text().split("## 8. ")[1]
    assert f"| text of a primed model | {limit} bytes |" in limits


def test_both_writers_make_a_file_that_says_the_same() -> None:
    below = craft_ngram.example_model()
    data = primed.pack(b"{}", below, TEXT)
    plain = craft_ngram.primed_model(below, TEXT)
    assert reference_decoder.below_and_text(data) == (below, TEXT)
    for made in (data, plain):
        found = primed.parse(file.unpack(made, file.KIND_PRIMED))
        assert found == (hashlib.sha256(below).digest(), below, TEXT)


@pytest.mark.parametrize("profile", [0, 1])
@pytest.mark.parametrize("name", CONTENTS)
def test_the_steps_behind_a_text_are_the_plain_ones(name: str, profile: int) -> None:
    plain = naive.model(
        tiny.naive_buckets(MODEL), tiny.naive_profile(MODEL, profile), CONTENTS[name], TEXT
    )
    steps = ngram.model_steps(MODEL.primed(TEXT), CONTENTS[name], profile, Scratch())
    assert steps.tolist() == [cumfreq << 16 | freq for cumfreq, freq in plain]


def test_text_and_content_decide_the_tables_together() -> None:
    text, content = tiny.prose(4, 4000), tiny.prose(5, 200)
    assert naive.table_bits(len(content)) != naive.table_bits(len(text) + len(content))
    plain = naive.model(tiny.naive_buckets(MODEL), tiny.naive_profile(MODEL, 0), content, text)
    steps = ngram.model_steps(MODEL.primed(text), content, 0, Scratch())
    assert steps.tolist() == [cumfreq << 16 | freq for cumfreq, freq in plain]


@pytest.mark.parametrize("name", CONTENTS)
def test_the_reference_decoder_decodes_payloads_of_lmarc(name: str) -> None:
    content = CONTENTS[name]
    payload = ngram.compress_with(MODEL.primed(TEXT), content)
    data = craft_ngram.primed_model(MODEL.pack(b"{}"), TEXT)
    assert reference_decoder.ngram(payload, len(content), data) == content
    assert ngram.decompress_with(MODEL.primed(TEXT), payload, len(content)) == content


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("model", BLENDS.values(), ids=BLENDS)
def test_the_reference_decoder_decodes_blended_payloads(model: MultiscaleModel, name: str) -> None:
    content, text = CONTENTS[name][:60], TEXT[200:300]
    payload = multiscale.compress_with(model.primed(text), content)
    assert naive_multiscale.decoded(model, payload, len(content), text) == content
    assert multiscale.decompress_with(model.primed(text), payload, len(content)) == content


def test_lmarc_decodes_payloads_of_the_reference() -> None:
    data = craft_ngram.primed_model(multiscale_archives.with_network(), TEXT[:90])
    model = registry.multiscale_model(hashlib.sha256(data).digest(), data)
    contents = [TEXT[60:160], ngram_archives.LINES]
    payloads = [(multiscale_archives.payload(data, 0, text), len(text)) for text in contents]
    assert multiscale.decompress_together(model, payloads) == contents
    data = craft_ngram.primed_model(ngram_archives.two_profiles(), TEXT)
    below = registry.ngram_model(hashlib.sha256(data).digest(), data)
    for profile in (0, 1):
        payload = craft_ngram.payload(data, profile, contents[0])
        assert ngram.decompress_with(below, payload, len(contents[0])) == contents[0]


def test_a_model_below_of_another_kind_is_refused() -> None:
    below = craft_ngram.example_model()
    blend = craft_ngram.primed_model(multiscale_archives.multiscale_model(), TEXT)
    again = craft_ngram.primed_model(craft_ngram.primed_model(below, TEXT), TEXT)
    for data in (blend, again):
        with pytest.raises(reference_decoder.RefusedError):
            reference_decoder.ngram(bytes(9), 9, data)
        with pytest.raises(ModelError):
            registry.ngram_model(hashlib.sha256(data).digest(), data)
    for data in (craft_ngram.primed_model(below, TEXT), again):
        with pytest.raises(reference_decoder.RefusedError):
            reference_decoder.multiscale(bytes(9), 9, data)
        with pytest.raises(ModelError):
            registry.multiscale_model(hashlib.sha256(data).digest(), data)


def test_the_reference_decoder_finds_a_model_below_by_its_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    below = craft_ngram.example_model()
    digest = hashlib.sha256(below).digest()
    payload = craft_ngram.payload(craft_ngram.primed_model(below, TEXT), 0, CONTENTS["text"])
    data = craft_ngram.primed_model(digest, TEXT)
    with pytest.raises(reference_decoder.RefusedError, match="there is no model"):
        reference_decoder.ngram(payload, 200, data)
    monkeypatch.setattr(reference_decoder, "TRUSTED", {digest: below})
    assert reference_decoder.ngram(payload, 200, data) == CONTENTS["text"]
