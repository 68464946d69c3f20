"""What joins network and mixture is learnt from text."""

import pytest
import torch

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.model import adapter, file
from lmarc.model.neural import NeuralModel
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.export import JOIN_RATE, exponents_of, export, restore, snapped, train_join
from lmarc.train.patch_network import PatchNetwork
from lmarc.train.transformer import TransformerShape


def test_an_export_has_the_networks_shape_and_joins_one_to_one() -> None:
    model = export(ByteNetwork(Shape(32, 16)), vectors.small_model())
    assert model.units == (32, 16)
    assert (model.arrays["join"] == 65536).all()
    assert model.arrays["join_rate"].tolist() == [JOIN_RATE]


def test_joining_weights_leave_a_bad_network() -> None:
    model = vectors.small_network()
    pieces = [vectors.prose(f"piece {n}", 8000) for n in range(6)]
    first, mixture, joint = train_join(model, pieces)
    _, _, better = train_join(first, pieces)
    assert better < joint
    assert mixture > 0
    assert (first.arrays["join"] != model.arrays["join"]).any()


def test_a_restored_network_is_its_own_export() -> None:
    model = export(restore(vectors.small_network()), vectors.small_model())
    again = export(restore(model), model.ngram)
    for name, array in again.arrays.items():
        assert (array == model.arrays[name]).all(), name


def test_a_network_grows_and_predicts_the_same() -> None:
    model = vectors.small_network()
    n1, n2 = model.units
    small, large = restore(model), restore(model, Shape(n1 + 16, n2 + 32))
    assert isinstance(small, ByteNetwork)
    assert isinstance(large, ByteNetwork)
    assert large.shape == Shape(n1 + 16, n2 + 32)
    torch.manual_seed(2)
    text, before = torch.randint(0, 256, (2, 50)), torch.randint(0, 256, (2, 50, 2))
    freqs = torch.rand(2, 50, 2, 16) * 8000 + 1
    with torch.no_grad():
        costs, _ = small.cost(before, text, freqs, small.initial(2))
        grown, _ = large.cost(before, text, freqs, large.initial(2))
    torch.testing.assert_close(grown, costs)


def test_a_network_never_shrinks() -> None:
    model = vectors.small_network()
    with pytest.raises(ModelError, match="expected at most 2 of 16 and 16"):
        restore(model, Shape(16, 16))


def test_exponents_stay_and_tables_go_in_steps() -> None:
    base = vectors.small_network()
    net = restore(base)
    net.exponents = exponents_of(base)
    torch.manual_seed(4)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model = snapped(export(net, base.ngram), base, 4)
    for name in ("see", "inner", "high", "low", "see_low"):
        assert (model.arrays[f"{name}_exp"] == base.arrays[f"{name}_exp"]).all()
        assert (model.arrays[name] != base.arrays[name]).any()
    for name in ("last", "second_last", "low_bias"):
        steps = model.arrays[name].astype(int) - base.arrays[name]
        assert (steps % 16 == 0).all()
        assert abs(steps).max() <= 127 * 16


def patched(layers: int = 2) -> PatchNetwork:
    torch.manual_seed(6)
    net = PatchNetwork(
        ByteNetwork(Shape(32, 16, layers)), TransformerShape(32, 2, 2, 48, window=16)
    )
    for part in (net.give, net.below.high, net.below.low):
        torch.nn.init.normal_(part.weight, 0, 0.3)
    return net


@pytest.mark.parametrize("layers", [2, 3])
def test_patches_are_exported_and_restored(layers: int) -> None:
    model = export(patched(layers), vectors.small_model())
    assert model.patches == (32, 2, 2, 48, 16)
    again = NeuralModel.parse(
        file.unpack(model.pack(b"{}", bytes(32)), file.KIND_NEURAL), model.ngram
    )
    net = restore(again)
    assert isinstance(net, PatchNetwork)
    assert (net.below.shape, net.transformer.shape) == (
        Shape(32, 16, layers), TransformerShape(32, 2, 2, 48, 16),
    )  # fmt: skip
    for name, array in export(net, model.ngram).arrays.items():
        assert (array == model.arrays[name]).all(), name
        assert array.dtype == model.arrays[name].dtype


def test_a_network_with_patches_grows_below_them() -> None:
    small = patched()
    large = restore(export(small, vectors.small_model()), Shape(48, 48, 3))
    assert isinstance(large, PatchNetwork)
    assert large.below.shape == Shape(48, 48, 3)
    torch.manual_seed(2)
    text = torch.tensor(list(vectors.prose("grown", 120))).view(2, -1)
    before = torch.stack([text.roll(1, 1), text.roll(2, 1)], 2)
    freqs = torch.rand(2, 60, 2, 16) * 8000 + 1
    with torch.no_grad():
        costs, _ = small.cost(before, text, freqs, small.initial(2))
        grown, _ = large.cost(before, text, freqs, large.initial(2))
    torch.testing.assert_close(grown, costs)


def test_joining_and_adapting_leave_patches_as_they_are() -> None:
    base = export(patched(), vectors.small_model())
    # The same weights, with other exponents.
    base.arrays["give_exp"] -= 1
    base.arrays["give"] //= 2
    joined, _, _ = train_join(base, [vectors.prose("joined", 8000)])
    assert joined.patches == base.patches
    net = restore(joined)
    assert isinstance(net, PatchNetwork)
    net.below.exponents = exponents_of(base)
    with torch.no_grad():
        net.below.inner.weight.add_(0.1)
    model = snapped(export(net, base.ngram), base, 4)
    adapter.pack(model, base, card=b"{}", digest=bytes(32), ngram=b"", shift=4)
    assert (model.arrays["inner"] != base.arrays["inner"]).any()
