"""Costs of corrected freqs are those of the distributions that they stand for."""

from __future__ import annotations

import numpy as np
import torch

from lmarc.train.correction import Corrector, bits_of


class Told(Corrector[None]):
    """Says what it is told to."""

    def __init__(self, high: torch.Tensor, low: torch.Tensor) -> None:
        super().__init__()
        self.high, self.low = high, low

    def initial(self, rows: int) -> None:
        return None

    def forward(
        self, before: torch.Tensor, text: torch.Tensor, freqs: torch.Tensor, hidden: None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        return self.high, self.low, None


def test_a_byte_costs_what_both_corrected_nibbles_cost() -> None:
    torch.manual_seed(1)
    high, low = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    text = torch.randint(0, 256, (2, 3))
    freqs = torch.rand(2, 3, 4, 16) * 9000 + 1
    costs, _ = Told(high, low).cost(torch.zeros(2, 3, 2), text, freqs, None)
    for row in range(2):
        for step in range(3):
            bits = 0.0
            byte = int(text[row, step])
            # Those behind the ones that are seen are corrected.
            for place, part, symbol in ((2, high, byte >> 4), (3, low, byte & 15)):
                weights = freqs[row, step, place].numpy() * 2.0 ** part[row, step].numpy()
                bits -= float(np.log2(weights[symbol] / weights.sum()))
            assert abs(bits - float(costs[row, step])) < 1e-4


def test_the_mixture_alone_is_measured_by_what_is_corrected() -> None:
    freqs = torch.full((1, 2, 4, 16), 4096.0)
    text = torch.tensor([[0x12, 0x34]])
    freqs[:, :, 2, 1] = 65536 / 2  # the first byte's high nibble
    freqs[:, :, :2] = 1.0  # what is only seen
    sizes, bits = Told(torch.zeros(()), torch.zeros(())).measures(text, freqs)
    assert sizes.tolist() == [[1, 1]]
    torch.testing.assert_close(bits, torch.tensor([[1.0 + 4, 4.0 + 4]]))


def test_no_correction_costs_what_the_freqs_say() -> None:
    text = torch.tensor([[0x12, 0xFF]])
    torch.testing.assert_close(bits_of(torch.zeros(1, 2, 2, 16), text), torch.full((1, 2), 8.0))
