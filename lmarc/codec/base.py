"""What a codec is, what decides the bytes it writes, and the names and numbers of codecs and
content classes.

A codec turns one chunk's content into a payload and back; it knows nothing of archives, members or
files. Codec numbers are those of the registry in `spec/v1/format.md`. This module imports nothing
heavy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from lmarc.errors import LmarcError

__all__ = [
    "CONTENT_CLASS_COUNT",
    "DEFAULT_PRESET",
    "NO_MODEL",
    "PRESETS",
    "TOGETHER",
    "Codec",
    "CodecNumber",
    "CodecSettings",
    "ContentClass",
    "EncodedChunk",
    "LayeredCodec",
    "ManyCodec",
    "ModelCodec",
    "ModelKind",
    "ModelRef",
    "PrefixCodec",
    "Preset",
    "preset_named",
]

NO_MODEL = 0xFFFF  # Model_Slot of a chunk that needs no model
TOGETHER = 4  # chunks that a decoder's network takes at a time: they share what is read of weights


class ContentClass(IntEnum):
    """What a chunk holds: Content_Class."""

    BINARY = 0
    TEXT = 1
    NUMERIC = 2
    INCOMPRESSIBLE = 3


CONTENT_CLASS_COUNT = len(ContentClass)


class CodecNumber(IntEnum):
    """Codecs by number; `lmarc.codec.registry` knows which of them this version has."""

    STORED = 0
    ZSTD = 1
    ZSTD_DICTIONARY = 2
    NGRAM = 3
    NEURAL = 4
    SUBWORD = 5
    MULTISCALE = 6
    NUMERIC = 7


class ModelKind(IntEnum):
    """What a model's bytes are: Kind."""

    ZSTD_DICTIONARY = 1
    NGRAM = 2
    NEURAL = 3
    LINE_INDEX = 4
    SUBWORD = 5
    MULTISCALE = 6
    ADAPTER = 7
    PRIMED = 8


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model that a chunk names.

    `data` holds its bytes when the archive embeds them, and is None when the model is known by its
    SHA-256 alone; `path` is a file to look at first then. `size` is what the archive says that it
    has: bytes.
    """

    kind: int
    sha256: bytes
    data: bytes | None
    path: str | None = None
    size: int | None = None


@runtime_checkable
class Codec(Protocol):
    """What the reader needs of a codec. Instances are safe to share between threads."""

    @property
    def number(self) -> int:
        """The codec's number in the registry."""

    @property
    def name(self) -> str:
        """The codec's name, as `--text-codec` and `list --chunks` use it."""

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        """Return exactly `content_size` bytes of content, or raise CorruptError."""


@runtime_checkable
class ModelCodec(Codec, Protocol):
    """A codec for text that `choose` compares with zstd."""

    @property
    def model_kind(self) -> int:
        """The ModelKind of its models."""

    def compress(self, content: bytes, model: ModelRef | None) -> bytes:
        """Return the payload of `content`; it may be larger than the content."""


@runtime_checkable
class LayeredCodec(ModelCodec, Protocol):
    """A codec on top of a simpler one, whose payload it has at hand too."""

    def compress_either(self, content: bytes, model: ModelRef | None) -> tuple[CodecNumber, bytes]:
        """Return the shorter payload of `content`, and which of the two codecs reads it."""


@runtime_checkable
class ManyCodec(Codec, Protocol):
    """A codec that decodes several chunks together faster than one after the other."""

    def decompress_together(
        self,
        payloads: Sequence[tuple[bytes | memoryview, int]],
        model: ModelRef | None,
        needed: Sequence[int] | None = None,
    ) -> Sequence[bytes | LmarcError]:
        """Return the content of each payload, given with its size, or why it has none.

        Where only the first `needed` bytes of each are, it may be cut there.
        """


@runtime_checkable
class PrefixCodec(Codec, Protocol):
    """A codec that decodes a part of a chunk, from its beginning, in a part of the time."""

    def decompress_prefix(
        self,
        payload: bytes | memoryview,
        content_size: int,
        model: ModelRef | None,
        needed: int,
    ) -> bytes:
        """Return the first `needed` bytes of the content of `content_size`, or raise CorruptError.

        What lies behind them is not looked at, so it may be wrong.
        """


@dataclass(frozen=True, slots=True)
class Preset:
    """What a preset stands for. Each piece can be overridden by itself."""

    text_codec: str | None  # None: zstd
    zstd_level: int
    text_model: str | None = None  # the shipped model, where it is not the codec's own


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(text_codec=None, zstd_level=3),
    "balanced": Preset("ngram", zstd_level=12),
    "high": Preset("multiscale", zstd_level=15, text_model="contexts"),
    "max": Preset("multiscale", zstd_level=19),
}
DEFAULT_PRESET = "balanced"


def preset_named(name: str) -> Preset:
    """Return the preset with this name.

    Raises
    ------
    ValueError
        For a name that is no preset.
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(frozen=True, slots=True)
class CodecSettings:
    """Everything, besides a chunk's content and class, that decides its bytes. Picklable."""

    preset: str = DEFAULT_PRESET
    text_codec: str | None = None  # None: zstd
    zstd_level: int = 3
    text_model: str | None = None  # the shipped model, where it is not the codec's own
    dictionary: bytes | None = None  # a zstd dictionary for text
    dictionary_slot: int = NO_MODEL
    model_sha256: bytes | None = None  # of the text codec's model
    model_kind: int | None = None  # where it is not the kind that the codec has by default
    model_slot: int = NO_MODEL
    base_slot: int = NO_MODEL  # of the model of the simpler codec, where the text codec has one
    model_path: str | None = None  # where to find that model before looking elsewhere


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk as it will be stored; `payload` excludes every header."""

    codec: int
    model_slot: int
    content_class: int
    content_size: int  # bytes
    content_checksum: int  # XXH3-64 of the content
    payload: bytes
