"""Code text that no part of a model has seen, and count what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from lmarc.codec.ngram import compress_with
from lmarc.model.ngram import NgramModel

__all__ = ["Measured", "measure"]

CHUNK_SIZE: Final = 64 << 10  # bytes
LARGEST: Final = 8 << 20  # bytes of text that are coded, every domain alike


class Measured(NamedTuple):
    """What text became."""

    size: int  # bytes of text
    coded_size: int  # bytes of payloads

    @property
    def bits_per_byte(self) -> float:
        """Bits of payload for each byte of text."""
        return 8 * self.coded_size / self.size


def measure(data: bytes, texts: Mapping[str, bytes]) -> Measured:
    """Return what the model file `data` makes of texts by domain, in chunks of 64 KiB."""
    model = NgramModel.parse(data)
    share = LARGEST // max(1, len(texts))
    size = coded_size = 0
    for domain in sorted(texts):
        text = texts[domain][:share]
        for start in range(0, len(text), CHUNK_SIZE):
            chunk = text[start : start + CHUNK_SIZE]
            size += len(chunk)
            coded_size += len(compress_with(model, chunk))
    return Measured(size, coded_size)
