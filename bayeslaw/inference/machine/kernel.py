"""Runs programs: the one compiled function that serves every law.

An instruction is a row of integers, see `assemble.COLUMNS`. Its result and what varies lie in one array of work,
constants in another. Numbers of instructions are those of `instructions.OPCODES`.
"""

from __future__ import annotations

import math

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.inference.machine.assemble import COLUMNS
from bayeslaw.inference.machine.elementary import exp_all, log_all
from bayeslaw.inference.machine.instructions import OPCODES
from bayeslaw.inference.machine.pointers import further, integers_at, numbers_at
from bayeslaw.inference.machine.special import digamma, truncated
from bayeslaw.observation import discrepancy_grad, discrepancy_nodes, run_tree_grad

_COPY, _NEG, _EXP, _EXPM1, _LOG, _LOG1P, _SQRT, _TANH, _COS, _SIN, _ARCCOS, _ERFC, _GAMMALN, _DIGAMMA, _TRUNCATED = (
    OPCODES[n] for n in ("copy", "neg", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "cos", "sin", "arccos",
                         "erfc", "gammaln", "digamma", "truncated")
)  # fmt: skip
_ADD, _SUB, _MUL, _DIV, _POWER, _MAXIMUM, _MINIMUM, _GE, _LT = (
    OPCODES[n] for n in ("add", "sub", "mul", "div", "power", "maximum", "minimum", "ge", "lt")
)
_SUM, _SUMPROD, _FILL, _GATHER, _SCATTER, _DOT, _PART = (
    OPCODES[n] for n in ("sum", "sumprod", "fill", "gather", "scatter", "dot", "part")
)
_COVARIANCE, _NODES, _FOREST = (OPCODES[n] for n in ("covariance", "nodes", "forest"))


@compiled(inline="always")
def _one(op, z, x, n, constants, at):
    """Fill z[:n] with a function of x."""
    if op == _COPY:
        for i in range(n):
            z[i] = x[i]
    elif op == _NEG:
        for i in range(n):
            z[i] = -x[i]
    elif op == _EXP:
        exp_all(z, x, n)
    elif op == _EXPM1:
        for i in range(n):
            z[i] = math.expm1(x[i])
    elif op == _LOG:
        log_all(z, x, n)
    elif op == _LOG1P:
        for i in range(n):
            z[i] = np.log1p(x[i])
    elif op == _SQRT:
        for i in range(n):
            z[i] = np.sqrt(x[i])
    elif op == _TANH:
        for i in range(n):
            z[i] = math.tanh(x[i])
    elif op == _COS:
        for i in range(n):
            z[i] = math.cos(x[i])
    elif op == _SIN:
        for i in range(n):
            z[i] = math.sin(x[i])
    elif op == _ARCCOS:
        for i in range(n):
            z[i] = np.arccos(x[i])
    elif op == _ERFC:
        for i in range(n):
            z[i] = math.erfc(x[i])
    elif op == _GAMMALN:
        for i in range(n):
            z[i] = math.lgamma(x[i])
    elif op == _DIGAMMA:
        for i in range(n):
            z[i] = digamma(x[i])
    else:
        for i in range(n):
            z[i] = truncated(x[i], constants[at], constants[at + 1])


@compiled(inline="always")
def _two(op, z, x, y, n):
    """Fill z[:n] with a function of x and y."""
    if op == _ADD:
        for i in range(n):
            z[i] = x[i] + y[i]
    elif op == _SUB:
        for i in range(n):
            z[i] = x[i] - y[i]
    elif op == _MUL:
        for i in range(n):
            z[i] = x[i] * y[i]
    elif op == _DIV:
        for i in range(n):
            z[i] = x[i] / y[i]
    elif op == _POWER:
        for i in range(n):
            z[i] = x[i] ** y[i]
    elif op == _MAXIMUM:
        for i in range(n):  # as NumPy's: what is no number stays none
            a, b = x[i], y[i]
            z[i] = a if a >= b or a != a else b
    elif op == _MINIMUM:
        for i in range(n):
            a, b = x[i], y[i]
            z[i] = a if a <= b or a != a else b
    elif op == _GE:
        for i in range(n):
            z[i] = 1.0 if x[i] >= y[i] else 0.0
    else:
        for i in range(n):
            z[i] = 1.0 if x[i] < y[i] else 0.0


