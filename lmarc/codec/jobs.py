"""What the codecs with networks share: they decode the payloads of several chunks together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import TOGETHER, CodecNumber, ModelKind, ModelRef
from lmarc.codec.device import device
from lmarc.codec.ngram import (
    choose_profile,
    model_steps,
    pack_payload,
    parse_payload,
    table_bits,
)
from lmarc.errors import CorruptError
from lmarc.kernels import lanes, ngram
from lmarc.model.ngram import NgramModel, aligned, thread_scratch

__all__ = [
    "EitherCodec", "Job", "TogetherCodec", "decode_jobs", "either", "joined", "lanes_of", "only",
    "rows_for",
]  # fmt: skip

TOGETHER_ELSEWHERE: Final = 64  # and through PyTorch

U32 = npt.NDArray[np.uint32]
T = TypeVar("T", bound=tuple[npt.NDArray[Any], ...])
M = TypeVar("M")
Payloads = Sequence[tuple[bytes | memoryview, int]]
Needed = Sequence[int] | None


class TogetherCodec(Generic[M]):
    """A codec whose decoder takes several chunks together. Safe to share between threads.

    Parameters
    ----------
    number : CodecNumber
    name : str
    model_kind : ModelKind
    model_of : callable
        Returns the model that a chunk names, the shipped one for None.
    compress, decompress : callable
        Return the payload of a content, and the contents of payloads and their sizes, cut to how
        many bytes of each are needed.
    """

    def __init__(
        self,
        number: CodecNumber,
        name: str,
        model_kind: ModelKind,
        *,
        model_of: Callable[[ModelRef | None], M],
        compress: Callable[[M, bytes], bytes],
        decompress: Callable[[M, Payloads, Needed], list[bytes | CorruptError]],
    ) -> None:
        self.number, self.name, self.model_kind = int(number), name, int(model_kind)
        self._model_of = model_of
        self._compress, self._decompress = compress, decompress

    def compress(self, content: bytes, model: ModelRef | None) -> bytes:
        """Return the payload of `content` with `model`, the shipped one if None."""
        return self._compress(self._model_of(model), content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        """Return exactly `content_size` bytes, or raise CorruptError."""
        return only(self.decompress_together([(payload, content_size)], model))

    def decompress_together(
        self, payloads: Payloads, model: ModelRef | None, needed: Needed = None
    ) -> Sequence[bytes | CorruptError]:
        """Return the content of each payload, given with its size, or why it has none.

        Where only the first `needed` bytes of each are, it may be cut there.
        """
        return self._decompress(self._model_of(model), payloads, needed)


class EitherCodec(TogetherCodec[M]):
    """One that has the n-gram codec's payload at hand too."""

    def __init__(
        self,
        *names: Any,
        compress_either: Callable[[M, bytes], tuple[CodecNumber, bytes]],
        **how: Any,
    ) -> None:
        super().__init__(*names, **how)
        self._compress_either = compress_either

    def compress_either(self, content: bytes, model: ModelRef | None) -> tuple[CodecNumber, bytes]:
        """Return the shorter payload of `content`, and its codec: this one or the n-gram codec."""
        return self._compress_either(self._model_of(model), content)


def only(contents: Sequence[bytes | CorruptError]) -> bytes:
    """Return the one content that there is, or raise its error."""
    (content,) = contents
    if isinstance(content, CorruptError):
        raise content
    return content


def either(
    number: CodecNumber,
    model: NgramModel,
    content: bytes,
    walk: Callable[[int, U32], tuple[U32, int]],
) -> tuple[CodecNumber, bytes]:
    """Return the shorter payload of `content`: a codec's or, by its mixture alone, codec 3's.

    Parameters
    ----------
    number : CodecNumber
    model : NgramModel
        The mixture's.
    content : bytes
    walk : callable
        Gets a profile, and an array for the steps of the mixture alone; returns the codec's own
        steps, and for how many bytes it has found them before it gave up.
    """
    profile = choose_profile(model, content)
    alone = np.empty(2 * len(content), np.uint32)
    steps, known = walk(profile, alone)
    if known < len(content):
        alone = model_steps(model, content, profile, thread_scratch())
    elif ngram.cost(steps) <= ngram.cost(alone):
        return number, pack_payload(profile, steps)
    return CodecNumber.NGRAM, pack_payload(profile, alone)


class Job(NamedTuple):
    """A payload to decode."""

    number: int  # its place among those that were asked for
    profile: int
    words: U32
    size: int  # bytes of content to decode
    whole: bool = True  # whether that is all of it


