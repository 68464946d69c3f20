"""The teacher sees what stands before a byte, all of it up to its window, and nothing else."""

from __future__ import annotations

import torch

from lmarc.train.byte_transformer import ByteTransformer
from lmarc.train.transformer import Past, TransformerShape

SHAPE = TransformerShape(32, 2, 2, 48, 16)


def network() -> ByteTransformer:
    """Return one that has something to say."""
    torch.manual_seed(3)
    net = ByteTransformer(SHAPE)
    with torch.no_grad():
        for part in (net.high, net.low, net.see_low, net.low_bias):
            part.weight.normal_(0, 0.3)
    return net


def asked(net: ByteTransformer, text: torch.Tensor, hidden: Past) -> tuple[torch.Tensor, Past]:
    """Return the logits of `text`, (B, T), that begins a chunk, and the past."""
    padded = torch.nn.functional.pad(text, (2, 0))
    before = torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)
    with torch.no_grad():
        return net.logits(before, text, freqs(text), hidden)


def freqs(text: torch.Tensor) -> torch.Tensor:
    """Return freqs that are the same for the same text."""
    torch.manual_seed(9)
    return torch.rand(*text.shape, 2, 16) * 8000 + 1


def test_it_begins_with_what_the_mixture_says() -> None:
    text = torch.randint(0, 256, (2, 20))
    found, _ = asked(ByteTransformer(SHAPE), text, ByteTransformer(SHAPE).initial(2))
    torch.testing.assert_close(found, torch.log2(freqs(text)))


def test_no_byte_knows_of_itself_or_those_behind_it() -> None:
    net, text = network(), torch.randint(0, 256, (1, 30))
    found, _ = asked(net, text, net.initial(1))
    text[0, 12:] ^= 0x0F  # the high nibble of byte 12 stays
    changed, _ = asked(net, text, net.initial(1))
    torch.testing.assert_close(found[0, :12], changed[0, :12])
    torch.testing.assert_close(found[0, 12], changed[0, 12])
    assert (found[0, 13] != changed[0, 13]).any()
    text[0, 12] ^= 0xF0
    again, _ = asked(net, text, net.initial(1))
    torch.testing.assert_close(again[0, 12, 0], changed[0, 12, 0])
    assert (again[0, 12, 1] != changed[0, 12, 1]).any()  # its row of the low nibble's outputs


def test_text_in_parts_is_text_at_once() -> None:
    net, text = network(), torch.randint(0, 256, (2, 50))
    whole, _ = asked(net, text, net.initial(2))
    padded = torch.nn.functional.pad(text, (2, 0))
    before = torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)
    all_freqs, hidden, parts = freqs(text), net.initial(2), []
    for part in (slice(0, 7), slice(7, 30), slice(30, 50)):
        with torch.no_grad():
            found, hidden = net.logits(before[:, part], text[:, part], all_freqs[:, part], hidden)
        parts.append(found)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)


def test_a_fresh_row_has_forgotten() -> None:
    net, text = network(), torch.randint(0, 256, (2, 20))
    first, hidden = asked(net, text, net.initial(2))
    second, _ = asked(net, text, hidden.fresh(torch.tensor([True, False])))
    torch.testing.assert_close(second[0], first[0], atol=1e-4, rtol=1e-4)
    assert (second[1] - first[1]).abs().max() > 1e-2


def test_products_are_counted() -> None:
    net = network()
    large = [net.high, *net.transformer.attend, *net.transformer.merge, *net.transformer.widen]
    large += [*net.transformer.narrow, net.see, net.see_low]
    products = sum(part.weight.numel() for part in large if isinstance(part.weight, torch.Tensor))
    low = 16 * SHAPE.width
    attention = SHAPE.layers * 2 * SHAPE.width * SHAPE.window
    assert net.multiply_adds == products + low + attention
