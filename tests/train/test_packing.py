"""What is packed fits, and comes back in the parts and domains that it had."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.train.data import PARTS, Corpus, Document, documents, gather
from lmarc.train.packing import pack


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    some = [Document("books", str(n), vectors.prose(f"b{n}", 20_000)) for n in range(120)]
    some += [Document("data", str(n), vectors.records(f"d{n}", 9000)) for n in range(60)]
    return gather(some, 1 << 30)


def test_all_that_fits_comes_back(corpus: Corpus, tmp_path: Path) -> None:
    packed = pack(corpus, tmp_path / "p.lmarc", 60 << 20, parts=PARTS)
    again = gather(documents([str(tmp_path / "p.lmarc")]), 1 << 30)
    assert {
        part: {d: sorted(t) for d, t in texts.items()} for part, texts in again.texts.items()
    } == {part: {d: sorted(t) for d, t in texts.items()} for part, texts in corpus.texts.items()}
    assert packed.text_size == corpus.size
    assert packed.size == (tmp_path / "p.lmarc").stat().st_size


def test_what_tables_are_counted_on_is_left_out(corpus: Corpus, tmp_path: Path) -> None:
    pack(corpus, tmp_path / "p.lmarc", 60 << 20)
    again = gather(documents([str(tmp_path / "p.lmarc")]), 1 << 30)
    assert again.part("tables") == {}
    assert sorted(again.part("mixture")) == ["books", "data"]


def test_a_pack_has_its_size_and_each_domain_its_share(corpus: Corpus, tmp_path: Path) -> None:
    size = pack(corpus, tmp_path / "all.lmarc", 60 << 20).size // 2
    packed = pack(corpus, tmp_path / "p.lmarc", size)
    assert 0.8 * size < packed.size <= size
    again = gather(documents([str(tmp_path / "p.lmarc")]), 1 << 30).part("mixture")
    whole = corpus.part("mixture")
    shares = [len(again[domain]) / len(whole[domain]) for domain in ("books", "data")]
    assert all(0.2 < share < 0.8 for share in shares)


def test_what_cannot_be_packed_is_said_and_nothing_is_left(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected 1000 or fewer"):
        pack(corpus, tmp_path / "p.lmarc", 1000)
    with pytest.raises(ModelError, match="no text of the parts mixture, held out"):
        pack(Corpus(), tmp_path / "p.lmarc", 1000)
    assert list(tmp_path.iterdir()) == []
