"""Read a file that may change, vanish or fail while it is read."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lmarc.archive.walk import Found

__all__ = ["FileData"]


class FileData:
    """What is in an open file, extent by extent; a small one is read at once.

    Parameters
    ----------
    found : Found
        With an open descriptor.
    small : int
        Bytes of a file that is read before it is classified.
    """

    def __init__(self, found: Found, small: int) -> None:
        self._descriptor = found.descriptor
        self._extents = found.extents if found.extents is not None else [(0, found.size)]
        self.size = sum(end - start for start, end in self._extents)
        self.complete = False  # whether all was there
        self.error: OSError | None = None  # what ended the reading
        self._whole: bytes | None = None
        if found.extents is None and found.size <= small:
            try:
                self._whole = os.pread(self._descriptor, found.size, 0)
            except OSError as exc:
                self.error = exc

    def sample(self, start: int, end: int) -> bytes:
        """Return some bytes, as `classify` asks for them."""
        if self.error is not None:
            raise self.error
        if self._whole is not None:
            return self._whole[start:end]
        return os.pread(self._descriptor, end - start, start)

    def blocks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Give position and data, at most `size` bytes at once, up to where the file now ends."""
        for position, end in self._extents:
            while position < end:
                if self._whole:
                    data, self._whole = self._whole, None
                else:
                    try:
                        data = os.pread(self._descriptor, min(size, end - position), position)
                    except OSError as exc:
                        self.error = exc
                        return
                if not data:
                    return
                yield position, data
                position += len(data)
        self.complete = True
