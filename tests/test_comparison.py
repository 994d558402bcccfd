"""Laws side by side: leave-one-out against ArviZ and against exact refits, what is refused, what is said."""

from __future__ import annotations

from dataclasses import replace

import arviz_stats as azs
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import noiseless
from scipy.special import logsumexp
from scipy.stats import t as student

import bayeslaw as bl
from bayeslaw.assess.loo import leave_one_out, loo_checks, loo_table, pareto_check
from bayeslaw.cli.main import main
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.law.evaluate import evaluate_law, law_inputs
from bayeslaw.studies.compare import UNITS, curve_error, verdict
from bayeslaw.studies.engine import Outcome
from bayeslaw.studies.stacking import ahead_scores, whole_blocks

FAST = {"draws": 500, "tune": 500, "chains": 2, "progress": False}
WINDOWS = {"draws": 200, "tune": 300, "chains": 2, "progress": False}


@pytest.fixture(scope="module")
def data():
    return noiseless("compute", noise=0.05)[1]


@pytest.fixture(scope="module")
def fits(data):
    """Two laws with independent errors, one of which has no floor: one compiles for both."""
    law = bl.change(bl.load_model("compute"), discrepancy=None)
    laws = {"no-floor": bl.change(law, fix={"floor": 0.0}), "compute": law}
    return {n: bl.fit(law, data, **FAST) for n, law in laws.items()}


@pytest.fixture(scope="module")
def table(fits):
    return bl.compare(fits)


@pytest.fixture(scope="module")
def ahead(fits):
    return bl.compare(fits, ahead=True, along="compute", **WINDOWS)


@pytest.fixture(scope="module")
def few():
    """The compute law and its discrepancy on twelve rows."""
    spec, data = noiseless("compute", noise=0.1)
    data = data.isel(obs=slice(0, 40, 3)).isel(obs=slice(0, 12))
    return bl.fit(spec, data, draws=1000, tune=500, progress=False)


def by_hand(fit: bl.Fit) -> xr.DataTree:
    """A fit of independent errors as ArviZ wants it, its densities written out again."""
    y = fit.data["neg_log_pass_at_k"].values
    draws = {n: v.values.reshape(-1, 1) for n, v in fit.draws.items()}
    draws = {"floor": np.zeros((1, 1)), **draws}
    sampled = {n: draws[n] for n in ("level", "floor", "alpha")}
    law = np.log(evaluate_law(fit.spec, sampled, law_inputs(fit.spec, fit.data)))
    density = student.logpdf(np.log(y), draws["nu"], law, draws["sigma"]) - np.log(y)  # of y, not of log y
    shape = *fit.draws.sizes.values(), len(y)
    log_lik = xr.Dataset({"y": (("chain", "draw", "obs"), density.reshape(shape))}, fit.draws.coords)
    return xr.DataTree.from_dict({"posterior": fit.draws, "log_likelihood": log_lik})


# ---- leave-one-out


def test_it_is_arviz_s_of_independent_rows(fits, table):
    trees = {n: by_hand(f) for n, f in fits.items()}
    for name, tree in trees.items():
        wanted, row = azs.loo(tree, pointwise=True), table.loc[name]
        assert row["elpd_loo"] == pytest.approx(wanted.elpd, rel=1e-9)
        assert row["se"] == pytest.approx(wanted.se, rel=1e-9)
        assert row["p_loo"] == pytest.approx(wanted.p, rel=1e-6)
        assert row["worst_pareto_k"] == pytest.approx(float(wanted.pareto_k.max()), abs=1e-6)
        np.testing.assert_allclose(leave_one_out(fits[name]).pareto_k, wanted.pareto_k, atol=1e-6)
    wanted = azs.compare(trees, method="stacking", round_to="none")
    assert list(table.index) == list(wanted.index)
    for ours, theirs in (("difference", "elpd_diff"), ("se_difference", "dse"), ("weight_loo", "weight")):
        np.testing.assert_allclose(table[ours], wanted[theirs].astype(float), atol=1e-4)


