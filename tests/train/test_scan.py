"""The recurrence over time and its gradient are those of a plain loop."""

import torch

from lmarc.train.scan import linear_recurrence


def loop(a: torch.Tensor, b: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    hidden, out = start, []
    for step in range(a.shape[1]):
        hidden = a[:, step] * hidden + b[:, step]
        out.append(hidden)
    return torch.stack(out, 1)


def test_values_and_gradients_are_those_of_a_loop() -> None:
    torch.manual_seed(1)
    results = []
    values = torch.rand(3, 7, 5), torch.randn(3, 7, 5), torch.randn(3, 5), torch.randn(3, 7, 5)
    for function in (loop, linear_recurrence):
        a, b, start, weight = (value.clone() for value in values)
        a.requires_grad_()
        b.requires_grad_()
        out = function(a, b, start)
        (out * weight).sum().backward()
        assert a.grad is not None
        assert b.grad is not None
        results.append((out.detach(), a.grad, b.grad))
    for plain, found in zip(*results, strict=True):
        torch.testing.assert_close(plain, found)
