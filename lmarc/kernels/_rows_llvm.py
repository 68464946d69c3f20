"""The operations of `_vector` that join lanes, or rows of sixteen words, as LLVM vector IR.

Rows are joined in the order of the usual unpack instructions, which work on 128 bits at a time, and
a sum of two products of words is written so that LLVM finds its multiply-add: what is cheap on
every processor, and required of none.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._vector_llvm import (
    I1,
    I8,
    I16,
    I32,
    I64,
    INT,
    SPLIT,
    V16,
    V32,
    _call,
    _const,
    _load,
    _mask,
    _pointer,
    _splat,
    vector,
    words,
)

__all__ = [
    "add_u16", "bit_lanes", "dots", "find_tag", "gather", "gather_8", "load_levels", "load_u32",
    "maxima", "mix", "prefetch", "prefix_sums", "scatter", "scatter_8", "vector_of",
]  # fmt: skip

HALF = ir.VectorType(I32, 8)


def _unpacks(size, lanes):
    """Two shuffles that interleave groups of `size` lanes of two vectors, 128 bits at a time."""
    part = lanes // 2
    low, high = [], []
    for first in range(0, lanes, part):
        for place in range(first, first + part // 2, size):
            for shuffle, at in ((low, place), (high, place + part // 2)):
                shuffle += [*range(at, at + size), *range(lanes + at, lanes + at + size)]
    return _mask(low), _mask(high)


def _halves(lanes):
    """The shuffles that put together the lower halves of two vectors, and the upper ones."""
    part = lanes // 2
    low = [*range(part), *range(lanes, lanes + part)]
    return _mask(low), _mask([lane + part for lane in low])


def _join(builder, rows, combine):
    """Horizontal reductions of all rows at once, a lane of the result for each.

    Every step combines neighbours into half as many vectors, with partial results of twice the
    rows.
    """
    lanes = rows[0].type.count
    size = 1
    while len(rows) * lanes > 16:
        low, high = _unpacks(size, lanes) if 2 * size < lanes else _halves(lanes)
        rows = [
            combine(builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high))
            for a, b in zip(rows[::2], rows[1::2], strict=True)
        ]
        size *= 2
    return rows


def _rows(context, builder, signature, args):
    base = _pointer(context, builder, signature, args, V16)
    rows = []
    for row in range(16):
        rows.append(builder.load(builder.gep(base, [ir.Constant(I64, row)])))
        rows[-1].align = 2
    return rows


def _pair_products(builder, a, b):
    """Lane i: a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1], of words with a sign."""
    product = builder.mul(builder.sext(a, V32), builder.sext(b, V32))
    even, odd = (builder.shuffle_vector(product, product, _mask(range(k, 16, 2))) for k in (0, 1))
    return builder.add(even, odd)


@intrinsic
def maxima(typing, array, offset):
    def codegen(context, builder, signature, args):
        rows = _rows(context, builder, signature, args)
        return _join(builder, rows, lambda a, b: _call(builder, "llvm.smax.v16i16", V16, [a, b]))[0]

    return words(array, INT), codegen


@intrinsic
def dots(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        rows = _rows(context, builder, signature, args)
        sums = _join(builder, [_pair_products(builder, r, args[2]) for r in rows], builder.add)
        return builder.shuffle_vector(*sums, _mask(range(16)))

    return vector(array, INT, words), codegen


@intrinsic
def mix(typing, array, offset, weights):
    def codegen(context, builder, signature, args):
        rows = _rows(context, builder, signature, args)
        pairs = context.make_array(signature.args[2])(context, builder, args[2]).data
        pairs = builder.bitcast(pairs, I32.as_pointer())
        sums = [_const(0, HALF), _const(0, HALF)]
        for pair in range(8):
            place = ir.Constant(I64, SPLIT[2 * pair] // 2)
            both = builder.load(builder.gep(pairs, [place]))
            both.align = 2
            factors = builder.bitcast(_splat(builder, both, HALF), V16)
            for k, lanes in enumerate(_unpacks(1, 16)):
                row = builder.shuffle_vector(rows[2 * pair], rows[2 * pair + 1], lanes)
                sums[k] = builder.add(sums[k], _pair_products(builder, row, factors))
        return builder.shuffle_vector(*sums, _mask(range(16)))

    return vector(array, INT, weights), codegen


@intrinsic
def prefix_sums(typing, a):
    def codegen(context, builder, signature, args):
        sums = args[0]
        zero = _const(0, V16)
        for step in (1, 2, 4):
            moved = [16 + lane - step if lane % 8 >= step else 0 for lane in range(16)]
            sums = builder.add(sums, builder.shuffle_vector(zero, sums, _mask(moved)))
        last = builder.shuffle_vector(sums, sums, _mask([7] * 8 + [15] * 8))
        first_half = builder.shuffle_vector(zero, last, _mask([*range(8), *range(16, 24)]))
        return builder.add(sums, first_half)

    return words(words), codegen


@intrinsic
def vector_of(typing, values):
    def codegen(context, builder, signature, args):
        result = _const(0)
        for lane, value in enumerate(cgutils.unpack_tuple(builder, args[0])):
            low = builder.trunc(value, I32)
            result = builder.insert_element(result, low, ir.Constant(I32, lane))
        return result

    return vector(types.UniTuple(INT, len(values))), codegen


@intrinsic
def bit_lanes(typing, bits):
    def codegen(context, builder, signature, args):
        own = ir.Constant(V16, [1 << lane for lane in range(16)])
        kept = builder.and_(_splat(builder, builder.trunc(args[0], I16), V16), own)
        return builder.sext(builder.icmp_signed("==", kept, own), V16)

    return words(INT), codegen


@intrinsic
def load_levels(typing, array, offset, mask):
    def codegen(context, builder, signature, args):
        eight = ir.VectorType(I8, 8)
        packed = builder.and_(_load(context, builder, signature, args, I64, 1), args[2])
        pairs = builder.bitcast(packed, eight)
        low = builder.and_(pairs, _const(15, eight))
        high = builder.lshr(pairs, _const(4, eight))
        order = [lane // 2 + 8 * (lane % 2) for lane in range(16)]
        return builder.zext(builder.shuffle_vector(low, high, _mask(order)), V16)

    return words(array, INT, INT), codegen


@intrinsic
def load_u32(typing, array, offset):
    def codegen(context, builder, signature, args):
        return builder.zext(_load(context, builder, signature, args, I32, 1), I64)

    return INT(array, INT), codegen


@intrinsic
def find_tag(typing, array, offset, tag):
    def codegen(context, builder, signature, args):
        eight = ir.VectorType(I16, 8)
        found = _load(context, builder, signature, args, eight, 4)
        wanted = _splat(builder, builder.trunc(args[2], I16), eight)
        hits = builder.zext(builder.bitcast(builder.icmp_signed("==", found, wanted), I8), I64)
        # The last two words are no tags.
        return builder.cttz(builder.or_(hits, ir.Constant(I64, 1 << 6)), ir.Constant(I1, 1))

    return INT(array, INT, INT), codegen


@intrinsic
def add_u16(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, signature, args, I16)
        total = [builder.load(pointer), builder.trunc(args[2], I16)]
        builder.store(_call(builder, "llvm.uadd.sat.i16", I16, total), pointer)
        return context.get_dummy_value()

    return types.void(array, INT, INT), codegen


def _place(context, builder, signature, args, lane):
    """A pointer to the element of the first array that the second one's element `lane` numbers."""
    array, places = (
        context.make_array(kind)(context, builder, value).data
        for kind, value in zip(signature.args[:2], args[:2], strict=True)
    )
    place = builder.load(builder.gep(places, [ir.Constant(I64, lane)]))
    return builder.gep(array, [builder.zext(place, I64)])


