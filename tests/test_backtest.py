"""Back-tests: scores against closed forms, windows that leak nothing, and what a user gets of them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import noiseless
from scipy import stats

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.cli.main import main
from bayeslaw.forecasts import scores
from bayeslaw.forecasts.heldout import HeldOut
from bayeslaw.reports.terminal.studies import backtest_text
from bayeslaw.studies import engine
from bayeslaw.studies.backtest import scores as window
from bayeslaw.studies.backtest import variables
from bayeslaw.studies.backtest.leaning import block_places, chance_of_lean, one_sided_checks
from bayeslaw.studies.backtest.words import one_sided, target_table
from bayeslaw.studies.writing import save_study

FAST = {"draws": 250, "tune": 300, "chains": 2, "bootstrap": 50, "progress": False}
POINT = {"methods": ["point"], "bootstrap": 50, "progress": False}


@pytest.fixture(scope="module")
def spec():
    return bl.change(bl.load_model("compute"), discrepancy=None)


@pytest.fixture(scope="module")
def data():
    """Forty rows that follow the compute law, in four families and at steps within each."""
    data = noiseless("compute", noise=0.05)[1]
    family = np.array(list("abcd"), dtype=object)[np.arange(40) % 4]
    return data.assign_coords(family=("obs", family)).assign(step=("obs", np.repeat(np.arange(10.0), 4)))


@pytest.fixture(scope="module")
def bt(spec, data):
    """A posterior and a point fit in two windows."""
    return bl.backtest(spec, data, windows=[3e19, 3e20], **FAST)


@pytest.fixture(scope="module")
def groups(spec, data):
    return bl.backtest(spec, data, "family", **POINT)


# ---- scores


@pytest.mark.parametrize("z", [0.0, 1.3, -4.0])
def test_crps_of_a_normal(z):
    sigma = 2.5
    draws = 1.0 + sigma * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    wanted = sigma * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)
    assert scores.crps(draws, np.array([1.0 + sigma * z]))[0] == pytest.approx(wanted, rel=1e-3)


def test_crps_is_the_sum_over_all_pairs():
    rng = np.random.default_rng(0)
    draws, y = rng.standard_normal((30, 4)), rng.standard_normal(4)
    pairs = np.abs(draws[:, None] - draws[None]).sum(axis=(0, 1)) / (30 * 29)
    np.testing.assert_allclose(scores.crps(draws, y), np.abs(draws - y).mean(axis=0) - pairs / 2, rtol=1e-12)
    np.testing.assert_allclose(scores.crps(draws[:1], y), np.abs(draws[0] - y))


def test_interval_score_by_hand():
    y, lower, upper = np.array([0.0, 3.0, -2.0]), np.full(3, -1.0), np.full(3, 1.0)
    np.testing.assert_allclose(scores.interval_score(y, lower, upper, 0.9), [2.0, 2.0 + 40.0, 2.0 + 20.0])
    assert scores.covered(y, lower, upper).tolist() == [True, False, False]


@pytest.mark.parametrize("draw", [lambda rng, n: rng.standard_normal(n), lambda rng, n: rng.poisson(1.5, n)])
def test_pit_is_uniform_for_smooth_and_for_discrete_draws(draw):
    rng = np.random.default_rng(1)
    values = scores.pit(draw(rng, (99, 5000)), draw(rng, 5000), rng)
    assert values.min() > 0 and values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_own_range_of_coverage_knows_that_rows_move_together():
    rng = np.random.default_rng(2)
    alone = scores.own_coverage_range(rng.standard_normal((2000, 100)), (0.5, 0.9), rng)
    wanted = stats.binom.ppf([[0.05], [0.95]], 100, [0.5, 0.9]) / 100
    np.testing.assert_allclose(alone, wanted, atol=0.021)
    together = scores.own_coverage_range(np.repeat(rng.standard_normal((5000, 1)), 100, 1), (0.5, 0.9), rng)
    np.testing.assert_array_equal(together, [[0, 0], [1, 1]])


def test_own_range_of_the_mean_pit_knows_that_rows_move_together():
    rng = np.random.default_rng(3)
    alone = scores.own_pit_range(rng.standard_normal((4000, 100)), rng)
    np.testing.assert_allclose(alone, stats.norm.ppf([0.05, 0.95], 0.5, 1200**-0.5), atol=0.005)
    together = scores.own_pit_range(np.repeat(rng.standard_normal((5000, 1)), 100, 1), rng)
    np.testing.assert_allclose(together, [0.05, 0.95], atol=0.001)
    ties = scores.own_pit_range(np.zeros((4000, 100)), rng)  # all alike: as good as random
    np.testing.assert_allclose(ties, alone, atol=0.005)


def scored(draws: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    held = HeldOut(y, draws, 0.0, np.zeros(len(y)), "1")
    one = window.row_scores(held, np.random.default_rng(0))
    return one | window.target_scores(held, 0, one["pit"])


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_draws_without_a_value_spoil_no_window(odd):
    rng = np.random.default_rng(4)
    draws = np.exp(0.1 * rng.standard_normal((1000, 1)) + 0.01 * rng.standard_normal((1000, 5)))
    y, gaps = np.linspace(0.9, 1.1, 5), draws.copy()
    gaps[:3, 0] = odd
    one, wanted = scored(gaps, y), scored(draws[3:], y)  # the joint draws that have a value everywhere
    for name, value in wanted.items():
        np.testing.assert_allclose(one[name], value, rtol=0.03, atol=0.01, err_msg=name)
    np.testing.assert_array_equal(one["target_lower"], wanted["target_lower"])  # of this row exactly
    np.testing.assert_allclose(scores.crps(gaps, y)[0], scores.crps(draws[3:], y)[0], rtol=1e-12)


def test_a_row_of_which_no_draw_has_a_value_has_no_score():
    draws = np.exp(np.random.default_rng(5).standard_normal((100, 3)))
    draws[:, 0] = np.nan
    one = scored(draws, np.ones(3))
    assert np.isnan(one["pit"]).tolist() == [True, False, False]
    assert all(
        np.isnan(value).all() for name, value in one.items() if not name.startswith(("log_score", "pit"))
    )
    assert np.isnan([one["pit_mean"], one["pit_mean_low"], one["pit_mean_high"]]).all()


# ---- what a back-test is


def test_its_layout(bt, data):
    assert bt["method"].values.tolist() == ["posterior", "point"]  # no discrepancy: nothing to leave out
    assert dict(bt.sizes) == {"method": 2, "window": 2, "level": 4, "obs": 40}
    for name, values in bt.data_vars.items():
        assert values.attrs["units"] and values.attrs["long_name"], name
        if name != "pit" and values.dtype.kind == "f":
            assert np.isfinite(values).all(), name
    assert (bt["rows_seen"] + bt["rows_held"] == 40).all()
    np.testing.assert_array_equal(bt["end"], [3e19, 3e20])
    top = data["compute"].values.max()
    np.testing.assert_allclose(bt["orders_ahead"], np.log10(top / bt["end"]))
    assert (bt["target_row"] == data["compute"].values.argmax()).all()
    assert bt.attrs["model"] == "compute" and bt.attrs["seed"] == 0
    assert json.loads(bt.attrs["settings"])["draws"] == 250


def test_its_numbers_agree_with_each_other(bt, data):
    y = data["neg_log_pass_at_k"].values[bt["target_row"].values]
    np.testing.assert_array_equal(bt["target_observed"], y)
    np.testing.assert_allclose(bt["target_error"], np.abs(bt["target_median"] - y) / y)
    held = data["compute"].values[None] > bt["end"].values[:, None]
    assert (bt["pit"].notnull().values == held).all()
    inside = (np.abs(bt["pit"] - 0.5) < bt["level"] / 2).where(bt["pit"].notnull()).sum("obs")
    assert np.abs(inside / bt["rows_held"] - bt["coverage"]).max() < 0.1
    assert (bt["coverage_low"] <= bt["coverage_high"]).all()
    assert (bt["target_lower"] < bt["target_median"]).all() and (bt["error"] < 0.3).all()
    assert (bt["interval_score_relative"] >= bt["width_relative"] - 1e-12).all()


def test_a_window_sees_its_own_rows_only(spec, data):
    """Neither the references nor anything else comes from rows that are held out."""
    end = np.median(data["compute"])
    held = (data["compute"] > end).values
    other = data.assign(compute=data["compute"] * np.where(held, 3.0, 1.0))
    other["neg_log_pass_at_k"] = other["neg_log_pass_at_k"] * np.where(held, 0.7, 1.0)
    seen = []

    def spied(*arguments, **settings):
        seen.append(bl.fit(*arguments, **settings))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "fit", spied)
        for table in (data, other):
            bl.backtest(spec, table, windows=[end], **POINT)
    reference = np.exp(np.log(data["compute"].values[~held]).mean())
    assert [f.spec.inputs["C"].reference for f in seen] == pytest.approx([reference] * 2, rel=1e-12)
    xr.testing.assert_identical(seen[0].draws, seen[1].draws)


def test_independent_is_the_law_without_its_discrepancy(spec, data, monkeypatch):
    wanders = bl.change(
        spec,
        discrepancy={
            "kernel": "matern32",
            "over": ["C"],
            "scale": {"prior_90": [0.01, 0.1]},
            "length": {"prior_90": [0.5, 3]},
        },
    )
    fitted = []

    def quick(changed, rows, method, **settings):
        fitted.append((changed.discrepancy is not None, method))
        return bl.fit(changed, rows, "map", **settings)

    monkeypatch.setattr(engine, "fit", quick)
    result = bl.backtest(wanders, data, windows=[3e20], bootstrap=30, progress=False)
    assert result["method"].values.tolist() == ["posterior", "independent", "point"]
    assert fitted == [(True, "nuts"), (False, "nuts"), (True, "map")]
    alone = bl.backtest(spec, data, windows=[3e20], methods=["independent"], bootstrap=30, progress=False)
    assert alone["method"].values.tolist() == ["independent"]


@pytest.mark.parametrize("kind", [bl.InputError, RuntimeError, np.linalg.LinAlgError])
def test_a_window_that_cannot_be_fitted_is_named_and_the_others_stay(spec, data, monkeypatch, kind):
    def fragile(changed, rows, method, **settings):
        if rows.sizes["obs"] < 20:
            raise kind("too few\nrows")
        return bl.fit(changed, rows, method, **settings)

    monkeypatch.setattr(engine, "fit", fragile)
    result = bl.backtest(spec, data, windows=[3e18, 3e20], **POINT)
    assert result["failed"].values.tolist() == [["too few rows", ""]]
    assert np.isnan(result["crps"]).values.tolist() == [[True, False]]
    assert np.isnan(result["pit"].isel(window=0)).all()
    assert "[fail] point, compute <= 3e+18: too few rows" in backtest_text(result)
    assert plots.plot_backtest(result).get_supxlabel().startswith("fits: 1 of 2 failed")
    with pytest.raises(bl.InputError, match="no fit was possible; the first one: too few"):
        bl.backtest(spec, data, windows=[3e18], **POINT)


def test_a_sampler_that_failed_is_named(spec, data):
    result = bl.backtest(spec, data, windows=[3e20], methods="posterior", **{**FAST, "draws": 20, "tune": 50})
    assert "ess-bulk" in result["failed"].item()
    assert np.isfinite(result["crps"].item())


def test_an_interrupt_stops_it(spec, data, monkeypatch):
    def stopped(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        bl.backtest(spec, data, windows=[3e20], **POINT)


def test_groups(groups, spec, data):
    assert groups["window"].values.tolist() == list("abcd")
    assert groups["target_row"].values.tolist() == [36, 37, 38, 39]  # the last step of each
    assert np.isnan(groups["orders_ahead"]).all() and np.isnan(groups["end"]).all()
    one = bl.backtest(spec, data, "family", windows=["c"], target=4.4, **POINT)
    assert one["window"].values.tolist() == ["c"] and one["target_row"].item() == 18
    numbers = data.assign(size=("obs", np.arange(40) % 4 * 1e6))
    one = bl.backtest(spec, numbers, "size", leave_out=True, windows=[2e6], **POINT)
    assert one["rows_held"].item() == 10


def test_a_target_that_a_window_sees_has_no_error(spec, data):
    low = float(data["compute"][20])
    result = bl.backtest(spec, data, windows=[low / 3, low * 3], target=low * 1.01, **POINT)
    assert result["target_row"].values.tolist() == [20, -1]
    assert np.isnan(result["target_error"]).values.tolist() == [[False, True]]
    assert np.isfinite(result["crps"]).all()


def test_one_row_alone_has_one_log_score(spec, data):
    end = np.sort(data["compute"])[-2]
    one = bl.backtest(spec, data, windows=[end], **POINT)
    assert one["rows_held"].item() == 1
    np.testing.assert_allclose(one["log_score_joint"], one["log_score_row"])
    np.testing.assert_allclose(one["error"], one["target_error"])


def test_targets_count_once(bt, groups):
    pooled = variables.pooled_coverage(groups)
    assert pooled["targets"].values.tolist() == [4]
    np.testing.assert_allclose(pooled["high"], 1.0)
    np.testing.assert_allclose(pooled["low"].sel(level=[0.5, 0.95]), [[0, 3 / 4]])
    assert variables.pooled_coverage(bt)["targets"].values.tolist() == [1, 1]
    assert "which cannot tell calibration" in backtest_text(bt)
    assert "with 4 targets" in backtest_text(groups)


def test_counts_are_told_as_shares_by_every_method(spec, data):
    counts = bl.change(spec, likelihood={"family": "Binomial"})
    n = np.full(40, 400.0)
    c = np.round(n * np.exp(-data["neg_log_pass_at_k"].values / 5)) + 1
    data = data.assign(n=("obs", n), c=("obs", c), neg_log_pass_at_k=("obs", -np.log(c / n)))
    result = bl.backtest(counts, data, windows=[3e20], **POINT)
    assert result.attrs["units"] == result["crps"].attrs["units"] == "share"
    assert result["target_observed"].item() == pytest.approx(c[result["target_row"].item()] / 400)
    assert 0 < result["target_lower"].min() < result["target_upper"].max() < 1
    assert np.isnan(result["log_score_joint"]).all()  # a density of logarithms is none of counts


# ---- its words


def test_each_window_shows_its_target_its_truth_and_the_interval(bt, data):
    table = target_table(bt)
    assert len(table) == 4 and table["method"].tolist() == ["posterior", "point"] * 2
    y = float(data["neg_log_pass_at_k"][data["compute"].argmax()])
    assert (table["truth"] == y).all()
    np.testing.assert_array_equal(table["inside"] == "yes", (table["lower"] <= y) & (y <= table["upper"]))
    np.testing.assert_allclose(table["lower"].values, bt["target_lower"].sel(level=0.9).values.T.ravel())
    text = backtest_text(bt)
    row = int(data["compute"].argmax()) + 1
    assert f"the target, row {row}, compute = {float(data['compute'].max()):.3g}: 90 % interval" in text
    first = table.iloc[0]
    shown = " ".join(f"{first[n]:.5g}" for n in ("truth", "median", "lower", "upper"))
    assert f"{first['window']} posterior {shown} {first['inside']}" in " ".join(text.split())


def test_targets_are_named_each_where_they_differ(groups, spec, data):
    assert "each window's target" in backtest_text(groups)
    named = data.assign_coords(model=("obs", np.array([f"m{i}" for i in range(40)], dtype=object)))
    one = bl.backtest(spec, named, "family", windows=["c"], **POINT)
    assert target_table(one)["target"].tolist() == ["m38"] and "the target, m38:" in backtest_text(one)
    low = float(data["compute"][20])
    seen = bl.backtest(spec, data, windows=[low / 3, low * 3], target=low * 1.01, **POINT)
    assert len(target_table(seen)) == 1  # the other window sees its target
    assert plots.plot_backtest_targets(seen).axes
    old = groups.drop_vars(
        ["target_name", "pit_mean", "pit_mean_low", "pit_mean_high", "pit_mean_lowest", "pit_mean_highest"]
    )
    assert target_table(old)["target"].tolist() == ["row 37", "row 38", "row 39", "row 40"]
    assert "row 37" in backtest_text(old)


def leaning(bt, target, mean, rows, windows):
    """A back-test of so many windows whose PIT are these; the forecasts expect mean PITs of 0.2 to 0.8."""
    one = bt.isel(method=[0], window=[0] * windows)
    fill = {"target_pit": target, "pit_mean": mean}
    fill |= {"pit_mean_low": 0.2, "pit_mean_high": 0.8, "pit_mean_lowest": 0.05, "pit_mean_highest": 0.95}
    one = one.assign({n: xr.full_like(one["target_pit"], 0.0) + v for n, v in fill.items()})
    return one.assign(target_row=("window", rows))


LEANS = {
    "too high in all 7 windows; they have one target, so that this counts once": (0.3, 0.5, [1] * 7, 7),
    "too low in all 7 windows; by luck alone that happens one time in 64": (0.7, 0.5, np.arange(7), 7),
    "too high in all 8 windows, of 2 different targets": (0.1, 0.5, [1, 2] * 4, 8),
    "held-out rows' forecasts were too high in 5 of 5 windows: the mildest, a, has a mean PIT of 0.10, where the forecasts themselves expect 0.20 to 0.80": (0.3, 0.1, [1] * 5, 5),
    "held-out rows' forecasts were too low in the one window: their mean PIT is 0.97, where the forecasts themselves expect 0.05 to 0.95": (0.3, 0.97, [1], 1),
    "": (0.3, 0.5, [1] * 5, 5),  # five targets are too few to lean, and the rows lie as expected
}  # fmt: skip


@pytest.mark.parametrize("said", LEANS)
def test_forecasts_that_lean_to_one_side_are_said(groups, said):
    told = one_sided(leaning(groups, *LEANS[said]))
    assert len(told) == bool(said)
    assert not said or said in told[0]


def test_one_window_must_lie_outside_its_98_percent(groups):
    assert one_sided(leaning(groups, 0.3, 0.9, [1], 1)) == []


def test_the_window_that_leans_least_is_told_with_its_own_range(groups):
    """The union of the windows' ranges would hold their mean PITs."""
    three = leaning(groups, 0.3, np.array([[0.02, 0.1, 0.3]]), [1] * 3, 3)
    three = three.assign(pit_mean_low=three["pit_mean_low"] * 0 + np.array([0.05, 0.2, 0.304]))
    three = three.assign_coords(window=["x", "y", "z"])
    (said,) = one_sided(three)
    assert "3 of 3 windows: the mildest, z, has a mean PIT of 0.300, where" in said
    assert "expect 0.304 to 0.800," in said