def test_weights_are_at_the_maximum_and_do_not_underflow(fits):
    loos = {n: leave_one_out(f) for n, f in fits.items()}
    weights = loo_table(loos)["weight_loo"]
    each = np.array([loos[n].elpd_i.values for n in weights.index]).T
    others = np.random.default_rng(0).dirichlet([1, 1], 500)
    best = logsumexp(each, b=weights.values, axis=1).sum()
    assert best >= max(logsumexp(each, b=w, axis=1).sum() for w in others) - 1e-6
    unlikely = {n: replace(one, elpd_i=one.elpd_i - 1e4) for n, one in loos.items()}
    np.testing.assert_allclose(loo_table(unlikely)["weight_loo"], weights, atol=1e-9)


def test_it_is_what_refits_without_each_row_say(few):
    """Exact leave-one-out with a covariance: references frozen, twelve fits of eleven rows."""
    exact = []
    for i in range(12):
        again = bl.fit(few.spec, few.data.drop_isel(obs=[i]), seed=i + 1, **FAST)
        exact.append(held_out(again, few.data.isel(obs=[i]), draws=1000).log_rows[0])
    found = leave_one_out(few)
    # Measured over five seeds, with k up to 0.5-0.75: importance sampling scatters by 0.13 nat in the sum
    # and 0.08 in its worst row, five sets of refits by 0.03 each. Three times that:
    np.testing.assert_allclose(found.elpd_i, exact, atol=0.26)
    assert found.elpd == pytest.approx(sum(exact), abs=0.4)
    assert found.p > 1.2  # so densities of rows that were not left out would fail by three times as much


def test_a_row_that_no_draw_explains_is_refused(fits, monkeypatch):
    broken = bl.log_likelihood(fits["compute"]).copy()
    broken[0, 3, 7] = np.nan
    monkeypatch.setattr("bayeslaw.assess.loo.log_likelihood", lambda fit: broken)
    with pytest.raises(bl.InputError, match="row 8 is not a number"):
        bl.compare({"compute": fits["compute"]})


# ---- warnings


def test_rows_with_a_high_pareto_k_are_named(fits):
    fit = fits["compute"]
    labelled = bl.Fit(fit.spec, fit.tree.copy())
    names = xr.DataArray([f"run{i}" for i in range(40)], dims="obs")
    labelled.tree["constant_data"] = fit.tree["constant_data"].to_dataset().assign_coords(model=names)
    one = leave_one_out(fit)
    one = replace(one, pareto_k=one.pareto_k.copy())
    one.pareto_k[[3, 30]] = [0.9, np.inf]
    check = pareto_check("compute", labelled, one)
    assert check.level == "warn" and check.value == np.inf
    assert "2 of 40 rows: run30 (obs 30, k inf), run3 (obs 3, k 0.90)" in check.message
    assert "drop_isel" in check.message
    assert loo_table({"compute": one})["rows_high_k"].tolist() == [2]
    one.pareto_k[10:20] = 0.8
    assert pareto_check("compute", labelled, one).message.count("(obs ") == 5


def test_counts_and_shifts_are_told(fits):
    fit = fits["compute"]
    counted = bl.Fit(replace(fit.spec, family="Binomial"), fit.tree)
    shifted = bl.Fit(fit.spec, fit.tree.copy())
    column = xr.zeros_like(fit.data["compute"])
    column[4] = 0.8
    shifted.tree["constant_data"] = fit.tree["constant_data"].to_dataset().assign(outlying=column)
    one = leave_one_out(fit)
    told = {c.name: c.message for c in loo_checks({"a": counted, "b": shifted}, {"a": one, "b": one})}
    assert told["counts"].startswith("a: ") and "b: row 5." in told["shifted-rows"]


