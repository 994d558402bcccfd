"""Pointers for compiled code: what reads and writes by the entry, without an array's count of its users.

Numba counts an array's users whenever it is cut or passed on, one thread waiting for the other: that costs more than
an instruction of the machine does.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

NUMBERS, INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)


@intrinsic
def numbers_at(typingctx, address):
    """Return the numbers at an address."""

    def build(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(NUMBERS))

    return NUMBERS(address), build


@intrinsic
def integers_at(typingctx, address):
    """Return the integers at an address."""

    def build(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(INTEGERS))

    return INTEGERS(address), build


@intrinsic
def further(typingctx, pointer, entries):
    """Return a pointer so many entries further on."""

    def build(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, entries), build


@intrinsic
def call(typingctx, address, arguments):
    """Call the function at an address with a tuple of arguments; return its whole number."""

    def build(context, builder, signature, args):
        values = [builder.extract_value(args[1], k) for k in range(len(arguments))]
        kind = ir.FunctionType(context.get_value_type(types.int64), [v.type for v in values])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)

    return types.int64(types.int64, arguments), build
