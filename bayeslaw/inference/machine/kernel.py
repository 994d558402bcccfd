"""Runs programs: the one compiled function that serves every law.

An instruction is a row of integers, see `assemble.COLUMNS`. Its result and what varies lie in one array of work,
constants in another. Numbers of instructions are those of `instructions.OPCODES`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from bayeslaw.core.compiled import callback, compiled
from bayeslaw.core.elementary import exp_all, log_all
from bayeslaw.inference.machine.assemble import COLUMNS, Program
from bayeslaw.inference.machine.calls import address
from bayeslaw.inference.machine.instructions import CALLS, OPCODES
from bayeslaw.inference.machine.pointers import INTEGERS, NUMBERS, call, further, integers_at, numbers_at
from bayeslaw.inference.machine.special import digamma, truncated

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
_FIRST_CALL = OPCODES[CALLS[0]]
_RUN = types.int64(INTEGERS, types.int64, NUMBERS, INTEGERS, INTEGERS, NUMBERS)


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


@compiled(fast={"reassoc", "contract"})
def _sum(x, n):
    total = 0.0
    for i in range(n):
        total += x[i]
    return total


@compiled(fast={"reassoc", "contract"})
def _sumprod(x, y, n):
    total = 0.0
    for i in range(n):
        total += x[i] * y[i]
    return total


@compiled(fast={"contract"})
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


@callback(_RUN)
def run(code, count, constants, integers, calls, work):
    """Run so many instructions; return whether all went well (zero).

    Work begins with the inputs; outputs stand behind them afterwards. Calls hold the addresses of `calls.address`,
    in the order of `instructions.CALLS`.
    """
    for k in range(count):
        row = further(code, k * COLUMNS)
        if row[0] < _FIRST_CALL:
            _plain(row, constants, integers, work)
        elif call(calls[row[0] - _FIRST_CALL], (further(work, row[1]), row[5], constants, integers, work)):
            return 1
    return 0


def addresses(program: Program) -> np.ndarray:
    """Return where what a program calls is in this process, in the order of `instructions.CALLS`; else zero."""
    used = set(program.code[:, 0])
    return np.array([address(name) if OPCODES[name] in used else 0 for name in CALLS], dtype=np.int64)


@compiled
def _run_all(run, code, constants, integers, calls, work, inputs, points, found):
    """Run at each point; return how many went well."""
    rows, numbers, whole, places = (integers_at(code.ctypes.data), numbers_at(constants.ctypes.data),
                                    integers_at(integers.ctypes.data), numbers_at(work.ctypes.data))  # fmt: skip
    told = integers_at(calls.ctypes.data)
    for i in range(points.shape[0]):
        for j in range(inputs):
            work[j] = points[i, j]
        if call(run, (rows, len(code), numbers, whole, told, places)):
            return i
        for j in range(found.shape[1]):
            found[i, j] = work[inputs + j]
    return points.shape[0]


def run_program(program: Program, points: np.ndarray) -> np.ndarray:
    """Run a program at many points.

    Parameters
    ----------
    program : Program
    points : numpy.ndarray, shape (points, inputs)

    Returns
    -------
    numpy.ndarray, shape (points, outputs)

    Raises
    ------
    ValueError
        If what a program calls refuses its data.
    """
    points = np.ascontiguousarray(points, dtype=float)
    found = np.empty((len(points), program.outputs))
    done = _run_all(
        run.address, program.code, program.constants, program.integers, addresses(program), np.empty(program.size),
        program.inputs, points, found,
    )  # fmt: skip
    if done < len(points):
        raise ValueError("a log density refuses its data")
    return found
