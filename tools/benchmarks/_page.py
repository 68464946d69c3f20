"""Sections of a documentation page that a benchmark writes; what stands around them is kept."""

from __future__ import annotations

import argparse
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def add_page_option(parser: argparse.ArgumentParser) -> None:
    """Let the caller say which page to write."""
    parser.add_argument(
        "--page",
        type=Path,
        default=PAGE,
        help="write the section of this page between its markers (docs/benchmarks.md); "
        "a page that is not there is left so, and the figures are printed only",
    )


def replace_section(text: str, name: str, content: str) -> str:
    """Return a page with `content` between the markers of section `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise SystemExit(f"the page has no section between {begin} and {end}")
    return f"{before}{begin}\n{content.strip()}\n{end}{after}"


def publish(page: Path, name: str, content: str) -> None:
    """Print a section, and write it into the page if there is one."""
    print(content.strip(), end="\n\n", flush=True)
    if page.is_file():
        page.write_text(replace_section(page.read_text(), name, content))
