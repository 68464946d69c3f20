"""`lmarc create --primer`: choose a primer from what is archived, and write with it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmarc
from lmarc.cli.render import Steps, size

__all__ = ["primed"]


@contextmanager
def primed(
    arguments: argparse.Namespace, paths: list[str | bytes], found: dict[str, Any]
) -> Iterator[None]:
    """Put a primed model in the place of the model that `arguments` name, while inside.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of `create`; nothing is done where `primer` is None.
    paths, found : list, dict
        What `lmarc.create` finds files by: the primer has nothing of others.

    Raises
    ------
    ValueError
        When what codes text takes no primer.
    ModelError
        When there is no text, or for a size that no primer has.
    """
    if arguments.primer is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="lmarc-") as folder:
        path = Path(folder) / "primer.lmmodel"
        path.write_bytes(_chosen(arguments, paths, found))
        arguments.model, arguments.embed_model = str(path), True
        yield


def _chosen(
    arguments: argparse.Namespace, paths: list[str | bytes], found: dict[str, Any]
) -> bytes:
    """Return the file of a primed model whose text is chosen from what will be archived."""
    with Steps("choosing a primer", quiet=arguments.quiet, total=1) as steps:
        steps.begin("finding files")

        def told(done: int) -> None:
            steps.begin(f"choosing a primer, {size(done)} gone over")

        made: bytes = lmarc.make_primer(
            paths,
            arguments.primer,
            preset=arguments.preset,
            text_codec=arguments.text_codec,
            model=arguments.model,
            source_options=arguments.source_options or arguments.storage_options,
            progress=told,
            **found,
        )
        steps.done("primer chosen")
    return made
