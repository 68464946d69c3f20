"""Where networks run is chosen by name, and what a machine lacks is said."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from lmarc.codec import device as module
from lmarc.codec.device import DEVICE, device


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    module._resolved.cache_clear()
    monkeypatch.delenv(DEVICE, raising=False)


def with_torch(monkeypatch: pytest.MonkeyPatch, available: bool) -> None:
    cuda = SimpleNamespace(is_available=lambda: available)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, __spec__=object()))


def test_the_processor_is_the_default() -> None:
    assert device() == "cpu"


@pytest.mark.parametrize(
    ("name", "available", "found"),
    [
        ("cpu", True, "cpu"),
        ("auto", True, "torch:cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "torch:cuda"),
        ("torch", False, "torch:cpu"),
    ],
)
def test_a_name_stands_for_what_there_is(
    name: str, available: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_torch(monkeypatch, available)
    monkeypatch.setenv(DEVICE, name)
    assert device() == found


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with_torch(monkeypatch, available=False)
    monkeypatch.setenv(DEVICE, "cuda")
    with pytest.raises(ValueError, match="PyTorch but no such accelerator: use the device cpu"):
        device()
    monkeypatch.setenv(DEVICE, "tpu")
    with pytest.raises(ValueError, match="'tpu', expected one of cpu, auto, cuda, torch"):
        device()


def test_without_pytorch_the_processor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv(DEVICE, "auto")
    assert device() == "cpu"
    for name, message in (("cuda", "no PyTorch"), ("torch", "not installed")):
        monkeypatch.setenv(DEVICE, name)
        with pytest.raises(ValueError, match=message):
            device()


def test_a_network_is_made_once_for_a_model_and_a_device() -> None:
    made: list[tuple[object, str]] = []

    class Model:
        """Anything that can be kept by."""

    def make(model: Model, name: str) -> int:
        made.append((model, name))
        return len(made)

    elsewhere, models = module.Elsewhere(make), [Model(), Model()]
    for _ in range(2):
        found = [elsewhere(model, f"torch:{name}") for model in models for name in ("cpu", "cuda")]
        assert found == [1, 2, 3, 4]
    assert made == [(model, name) for model in models for name in ("cpu", "cuda")]
