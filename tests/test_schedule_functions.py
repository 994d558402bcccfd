"""A function of schedules is one row of a table, of one parameter or of several."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import PUBLISHED_SCHEDULES
from recorded import result_of, value_and_gradient

import bayeslaw as bl
from bayeslaw.law import schedule_inputs
from bayeslaw.law.evaluate import evaluate_law, fixed_values, law_inputs, references
from bayeslaw.law.schedule_inputs import ScheduleFunction


def prepare(schedule, steps, ranges):
    """The fall of the rate from its peak, and its square, as shares of the peak."""
    assert list(ranges) == [(0.1, 0.9), (-2.0, 2.0)]
    fall = 1 - schedule.lr[steps] / schedule.lr.max()
    return np.stack([fall, fall**2, np.ones_like(fall)], axis=1)


def evaluate(arguments, prepared, ranges, ops):
    share, bend = arguments
    return share * prepared.T[0] + ops.tanh(bend) * prepared.T[1]


BENT = """
law = "level * (1 - W(share, bend)) * S1**-alpha + 0 * S2(lam)"
[inputs]
S1 = { column = "lr_area", reference = "geometric-mean" }
W = { function = "bent_fall", arguments = ["share", "bend"], ranges = [[0.1, 0.9], [-2.0, 2.0]] }
S2 = { function = "annealing_area", argument = "lam", range = [0.95, 0.9998] }
[output]
name = "loss"
unit = "nat"
scale = "log"
[parameters]
level = { support = "positive", prior_90 = [0.3, 10] }
alpha = { support = "positive", prior_90 = [0.05, 1.0] }
share = { support = "unit", prior_90 = [0.15, 0.6], bounds = [0.1, 0.9] }
bend = { prior_90 = [-1, 1], bounds = [-2, 2] }
lam = { support = "unit", fixed = 0.999 }
[likelihood]
family = "Normal"
sigma = { prior_90 = [0.001, 0.1] }
"""
TRUTH = {"level": 3.0, "alpha": 0.2, "share": 0.3, "bend": -0.4}


@pytest.fixture
def bent(monkeypatch, tmp_path):
    """A law with a function of two parameters beside one of one, and rows that follow it."""
    row = ScheduleFunction(("unit", "real"), prepare, evaluate)
    monkeypatch.setitem(schedule_inputs.FUNCTIONS, "bent_fall", row)
    (tmp_path / "bent.toml").write_text(BENT, encoding="utf-8")
    spec = bl.load_model(tmp_path / "bent.toml")
    steps = np.tile(np.arange(1000, 20001, 1000), 2)
    table = pd.DataFrame({"run": np.repeat(list(PUBLISHED_SCHEDULES), 20), "step": steps, "loss": 3.0})
    data = bl.read_curves(table, spec, PUBLISHED_SCHEDULES)
    spec = bl.resolve(spec, data)
    law = evaluate_law(spec, TRUTH, law_inputs(spec, data))
    return spec, data.assign(loss=("obs", law))


def test_a_function_of_two_parameters_is_read_prepared_and_evaluated(bent):
    spec, data = bent
    assert spec.inputs["W"].arguments == ("share", "bend")
    assert spec.inputs["W"].ranges == ((0.1, 0.9), (-2.0, 2.0))
    assert spec.law.calls == {("W", "share", "bend"), ("S2", "lam")}
    assert data["bent_fall"].shape == (40, 3)
    assert data["annealing_area"].shape == (40, schedule_inputs.NODES)
    fall = 1 - data["lr"].values / 2e-4
    by_hand = 3 * (1 - 0.3 * fall - np.tanh(-0.4) * fall**2) * data["lr_area"].values ** -0.2
    np.testing.assert_allclose(data["loss"], by_hand, rtol=1e-12)
    assert bl.change(spec, fix={"bend": 0.0}).inputs == spec.inputs


def test_it_means_the_same_on_every_library(bent):
    from test_expression import on_pytensor, tensor_ops

    spec, data = bent
    inputs, constants = law_inputs(spec, data), {**references(spec), **fixed_values(spec)}
    found = on_pytensor(lambda symbol: evaluate_law(
        spec, {n: symbol(v) for n, v in TRUTH.items()}, {n: symbol(v) for n, v in inputs.items()},
        tensor_ops(), {n: symbol(v) for n, v in constants.items()},
    ))  # fmt: skip
    np.testing.assert_allclose(found, data["loss"], rtol=1e-12)
    truth = list(TRUTH.values())

    def law(ops, *given):
        return evaluate_law(spec, dict(zip(TRUTH, given, strict=True)), inputs, ops)

    np.testing.assert_allclose(result_of(law, *truth), data["loss"], rtol=1e-12)
    exact = value_and_gradient(lambda ops, *given: law(ops, *given).sum(), *truth)[1]
    for name, gradient in zip(TRUTH, exact, strict=True):
        up, down = (evaluate_law(spec, {**TRUTH, name: TRUTH[name] + s}, inputs) for s in (1e-6, -1e-6))
        np.testing.assert_allclose(gradient, ((up - down) / 2e-6).sum(), rtol=1e-6)


def test_a_point_fit_finds_both_parameters_and_forecasts_a_schedule(bent):
    spec, data = bent
    fit = bl.fit(spec, data, method="map", bootstrap=8, seed=1)
    for name, value in TRUTH.items():
        assert float(fit.tree["point"][name]) == pytest.approx(value, rel=1e-3)
    ahead = bl.forecast(
        fit, schedule="cosine(peak=2e-4, end=0, warmup=500, total=16000, hold=true)", steps=[16000]
    )
    fall = 1 - 0.3 - np.tanh(-0.4)
    s1 = bl.parse_schedule("cosine(peak=2e-4, end=0, warmup=500, total=16000, hold=true)").area(
        np.array([16000])
    )
    expected = 3 * fall * s1**-0.2
    np.testing.assert_allclose(ahead["median"].sel(kind="law").values.ravel(), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["share", "bend"]', '["bend", "share"]', r"W\(share, bend\): its arguments are 'bend', 'share'"),
        ('["share", "bend"]', '["share"]', r"\[inputs\] W arguments: bent_fall takes 2 parameter\(s\), found \['share'\]"),
        ('["share", "bend"]', '["share", "share"]', r"\[inputs\] W arguments: expected different parameters"),
        ("[[0.1, 0.9], [-2.0, 2.0]]", "[0.1, 0.9]", r"\[inputs\] W ranges: expected a list of numbers, found 0.1"),
        ("[[0.1, 0.9], [-2.0, 2.0]]", "[[0.1, 0.9]]", r"\[inputs\] W ranges: bent_fall takes 2 parameter\(s\)"),
        ("[[0.1, 0.9], [-2.0, 2.0]]", "[[0.1, 9.0], [-2.0, 2.0]]", r"must lie strictly inside \(0, 1\)"),
        ("[-2.0, 2.0]]", "[-1.0, 2.0]]", r"the prior of 'bend' leaves the range \[-1, 2\]"),
        ("W(share, bend)) *", "W(share)) * bend *", r"W\(share\): its arguments are 'share', 'bend'"),
        ("W(share, bend)) *", "share - bend) *", r"\[inputs\] W: is never called; write W\(share, bend\) in the law"),
        ('function = "annealing_area", argument = "lam", range = [0.95, 0.9998]',
         'function = "bent_fall", arguments = ["share", "lam"], ranges = [[0.1, 0.9], [-1.0, 1.0]]',
         r"\[inputs\] S2: bent_fall has other ranges than in W; give both the same"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_message(bent, tmp_path, old, new, said):
    assert old in BENT
    (tmp_path / "odd.toml").write_text(BENT.replace(old, new), encoding="utf-8")
    with pytest.raises(bl.InputError, match=said):
        bl.load_model(tmp_path / "odd.toml")


def test_every_function_of_schedules_prepares_rows_and_evaluates_them():
    schedule, steps = bl.parse_schedule(PUBLISHED_SCHEDULES["cosine_20000"]), np.array([900, 9000, 20000])
    usual = {"unit": (0.95, 0.9998), "positive": (0.5, 2.0), "real": (-1.0, 1.0)}
    for name, row in schedule_inputs.FUNCTIONS.items():
        ranges = [usual[support] for support in row.supports]
        prepared = row.prepare(schedule, steps, ranges)
        assert len(prepared) == len(steps), name
        draws = [np.array([[low], [high], [(low + high) / 2]]) for low, high in ranges]
        found = row.evaluate(draws, prepared, ranges, np)
        assert found.shape == (3, 3), name
        assert np.isfinite(found).all()
