"""Formulas mean the same on every array library, and never run code."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from conftest import noiseless
from recorded import result_of, value_and_gradient

import bayeslaw as bl
from bayeslaw.law import expression, functions
from bayeslaw.law.catalogue import models_folder
from bayeslaw.law.evaluate import derive, evaluate_law, fixed_values, law_inputs, references
from bayeslaw.law.priors import draw_priors

LAWS = sorted(path.stem for path in models_folder().glob("*.toml"))
EVERY_FUNCTION = (
    "maximum(exp(-x), tanh(y)) + expm1(x) / log1p(y) - minimum(sqrt(x), log(y)) * y**-x + (+x) - 2 * -y**2"
)


def on_pytensor(build):
    """Evaluate what `build(symbol maker)` returns, without compiling."""
    import pytensor
    import pytensor.tensor as pt

    given = {}

    def symbol(value):
        value = np.asarray(value, dtype=float)
        variable = pt.TensorType("float64", [1 if n == 1 else None for n in value.shape])()
        given[variable] = value
        return variable

    result = build(symbol)
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    function = pytensor.function(list(given), result, mode=mode, on_unused_input="ignore")
    return function(*given.values())


def tensor_ops():
    from bayeslaw.inference.pymc_model import tensor_ops

    return tensor_ops()


@pytest.fixture(scope="module", params=LAWS)
def law(request):
    """A shipped law with its references frozen, inputs and one draw from its priors."""
    spec, data = noiseless(request.param)
    spec = bl.resolve(spec, data)
    values = {n: v[0] for n, v in draw_priors(spec, 1, np.random.default_rng(5)).items()}
    return spec, {n: values[n] for n in spec.scalar_names}, law_inputs(spec, data)


def test_laws_mean_the_same_on_numpy_and_pytensor(law):
    spec, values, inputs = law
    expected = evaluate_law(spec, values, inputs)
    assert np.isfinite(expected).all()
    found = on_pytensor(
        lambda symbol: evaluate_law(
            spec,
            {n: symbol(v) for n, v in values.items()},
            {n: symbol(v) for n, v in inputs.items()},
            tensor_ops(),
            {n: symbol(v) for n, v in {**references(spec), **fixed_values(spec)}.items()},
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def on_the_machine(formula, **values):
    """Evaluate a formula on values that are recorded."""
    return result_of(
        lambda ops, *given: expression.evaluate(formula, dict(zip(values, given, strict=True)), ops),
        *values.values(),
    )


def test_laws_mean_the_same_on_numpy_and_the_machine(law):
    spec, values, inputs = law
    found = result_of(
        lambda ops, *given: evaluate_law(spec, dict(zip(values, given, strict=True)), inputs, ops),
        *values.values(),
    )
    np.testing.assert_allclose(found, evaluate_law(spec, values, inputs), rtol=1e-12)


def test_laws_and_derived_mean_the_same_on_numpy_xarray_and_pytensor(law):
    """Every formula of a file by itself, function inputs replaced by a simple function."""
    import pytensor.tensor as pt

    spec, values, _ = law
    rng = np.random.default_rng(2)
    rows = {n: rng.uniform(1, 3, 4) for n, i in spec.inputs.items() if i.function is None}
    calls = {n: lambda x: 0.1 * x for n, i in spec.inputs.items() if i.function}
    constants = {f"ref_{n}": 1.5 + i for i, n in enumerate(rows)}  # the ends of the data differ
    known = {**values, **derive(spec, values)}
    for formula in (spec.law, *(d.formula for d in spec.derived.values())):
        plain = {n: v for n, v in {**known, **rows, **constants}.items() if n in formula.symbols}
        expected = expression.evaluate(formula, plain, np, calls)
        arrays = {n: xr.DataArray(v, dims=["obs"][: np.ndim(v)]) for n, v in plain.items()}
        labelled = expression.evaluate(formula, arrays, np, calls)
        assert isinstance(labelled, xr.DataArray)
        np.testing.assert_allclose(labelled.values, expected, rtol=1e-13)
        tensor = on_pytensor(
            lambda symbol, formula=formula, plain=plain: expression.evaluate(
                formula, {n: symbol(v) for n, v in plain.items()}, pt, calls
            )
        )
        np.testing.assert_allclose(tensor, expected, rtol=1e-12)


@pytest.mark.parametrize("library", ["float", "xarray", "pytensor", "machine"])
def test_every_function_means_the_same_on(library):
    import pytensor.tensor as pt

    formula = expression.parse(EVERY_FUNCTION)
    x, y = np.array([[0.3], [0.8]]), np.array([1.7, 0.4, 3.0])
    expected = expression.evaluate(formula, {"x": x, "y": y}, np)
    by_hand = np.maximum(np.exp(-x), np.tanh(y)) + np.expm1(x) / np.log1p(y) + 2 * y**2 + x
    by_hand -= np.minimum(np.sqrt(x), np.log(y)) * y**-x
    np.testing.assert_allclose(expected, by_hand, rtol=1e-14)
    if library == "float":
        found = [
            [expression.evaluate(formula, {"x": float(a), "y": float(b)}, np) for b in y] for a in x[:, 0]
        ]
    elif library == "xarray":
        values = {"x": xr.DataArray(x[:, 0], dims="draw"), "y": xr.DataArray(y, dims="obs")}
        found = expression.evaluate(formula, values, np).transpose("draw", "obs").values
    elif library == "pytensor":
        found = on_pytensor(lambda s: expression.evaluate(formula, {"x": s(x), "y": s(y[None])}, pt))
    else:
        found = [on_the_machine(formula, x=at, y=y) for at in x[:, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


ROOTS = (np.linspace(-30, 30, 241), np.geomspace(0.01, 100, 41)[:, None])
ROOT = expression.parse("sigmoid_root(log_t, a)")


def test_the_root_solves_its_equation():
    log_t, a = ROOTS
    s = expression.evaluate(ROOT, {"log_t": log_t, "a": a}, np)
    assert ((s > 0) & (s <= 1)).all()
    assert (np.diff(s, axis=1) >= 0).all()
    inner = s < 1 - 1e-4  # nearer to one, 1 - s has lost its digits
    miss = np.log(s) - a * np.log1p(-np.where(inner, s, 0)) - log_t
    np.testing.assert_allclose(miss[inner], 0, atol=1e-10)
    flat = expression.evaluate(ROOT, {"log_t": log_t, "a": 1.0}, np)
    np.testing.assert_allclose(flat, 1 / (1 + np.exp(-log_t)), rtol=1e-13)
    t = np.exp(log_t)
    by_hand = 2 * t / (1 + 2 * t + np.sqrt(1 + 4 * t))  # s / (1 - s)**2 = t is a quadratic
    np.testing.assert_allclose(expression.evaluate(ROOT, {"log_t": log_t, "a": 2.0}, np), by_hand, rtol=1e-12)


@pytest.mark.parametrize("log_t", [-1e300, -1e4, -1e-300, 0.0, 1e-300, 1e4, 1e300])
@pytest.mark.parametrize("a", [1e-6, 1.0, 1e6])
def test_the_root_stays_a_share_at_extremes(log_t, a):
    values = {"log_t": np.array([[log_t]]), "a": np.array([[a]])}
    s = expression.evaluate(ROOT, values, np)
    assert (0 < s <= 1).all() if log_t else (0 < s < 1).all()
    assert np.isfinite(value_and_gradient(lambda ops, *at: ops.sigmoid_root(*at), log_t, a)[1]).all()


@pytest.mark.parametrize("library", ["float", "xarray", "pytensor", "sampler", "machine"])
def test_the_root_means_the_same_on(library):
    import pytensor.tensor as pt

    log_t, a = ROOTS[0][::40], ROOTS[1][::8]
    expected = expression.evaluate(ROOT, {"log_t": log_t, "a": a}, np)
    if library == "float":
        found = [[expression.evaluate(ROOT, {"log_t": t, "a": b}, np) for t in log_t] for b in a[:, 0]]
    elif library == "xarray":
        values = {"log_t": xr.DataArray(log_t, dims="obs"), "a": xr.DataArray(a[:, 0], dims="draw")}
        found = expression.evaluate(ROOT, values, np).transpose("draw", "obs").values
    elif library == "machine":
        found = [on_the_machine(ROOT, log_t=log_t, a=b) for b in a[:, 0]]
    else:
        ops = pt if library == "pytensor" else tensor_ops()
        found = on_pytensor(lambda s: expression.evaluate(ROOT, {"log_t": s(log_t[None]), "a": s(a)}, ops))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_sampler_has_the_roots_slopes():
    import pytensor.tensor as pt

    log_t, a = np.linspace(-20, 20, 9), 1.7

    def slopes(symbol):
        given = symbol(log_t), symbol(a)
        root = expression.evaluate(ROOT, dict(zip(("log_t", "a"), given, strict=True)), tensor_ops())
        return pt.grad(root.sum(), given)

    s = functions.sigmoid_root(log_t, a, np)
    by_t, by_a = functions.FUNCTIONS["sigmoid_root"].derivatives(log_t, a, s, np)
    found = on_pytensor(slopes)
    np.testing.assert_allclose(found[0], by_t, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], by_a.sum(), rtol=1e-9)


EVERY_ROW = {**functions.FUNCTIONS, **functions.MORE}


@pytest.mark.parametrize("name", EVERY_ROW)
def test_a_row_of_the_table_holds_on_every_library(name):
    """Its value on single numbers, xarray, PyTensor and the machine is NumPy's, its derivatives are those of differences."""
    import pytensor.tensor as pt

    row = EVERY_ROW[name]
    x = [np.array([0.3, 0.62, 0.9]), np.array([0.5, 0.6, 0.95])][: row.arity]
    value = functions.call(name, x, np)
    numbers = [[float(v) for v in at] for at in zip(*x, strict=True)]
    plain = row.plain or (lambda *at: row.form(*at, functions.PLAIN))
    on_numbers = [plain(*at) for at in numbers]
    np.testing.assert_allclose(on_numbers, value, rtol=1e-12)
    labelled = functions.call(name, [xr.DataArray(v, dims="obs") for v in x], np)
    np.testing.assert_array_equal(labelled.values, value)
    for ops in (pt, tensor_ops()):
        tensors = on_pytensor(lambda symbol, ops=ops: functions.call(name, [symbol(v) for v in x], ops))
        np.testing.assert_allclose(tensors, value, rtol=1e-12)

    np.testing.assert_allclose(result_of(lambda ops, *at: getattr(ops, name)(*at), *x), value, rtol=1e-14)
    exact = value_and_gradient(lambda ops, *at: getattr(ops, name)(*at).sum(), *x)[1]
    given = on_pytensor(lambda symbol: gradients_on_pytensor(name, [symbol(v) for v in x]))
    for i, (found, tensor) in enumerate(zip(exact, np.atleast_2d(given), strict=True)):
        up, down = ([v + s * 1e-6 * (i == j) for j, v in enumerate(x)] for s in (1, -1))
        expected = (functions.call(name, up, np) - functions.call(name, down, np)) / 2e-6
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(tensor, expected, rtol=1e-6, atol=1e-9)


