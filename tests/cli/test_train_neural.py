"""`lmarc train neural`, as a user runs it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from lmarc.cli import main
from lmarc.codec import vectors
from lmarc.model import file, registry
from lmarc.train.beneath import base_model
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.export import export
from lmarc.train.grid import DIFFERENCE
from lmarc.train.patch_network import PatchNetwork
from lmarc.train.transformer import TransformerShape


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(40):
        (folder / f"{n}.txt").write_bytes(vectors.prose(f"{n}", 30_000))
    return folder


@pytest.fixture
def little(tmp_path: Path) -> Path:
    folder = tmp_path / "little"
    folder.mkdir()
    for n in range(40):
        (folder / f"{n}.txt").write_bytes(vectors.prose(f"{n}", 10_000))
    return folder


def test_a_network_is_trained_and_used(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net.lmmodel"
    options = ["--ngram", str(model_file), "--units", "16x16", "--rows", "4", "--minutes", "0.05"]
    assert main(["train", "neural", str(texts), "-o", str(out), *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["size"] == out.stat().st_size
    assert 0 < document["bits_per_byte"] < 8
    assert not Path(f"{out}.work").exists()
    archive = str(tmp_path / "a.lmarc")
    given = ["--preset", "max", "--model", str(out), "--embed-model"]
    assert main(["create", archive, str(texts / "1.txt"), "-q", *given]) == 0
    assert main(["verify", archive, "-q"]) == 0


def test_training_goes_on_from_a_model_with_more_units(
    tmp_path: Path, texts: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "1.lmmodel", tmp_path / "2.lmmodel"
    options = ["--ngram", str(model_file), "--rows", "4", "--json", "--minutes", "9"]
    options += ["--train-text", "200k", "--weight", "texts=2"]
    command = ["train", "neural", str(texts), *options, "-o"]
    assert main([*command, str(first), "--units", "16x16"]) == 0
    assert main([*command, str(second), "--units", "32x16", "--init", str(first)]) == 0
    bits = [json.loads(line)["bits_per_byte"] for line in capsys.readouterr().out.splitlines()]
    assert bits[1] < bits[0]
    assert main([*command, str(second), "--units", "16x16", "--init", str(second)]) > 2
    assert "2 layers of 32 and 16 units, expected at most 2 of 16 and 16" in capsys.readouterr().err


def test_a_deep_network_learns_over_a_blend_and_from_another_fold(
    tmp_path: Path,
    texts: Path,
    little: Path,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    contexts, net, out = (tmp_path / f"{name}.lmmodel" for name in ("contexts", "net", "max"))
    blend = ["train", "multiscale", str(little), "-q", "--train-text", "40k", "--below"]
    assert main([*blend, str(model_file), "-o", str(contexts)]) == 0
    options = ["--ngram", str(model_file), "--units", "32x16", "--layers", "3", "--over"]
    command = ["train", "neural", str(little), *QUICK, *options, str(contexts), "-o", str(net)]
    fold = ["--fold", str(texts), str(model_file), "--weight", "texts, fold 1=0.01"]
    assert main([*command, *fold, "--bits", "4"]) == 0
    bits = json.loads(capsys.readouterr().out)["bits_per_byte"]
    assert 0 < bits < 8
    assert main([*blend, str(net), "-o", str(out)]) == 0
    archive = str(tmp_path / "a.lmarc")
    given = ["--preset", "max", "--model", str(out), "--embed-model"]
    assert main(["create", archive, str(texts / "1.txt"), "-q", *given]) == 0
    assert main(["verify", archive, "-q"]) == 0
    assert main([*command[:-3], str(out), "-o", str(tmp_path / "no")]) > 2
    assert "blends a network" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["code", "=2", "code=many", "code=-1", "code=inf"])
def test_a_weight_of_another_form_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--weight", text])
    assert "is not of the form code=2.5" in capsys.readouterr().err


def test_units_of_another_form_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--units", "20x16"])
    assert "multiples of 16" in capsys.readouterr().err


QUICK = ["--rows", "4", "--json", "--minutes", "9", "--train-text", "60k"]


def trained(
    capsys: pytest.CaptureFixture[str], texts: Path, out: Path, *options: str
) -> dict[str, object]:
    """Train a little, and return what the command reports."""
    assert main(["train", "neural", str(texts), "-o", str(out), *QUICK, *options]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_an_adapter_is_small_and_an_archive_needs_its_base(
    tmp_path: Path,
    little: Path,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, out, again = (tmp_path / f"{name}.lmmodel" for name in ("base", "mine", "again"))
    first = trained(capsys, little, base, "--ngram", str(model_file), "--units", "32x32")
    given = ["--ngram", str(model_file), "--adapter", "--all", "--init"]
    assert main(["train", "neural", str(little), "-o", str(out), *given, str(base)]) > 2
    assert "name its file with --model" in capsys.readouterr().err
    monkeypatch.setenv(registry.MODEL_PATH, str(base))
    second = trained(capsys, little, out, *given, str(base))
    assert second["bits_per_byte"] < first["bits_per_byte"]  # type: ignore[operator]
    assert file.kind_of(out.read_bytes()) == file.KIND_ADAPTER
    differences = file.unpack(out.read_bytes(), file.KIND_ADAPTER)
    assert differences["ngram"] == b""
    # Weights differ by larger steps, unless one is the largest that there is.
    steps = np.frombuffer(differences["see"] + differences["inner"], np.int8)
    assert steps.any()
    assert (steps % DIFFERENCE == 0).mean() > 0.99
    # An adapter that another is begun with is not below it.
    trained(capsys, little, again, *given, str(out))
    sections = [file.unpack(path.read_bytes(), file.KIND_ADAPTER) for path in (out, again)]
    assert sections[0]["base"] == sections[1]["base"]
    archive, source = str(tmp_path / "a.lmarc"), str(little / "1.txt")
    coding = ["--preset", "max", "--model", str(out)]
    assert main(["create", archive, source, "-q", *coding]) == 0
    assert main(["verify", archive, "-q", "--model", str(out)]) == 0
    assert main(["info", archive]) == 0
    assert "adapter" in capsys.readouterr().out
    assert main(["create", archive, source, "-q", *coding, "--embed-model"]) > 2
    assert "could not be read alone" in capsys.readouterr().err
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    digest = hashlib.sha256(base.read_bytes()).hexdigest()
    monkeypatch.setattr(registry, "SHIPPED", {digest: base.name})
    assert main(["create", archive, source, "-q", *coding, "--embed-model"]) == 0
    # A multi-scale model may stand on an adapter, and holds it.
    scales, other = str(tmp_path / "scales.lmmodel"), str(tmp_path / "b.lmarc")
    blending = ["train", "multiscale", str(little), "-o", scales, "--below", str(out), "-q"]
    assert main([*blending, "--train-text", "60k"]) == 0
    coding = ["--text-codec", "multiscale", "--model", scales, "--embed-model"]
    assert main(["create", other, source, "-q", *coding]) == 0
    out.unlink()
    monkeypatch.delenv(registry.MODEL_PATH)
    for path in (archive, other):
        assert main(["verify", path, "-q"]) == 0


def test_a_network_gets_patches_and_keeps_them(
    tmp_path: Path, little: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, patched, out = (tmp_path / f"{name}.lmmodel" for name in ("plain", "patched", "out"))
    write_networks(model_file, plain)
    options = ["--ngram", str(model_file), "--train-text", "30k", "--teacher", str(plain)]
    given = ["--init", str(plain), "--patches", "32x2x1x32x16"]
    first = trained(capsys, little, patched, *options, *given)
    sections = file.unpack(patched.read_bytes(), file.KIND_NEURAL)
    assert np.frombuffer(sections["patches"], "<u2").tolist() == [32, 2, 1, 32, 16]
    assert json.loads(sections["card"])["settings"]["patches"] == [32, 2, 1, 32, 16]
    options[-1] = str(patched)
    second = trained(capsys, little, out, *options, "--init", str(patched))
    assert second["bits_per_byte"] < first["bits_per_byte"]  # type: ignore[operator]
    assert file.unpack(out.read_bytes(), file.KIND_NEURAL)["patches"] == sections["patches"]


def test_an_adapter_keeps_the_patches_of_its_base(
    tmp_path: Path,
    little: Path,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, out = tmp_path / "base.lmmodel", tmp_path / "out.lmmodel"
    write_networks(model_file, tmp_path / "plain", base)
    monkeypatch.setenv(registry.MODEL_PATH, str(base))
    options = ["--ngram", str(model_file), "--init", str(base), "--adapter"]
    trained(capsys, little, out, *options, "--patches", "32x2x1x32x16")
    assert file.kind_of(out.read_bytes()) == file.KIND_ADAPTER
    archive, source = str(tmp_path / "a.lmarc"), str(little / "1.txt")
    coding = ["--preset", "max", "--model", str(out)]
    assert main(["create", archive, source, "-q", *coding]) == 0
    assert main(["verify", archive, "-q", "--model", str(out)]) == 0


@pytest.mark.parametrize(
    ("begins", "options", "message"),
    [
        ("patched", ["--patches", "32x2x1x32x32"], "expected patches of 32x2x1x32x32"),
        ("patched", ["--bits", "4"], "weights of eight bits"),
        ("patched", ["--prune", "0.5"], "keeps its units"),
        ("plain", ["--patches", "32x3x1x32x16"], "3 heads of a Transformer share 32 numbers"),
        ("plain", ["--patches", "32x2x1x32x16", "--adapter"], "the network to adapt has no"),
    ],
)
def test_patches_that_do_not_fit_are_refused(
    begins: str,
    options: list[str],
    message: str,
    tmp_path: Path,
    little: Path,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_networks(model_file, tmp_path / "plain", tmp_path / "patched")
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path / begins))
    command = ["train", "neural", str(little), "-o", str(tmp_path / "out"), *QUICK]
    command += ["--ngram", str(model_file), "--init", str(tmp_path / begins)]
    assert main([*command, *options]) > 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def write_networks(model_file: Path, plain: Path, patched: Path | None = None) -> None:
    """Write a network, and one with patches, that have learnt nothing."""
    base, inside = base_model(str(model_file))
    net = ByteNetwork(Shape(16, 16))
    plain.write_bytes(export(net, base).pack(b"{}", inside))
    if patched is not None:
        whole = PatchNetwork(net, TransformerShape(32, 2, 1, 32, 16))
        patched.write_bytes(export(whole, base).pack(b"{}", inside))


def test_patches_of_another_form_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--patches", "32x2"])
    assert "is not of the form 96x3x2x192x128" in capsys.readouterr().err


def test_four_bits_and_fewer_units_make_smaller_files(
    tmp_path: Path, little: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, small = tmp_path / "whole.lmmodel", tmp_path / "small.lmmodel"
    ngram = ["--ngram", str(model_file)]
    trained(capsys, little, whole, *ngram, "--units", "64x32")
    given = [*ngram, "--init", str(whole)]
    base = len(model_file.read_bytes())
    sizes = {}
    for options in ((), ("--bits", "4"), ("--prune", "0.4"), ("--teacher", str(whole))):
        found = trained(capsys, little, small, *given, *options)
        assert 0 < found["bits_per_byte"] < 8  # type: ignore[operator]
        sizes[options] = found["size"] - base  # type: ignore[operator]
    assert sizes["--bits", "4"] < 0.6 * sizes[()]
    assert sizes["--prune", "0.4"] < 0.8 * sizes[()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--adapter"], "need --init"),
        (["--prune", "0.5"], "need --init"),
        (
            ["--init", "shipped", "--adapter", "--bits", "4"],
            "leaves --units, --layers, --prune and --bits",
        ),
        (["--init", "shipped", "--prune", "0.5", "--units", "16x16"], "does not go with --units"),
        (["--soft", "0.5"], "there is none"),
        (["--layers", "9"], "--layers is 9, expected 2 to 8"),
        (["--init", "shipped", "--adapter", "--layers", "3"], "leaves --units, --layers"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], message: str, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "neural", str(texts), "-o", str(texts / "y"), *options]) > 0
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "1", "many", "-0.5"])
def test_what_is_no_share_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "neural", "x", "-o", "y", "--prune", share])
    assert "is not a share" in capsys.readouterr().err
