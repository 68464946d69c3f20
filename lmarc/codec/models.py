"""The model that a codec for text writes with, as the archive's writer sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lmarc.codec.base import ModelKind
from lmarc.codec.registry import model_kind, text_codec_names
from lmarc.errors import ModelError

__all__ = ["TextModel", "base_model", "codec_of", "model_file", "text_model"]


class TextModel(NamedTuple):
    """What a Model record says of a model, and holds of it."""

    kind: int
    sha256: bytes
    size: int  # bytes
    data: bytes  # the file, where it is wanted


def base_model(model: TextModel, path: str | None) -> TextModel | None:
    """Return the n-gram model below another, for chunks that do better with that alone.

    None where there is none, or where it is inside the other: it cannot be named then.
    """
    from lmarc.model.registry import shipped_base

    kinds = (ModelKind.NEURAL, ModelKind.MULTISCALE, ModelKind.ADAPTER)
    if model.kind not in kinds:
        return None
    base = shipped_base(model.sha256, path)
    if base is None:
        return None
    return TextModel(int(ModelKind.NGRAM), base.sha256, base.size, b"")


def codec_of(path: str | os.PathLike[str]) -> str | None:
    """Return the codec for text that the model at `path` is for, or None if that cannot be told."""
    from lmarc.model.file import HEADER, kind_of
    from lmarc.model.registry import coding_kind

    try:
        with open(path, "rb") as file:
            kind = kind_of(file.read(HEADER.size))
        if kind in (ModelKind.ADAPTER, ModelKind.PRIMED):
            kind = coding_kind(Path(path).read_bytes())
    except (OSError, ModelError):
        return None
    return next((name for name in text_codec_names()[1:] if model_kind(name) == kind), None)


def model_file(sha256: bytes) -> str:
    """Return the file of the model with this SHA-256, which ships or is on `LMARC_MODEL_PATH`.

    Raises
    ------
    ModelError
        There is none.
    """
    from lmarc.model.registry import find_file

    return str(find_file(sha256))


def text_model(
    name: str, path: str | None, *, embed: bool, shipped: str | None = None
) -> TextModel:
    """Return the model that a codec writes with: the file at `path`, or a shipped one.

    `shipped` is the name of that where it is not the one that the codec uses by default.

    The file of a shipped model is read only to be embedded: who codes with it reads and checks it.

    Raises
    ------
    ModelNotFoundError
        When there is no such file, or no model of this kind ships.
    ModelError
        When it is no model of the kind that the codec needs.
    """
    from lmarc.model.registry import find_bytes, locate, require_base

    kind = int(model_kind(name))
    found = locate(shipped or name, kind, path)
    data = find_bytes(found.sha256, found.path) if embed else b""
    if embed:
        require_base(data)
    return TextModel(found.kind, found.sha256, found.size, data)
