"""The machine's instructions, its gradients, and its use of places, against code run plainly."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from posterior_cases import CROSS, PRIORS, truncated
from recorded import by_complex_step, flat, program_of, ran, record, result_of, value_and_gradient
from scipy import special

from bayeslaw.inference.machine import callback
from bayeslaw.inference.machine.assemble import assemble
from bayeslaw.inference.machine.graph import Graph, NotRecordableError
from bayeslaw.inference.machine.instructions import CALLS, ONE, OPCODES, TWO, WHOLE
from bayeslaw.inference.machine.kernel import addresses
from bayeslaw.inference.machine.posterior import posterior_program
from bayeslaw.inference.machine.record import Recorded
from bayeslaw.inference.pilot import settle_grid
from bayeslaw.law import expression
from bayeslaw.law.functions import FUNCTIONS, MORE, Function
from bayeslaw.observation import discrepancy_grad, discrepancy_nodes, run_tree_grad
from bayeslaw.observation.discrepancy_nodes import NODE_TERMS
from bayeslaw.observation.discrepancy_terms import TERMS

X, Y = np.array([0.3, 0.8, 0.5, 0.2]), np.array([0.4, 0.1, 0.9, 0.6])
PLAIN = SimpleNamespace(
    copy=lambda x: x + 0, neg=np.negative, exp=np.exp, expm1=np.expm1, log=np.log, log1p=np.log1p, sqrt=np.sqrt,
    tanh=np.tanh, cos=np.cos, sin=np.sin, arccos=np.arccos, erfc=special.erfc, gammaln=special.loggamma,
    digamma=special.digamma, add=np.add, sub=np.subtract, mul=np.multiply, div=np.divide, power=np.power, dot=np.matmul,
    maximum=lambda a, b: np.where(np.real(a) >= np.real(b), a, b),
    minimum=lambda a, b: np.where(np.real(a) < np.real(b), a, b),
    ge=lambda a, b: 1.0 * (np.real(a) >= np.real(b)), lt=lambda a, b: 1.0 * (np.real(a) < np.real(b)),
)  # fmt: skip
"""NumPy's functions, of complex numbers too."""
SHAPES = [(X, Y), (X, 0.45), (0.45, Y), (0.3, 0.7), (X, X), (X[:1], Y[:1])]


# ---- instructions


def test_every_instruction_has_its_number():
    assert list(OPCODES) == [*ONE, *TWO, *WHOLE, *CALLS]
    assert list(OPCODES.values()) == list(range(len(OPCODES)))


@pytest.mark.parametrize("name", [n for n in ONE if n != "truncated"])
@pytest.mark.parametrize("x", [X, 0.4, X[:1]], ids=["vector", "scalar", "one entry"])
def test_functions_of_one_value(name, x):
    def code(ops, x):
        return (getattr(ops, name)(x) * (1.0 + x)).sum()

    np.testing.assert_allclose(result_of(lambda ops, x: getattr(ops, name)(x), x), np.real(getattr(PLAIN, name)(x)), rtol=1e-14)  # fmt: skip
    if name == "digamma":  # it has no derivative: nothing asks for one
        return
    value, (slope,) = value_and_gradient(code, x)
    np.testing.assert_allclose(value, np.real(code(PLAIN, np.asarray(x))), rtol=1e-13)
    np.testing.assert_allclose(slope, by_complex_step(code, PLAIN, x)[0], rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in TWO if n != "power"])
@pytest.mark.parametrize(("x", "y"), SHAPES)
def test_functions_of_two_values(name, x, y):
    def code(ops, x, y):
        return (getattr(ops, name)(x, y) * (1.0 + x * y)).sum()

    found = result_of(lambda ops, x, y: getattr(ops, name)(x, y), x, y)
    np.testing.assert_allclose(found, getattr(PLAIN, name)(x, y), rtol=1e-15)
    value, slopes = value_and_gradient(code, x, y)
    np.testing.assert_allclose(value, np.real(code(PLAIN, np.asarray(x), np.asarray(y))), rtol=1e-13)
    for slope, expected in zip(slopes, by_complex_step(code, PLAIN, x, y), strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, 4.0, -2.5, np.array([1.0, 2.0, 0.5, -3.0])], ids=str)  # fmt: skip
