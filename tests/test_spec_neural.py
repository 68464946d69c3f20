"""The vectors of spec/v1/neural.md hold for the kernels and for the reference decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmarc.codec.vectors import small_network
from lmarc.kernels import network, neural, patches
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import load_i32, store_i32
from lmarc.model.patches import LONGEST, PATCHES, kernel_of, new_memory, shapes
from lmarc.model.transformer import MAX_EXPONENT, Sizes
from tests.test_spec_vectors import tables, vectors
from tools import reference_decoder


@kernel
def functions_of(totals: Any, out: Any) -> None:
    """Write squash with both shifts and gate of sixteen totals."""
    store_i32(out, 0, network._squash(load_i32(totals, 0), 3))
    store_i32(out, 16, network._squash(load_i32(totals, 0), 4))
    store_i32(out, 32, network._gate(load_i32(totals, 0)))


@kernel
def moved_of(sums: Any, state: Any, out: Any) -> None:
    """Write what becomes of sixteen states, as products take it, and corrections of `keep`."""
    units = network._step(sums, 0, 16, state, 0)
    store_i32(out, 0, units)
    store_i32(out, 16, network._input(units))
    store_i32(out, 32, network._logits(load_i32(sums, 0)))


@kernel
def carried_of(units: Any, sums: Any, below: Any, out: Any) -> None:
    """Write sixteen numbers that leave a later layer."""
    gate = network._gate(load_i32(sums, 0))
    found = network._carried(load_i32(units, 0), gate, load_i32(below, 0))
    store_i32(out, 0, network._input(found))


@kernel
def join_of(joint: Any, freqs: Any, corrections: Any, half: Any, symbol: Any, out: Any) -> None:
    """Join, write the joint freqs, and learn."""
    neural._join(joint, load_i32(freqs, 0), load_i32(corrections, 0), half)
    store_i32(out, 0, load_i32(joint.freqs, 0))
    neural._learn_join(joint, symbol)


def test_states_move_as_on_the_page() -> None:
    (rows,) = tables(vectors("neural.md", "neural-moved"))
    numbers = [[int(cell) for cell in row] for row in rows]
    keep, new, state = np.zeros((3, 16), np.int32)
    for lane, row in enumerate(numbers):
        keep[lane], new[lane], state[lane] = row[:3]
    out = np.zeros(48, np.int32)
    moved_of(np.concatenate([keep, new]), state.astype(np.int16), out)
    for lane, (*given, moved, entering, correction) in enumerate(numbers):
        assert out[lane::16].tolist() == [moved, entering, correction]
        assert reference_decoder.moved(*given) == moved
        assert reference_decoder.product_input(moved) == entering
        assert reference_decoder.correction(given[0]) == correction


def test_what_leaves_later_layers_is_as_on_the_page() -> None:
    (rows,) = tables(vectors("neural.md", "carried"))
    numbers = [[int(cell) for cell in row] for row in rows]
    units, sums, below = np.zeros((3, 16), np.int32)
    for lane, row in enumerate(numbers):
        units[lane], sums[lane], below[lane] = row[:3]
    out = np.zeros(16, np.int32)
    carried_of(units, sums, below, out)
    for lane, (*given, leaving) in enumerate(numbers):
        assert out[lane] == reference_decoder.carried(*given) == leaving


@kernel
def ends(net: Any, memory: Any, before: Any, first_out: Any) -> int:
    """Take in a byte; return whether a patch ends with it."""
    return patches._cut(net, memory, before, first_out, 1, 0)


@kernel
def step_of(net: Any, memory: Any) -> None:
    """Take a patch through the Transformer, of which the sums are what its bytes bring."""
    patches._step(net, memory, 1)


def still(sizes: Sizes, n2: int) -> dict[str, Any]:
    """Return a Transformer whose layers change nothing, and products that bring nothing."""
    arrays = {
        name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes(sizes, 16, n2).items()
    }
    return arrays | {PATCHES: np.array(sizes)}


def test_bytes_are_cut_into_patches_as_on_the_page() -> None:
    rows, _, _ = tables(vectors("neural.md", "patches"))
    sizes = Sizes(16, 1, 1, 16, 16)
    net = kernel_of(still(sizes, 16))
    for row in rows:
        content, ended, left = (bytes.fromhex(cell.replace(";", "")) for cell in row)
        expected = [bytes.fromhex(patch) for patch in row[1].split(";")]
        assert ended + left == b"\0" + content
        memory = new_memory(sizes, 16, 16, 1, 1)
        cuts: list[bytes] = []
        found: list[bytes] = []
        patch, begun = b"", 0
        for at, byte in enumerate(b"\0" + content):
            last = content[at - 2] if at > 1 else 0
            patch += bytes([byte])
            if reference_decoder.patch_ends(byte, last, len(patch)):
                cuts.append(patch)
                patch = b""
            if ends(net, memory, np.array([byte, last]), np.zeros(16, np.int16)):
                found.append(bytes(memory.bytes[: at + 1 - begun].tolist()))
                begun = at + 1
        assert found == cuts == expected
        assert patch == left
        assert memory.lengths[0] == len(left) < LONGEST
        assert memory.counts[0] == len(expected)


def test_what_enters_the_transformer_is_as_on_the_page() -> None:
    _, rows, _ = tables(vectors("neural.md", "patches"))
    numbers = [[int(cell) for cell in row] for row in rows]
    sizes = Sizes(32, 1, 1, 16, 16)
    memory = new_memory(sizes, 16, 16, 1, 1)
    for lane, (total, places, _) in enumerate(numbers):
        memory.sums[lane] = reference_decoder.wrap(total + 64 * places)
    step_of(kernel_of(still(sizes, 16)), memory)
    for lane, (*given, entering) in enumerate(numbers):
        assert memory.transformer.stream[lane] == reference_decoder.entering(*given) == entering


def test_what_patches_give_is_as_on_the_page() -> None:
    _, _, rows = tables(vectors("neural.md", "patches"))
    numbers = [[int(cell) for cell in row] for row in rows]
    sizes = Sizes(512, 1, 1, 16, 16)
    arrays = still(sizes, 16)
    for lane, (total, _) in enumerate(numbers):
        # What leaves is 32 in all places, since all that enters is the same.
        zeros = min(((total & -total).bit_length() or 32) - 1 - 5, MAX_EXPONENT)
        arrays["give_exp"][lane] = MAX_EXPONENT - zeros
        each, more = divmod(total >> 5 + zeros, 512)
        arrays["give"][lane] = each
        arrays["give"][lane, :more] += 1
    memory = new_memory(sizes, 16, 16, 1, 1)
    memory.sums[:512] = 1 << 17
    step_of(kernel_of(arrays), memory)
    assert set(memory.transformer.normed.tolist()) == {32}
    for lane, (total, given) in enumerate(numbers):
        assert memory.sums[lane] == reference_decoder.given(total) == given


def test_mixture_and_network_are_joined_as_on_the_page() -> None:
    (rows,) = tables(vectors("neural.md", "neural-join"))
    for row in rows:
        freqs, corrections, weights, rate, symbol, joint_freqs, after = (
            [int(number) for number in cell.split()] for cell in row
        )
        model = small_network()
        sureness = (65_536 - max(freqs)).bit_length() - 1
        for half in range(2):
            at = 2 * (16 * half + sureness)
            joint = model.joint()
            joint.weights[at : at + 2] = weights
            joint = joint._replace(rate=np.array(rate, np.int32))
            out = np.zeros(16, np.int32)
            shares, logits = np.array(freqs, np.int32), np.array(corrections, np.int32)
            join_of(joint, shares, logits, half, symbol[0], out)
            assert out.tolist() == joint_freqs
            assert joint.weights[at : at + 2].tolist() == after
        inputs = [[reference_decoder.log2(freq) - 12_288 for freq in freqs], corrections]
        applied = [reference_decoder.applied(weight) for weight in weights]
        assert reference_decoder.freqs_of(inputs, applied) == joint_freqs


def test_the_functions_have_the_values_of_the_page() -> None:
    (rows,) = tables(vectors("neural.md", "neural-functions"))
    numbers = [[int(cell) for cell in row] for row in rows]
    totals = np.zeros(16, np.int32)
    totals[: len(numbers)] = [row[0] for row in numbers]
    out = np.zeros(48, np.int32)
    functions_of(totals, out)
    for lane, (total, *expected) in enumerate(numbers):
        assert out[lane::16].tolist() == expected
        found = [reference_decoder.squash(total, shift) for shift in (3, 4)]
        assert [*found, reference_decoder.gate(total)] == expected
