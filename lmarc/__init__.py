"""lmarc: a streaming, seekable archive format and tool for text-heavy datasets.

Importing this package loads neither NumPy nor Arrow nor Numba; names are resolved at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmarc.errors import (
    CorruptError,
    FormatError,
    LimitError,
    LmarcError,
    MemberNotFoundError,
    ModelError,
    ModelMismatchError,
    ModelNotFoundError,
    NotAnArchiveError,
    SelfTestError,
    SourceError,
    TruncatedError,
    UnsafePathError,
    UnsupportedVersionError,
)

if TYPE_CHECKING:
    from lmarc.archive.append import append, appender
    from lmarc.archive.content import copy_stream
    from lmarc.archive.create import create
    from lmarc.archive.create import find as walk
    from lmarc.archive.estimate import Prices, estimate
    from lmarc.archive.extract import extract_stream
    from lmarc.archive.globs import Selection
    from lmarc.archive.member import Member
    from lmarc.archive.primer import make_primer
    from lmarc.archive.reader import Archive
    from lmarc.archive.reader import open_archive as open  # noqa: A004 - the public name is `open`
    from lmarc.archive.recover import recover
    from lmarc.archive.stream import read_stream
    from lmarc.archive.verify import verify_stream
    from lmarc.archive.writer import Writer
    from lmarc.codec.selftest import selftest, warmup
    from lmarc.interop.executors import executor
    from lmarc.kernels.notice import on_compile

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "CorruptError",
    "FormatError",
    "LimitError",
    "LmarcError",
    "Member",
    "MemberNotFoundError",
    "ModelError",
    "ModelMismatchError",
    "ModelNotFoundError",
    "NotAnArchiveError",
    "Prices",
    "Selection",
    "SelfTestError",
    "SourceError",
    "TruncatedError",
    "UnsafePathError",
    "UnsupportedVersionError",
    "Writer",
    "__version__",
    "append",
    "appender",
    "copy_stream",
    "create",
    "estimate",
    "executor",
    "extract_stream",
    "make_primer",
    "on_compile",
    "open",
    "read_stream",
    "recover",
    "selftest",
    "verify_stream",
    "walk",
    "warmup",
]

_HOMES = {
    "Archive": ("lmarc.archive.reader", "Archive"),
    "Prices": ("lmarc.archive.estimate", "Prices"),
    "Member": ("lmarc.archive.member", "Member"),
    "Selection": ("lmarc.archive.globs", "Selection"),
    "Writer": ("lmarc.archive.writer", "Writer"),
    "append": ("lmarc.archive.append", "append"),
    "appender": ("lmarc.archive.append", "appender"),
    "copy_stream": ("lmarc.archive.content", "copy_stream"),
    "create": ("lmarc.archive.create", "create"),
    "estimate": ("lmarc.archive.estimate", "estimate"),
    "executor": ("lmarc.interop.executors", "executor"),
    "extract_stream": ("lmarc.archive.extract", "extract_stream"),
    "make_primer": ("lmarc.archive.primer", "make_primer"),
    "on_compile": ("lmarc.kernels.notice", "on_compile"),
    "open": ("lmarc.archive.reader", "open_archive"),
    "read_stream": ("lmarc.archive.stream", "read_stream"),
    "recover": ("lmarc.archive.recover", "recover"),
    "selftest": ("lmarc.codec.selftest", "selftest"),
    "verify_stream": ("lmarc.archive.verify", "verify_stream"),
    "walk": ("lmarc.archive.create", "find"),
    "warmup": ("lmarc.codec.selftest", "warmup"),
}


def __getattr__(name: str) -> Any:
    """Import the home of a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