def test_powers_with_a_constant_exponent(exponent):
    def code(ops, x):
        return (ops.power(x, exponent) * x).sum()

    value, (slope,) = value_and_gradient(code, X)
    np.testing.assert_allclose(value, code(PLAIN, X), rtol=1e-14)
    np.testing.assert_allclose(slope, by_complex_step(code, PLAIN, X)[0], rtol=1e-13, atol=1e-14)
    if np.ndim(exponent) == 0 and exponent == round(exponent):
        np.testing.assert_allclose(result_of(lambda ops, x: ops.power(x, exponent), -X), np.power(-X, exponent), rtol=1e-14)  # fmt: skip


def test_powers_with_a_varying_exponent():
    def code(ops, x, y):
        return (x**y * 2.0**x + 0.5**y).sum()

    value, slopes = value_and_gradient(code, X, Y)
    np.testing.assert_allclose(value, code(PLAIN, X, Y), rtol=1e-14)
    for slope, expected in zip(slopes, by_complex_step(code, PLAIN, X, Y), strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-13)


@pytest.mark.parametrize("ends", [(-2.0, 3.0), (0.5, 3.0), (-6.0, -2.0), (-np.inf, 1.0)])
def test_truncated_scores_have_their_derivative(ends):
    z = np.linspace(-4, 4, 9)

    def code(ops, z):
        return (ops.truncated(z, *ends) * np.arange(1.0, 10.0)).sum()

    value, (slope,) = value_and_gradient(code, z)
    np.testing.assert_allclose(value, truncated(z, *ends) @ np.arange(1.0, 10.0), rtol=1e-13)
    up, down = (truncated(z + step, *ends) for step in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (up - down) / 2e-5 * np.arange(1.0, 10.0), rtol=1e-5)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_what_is_no_number_stays_none(name):
    x, y = np.array([np.nan, 1.0, np.nan, np.inf]), np.array([1.0, np.nan, np.nan, 2.0])
    np.testing.assert_array_equal(
        result_of(lambda ops, x, y: getattr(ops, name)(x, y), x, y), getattr(np, name)(x, y)
    )


INDEX = np.array([3, 0, 0, 2, 3, 3])
MATRIX = np.random.default_rng(4).standard_normal((4, 3))


@pytest.mark.parametrize(
    "code",
    [
        lambda ops, x: (x[INDEX] * np.arange(1.0, 7.0)).sum(),
        lambda ops, x: (x[INDEX] ** 2).sum(),
        lambda ops, x: x[INDEX].sum(),
        lambda ops, x: (x[-3:] * x[:3]).sum() + x[::-1].sum() + (x[np.array([-1, -2])] ** 2).sum(),
        lambda ops, x: (ops.dot(x, MATRIX) * np.array([1.0, -2.0, 0.5])).sum(),
        lambda ops, x: ops.dot(x * x, MATRIX).sum(),
        lambda ops, x: (ops.dot(ops.dot(x, MATRIX), MATRIX.T) * x).sum(),
        lambda ops, x: ((x[np.array([2, 2])] + 1.0)[np.array([0, 1, 1])] ** 2).sum(),
    ],
)
def test_gathers_scatters_and_products(code):
    value, (slope,) = value_and_gradient(code, X)
    np.testing.assert_allclose(value, code(PLAIN, X), rtol=1e-14)
    np.testing.assert_allclose(slope, by_complex_step(code, PLAIN, X)[0], rtol=1e-13)


# ---- vectors of equal entries stand as a scalar


EQUAL = np.full(4, 2.0)