@compiled(fastmath={"reassoc", "contract"})
def _sum(x, n):
    total = 0.0
    for i in range(n):
        total += x[i]
    return total


@compiled(fastmath={"reassoc", "contract"})
def _sumprod(x, y, n):
    total = 0.0
    for i in range(n):
        total += x[i] * y[i]
    return total


@compiled(fastmath={"contract"})
def _dot(z, x, n, matrix, m):
    for j in range(m):
        z[j] = 0.0
    for i in range(n):
        for j in range(m):
            z[j] += x[i] * matrix[i * m + j]


@compiled(inline="always")
def _whole(op, z, x, y, n, constants, integers, at, more):
    """Fill z with what becomes of whole vectors."""
    if op == _SUM:
        z[0] = _sum(x, n)
    elif op == _SUMPROD:
        z[0] = _sumprod(x, y, n)
    elif op == _FILL:
        same = x[0]
        for i in range(n):
            z[i] = same
    elif op == _GATHER:
        for i in range(n):
            z[i] = x[integers[at + i]]
    elif op == _SCATTER:
        for i in range(more):
            z[i] = 0.0
        for i in range(n):
            z[integers[at + i]] += x[i]
    elif op == _DOT:
        _dot(z, x, n, further(constants, at), more)
    else:
        for i in range(n):
            z[i] = x[i]


@compiled
def _at(place, length, constants, work):
    """Return so many entries from a place."""
    if place < 0:
        return constants[-1 - place : -1 - place + length]
    return work[place : place + length]


@compiled
def _data(number, first, integers, constants):
    """Return a table's array of numbers."""
    at = integers[first + 3 * number]
    return constants[at : at + integers[first + 3 * number + 1] * integers[first + 3 * number + 2]]


@compiled
def _matrix(number, first, integers, constants):
    """Return a table's array of rank two."""
    shape = integers[first + 3 * number + 1], integers[first + 3 * number + 2]
    return _data(number, first, integers, constants).reshape(shape)


@compiled
def _whole_data(number, first, integers):
    at = integers[first + 3 * number]
    return integers[at : at + integers[first + 3 * number + 1]]


@compiled
def _covariance(z, at, constants, integers, work):
    given, data = integers[at : at + 2], at + 2
    weight = _matrix(0, data, integers, constants)
    rows = weight.shape[1]
    residual, sigma = _at(given[0], rows, constants, work), _at(given[1], 1, constants, work)
    value, by_residual, by_sigma = discrepancy_grad.evaluate(
        residual, np.asarray(sigma[0]), weight, _matrix(1, data, integers, constants),
        _matrix(2, data, integers, constants), _data(3, data, integers, constants), _data(4, data, integers, constants),
        _data(5, data, integers, constants), _data(6, data, integers, constants), _whole_data(7, data, integers),
        _data(8, data, integers, constants), _data(9, data, integers, constants), _data(10, data, integers, constants),
        _data(11, data, integers, constants), _data(12, data, integers, constants), _data(13, data, integers, constants),
        _data(14, data, integers, constants), np.asarray(_data(15, data, integers, constants)[0]), np.asarray(_data(16, data, integers, constants)[0]),
    )  # fmt: skip
    z[0] = value.item()
    z[1 : rows + 1] = by_residual
    z[rows + 1] = by_sigma.item()


