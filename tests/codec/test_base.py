"""Presets, settings and numbers."""

import pickle

import pytest

from lmarc.codec import base


def test_the_default_preset_can_be_written() -> None:
    assert base.preset_named(base.DEFAULT_PRESET).text_codec == "ngram"


def test_an_unknown_preset_is_refused_with_the_names_there_are() -> None:
    message = "preset is 'best', expected one of fast, balanced, high, max"
    with pytest.raises(ValueError, match=message):
        base.preset_named("best")


def test_settings_and_chunks_pickle() -> None:
    settings = base.CodecSettings(dictionary=b"words", dictionary_slot=0)
    assert pickle.loads(pickle.dumps(settings)) == settings
    chunk = base.EncodedChunk(0, base.NO_MODEL, 1, 1, 0, b"x")
    assert pickle.loads(pickle.dumps(chunk)) == chunk
