"""The neural codec: the n-gram mixture, corrected by a byte network (spec/v1/neural.md).

A payload is that of the n-gram codec: the profile's number, the state, the words. Encoder and
decoder run the same step function.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.ngram import choose_profile, pack_payload, parse_payload, table_bits
from lmarc.errors import CorruptError
from lmarc.kernels import neural
from lmarc.model import registry
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import thread_scratch

__all__ = ["CODEC", "NeuralCodec", "compress_with", "decompress_with", "model_steps"]

U32 = npt.NDArray[np.uint32]


class NeuralCodec:
    """Codec 4. Safe to share between threads."""

    number: Final = int(CodecNumber.NEURAL)
    name: Final = "neural"
    model_kind: Final = int(ModelKind.NEURAL)

    def compress(self, content: bytes, model: ModelRef | None) -> bytes:
        """Return the payload of `content` with `model`, the shipped one if None."""
        return compress_with(_model_of(model), content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        """Return exactly `content_size` bytes, or raise CorruptError."""
        return decompress_with(_model_of(model), payload, content_size)


def compress_with(model: NeuralModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = choose_profile(model.ngram, content)
    return pack_payload(profile, model_steps(model, content, profile, model.joint()))


def decompress_with(model: NeuralModel, payload: bytes | memoryview, content_size: int) -> bytes:
    """Return exactly `content_size` bytes, or raise CorruptError."""
    profile, words = parse_payload(payload, model.ngram)
    bits, match_bits = table_bits(content_size)
    text = np.empty(content_size + 1, np.uint8)
    read = neural.decode(
        model.ngram.static(profile),
        model.ngram.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.hidden(),
        model.joint(),
        words,
        text,
        bits,
        32 - match_bits,
    )
    if read != len(words):
        raise CorruptError(
            f"neural payload of {len(payload)} bytes does not decode to {content_size} bytes"
        )
    return text[:-1].tobytes()


def model_steps(model: NeuralModel, content: bytes, profile: int, joint: neural.Joint) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`: uint32, shape (2 * size,).

    `joint` learns as the chunk goes.
    """
    bits, match_bits = table_bits(len(content))
    steps = np.empty(2 * len(content), np.uint32)
    neural.model(
        model.ngram.static(profile),
        model.ngram.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.hidden(),
        joint,
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        steps,
    )
    return steps


def _model_of(model: ModelRef | None) -> NeuralModel:
    if model is None:
        return registry.neural_model(registry.shipped("neural"))
    return registry.neural_model(model.sha256, model.data, model.path, model.size)


CODEC: Final = NeuralCodec()
