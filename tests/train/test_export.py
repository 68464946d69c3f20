"""What joins network and mixture is learnt from text."""

import pytest
import torch

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.export import JOIN_RATE, exponents_of, export, restore, snapped, train_join


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
