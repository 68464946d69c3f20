"""`lmarc estimate`."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_table_for_people(run: Run, tree: Path) -> None:
    done = run("estimate", "tree", "--preset", "fast", "--jobs", "2")
    lines = done.text.splitlines()
    assert lines[0].startswith("14 members, ")
    assert lines[0].endswith("reckoned for 2 cores")
    assert [line.split()[0] for line in lines[2:]] == ["zstd", "fast"]
    assert done.err == ""
    spoken = run("estimate", "tree", "--preset", "fast", "--verbose").err
    assert "measuring fast" in spoken


def test_a_document_for_programs(run: Run, tree: Path) -> None:
    done = run(
        "estimate", "tree", "--preset", "fast", "--json", "--storage-price", "0", "--reads", "0"
    )
    document = json.loads(done.out)
    assert document["command"] == "estimate"
    assert document["members"] == 14
    assert document["prices"] == {"storage": 0.0, "egress": 0.09, "core_hour": 0.04, "reads": 0.0}
    names = [coding["name"] for coding in document["codings"]]
    assert names == ["zstd -19", "fast"]
    assert set(document["codings"][1]) == {
        "name",
        "ratio",
        "encode_speed",
        "decode_speed",
        "model_size",
        "size",
        "encode_hours",
        "decode_hours",
        "once",
        "monthly",
        "months",
    }


def test_what_makes_no_sense_is_refused(run: Run, tree: Path) -> None:
    assert "nothing to estimate" in run("estimate", code=2).err
    assert "no price" in run("estimate", "tree", "--reads", "-1", code=2).err
    assert "no price" in run("estimate", "tree", "--egress-price", "dear", code=2).err
    assert "no content" in run("estimate", "tree/empty", code=2).err
    assert "no-such" in run("estimate", "no-such", code=3).err


def test_a_primer_is_reckoned_with(run: Run, tree: Path) -> None:
    done = run("estimate", "tree", "--preset", "balanced", "--primer", "8K", "--json")
    codings = json.loads(done.out)["codings"]
    assert [coding["model_size"] > 0 for coding in codings] == [False, True]
    refused = run("estimate", "tree", "--primer", "1", code=None)
    assert refused.code != 0
    assert "a primer of 1 bytes is asked for" in refused.err