@pytest.mark.parametrize(
    "code",
    [
        lambda ops, s: (EQUAL * s).sum(),
        lambda ops, s: (EQUAL * s)[INDEX].sum(),
        lambda ops, s: (ops.dot(EQUAL * s, MATRIX) * np.array([1.0, 2.0, 3.0])).sum(),
        lambda ops, s: (s + np.zeros(5)).sum() + (s * np.ones(3)).sum(),
        lambda ops, s: (s * s * EQUAL * X).sum() + (s * EQUAL).sum() * (EQUAL / s).sum(),
        lambda ops, s: ((s * EQUAL)[INDEX] * np.arange(6.0)).sum(),
        lambda ops, s: ops.exp(s * EQUAL)[:2].sum(),
    ],
)
def test_vectors_of_equal_entries_have_their_length(code):
    value, (slope,) = value_and_gradient(code, 0.7)
    np.testing.assert_allclose(value, code(PLAIN, np.float64(0.7)), rtol=1e-14)
    np.testing.assert_allclose(slope, by_complex_step(code, PLAIN, np.float64(0.7))[0], rtol=1e-14)


def test_results_are_given_in_full():
    assert result_of(lambda ops, s: s * EQUAL, 3.0).tolist() == [6.0] * 4
    graph, _, result = record(lambda ops, s: s * EQUAL, [None])
    kept = graph.constant(np.full(2, 5.0))
    outputs = [(None, 3), (result.node, 4), (kept, 2), (None, None)]
    assert ran(assemble(1, outputs), np.array([3.0])).tolist() == [0, 0, 0, 6, 6, 6, 6, 5, 5, 0]


# ---- equal operations are one; what only looks equal is not


def nodes_of(code, *sizes):
    return len(record(code, sizes)[0].nodes)


def test_equal_operations_are_one():
    once = nodes_of(lambda ops, x, y: ops.exp(x * y) + 1.0, 4, 4)
    assert once == nodes_of(lambda ops, x, y: (ops.exp(x * y) + 1.0, ops.exp(y * x) + 1.0)[0], 4, 4)
    assert once < nodes_of(lambda ops, x, y: (ops.exp(x * y) + 1.0, ops.exp(x - y), ops.exp(y - x))[0], 4, 4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (np.zeros(3), -np.zeros(3)),
        (np.array([0.0, 1.0]), np.array([-0.0, 1.0])),
        (np.array([0.0, -0.0]), np.array([0.0, 0.0])),
        (1.0, np.nextafter(1.0, 2.0)),
        (np.array([1.0, 2.0]), np.array([1.0, np.nextafter(2.0, 3.0)])),
        (np.nan, np.inf),
        (-np.inf, np.inf),
    ],
    ids=str,
)
def test_constants_that_look_alike_are_apart(one, other):
    graph = Graph()
    found = [graph.constant(v) for v in (one, other)]
    assert found[0] is not found[1]
    for node, value in zip(found, (one, other), strict=True):
        np.testing.assert_array_equal(np.broadcast_to(node.value, np.shape(value)), value)
        assert (np.signbit(np.broadcast_to(node.value, np.shape(value))) == np.signbit(value)).all()
        assert graph.constant(value) is node


def test_infinite_and_missing_constants_are_kept():
    held = np.array([np.nan, np.inf, -np.inf, 1.0])
    np.testing.assert_array_equal(result_of(lambda ops, x: x + held, X), X + held)
    assert np.isnan(result_of(lambda ops, s: s + np.full(3, np.nan), 1.0)).all()
    assert np.isinf(result_of(lambda ops, s: s + np.full(3, np.inf), 1.0)).all()


def test_indices_and_matrices_that_differ_are_apart():
    def code(ops, x):
        a, b = x[np.array([0, 1])], x[np.array([1, 0])]
        return (a - 2 * b).sum() + (ops.dot(x, MATRIX) - ops.dot(x, MATRIX + 1)).sum()

    value, (slope,) = value_and_gradient(code, X)
    np.testing.assert_allclose(value, code(PLAIN, X), rtol=1e-13)
    np.testing.assert_allclose(slope, by_complex_step(code, PLAIN, X)[0], rtol=1e-13)


