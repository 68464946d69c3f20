"""Codecs by number and by name.

A codec's module is imported when a chunk first needs it: listing an archive, or reading text that
zstd holds, never loads what a language-model codec needs.
"""

from functools import cache
from importlib import import_module
from typing import cast

from lmarc.codec.base import Codec, CodecNumber, ModelKind
from lmarc.errors import UnsupportedVersionError

__all__ = ["codec_by_name", "codec_by_number", "codec_name", "model_kind", "text_codec_names"]

# Number -> (name, module, attribute). Names and numbers are those of the spec's registry.
_CODECS: dict[int, tuple[str, str, str]] = {
    CodecNumber.STORED: ("stored", "lmarc.codec.stored", "CODEC"),
    CodecNumber.ZSTD: ("zstd", "lmarc.codec.zstd", "PLAIN_CODEC"),
    CodecNumber.ZSTD_DICTIONARY: ("zstd+dictionary", "lmarc.codec.zstd", "DICTIONARY_CODEC"),
    CodecNumber.NGRAM: ("ngram", "lmarc.codec.ngram", "CODEC"),
    CodecNumber.NEURAL: ("neural", "lmarc.codec.neural", "CODEC"),
    CodecNumber.SUBWORD: ("subword", "lmarc.codec.subword", "CODEC"),
    CodecNumber.MULTISCALE: ("multiscale", "lmarc.codec.multiscale", "CODEC"),
}
# Codecs that a caller may name for text, besides zstd, and the kind of model that each needs.
_MODEL_KINDS: dict[int, ModelKind] = {
    CodecNumber.NGRAM: ModelKind.NGRAM,
    CodecNumber.NEURAL: ModelKind.NEURAL,
    CodecNumber.SUBWORD: ModelKind.SUBWORD,
    CodecNumber.MULTISCALE: ModelKind.MULTISCALE,
}


@cache
def codec_by_number(number: int) -> Codec:
    """Return the codec with this number.

    Raises
    ------
    UnsupportedVersionError
        When this version has no such codec.
    """
    if number not in _CODECS:
        known = ", ".join(f"{int(known)} ({_CODECS[known][0]})" for known in sorted(_CODECS))
        raise UnsupportedVersionError(f"Codec is {number}, this version knows {known}")
    _, module, attribute = _CODECS[number]
    return cast("Codec", getattr(import_module(module), attribute))


def codec_by_name(name: str) -> Codec:
    """Return the codec with this name, or raise ValueError with the names there are."""
    for number, (known, _, _) in _CODECS.items():
        if known == name:
            return codec_by_number(number)
    names = ", ".join(known for known, _, _ in _CODECS.values())
    raise ValueError(f"codec is {name!r}, expected one of {names}")


def codec_name(number: int) -> str:
    """Return the name of a codec for people; a number this version does not know is itself."""
    return _CODECS[number][0] if number in _CODECS else f"codec {number}"


def text_codec_names() -> tuple[str, ...]:
    """Return the names that `--text-codec` takes."""
    return ("zstd", *(_CODECS[number][0] for number in _MODEL_KINDS if number in _CODECS))


def model_kind(name: str) -> ModelKind:
    """Return the kind of model that a codec for text needs; no codec's module is imported."""
    return next(kind for number, kind in _MODEL_KINDS.items() if codec_name(number) == name)
