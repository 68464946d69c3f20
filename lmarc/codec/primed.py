"""What a primed model is made of: the model below it, and a text (spec/v1/model-file.md)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from lmarc.codec import base
from lmarc.codec.base import DEFAULT_PRESET, ModelKind
from lmarc.errors import ModelError
from lmarc.model import file, primed, registry

__all__ = ["MAX_TEXT", "PRESETS", "below_of", "model_below", "primed_model"]

MAX_TEXT: Final = primed.MAX_TEXT  # bytes
# Preset -> the shipped model that a primed one for it is on top of, as `registry.shipped` has it.
PRESETS: Final = {
    name: preset.text_model or preset.text_codec
    for name, preset in base.PRESETS.items()
    if preset.text_codec is not None
}


def model_below(name: str) -> bytes:
    """Return what a primed model holds of the model below it: its file, or the digest of one.

    Parameters
    ----------
    name : str
        A preset, whose model ships and is named by its SHA-256, or the file of an n-gram or
        multi-scale model.

    Raises
    ------
    ModelError
        When the file is another.
    OSError
        When there is none.
    """
    if name in PRESETS and not Path(name).exists():
        return registry.shipped(PRESETS[name])
    data = Path(name).read_bytes()
    kind = file.kind_of(data)
    if kind not in (ModelKind.NGRAM, ModelKind.MULTISCALE):
        raise ModelError(
            f"{name} is a model of kind {kind}, expected 2 (n-gram) or 6 (multi-scale), which can "
            "be primed"
        )
    digest = hashlib.sha256(data).digest()
    return digest if digest.hex() in registry.SHIPPED else data


def below_of(preset: str | None, text_codec: str | None) -> str:
    """Return the preset whose model a primer is on top of, where these are asked for.

    Raises
    ------
    ValueError
        When what codes text takes no primer.
    """
    if text_codec is None:
        found = preset or DEFAULT_PRESET
        what = f"preset {found}"
    else:
        # Of presets that need no other model than the codec's own.
        found = next((name for name, model in PRESETS.items() if model == text_codec), "")
        what = f"codec {text_codec}"
    if found not in PRESETS:
        raise ValueError(
            f"{what} takes no primer, expected preset {', '.join(PRESETS)}, or codec ngram or "
            "multiscale"
        )
    return found


def primed_model(text: bytes, below: bytes, card: bytes) -> bytes:
    """Return the file of a model behind whose primer, `text`, every chunk begins.

    Parameters
    ----------
    text : bytes
        MAX_TEXT at most.
    below : bytes
        As `model_below` returns it.
    card : bytes
        JSON text.

    Raises
    ------
    ModelError
        When the text is of a size that no primer has.
    """
    return primed.pack(card, below, text)