def test_truncations_that_differ_are_apart():
    low, high = result_of(lambda ops, s: ops.truncated(s, -1.0, 1.0) * np.array([1.0, 0.0]) + ops.truncated(s, -1.0, 2.0) * np.array([0.0, 1.0]), 0.5)  # fmt: skip
    assert low == pytest.approx(truncated(0.5, -1.0, 1.0)) and high == pytest.approx(
        truncated(0.5, -1.0, 2.0)
    )


# ---- random code


def random_steps(rng, count):
    """Steps that take earlier values by number; every value stays between −3 and 3, or nearly."""
    smooth = ("exp", "log1p", "sqrt", "sin", "cos", "tanh", "erfc", "expm1", "gammaln", "neg")
    two = ("add", "sub", "mul", "div", "maximum", "minimum", "power")
    return [
        (
            rng.choice(["one", "two", "gather", "dot", "sum", "mix", "constant"], p=[0.3, 0.35, 0.08, 0.07, 0.08, 0.06, 0.06]),
            rng.choice(smooth), rng.choice(two), *rng.integers(0, 2**31, 3),
        )
        for _ in range(count)
    ]  # fmt: skip


LENGTHS = (4, 6)


def play(steps, ops, values):
    """Run random steps; return the sum of all that they made."""

    def tame(x):
        return ops.tanh(x)

    def positive(x):
        return x * x + 0.7

    def length(x):
        return np.shape(x)[0] if np.shape(x) else 0

    made = list(values)
    for kind, one, two, i, j, seed in steps:
        rng, a, b = np.random.default_rng(seed), made[i % len(made)], made[j % len(made)]
        if kind == "one":
            inside = positive(a) if one in ("log1p", "sqrt", "gammaln") else a
            made.append(tame(getattr(ops, one)(inside)))
        elif kind == "two" and (length(a) == length(b) or 0 in (length(a), length(b))):
            if two == "power":
                made.append(tame(positive(a) ** b))
            elif two == "div":
                made.append(tame(a / positive(b)))
            else:
                made.append(tame(getattr(ops, two)(a, b)))
        elif kind == "gather" and length(a) > 1:
            made.append(a[rng.integers(0, length(a), LENGTHS[seed % 2])])
        elif kind == "dot" and length(a) > 1:
            made.append(tame(ops.dot(a, rng.standard_normal((length(a), LENGTHS[seed % 2])))))
        elif kind == "sum":
            made.append(tame((a * b).sum() if length(a) == length(b) else a.sum()))
        elif kind == "mix":
            made.append(1.5 * a - 0.5 + a * 0.0 + (0.25 - a) / 4.0)
        elif kind == "constant" and length(a) > 1:
            made.append(
                a * rng.choice([np.ones(length(a)), rng.standard_normal(length(a)), np.full(length(a), -1.0)])
            )
    total = sum(ops.sin(k + v).sum() for k, v in enumerate(made[::3]))
    return total + sum(v.sum() for v in made)


RANDOM = SimpleNamespace(**{**vars(PLAIN), "copy": None})


@pytest.mark.parametrize("seed", range(40))
def test_random_code_gives_what_it_gives_in_numpy(seed):
    rng = np.random.default_rng(seed)
    steps = random_steps(rng, int(rng.integers(5, 90)))
    values = [rng.standard_normal(n) for n in (*LENGTHS, 1)] + [np.array(v) for v in rng.standard_normal(2)]

    def code(ops, *given):
        return play(steps, ops, given)

    found, slopes = value_and_gradient(code, *values)
    np.testing.assert_allclose(found, np.real(code(RANDOM, *values)), rtol=1e-12, atol=1e-12)
    scale = max(1.0, *(np.abs(s).max() for s in slopes))
    for slope, expected in zip(slopes, by_complex_step(code, RANDOM, *values), strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-11 * scale)
    program = program_of(code, [4, 6, 1, None, None])
    every = [ran(program, flat(values), before) for before in (np.nan, 0.0, 1e300)]
    np.testing.assert_array_equal(every[0], every[1])
    np.testing.assert_array_equal(every[0], every[2])


