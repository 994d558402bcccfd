"""Which parameter moves all rows alike on the scale of errors, as its formula shows.

Such a parameter is an offset: on the log scale a positive one in which the law is homogeneous of degree one, on the
identity scale a real one that is added. Beside a discrepancy over inputs its posterior given all else is normal, so
that it is integrated out of the density and drawn afterwards.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from bayeslaw.law.expression import Expression, evaluate
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.law.types import Array

_POINTS = 5
"""Exponents are compared where all names have some value: they may be formulas, as in ``(a**(1 / k))**k``."""
_SAME = 1e-9


def offset(spec: Spec) -> Parameter | None:
    """Return the parameter that is integrated out: its link's derivative of the law, on the scale of errors, is one.

    Parameters
    ----------
    spec : Spec

    Returns
    -------
    Parameter or None
        With a normal prior on its link scale. Of several the one whose prior is widest; None where there is none, or
        where rows are counts or independent.
    """
    if not spec.marginalised or spec.traits.counts:
        return None
    found = [p for p in spec.parameters.values() if _free(spec, p) and _moves_all_rows(spec, p)]
    return max(found, key=_width, default=None)


def _width(p: Parameter) -> float:
    low, high = p.prior_90 or (0.0, 0.0)
    return float(np.log(high / low)) if p.support == "positive" else high - low


def _free(spec: Spec, p: Parameter) -> bool:
    """Return whether a parameter has a normal prior of its own that nothing else depends on."""
    alone = p.fixed is None and p.ridge is None and p.bounds is None and not p.pool and p.prior_90 is not None
    used = any(p.name in q.ridge.symbols for q in spec.parameters.values() if q.ridge is not None)
    return alone and not used and p.support in ("positive", "real")


def _moves_all_rows(spec: Spec, p: Parameter) -> bool:
    """Return whether the law's derivative by a parameter's link is one everywhere, on the scale of errors."""
    rule = {("log", "positive"): _degree, ("identity", "real"): _slope}.get((spec.output.scale, p.support))
    if rule is None:
        return False
    rng = np.random.default_rng(0)
    names = [*spec.inputs, *(f"ref_{n}" for n in spec.inputs), *spec.scalar_names]
    known = _Known({n: rng.uniform(0.2, 0.8, _POINTS) for n in names}, {p.name: np.ones(_POINTS)})
    with np.errstate(all="ignore"):
        for derived in spec.derived.values():
            known.said[derived.name] = rule(derived.formula.tree, known)
            known.values[derived.name] = _value(derived.formula, known)
        law = rule(spec.law.tree, known)
    return law is not None and bool(np.allclose(law, 1.0, rtol=0, atol=_SAME))


@dataclass(frozen=True)
class _Known:
    """What is known of names: their values at some points, and what a rule says of those that it says something of."""

    values: dict[str, Array]
    said: dict[str, Array | None]

    def of(self, name: str) -> Array | None:
        return self.said.get(name, np.zeros(_POINTS))


def _value(formula: Expression, known: _Known) -> Array:
    """Return a formula's value at the points; not a number where it calls a function of a schedule."""
    try:
        return np.broadcast_to(cast(Array, evaluate(formula, known.values, np)), _POINTS)
    except KeyError:
        return np.full(_POINTS, np.nan)


def _degree(node: ast.AST, known: _Known) -> Array | None:
    """Return the degree of which a formula is homogeneous in the parameter, at the points; None where it is of none."""
    match node:
        case ast.Constant():
            return np.zeros(_POINTS)
        case ast.Name(id=name):
            return known.of(name)
        case ast.UnaryOp(operand=operand):
            return _degree(operand, known)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _degree(left, known), _degree(right, known)
            if a is None or b is None:
                return None
            if isinstance(op, ast.Pow):
                text = ast.unparse(right)
                exponent = _value(Expression(text, frozenset(), frozenset(), right), known)
                return None if b.any() else a * exponent if a.any() else a
            if isinstance(op, ast.Mult | ast.Div):
                return a + b if isinstance(op, ast.Mult) else a - b
            return a if np.allclose(a, b, rtol=0, atol=_SAME) else None
        case ast.Call(args=arguments):
            return _unmoved(_degree, arguments, known)
    return None


def _slope(node: ast.AST, known: _Known) -> Array | None:
    """Return a formula's derivative by the parameter where that is one number; None elsewhere."""
    match node:
        case ast.Constant():
            return np.zeros(_POINTS)
        case ast.Name(id=name):
            return known.of(name)
        case ast.UnaryOp(op=op, operand=operand):
            own = _slope(operand, known)
            return own if own is None or isinstance(op, ast.UAdd) else -own
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            a, b = _slope(left, known), _slope(right, known)
            if a is None or b is None:
                return None
            return a + b if isinstance(op, ast.Add) else a - b
        case ast.BinOp(left=left, right=right):
            return _unmoved(_slope, [left, right], known)
        case ast.Call(args=arguments):
            return _unmoved(_slope, arguments, known)
    return None


def _unmoved(rule: _Rule, parts: list[ast.expr], known: _Known) -> Array | None:
    """Return zeros where the parameter moves none of the parts."""
    said = [rule(part, known) for part in parts]
    return np.zeros(_POINTS) if all(s is not None and not s.any() for s in said) else None


_Rule = Callable[[ast.AST, _Known], Array | None]
