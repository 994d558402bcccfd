"""Exponentials and logarithms of many numbers, written so that a compiler turns each loop into vector instructions.

Neither branches nor calls a library, so eight numbers go through at once where the processor can. Both are within
one unit in the last place of the exact value, and right at zero, infinity, nan and denormal numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import intrinsic

from bayeslaw.core.compiled import compiled

_LOG2_E = 1 / math.log(2)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""The logarithm of two in two pieces; the first has so few bits that small whole multiples of it are exact."""
_WHOLE = 1.5 * 2.0**52
"""Added to a number, it leaves the nearest whole one in the last bits."""
_WHOLE_BITS = int(np.float64(_WHOLE).view(np.int64))
_FRACTION = 52
_ONE_BITS = 1023 << _FRACTION
_SQRT_HALF_BITS = int(np.float64(math.sqrt(0.5)).view(np.int64))
_SMALLEST, _RAISED = 2.0**-1022, 2.0**54
_LEAST, _MOST = -746.0, 710.0
"""Beyond these an exponential is zero, or infinite."""
_E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9, _E10, _E11, _E12, _E13 = (1 / math.factorial(i) for i in range(2, 14))
# log(1 + f) = f - f²/2 + s (f²/2 + R(s²)), s = f / (2 + f): R as in Sun's fdlibm (1993), e_log.c.
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
)  # fmt: skip


@intrinsic
def _bits(typingctx, number):
    """Return a number's bits."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), build


@intrinsic
def _from_bits(typingctx, bits):
    """Return the number of these bits."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), build


@compiled(fast={"contract"})
def exp_all(z, x, n):
    """Fill z[:n] with exp(x): 2^k times the series of what is left, at most half of log 2."""
    for i in range(n):
        v = x[i]
        c = _LEAST if v < _LEAST else v
        c = _MOST if c > _MOST else c
        shifted = c * _LOG2_E + _WHOLE
        k = shifted - _WHOLE
        high = c - k * _LN2_HIGH
        r = high - k * _LN2_LOW
        lost = (high - r) - k * _LN2_LOW
        p = _E9 + r * (_E10 + r * (_E11 + r * (_E12 + r * _E13)))
        p = _E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * (_E6 + r * (_E7 + r * (_E8 + r * p))))))
        twos = _bits(shifted) - _WHOLE_BITS
        half = twos >> 1  # two factors, for 2^k alone may be no number where the result is one
        first, second = (
            _from_bits((half << _FRACTION) + _ONE_BITS),
            _from_bits(((twos - half) << _FRACTION) + _ONE_BITS),
        )
        z[i] = (1.0 + (r + (r * r * p + lost))) * first * second


@compiled(fast={"contract"})
def log_all(z, x, n):
    """Fill z[:n] with log(x): k log 2, and the series of what is left between the roots of 1/2 and 2."""
    for i in range(n):
        v = x[i]
        low = v < _SMALLEST
        bits = _bits(v * _RAISED if low else v)
        twos = (bits - _SQRT_HALF_BITS) >> _FRACTION
        f = _from_bits(bits - (twos << _FRACTION)) - 1.0
        k = _from_bits(twos + _WHOLE_BITS) - _WHOLE
        k = k - 54.0 if low else k
        s = f / (2.0 + f)
        q, square = s * s, 0.5 * f * f
        rest = q * (_L1 + q * (_L2 + q * (_L3 + q * (_L4 + q * (_L5 + q * (_L6 + q * _L7))))))
        found = k * _LN2_HIGH - ((square - (s * (square + rest) + k * _LN2_LOW)) - f)
        found = found if v < np.inf else v  # infinity, and nan
        found = found if v > 0.0 else (-np.inf if v == 0.0 else np.nan)
        z[i] = found
