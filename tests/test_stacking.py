"""Several laws, one forecast: their weights, what is refused, and what a user gets of the mixture."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from conftest import noiseless
from scipy.special import logsumexp

import bayeslaw as bl
from bayeslaw.core.check import from_json
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.mixture import law_share, mixed
from bayeslaw.forecasts.targets import forecast_inputs
from bayeslaw.observation.bound import bind
from bayeslaw.studies.stacking import _blocks, stacking_weights, unfrozen

FAST = {"draws": 200, "tune": 300, "chains": 2, "progress": False}
SCORES = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((1, 3)))})


@pytest.fixture(scope="module")
def data():
    return noiseless("power", noise=0.02)[1]


@pytest.fixture(scope="module")
def fits(data):
    law = bl.change(bl.load_model("power"), discrepancy=None)
    laws = {"power": law, "no-floor": bl.change(law, fix={"floor": 0.01})}  # one compiles for both
    return {n: bl.fit(law, data, **FAST) for n, law in laws.items()}


@pytest.fixture(scope="module")
def mixture(fits):
    return bl.stack(fits, **FAST)


@pytest.fixture(scope="module")
def fc(mixture):
    return bl.forecast(mixture, {"x": [1e4, 1e7]})


# ---- weights


@pytest.mark.parametrize("windows", [1, 4, 50])
def test_equal_scores_weigh_equally(windows):
    np.testing.assert_allclose(stacking_weights(np.full((windows, 3), -7.0)), 1 / 3)


@pytest.mark.parametrize(("windows", "laws"), [(1, 2), (4, 2), (4, 3), (60, 2)])
def test_a_law_that_wins_every_window_by_far_gets_most_and_never_all(windows, laws):
    scores = np.zeros((windows, laws))
    scores[:, 1] = 50.0
    weights = stacking_weights(scores)
    assert weights[1] == pytest.approx((windows + 2 / laws) / (windows + 2), rel=1e-9)
    assert weights[1] < 1 and weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(stacking_weights(1000 * scores), weights, rtol=1e-9)  # nothing overflows


def test_many_windows_decide_and_few_do_not():
    better = np.array([[0.0, 0.5]])
    few, many = (stacking_weights(np.repeat(better, n, axis=0)) for n in (3, 300))
    assert 0.5 < few[1] < 0.67 and 0.97 < many[1] < 1


def test_weights_are_at_the_maximum():
    rng = np.random.default_rng(0)
    scores = 3 * rng.standard_normal((5, 3))

    def objective(w):
        return logsumexp(scores + np.log(w), axis=1).sum() + 0.7 * np.log(w).mean()

    found = stacking_weights(scores, 0.7)
    others = rng.dirichlet(5 * found, 2000)
    assert objective(found) >= max(map(objective, others))
    near = found * np.exp(1e-3 * rng.standard_normal((200, 3)))
    assert objective(found) >= max(objective(w / w.sum()) for w in near)


def test_impossible_blocks():
    assert stacking_weights(np.array([[-np.inf, -3.0]]))[1] == pytest.approx(2 / 3)
    np.testing.assert_allclose(stacking_weights(np.full((2, 2), -np.inf)), 0.5)


# ---- draws of a mixture


def test_draws_are_taken_by_weight_from_all_over():
    parts = [{"run": np.arange(1000.0)[:, None]}, {"run": 5000 + np.arange(400.0)[:, None]}]
    run = mixed(parts, [0.75, 0.25])["run"][:, 0]
    assert len(run) == 1333 and (run >= 5000).sum() == 333
    assert run[run < 5000].mean() == pytest.approx(499.5, abs=1)
    assert run[run >= 5000].mean() == pytest.approx(5199.5, abs=1)


def test_share_of_the_variance_between_laws():
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal((2, 200_000, 1))
    assert law_share([one, other + 2], [0.5, 0.5])[0] == pytest.approx(0.5, abs=0.01)
    assert law_share([one], [1.0])[0] == 0
    assert law_share([np.zeros((5, 1)), np.zeros((5, 1))], [0.5, 0.5])[0] == 0
    assert law_share([np.zeros((5, 1)), np.ones((5, 1))], [0.5, 0.5])[0] == 1


# ---- windows


def test_blocks_do_not_overlap_and_lie_ahead(data):
    blocks = _blocks(data, "x", None)
    assert 3 <= len(blocks) <= 5
    x, held = data["x"].values, np.concatenate([b.held for b in blocks])
    assert len(held) == len(set(held)) and set(held) | set(blocks[0].seen) == set(range(len(x)))
    for block in blocks:
        assert x[block.seen].max() <= block.end < x[block.held].min() and len(block.seen) >= 10
    assert blocks[0].end == pytest.approx(np.sqrt(x.min() * x.max()))


def test_ends_between_the_same_rows_are_one_window(data):
    x = np.sort(data["x"].values)
    between = [0.7 * x[19] + 0.3 * x[20], 0.3 * x[19] + 0.7 * x[20]]
    assert [len(b.seen) for b in _blocks(data, "x", between)] == [20]


@pytest.mark.parametrize("name", ["power", "broken-power", "sigmoid-power"])
def test_references_are_by_name_again(name, data):
    law = bl.load_model(name)
    frozen = bl.resolve(law, data)
    assert frozen != law and unfrozen(bind(frozen, data)) == law
    other = unfrozen(bind(frozen, data.isel(obs=slice(0, 30))))
    assert other.inputs["x"] == frozen.inputs["x"]  # a number that is not these rows' stays


# ---- end to end


def test_scores_and_weights(mixture):
    assert dict(mixture.scores.sizes) == {"law": 2, "window": 4, "block": 4}
    assert np.isfinite(mixture.scores["log_score_joint"]).all()
    assert mixture.scores["rows_held"].sum() == 40 - mixture.scores["rows_seen"][0]
    assert sum(mixture.weights.values()) == pytest.approx(1)
    assert all(0.16 < w < 0.84 for w in mixture.weights.values())  # five sixths is what four windows can give
    assert mixture.scores.attrs["along"] == "x"


def test_a_mixture_forecasts_like_a_fit(mixture, fits, fc):
    one = bl.forecast(fits["power"], {"x": [1e4, 1e7]})
    assert set(fc.data_vars) == {*one.data_vars, "law_share"} and set(fc.coords) >= set(one.coords)
    assert fc["median"].dims == fc["law_share"].dims == ("kind", "target")
    assert ((fc["law_share"] >= 0) & (fc["law_share"] <= 1)).all()
    assert (fc["lower"] < fc["median"]).all() and (fc["median"] < fc["upper"]).all()
    np.testing.assert_array_equal(fc["orders_beyond"], one["orders_beyond"])
    assert json.loads(fc.attrs["weights"]) == mixture.held_at(fc["orders_beyond"].max()).weights
    assert [c.name for c in from_json(fc.attrs["checks"])] == ["extrapolation", "weights"]
    xr.testing.assert_identical(fc, bl.forecast(mixture, {"x": [1e4, 1e7]}))
    ends = [bl.forecast(f, {"x": [1e4, 1e7]})["median"] for f in fits.values()]
    assert (fc["median"] >= np.minimum(*ends) * 0.99).all() and (
        fc["median"] <= np.maximum(*ends) * 1.01
    ).all()


def test_a_mixtures_forecast_is_drawn_with_its_laws(mixture, fits, fc):
    figure = bl.plots.plot_forecast(mixture, fc)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    for name, weight in mixture.weights.items():
        assert f"{name}: median, weight {weight:.2f}" in labels
    assert figure.get_suptitle() == "power + no-floor: 40 rows, mixture"
    with pytest.raises(bl.InputError, match=r"for model 'power \+ no-floor'"):
        bl.plots.plot_forecast(mixture, bl.forecast(fits["power"], {"x": [1e7]}))


def test_laws_of_different_inputs_share_no_figure(mixture, fits, fc, monkeypatch):
    first = fits["power"].spec
    monkeypatch.setattr(
        "bayeslaw.plots.forecast.plain_inputs", lambda spec: ["x"] if spec == first else ["N", "D"]
    )
    with pytest.raises(bl.InputError, match="different inputs"):
        bl.plots.plot_forecast(mixture, fc, found=[])


def test_a_mixture_of_one_law_is_its_fit(fits):
    one = bl.Mixture({"power": fits["power"]}, {"power": 1.0}, SCORES)
    fc, alone = (bl.forecast(f, {"x": [1e4, 1e7]}, seed=3) for f in (one, fits["power"]))
    xr.testing.assert_equal(fc.drop_vars("law_share"), alone)
    assert (fc["law_share"] == 0).all()


def test_a_mixture_is_held_against_rows(mixture, fits, data):
    rows = data.isel(obs=slice(30, 40))
    both, each = held_out(mixture, rows), [held_out(f, rows) for f in fits.values()]
    wanted = logsumexp([h.log_joint for h in each], b=list(mixture.weights.values()))
    assert both.log_joint == pytest.approx(wanted) and both.log_rows.shape == (10,)
    assert both.draws.shape[1] == 10


# ---- what is refused


def test_fits_of_other_rows_are_refused(fits, data):
    shorter = bl.fit(fits["power"].spec, data.isel(obs=slice(0, 39)), **FAST)
    with pytest.raises(bl.InputError, match=r"'power' and 'b' differ in number of rows \(40 and 39\)"):
        bl.stack({"power": fits["power"], "b": shorter})
    moved = data.assign(y=data["y"] * np.where(np.arange(40) == 4, 1.5, 1.0))
    with pytest.raises(bl.InputError, match="differ in y of row 5"):
        bl.stack({"power": fits["power"], "b": bl.fit(fits["power"].spec, moved, **FAST)})


def test_bad_settings_are_refused(fits, point_fit):
    for bad in ({}, [fits["power"]]):
        with pytest.raises(bl.InputError, match="one fit or more"):
            bl.stack(bad)
    with pytest.raises(bl.InputError, match="method 'nuts'"):
        bl.stack({"a": point_fit})
    spec = fits["power"].spec
    for change, message in (({"name": "loss"}, "output"), ({"scale": "identity"}, "scale of errors")):
        other = bl.Fit(replace(spec, output=replace(spec.output, **change)), fits["power"].tree)
        with pytest.raises(bl.InputError, match=f"differ in {message}"):
            bl.stack({**fits, "c": other})
    with pytest.raises(bl.InputError, match="shrink"):
        bl.stack(fits, shrink=0)
    with pytest.raises(bl.InputError, match="no column 'tokn'"):
        bl.stack(fits, along="tokn")
    with pytest.raises(bl.InputError, match="windows"):
        bl.stack(fits, windows=["a"])
    with pytest.raises(bl.InputError, match="weights"):
        bl.Mixture(fits, {"power": 1.0}, SCORES)


def test_unknown_targets_are_refused(mixture):
    with pytest.raises(bl.InputError, match="unknown input 'z'"):
        bl.forecast(mixture, {"x": [1.0], "z": [1.0]})


def test_each_law_of_a_mixture_takes_its_own_inputs():
    laws = [noiseless(n) for n in ("compute", "params-tokens")]
    fits = [SimpleNamespace(spec=spec, data=data, bound=bind(spec, data)) for spec, data in laws]
    inputs, coords, _ = forecast_inputs(fits, {"params": 1e9, "tokens": [1e10, 1e13]}, None, None)
    assert [sorted(part) for part in inputs] == [["C", "sampling_error"], ["D", "N", "sampling_error"]]
    np.testing.assert_allclose(coords["C"], [6e19, 6e22])
    assert coords["orders_beyond"][1] == pytest.approx(13 - np.log10(laws[1][1]["tokens"].values.max()))
    with pytest.raises(bl.InputError, match="D needs one of D or tokens, found nothing"):
        forecast_inputs(fits, {"C": 1e22, "params": 1e9}, None, None)
