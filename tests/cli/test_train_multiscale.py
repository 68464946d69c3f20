"""`lmarc train multiscale`, as a user runs it."""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
from pathlib import Path

import pytest

from lmarc.cli import main
from lmarc.cli.train_multiscale import contexts, sure
from lmarc.codec import vectors
from lmarc.kernels import blend, shapes
from lmarc.model import file
from lmarc.train.blending import LANES


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(60):
        (folder / f"{n}.json").write_bytes(vectors.records(f"{n}", 5000))
    return folder


def test_a_blend_is_trained_and_used(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, out = tmp_path / "net.lmmodel", tmp_path / "blend.lmmodel"
    network.write_bytes(vectors.small_network().pack(b"{}", model_file.read_bytes()))
    command = ["train", "multiscale", str(texts), "-o", str(out), "--below", str(network)]
    assert main([*command, "--train-text", "20k", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["command"], document["kind"]) == ("train", "multiscale")
    assert document["size"] == out.stat().st_size
    assert document["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert 0 < document["bits_per_byte"] < document["mixture_bits_per_byte"]
    assert not (tmp_path / "blend.lmmodel.partial").exists()

    assert main(["eval", str(out), str(texts), "--limit", "5000", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["model_size"] == document["size"]
    assert 0 < evaluated["all"]["bits_per_byte"] < 8

    archive, target = str(tmp_path / "a.lmarc"), tmp_path / "target"
    given = ["--text-codec", "multiscale", "--model", str(out), "--embed-model"]
    assert main(["create", archive, str(texts / "1.json"), "-q", *given]) == 0
    out.unlink()
    network.unlink()
    assert main(["extract", archive, "-C", str(target), "-q"]) == 0
    (found,) = target.rglob("1.json")
    assert found.read_bytes() == (texts / "1.json").read_bytes()


def test_a_blend_over_an_ngram_model_says_what_it_gains(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "blend.lmmodel")
    command = ["train", "multiscale", str(texts), "-o", out, "--below", str(model_file)]
    assert main([*command, "--train-text", "9k"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{out}: ")
    assert "bits per byte of" in lines[1]
    assert "by the n-gram mixture alone" in lines[1]


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("one", 0, "held out: nothing, the text is too short for that"),
        # A document that a static table would learn from.
        ("three", 16, "there is no text for the blend to learn from"),
    ],
)
def test_text_too_short_for_all_parts_is_said(
    tmp_path: Path,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    code: int,
    message: str,
) -> None:
    text = tmp_path / f"{name}.txt"
    text.write_bytes(vectors.prose(name, 4000))
    command = ["train", "multiscale", str(text), "-o", str(tmp_path / "blend.lmmodel")]
    assert main([*command, "--below", str(model_file)]) == code
    said = capsys.readouterr()
    assert message in said.out + said.err


def test_what_is_missing_is_said(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "multiscale", str(texts), "--below", str(model_file), "-o"]
    assert main([*command, str(tmp_path / "none" / "m")]) == 3
    assert str(tmp_path / "none") in capsys.readouterr().err
    command = ["train", "multiscale", str(texts), "-o", str(tmp_path / "m"), "--below"]
    assert main([*command, str(tmp_path / "nothing")]) == 3
    (tmp_path / "text").write_text("text")
    assert main([*command, str(tmp_path / "text")]) > 2
    assert "model file begins with" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_half_of_what_is_held_out_is_learnt_from_where_one_says_so(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(60, 160):
        (texts / f"{n}.json").write_bytes(vectors.records(f"{n}", 5000))
    documents = []
    for more in ([], ["--held-out"]):
        out = str(tmp_path / "blend.lmmodel")
        command = ["train", "multiscale", str(texts), "-o", out, "--below", str(model_file)]
        assert main([*command, "--train-text", "20k", "--json", *more]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0]["sha256"] != documents[1]["sha256"]
    assert 0 < documents[1]["held_out_size"] < documents[0]["held_out_size"]


def test_contexts_are_those_that_one_names(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "blend.lmmodel"
    command = ["train", "multiscale", str(texts), "-o", str(out), "--below", str(model_file)]
    sizes = []
    for more in ([], ["--contexts", "13,6,8"], ["--contexts", "6"]):
        assert main([*command, "--train-text", "20k", "--json", *more]) == 0
        sizes.append(json.loads(capsys.readouterr().out)["bits_per_byte"])
        sections = file.unpack(out.read_bytes(), file.KIND_MULTISCALE)
        wanted = [int(n) for n in more[1].split(",")] if more else list(LANES)
        assert list(sections["lanes"]) == wanted
    assert sizes[0] < sizes[2]
    archive = str(tmp_path / "a.lmarc")
    given = ["--model", str(out), "--embed-model", "-q"]
    assert main(["create", archive, str(texts / "1.json"), *given]) == 0
    assert main(["verify", archive, "-q"]) == 0


def test_what_the_mixture_is_sure_of_may_be_left_to_it(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "blend.lmmodel"
    command = ["train", "multiscale", str(texts), "-o", str(out), "--below", str(model_file), "-q"]
    assert main([*command, "--train-text", "9k", "--contexts", "3,8", "--sure", "0.5"]) == 0
    capsys.readouterr()
    doubts = file.unpack(out.read_bytes(), file.KIND_MULTISCALE)["doubts"]
    assert set(struct.unpack(f"<{len(doubts) // 4}i", doubts)) == {32_768}
    archive, target = str(tmp_path / "a.lmarc"), tmp_path / "target"
    given = ["--text-codec", "multiscale", "--model", str(out), "--embed-model", "-q"]
    assert main(["create", archive, str(texts / "1.json"), *given]) == 0
    assert main(["extract", archive, "-C", str(target), "-q"]) == 0
    (found,) = target.rglob("1.json")
    assert found.read_bytes() == (texts / "1.json").read_bytes()


@pytest.mark.parametrize("text", ["0", "1.5", "-0.5", "nan", "much", ""])
def test_what_is_no_probability_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no probability above 0 and up to 1"):
        sure(text)
    assert sure("1") == 1


def test_as_many_contexts_may_be_named_as_a_model_has() -> None:
    numbers = ",".join(map(str, range(blend.MAX_LANES)))
    assert contexts(numbers) == tuple(range(blend.MAX_LANES))
    last = shapes.N_CONTEXTS - 1
    assert contexts(f"0,{last}") == (0, last)
    for wrong in (f"{numbers},{blend.MAX_LANES}", f"{last + 1}", "-1", "", "six", "6,,8", "6,8,6"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"not of the form|twice"):
            contexts(wrong)