def test_a_fit_that_failed_its_checks_says_so(fits):
    fit = fits["compute"]
    bad = bl.Fit(fit.spec, fit.tree.copy())
    stats = fit.tree["sample_stats"].to_dataset()
    bad.tree["sample_stats"] = stats.assign(diverging=xr.ones_like(stats["diverging"]))
    failed = [c for c in bl.compare({"compute": bad}).attrs["checks"] if c.level == "fail"]
    assert any(c.name == "divergences" and c.message.startswith("compute: ") for c in failed)


# ---- the table


def test_columns_have_units_and_the_best_comes_first(table, fits):
    assert set(table) == set(table.attrs["units"]) and set(table) < set(UNITS)
    assert table["elpd_loo"].is_monotonic_decreasing and set(table.index) == set(fits)
    assert table["weight_loo"].sum() == pytest.approx(1)
    assert table["difference"].iloc[0] == table["se_difference"].iloc[0] == 0
    assert {c.name for c in table.attrs["checks"]} >= {"pareto-k", "interpolation", "few-rows"}
    assert "\n" not in table.attrs["verdict"] and "Beyond the rows: not judged" in table.attrs["verdict"]


def test_the_point_fit_stands_beside_the_posterior(table, fits, data):
    y = data["neg_log_pass_at_k"].values
    point = bl.fit(fits["compute"].spec, data, "map", bootstrap=0)
    law = y * np.exp(-point.tree["point"]["residual"].values)
    assert table.at["compute", "error_point"] == pytest.approx(np.abs(law / y - 1).mean(), rel=1e-9)
    assert table.at["compute", "error_posterior"] == pytest.approx(0.04, abs=0.02)  # of noise 0.05
    assert curve_error(fits["compute"]) == table.at["compute", "error_posterior"]


def test_a_law_without_a_point_fit_says_so(fits, monkeypatch):
    def refused(*_, **__):
        raise bl.InputError("every parameter is fixed")

    monkeypatch.setattr("bayeslaw.studies.compare.fit", refused)
    alone = bl.compare({"compute": fits["compute"]})
    assert np.isnan(alone.at["compute", "error_point"])
    assert "every parameter is fixed" in alone.attrs["checks"][-1].message


def test_spans_are_the_laws(fits):
    spans = {
        "compute": xr.Dataset(attrs={"law_orders": 1.5}),
        "no-floor": xr.Dataset(attrs={"law_orders": np.nan}),
    }
    found = bl.compare(fits, spans=spans)["stable_orders"]
    assert found["compute"] == 1.5 and np.isnan(found["no-floor"])
    assert np.isnan(bl.compare(fits, spans={"compute": spans["compute"]}).at["no-floor", "stable_orders"])


# ---- rows ahead


def test_blocks_ahead_are_as_stack_scores_them(ahead, table, fits):
    mixture = bl.stack(fits, along="compute", **WINDOWS)
    blocks = mixture.scores["log_score_joint"]
    for name in fits:
        assert ahead.at[name, "log_score_ahead"] == pytest.approx(float(blocks.sel(law=name).sum()))
        assert ahead.at[name, "weight_ahead"] == pytest.approx(mixture.weights[name])
        assert ahead.at[name, "elpd_loo"] == table.at[name, "elpd_loo"]
    assert (ahead["blocks_ahead"] == blocks.sizes["window"]).all()
    assert ahead["blocks_best"].sum() == blocks.sizes["window"]
    assert ahead["difference_ahead"].max() == 0 and "block(s)" in ahead.attrs["verdict"]
    assert [c for c in ahead.attrs["checks"] if c.name == "ahead"]


