"""`lmarc train vocab`: make a vocabulary of tokens from text."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from pathlib import Path
from typing import Final

from lmarc.cli import options
from lmarc.cli.render import Steps, json_line, size

__all__ = ["add_arguments", "run"]

_STEPS: Final = 2  # reading, learning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder, text file, .parquet, .jsonl or .lmarc to learn from",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--size", type=options.count, default=4096, metavar="N", help="tokens (default: 4096)"
    )
    options.add_text_fields(parser)
    parser.add_argument(
        "--max-text",
        type=options.size,
        default=24 << 20,
        metavar="SIZE",
        help="learn from this much text, from all over it (default: 24MiB)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="report in JSON (docs/cli.md)")


def run(arguments: argparse.Namespace) -> int:
    """Read text, learn tokens, sort them, write them."""
    output = Path(arguments.output)
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(output.parent))
    start = time.monotonic()
    with Steps("learning", quiet=arguments.quiet, total=_STEPS) as steps:
        steps.begin("reading text")
        from lmarc.train.data import documents, gather
        from lmarc.train.vocabulary import (
            require_tokenizers,
            train_vocabulary,
            write_vocabulary,
        )

        try:
            require_tokenizers()
        except ModuleNotFoundError as exc:
            raise ValueError(
                f"making a vocabulary needs {exc.name}, which is not installed: "
                "pip install 'lmarc[torch]'"
            ) from exc
        corpus = gather(
            documents(arguments.paths, arguments.column, arguments.field), 1_000_000_000
        )
        steps.done(f"read {size(corpus.size)} of text")
        steps.begin("learning tokens")
        texts = corpus.part("tables")
        vocabulary = train_vocabulary(texts, arguments.size, arguments.max_text)
        write_vocabulary(vocabulary, output)
        steps.done(f"learnt {arguments.size} tokens")
    sample = b"".join(text[:65536] for text in texts.values())
    document = {
        "command": "train",
        "kind": "vocab",
        "vocabulary": arguments.output,
        "tokens": len(vocabulary.tokens),
        "bytes_per_token": round(len(sample) / max(1, len(vocabulary.cut(sample))), 3),
        "seconds": round(time.monotonic() - start, 3),
    }
    if arguments.json:
        sys.stdout.write(json_line(document))
    elif not arguments.quiet:
        sys.stdout.write(
            f"{arguments.output}: {document['tokens']} tokens, "
            f"{document['bytes_per_token']} bytes each in text\n"
        )
    return 0
