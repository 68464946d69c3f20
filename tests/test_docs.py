"""What the documentation says works: its commands and programs run, its links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lmarc

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROSE = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `lmarc` is the package under test."""
    tools = tmp_path / "bin"
    tools.mkdir()
    command = tools / "lmarc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lmarc "$@"\n')
    command.chmod(0o755)
    source = Path(lmarc.__file__).parent.parent
    return {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(source),
    }


def run_shell(text: str, cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-euc", text], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # a loader's workers
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_commands_and_programs_of_a_page_run(
    page: Path,
    tmp_path: Path,
    shell: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    blocks = [(kind, text) for kind, text in FENCE.findall(page.read_text()) if kind]
    if any("s3://" in text for _, text in blocks):
        settings = request.getfixturevalue("s3_environment")
        shell.update(settings)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
    cwd = tmp_path / "work"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    names: dict[str, Any] = {}
    for kind, text in blocks:
        if kind == "sh":
            run_shell(text, cwd, shell)
        elif kind == "python":
            exec(compile(text, str(page), "exec"), names)


def test_the_first_command_of_the_readme_shows_a_sample(
    tmp_path: Path, shell: dict[str, str]
) -> None:
    first, second = [
        t for kind, t in FENCE.findall((ROOT / "README.md").read_text()) if kind == "sh"
    ]
    install = "python3 -m venv .venv && .venv/bin/pip install . &&\n"
    assert first.startswith(install)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    text = first.removeprefix(install).replace(".venv/bin/", "")
    output = run_shell(text, tmp_path, shell)
    assert "docs/getting-started.md" in output
    assert "# Getting started" in output
    assert "pip install '.[test]'" in second
    assert second.endswith("-m pytest\n")


def test_the_programs_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    for kind, text in FENCE.findall((ROOT / "README.md").read_text()):
        if kind == "python":
            exec(compile(text, "README.md", "exec"), {})


def test_the_documentation_names_every_command() -> None:
    from lmarc.cli import COMMANDS

    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in COMMANDS if f"lmarc {name}" not in text] == []


@pytest.mark.parametrize("page", PROSE, ids=[page.name for page in PROSE])
def test_relative_links_lead_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", FENCE.sub("", page.read_text()))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_changelog_has_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{lmarc.__version__}]" in text
