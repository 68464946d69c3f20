"""`lmarc list`: show what an archive holds."""

from __future__ import annotations

import argparse
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import lmarc
from lmarc.cli import options
from lmarc.cli.render import json_line, json_name, name

__all__ = ["add_arguments", "run"]

_TYPES: Final = {1: "file", 2: "directory", 3: "symlink", 4: "hardlink"}
_LETTERS: Final = {1: "-", 2: "d", 3: "l", 4: "h"}
_DIRECTORY, _SYMLINK, _HARDLINK = 2, 3, 4
_BATCH: Final = 16_384  # members that are shown at once

# Columns that each way of listing needs.
_PLAIN: Final = ("path", "type")
_LONG: Final = (*_PLAIN, "mode", "mtime", "uid", "gid", "user", "group", "link_target", "size")
_ALL: Final = (*_LONG, "flags", "sha256", "xattrs")

Row = tuple[Any, ...]  # of one member, in the order of such columns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    options.add_selection(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-l", "--long", action="store_true", help="with type, mode, owner, size and time"
    )
    what.add_argument(
        "--chunks", action="store_true", help="the chunks that hold the members, with their codecs"
    )
    what.add_argument(
        "--null", action="store_true", help="exact names, each ended by a NUL, for create -T --null"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Show the members, or the chunks."""
    selection = lmarc.Selection(arguments.globs)
    wanted = _ALL if arguments.json else _LONG if arguments.long else _PLAIN
    if arguments.archive == "-":
        if arguments.chunks:
            raise ValueError("--chunks needs the index, which stands at an archive's end: no pipe")
        for rows in _streamed(selection, wanted):
            _show(rows, arguments)
    else:
        with lmarc.open(arguments.archive, storage_options=arguments.storage_options) as archive:
            if arguments.chunks:
                _show_chunks(archive, selection, as_json=arguments.json)
            else:
                for rows in _indexed(archive, selection, wanted):
                    _show(rows, arguments)
    options.check_selection(selection.unmatched())
    return 0


def _indexed(archive: Any, selection: Any, wanted: Sequence[str]) -> Iterator[list[Row]]:
    """Give rows of the selected members, in batches."""
    members = archive.members.select(wanted)
    for at in range(0, len(members), _BATCH):
        table = members.slice(at, _BATCH)
        if selection:
            table = table.filter([selection.match(raw) for raw in table["path"].to_pylist()])
        yield list(zip(*(table[column].to_pylist() for column in wanted), strict=True))


def _streamed(selection: Any, wanted: Sequence[str]) -> Iterator[list[Row]]:
    """The same, from a pipe. Members come in order, but not all of them end in order."""
    begun: dict[int, Any] = {}  # by number, in order: rows of those that have ended, or None
    begins: dict[int, Any] = {}
    events: Iterator[Any] = lmarc.read_stream(sys.stdin.buffer)
    for event in events:
        if hasattr(event, "path"):
            if selection.match(event.path):
                begun[event.number], begins[event.number] = None, event
        elif hasattr(event, "sha256") and event.number in begins:
            known = begins.pop(event.number)._asdict() | event._asdict()
            begun[event.number] = tuple(known[column] for column in wanted)
            if len(begun) >= _BATCH:
                yield list(_leading(begun))
    yield list(_leading(begun))


def _leading(begun: dict[int, Any]) -> Iterator[Row]:
    """Take away and give the rows before the first member that has not ended."""
    while begun:
        number, row = next(iter(begun.items()))
        if row is None:
            return
        del begun[number]
        yield row


def _show(rows: list[Row], arguments: argparse.Namespace) -> None:
    """Print some members."""
    if arguments.json:
        sys.stdout.write("".join(json_line(_document(row)) for row in rows))
    elif arguments.null:
        sys.stdout.buffer.write(b"".join(row[0] + b"\0" for row in rows))
    else:
        sys.stdout.write(_long(rows) if arguments.long else _plain(rows))


def _plain(rows: list[Row]) -> str:
    """A name a line; directories end with a slash."""
    names = [row[0] + b"/" if row[1] == _DIRECTORY else row[0] for row in rows]
    # Nearly always, nothing in a whole batch needs an escape.
    try:
        text = b"\n".join(names).decode()
    except UnicodeDecodeError:
        text = "\\"
    lines = text.count("\n") + 1
    if lines == len(names) and "\\" not in text and text.replace("\n", "").isprintable():
        return text + "\n"
    return "".join(name(raw) + "\n" for raw in names)


@lru_cache(maxsize=65_536)
def _minute(minutes: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(minutes * 60))
    except (OverflowError, ValueError, OSError):
        return f"@{minutes * 60}"


def _long(rows: list[Row]) -> str:
    """Like `tar -tv`: type and mode, owner, size, time of modification, name."""
    owners = [f"{_owner(row[6], row[4])}/{_owner(row[7], row[5])}" for row in rows]
    owner_width = max(map(len, owners), default=0)
    size_width = max((len(str(row[9])) for row in rows), default=0)
    lines = []
    for row, owner in zip(rows, owners, strict=True):
        raw, kind, mode, mtime, _, _, _, _, target, size = row
        letters = _LETTERS[kind] + stat.filemode(stat.S_IFREG | mode)[1:]
        moment = _minute(mtime // 60_000_000_000)
        shown = name(raw)
        if kind == _DIRECTORY:
            shown += "/"
        elif kind == _SYMLINK:
            shown += f" -> {name(target)}"
        elif kind == _HARDLINK:
            shown += f" link to {name(target)}"
        lines.append(f"{letters} {owner:<{owner_width}} {size:>{size_width}} {moment} {shown}\n")
    return "".join(lines)


def _owner(known: bytes, number: int) -> str:
    return name(known) if known else str(number) if number >= 0 else "?"


def _document(values: Row) -> dict[str, Any]:
    """All that an archive says about a member."""
    row = dict(zip(_ALL, values, strict=True))
    kind = row["type"]
    document: dict[str, Any] = {"type": _TYPES[kind], **json_name(row["path"])}
    if kind in (_SYMLINK, _HARDLINK):
        document |= json_name(row["link_target"], "link_target")
    document |= {"mode": f"{row['mode']:04o}", "mtime_ns": row["mtime"]}
    for key in ("uid", "gid"):
        document[key] = row[key] if row[key] >= 0 else None
    for key in ("user", "group"):
        document |= json_name(row[key], key)
    if kind == 1:
        document["size"] = row["size"]
        document["sha256"] = row["sha256"].hex()
        document["sparse"] = bool(row["flags"] & 1)
        document["changed_while_read"] = bool(row["flags"] & 2)
    document["xattrs"] = [_xattr(key, value) for key, value in row["xattrs"]]
    return document


def _xattr(key: bytes, value: bytes) -> dict[str, str]:
    import base64

    return {**json_name(key, "key"), "value_base64": base64.b64encode(value).decode("ascii")}


def _show_chunks(archive: Any, selection: Any, *, as_json: bool) -> None:
    """Print the chunks that hold the members that are selected."""
    wanted = list(range(len(archive.chunks())))
    if selection:
        chosen = [selection.match(raw) for raw in archive.members["path"].to_pylist()]
        pieces = archive.piece_arrays()
        pairs = zip(pieces.entry.tolist(), pieces.chunk.tolist(), strict=True)
        wanted = sorted({chunk for entry, chunk in pairs if chosen[entry]})
    rows = archive.describe_chunks(wanted)
    if as_json:
        sys.stdout.write("".join(map(json_line, rows)))
        return
    sys.stdout.write("   chunk       offset     stored    content  ratio class          codec\n")
    for row in rows:
        ratio = 100 * row["stored_size"] / row["content_size"]
        model = "" if row["model"] is None else f", model {row['model']}"
        sys.stdout.write(
            f"{row['chunk']:>8} {row['offset']:>12} {row['stored_size']:>10}"
            f" {row['content_size']:>10} {ratio:>5.1f}% {row['content_class']:<14}"
            f" {row['codec']}{model}\n"
        )
