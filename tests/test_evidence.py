"""What rows can bear: sizes of numbers, priors within reach, inputs enough, and tables that mean what they say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import PUBLISHED_SCHEDULES, TRAINING_SCHEDULES, TRUTHS, noiseless, shared
from malformed_inputs import falling as curve
from malformed_inputs import line

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.assess.few_inputs import distinct_inputs, few_inputs, free_parameters, told_parameters
from bayeslaw.cli.main import main
from bayeslaw.core.check import from_json
from bayeslaw.data.direction import directions
from bayeslaw.data.sizes import check_sizes
from bayeslaw.forecasts.intervals import finite_checks, over_draws
from bayeslaw.forecasts.posterior import log_mean
from bayeslaw.inference import fitting
from bayeslaw.inference.point_fit import point_spec
from bayeslaw.inference.prior_reach import CONFLICT, prior_conflict, refuse_out_of_reach
from bayeslaw.law.catalogue import parse_toml
from bayeslaw.observation.bound import bind

POWER, COMPUTE, CHINCHILLA, GOLD = (
    bl.load_model(n) for n in ("power", "compute", "chinchilla", "gold-likelihood")
)


# ---- sizes


def test_a_curve_of_absurd_rates_is_refused():
    frame = pd.DataFrame({"run": "a", "step": [10, 20], "loss": [3.0, 2.9]})
    with pytest.raises(bl.InputError, match=r"'lr_area'.*1e-100 to 1e"):
        bl.read_curves(frame, bl.load_model("annealing"), "constant(peak=1e-150, total=30)")


@pytest.fixture(scope="module")
def fit():
    return bl.fit(POWER, bl.read_table(curve(), POWER), "map", bootstrap=20)


@pytest.mark.parametrize(
    ("spec", "table"),
    [
        (POWER, curve().assign(sampling_error=lambda d: 10 * d["y"])),
        (POWER, curve(sampling_error=1e-200)),  # as good as none
        (line(), curve().assign(y=lambda d: d["y"] - d["y"].iloc[3], sampling_error=0.3)),  # a value of zero
        (line(), curve(x=np.append(np.zeros(6), np.linspace(-2, 2, 6)))),
        (line(), curve(y=0.0, sampling_error=0.3)),
        (POWER, curve(x=np.geomspace(1e-20, 1e40, 12))),
    ],
)  # fmt: skip
def test_unusual_numbers_are_fine(spec, table):
    data = bl.read_table(table, spec)
    check_sizes(spec, data)
    assert data.sizes["obs"] == len(table)


# ---- priors


def test_a_prior_on_the_line_is_judged_by_its_size():
    assert line(a=[-1e-9, 1e-9]).parameters["a"].prior_90 == (-1e-9, 1e-9)
    with pytest.raises(bl.InputError, match="as good as one value"):
        line(a=[1000.0, 1000.0001])
    text = POWER.to_toml().replace("[parameters.floor]", "[parameters.floor]\nbounds = [0.2, 0.2000000001]")
    with pytest.raises(bl.InputError, match=r"floor bounds.*as good as one value"):
        parse_toml(text, "narrow")


@pytest.mark.parametrize("method", ["nuts", "map"])
@pytest.mark.parametrize(
    "name", ["power", "compute", "chinchilla", "broken-power", "sigmoid-power", "annealing"]
)
@pytest.mark.parametrize("factor", [1e-30, 1e-90, 1e40])
def test_rows_that_no_prior_reaches_are_refused_before_compiling(name, factor, method):
    spec, data = noiseless(name)
    if name == "annealing":
        data = data.isel(obs=slice(None, None, 4))
    output = spec.output.name
    with pytest.raises(bl.InputError) as caught:
        bl.fit(spec, data.assign({output: data[output] * factor}), method)
    assert "prior standard deviations away" in str(caught.value)
    assert f"Check the unit of column {output!r}, or change(spec, prior={{…}})" in str(caught.value)


def conflict(spec: bl.Spec, data: xr.Dataset):
    """Return the check that a posterior of these rows would have, without sampling it."""
    spec = bl.resolve(spec, data)
    from bayeslaw.inference.fit import Fit

    groups = fitting.draw_prior(bind(spec, data), np.random.default_rng(0))
    tree = xr.DataTree.from_dict({**groups, "observed_data": data[[spec.output.name]], "constant_data": data.drop_vars(spec.output.name)})  # fmt: skip
    (check,) = prior_conflict(Fit(spec, tree))
    return check


def test_rows_far_from_the_priors_are_warned_of():
    data = bl.read_table(curve().assign(y=lambda d: 2e4 * d["y"]), POWER)
    check = conflict(POWER, data)
    assert check.level == "warn" and CONFLICT < check.value < 7
    assert "change(spec, prior=" in check.message
    wide = bl.change(POWER, prior={"level": (1, 1e6)})
    assert conflict(wide, data).level == "ok"
    assert prior_conflict(bl.fit(wide, data, "map", bootstrap=0)) == []


@pytest.mark.parametrize("factor", [1.0, 30.0, 1 / 30])
@pytest.mark.parametrize(
    "spec",
    [line(), line(a=[0.02, 15], b=[0.001, 0.1]), line(a=[0.1, 2.0], b=[-0.5, -0.1])],
    ids=["real", "positive", "mixed"],
)
def test_on_their_own_scale_priors_are_judged_by_their_shape(spec, factor):
    """A positive parameter's long tail on the line is no conflict, and a real one's is no logarithm."""
    x = np.linspace(0, 5, 20)
    middle = {n: (p.prior_90[0] * p.prior_90[1]) ** 0.5 if p.support == "positive" else np.mean(p.prior_90) for n, p in spec.parameters.items()}  # fmt: skip
    y = middle["a"] + middle["b"] * x
    if factor == 1:
        assert conflict(spec, bl.read_table(pd.DataFrame({"x": x, "y": y}), spec)).value < 1
    else:  # thirty times a median is within the long tail of a log-normal, not so of a normal
        table = pd.DataFrame({"x": x, "y": 0.55 * factor + 0 * x})
        assert conflict(line(a=[0.02, 15], b=[0.001, 0.1]), bl.read_table(table, spec)).level == "ok"


def test_a_normal_prior_on_the_line_refuses_what_is_far():
    table = pd.DataFrame({"x": np.linspace(0, 1, 20), "y": 900.0})
    with pytest.raises(bl.InputError, match="expects -"):
        bl.fit(line(), bl.read_table(table, line()))


# ---- forecasts that are no numbers


@pytest.fixture(scope="module")
def broken(fit):
    """A fit whose law has no value far out in some of its draws, in most, or in all, or is too large."""

    def make(kind: str) -> bl.Fit:
        spec, data = line("log"), bl.read_table(curve(x=np.linspace(1, 2, 12)), line("log"))
        fitted = bl.fit(spec, data, "map", bootstrap=2000)
        tree = fitted.tree.copy(deep=True)
        slope = np.zeros(2000)
        share = {"few": 4, "many": 400, "all": 2000, "sound": 0, "huge": 0}[kind]
        slope[:share] = -1e3
        tree["bootstrap"]["b"][0, :] = slope
        tree["bootstrap"]["a"][0, :] = 1.0
        return bl.Fit(fitted.spec, tree)

    return make


@pytest.mark.parametrize(
    ("kind", "level", "words"),
    [
        ("sound", None, ""),
        ("few", "warn", "in up to 0.2 % of the draws, which are left out"),
        ("many", "fail", "in up to 20 % of the draws"),
        ("all", "fail", "the forecast is no finite number"),
        ("huge", "fail", "1 of 1 targets (the first is number 1) the forecast is no finite number"),
    ],
)
def test_a_forecast_that_is_no_number_fails(broken, kind, level, words, tmp_path):
    one = broken(kind)
    if kind == "huge":
        residual = one.tree["point"]["residual"]
        one.tree["point"]["residual"] = residual + 800.0
    fc = bl.forecast(one, {"x": [10.0]})
    found = {c.name: c for c in from_json(fc.attrs["checks"])}
    assert ("finite" in found) == (level is not None)
    if level:
        assert found["finite"].level == level and words in found["finite"].message
    if kind in ("few", "many", "sound"):
        assert np.isfinite(fc["median"]).all()
    figure = plots.plot_forecast(one, fc)
    if level:
        assert f"{level}: finite" in figure.get_supxlabel().replace("\n", " ") or level == "warn"
    plots.save(figure, tmp_path / "forecast.png")
    one.save(tmp_path / "fit.nc")
    done = CliRunner().invoke(main, ["forecast", str(tmp_path / "fit.nc"), "--at", "x=10", "--plot", str(tmp_path / "b.png")])  # fmt: skip
    assert isinstance(done.exception, SystemExit | None), done.exc_info
    assert done.exit_code == (1 if level == "fail" else 0), done.output
    done = CliRunner().invoke(main, ["report", str(tmp_path / "fit.nc"), "--at", "x=10", "-o", str(tmp_path / "r.html")])  # fmt: skip
    assert isinstance(done.exception, SystemExit | None), done.exc_info
    assert done.exit_code == (1 if level == "fail" else 0), done.output
    page = (tmp_path / "r.html").read_text()
    assert ("Do not use line yet: a check failed (line: finite)" in page) == (level == "fail")


def test_a_schedule_on_which_the_law_has_no_value_is_drawn_and_fails():
    spec, data = noiseless("annealing")
    fitted = bl.fit(spec, data, "map", bootstrap=40)
    tree = fitted.tree.copy(deep=True)
    tree["bootstrap"]["drop"][0, :] = 50.0  # annealing takes more than there is
    one = bl.Fit(fitted.spec, tree)
    fc = bl.forecast(one, schedule="cosine(peak=2e-4, end=0, total=20000)", steps=[5000, 15000, 20000])
    (check,) = [c for c in from_json(fc.attrs["checks"]) if c.name == "finite"]
    assert check.level == "fail" and "of 3 steps" in check.message
    assert "fail: finite" in plots.plot_forecast(one, fc).get_supxlabel()


def test_draws_without_a_value_are_left_out():
    draws = np.array([[1.0, np.nan, np.inf], [2.0, 4.0, -np.inf], [3.0, 6.0, np.nan]])
    mean, (middle,) = over_draws(draws, np.isfinite(draws), [0.5])
    np.testing.assert_array_equal(mean, [2, 5, np.nan])
    np.testing.assert_array_equal(middle, [2, 5, np.nan])
    told = {n: np.ones((3, 4)) for n in ("mean", "median", "lower", "upper")} | {
        "valueless": np.zeros((3, 4))
    }
    assert finite_checks(told) == []
    told["upper"][2, 1] = np.inf
    (check,) = finite_checks(told, np.array([5, 6, 7, 8]))
    assert "1 of 4 steps (the first is step 6)" in check.message


@pytest.mark.parametrize(
    ("share", "prob", "level"),
    [(0.004, 0.99, "warn"), (0.006, 0.9, "warn"), (0.006, 0.99, "fail"), (0.02, 0.9, "fail")],
)
def test_an_interval_fails_where_as_many_draws_are_left_out_as_lie_beyond_its_end(share, prob, level):
    told = {n: np.ones((3, 1)) for n in ("mean", "median", "lower", "upper")}
    told["valueless"] = np.full((3, 1), share)
    (check,) = finite_checks(told, prob=prob)
    assert check.level == level
    assert ("beyond an end of the 99 % interval" in check.message) == (share == 0.006 and prob == 0.99)


@pytest.mark.parametrize(("odd", "known"), [(0, True), (1, True), (50, False)])
def test_a_density_is_that_of_the_draws_with_a_value(odd, known):
    each = np.log(np.random.default_rng(6).uniform(size=(1000, 2)))
    wanted = np.log(np.exp(each[odd:]).mean(axis=0))
    each[:odd] = np.nan
    np.testing.assert_allclose(log_mean(each), wanted if known else [np.nan] * 2)


# ---- enough inputs


@pytest.mark.parametrize(
    ("name", "free"),
    [("power", 3), ("compute", 3), ("chinchilla", 5), ("params-tokens", 5), ("gold-likelihood", 3),
     ("annealing", 5), ("broken-power", 6), ("sigmoid-power", 5)],
)  # fmt: skip
def test_free_parameters_are_counted(name, free):
    spec = bl.load_model(name)
    assert free_parameters(spec) == free
    assert free_parameters(point_spec(spec)) == free - len(spec.map.fix)
    first = next(n for n, p in spec.parameters.items() if not p.names)
    value = spec.parameters[first].prior_90[0]
    assert free_parameters(bl.change(spec, fix={first: value})) == free - 1


@pytest.mark.parametrize(
    ("x", "level"),
    [
        ([1e3], "fail"),
        ([1e3, 1e5], "fail"),
        ([1e3, 1e5] * 10, "fail"),  # many rows, two inputs
        ([1e3, 1e3 * (1 + 1e-9), 1e5], "fail"),  # one input, written twice
        ([1e3, 1e4, 1e5], "warn"),
        ([1e3, 1e4, 1e5, 1e6], "ok"),
    ],
)
@pytest.mark.parametrize("bootstrap", [0, 10])
def test_fewer_inputs_than_parameters_fail_by_either_method(x, level, bootstrap):
    runs = [f"run {i}" for i in range(len(x))]
    data = bl.read_table(pd.DataFrame({"run": runs, "x": x, "y": 2 * np.array(x) ** -0.1}), POWER)
    found = bl.checks(bl.fit(POWER, data, "map", bootstrap=bootstrap))
    (check,) = [c for c in found if c.name == "few-inputs"]
    assert (check.level, check.value) == (level, len(set(np.round(x, 3))))
    assert few_inputs(bind(POWER, data)) == check  # what a posterior's checks say, too
    if level != "ok":
        assert "for 3 free parameters" in check.message and "fix={…}" in check.message
    held = bl.change(POWER, fix={"floor": 0.0, "alpha": 0.1})
    if level == "fail" and len(x) > 1:
        assert few_inputs(bind(held, data)).level != "fail"


def test_inputs_of_several_columns_and_of_schedules():
    table = pd.DataFrame(
        {
            "params": [1e8, 1e8, 1e9, 1e9, 1e8],
            "tokens": [1e9, 1e10, 1e9, 1e10, 1e9],
            "loss": [3.4, 3.3, 3.2, 3.1, 3.0],
        }
    )
    assert distinct_inputs(bind(CHINCHILLA, bl.read_table(table, CHINCHILLA))) == 4
    spec, data = noiseless("annealing")
    assert few_inputs(bind(spec, data)).level == "ok"
    assert few_inputs(bind(spec, data.isel(obs=[0, 1, 2]))).level == "fail"


def grid(params, tokens) -> xr.Dataset:
    params, tokens = np.broadcast_arrays(params, tokens)
    loss = 1.8 + 480 * params**-0.35 + 2100 * tokens**-0.37
    return bl.read_table(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}), CHINCHILLA)


LONG, THREE = np.geomspace(1e9, 1e11, 30), np.repeat([1e8, 1e9, 1e10], 10)


@pytest.mark.parametrize(
    ("data", "fix", "rank", "words"),
    [
        (grid(1e9, LONG), {}, 3, "they tell only 3 of them apart (params has one value in all rows)"),
        (grid(1e9 * (1 + 1e-9 * np.arange(30)), LONG), {}, 3, "params has one value"),
        (grid(np.tile([1e9, 3e9], 15), LONG), {}, 4, "params has two values"),
        (grid(LONG, np.tile([1e10, 3e10], 15)), {}, 4, "tokens has two values"),
        (grid(np.tile([1e9, 3e9], 15), LONG), {"alpha": 0.3}, 4, ""),
        (grid(THREE, np.tile(LONG[::3], 3)), {}, 5, ""),
        (grid(LONG, 20 * LONG), {}, 5, ""),
        (grid(np.geomspace(1e8, 3e8, 6), 20 * np.geomspace(1e8, 3e8, 6)), {}, 5, ""),
        (grid(THREE, np.tile(np.geomspace(1e18, 1e21, 10), 3) / THREE), {}, 5, ""),  # iso-FLOP
        (grid(LONG, 1e20 / LONG), {}, 5, ""),
    ],
)
def test_a_direction_in_which_inputs_never_varied_fails(data, fix, rank, words):
    spec = bl.change(CHINCHILLA, fix=fix)
    assert told_parameters(bind(spec, data)) == rank
    check = few_inputs(bind(spec, data))
    assert check.level == ("fail" if words else "ok") and words in check.message
    pooled = bl.change(spec, pool={"level": "family"})
    assert (
        few_inputs(bind(pooled, data.assign_coords(family=("obs", ["a", "b"] * (data.sizes["obs"] // 2)))))
        == check
    )


@pytest.mark.parametrize("name", TRUTHS)
def test_sound_inputs_tell_every_parameter(name):
    spec, data = noiseless(name)
    free = free_parameters(spec)
    assert told_parameters(bind(spec, data)) == free
    few = data.isel(obs=np.linspace(0, data.sizes["obs"] - 1, free + 3).astype(int))
    assert few_inputs(bind(point_spec(spec), few)).level == "ok"
    if name == "annealing":  # one constant rate never fell: nothing tells what annealing takes
        constant = data.isel(obs=data["run"].values == "constant_20000")
        assert (
            told_parameters(bind(spec, constant)) < free and few_inputs(bind(spec, constant)).level == "fail"
        )


def test_a_law_without_a_value_under_its_priors_is_not_judged_by_rank():
    spec = line("log", a=[-2.0, -1.0], b=[-2.0, -1.0])
    assert told_parameters(bind(spec, bl.read_table(curve(), line("log")))) == free_parameters(spec)


def test_too_few_inputs_end_the_command_with_one_and_a_back_test_names_them(tmp_path):
    table = curve().iloc[[0, 6] * 4].assign(run=list("abcdefgh"))
    table.to_csv(tmp_path / "two.csv", index=False)
    out = str(tmp_path / "fit.nc")
    done = CliRunner().invoke(main, ["fit", "power", str(tmp_path / "two.csv"), "-o", out, "--method", "map"])
    assert done.exit_code == 1 and "[fail] few-inputs: 2 different inputs" in done.output
    help_text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert "too few different inputs" in help_text
    rows = pd.concat([curve().iloc[[0, 1] * 3], curve().iloc[3:]])
    rows["run"] = [f"run {i}" for i in range(len(rows))]
    bt = bl.backtest(POWER, bl.read_table(rows, POWER), "x", methods=["point"], windows=[300.0, 1e4], bootstrap=20, progress=False)  # fmt: skip
    assert bt["failed"].values.tolist() == [["few-inputs", ""]]


def test_a_back_test_whose_forecast_is_no_number_says_so():
    x = np.array([1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 30.0])
    data = bl.read_table(pd.DataFrame({"x": x, "y": np.maximum(1.4 - 0.45 * x, 0.1)}), line("log"))
    bt = bl.backtest(line("log"), data, "x", methods=["point"], windows=[2.0], bootstrap=20, progress=False)
    assert bt["failed"].values.tolist() == [["finite"]]


# ---- tables that mean what they say


def told(data: xr.Dataset, name: str):
    return [c for c in from_json(data.attrs["checks"]) if c.name == name]


def runs(rng: np.random.Generator, rows: int = 30) -> pd.DataFrame:
    params, tokens = 10 ** rng.uniform(7, 10, rows), 10 ** rng.uniform(9, 12, rows)
    return pd.DataFrame({"params": params, "tokens": tokens})


def test_what_is_noise_or_rises_in_one_input_alone_is_not():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = runs(rng, int(rng.integers(3, 40)))
        noise = frame.assign(loss=3 * np.exp(0.3 * rng.standard_normal(len(frame))))
        assert told(bl.read_table(noise, CHINCHILLA), "against-law") == []
        power = noise.rename(columns={"params": "x", "loss": "y"})
        assert told(bl.read_table(power, POWER), "against-law") == []
    one = frame.assign(loss=1 + 0.1 * np.log(frame["params"]) + 1e9 / frame["tokens"])
    assert told(bl.read_table(one, CHINCHILLA), "against-law") == []
    in_step = pd.DataFrame({"params": 10.0 ** np.arange(7, 15), "tokens": 2 * 10.0 ** np.arange(8, 16), "loss": np.linspace(2, 4, 8)})  # fmt: skip
    assert told(bl.read_table(in_step, CHINCHILLA), "against-law") != []  # proportional inputs count once


@pytest.mark.parametrize("spread", [0.05, 0.5], ids=["D = 20 N", "D from 4 N to 100 N"])
def test_inputs_that_grow_together_do_not_hide_which_way_the_output_goes(spread):
    against = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        params = 10 ** rng.uniform(7, 10, 30)
        tokens = 20 * params * np.exp(spread * rng.standard_normal(30))
        law = 1.8 + 480 * params**-0.35 + 2100 * tokens**-0.37
        noise = np.exp(0.01 * rng.standard_normal(30))
        for loss, wrong in ((4.5 - law / 3, True), (law, False), (3.0, False)):
            table = pd.DataFrame({"params": params, "tokens": tokens, "loss": loss * noise})
            found = told(bl.read_table(table, CHINCHILLA), "against-law") != []
            against += found and wrong
            assert wrong or not found
    assert against >= 7


def test_a_law_that_may_go_either_way_is_not_judged():
    spec = line()
    data = bl.read_table(curve(y=np.linspace(0, 1, 12)), spec)
    assert directions(spec, data) == {"x": 0} and from_json(data.attrs["checks"]) == []


def counts(sets: dict[str, str]) -> pd.DataFrame:
    rows = [(m, p, 10, 1 + i % 9) for i, (m, ps) in enumerate(sets.items()) for p in ps]
    frame = pd.DataFrame(rows, columns=["model", "problem", "n", "c"])
    return frame.assign(compute=1e18 * 10.0 ** (pd.factorize(frame["model"])[0] / 4))


@pytest.mark.parametrize("family", ["StudentT", "Binomial"])
def test_models_with_other_problems_are_named(family):
    spec = bl.change(COMPUTE, likelihood={"family": "Binomial"}) if family == "Binomial" else COMPUTE
    alike = counts({"a": "pqrs", "b": "pqrs", "c": "pqrs"})
    assert told(bl.read_table(alike, spec), "problem-sets") == []
    (check,) = told(
        bl.read_table(counts({"a": "pqrs", "b": "pq", "c": "pqrs", "d": "pqrst"}), spec), "problem-sets"
    )
    assert (check.level, check.value) == ("warn", 2.0)
    assert "2 of 4 models" in check.message and "b 2, d 5; all share 2" in check.message
    letters = "".join(map(chr, range(100, 150)))
    (check,) = told(bl.read_table(counts({"a": letters, "b": letters + "ä", "c": letters}), spec), "problem-sets")  # fmt: skip
    assert check.level == "note"  # one problem in fifty hardly moves a mean


def test_a_column_that_sorts_problems_makes_no_other_models():
    table = counts({f"m{i}": "abcdefghij" for i in range(8)})
    table["difficulty"] = np.where(table["problem"] < "h", "easy", "hard")
    pooled = bl.change(COMPUTE, pool={"level": "difficulty"})
    assert told(bl.read_table(table, pooled), "problem-sets") == []
    (check,) = told(bl.read_table(table.iloc[:-2], pooled), "problem-sets")
    assert check.level == "warn" and "1 of 8 models" in check.message and "m7 8" in check.message


def test_a_few_problems_lost_here_and_there_are_a_note():
    problems = [chr(200 + i) for i in range(164)]
    sets = {
        f"m{i}": "".join(p for j, p in enumerate(problems) if j not in (2 * i, 2 * i + 1)) for i in range(60)
    }
    (check,) = told(bl.read_table(counts(sets), COMPUTE), "problem-sets")
    assert check.level == "note" and "usual 164" in check.message and check.value == 44
    (check,) = told(bl.read_table(counts({"first": "".join(problems[:30]), **sets}), COMPUTE), "problem-sets")
    assert check.level == "warn" and "first 30" in check.message


def test_a_constant_goes_nowhere():
    assert told(bl.read_table(curve(y=2.0 + 1e-15 * np.arange(12)), POWER), "against-law") == []


def test_a_law_without_a_value_at_the_rows_is_said_to_have_none():
    predicted = np.full((4, 3), np.nan)
    predicted[:, 0] = [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(bl.InputError, match="no finite number or always the same; does it divide by zero"):
        refuse_out_of_reach(line(), np.ones(3), predicted)


def test_gsm8k_has_a_checkpoint_with_other_problems():
    table = pd.read_csv(shared("pythia/gsm8k_counts.csv"))
    (check,) = told(bl.read_table(table, COMPUTE), "problem-sets")
    assert check.level == "warn" and "Pythia_12B_2M 30" in check.message and "all share 30" in check.message
    gold = bl.read_table(table, GOLD, join=shared("pythia/gsm8k_gold_nll.csv"))
    assert told(gold, "problem-sets") == []  # the nine with gold solutions share all 128


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (lambda c: c, ""),
        (lambda c: 1.3 * c, ""),
        (lambda c: 3 * c, "3 times 6·params·tokens in the median; 30 of 30 rows"),
        (lambda c: c / 1e21, "1e-21 times"),
        (lambda c: c * np.where(np.arange(30) == 7, 10, 1), "1 of 30 rows are off by more than a factor of 2: row 8 (10)"),
        (lambda c: c.where(np.arange(30) != 7), ""),
    ],
)  # fmt: skip
def test_compute_that_is_not_six_params_tokens(compute, words):
    frame = runs(np.random.default_rng(1)).assign(loss=3.0)
    frame["compute"] = compute(6 * frame["params"] * frame["tokens"])
    found = told(bl.read_table(frame, CHINCHILLA), "compute-factor")
    assert bool(found) == bool(words)
    if words:
        assert found[0].level == "warn" and words in found[0].message


def real_tables():
    """Yield the real tables under the shipped laws that describe them."""
    chinchilla = pd.read_csv(shared("chinchilla/runs.csv"))
    yield CHINCHILLA, bl.read_table(chinchilla, CHINCHILLA)
    for name in ("power", "broken-power", "sigmoid-power"):
        spec = bl.load_model(name)
        table = pd.DataFrame({"x": chinchilla["tokens"], "y": chinchilla["loss"]}).drop_duplicates("x")
        yield spec, bl.read_table(table, spec)
    gsm = pd.read_csv(shared("pythia/gsm8k_counts.csv"))
    for name in ("compute", "params-tokens"):
        spec = bl.load_model(name)
        yield spec, bl.read_table(gsm, spec, k=16, where="lr_warming_up=0")
    yield GOLD, bl.read_table(gsm, GOLD, join=shared("pythia/gsm8k_gold_nll.csv"))
    annealing = bl.load_model("annealing")
    for size in ("25M", "100M"):
        where = [f"model_size={size}", "run=" + "|".join(TRAINING_SCHEDULES)]
        yield annealing, bl.read_curves(shared("schedules/loss_curves.csv"), annealing, TRAINING_SCHEDULES, where=where, rename={"schedule": "run"})  # fmt: skip
    yield (
        annealing,
        bl.read_curves(shared("published/annealing_curves_20k.csv"), annealing, PUBLISHED_SCHEDULES),
    )
    base = pd.read_csv(shared("humaneval/base_models.csv")).dropna(subset=["FLOPs (1E21)", "HumanEval"])
    table = pd.DataFrame({"model": base["Model"], "family": base["Model Family"], "compute": base["FLOPs (1E21)"] * 1e21, "params": base["Model Size (B)"] * 1e9, "tokens": base["Pretraining Data Size (T)"] * 1e12, "n": 164, "c": (base["HumanEval"] * 164).round().astype(int)})  # fmt: skip
    counted = bl.change(COMPUTE, likelihood={"family": "Binomial"}, pool={"level": "family"})
    yield counted, bl.read_table(table, counted)
    gadre = pd.read_csv(shared("gadre/gadre_models_losses.csv"))
    for loss in ("loss_openlm", "loss_c4_val", "loss_de-en"):
        yield CHINCHILLA, bl.read_table(gadre, CHINCHILLA, where="dataset=rpj", rename={loss: "loss"})
    for part in ("hot", "cool_end", "slim_chinchilla"):
        gem = pd.read_csv(shared(f"gemstones/wandb_df_for_fitting_{part}.csv"))
        yield CHINCHILLA, bl.read_table(gem.rename(columns={"params_active_precise": "params", "final_loss": "loss", "FLOPs": "compute"}), CHINCHILLA)  # fmt: skip
    far = pd.read_csv(shared("active_sl/farseer.csv")).rename(columns={"N": "params", "D": "tokens"})
    yield CHINCHILLA, bl.read_table(far.drop_duplicates(), CHINCHILLA)
    yield CHINCHILLA, bl.read_table(shared("active_sl/data_constrained.csv"), CHINCHILLA)
    for file, x, y in (
        ("moe", "dense_parameter_count", "loss_validation"),
        ("parallel", "num_params", "loss"),
    ):
        yield POWER, bl.read_table(shared(f"active_sl/{file}.csv"), POWER, rename={x: "x", y: "y"})


def test_real_tables_under_the_laws_that_describe_them_pass():
    for spec, data in real_tables():
        warned = [c.name for c in from_json(data.attrs["checks"]) if c.level == "warn"]
        assert set(warned) <= {"rows-not-used", "gold-effective-problems"}, spec.name
        assert few_inputs(bind(spec, data)).level == "ok"
        some = data.isel(obs=np.unique(np.linspace(0, data.sizes["obs"] - 1, 200).astype(int)))
        check = conflict(spec, some)
        assert check.level == "ok" and check.value < 2, (spec.name, check.value)


def test_checks_of_data_are_json_that_travels(tmp_path):
    frame = runs(np.random.default_rng(0)).assign(loss=lambda d: d["params"] ** 0.05 * d["tokens"] ** 0.05)
    data = bl.read_table(frame, CHINCHILLA)
    assert json.loads(data.attrs["checks"])[0]["name"] == "against-law"