@compiled
def _nodes(z, at, constants, integers, work):
    given, data = integers[at : at + 2], at + 2
    project = _matrix(0, data, integers, constants)
    rows = project.shape[1]
    residual, sigma = _at(given[0], rows, constants, work), _at(given[1], 1, constants, work)
    value, by_residual, by_sigma = discrepancy_nodes.evaluate(
        residual, np.asarray(sigma[0]), project, _data(1, data, integers, constants),
        _matrix(2, data, integers, constants), _matrix(3, data, integers, constants),
        _matrix(4, data, integers, constants), _matrix(5, data, integers, constants),
        _data(6, data, integers, constants), _data(7, data, integers, constants),
        np.asarray(_data(8, data, integers, constants)[0]),
    )  # fmt: skip
    z[0] = value.item()
    z[1 : rows + 1] = by_residual
    z[rows + 1] = by_sigma.item()


@compiled
def _forest(z, at, constants, integers, work):
    given, data = integers[at : at + 4], at + 4
    error = _data(0, data, integers, constants)
    rows = len(error)
    value, by_residual, by_scale, by_length, by_sigma = run_tree_grad.evaluate(
        _at(given[0], rows, constants, work), np.asarray(_at(given[1], 1, constants, work)[0]),
        np.asarray(_at(given[2], 1, constants, work)[0]), np.asarray(_at(given[3], 1, constants, work)[0]),
        error, _whole_data(1, data, integers), _data(2, data, integers, constants),
    )  # fmt: skip
    z[0] = value.item()
    z[1 : rows + 1] = by_residual
    z[rows + 1], z[rows + 2], z[rows + 3] = by_scale.item(), by_length.item(), by_sigma.item()


@compiled(inline="always")
def _plain(row, constants, integers, work):
    """Run an instruction that is no call."""
    op, out, n, a, b, at, more = row[0], row[1], row[2], row[3], row[4], row[5], row[6]
    z = further(work, out)
    x = further(constants, -1 - a) if a < 0 else further(work, a)
    if op <= _TRUNCATED:
        _one(op, z, x, n, constants, at)
        return
    y = further(constants, -1 - b) if b < 0 else further(work, b)
    if op <= _LT:
        _two(op, z, x, y, n)
    else:
        _whole(op, z, x, y, n, constants, integers, at, more)


@compiled
def pointers(code, constants, integers, work):
    """Return where code, constants, integers and work begin."""
    rows, whole = integers_at(code.ctypes.data), integers_at(integers.ctypes.data)
    return rows, numbers_at(constants.ctypes.data), whole, numbers_at(work.ctypes.data)


@compiled
def run(code, constants, integers, work):
    """Run a program.

    Parameters
    ----------
    code, constants, integers : numpy.ndarray
        See `assemble.Program`.
    work : numpy.ndarray, shape (size,)
        Begins with the inputs; outputs stand behind them afterwards.
    """
    rows, numbers, whole, places = pointers(code, constants, integers, work)
    for k in range(len(code)):
        if code[k, 0] == _COVARIANCE:
            _covariance(work[code[k, 1] :], code[k, 5], constants, integers, work)
        elif code[k, 0] == _NODES:
            _nodes(work[code[k, 1] :], code[k, 5], constants, integers, work)
        elif code[k, 0] == _FOREST:
            _forest(work[code[k, 1] :], code[k, 5], constants, integers, work)
        else:
            _plain(further(rows, k * COLUMNS), numbers, whole, places)


@compiled
def run_plain(rows, count, constants, integers, work):
    """Run so many instructions, as `run` does, but no calls: what needs none is compiled in a fifth of the time."""
    for k in range(count):
        _plain(further(rows, k * COLUMNS), constants, integers, work)


@compiled
def run_many(code, constants, integers, inputs, outputs, size, points):
    """Run a program at many points.

    Parameters
    ----------
    code, constants, integers, inputs, outputs, size
        See `assemble.Program`.
    points : numpy.ndarray, shape (points, inputs)

    Returns
    -------
    numpy.ndarray, shape (points, outputs)
    """
    found, work = np.empty((points.shape[0], outputs)), np.empty(size)
    for i in range(points.shape[0]):
        work[:inputs] = points[i]
        run(code, constants, integers, work)
        found[i] = work[inputs : inputs + outputs]
    return found
