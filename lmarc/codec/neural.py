"""The neural codec: the n-gram mixture, corrected by a byte network (spec/v1/neural.md).

A payload is that of the n-gram codec: the profile's number, the state, the words. Encoder and
decoder run the same step function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.ngram import choose_profile, pack_payload, parse_payload, table_bits
from lmarc.codec.ngram import model_steps as mixture_steps
from lmarc.errors import CorruptError
from lmarc.kernels import neural, ngram
from lmarc.model import registry
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import thread_scratch

__all__ = [
    "CODEC", "NeuralCodec", "compress_either", "compress_with", "decompress_together",
    "decompress_with", "model_steps",
]  # fmt: skip

ALONG: Final = 16  # bytes that an encoder's network takes at a time
TRIAL: Final = 4096  # bytes of a chunk after which a network that has not paid is left
TOGETHER: Final = 4  # chunks that a decoder's network takes at a time

U32 = npt.NDArray[np.uint32]


class NeuralCodec:
    """Codec 4. Safe to share between threads."""

    number: Final = int(CodecNumber.NEURAL)
    name: Final = "neural"
    model_kind: Final = int(ModelKind.NEURAL)

    def compress(self, content: bytes, model: ModelRef | None) -> bytes:
        """Return the payload of `content` with `model`, the shipped one if None."""
        return compress_with(_model_of(model), content)

    def compress_either(self, content: bytes, model: ModelRef | None) -> tuple[CodecNumber, bytes]:
        """Return the shorter payload of `content`, and its codec: this one or the n-gram codec."""
        return compress_either(_model_of(model), content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        """Return exactly `content_size` bytes, or raise CorruptError."""
        return decompress_with(_model_of(model), payload, content_size)

    def decompress_together(
        self, payloads: Sequence[tuple[bytes | memoryview, int]], model: ModelRef | None
    ) -> Sequence[bytes | CorruptError]:
        """Return the content of each payload, given with its size, or why it has none."""
        return decompress_together(_model_of(model), payloads)


def compress_with(model: NeuralModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = choose_profile(model.ngram, content)
    return pack_payload(profile, model_steps(model, content, profile, model.joint()))


def compress_either(model: NeuralModel, content: bytes) -> tuple[CodecNumber, bytes]:
    """Return the shorter payload of `content`: this codec's or, without the network, codec 3's.

    The mixture is asked anyway, so the other payload costs nothing; a network that has only lost by
    its TRIAL-th byte is not asked for more.
    """
    profile = choose_profile(model.ngram, content)
    alone = np.empty(2 * len(content), np.uint32)
    steps, known = _walk(model, content, profile, model.joint(), alone, TRIAL)
    if known < len(content):
        alone = mixture_steps(model.ngram, content, profile, thread_scratch())
    elif ngram.cost(steps) <= ngram.cost(alone):
        return CodecNumber.NEURAL, pack_payload(profile, steps)
    return CodecNumber.NGRAM, pack_payload(profile, alone)


def decompress_with(model: NeuralModel, payload: bytes | memoryview, content_size: int) -> bytes:
    """Return exactly `content_size` bytes, or raise CorruptError."""
    (content,) = decompress_together(model, [(payload, content_size)])
    if isinstance(content, CorruptError):
        raise content
    return content


def decompress_together(
    model: NeuralModel, payloads: Sequence[tuple[bytes | memoryview, int]]
) -> list[bytes | CorruptError]:
    """Return the contents of payloads and their sizes, an error where there is none.

    Those that need tables of the same size are decoded four at a time.
    """
    contents: list[bytes | CorruptError] = [CorruptError("")] * len(payloads)
    parsed: dict[tuple[int, int], list[_Job]] = {}
    for number, (payload, content_size) in enumerate(payloads):
        try:
            profile, words = parse_payload(payload, model.ngram)
        except CorruptError as exc:
            contents[number] = exc
            continue
        job = _Job(number, profile, words, np.empty(content_size + 1, np.uint8))
        parsed.setdefault(table_bits(content_size), []).append(job)
    for tables, jobs in parsed.items():
        while jobs:
            some = [jobs.pop() for _ in range(TOGETHER if len(jobs) > 1 else 1) if jobs]
            for job, read in zip(some, _decode(model, tables, some), strict=True):
                if read == len(job.words):
                    contents[job.number] = job.text[:-1].tobytes()
                else:
                    contents[job.number] = CorruptError(
                        f"neural payload of {len(payloads[job.number][0])} bytes does not decode "
                        f"to {len(job.text) - 1} bytes"
                    )
    return contents


class _Job(NamedTuple):
    number: int
    profile: int
    words: U32
    text: npt.NDArray[np.uint8]


def _decode(model: NeuralModel, tables: tuple[int, int], jobs: Sequence[_Job]) -> list[int]:
    """Decode one payload, or up to four together; return how many words each has read."""
    bits, match_bits = tables
    rows = 1 if len(jobs) == 1 else TOGETHER
    # What is missing to four is nothing at all.
    nothing = _Job(0, jobs[0].profile, np.zeros(2, np.uint32), np.zeros(1, np.uint8))
    all_jobs = [*jobs, *[nothing] * (rows - len(jobs))]
    reads = np.zeros(rows, np.int64)
    neural.decode(
        tuple(model.ngram.static(job.profile) for job in all_jobs),
        tuple(model.ngram.weights(job.profile) for job in all_jobs),
        thread_scratch().states(bits, match_bits, rows),
        model.network,
        model.hidden(rows),
        tuple(model.joint() for _ in all_jobs),
        tuple(job.words for job in all_jobs),
        tuple(job.text for job in all_jobs),
        np.zeros(rows, np.int64),
        reads,
        bits,
        32 - match_bits,
    )
    return [int(read) for read in reads[: len(jobs)]]


def model_steps(model: NeuralModel, content: bytes, profile: int, joint: neural.Joint) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`: uint32, shape (2 * size,).

    `joint` learns as the chunk goes.
    """
    alone = np.empty(2 * len(content), np.uint32)
    return _walk(model, content, profile, joint, alone, 0)[0]


def _walk(
    model: NeuralModel, content: bytes, profile: int, joint: neural.Joint, alone: U32, trial: int
) -> tuple[U32, int]:
    """Return the steps, and how many bytes the network was asked about; fill `alone`."""
    bits, match_bits = table_bits(len(content))
    steps = np.empty(2 * len(content), np.uint32)
    known = neural.model(
        model.ngram.static(profile),
        model.ngram.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.hidden(ALONG),
        joint,
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        np.empty(ALONG * 2 * 16, np.uint16),
        steps,
        alone,
        trial,
    )
    return steps, known


def _model_of(model: ModelRef | None) -> NeuralModel:
    if model is None:
        return registry.neural_model(registry.shipped("neural"))
    return registry.neural_model(model.sha256, model.data, model.path, model.size)


CODEC: Final = NeuralCodec()
