"""What lies below a URL, as entries for an archive: `walk` for object stores.

Object stores have neither directories nor owners nor modes, so an archive of them holds files
alone, with the time at which each was stored. The content is read later, by whoever encodes it, and
only if it is still what was found here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from fsspec.core import url_to_fs

from lmarc.archive.globs import Excludes
from lmarc.archive.messages import Warn, show
from lmarc.archive.spans import Origin
from lmarc.archive.urls import cause, shown
from lmarc.archive.walk import FILE, Found, member_name
from lmarc.errors import SourceError
from lmarc.format.limits import MAX_PATH

__all__ = ["walk_objects"]

_MODE: Final = stat.S_IFREG | 0o644


def walk_objects(
    url: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    exclude: Iterable[str | bytes] = (),
    warn: Warn,
) -> Iterator[Found]:
    """Give every object at and below a URL, in the order of their names as bytes.

    Parameters
    ----------
    url : str
        One object, or what the keys of several begin with up to a '/'.
    storage_options : mapping, optional
        For the URL's file system; they go to the workers, and nowhere else.
    exclude : iterable of str or bytes
        Patterns of `Excludes`, on names in the archive: keys without the bucket.
    warn : callable
        Gets one sentence for each object that was left out.

    Raises
    ------
    FileNotFoundError
        There is nothing.
    SourceError
        The store refused.
    """
    try:
        filesystem, path = url_to_fs(url, **(storage_options or {}))
        filesystem.invalidate_cache()
        listed = filesystem.find(path, detail=True)
        # Web servers are found, and not described.
        found = {key: info or filesystem.info(key) for key, info in listed.items()}
    except (ImportError, ValueError):
        raise
    except Exception as exc:
        message = f"cannot be listed: {str(exc) or type(exc).__name__}"
        raise SourceError(message, url=shown(url)) from cause(exc)
    if not found:
        raise FileNotFoundError(2, "no object is there", shown(url))
    protocol = url.split("://", maxsplit=1)[0]
    excludes = Excludes(exclude)
    names = {key: _name(filesystem, key) for key in found}
    for key in sorted(found, key=names.__getitem__):
        name, info = names[key], found[key]
        if not name or info.get("type") != "file" or _excluded(excludes, name):
            continue
        if len(name) > MAX_PATH:
            warn(
                f"{show(name)}: its name has {len(name):,} bytes, an archive takes {MAX_PATH:,};"
                " not archived"
            )
            continue
        size, mtime = int(info["size"]), _mtime(info)
        on_s3 = hasattr(filesystem, "_call_s3")
        version = info["ETag"] if on_s3 else str(filesystem.ukey(key))
        address = key if "://" in key else f"{protocol}://{key.lstrip('/')}"
        origin = Origin(address, size, version, storage_options)
        status, path = _status(size, mtime), os.fsencode(shown(address))
        yield Found(name, path, FILE, status, b"", b"", origin=origin)


def _name(filesystem: Any, key: str) -> bytes:
    """Return the member's name: the key, without a bucket or a host in front of it."""
    if hasattr(filesystem, "split_path"):
        key = filesystem.split_path(key)[1]
    elif "://" in key:  # http: what a URL says besides its path may be secret
        key = urlsplit(key).path.lstrip("/")
    return member_name(os.fsencode(key))


def _excluded(excludes: Excludes, name: bytes) -> bool:
    parts = name.split(b"/")
    folders = (b"/".join(parts[:count]) for count in range(1, len(parts)))
    return bool(excludes) and (
        excludes.match(name, False) or any(excludes.match(folder, True) for folder in folders)
    )


def _mtime(info: Mapping[str, Any]) -> int:
    """Return nanoseconds since the epoch, 0 where the store keeps no time."""
    for key in ("LastModified", "mtime", "created", "last_modified"):
        moment = info.get(key)
        if isinstance(moment, datetime):
            return int(moment.replace(microsecond=0).timestamp()) * 10**9
        if isinstance(moment, int | float):
            return int(moment) * 10**9
    return 0


def _status(size: int, mtime: int) -> os.stat_result:
    seconds = mtime // 10**9
    values = (_MODE, 0, 0, 1, -1, -1, size, seconds, seconds, seconds)
    return os.stat_result(values, {"st_mtime_ns": mtime})
