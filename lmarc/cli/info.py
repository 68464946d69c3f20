"""`lmarc info`: show an archive's version, sizes, codecs and models."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import lmarc
from lmarc.cli import options
from lmarc.cli.render import json_line, percent, plural, size

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    options.add_archive(parser)
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Show what the index says."""
    if arguments.archive == "-":
        raise ValueError("info reads an archive's end first: give a path or a URL")
    with lmarc.open(arguments.archive, storage_options=arguments.storage_options) as archive:
        document = archive.describe()
    if arguments.json:
        sys.stdout.write(json_line({"archive": arguments.archive, **document}))
    else:
        sys.stdout.write("".join(f"{label:<10} {text}\n" for label, text in _lines(document)))
    return 0


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    kinds = [
        plural(document["files"], "file"),
        plural(document["directories"], "directory"),
        plural(document["symlinks"], "symbolic link"),
        plural(document["hardlinks"], "hard link"),
    ]
    required, optional = document["required_features"], document["optional_features"]
    features = f"features {required:#x} required, {optional:#x} optional"
    stored, content = document["archive_size"], document["file_size"]
    lines = [
        ("version", f"{document['version']} ({features})"),
        ("members", f"{document['members']:,}: {', '.join(kinds)}"),
        ("content", size(content)),
        ("archive", size(stored) + percent(stored, content)),
        ("index", size(document["index_size"])),
        ("chunks", f"{document['chunks']:,}"),
    ]
    for label, key in (("codec", "codecs"), ("class", "content_classes")):
        lines += [(label, _group(group)) for group in document[key]]
    for model in document["models"]:
        where = "embedded" if model["embedded"] else "not in the archive"
        text = (
            f"{model['model']}: {model['kind']}, {size(model['size'])}, {where}, {model['sha256']}"
        )
        lines.append(("model", text))
    return lines


def _group(group: dict[str, Any]) -> str:
    content, stored = group["content_size"], group["stored_size"]
    return (
        f"{group['name']:<16} {plural(group['chunks'], 'chunk'):>12}"
        f" {size(content):>9} -> {size(stored):>9}{percent(stored, content)}"
    )
