"""A primer is chosen from what is archived. `tests/cli/test_primed.py` has whole commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from lmarc.archive.primer import chosen_from, kept, make_primer
from lmarc.codec import vectors
from lmarc.codec.primed import model_below
from lmarc.errors import ModelError
from lmarc.model import file, primed, registry


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(9):
        (folder / f"{number}.json").write_bytes(vectors.records(f"{number}", 20_000))
    return folder


def parsed(data: bytes) -> Any:
    return primed.parse(file.unpack(data, file.KIND_PRIMED))


def test_a_primer_serves_several_archives(texts: Path, tmp_path: Path) -> None:
    told: list[int] = []
    data = lmarc.make_primer([texts], 4000, preset="high", progress=told.append)
    assert told[-1] == 9 * 20_000
    assert len(parsed(data).text) <= 4000
    assert parsed(data).below.hex() == registry.DEFAULT_CONTEXTS
    (tmp_path / "primer").write_bytes(data)
    sizes = []
    for model in (None, tmp_path / "primer"):
        archive = tmp_path / "a.lmarc"
        lmarc.create(
            archive,
            [texts / "0.json"],
            preset="high",
            chunk_size=4096,
            model=model,
            embed_model=model is not None,
        )
        sizes.append(archive.stat().st_size - (len(data) if model else 0))
        with lmarc.open(archive) as opened:
            name = str(texts / "0.json").lstrip("/")
            assert opened.read(name) == (texts / "0.json").read_bytes()
    assert sizes[1] < 0.9 * sizes[0]


def test_create_chooses_the_same_from_what_it_archives(texts: Path, tmp_path: Path) -> None:
    (texts / "secret.json").write_bytes(b'{"password": "hunter2"}\n' * 300)
    where: dict[str, Any] = {"directory": texts, "exclude": ["secret.json"]}
    archive = tmp_path / "a.lmarc"
    lmarc.create(archive, ["."], primer=100_000, **where)
    with lmarc.open(archive) as opened:
        (slot,) = range(len(opened.models()))
        data = opened.model(slot).data
        assert opened.read("3.json") == (texts / "3.json").read_bytes()
    assert data == make_primer(["."], 100_000, **where)
    assert data is not None
    assert b"hunter2" not in parsed(data).text


def test_shards_have_one_primer(texts: Path, tmp_path: Path) -> None:
    lmarc.create(
        tmp_path / "s-{shard}.lmarc", ["."], directory=texts, primer=4000, shard_size=60_000
    )
    shards = sorted(tmp_path.glob("s-*.lmarc"))
    assert len(shards) > 1
    held = set()
    for shard in shards:
        with lmarc.open(shard) as opened:
            held |= {row["sha256"] for row in opened.models().to_pylist()}
    assert len(held) == 1


def test_objects_are_chosen_from(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    for number in range(5):
        store.pipe(f"/primer/{number}.json", vectors.records(f"{number}", 9000))
    archive = tmp_path / "a.lmarc"
    lmarc.create(archive, ["memory://primer"], primer=4000)
    with lmarc.open(archive) as opened:
        assert opened.models()["kind"].to_pylist() == [file.KIND_PRIMED]
        name = next(iter(opened)).name
        assert opened.read(name) == store.cat(f"/primer/{Path(name).name}")


def test_a_model_of_ones_own_stands_below(texts: Path, model_file: Path) -> None:
    data = make_primer([texts], 4000, model=model_file)
    assert parsed(data).inside == model_file.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "fast"}, "preset fast takes no primer"),
        ({"text_codec": "subword"}, "codec subword takes no primer"),
    ],
)
def test_what_takes_no_primer_is_said(
    texts: Path, tmp_path: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_primer([texts], **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        lmarc.create(tmp_path / "a.lmarc", [texts], primer=4000, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "a.lmarc").exists()


def test_a_size_that_no_primer_has_is_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a primer of 3 bytes is asked for, expected 8 to 262144"):
        lmarc.create(tmp_path / "a.lmarc", [texts], primer=3)
    assert not (tmp_path / "a.lmarc").exists()


def test_what_is_chosen_does_not_depend_on_the_model_below(texts: Path) -> None:
    chosen = chosen_from(lmarc.walk([texts], warn=lambda message: None, open_files=False), 4000)
    for preset in ("balanced", "high"):
        assert chosen.over(model_below(preset)) == make_primer([texts], 4000, preset=preset)


def test_the_file_is_gone_afterwards() -> None:
    with kept(b"a model") as path:
        assert Path(path).read_bytes() == b"a model"
    assert not os.path.exists(path)
