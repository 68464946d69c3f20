"""The operations of `_vector` as LLVM vector IR, through Numba's `@intrinsic`.

Intrinsics stand at module level because Numba's disk cache misses those made inside functions.
"""

from __future__ import annotations

import operator
import sys

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from ._machine import QUADS

__all__ = [
    "QUADS", "bit_length", "count_at_most", "dot_pairs", "dot_quads", "either", "equal", "larger",
    "largest", "less", "load_8", "load_i16", "load_i32", "load_words", "log_bits", "lshr",
    "mask_bits", "maximum", "minimum", "move_pairs", "mul16", "narrow", "one_hot", "one_hot_word",
    "pack", "product_high", "smaller", "splat", "splat_at", "splat_word", "store_bytes",
    "store_i16", "store_i32", "store_u16", "store_words", "total", "unsigned_product_high", "widen",
    "widen_signed",
]  # fmt: skip

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
V32, V16 = ir.VectorType(I32, 16), ir.VectorType(I16, 16)
PAIRS, FLOATS = ir.VectorType(I32, 8), ir.VectorType(ir.FloatType(), 8)
INT = types.int64
LOW_WORD = 0 if sys.byteorder == "little" else 1
# The order in which instructions on 128 bits at a time unpack and pack words; its own inverse.
SPLIT = [*range(4), *range(8, 12), *range(4, 8), *range(12, 16)]


class _Vector(types.Type):
    """Numba's type of sixteen integers in registers: int32, or words of 16 bits."""

    def __init__(self, element: ir.IntType) -> None:
        super().__init__(name=f"i{element.width}x16")
        self.lanes = ir.VectorType(element, 16)


vector, words = _Vector(I32), _Vector(I16)


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, fe_type.lanes)


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


def _operator(op, method, word_method=None):
    methods = {vector: method, words: word_method or method}

    @intrinsic
    def with_vector(typing, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, methods[a])(args[0], args[1])

        return a(a, b), codegen

    @intrinsic
    def with_integer(typing, a, b):
        def codegen(context, builder, signature, args):
            scalar = builder.trunc(args[1], a.lanes.element)
            return getattr(builder, methods[a])(args[0], _splat(builder, scalar, a.lanes))

        return a(a, INT), codegen

    @overload(op)
    def dispatch(a, b):
        if isinstance(a, _Vector) and a is b:
            return lambda a, b: with_vector(a, b)  # noqa: PLW0108
        if isinstance(a, _Vector) and isinstance(b, types.Integer):
            return lambda a, b: with_integer(a, np.int64(b))
        return None

    return with_vector, with_integer


