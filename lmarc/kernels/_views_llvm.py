"""The operations of `_views`, through Numba's `@intrinsic`."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array


def _view(context, builder, array, value, start, end):
    whole = make_array(array)(context, builder, value)
    some = make_array(array)(context, builder)
    populate_array(
        some,
        data=builder.gep(whole.data, [start]),
        shape=cgutils.pack_array(builder, [builder.sub(end, start)]),
        strides=cgutils.pack_array(builder, [whole.itemsize]),
        itemsize=whole.itemsize,
        meminfo=None,
        parent=ir.Constant(whole.parent.type, None),
    )
    return some._getvalue()


def _signature(array):
    if isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C":
        return array(array, types.int64, types.int64)
    return None


@intrinsic
def view(typing, array, start, end):
    def codegen(context, builder, signature, args):
        return _view(context, builder, array, *args)

    return _signature(array), codegen


@intrinsic
def part(typing, array, number, count):
    def codegen(context, builder, signature, args):
        whole = make_array(array)(context, builder, args[0])
        size = builder.udiv(whole.nitems, args[2])
        start = builder.mul(args[1], size)
        return _view(context, builder, array, args[0], start, builder.add(start, size))

    return _signature(array), codegen