def test_windows_on_both_sides_lean_to_none(groups):
    mixed = leaning(groups, np.array([[0.3] * 6 + [0.6]]), np.array([[0.1] * 3 + [0.5] * 4]), np.arange(7), 7)
    assert one_sided(mixed) == []
    assert "too high" not in backtest_text(mixed).split("held-out rows:")[1]


def blocks(places, leave_out=False):
    """A back-test of growing windows, each a block of four rows shorter, in which blocks lay at these places."""
    size, rows = len(places), 4 * len(places)
    pit = np.full((1, size, rows), np.nan)
    for i in range(size):
        pit[0, i, 4 * i :] = 0.5  # what is predicted from farther away does not count
        pit[0, i, 4 * i : 4 * i + 4] = places[i] + np.array([-0.03, -0.01, 0.01, 0.03])
        if leave_out:
            pit[0, i, 4 * i + 4 :] = np.nan
    if not leave_out:
        pit[0, -1, -4:] = places[-1]
    dims = {"pit": (("method", "window", "obs"), pit)}
    return xr.Dataset(
        dims,
        {"method": ["posterior"], "window": [f"w{i}" for i in range(size)]},
        {"leave_out": int(leave_out)},
    )


ONE_SIDED = {
    "above, far": ([0.93, 0.95, 0.96], "outcomes lay above the forecast's median in 3 of 3 blocks", "too low"),
    "below, all": ([0.2, 0.3, 0.4, 0.2, 0.3, 0.1, 0.4, 0.3], "below the forecast's median in 8 of 8", "too high"),
    "above, most": ([0.95, 0.94, 0.93, 0.3, 0.92], "in 4 of 5 blocks of rows, each held against the window before it, and in 4", "upper half"),
    "too few": ([0.96, 0.96], "", ""),
    "six on one side": ([0.6, 0.7, 0.8, 0.6, 0.7, 0.8], "", ""),
    "both tails": ([0.05, 0.95, 0.04, 0.96, 0.05, 0.95], "", ""),
    "as promised": ([0.1, 0.3, 0.5, 0.7, 0.95], "", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_SIDED)
@pytest.mark.parametrize("leave_out", [False, True])
def test_outcomes_on_one_side_warn(case, leave_out):
    places, *said = ONE_SIDED[case]
    bt = blocks(np.array(places), leave_out)
    np.testing.assert_allclose(block_places(bt, "posterior"), places)
    found = one_sided_checks(bt)
    assert len(found) == bool(said[0])
    for check in found:
        assert (check.name, check.level) == ("one-sided", "warn")
        text = (
            said[0].replace(
                "blocks of rows, each held against the window before it", "groups that were left out"
            )
            if leave_out
            else said[0]
        )
        assert text.split(" blocks")[0] in check.message
        assert said[1] in check.message


def test_windows_without_a_fit_have_no_block():
    bt = blocks(np.array([0.93, 0.95, 0.96, 0.97]))
    bt["pit"].values[0, 1] = np.nan
    # The window before the missing one is what those rows are held against.
    np.testing.assert_allclose(
        block_places(bt, "posterior"), [np.median([0.9, 0.92, 0.94, 0.96, *[0.5] * 4]), 0.96, 0.97]
    )


def test_right_forecasts_seldom_warn():
    """Places uniform, as of rows that err together: at most one in twenty, at every number of blocks."""
    rng = np.random.default_rng(0)
    for size in (3, 5, 8, 12, 30):
        chances = np.array([chance_of_lean(rng.random(size))[0] for _ in range(2000)])
        assert (chances < 0.05).mean() < 0.06


def test_a_law_that_bends_otherwise_is_warned_of(tmp_path):
    """A power law on a curve whose exponent doubles on the way: every window's forecast is too high."""
    x = np.geomspace(1e2, 1e6, 40)
    y = (
        5
        * (x / 1e2) ** -0.1
        * (1 + (x / 3e3) ** 2) ** -0.1
        * np.exp(0.01 * np.random.default_rng(0).standard_normal(40))
    )
    law = bl.change(bl.load_model("power"), discrepancy=None)
    bt = bl.backtest(law, bl.read_table(pd.DataFrame({"x": x, "y": y}), law), "x", **POINT)
    (warned,) = one_sided_checks(bt)
    assert "too high" in warned.message
    assert "[warn] one-sided: point: outcomes lay below" in backtest_text(bt)
    right = 5 * (x / 1e2) ** -0.2 * np.exp(0.01 * np.random.default_rng(0).standard_normal(40))
    assert (
        one_sided_checks(
            bl.backtest(law, bl.read_table(pd.DataFrame({"x": x, "y": right}), law), "x", **POINT)
        )
        == []
    )


# ---- what is made of it


def test_it_is_written_and_read(bt, tmp_path):
    read = xr.load_dataset(save_study(bt, tmp_path / "b.nc"), engine="h5netcdf")
    np.testing.assert_array_equal(read["pit"], bt["pit"])
    assert backtest_text(read) == backtest_text(bt)
    table = pd.read_csv(save_study(bt, tmp_path / "b.csv"))
    assert len(table) == 4 and {"method", "window", "end", "coverage_90", "target_lower_95"} <= set(table)


@pytest.mark.parametrize("kind", ["windows", "groups", "one method"])
def test_figures_have_names_and_units(bt, groups, kind):
    shown = {"windows": bt, "groups": groups, "one method": bt.isel(method=[1])}[kind]
    drawn = (plots.plot_backtest, plots.plot_backtest_targets, plots.plot_reliability)
    for figure in (draw(shown) for draw in drawn):
        for ax in figure.axes:
            assert "(" in ax.get_xlabel() or kind == "groups"
            assert "(" in ax.get_ylabel() or not ax.get_subplotspec().is_first_col()
        assert figure.get_supxlabel().startswith("fits: ")
        assert "back-test along" in figure.get_suptitle()


def test_a_truth_outside_its_interval_is_drawn_hollow(bt):
    missed = bt.assign(target_observed=bt["target_observed"] * 9)
    for shown, wanted in ((bt, 0), (missed, 2 * bt.sizes["window"])):
        ax = plots.plot_backtest_targets(shown).axes[0]
        assert sum(len(line.get_xdata()) for line in ax.lines if line.get_mfc() == "white") == wanted


BAD = {
    "did you mean 'compute'": {"along": "compte"},
    "no window sees": {"windows": [1.0]},
    "windows need": {"along": "family", "leave_out": False},
    "allowed: numbers, values of 'compute'": {"windows": ["much"]},
    "a list of values": {"windows": 1e20},
    "no group 'e'": {"along": "family", "windows": ["e"]},
    "did you mean 'posterior'": {"methods": ["posteriors"]},
    "methods: found None": {"methods": []},
    "every window sees": {"windows": [1e20], "target": 1e18},
    "target: found 'x'": {"target": "x"},
    "bootstrap: found 5": {"bootstrap": 5},
    "draws: found -5": {"draws": -5},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(spec, data, message):
    with pytest.raises(bl.InputError, match=message):
        bl.backtest(spec, data, **{**POINT, **BAD[message]})


def test_what_is_no_back_test_is_refused(spec, data):
    with pytest.raises(bl.InputError, match="must be what backtest"):
        plots.plot_backtest(data)
    with pytest.raises(bl.InputError, match="plot_backtest_targets"):
        plots.plot_backtest_targets(data)
    with pytest.raises(bl.InputError, match="spec comes from load_model"):
        bl.backtest("compute", data)


# ---- the command line


def call(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def table(data, tmp_path):
    path = tmp_path / "runs.csv"
    data[["compute", "neg_log_pass_at_k", "family"]].to_dataframe().to_csv(path, index=False)
    return path


def test_command(table, tmp_path):
    out = tmp_path / "b.nc"
    result = call(
        "backtest", "compute", table, "--windows", "1e20,1e21", "--methods", "point", "--bootstrap", 40,
        "-o", out, "--plots", tmp_path / "figures",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "compute <= 1e+20" in result.output
    assert xr.load_dataset(out, engine="h5netcdf").sizes["window"] == 2
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {
        "backtest.png",
        "targets.png",
        "reliability.png",
    }
    out = tmp_path / "b.csv"
    result = call(
        "backtest", "compute", table, "--along", "family", "--methods", "point", "--bootstrap", 40, "-o", out
    )
    assert result.exit_code == 0, result.output
    assert pd.read_csv(out)["window"].tolist() == list("abcd")


def test_command_exits_one_where_a_sampler_failed(table, tmp_path):
    out = tmp_path / "b.csv"
    result = call(
        "backtest", "compute", table, "--discrepancy", "none", "--windows", "1e21", "--methods", "posterior",
        "--draws", 20, "--tune", 50, "--chains", 2, "-o", out,
    )  # fmt: skip
    assert result.exit_code == 1
    assert "[fail] posterior" in result.output and out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--along", "comptue"), "did you mean 'compute'"),
        (("--windows", "1,much"), "allowed: numbers"),
        (("--methods", "map"), "allowed: independent, point, posterior"),
        (("-o", "b.txt"), "allowed: .nc or .csv"),
        (("-o", "nowhere/b.nc"), "folder that exists"),
        (("--where", "familie=a"), "did you mean 'family'"),
    ],
)
def test_command_refuses_bad_input(table, tmp_path, options, message):
    before = sorted(tmp_path.iterdir())
    result = call("backtest", "compute", table, "-o", tmp_path / "b.nc", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split()).lower()
    assert sorted(tmp_path.iterdir()) == before


def test_a_draw_that_underflows_costs_no_score():
    rng = np.random.default_rng(0)
    draws = np.exp(0.1 * rng.standard_normal((1000, 2)))
    sound = HeldOut(np.array([1.0, 1.1]), draws, 0.0, np.zeros(2), "nat")
    draws_low = draws.copy()
    draws_low[draws[:, 0].argmin(), 0] = 0.0  # as a Student t on logarithms does, once in many draws
    low = HeldOut(sound.observed, draws_low, 0.0, np.zeros(2), "nat")
    found = [window.row_scores(held, np.random.default_rng(0)) for held in (sound, low)]
    for name in ("interval_score_relative", "width_relative"):
        assert found[1][name] == found[0][name] > 0
