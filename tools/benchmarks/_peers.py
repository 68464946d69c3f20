"""The compressors that lmarc is compared with, each as it is meant to be used on a small chunk.

A coder turns one chunk into bytes that decode alone. Where a setting only serves long inputs (the
dictionary size of LZMA2, the memory of PPMd), it is set for the chunk, which is faster and costs no
byte.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import brotli
import pyppmd
import zstandard

DICTIONARY_SIZE = 112 << 10  # bytes
PRIMING_SIZE = 2_000_000  # bytes
PIECE_SIZE = 32 << 10  # bytes of training text that stand together
PPMD_MEMORY = 64 << 20  # bytes; never full at these sizes, so that the model is never restarted
XZ_CONTAINER = 12 + 12 + 8 + 8 + 12  # bytes: stream header, block header, CRC64, index, footer


@dataclass(frozen=True)
class Coder:
    """A compressor with its settings."""

    name: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class Coded:
    """What a coder made of one chunk."""

    size: int  # bytes
    # Of processor time; None: not measured.
    compress_seconds: float | None = None
    decompress_seconds: float | None = None


def measure(coder: Coder, content: bytes) -> Coded:
    """Compress and decompress one chunk; seconds are of processor time.

    Raises
    ------
    RuntimeError
        It does not decode to the same bytes.
    """
    start = time.process_time()
    payload = coder.compress(content)
    middle = time.process_time()
    decoded = coder.decompress(payload, len(content))
    end = time.process_time()
    if decoded != content:
        raise RuntimeError(f"{coder.name} does not decode to what it has coded")
    return Coded(len(payload), middle - start, end - middle)


def _gzip() -> Coder:
    def compress(content: bytes) -> bytes:
        coder = zlib.compressobj(9, zlib.DEFLATED, 31)
        return coder.compress(content) + coder.flush()

    return Coder("gzip -9", compress, lambda payload, size: zlib.decompress(payload, 31))


def _bzip2() -> Coder:
    return Coder(
        "bzip2 -9",
        lambda content: bz2.compress(content, 9),
        lambda payload, size: bz2.decompress(payload),
    )


def _xz(chunk_size: int) -> Coder:
    filters = [
        {
            "id": lzma.FILTER_LZMA2,
            "preset": 9 | lzma.PRESET_EXTREME,
            "dict_size": max(chunk_size, 4096),
        }
    ]
    return Coder(
        "xz -9e",
        lambda content: lzma.compress(content, lzma.FORMAT_RAW, filters=filters),
        lambda payload, size: lzma.decompress(payload, lzma.FORMAT_RAW, filters=filters),
    )


def xz_container_size(raw_size: int) -> int:
    """Return what a chunk of raw LZMA2 takes as an `.xz` file of its own, bytes."""
    return XZ_CONTAINER + -(-raw_size // 4) * 4


def _zstd(level: int, dictionary: bytes | None = None) -> Coder:
    name = f"zstd -{level}" + (" + dictionary" if dictionary else "")
    trained = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    if trained is not None:
        trained.precompute_compress(level=level)
    coder = zstandard.ZstdCompressor(level=level, dict_data=trained)
    decoder = zstandard.ZstdDecompressor(dict_data=trained)
    return Coder(name, coder.compress, lambda payload, size: decoder.decompress(payload))


def _brotli() -> Coder:
    return Coder(
        "brotli -11",
        lambda content: bytes(brotli.compress(content, quality=11)),
        lambda payload, size: bytes(brotli.decompress(payload)),
    )


def _ppmd(order: int) -> Coder:
    def compress(content: bytes) -> bytes:
        coder = pyppmd.Ppmd7Encoder(order, PPMD_MEMORY)
        return _feed(coder, content) + bytes(coder.flush())

    def decompress(payload: bytes, size: int) -> bytes:
        return bytes(pyppmd.Ppmd7Decoder(order, PPMD_MEMORY).decode(payload, size))

    return Coder(f"PPMd-{order}", compress, decompress)


def coders(chunk_size: int, dictionary: bytes | None) -> list[Coder]:
    """Return every peer that needs nothing but a chunk, and perhaps a dictionary."""
    found = [_gzip(), _bzip2(), _xz(chunk_size), _zstd(3), _zstd(19), _zstd(22)]
    if dictionary:
        found.append(_zstd(19, dictionary))
    return [*found, _brotli(), _ppmd(6), _ppmd(16)]


def _feed(coder: Any, content: bytes) -> bytes:
    """Encode in small pieces: pyppmd 1.3 can lose a byte where a call's output passes 32 KiB."""
    step = 4096
    pieces = [coder.encode(content[at : at + step]) for at in range(0, len(content), step)]
    return b"".join(pieces)


class PrimedPpmd:
    """PPMd of order 16 that has coded some text before it sees a chunk.

    It is primed once; each chunk is coded by a forked process, which is the snapshot that the
    library does not offer. A chunk's size is what it adds to the stream. Its time says nothing: a
    fork pays for each page that it touches.
    """

    order = 16

    def __init__(self, priming: bytes) -> None:
        self._coder = pyppmd.Ppmd7Encoder(self.order, 2 * PPMD_MEMORY)
        _feed(self._coder, priming)
        self._ending = self._in_fork(b"")

    def measure(self, content: bytes) -> Coded:
        """Compress one chunk; its decoding is not tried."""
        return Coded(self._in_fork(content) - self._ending)

    def _in_fork(self, content: bytes) -> int:
        """Return how many bytes `content` and the end of the stream take."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            size = len(_feed(self._coder, content)) + len(self._coder.flush())
            os.write(write, size.to_bytes(8, "little"))
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        if status or len(answer) != 8:
            raise RuntimeError("PPMd failed in its own process")
        return int.from_bytes(answer, "little")


@dataclass(frozen=True)
class TrainingText:
    """A sample of the training text, for peers that may know text beforehand as lmarc does."""

    mixed: bytes  # PRIMING_SIZE of all domains alike
    domains: Mapping[str, bytes]  # PRIMING_SIZE of each
    dictionary: bytes

    @classmethod
    def sample(cls, documents: Iterable[Any]) -> TrainingText:
        """Take pieces of documents (`lmarc.train.data.Document`), the same for the same text."""
        pieces: dict[str, list[tuple[bytes, bytes]]] = {}
        for document in documents:
            for start in range(0, len(document.text), 8 * PIECE_SIZE):
                key = hashlib.sha256(f"{document.domain}/{document.name}/{start}".encode()).digest()
                if key[0] < 32:  # an eighth is plenty
                    piece = document.text[start : start + PIECE_SIZE]
                    pieces.setdefault(document.domain, []).append((key, piece))
        if not pieces:
            raise SystemExit("there is no training text")
        ordered = {
            domain: [piece for _, piece in sorted(pairs)] for domain, pairs in pieces.items()
        }
        domains = {domain: b"".join(ordered[domain])[:PRIMING_SIZE] for domain in sorted(ordered)}
        share = PRIMING_SIZE // len(domains)
        mixed = b"".join(text[:share] for text in domains.values())
        return cls(mixed, domains, _train_dictionary(list(domains.values())))


def _train_dictionary(texts: Sequence[bytes], sample_size: int = 4096) -> bytes:
    share = 100 * DICTIONARY_SIZE // len(texts)  # a hundred times the dictionary, as zstd advises
    samples: list[Any] = [
        text[start : start + sample_size]
        for text in texts
        for start in range(0, min(len(text), share), sample_size)
    ]
    trained = zstandard.train_dictionary(DICTIONARY_SIZE, samples, level=19)
    return bytes(trained.as_bytes())
