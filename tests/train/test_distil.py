"""A student learns a teacher's distributions."""

from __future__ import annotations

import torch

from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.distil import Teacher, soft_cost
from lmarc.train.loop import Settings


def test_the_soft_cost_is_least_for_the_teacher_itself() -> None:
    torch.manual_seed(1)
    taught = torch.randn(2, 5, 2, 16)
    entropy = soft_cost(taught, taught)
    share = torch.softmax(taught * 0.6931471805599453, 3)
    expected = -(share * torch.log2(share)).sum((2, 3)).mean()
    torch.testing.assert_close(entropy, expected)
    assert soft_cost(taught + torch.randn_like(taught), taught) > entropy
    torch.testing.assert_close(soft_cost(taught + 3, taught), entropy)


def test_a_teacher_goes_on_with_the_text_and_learns_nothing() -> None:
    torch.manual_seed(2)
    net = ByteNetwork(Shape(16, 16))
    net.high.weight.data.normal_()
    teacher = Teacher(net, Settings(rows=2, soft=0.25))
    text, before = torch.randint(0, 256, (2, 8)), torch.randint(0, 256, (2, 8, 2))
    freqs = torch.full((2, 8, 2, 16), 4096.0)
    logits = torch.zeros(2, 8, 2, 16, requires_grad=True)
    costs = torch.full((2, 8), 8.0)
    fresh = torch.tensor([True, True])
    first = teacher.mixed(costs, logits, (before, text, freqs), fresh)
    with torch.no_grad():
        taught, hidden = net.logits(before, text, freqs, net.initial(2))
    torch.testing.assert_close(first, 0.75 * 8 + 0.25 * soft_cost(logits, taught))
    torch.testing.assert_close(teacher.hidden.first, hidden.first)
    second = teacher.mixed(costs, logits, (before, text, freqs), torch.tensor([False, True]))
    assert teacher.hidden.first[0].ne(hidden.first[0]).any()
    torch.testing.assert_close(teacher.hidden.first[1], hidden.first[1])
    second.backward()
    assert logits.grad is not None
    assert not any(part.requires_grad for part in net.parameters())
