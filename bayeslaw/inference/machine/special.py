"""Special functions, compiled: the digamma function, the standard normal truncated to an interval."""

from __future__ import annotations

import math

import numpy as np

from bayeslaw.core.compiled import compiled

_LARGE = 10.0
_CENTRAL, _MIDDLE = 0.425, 5.0
_LEAST = 2.0**-1022
# Wichura (1988), algorithm AS 241, PPND16: the normal's quantiles to 16 digits, by three ratios of polynomials.
_A = (
    3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
    45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727,
)  # fmt: skip
_B = (
    1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077, 21213.794301586595867,
    39307.895800092710610, 28729.085735721942674, 5226.4952788528545610,
)  # fmt: skip
_C = (
    1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
    1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833, 7.74545014278341407640e-4,
)  # fmt: skip
_D = (
    1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550, 0.148103976427480074590,
    0.0151986665636164571966, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
)  # fmt: skip
_E = (
    6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230,
    0.0265321895265761230930, 0.00124266094738807843860, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
_F = (
    1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525, 7.86869131145613259100e-4,
    1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
)  # fmt: skip


@compiled
def digamma(x):
    """Return the derivative of log gamma; x > 0."""
    if not x > 0:
        return np.nan
    shift = 0.0
    while x < _LARGE:
        shift -= 1 / x
        x += 1
    y = 1 / (x * x)
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * 691 / 32760)))))
    return shift + math.log(x) - 0.5 / x - series


@compiled
def _ratio(above, below, r):
    top, bottom = above[7], below[7]
    for i in range(6, -1, -1):
        top, bottom = top * r + above[i], bottom * r + below[i]
    return top / bottom


@compiled
def _lower_quantile(p):
    """Return the standard normal's quantile of p in [0, 0.5]."""
    q = p - 0.5
    if q >= -_CENTRAL:
        return q * _ratio(_A, _B, _CENTRAL * _CENTRAL - q * q)
    r = math.sqrt(-math.log(max(p, _LEAST)))
    return -(_ratio(_C, _D, r - 1.6) if r <= _MIDDLE else _ratio(_E, _F, r - _MIDDLE))


@compiled
def _below(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@compiled
def truncated(z, low, high):
    """Return where a standard normal truncated to [low, high] stands as far out as z does in the whole one."""
    mass = _below(-low) - _below(-high) if low > 0 else _below(high) - _below(low)
    below, above = _below(low) + mass * _below(z), _below(-high) + mass * _below(-z)
    x = _lower_quantile(below) if below < above else -_lower_quantile(above)  # each tail keeps its digits
    return min(max(x, low), high)
