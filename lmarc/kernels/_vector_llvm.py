"""The operations of `_vector` as LLVM vector IR, through Numba's `@intrinsic`.

Intrinsics stand at module level because Numba's disk cache misses those made inside functions.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

__all__ = [
    "bit_length", "count_at_most", "dot_pairs", "dots", "either", "equal",
    "exponent_and_fraction", "find_u16", "gather", "largest", "less", "load_i16", "load_i32",
    "load_nibbles", "load_u16", "lshr", "mask_bits", "maxima", "maximum", "minimum", "mul16",
    "one_hot", "prefetch", "prefix_sums", "scatter", "scatter_8", "splat", "splat_at",
    "store_i16", "store_i32", "store_u16", "total", "unsigned_product_high",
]  # fmt: skip

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
V32, V16 = ir.VectorType(I32, 16), ir.VectorType(I16, 16)
FLOATS = ir.VectorType(ir.FloatType(), 16)
INT = types.int64


class _Vector(types.Type):
    """Numba's type of sixteen int32 in a register."""

    def __init__(self) -> None:
        super().__init__(name="i32x16")


vector = _Vector()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, V32)


def _const(value, ty=V32):
    return ir.Constant(ty, [int(value)] * ty.count)


def _mask(lanes):
    lanes = list(lanes)
    return ir.Constant(ir.VectorType(I32, len(lanes)), lanes)


def _splat(builder, scalar, ty=V32):
    undef = ir.Constant(ty, ir.Undefined)
    one = builder.insert_element(undef, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, undef, _mask([0] * ty.count))


def _call(builder, name, result, args):
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _pointer(context, builder, signature, args, ty):
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), ty.as_pointer())


def _load(context, builder, signature, args, ty, align):
    value = builder.load(_pointer(context, builder, signature, args, ty))
    value.align = align
    return value


def _store(context, builder, signature, args, value, align):
    builder.store(value, _pointer(context, builder, signature, args, value.type)).align = align
    return context.get_dummy_value()


def _operator(op, method):
    @intrinsic
    def with_vector(typing, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, method)(args[0], args[1])

        return vector(vector, vector), codegen

    @intrinsic
    def with_integer(typing, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, method)(args[0], _splat(builder, builder.trunc(args[1], I32)))

        return vector(vector, INT), codegen

    @overload(op)
    def dispatch(a, b):
        if a is vector and b is vector:
            return lambda a, b: with_vector(a, b)  # noqa: PLW0108
        if a is vector and isinstance(b, types.Integer):
            return lambda a, b: with_integer(a, np.int64(b))
        return None

    return with_vector, with_integer


add, add_integer = _operator(operator.add, "add")
sub, sub_integer = _operator(operator.sub, "sub")
mul, mul_integer = _operator(operator.mul, "mul")
ashr, ashr_integer = _operator(operator.rshift, "ashr")
and_, and_integer = _operator(operator.and_, "and_")
xor, xor_integer = _operator(operator.xor, "xor")


@intrinsic
def load_u16(typing, array, offset):
    def codegen(context, builder, signature, args):
        return builder.zext(_load(context, builder, signature, args, V16, 2), V32)

    return vector(array, INT), codegen


@intrinsic
def load_i16(typing, array, offset):
    def codegen(context, builder, signature, args):
        return builder.sext(_load(context, builder, signature, args, V16, 2), V32)

    return vector(array, INT), codegen


@intrinsic
def load_i32(typing, array, offset):
    def codegen(context, builder, signature, args):
        return _load(context, builder, signature, args, V32, 4)

    return vector(array, INT), codegen


