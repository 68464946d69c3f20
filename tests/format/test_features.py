"""Versions and feature bits that this reader knows."""

import pytest

from lmarc.errors import UnsupportedVersionError
from lmarc.format.features import KNOWN_REQUIRED_FEATURES, VERSION_MAJOR, check_version


def test_the_known_version_passes() -> None:
    check_version(VERSION_MAJOR, KNOWN_REQUIRED_FEATURES, 0)


@pytest.mark.parametrize("major", [0, VERSION_MAJOR + 1])
def test_another_major_version_is_refused(major: int) -> None:
    with pytest.raises(UnsupportedVersionError, match=rf"is {major}, .* \(at byte 8\)"):
        check_version(major, 0, 8)


@pytest.mark.parametrize("bit", [0, 7, 31])
def test_an_unknown_required_feature_is_refused_with_its_number(bit: int) -> None:
    with pytest.raises(UnsupportedVersionError, match=f"feature bit {bit} is set"):
        check_version(VERSION_MAJOR, 1 << bit, 0)
    with pytest.raises(UnsupportedVersionError, match=r"bit 0, 5 is set"):
        check_version(VERSION_MAJOR, 0b100001, 0)
