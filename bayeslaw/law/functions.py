"""Lists the functions that a formula may call: one table for the parser and every library that evaluates a formula.

A row says how many arguments a function takes, what its derivatives are, how it is computed on single numbers and,
where NumPy does not have it, on arrays. The parser's list, the namespaces of NumPy, xarray and PyTensor, and
the gradients of point fits all follow from the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from bayeslaw.law.types import Ops, Value

_HALLEY_STEPS = 4
_BELOW_ONE = 1 - 2.0**-53
_FAR = 300.0
"""Logits beyond this are as good as infinite; squares of their exponentials still are numbers."""


@dataclass(frozen=True)
class Function:
    """A function of one or more values, elementwise.

    Attributes
    ----------
    arity : int
        How many arguments it takes.
    derivatives : callable
        (argument, …, result, ops) -> tuple of the derivatives with respect to each argument.
    plain : callable, optional
        The function on single numbers, where an overflow is an error. Without it `form` serves.
    form : callable, optional
        (argument, …, ops) -> value, on any array library; without it every library has the function under the
        same name. A library that has one of its own under that name uses its own.
    """

    arity: int
    derivatives: Callable[..., tuple[Value, ...]]
    plain: Callable[..., float] | None = None
    form: Callable[..., Value] | None = None


def call(name: str, arguments: Sequence[Value], ops: Ops) -> Value:
    """Call a function of the table.

    Parameters
    ----------
    name : str
        A key of `FUNCTIONS` or `MORE`.
    arguments : sequence of array
    ops : namespace
        See `bayeslaw.law.expression.evaluate`.

    Returns
    -------
    array
        Of the kind and the broadcast shape of the arguments.
    """
    # Never getattr(ops, name) for any other name: a formula reaches what the table lists.
    form = (FUNCTIONS[name] if name in FUNCTIONS else MORE[name]).form
    if form is not None and not hasattr(ops, name):
        return form(*arguments, ops)
    return getattr(ops, name)(*arguments)


def sigmoid_root(log_t: Value, a: Value, ops: Ops) -> Value:
    """Solve s / (1 - s)**a = t for s in (0, 1).

    Parameters
    ----------
    log_t : array
        The logarithm of t.
    a : array
        Positive.
    ops : namespace
        See `bayeslaw.law.expression.evaluate`.

    Returns
    -------
    array
        Relative error below 1e-13 for a in [0.01, 100].

    Notes
    -----
    With s = 1 / (1 + exp(-u)) the equation is u + (a - 1) log(1 + exp(u)) = log t: the left side rises,
    is convex or concave throughout, and has the asymptotes u and a u, whose inverse is the start; from
    there four of Halley's third-order steps are enough.
    """
    log_t = ops.maximum(ops.minimum(log_t, _FAR * a), -_FAR)
    u = ops.minimum(log_t, 0.0) + ops.maximum(log_t, 0.0) / a
    for _ in range(_HALLEY_STEPS):
        s = 1 / (1 + ops.exp(-u))
        miss = u + (a - 1) * ops.log1p(ops.exp(u)) - log_t
        rise = 1 + (a - 1) * s
        u = u - miss / (rise - 0.5 * miss * (a - 1) * s * (1 - s) / rise)
    return 1 / (1 + ops.exp(-u))


def _root_derivatives(log_t: Value, a: Value, s: Value, ops: Ops) -> tuple[Value, Value]:
    """Return the derivatives of the root with respect to log t and a."""
    by_log_t = s * (1 - s) / (1 + (a - 1) * s)
    return by_log_t, by_log_t * ops.log1p(-ops.minimum(s, _BELOW_ONE))


FUNCTIONS: dict[str, Function] = {
    "exp": Function(1, lambda x, y, ops: (y,), math.exp),
    "expm1": Function(1, lambda x, y, ops: (y + 1,), math.expm1),
    "log": Function(1, lambda x, y, ops: (1 / x,), math.log),
    "log1p": Function(1, lambda x, y, ops: (1 / (1 + x),), math.log1p),
    # The derivative goes to the argument that was chosen; of equal ones to the first.
    "maximum": Function(2, lambda a, b, y, ops: (a >= b, 1 - (a >= b)), max),
    "minimum": Function(2, lambda a, b, y, ops: (a < b, 1 - (a < b)), min),
    "sqrt": Function(1, lambda x, y, ops: (0.5 / y,), math.sqrt),
    "tanh": Function(1, lambda x, y, ops: (1 - y**2,), math.tanh),
    "sigmoid_root": Function(2, _root_derivatives, form=sigmoid_root),
}
"""Functions that a formula may call, by name."""

MORE: dict[str, Function] = {
    "cos": Function(1, lambda x, y, ops: (-ops.sin(x),), math.cos),
    "arccos": Function(1, lambda x, y, ops: (-1 / ops.sqrt(1 - x**2),), math.acos),
}
"""Functions that functions of schedules call, beside those of formulas; no formula reaches them."""

PLAIN = cast(
    Ops, SimpleNamespace(power=math.pow, **{n: f.plain for n, f in FUNCTIONS.items() if f.plain is not None})
)
"""The namespace of single numbers."""
