"""Versions and feature bits of format v1 (spec: Versions and features).

An unknown required bit makes a reader refuse, an unknown optional bit is ignored.
"""

from __future__ import annotations

from typing import Final

from lmarc.errors import UnsupportedVersionError

VERSION_MAJOR: Final = 1
VERSION_MINOR: Final = 0
KNOWN_REQUIRED_FEATURES: Final = 0  # no bit is assigned yet


def check_version(major: int, required_features: int, offset: int) -> None:
    """Raise unless this reader knows the version and each required feature bit."""
    if major != VERSION_MAJOR:
        message = f"Version_Major is {major}, this reader knows {VERSION_MAJOR}"
        raise UnsupportedVersionError(message, offset=offset)
    unknown = required_features & ~KNOWN_REQUIRED_FEATURES
    if unknown:
        bits = ", ".join(str(bit) for bit in range(32) if unknown >> bit & 1)
        message = f"required feature bit {bits} is set, this reader does not know it"
        raise UnsupportedVersionError(message, offset=offset)
