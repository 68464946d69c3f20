"""Make an archive of what stands on the file system."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from itertools import chain, groupby
from typing import Any

from lmarc.archive.messages import Warn
from lmarc.archive.setfile import set_url, shard_url
from lmarc.archive.urls import is_local, local_path
from lmarc.archive.walk import Found, walk
from lmarc.archive.writer import Owner, Progress, Writer, Written
from lmarc.codec.base import DEFAULT_PRESET

__all__ = ["create", "find"]


def create(
    url: str | os.PathLike[str],
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    directory: str | bytes | os.PathLike[str] | None = None,
    exclude: Iterable[str | bytes] = (),
    preset: str = DEFAULT_PRESET,
    storage_options: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    jobs: int | None = None,
    text_codec: str | None = None,
    zstd_level: int | None = None,
    chunk_size: int | None = None,
    model: str | os.PathLike[str] | None = None,
    embed_model: bool = False,
    primer: int | None = None,
    index_lines: str = "jsonl",
    mtime: int | None = None,
    owner: Owner | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
    resume: bool = False,
    shard_size: int | None = None,
    source_options: Mapping[str, Any] | None = None,
    recurse: bool = True,
    one_file_system: bool = False,
    missing_ok: bool = False,
    notify: Callable[[bytes], object] | None = None,
) -> Written:
    """Make an archive of files, links and directories with all that is below them.

    The archive itself, and the one that it replaces, are left out.

    Parameters
    ----------
    url : str or path
        A path, any fsspec URL, or '-' for standard output.
    paths : iterable of paths
        What to archive; names in the archive are these paths, made relative. A URL stands for the
        objects at and below it; their names are their keys.
    directory : path, optional
        Where relative paths start.
    exclude : iterable of str or bytes
        Patterns on names in the archive.
    preset, storage_options, executor, jobs, text_codec, zstd_level, chunk_size, model, embed_model,
    index_lines, mtime, owner, warn, progress, resume
        As for `Writer`.
    primer : int, optional
        Bytes of text to choose from what is archived, up to 256 KiB: every chunk of text begins
        from it, and it is in the archive. Workers on other machines need one that they can read,
        from `make_primer`.
    shard_size : int, optional
        Bytes of content after which another archive begins. Then `url` has `{shard}` or
        `{shard:05d}` in its last part, and a set file beside the archives opens them as one.
    source_options : mapping, optional
        For the file systems of URLs among `paths`; those of the archive otherwise.
    recurse, one_file_system, missing_ok
        As for `walk`.
    notify : callable, optional
        Gets the name of each member when it is added.

    Raises
    ------
    OSError
        One of `paths` is not there; nothing was made.
    SourceError
        The storage refused.
    ValueError
        An argument out of range.
    ModelError
        As for `make_primer`, where there is to be a primer.
    """
    paths = list(paths)
    where: dict[str, Any] = {
        "source_options": source_options if source_options is not None else storage_options,
        "directory": directory,
        "exclude": list(exclude),
        "recurse": recurse,
        "one_file_system": one_file_system,
        "missing_ok": missing_ok,
    }
    notes: Warn = warn if warn is not None else lambda message: None
    skip: dict[tuple[int, int], bytes | None] = {}
    found_all = find(paths, warn=notes, skip=skip, **where)
    options: dict[str, Any] = {
        "preset": preset,
        "storage_options": storage_options,
        "executor": executor,
        "jobs": jobs,
        "text_codec": text_codec,
        "zstd_level": zstd_level,
        "chunk_size": chunk_size,
        "model": model,
        "embed_model": embed_model,
        "index_lines": index_lines,
        "mtime": mtime,
        "owner": owner,
        "warn": warn,
    }
    if notify is not None:
        found_all = _told(found_all, notify)
    with ExitStack() as stack:
        if primer is not None:
            from lmarc.archive.primer import kept, make_primer

            data = make_primer(
                paths, primer, preset=preset, text_codec=text_codec, model=model, **where
            )
            options |= {"model": stack.enter_context(kept(data)), "embed_model": True}
        if shard_size is not None:
            if resume:
                raise ValueError("resume is for one archive, found a size of shards")
            return _create_shards(url, found_all, shard_size, skip, progress=progress, **options)
        with Writer(url, progress=progress, resume=resume, **options) as writer:
            if writer.identity is not None:
                skip[writer.identity] = None
            skip |= _replaced(os.fspath(url))
            for found in found_all:
                writer.add_found(found)
        return writer.written


def _create_shards(
    url: str | os.PathLike[str],
    found_all: Iterable[Found],
    shard_size: int,
    skip: dict[tuple[int, int], bytes | None],
    **options: Any,
) -> Written:
    from lmarc.archive.shards import write_shards

    pattern = os.fspath(url)
    skip |= _replaced(set_url(pattern))
    number = 0
    while before := _replaced(shard_url(pattern, number)):
        skip |= before
        number += 1
    return write_shards(pattern, found_all, shard_size, skip=skip, **options)


def find(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    source_options: Mapping[str, Any] | None = None,
    exclude: Iterable[str | bytes] = (),
    warn: Warn,
    **options: Any,
) -> Iterator[Found]:
    """Give everything at and below paths and URLs, in the order in which they are given.

    Parameters
    ----------
    paths, exclude, warn, **options
        As for `walk`.
    source_options : mapping, optional
        For the file systems of URLs.

    Raises
    ------
    OSError
        As for `walk`; a URL shows only when its turn comes.
    """
    exclude = list(exclude)
    runs: list[Iterator[Found]] = []
    for is_url, run in groupby(paths, _is_url):
        if is_url:
            from lmarc.archive.objects import walk_objects

            runs += [
                walk_objects(
                    os.fspath(url),  # type: ignore[arg-type]
                    storage_options=source_options,
                    exclude=exclude,
                    warn=warn,
                )
                for url in run
            ]
        else:
            runs.append(walk(list(run), exclude=exclude, warn=warn, **options))
    return chain.from_iterable(runs) if runs else walk([], warn=warn, **options)


def _is_url(path: str | bytes | os.PathLike[str]) -> bool:
    return isinstance(path, str) and "://" in path and not is_local(path)


def _told(found_all: Iterable[Found], notify: Callable[[bytes], object]) -> Iterator[Found]:
    for found in found_all:
        notify(found.name)
        yield found


def _replaced(url: str) -> dict[tuple[int, int], bytes | None]:
    """Return the local file that an archive takes the place of, for `walk` to skip."""
    if url == "-" or not is_local(url):
        return {}
    path = os.path.realpath(local_path(url))
    try:
        status = os.stat(path)
    except OSError:
        return {}
    return {(status.st_dev, status.st_ino): os.fsencode(os.path.basename(path))}
