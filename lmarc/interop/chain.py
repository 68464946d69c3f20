"""Addresses of archives in fsspec's chains: what stands behind `lmarc://member::`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["address"]


def address(
    fo: str, target_protocol: str | None, target_options: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """Return the archive's URL and storage options from what fsspec passes along a chain.

    Parameters
    ----------
    fo : str
        The archive's path or URL in the target file system.
    target_protocol : str or None
        The target file system, where `fo` does not name it.
    target_options : mapping or None
        Its arguments; with a `fo` or `target_protocol` of their own where it stands on another
        (`lmarc://member::simplecache::s3://bucket/a.lmarc`).
    """
    options = dict(target_options or {})
    if target_protocol is None:
        return fo, options
    inner_protocol = options.pop("target_protocol", None)
    if inner_protocol is None:
        return (fo if "://" in fo else f"{target_protocol}://{fo}"), options
    inner_url, inner_options = address(
        options.pop("fo", fo), inner_protocol, options.pop("target_options", None)
    )
    chained = {target_protocol: options}
    chained.update(inner_options if "::" in inner_url else {inner_protocol: inner_options})
    # A cache has the path of what it caches; an archive in between has a path of its own.
    if fo.rsplit("://", maxsplit=1)[-1] == inner_url.split("::")[0].split("://")[-1]:
        return f"{target_protocol}::{inner_url}", chained
    head = fo if "://" in fo else f"{target_protocol}://{fo}"
    return f"{head}::{inner_url}", chained
