"""The network says of each branch what a plain product says."""

from __future__ import annotations

import torch

from lmarc.codec import vectors
from lmarc.train.subword_network import SubwordNetwork
from lmarc.train.transformer import TransformerShape


def test_corrections_are_those_of_the_tokens_own_branches() -> None:
    torch.manual_seed(1)
    vocabulary = vectors.small_subword().vocabulary
    net = SubwordNetwork(TransformerShape(16, 1, 1, 16, 16), vocabulary)
    net.transformer.rounded = False
    text = torch.randint(len(vocabulary.tokens), (2, 9))
    before = torch.randint(len(vocabulary.tokens), (2, 9))
    with torch.no_grad():
        for part in net.branches:
            part.weight.normal_()
        found, _ = net(before, text, net.initial(2))
        out, _ = net.transformer(net.embedding(before))
        for level, part in enumerate(net.branches):
            whole = part(out)
            for row in range(2):
                for step in range(9):
                    first = int(text[row, step] >> 4 * (3 - level)) * 16
                    expected = whole[row, step, first : first + 16]
                    torch.testing.assert_close(found[row, step, level], expected)