def _gather(count):
    @intrinsic
    def function(typing, array, places):
        def codegen(context, builder, signature, args):
            result = _const(0)
            for lane in range(count):
                value = builder.load(_place(context, builder, signature, args, lane))
                result = builder.insert_element(result, value, ir.Constant(I32, lane))
            return result

        return vector(array, places), codegen

    return function


gather, gather_8 = _gather(16), _gather(8)


def _scatter(count):
    @intrinsic
    def function(typing, array, places, value):
        def codegen(context, builder, signature, args):
            for lane in range(count):
                element = builder.extract_element(args[2], ir.Constant(I32, lane))
                builder.store(element, _place(context, builder, signature, args, lane))
            return context.get_dummy_value()

        return types.void(array, places, vector), codegen

    return function


scatter, scatter_8 = _scatter(16), _scatter(8)


@intrinsic
def prefetch(typing, array, offset):
    def codegen(context, builder, signature, args):
        address = _pointer(context, builder, signature, args, I8)
        hints = [ir.Constant(I32, k) for k in (0, 3, 1)]  # read, keep, data
        void = ir.FunctionType(ir.VoidType(), [address.type, I32, I32, I32])
        prefetcher = cgutils.get_or_insert_function(builder.module, void, "llvm.prefetch.p0")
        builder.call(prefetcher, [address, *hints])
        return context.get_dummy_value()

    return types.void(array, INT), codegen