def test_a_window_without_a_fit_costs_no_other(fits, monkeypatch):
    calls = []

    def record(*arguments):
        calls.append(arguments)
        return Outcome(failed="too few rows") if len(calls) == 1 else Outcome((-1.0 * len(calls), ""))

    monkeypatch.setattr("bayeslaw.studies.engine.attempt", record)
    table = bl.compare(fits, ahead=True, windows=[1e20, 1e21])
    assert (table["blocks_ahead"] == 1).all() and table.loc["compute", "log_score_ahead"] == -6
    (check,) = [c for c in table.attrs["checks"] if c.name == "ahead"]
    assert check.level == "warn" and "no-floor, compute <= 1e+20: too few rows" in check.message
    monkeypatch.setattr("bayeslaw.studies.engine.attempt", lambda *_: Outcome(failed="no start"))
    with pytest.raises(bl.InputError, match="no block has a score of every law; the first reason: no start"):
        bl.compare(fits, ahead=True, windows=[1e20, 1e21])
    monkeypatch.setattr("bayeslaw.studies.engine.attempt", lambda *_: Outcome((-np.inf, "")))
    impossible = bl.compare(fits, ahead=True, windows=[1e20])
    assert (impossible["difference_ahead"] == 0).all()


def test_scores_of_blocks_have_the_column_they_lie_along(fits, monkeypatch):
    monkeypatch.setattr("bayeslaw.studies.engine.attempt", lambda *_: Outcome((-2.0, "")))
    scores = ahead_scores(fits, None, [1e20], {"draws": 4, "tune": 50, "chains": 1, "seed": 0}, False)
    assert scores.attrs["along"] == "compute" and whole_blocks(scores).shape == (2, 1)


# ---- the verdict


def made(differences, errors, high=0, blocks=None) -> pd.DataFrame:
    names = ["a", "b", "c"][: len(differences)]
    columns = {"difference": differences, "se_difference": errors, "rows_high_k": high}
    if blocks is not None:
        scores, won = blocks
        columns |= {"log_score_ahead": scores, "difference_ahead": np.subtract(scores, max(scores))}
        columns |= {"blocks_best": won, "blocks_ahead": 4}
    return pd.DataFrame(columns, index=names)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (made([0], [0]), "One law, a: nothing to compare"),
        (made([0, -3], [0, 0.1]), "Among the rows a cannot be told apart from b (3.0 nat"),  # under 4 nat
        (made([0, -9], [0, 5]), "a cannot be told apart from b (9.0 nat, standard error 5.0)"),
        (made([0, -9], [0, 4]), "a predicts rows better than b (9.0 nat"),
        (made([0, -1, -9], [0, 1, 1]), "told apart from b (1.0 nat, standard error 1.0) and predicts"),
        (
            made([0, -9], [0, 4], high=1),
            "better than b (9.0 nat, standard error 4.0) (rows with a high Pareto k",
        ),
        (made([0, -9], [0, 4], high=4), "Among the rows: no verdict, for Pareto k is too high in 4 of 30"),
        (made([0, -9], [0, 4]), "Beyond the rows: not judged, ahead=True does."),
        (made([0, -9], [0, 4], 0, ([-5, -3], [2, 2])), "b and a cannot be told apart: b leads by 2.0 nat"),
        (made([0, -9], [0, 4], 0, ([-50, -3], [1, 3])), "b and a cannot be told apart: b leads by 47.0 nat"),
        (made([0, -9], [0, 4], 0, ([-50, -3], [0, 4])), "b predicted better than a, by 47.0 nat, best in 4"),
    ],
)
def test_the_verdict_claims_no_more_than_it_can(table, said):
    found = verdict(table, 30)
    assert said in found and "\n" not in found


# ---- what is refused


def altered(fit: bl.Fit, **columns) -> bl.Fit:
    """A fit whose data have other values, without fitting again."""
    other = bl.Fit(fit.spec, fit.tree.copy())
    for name, values in columns.items():
        group = "observed_data" if name == fit.spec.output.name else "constant_data"
        other.tree[group] = fit.tree[group].to_dataset().assign({name: ("obs", values)})
    return other


