"""Make a set of archives: members go to one shard until it is full, then to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lmarc.archive.names import Names
from lmarc.archive.opening import find_ending
from lmarc.archive.setfile import Shard, pack_set, set_url, shard_url
from lmarc.archive.sink import open_sink
from lmarc.archive.source import open_source
from lmarc.archive.walk import FILE, HARDLINK, Found
from lmarc.archive.writer import Progress, Writer, Written

__all__ = ["write_shards"]


def write_shards(
    pattern: str,
    found_all: Iterable[Found],
    shard_size: int,
    *,
    skip: dict[tuple[int, int], bytes | None],
    progress: Progress | None,
    storage_options: Mapping[str, Any] | None,
    **options: Any,
) -> Written:
    """Write what was found into shards, and then the set file.

    A shard takes members while their content is at most `shard_size`; a larger member has one to
    itself. So what goes where does not depend on how well anything is compressed, or by whom.

    Parameters
    ----------
    pattern : str
        Address of the shards, with `{shard}` or `{shard:05d}` in its last part.
    found_all : iterable of Found
        What to archive.
    shard_size : int
        Bytes of content.
    skip : dict
        Gets the files that are being written, for `walk` to pass over.
    progress : callable, optional
        As for `Writer`; the sums over all shards.
    storage_options : mapping, optional
        For the pattern's file system.
    **options
        As for `Writer`.

    Raises
    ------
    ValueError
        The pattern has no number, or the size is none.
    SourceError, OSError
        The storage refused; shards that are complete stay, and there is no set file.
    """
    shard_url(pattern, 0)
    if shard_size < 1:
        raise ValueError(f"the size of shards is {shard_size}, expected 1 byte or more")
    names = Names()
    shards: list[Shard] = []
    total = Written(0, 0, 0)

    def on(read: int, written: int) -> None:
        if progress is not None:
            progress(total.content_size + read, total.archive_size + written)

    waiting = iter(found_all)
    found = next(waiting, None)
    while found is not None or not shards:
        url = shard_url(pattern, len(shards))
        size = 0
        linked: set[bytes] = set()  # files of this shard that others may be links to
        given: dict[str, Any] = {**options, "names": names, "progress": on}
        with Writer(url, storage_options=storage_options, **given) as writer:
            if writer.identity is not None:
                skip[writer.identity] = None
            while found is not None and (size == 0 or size + found.size <= shard_size):
                if found.type == HARDLINK and found.link_target not in linked:
                    _make_file(found)
                    if size and size + found.size > shard_size:
                        break
                size += found.size
                writer.add_found(found)
                if found.type == FILE and not found.failed:
                    linked.add(found.name)
                found = next(waiting, None)
        written = writer.written
        shards.append(_described(url, storage_options, written.member_count))
        total = Written(*(sum(pair) for pair in zip(total, written, strict=True)))
    sink = open_sink(set_url(pattern), storage_options)
    try:
        sink.write(pack_set(shards))
        sink.commit()
    except BaseException:
        sink.abort()
        raise
    return total


def _make_file(found: Found) -> None:
    """Make a file of its own of a hard link whose target is in another shard."""
    found.type, found.link_target = FILE, b""
    found.origin = found.place()


def _described(url: str, storage_options: Mapping[str, Any] | None, member_count: int) -> Shard:
    source = open_source(url, storage_options)
    try:
        ending = find_ending(source)
    finally:
        source.close()
    return Shard(url.rpartition("/")[2], ending.size, member_count, ending.footer.index_sha256)