# ---- places


SOME = [*PRIORS, *(n for n in CROSS if n.startswith(("compute:", "annealing:", "chinchilla:")))]


@pytest.mark.parametrize("case", SOME)
def test_nothing_is_read_before_it_is_written(case):
    program = posterior_program({**PRIORS, **CROSS}[case]())
    for part in (program.density, program.values):
        point = np.random.default_rng(0).standard_normal(part.inputs)
        np.testing.assert_array_equal(ran(part, point, np.nan), ran(part, point, 1e9))


def test_places_are_used_again_and_never_while_they_are_read():
    def code(ops, x):
        for _ in range(300):
            x = ops.tanh(x + 0.1)
        return x.sum()

    graph, given, result = record(code, [50])
    program = assemble(graph.inputs, [(result.node, None)])
    assert program.size <= 51 + 3 * 50 + 1
    for _, out, n, a, step, b, other, *_ in program.code.tolist():
        for begin, moves in ((a, step), (b, other)):
            taken = range(begin, begin + (n if moves else 1))
            assert begin < 0 or (out not in taken and out + n - 1 not in taken) or out == begin == 0
    x = np.linspace(-1, 1, 50)
    expected = x
    for _ in range(300):
        expected = np.tanh(expected + 0.1)
    np.testing.assert_allclose(ran(program, x)[0], expected.sum(), rtol=1e-13)
    assert given[0].length == 50


# ---- functions of formulas


def formula(text, ops, **values):
    return expression.evaluate(expression.parse(text), values, ops)


def test_a_function_with_a_form_alone_works_with_the_tables_derivatives(monkeypatch):
    """A row is all that a new function needs; the derivatives here are no one's, to see that they are the row's."""
    form = Function(
        2,
        lambda x, a, y, ops: (3.0 * y, ops.cos(x) - a),
        form=lambda x, a, ops: ops.log1p(ops.exp(a * x)),
    )
    monkeypatch.setitem(FUNCTIONS, "softplus", form)

    def code(ops, x, a):
        return (formula("2 * softplus(x, a) + x", ops, x=x, a=a) * Y).sum()

    a = 1.7
    y = np.log1p(np.exp(a * X))
    value, (by_x, by_a) = value_and_gradient(code, X, a)
    np.testing.assert_allclose(value, ((2 * y + X) * Y).sum(), rtol=1e-14)
    np.testing.assert_allclose(by_x, (6 * y + 1) * Y, rtol=1e-14)
    np.testing.assert_allclose(by_a, (2 * (np.cos(X) - a) * Y).sum(), rtol=1e-13)


def test_a_function_without_instruction_and_form_is_refused(monkeypatch):
    monkeypatch.setitem(FUNCTIONS, "mystery", Function(1, lambda x, y, ops: (x,)))
    with pytest.raises(NotRecordableError, match="mystery"):
        record(lambda ops, x: formula("mystery(x)", ops, x=x), [3])


@pytest.mark.parametrize("name", [*FUNCTIONS, *MORE])
def test_every_function_of_formulas_can_be_recorded(name):
    table = {**FUNCTIONS, **MORE}
    given = (X, Y)[: table[name].arity]

    def code(ops, *values):
        return (getattr(ops, name)(*values) * np.arange(1.0, 5.0)).sum()

    value, slopes = value_and_gradient(code, *given)
    ops = SimpleNamespace(**{n: getattr(np, n) for n in (*FUNCTIONS, *MORE, "sin") if hasattr(np, n)})
    y = table[name].form(*given, ops) if table[name].form else getattr(np, name)(*given)
    np.testing.assert_allclose(value, y @ np.arange(1.0, 5.0), rtol=1e-13)
    for slope, expected in zip(slopes, table[name].derivatives(*given, y, ops), strict=True):
        np.testing.assert_allclose(slope, expected * np.arange(1.0, 5.0), rtol=1e-12)


