"""What joins network and mixture is learnt from text."""

from lmarc.codec import vectors
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.export import JOIN_RATE, export, train_join


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
