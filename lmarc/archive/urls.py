"""What kind of thing an archive's address is. No import of fsspec: local paths start fast."""

from __future__ import annotations

import os
import re
from typing import Final

from lmarc.errors import _without_secrets

__all__ = ["cause", "is_local", "local_path", "shown"]

_PROTOCOL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(?:::|://)")


def is_local(url: str) -> bool:
    """Whether an address is a path, or a file:// URL of one."""
    return not _PROTOCOL.match(url) or (url.startswith(("file://", "local://")) and "::" not in url)


def local_path(url: str) -> str:
    """Return the path of a local address."""
    for protocol in ("file://", "local://"):
        if url.startswith(protocol):
            return os.path.expanduser(url.removeprefix(protocol))
    return url


def shown(url: str) -> str:
    """Return an address, or a text with addresses, for messages: without what may be secret."""
    return _without_secrets(url)


def cause(exc: BaseException) -> BaseException | None:
    """Return an error as the cause of another, None where it tells what may be secret."""
    return exc if shown(str(exc)) == str(exc) else None
