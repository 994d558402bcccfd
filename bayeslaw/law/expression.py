"""Parses formulas against a closed table, and evaluates them on NumPy, xarray, PyTensor or traced values.

A formula comes from a file that anybody may have written, so nothing of it is ever executed: it is
parsed into a tree, the tree is checked node by node against closed tables, and the evaluation walks
that tree. There are no attributes, no subscripts, no keywords and no names but the given ones.
"""

from __future__ import annotations

import ast
import keyword
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.functions import FUNCTIONS, PLAIN, call
from bayeslaw.law.types import Ops, Value, Values

_BINARY: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY: dict[type[ast.unaryop], Callable[[Value], Value]] = {
    ast.USub: operator.neg,
    ast.UAdd: lambda x: x,
}  # PyTensor variables have no unary plus
MAX_LENGTH = 1000
MAX_DEPTH = 40


@dataclass(frozen=True)
class Expression:
    """A parsed formula.

    Attributes
    ----------
    text : str
        The formula as written.
    symbols : frozenset of str
        Names of values it uses, arguments of calls included.
    calls : frozenset of tuple of str
        Calls of functions that are not in `FUNCTIONS`: (name, names of the arguments …).
    """

    text: str
    symbols: frozenset[str]
    calls: frozenset[tuple[str, ...]]
    tree: ast.expr = field(repr=False, compare=False)


def parse(text: str, where: str = "formula") -> Expression:
    """Parse a formula.

    Parameters
    ----------
    text : str
        For example ``"E0 + C0 * C**-alpha"``.
    where : str
        What to call it in an error message.

    Returns
    -------
    Expression

    Raises
    ------
    InputError
        If it is not text, too long, too deep, no valid formula, or uses anything but numbers,
        names, ``+ - * / **``, parentheses and calls of known functions.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: expected a formula as text, found {text!r}.")
    if len(text) > MAX_LENGTH:
        raise InputError(f"{where}: {len(text)} characters; a formula has at most {MAX_LENGTH}.")
    text = text.strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{where}: {text!r} is not a formula ({error}); {_advice(text)}") from None
    symbols: set[str] = set()
    calls: set[tuple[str, ...]] = set()
    _check(tree, text, where, symbols, calls, depth=0)
    _check_constants(tree, text, where)
    return Expression(text, frozenset(symbols), frozenset(calls), tree)


def _advice(text: str) -> str:
    """Say what may be wrong with a text that does not parse."""
    words = [w for w in re.findall(r"[A-Za-z_]+", text) if keyword.iskeyword(w)]
    if not words:
        return "write it as in 'E0 + C0 * C**-alpha'."
    hint = "call it 'lam'" if words[0] == "lambda" else "choose another name"
    return f"{words[0]!r} is a word of Python and can't be a symbol: {hint}."


def _check_constants(tree: ast.expr, text: str, where: str) -> None:
    """Refuse parts without names that have no finite value, such as ``9**9**9**9`` or ``1 / 0``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Call):
            try:
                _walk(node, {}, PLAIN, {})
            except KeyError:  # it has names
                continue
            except (OverflowError, ZeroDivisionError, ValueError) as error:
                found = ast.get_source_segment(text, node)
                raise InputError(f"{where}: {found!r} has no finite value ({error}).") from None


def _check(
    node: ast.AST, text: str, where: str, symbols: set[str], calls: set[tuple[str, ...]], depth: int
) -> None:
    """Refuse every node that is not in the tables, and collect the names."""
    if depth > MAX_DEPTH:
        raise InputError(f"{where}: nested deeper than {MAX_DEPTH} levels; split it into [derived].")

    def below(child: ast.AST) -> None:
        _check(child, text, where, symbols, calls, depth + 1)

    match node:
        case ast.Constant(value=int(value) | float(value)) if not isinstance(value, bool):
            if not abs(value) < 1e300:
                raise InputError(f"{where}: the number {str(value)[:20]} is out of range (1e300).")
        case ast.Name(id=name):
            symbols.add(name)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            below(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY or isinstance(op, ast.Pow):
            below(left)
            below(right)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, arguments, where, calls)
            for argument in arguments:
                below(argument)
        case _:
            # Not ast.unparse, which recurses without a limit of its own.
            found = (ast.get_source_segment(text, node) or text)[:60]
            raise InputError(
                f"{where}: {found!r} is not allowed. A formula has numbers, names, + - * / **, "
                f"parentheses and {', '.join(FUNCTIONS)}."
            )


def _check_call(name: str, arguments: list[ast.expr], where: str, calls: set[tuple[str, ...]]) -> None:
    """Refuse calls that no function has; those of inputs take different names, and are looked at with the inputs."""
    names = [a.id for a in arguments if isinstance(a, ast.Name)]
    if name in FUNCTIONS:
        wanted = FUNCTIONS[name].arity
        if len(arguments) != wanted:
            raise InputError(f"{where}: {name}() takes {wanted} argument(s), found {len(arguments)}.")
    elif arguments and len(set(names)) == len(arguments):
        calls.add((name, *names))
    else:
        raise InputError(f"{where}: unknown function {name!r}{did_you_mean(name, FUNCTIONS)}")


def evaluate(
    expression: Expression,
    values: Values,
    ops: Ops,
    calls: Mapping[str, Callable[..., Value]] | None = None,
) -> Value:
    """Evaluate a formula.

    Parameters
    ----------
    expression : Expression
    values : mapping of str to array
        A value for each of ``expression.symbols``: floats, NumPy arrays, xarray objects, PyTensor
        variables, anything with arithmetic that `ops` knows.
    ops : namespace
        Holds ``power`` and those of `FUNCTIONS` that have no form of their own: the module ``numpy`` (also
        for xarray), ``pytensor.tensor``. It is passed on purpose: NumPy's ufuncs fail on PyTensor variables.
    calls : mapping of str to callable, optional
        The functions that the formula calls beside `FUNCTIONS`.

    Returns
    -------
    array
        Of the kind and the broadcast shape of the values.

    Raises
    ------
    InputError
        If constants in it overflow or divide by zero.
    """
    try:
        return _walk(expression.tree, values, ops, calls or {})
    except (OverflowError, ZeroDivisionError) as error:
        raise InputError(f"{expression.text!r}: its constants cannot be evaluated ({error}).") from None


def _walk(node: ast.AST, values: Values, ops: Ops, calls: Mapping[str, Callable[..., Value]]) -> Value:
    match node:
        case ast.Constant():
            return float(node.value)  # type: ignore[arg-type]  # `parse` let numbers pass alone
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_walk(operand, values, ops, calls))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _walk(left, values, ops, calls), _walk(right, values, ops, calls)
            return ops.power(a, b) if isinstance(op, ast.Pow) else _BINARY[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            given = [_walk(argument, values, ops, calls) for argument in arguments]
            return call(name, given, ops) if name in FUNCTIONS else calls[name](*given)
    raise AssertionError(f"unchecked node {node!r}")