def gradients_on_pytensor(name, given):
    import pytensor.tensor as pt

    return pt.stack(pt.grad(getattr(tensor_ops(), name)(*given).sum(), given))


def test_a_new_function_of_formulas_is_one_row(monkeypatch):
    """The parser, NumPy, xarray, PyTensor and the machine know it from the table alone."""
    row = functions.Function(
        2,
        lambda x, width, y, ops: (ops.tanh(x / width), y / width - x / width * ops.tanh(x / width)),
        form=lambda x, width, ops: width * ops.log(ops.exp(x / width) + ops.exp(-x / width)),
    )
    monkeypatch.setitem(functions.FUNCTIONS, "soft_size", row)
    formula = expression.parse("soft_size(x - a, 0.5)")
    assert formula.symbols == {"x", "a"}
    assert not formula.calls
    with pytest.raises(bl.InputError, match=r"soft_size\(\) takes 2 argument\(s\), found 1"):
        expression.parse("soft_size(x)")
    with pytest.raises(bl.InputError, match="has no finite value"):
        expression.parse("x + soft_size(1, 0)")
    x, a = np.array([0.2, 1.0, 4.0]), np.array([[0.7], [2.0]])
    expected = 0.5 * np.log(2 * np.cosh(2 * (x - a)))
    np.testing.assert_allclose(expression.evaluate(formula, {"x": x, "a": a}, np), expected, rtol=1e-13)
    values = {"x": xr.DataArray(x, dims="obs"), "a": xr.DataArray(a[:, 0], dims="draw")}
    labelled = expression.evaluate(formula, values, np).transpose("draw", "obs").values
    np.testing.assert_allclose(labelled, expected, rtol=1e-13)
    found = on_pytensor(lambda s: expression.evaluate(formula, {"x": s(x[None]), "a": s(a)}, tensor_ops()))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose([on_the_machine(formula, x=x, a=at) for at in a[:, 0]], expected, rtol=1e-13)
    for at in a[:, 0]:
        _, (slope,) = value_and_gradient(
            lambda ops, given: expression.evaluate(formula, {"x": x, "a": given}, ops).sum(), at
        )
        np.testing.assert_allclose(slope, -np.tanh(2 * (x - at)).sum(), rtol=1e-12)


