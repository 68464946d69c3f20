"""`lmarc train`: a module per kind, and every option of each in the documentation."""

import argparse
import re
from pathlib import Path

import pytest

from lmarc.cli import parser
from lmarc.cli.train import KINDS

DOCS = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def options(kind: str) -> list[str]:
    (commands,) = [
        action.choices for action in parser("train")._actions if isinstance(action.choices, dict)
    ]
    (kinds,) = [
        action.choices
        for action in commands["train"]._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return list(kinds[kind]._option_string_actions)


def section(kind: str) -> str:
    found = re.search(rf"^## train {kind}\n(.*?)^## ", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_names_every_option_of_a_kind_and_no_other(kind: str) -> None:
    text = section(kind)
    known = options(kind)
    missing = [name for name in known if f"`{name}" not in text and name not in ("-h", "--help")]
    assert missing == []
    named = re.findall(r"^\| .*?`(--[a-z-]+)", text, flags=re.MULTILINE)
    assert [name for name in named if name not in known] == []
