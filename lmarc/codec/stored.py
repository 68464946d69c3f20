"""Codec 0, `stored`: the payload is the content."""

from lmarc.codec.base import CodecNumber, ModelRef
from lmarc.errors import CorruptError

__all__ = ["CODEC", "StoredCodec"]


class StoredCodec:
    """Content that no codec makes smaller."""

    number = int(CodecNumber.STORED)
    name = "stored"

    def compress(self, content: bytes | memoryview) -> bytes:
        """Return the content itself."""
        return bytes(content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None = None
    ) -> bytes:
        """Return the payload, whose size must be `content_size`."""
        if len(payload) != content_size:
            raise CorruptError(
                f"stored payload has {len(payload)} bytes, Content_Size is {content_size}"
            )
        return bytes(payload)


CODEC = StoredCodec()
