"""Decoded chunks, or their beginnings: the latest used, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

__all__ = ["ChunkCache"]


class ChunkCache:
    """Keeps what was used last. Safe to share between threads.

    Parameters
    ----------
    capacity : int
        Bytes of content; a single chunk larger than that is not kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._chunks: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, number: int, least: int = 0) -> bytes | None:
        """Return what is here of a chunk's content, None if that is less than `least` bytes."""
        with self._lock:
            content = self._chunks.get(number)
            if content is None:
                return None
            self._chunks.move_to_end(number)
            return content if len(content) >= least else None

    def put(self, number: int, content: bytes) -> None:
        """Keep a chunk's content, or its beginning, at the cost of those not used for longest."""
        if len(content) > self.capacity:
            return
        with self._lock:
            known = len(self._chunks.get(number, b""))
            if known >= len(content) > 0:
                return
            self._size -= known
            self._chunks[number] = content
            self._chunks.move_to_end(number)
            self._size += len(content)
            while self._size > self.capacity:
                self._size -= len(self._chunks.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._chunks.clear()
            self._size = 0