# ---- what cannot be recorded is refused, never recorded otherwise


@pytest.mark.parametrize(
    "code",
    [
        lambda ops, x, s: x if s > 0 else -x,
        lambda ops, x, s: x if s == 0 else -x,
        lambda ops, x, s: x if s else -x,
        lambda ops, x, s: max(s, 1.0),
        lambda ops, x, s: abs(x),
        lambda ops, x, s: np.exp(x),
        lambda ops, x, s: np.where(x < 0.5, x, 0.0),
        lambda ops, x, s: np.dot(x, MATRIX),
        lambda ops, x, s: np.asarray(x),
        lambda ops, x, s: np.sum(x),
        lambda ops, x, s: float(s),
        lambda ops, x, s: x @ MATRIX,
        lambda ops, x, s: list(x),
        lambda ops, x, s: s[0],
        lambda ops, x, s: x[0],
        lambda ops, x, s: x + np.ones(3),
        lambda ops, x, s: x + s * np.ones(3),
        lambda ops, x, s: x * MATRIX,
        lambda ops, x, s: ops.dot(x, np.ones((3, 4))),
        lambda ops, x, s: ops.dot(s * np.ones(3), MATRIX),
        lambda ops, x, s: ops.dot(x, x),
        lambda ops, x, s: ops.where(x, x, x),
        lambda ops, x, s: ops.with_gradient("no such", x),
        lambda ops, x, s: ops.with_gradient("forest", x, x, s, s, np.zeros(4), np.arange(-1, 3), np.ones(4)),
        lambda ops, x, s: ops.with_gradient("forest", x, s, s, s, np.zeros(3), np.arange(-1, 2), np.ones(3)),
        lambda ops, x, s: ops.with_gradient("forest", s, s, s, s, np.zeros(4), np.arange(-1, 3), np.ones(4)),
        lambda ops, x, s: ops.with_gradient("forest", x, s, s, s, np.zeros(4) * s, np.arange(-1, 3), np.ones(4)),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_is_refused(code):
    with pytest.raises((NotRecordableError, AttributeError, TypeError)):
        record(code, [4, None])


# ---- densities with gradients of their own

FOREST = np.array([0.01, 0.0, 0.02, 0.0]), np.array([-1, 0, 0, 2]), np.array([0.0, 0.3, 0.4, 0.2])


def evaluated(density, *values):
    """Return value and gradient of a compiled density."""
    value, *slopes = density(*(np.asarray(v, dtype=None if np.asarray(v).dtype.kind == "i" else float) for v in values))  # fmt: skip
    return float(value), [np.asarray(s) for s in slopes]


def test_the_forest_is_called_with_its_gradient():
    given = X - 0.4, np.float64(0.3), np.float64(0.6), np.float64(0.2)

    def code(ops, *values):
        return 2.0 * ops.with_gradient("forest", *values, *FOREST)

    value, slopes = value_and_gradient(code, *given)
    expected, by_each = evaluated(run_tree_grad.evaluate, *given, *FOREST)
    assert value == pytest.approx(2 * expected, rel=1e-14)
    for slope, by in zip(slopes, by_each, strict=True):
        np.testing.assert_allclose(slope, 2 * by, rtol=1e-13)


def test_the_covariance_is_called_with_its_gradient():
    terms = CROSS["compute: matern32"]().terms
    data, x = [np.asarray(terms[n]) for n in TERMS], 0.1 * np.sin(np.arange(40.0))

    def code(ops, x, s):
        held = ops.with_gradient("covariance", x, 0.4, *data)
        return ops.with_gradient("covariance", x * x, s, *data) + ops.exp(held / 9)

    value, (by_x, by_s) = value_and_gradient(code, x, 0.05)
    one, (along, by_sigma) = evaluated(discrepancy_grad.evaluate, x * x, 0.05, *data)
    two, (held, _) = evaluated(discrepancy_grad.evaluate, x, 0.4, *data)
    assert value == pytest.approx(one + np.exp(two / 9), rel=1e-14)
    np.testing.assert_allclose(by_x, 2 * x * along + np.exp(two / 9) / 9 * held, rtol=1e-12)
    np.testing.assert_allclose(by_s, by_sigma, rtol=1e-13)


def test_the_forms_of_few_directions_are_called_with_their_gradient():
    terms = settle_grid(CROSS["compute: matern32"]()).terms
    data, x = [np.asarray(terms[n]) for n in NODE_TERMS], 0.1 * np.sin(np.arange(40.0))
    value, (by_x, by_s) = value_and_gradient(lambda ops, x, s: ops.with_gradient("nodes", x * x, s, *data), x, 0.05)  # fmt: skip
    expected, (along, by_sigma) = evaluated(discrepancy_nodes.evaluate, x * x, 0.05, *data)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(by_x, 2 * x * along, rtol=1e-12)
    np.testing.assert_allclose(by_s, by_sigma, rtol=1e-13)


def test_a_density_takes_a_vector_of_equal_entries():
    def code(ops, s):
        return ops.with_gradient("forest", s * np.ones(4), 0.3, 0.6, 0.2, *FOREST)

    value, (slope,) = value_and_gradient(code, 0.1)
    expected, (along, *_) = evaluated(run_tree_grad.evaluate, np.full(4, 0.1), 0.3, 0.6, 0.2, *FOREST)
    assert value == pytest.approx(expected, rel=1e-14)
    assert slope == pytest.approx(along.sum(), rel=1e-13)
    one = [part[:1] for part in FOREST]
    found, _ = value_and_gradient(lambda ops, x: ops.with_gradient("forest", x, 0.3, 0.6, 0.2, *one), X[:1])
    assert found == pytest.approx(evaluated(run_tree_grad.evaluate, X[:1], 0.3, 0.6, 0.2, *one)[0], rel=1e-14)


# ---- the function that C code calls


def called(program, point):
    """Call it as nutpie does; return what it says, the value and the gradient."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)
    point, gradient, value = np.array(point, dtype=float), np.full(program.inputs, np.nan), np.full(1, np.nan)
    calls = addresses(program)
    told = callback._told(program, calls)
    given = (v.ctypes.data for v in (point, gradient, value, told))
    return kind(callback._logp.address)(program.inputs, *given), value[0], gradient


def test_the_callback_adds_the_standard_normals():
    program = program_of(lambda ops, x, s: (ops.sin(x) * s).sum(), [4, None])
    said, value, gradient = called(program, [*X, 0.7])
    assert said == 0
    assert value == pytest.approx(0.7 * np.sin(X).sum() - 0.5 * ((X**2).sum() + 0.49), rel=1e-14)
    np.testing.assert_allclose(gradient, [*(0.7 * np.cos(X) - X), np.sin(X).sum() - 0.7], rtol=1e-14)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_callback_never_says_that_all_is_fine_where_it_is_not():
    none = program_of(lambda ops, x: ops.log(x).sum(), [2])
    assert called(none, [-1.0, 1.0])[0] > 0
    steep = program_of(lambda ops, x: ops.sqrt(x).sum(), [2])
    assert called(steep, [0.0, 1.0])[0] > 0
    order = np.zeros(3), np.array([-1, 2, 1]), np.ones(3)
    broken = program_of(lambda ops, x: ops.with_gradient("forest", x, 1.0, 1.0, 1.0, *order), [3])
    assert called(broken, np.zeros(3))[0] > 0


def test_a_recorded_value_is_itself():
    graph = Graph()
    value = Recorded(graph, graph.input(3), 3)
    assert +value is value and value[:] is value and value.shape == (3,)
    assert len({value, value}) == 1
