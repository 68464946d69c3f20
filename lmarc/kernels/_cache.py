"""Where the machine code of kernels is kept.

Steps are inlined across files, so the cache folder is named by a digest of every source here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from . import folders

COMPILERS = ("numba", "llvmlite")
_DIGEST = hashlib.sha256().digest_size


def sources_digest() -> str:
    """Return a name for what the kernels' machine code is made from."""
    digest = hashlib.sha256()
    for source in (*sorted(Path(__file__).parent.glob("*.py")), *map(_version, COMPILERS)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> Path:
    """Return the file that names a package's version: importing the package takes far longer."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("_version.py")


def cache_folder() -> str:
    """Return the folder for the kernels as they are; empty where none can be written."""
    return folders.cache_folder("kernels", sources_digest())


class Code(NamedTuple):
    """A compiled kernel."""

    machine_code: bytes  # an object file
    returns: bool  # an integer


def name_of(function: Callable[..., Any], arguments: str, processor: str) -> str:
    """Return the file's name for what a function is compiled to, given what it is compiled for.

    Empty where it depends on what this cannot know: on variables of a function around it, or on a
    source that is no file.
    """
    told = f"{function.__module__}.{function.__qualname__}"
    digest = hashlib.sha256(f"{told} {arguments} {processor} ".encode())
    if function.__closure__ is not None:
        return ""
    source = Path(function.__code__.co_filename)
    if source.parent != Path(__file__).parent:
        try:
            digest.update(source.read_bytes())
        except OSError:
            return ""
    return f"{told.removeprefix('lmarc.kernels.')}-{digest.hexdigest()[:24]}.o"


def load(folder: str, name: str) -> Code | None:
    """Return what was kept under a name; None where there is nothing whole."""
    try:
        kept = Path(folder, name).read_bytes()
    except OSError:
        return None
    digest, rest = kept[:_DIGEST], kept[_DIGEST:]
    if hashlib.sha256(rest).digest() != digest:
        return None
    return Code(rest[1:], bool(rest[0]))


def save(folder: str, name: str, code: Code) -> None:
    """Keep a compiled kernel, if the disk takes it."""
    rest = bytes([code.returns]) + code.machine_code
    folders.keep(folder, name, [hashlib.sha256(rest).digest(), rest])