@intrinsic
def store_u16(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        return _store(context, builder, signature, args, builder.trunc(args[2], V16), 2)

    return types.void(array, INT, vector), codegen


store_i16 = store_u16


@intrinsic
def store_i32(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        return _store(context, builder, signature, args, args[2], 4)

    return types.void(array, INT, vector), codegen


@intrinsic
def load_nibbles(typing, array, offset):
    def codegen(context, builder, signature, args):
        words = _load(context, builder, signature, args, ir.VectorType(I32, 2), 1)
        spread = builder.shuffle_vector(words, words, _mask([0] * 8 + [1] * 8))
        shifted = builder.lshr(spread, ir.Constant(V32, [4 * (lane % 8) for lane in range(16)]))
        return builder.and_(shifted, _const(15))

    return vector(array, INT), codegen


@intrinsic
def splat(typing, value):
    def codegen(context, builder, signature, args):
        return _splat(builder, builder.trunc(args[0], I32))

    return vector(INT), codegen


@intrinsic
def splat_at(typing, array, offset):
    def codegen(context, builder, signature, args):
        return _splat(builder, _load(context, builder, signature, args, I32, 4))

    return vector(array, INT), codegen


@intrinsic
def one_hot(typing, lane, value):
    def codegen(context, builder, signature, args):
        lane, value = (_splat(builder, builder.trunc(a, I32)) for a in args)
        hit = builder.icmp_signed("==", ir.Constant(V32, list(range(16))), lane)
        return builder.select(hit, value, _const(0))

    return vector(INT, INT), codegen


def _binary(name):
    @intrinsic
    def function(typing, a, b):
        def codegen(context, builder, signature, args):
            return _call(builder, f"llvm.{name}.v16i32", V32, args)

        return vector(vector, vector), codegen

    return function


minimum, maximum = _binary("smin"), _binary("smax")


@intrinsic
def lshr(typing, a, b):
    def codegen(context, builder, signature, args):
        return builder.lshr(args[0], args[1])

    return vector(vector, vector), codegen


@intrinsic
def mul16(typing, a, b):
    def codegen(context, builder, signature, args):
        # Saying that the lanes fit 16 bits lets LLVM use the faster 16-bit multiply-add.
        a, b = (builder.sext(builder.trunc(x, V16), V32) for x in args)
        return builder.mul(a, b)

    return vector(vector, vector), codegen


def _comparison(op):
    @intrinsic
    def function(typing, a, b):
        def codegen(context, builder, signature, args):
            return builder.sext(builder.icmp_signed(op, args[0], args[1]), V32)

        return vector(vector, vector), codegen

    return function


equal, less = _comparison("=="), _comparison("<")


@intrinsic
def either(typing, mask, yes, no):
    def codegen(context, builder, signature, args):
        mask, yes, no = args
        return builder.xor(no, builder.and_(mask, builder.xor(yes, no)))

    return vector(vector, vector, vector), codegen


@intrinsic
def mask_bits(typing, mask):
    def codegen(context, builder, signature, args):
        return builder.zext(
            builder.bitcast(builder.icmp_signed("!=", args[0], _const(0)), I16), I64
        )

    return INT(vector), codegen


@intrinsic
def bit_length(typing, value):
    def codegen(context, builder, signature, args):
        zeros = builder.ctlz(args[0], ir.Constant(I1, 0))
        return builder.sub(ir.Constant(I64, 64), zeros)

    return INT(INT), codegen


def _addresses(context, builder, signature, args):
    array = context.make_array(signature.args[0])(context, builder, args[0])
    wide = ir.VectorType(I64, 16)
    base = _splat(builder, builder.ptrtoint(array.data, I64), wide)
    offsets = builder.mul(builder.sext(args[1], wide), _const(4, wide))
    return builder.inttoptr(builder.add(base, offsets), ir.VectorType(I32.as_pointer(), 16))


def _lanes_mask(n_lanes):
    return ir.Constant(ir.VectorType(I1, 16), [int(lane < n_lanes) for lane in range(16)])


@intrinsic
def gather(typing, array, offsets):
    def codegen(context, builder, signature, args):
        pointers = _addresses(context, builder, signature, args)
        arguments = [pointers, ir.Constant(I32, 4), _lanes_mask(16), _const(0)]
        return _call(builder, "llvm.masked.gather.v16i32.v16p0", V32, arguments)

    return vector(array, vector), codegen


def _scatter(n_lanes):
    @intrinsic
    def function(typing, array, offsets, value):
        def codegen(context, builder, signature, args):
            pointers = _addresses(context, builder, signature, args)
            arguments = [args[2], pointers, ir.Constant(I32, 4), _lanes_mask(n_lanes)]
            _call(builder, "llvm.masked.scatter.v16i32.v16p0", ir.VoidType(), arguments)
            return context.get_dummy_value()

        return types.void(array, vector, vector), codegen

    return function


scatter, scatter_8 = _scatter(16), _scatter(8)


@intrinsic
def total(typing, a):
    def codegen(context, builder, signature, args):
        return builder.sext(_call(builder, "llvm.vector.reduce.add.v16i32", I32, args), I64)

    return INT(vector), codegen


@intrinsic
def largest(typing, a):
    def codegen(context, builder, signature, args):
        return _splat(builder, _call(builder, "llvm.vector.reduce.smax.v16i32", I32, args))

    return vector(vector), codegen


@intrinsic
def prefix_sums(typing, a):
    def codegen(context, builder, signature, args):
        sums = args[0]
        for step in (1, 2, 4, 8):
            moved = [16 + lane - step if lane >= step else 0 for lane in range(16)]
            sums = builder.add(sums, builder.shuffle_vector(_const(0), sums, _mask(moved)))
        return sums

    return vector(vector), codegen


@intrinsic
def count_at_most(typing, a, value):
    def codegen(context, builder, signature, args):
        limit = _splat(builder, builder.trunc(args[1], I32))
        hits = builder.bitcast(builder.icmp_signed("<=", args[0], limit), I16)
        return builder.zext(_call(builder, "llvm.ctpop.i16", I16, [hits]), I64)

    return INT(vector, INT), codegen


@intrinsic
def find_u16(typing, array, offset, value, n_lanes):
    def codegen(context, builder, signature, args):
        eight = ir.VectorType(I16, 8)
        found = _load(context, builder, signature, args, eight, 2)
        wanted = _splat(builder, builder.trunc(args[2], I16), eight)
        hits = builder.bitcast(builder.icmp_signed("==", found, wanted), I8)
        kept = builder.and_(
            builder.zext(hits, I64),
            builder.sub(builder.shl(ir.Constant(I64, 1), args[3]), ir.Constant(I64, 1)),
        )
        return builder.cttz(builder.or_(kept, ir.Constant(I64, 1 << 32)), ir.Constant(I1, 1))

    return INT(array, INT, INT, INT), codegen


def _reduce_rows(builder, rows, combine):
    """Sixteen horizontal reductions at once: lane `j` of the result is that of row `j`.

    After the step of width w every vector holds partial results of 2 w rows, a lane for each; 15
    steps in place of 16 reductions.
    """
    width = 1
    while len(rows) > 1:
        low = [lane if not lane & width else 16 + (lane ^ width) for lane in range(16)]
        high = [lane ^ width if not lane & width else 16 + lane for lane in range(16)]
        rows = [
            combine(
                builder.shuffle_vector(a, b, _mask(low)), builder.shuffle_vector(a, b, _mask(high))
            )
            for a, b in zip(rows[::2], rows[1::2], strict=True)
        ]
        width *= 2
    return rows[0]


@intrinsic
def maxima(typing, array, offset):
    def codegen(context, builder, signature, args):
        base = _pointer(context, builder, signature, args, V16)
        rows = []
        for row in range(16):
            lanes = builder.load(builder.gep(base, [ir.Constant(I64, row)]))
            lanes.align = 2
            rows.append(builder.sext(lanes, V32))
        return _reduce_rows(
            builder, rows, lambda a, b: _call(builder, "llvm.smax.v16i32", V32, [a, b])
        )

    return vector(array, INT), codegen


@intrinsic
def dots(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        base = _pointer(context, builder, signature, args, V16)
        factor = builder.sext(builder.trunc(args[2], V16), V32)
        sums = []
        for row in range(16):
            lanes = builder.load(builder.gep(base, [ir.Constant(I64, row)]))
            lanes.align = 2
            sums.append(builder.mul(builder.sext(lanes, V32), factor))
        return _reduce_rows(builder, sums, builder.add)

    return vector(array, INT, vector), codegen


@intrinsic
def dot_pairs(typing, array, offset, pairs):
    def codegen(context, builder, signature, args):
        # In this form LLVM finds the multiply-add of pairs, with AVX-512 VNNI the one that adds to
        # a sum too; with the lanes taken apart before the product it does not.
        narrow, wide = ir.VectorType(I16, 32), ir.VectorType(I32, 32)
        weights = _load(context, builder, signature, args, narrow, 2)
        factors = builder.bitcast(args[2], narrow)
        products = builder.mul(builder.sext(weights, wide), builder.sext(factors, wide))
        even, odd = (
            builder.shuffle_vector(products, products, _mask(range(first, 32, 2)))
            for first in (0, 1)
        )
        return builder.add(even, odd)

    return vector(array, INT, vector), codegen


@intrinsic
def exponent_and_fraction(typing, a):
    def codegen(context, builder, signature, args):
        # Exact: an integer below 2**24 converts to float32 without rounding, whose bits are
        # exponent and mantissa.
        bits = builder.bitcast(builder.sitofp(args[0], FLOATS), V32)
        return builder.sub(builder.ashr(bits, _const(11)), _const(127 << 12))

    return vector(vector), codegen


@intrinsic
def unsigned_product_high(typing, value, count):
    def codegen(context, builder, signature, args):
        low = builder.and_(args[0], ir.Constant(I64, 0xFFFFFFFF))
        return builder.lshr(builder.mul(low, args[1]), ir.Constant(I64, 32))

    return INT(INT, INT), codegen


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