def decode_jobs(
    name: str,
    model: NgramModel,
    payloads: Payloads,
    decode: Callable[[lanes.Lanes, tuple[int, int], Sequence[Job]], None],
    *,
    needed: Needed = None,
    network: bool = True,
    primer: bytes = b"",
) -> list[bytes | CorruptError]:
    """Return the contents of payloads and their sizes, an error where there is none.

    Those that need tables of the same size are decoded some at a time where there is a network,
    whose weights are read once for all of them. Else one at a time: tables of several chunks only
    drive each other out of the processor's cache.

    Parameters
    ----------
    name : str
        The codec's, for errors.
    model : NgramModel
    payloads : sequence of (bytes, int)
    decode : callable
        Decodes prepared lanes; gets the bits of their tables, and the jobs that they are for.
    needed : sequence of int, optional
        How many bytes of each content are decoded, from its beginning; all of them if None.
    network : bool
        Whether `decode` asks one.
    primer : bytes
        What all texts begin with, besides the contents.
    """
    contents: list[bytes | CorruptError] = [CorruptError("")] * len(payloads)
    parsed: dict[tuple[int, int], list[Job]] = {}
    for number, (payload, content_size) in enumerate(payloads):
        try:
            profile, words = parse_payload(payload, model)
        except CorruptError as exc:
            contents[number] = exc
            continue
        size = content_size if needed is None else min(needed[number], content_size)
        job = Job(number, profile, words, size, size == content_size)
        parsed.setdefault(table_bits(len(primer) + content_size), []).append(job)
    together = 1
    if network:
        together = TOGETHER if device() == "cpu" else TOGETHER_ELSEWHERE
    for tables, jobs in parsed.items():
        for first in range(0, len(jobs), together):
            some = jobs[first : first + together]
            given = lanes_of(model, tables, some, primer)
            decode(given, tables, some)
            for job, content in _contents(given, some, len(primer)):
                contents[job.number] = (
                    content
                    if content is not None
                    else CorruptError(
                        f"{name} payload of {len(payloads[job.number][0])} bytes does not decode "
                        f"to {payloads[job.number][1]} bytes"
                    )
                )
    return contents


def _contents(
    given: lanes.Lanes, jobs: Sequence[Job], primed: int
) -> Iterator[tuple[Job, bytes | None]]:
    """Yield what was decoded behind so many bytes; None for a payload that is not sound."""
    columns = given.text_starts[:-1].tolist(), given.reads.tolist(), given.coders.tolist()
    for job, start, read, coder in zip(jobs, *columns, strict=True):
        first = start + primed
        # A coder that stops halfway has not come back to zero; one that could not start is there.
        sound = read == len(job.words) or (not job.whole and coder != 0)
        yield job, given.texts[first : first + job.size].tobytes() if sound else None


def lanes_of(
    model: NgramModel, tables: tuple[int, int], jobs: Sequence[Job], primer: bytes = b""
) -> lanes.Lanes:
    """Return lanes for some jobs, whose tables have `tables` bits and whose texts begin alike."""
    count = len(jobs)
    texts = [np.frombuffer(primer + bytes(job.size + 1), np.uint8) for job in jobs]
    statics = [model.static(job.profile) for job in jobs]
    own = ("rates", "limits", "mixer_rates")
    return lanes.Lanes(
        static=statics[0]._replace(
            **{name: _concatenated([getattr(one, name) for one in statics]) for name in own}
        ),
        weights=joined([model.weights(job.profile) for job in jobs]),
        state=thread_scratch().state(*tables, count),
        words=np.concatenate([job.words for job in jobs]),
        word_starts=_starts([len(job.words) for job in jobs]),
        texts=np.concatenate(texts),
        text_starts=_starts([len(text) for text in texts]),
        coders=np.zeros(count, np.int64),
        reads=np.zeros(count, np.int64),
    )


def joined(each: Sequence[T]) -> T:
    """Return the fields of all lanes, each lane's one after the other's."""
    kind: Any = type(each[0])
    whole: T = kind(*(_concatenated(arrays) for arrays in zip(*each, strict=True)))
    return whole


def rows_for(count: int) -> int:
    """Return how many rows a network should take for so many chunks.

    Four rows share what is read of the weights: three take as long, and one that is of no chunk
    costs nothing.
    """
    return count + (count % 4 == 3)


def _concatenated(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    memory = aligned(sum(array.size for array in arrays), arrays[0].dtype)
    np.concatenate(arrays, out=memory)
    return memory


def _starts(sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *sizes]).astype(np.int64)