def test_fits_of_other_rows_are_refused(fits):
    one, other = fits.values()
    y, name = other.data["neg_log_pass_at_k"].values, "neg_log_pass_at_k"
    first = np.eye(40)[0]
    labels = np.array([f"m{i}" for i in range(40)], dtype=object)
    swapped = labels.copy()
    swapped[:2] = swapped[1::-1]
    renamed = np.where(first == 1, "x", labels)
    with_labels = bl.Fit(one.spec, one.tree.copy())
    base = one.tree["constant_data"].to_dataset()
    with_labels.tree["constant_data"] = base.assign_coords(model=("obs", labels))
    for pair, message in (
        ((one, altered(other, **{name: y + first})), f"differ in {name} of row 1"),
        ((one, altered(other, **{name: y[::-1]})), "the same values in another order, so sort"),
        ((one, altered(other, sampling_error=first)), "differ in sampling_error of row 1"),
        ((altered(one, k=first), altered(other, k=2 * first)), r"differ in k of row 1 \(1 and 2\)"),
    ):
        with pytest.raises(bl.InputError, match=message):
            bl.compare(dict(zip("ab", pair, strict=True)))
    for other_labels, message in ((renamed, "model of row 1"), (swapped, "in another order")):
        b = bl.Fit(one.spec, one.tree.copy())
        b.tree["constant_data"] = base.assign_coords(model=("obs", other_labels))
        with pytest.raises(bl.InputError, match=message):
            bl.compare({"a": with_labels, "b": b})
    for change, message in (
        ({"name": "loss"}, "output"),
        ({"unit": "bit"}, "unit"),
        ({"scale": "identity"}, "scale"),
    ):
        b = bl.Fit(replace(one.spec, output=replace(one.spec.output, **change)), one.tree)
        with pytest.raises(bl.InputError, match=f"compare: the fits 'a' and 'b' differ in {message}"):
            bl.compare({"a": one, "b": b})
    counted = bl.Fit(replace(one.spec, family="Binomial"), one.tree)
    with pytest.raises(bl.InputError, match=r"differ in likelihood \(the output and counts\)"):
        bl.compare({"a": one, "b": counted})


def test_bad_arguments_are_refused(fits, point_fit):
    with pytest.raises(bl.InputError, match=r"compare\(fits\): expected"):
        bl.compare({})
    with pytest.raises(bl.InputError, match=r"compare, law 'a': allowed: .* method 'nuts'"):
        bl.compare({"a": point_fit})
    with pytest.raises(bl.InputError, match="give ahead=True"):
        bl.compare(fits, along="compute")
    with pytest.raises(bl.InputError, match="did you mean 'compute'"):
        bl.compare(fits, spans={"compte": xr.Dataset()})
    with pytest.raises(bl.InputError, match="what stability"):
        bl.compare(fits, spans={"compute": xr.Dataset()})
    with pytest.raises(bl.InputError, match="no column 'tokn'"):
        bl.compare(fits, ahead=True, along="tokn")


# ---- the command line


def call(*arguments: object):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)], catch_exceptions=False)


def test_the_command_prints_the_table(fits, table, tmp_path):
    paths = [fit.save(tmp_path / f"{name}.nc") for name, fit in fits.items()]
    done = call(*paths, "-o", tmp_path / "table.csv")
    assert done.exit_code == (1 if "[fail]" in done.output else 0), done.output
    assert "elpd_loo [nat]" in done.output and table.attrs["verdict"] in done.output
    assert "[note] interpolation" in done.output
    written = pd.read_csv(tmp_path / "table.csv", index_col="law")
    np.testing.assert_allclose(written["elpd_loo"], table["elpd_loo"])


def test_the_command_refuses_with_one_message(fits, tmp_path):
    path = fits["compute"].save(tmp_path / "a.nc")
    (tmp_path / "sub").mkdir()
    same = fits["compute"].save(tmp_path / "sub" / "a.nc")
    for arguments, message in (
        ((tmp_path / "none.nc",), "no such file"),
        ((path, same), "two files are called 'a'"),
        ((path, "--along", "compute"), "ahead=True"),
        ((path, "-o", tmp_path / "nowhere" / "t.csv"), "folder that exists"),
        ((), "Missing argument"),
    ):
        done = call(*arguments)
        assert done.exit_code == 2 and message in " ".join(done.output.split()), done.output