def test_only_formulas_functions_are_reached_by_a_formula():
    for name in functions.MORE:
        assert expression.parse(f"{name}(x)").calls == {(name, "x")}
        with pytest.raises(bl.InputError, match="unknown function"):
            expression.parse(f"{name}(x + 1)")


def test_a_formula_knows_its_symbols_and_calls():
    formula = expression.parse(" L0 + A * S1**-alpha - C * S2(lam) + exp(x) ")
    assert formula.text == "L0 + A * S1**-alpha - C * S2(lam) + exp(x)"
    assert formula.symbols == {"L0", "A", "S1", "alpha", "C", "lam", "x"}
    assert formula.calls == {("S2", "lam")}


HOSTILE = [
    "__import__('os').system('touch {}')",
    "().__class__.__bases__[0].__subclasses__()",
    "C.real",
    "exp.__globals__",
    "(lambda: 1)()",
    "lambda x: x",
    "[x for x in C]",
    "{{x: 1 for x in C}}",
    "sum(x for x in C)",
    "C[0]",
    "C[:, None]",
    "'text'",
    "b'bytes'",
    "f'{{C}}'",
    "f\"{{__import__('os').system('touch {}')}}\"",
    "exp(x=C)",
    "exp(*C)",
    "exp(**C)",
    "(y := C)",
    "C if C else C",
    "C and C",
    "not C",
    "C < 1",
    "C // 2",
    "C % 2",
    "C @ C",
    "C << 2",
    "~C",
    "True",
    "None",
    "...",
    "1j",
    "1e400",
    "1" + "0" * 310,
    "9**9**9**9",
    "C * 9**9**9**9",
    "C + 1 / 0",
    "C + log(0)",
    "C + sqrt(-1)",
    "exp(1000)",
    "import os",
    "C; C",
    "C = 1",
    "C\nC",
    "await C",
    "yield",
    "open('{}', 'w')",
    "eval('1')",
    "unknown(C, C)",
    "unknown(1)",
    "unknown()",
    "exp(C, C)",
    "exp()",
    "maximum(C)",
    "sigmoid_root(C)",
    "sigmoid_root(C, C, C)",
    "exp(C)(C)",
    "C" + ".a" * 450,
    "[" * 150 + "]" * 150,
    "(" * 450 + "C" + ")" * 450,
    "-" * 900 + "C",
    "not " * 200 + "C",
    "C" + " + C" * 60,
    "C" + " + C" * 400,
    "C\0",
    "\ud800",
    "",
    "   ",
    "#",
    None,
    3,
    ["C"],
    b"C",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t)[:40])
def test_a_hostile_formula_is_refused_and_not_run(text, tmp_path):
    written = tmp_path / "written"
    if isinstance(text, str):
        text = text.replace("{{", "\1").replace("}}", "\2").replace("{}", str(written))
        text = text.replace("\1", "{").replace("\2", "}")
    with pytest.raises(bl.InputError, match=r"^model 'm', law: "):
        expression.parse(text, "model 'm', law")
    assert not written.exists()


def test_only_functions_of_the_table_are_reached():
    """A name that NumPy happens to have is no function of a formula."""
    formula = expression.parse("load(x)")
    with pytest.raises(KeyError, match="load"):
        expression.evaluate(formula, {"x": 1.0}, np)


def test_references_that_divide_by_zero_are_one_message():
    with pytest.raises(bl.InputError, match="cannot be evaluated"):
        expression.evaluate(expression.parse("x / y"), {"x": 1.0, "y": 0.0}, np)
