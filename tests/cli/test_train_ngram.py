"""`lmarc train ngram`."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmarc
from lmarc.codec.vectors import prose, records
from lmarc.model.ngram import NgramModel

from .conftest import Run

SMALL = ("--size", "1M", "--profiles", "2")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Words and JSON, a hundred small files of each."""
    for number in range(100):
        folder = tmp_path / "corpus" / ("prose", "json")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        make = (prose, records)[number % 2]
        (folder / f"{number}").write_bytes(make(f"corpus {number}", 4000))
    return tmp_path / "corpus"


def test_a_model_is_trained_named_and_used(run: Run, corpus: Path, tmp_path: Path) -> None:
    done = run("train", "ngram", "corpus", "-o", "m.lmmodel", *SMALL)
    found = re.fullmatch(
        r"m\.lmmodel: ([\d,]+) bytes, SHA-256 ([0-9a-f]{64})\n"
        r"held out: (\d\.\d{3}) bits per byte of [\d.]+ kB\n",
        done.text,
    )
    assert found is not None, done.text
    data = (tmp_path / "m.lmmodel").read_bytes()
    assert int(found[1].replace(",", "")) == len(data) <= 1 << 20
    assert found[2] == hashlib.sha256(data).hexdigest()
    assert 0 < float(found[3]) < 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "m.lmmodel"]
    run("create", "a", "corpus", "--preset", "balanced", "--model", "m.lmmodel", "--embed-model")
    run("create", "b", "corpus", "--preset", "balanced", "--model", "m.lmmodel")
    assert run("verify", "a").text.startswith("a: sound")
    missing = run("verify", "b", code=17)
    assert missing.err.startswith("lmarc: b: model ")
    assert missing.err.count("\n") == 1
    assert run("verify", "b", "--model", "m.lmmodel").text.startswith("b: sound")
    name = "corpus/prose/0"
    expected = (corpus / "prose" / "0").read_bytes()
    assert run("cat", "b", name, "--model", "m.lmmodel").out == expected
    assert run("extract", "b", name, "-O", "--model", "m.lmmodel").out == expected
    whole = (tmp_path / "b").read_bytes()
    assert run("extract", "-", name, "-O", "--model", "m.lmmodel", stdin=whole).out == expected
    (tmp_path / "cut").write_bytes(whole[:-500])
    run("recover", "cut", "saved", "--model", "m.lmmodel")
    assert (tmp_path / "saved" / name).read_bytes() == expected


def test_the_same_text_gives_the_same_model_and_a_stopped_training_goes_on(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    first = json.loads(
        run("train", "ngram", "corpus", "-o", "a", "--work", "w", *SMALL, "--json").text
    )
    kept = sorted(path.name for path in (tmp_path / "w").rglob("*.npz"))
    assert kept
    (tmp_path / "w").joinpath(next((tmp_path / "w").iterdir()), kept[0]).unlink()
    second = json.loads(
        run(
            "train", "ngram", "corpus", "-o", "b", "--work", "w", "--jobs", "2", *SMALL, "--json"
        ).text
    )
    assert first["sha256"] == second["sha256"]
    assert first["training_size"] == 400_000
    assert first["held_out_size"] > 0


def _parquet(tmp_path: Path, texts: list[str]) -> list[str]:
    table = pa.table({"id": range(len(texts)), "body": texts})
    pq.write_table(table, tmp_path / "a.parquet")
    return ["a.parquet", "--column", "body"]


def _jsonl(tmp_path: Path, texts: list[str]) -> list[str]:
    lines = [json.dumps({"body": text, "other": 1}) for text in texts]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    return ["a.jsonl", "--field", "body"]


def _lmarc(tmp_path: Path, texts: list[str]) -> list[str]:
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast") as writer:
        for number, text in enumerate(texts):
            writer.add_bytes(f"{number}", text.encode())
    return ["a.lmarc"]


def _one_file(tmp_path: Path, texts: list[str]) -> list[str]:
    (tmp_path / "a.txt").write_text("".join(texts))
    return ["a.txt"]


@pytest.mark.parametrize("store", [_parquet, _jsonl, _lmarc, _one_file])
def test_text_is_read_from_tables_lines_archives_and_files(
    run: Run, tmp_path: Path, store: Any
) -> None:
    arguments = store(tmp_path, [prose(f"{n}", 4000).decode() for n in range(90)])
    document = json.loads(run("train", "ngram", *arguments, "-o", "m", *SMALL, "--json").text)
    assert document["training_size"] == 360_000
    assert NgramModel.parse((tmp_path / "m").read_bytes()).bucket_count > 10


def test_the_card_is_in_the_model(run: Run, corpus: Path, tmp_path: Path) -> None:
    from lmarc.model import file

    (tmp_path / "card.json").write_text('{"name": "mine", "licence": "none"}')
    run("train", "ngram", "corpus", "-o", "m", "--card", "card.json", *SMALL)
    card = json.loads(file.unpack((tmp_path / "m").read_bytes(), 2)["card"])
    assert (card["name"], card["licence"]) == ("mine", "none")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere", "-o", "m"], 3, "nowhere: No such file or directory"),
        (["corpus/prose/0", "-o", "m"], 16, "is 4000 bytes, expected 65536 or more"),
        (["corpus", "-o", "no/m"], 3, "no: No such file or directory"),
        (["corpus", "-o", "m", "--size", "1K"], 16, "size is 1024 bytes"),
        (["corpus", "-o", "m", "--size", "many"], 2, "'many' is no size"),
        (["corpus", "-o", "m", "--profiles", "257"], 2, "at most 256"),
        (["corpus", "-o", "m", "--card", "corpus/prose/0"], 2, "is no JSON"),
        (["corpus", "-o", "m", "--card", "list.json"], 2, "is no JSON object"),
        (["corpus"], 2, "required: -o"),
    ],
)
def test_errors_are_one_sentence(
    run: Run, corpus: Path, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "list.json").write_text("[]")
    done = run("train", "ngram", *arguments, code=code)
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_column_that_is_not_there_is_named_with_those_that_are(run: Run, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "body": ["text"]}), tmp_path / "a.parquet")
    done = run("train", "ngram", "a.parquet", "-o", "m", code=16)
    assert "a.parquet has columns id, body, not text" in done.err


def test_a_kind_is_asked_for(run: Run) -> None:
    assert "required: KIND" in run("train", code=2).err
    assert "ngram" in run("train", "--help").text
    assert "invalid choice: 'tiny'" in run("train", "tiny", code=2).err
