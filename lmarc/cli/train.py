"""`lmarc train KIND`: make a model from text; a module per kind, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
from typing import Final

__all__ = ["KINDS", "add_arguments", "run"]

# Name -> (module with `add_arguments(parser)` and `run(arguments) -> exit code`, what it does).
KINDS: Final[dict[str, tuple[str, str]]] = {
    "ngram": ("lmarc.cli.train_ngram", "train an n-gram model, for the codec `ngram`"),
    "neural": ("lmarc.cli.train_neural", "train a network, for the codec `neural`"),
    "teacher": ("lmarc.cli.train_teacher", "train a Transformer, for `train neural --teacher`"),
    "vocab": ("lmarc.cli.train_vocab", "make a vocabulary, for `train subword`"),
    "subword": ("lmarc.cli.train_subword", "train a model of tokens, for the codec `subword`"),
    "multiscale": ("lmarc.cli.train_multiscale", "train a blend, for the codec `multiscale`"),
    "primer": ("lmarc.cli.train_primer", "choose a text that stands before every chunk"),
    "pack": ("lmarc.cli.train_pack", "pack training text into an archive of a given size"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kinds."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for name, (module, summary) in KINDS.items():
        kind = kinds.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            allow_abbrev=False,
        )
        importlib.import_module(module).add_arguments(kind)


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    code: int = importlib.import_module(KINDS[arguments.kind][0]).run(arguments)
    return code
