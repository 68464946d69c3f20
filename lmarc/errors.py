"""Every error that lmarc raises; each class carries the exit code of the command line.

::

    LmarcError                                  10
    ├── FormatError(ValueError)                 11   bytes that are not format v1: .offset .section
    │   ├── NotAnArchiveError                   12
    │   ├── UnsupportedVersionError             13   a newer version or an unknown required feature
    │   ├── TruncatedError                      14
    │   ├── CorruptError                        15
    │   └── LimitError                          21   a declared size beyond a limit
    ├── ModelError                              16
    │   ├── ModelNotFoundError(FileNotFoundError)    17
    │   └── ModelMismatchError                  18   the digest differs
    ├── MemberNotFoundError(FileNotFoundError)  19
    ├── UnsafePathError(ValueError)             20   extraction would leave the target folder
    ├── SourceError(OSError)                    22   the storage failed: .url .start .end
    └── SelfTestError                           23

A caller's mistake is a plain `ValueError` or `TypeError`.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

__all__ = [
    "CorruptError",
    "FormatError",
    "LimitError",
    "LmarcError",
    "MemberNotFoundError",
    "ModelError",
    "ModelMismatchError",
    "ModelNotFoundError",
    "NotAnArchiveError",
    "SelfTestError",
    "SourceError",
    "TruncatedError",
    "UnsafePathError",
    "UnsupportedVersionError",
]


class LmarcError(Exception):
    """Base of every error that lmarc raises on purpose."""

    exit_code: ClassVar[int] = 10


class FormatError(LmarcError, ValueError):
    """Bytes that do not follow the format.

    Parameters
    ----------
    message : str
        What, found, expected.
    offset : int, optional
        Byte in the archive where the offending record or field starts.
    section : str, optional
        Section of `spec/v1/format.md` that the bytes break.
    """

    exit_code = 11

    def __init__(
        self, message: str, *, offset: int | None = None, section: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.section = section

    def __str__(self) -> str:
        where = []
        if self.offset is not None:
            where.append(f"at byte {self.offset}")
        if self.section is not None:
            where.append(f"spec §{self.section}")
        return f"{self.message} ({'; '.join(where)})" if where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            self.message,
            {"offset": self.offset, "section": self.section},
        )


class NotAnArchiveError(FormatError):
    """The bytes do not start, or do not end, as an archive does."""

    exit_code = 12


class UnsupportedVersionError(FormatError):
    """A major version or a required feature that this reader does not know."""

    exit_code = 13


class TruncatedError(FormatError):
    """The bytes end before the record does."""

    exit_code = 14


class CorruptError(FormatError):
    """A checksum, a reserved field or a relation between records is wrong."""

    exit_code = 15


class LimitError(FormatError):
    """A declared size or count is beyond a limit; nothing was allocated for it."""

    exit_code = 21


class ModelError(LmarcError):
    """A model cannot be used."""

    exit_code = 16


class ModelNotFoundError(ModelError, FileNotFoundError):
    """No model with the digest that the archive names was found."""

    exit_code = 17


class ModelMismatchError(ModelError):
    """A model's bytes do not have the digest that the archive names."""

    exit_code = 18


class MemberNotFoundError(LmarcError, FileNotFoundError):
    """No member has this name."""

    exit_code = 19


class UnsafePathError(LmarcError, ValueError):
    """Extraction would write outside the target folder."""

    exit_code = 20


class SourceError(LmarcError, OSError):
    """Reading or writing the storage failed.

    Parameters
    ----------
    message : str
        What failed, in words.
    url : str, optional
        The archive; no credentials are kept.
    start, end : int, optional
        The byte range that was asked for.
    """

    exit_code = 22

    def __init__(
        self,
        message: str,
        *,
        url: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> None:
        message = _without_secrets(message)
        super().__init__(message)
        self.message = message
        self.url = None if url is None else _without_secrets(url)
        self.start = start
        self.end = end

    def __str__(self) -> str:
        text = self.message
        if self.url is not None:
            text += f" ({self.url}"
            if self.start is not None:
                text += f", bytes {self.start} to {'the end' if self.end is None else self.end}"
            text += ")"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {"url": self.url, "start": self.start, "end": self.end}
        return _rebuild, (type(self), self.message, fields)


class SelfTestError(LmarcError):
    """A coder on this machine does not give the bytes that the spec demands."""

    exit_code = 23


def _rebuild(kind: type[LmarcError], message: str, fields: dict[str, Any]) -> LmarcError:
    """Make an error again after pickling, keyword fields included."""
    return kind(message, **fields)


_USER: Final = re.compile(r"(?<=://)[^/\s@'\"]*@")
# A signed URL has its signature there. The version of an object on S3 is no secret.
_QUERY: Final = re.compile(r"(://[^\s?'\"]*)\?(?!versionId=)[^\s'\")]*=[^\s'\")]*")


def _without_secrets(text: str) -> str:
    """Return a text without user names, passwords and queries in the URLs that it holds."""
    return _QUERY.sub(r"\1?...", _USER.sub("", text)) if "://" in text else text
