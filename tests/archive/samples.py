"""Archives that several tests of this folder read."""

import random
from pathlib import Path
from typing import Any

import lmarc

WORDS = [b"sea", b"salt", b"chunk", b"stream", b"letter", b"quiet", b"index", b"paper", b"stone"]


def text(seed: int, size: int) -> bytes:
    """Return `size` bytes that read as text."""
    choice = random.Random(seed).choice
    line = b" ".join(choice(WORDS) for _ in range(size // 4 + 1))
    return line[:size]


def noise(seed: int, size: int) -> bytes:
    """Return `size` bytes that no codec makes smaller."""
    return random.Random(seed).randbytes(size)


# Every class, empty members, members of several chunks and groups.
MEMBERS: dict[str, bytes] = {
    "empty": b"",
    "a/one": b"x",
    "a/text": text(1, 30_000),
    "a/noise": noise(2, 40_000),
    "b/large text": text(3, 150_000),
    "b/large noise": noise(4, 90_000),
    "b/zeros": bytes(70_000),
    **{f"c/{number:02}.txt": text(number, 50 * number) for number in range(40)},
    "last": b"end",
}
FEW = {name: MEMBERS[name] for name in ("empty", "a/text", "a/noise")}
CHUNK_SIZE = 16_384


def make(path: Path, members: dict[str, bytes] | None = None, **options: Any) -> Path:
    """Write an archive of small chunks, with zstd for everything."""
    given: dict[str, Any] = {"preset": "fast", "chunk_size": CHUNK_SIZE, **options}
    with lmarc.Writer(path, **given) as writer:
        for name, data in (MEMBERS if members is None else members).items():
            writer.add_bytes(name, data, mtime=1_700_000_000_123_456_789)
    return path
