"""`lmarc selftest`."""

import json
import re
import subprocess
import sys
from pathlib import Path

from lmarc.codec import selftest

from .conftest import Run, environment


def test_a_sound_machine_says_so(run: Run) -> None:
    assert re.fullmatch(r"sound: \d+ vectors\n", run("selftest").text)
    assert run("selftest", "-q").text == ""
    lines = run("selftest", "-v").text.splitlines()
    assert "ngram prose-4095: ok" in lines


def test_json_names_every_vector(run: Run) -> None:
    document = json.loads(run("selftest", "--json").text)
    assert document["ok"] is True
    assert all(vector["found"] == vector["expected"] for vector in document["vectors"])


# A machine that gives other bytes.
UNSOUND = """
import sys
from lmarc.codec import selftest
selftest.EXPECTED["ngram"]["prose-4095"] = "0" * 32
from lmarc.cli import main
sys.exit(main(sys.argv[1:]))
"""


def unsound(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", UNSOUND, *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_unsound_machine_is_told_which_vector_differs(tmp_path: Path) -> None:
    code, out, err = unsound(tmp_path, "selftest")
    assert code == 23
    assert re.search(r"^ngram prose-4095: gives [0-9a-f]{32}, expected 0{32}$", out, re.MULTILINE)
    count = sum(map(len, selftest.EXPECTED.values()))
    assert f"1 of {count} vectors differ" in err
    code, out, err = unsound(tmp_path, "selftest", "--json")
    assert (code, json.loads(out)["ok"]) == (23, False)


def test_create_refuses_on_an_unsound_machine(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "text").write_text("to be, or not to be\n" * 500)
    code, out, err = unsound(
        tmp_path, "create", "a", "text", "--preset", "balanced", "--model", str(model_file)
    )
    assert (code, out) == (23, "")
    assert err.count("\n") == 1
    assert "write with --preset fast" in err
    assert not (tmp_path / "a").exists()