add, add_integer = _operator(operator.add, "add")
sub, sub_integer = _operator(operator.sub, "sub")
mul, mul_integer = _operator(operator.mul, "mul")
shr, shr_integer = _operator(operator.rshift, "ashr", "lshr")
and_, and_integer = _operator(operator.and_, "and_")
xor, xor_integer = _operator(operator.xor, "xor")


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
def store_bytes(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        lanes = builder.trunc(args[2], ir.VectorType(I8, 16))
        return _store(context, builder, signature, args, lanes, 4)

    return types.void(array, INT, vector), codegen


@intrinsic
def store_i32(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        return _store(context, builder, signature, args, args[2], 4)

    return types.void(array, INT, vector), codegen


@intrinsic
def load_words(typing, array, offset):
    def codegen(context, builder, signature, args):
        return _load(context, builder, signature, args, V16, 2)

    return words(array, INT), codegen


@intrinsic
def store_words(typing, array, offset, value):
    def codegen(context, builder, signature, args):
        return _store(context, builder, signature, args, args[2], 2)

    return types.void(array, INT, words), codegen


@intrinsic
def load_8(typing, array, offset):
    def codegen(context, builder, signature, args):
        eight = ir.VectorType(I32, 8)
        lanes = _load(context, builder, signature, args, eight, 4)
        return builder.shuffle_vector(lanes, _const(0, eight), _mask(range(16)))

    return vector(array, INT), codegen


@intrinsic
def narrow(typing, a):
    def codegen(context, builder, signature, args):
        return builder.trunc(args[0], V16)

    return words(vector), codegen


@intrinsic
def pack(typing, a):
    def codegen(context, builder, signature, args):
        # Halves as words, so that LLVM sees the instruction and moves no lanes before it.
        halves = (
            builder.shuffle_vector(args[0], args[0], _mask(range(first, first + 8)))
            for first in (0, 8)
        )
        even = [lane + k for lane in (0, 16, 8, 24) for k in range(LOW_WORD, 8, 2)]
        return builder.shuffle_vector(*(builder.bitcast(x, V16) for x in halves), _mask(even))

    return words(vector), codegen


def _widening(method):
    @intrinsic
    def function(typing, a):
        def codegen(context, builder, signature, args):
            return getattr(builder, method)(args[0], V32)

        return vector(words), codegen

    return function


widen, widen_signed = _widening("zext"), _widening("sext")


@intrinsic
def product_high(typing, a, b):
    def codegen(context, builder, signature, args):
        product = builder.mul(*(builder.zext(x, V32) for x in args))
        return builder.trunc(builder.lshr(product, _const(16)), V16)

    return words(words, words), codegen


def _splat_of(kind):
    @intrinsic
    def function(typing, value):
        def codegen(context, builder, signature, args):
            return _splat(builder, builder.trunc(args[0], kind.lanes.element), kind.lanes)

        return kind(INT), codegen

    return function


splat, splat_word = _splat_of(vector), _splat_of(words)


@intrinsic
def splat_at(typing, array, offset):
    def codegen(context, builder, signature, args):
        return _splat(builder, _load(context, builder, signature, args, I32, 4))

    return vector(array, INT), codegen


def _one_hot(kind):
    @intrinsic
    def function(typing, lane, value):
        def codegen(context, builder, signature, args):
            lane, value = (
                _splat(builder, builder.trunc(a, kind.lanes.element), kind.lanes) for a in args
            )
            hit = builder.icmp_signed("==", ir.Constant(kind.lanes, list(range(16))), lane)
            return builder.select(hit, value, _const(0, kind.lanes))

        return kind(INT, INT), codegen

    return function


one_hot, one_hot_word = _one_hot(vector), _one_hot(words)


def _binary(name):
    @intrinsic
    def function(typing, a, b):
        def codegen(context, builder, signature, args):
            bits = a.lanes.element.width
            return _call(builder, f"llvm.{name}.v16i{bits}", a.lanes, args)

        return a(a, b), codegen

    return function


minimum, maximum = _binary("smin"), _binary("smax")
larger, smaller = _binary("umax"), _binary("umin")


def _pairs(builder, a):
    """Words two and two: the low ones of each pair as int32, and the high ones."""
    pairs = builder.bitcast(a, PAIRS)
    return builder.and_(pairs, _const(0xFFFF, PAIRS)), builder.lshr(pairs, _const(16, PAIRS))


def _words(builder, low, high):
    """Words again, out of what `_pairs` gave."""
    high = builder.shl(high, _const(16, PAIRS))
    return builder.bitcast(builder.or_(builder.and_(low, _const(0xFFFF, PAIRS)), high), V16)


@intrinsic
def lshr(typing, a, b):
    def codegen(context, builder, signature, args):
        if a is vector:
            return builder.lshr(args[0], args[1])
        # Not every processor shifts words by words.
        (low, high), (by_low, by_high) = (_pairs(builder, x) for x in args)
        return _words(builder, builder.lshr(low, by_low), builder.lshr(high, by_high))

    return a(a, b), codegen


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
            return builder.sext(builder.icmp_signed(op, args[0], args[1]), a.lanes)

        return a(a, b), codegen

    return function


equal, less = _comparison("=="), _comparison("<")


@intrinsic
def either(typing, mask, yes, no):
    def codegen(context, builder, signature, args):
        mask, yes, no = args
        return builder.xor(no, builder.and_(mask, builder.xor(yes, no)))

    return mask(mask, yes, no), codegen


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


@intrinsic
def total(typing, a):
    def codegen(context, builder, signature, args):
        if a is vector:
            return builder.sext(_call(builder, "llvm.vector.reduce.add.v16i32", I32, args), I64)
        both = builder.add(*_pairs(builder, args[0]))
        return builder.zext(_call(builder, "llvm.vector.reduce.add.v8i32", I32, [both]), I64)

    return INT(a), codegen


@intrinsic
def largest(typing, a):
    def codegen(context, builder, signature, args):
        return _splat(builder, _call(builder, "llvm.vector.reduce.smax.v16i32", I32, args))

    return vector(vector), codegen


@intrinsic
def count_at_most(typing, a, value):
    def codegen(context, builder, signature, args):
        limit = _splat(builder, builder.trunc(args[1], I32))
        hits = builder.bitcast(builder.icmp_signed("<=", args[0], limit), I16)
        return builder.zext(_call(builder, "llvm.ctpop.i16", I16, [hits]), I64)

    return INT(vector, INT), codegen


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
def dot_quads(typing, array, offset, quads, sums):
    def codegen(context, builder, signature, args):
        weights = _load(context, builder, signature, args, V32, 2)
        if QUADS:
            # The one instruction that is named: LLVM does not find it in sums of products.
            name = "llvm.x86.avx512.vpdpbusd.512"
            return _call(builder, name, V32, [args[3], weights, args[2]])
        sums = args[3]
        for shift in (24, 16, 8, 0):
            weight = builder.lshr(builder.shl(weights, _const(shift)), _const(24))
            factor = builder.ashr(builder.shl(args[2], _const(shift)), _const(24))
            sums = builder.add(sums, builder.mul(weight, factor))
        return sums

    return vector(array, INT, vector, vector), codegen


@intrinsic
def move_pairs(typing, array, offset, errors, pairs, rate):
    def codegen(context, builder, signature, args):
        narrow, wide = ir.VectorType(I16, 32), ir.VectorType(I32, 32)
        weights = _load(context, builder, signature, args, narrow, 4)
        error, inputs = (builder.bitcast(given, narrow) for given in args[2:4])
        factors = builder.mul(inputs, _splat(builder, builder.trunc(args[4], I16), narrow))
        # Halves of the product apart, which processors multiply by; the low one's upper bit rounds.
        product = builder.mul(builder.sext(error, wide), builder.sext(factors, wide))
        high = builder.trunc(builder.ashr(product, _const(16, wide)), narrow)
        rounds = builder.lshr(builder.mul(error, factors), _const(15, narrow))
        step = builder.add(high, rounds)
        moved = _call(builder, "llvm.sadd.sat.v32i16", narrow, [weights, step])
        least = _const(-32767, narrow)
        moved = _call(builder, "llvm.smax.v32i16", narrow, [moved, least])
        return _store(context, builder, signature, args, moved, 4)

    return types.void(array, INT, vector, vector, INT), codegen


@intrinsic
def log_bits(typing, a):
    def codegen(context, builder, signature, args):
        # Exact: an integer below 2**24 converts to float32 without rounding, whose bits are
        # exponent and mantissa.
        low, high = (
            builder.bitcast(builder.sitofp(x, FLOATS), PAIRS) for x in _pairs(builder, args[0])
        )
        eleven = _const(11, PAIRS)
        bits = _words(builder, builder.lshr(low, eleven), builder.lshr(high, eleven))
        return builder.sub(bits, _const((127 << 12) & 0xFFFF, V16))

    return words(words), codegen


@intrinsic
def unsigned_product_high(typing, value, count):
    def codegen(context, builder, signature, args):
        low = builder.and_(args[0], ir.Constant(I64, 0xFFFFFFFF))
        return builder.lshr(builder.mul(low, args[1]), ir.Constant(I64, 32))

    return INT(INT, INT), codegen
