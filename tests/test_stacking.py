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
from bayeslaw.forecasts.variance import split
from bayeslaw.forecasts.weights import stacking_weights, usable_blocks, weights_at
from bayeslaw.observation.bound import bind
from bayeslaw.studies.stacking import _blocks, _windowed, ahead_weights, unfrozen

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
    np.testing.assert_allclose(stacking_weights(np.full((windows, 3), -7.0), 2.0), 1 / 3)


@pytest.mark.parametrize(("windows", "laws"), [(1, 2), (4, 2), (4, 3), (60, 2)])
def test_a_law_that_wins_every_window_by_far_gets_most_and_never_all(windows, laws):
    scores = np.zeros((windows, laws))
    scores[:, 1] = 50.0
    weights = stacking_weights(scores, 2.0)
    assert weights[1] == pytest.approx((windows + 2 / laws) / (windows + 2), rel=1e-9)
    assert weights[1] < 1 and weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(stacking_weights(1000 * scores, 2.0), weights, rtol=1e-9)  # nothing overflows


def test_many_windows_decide_and_few_do_not():
    better = np.array([[0.0, 0.5]])
    few, many = (stacking_weights(np.repeat(better, n, axis=0), 2.0) for n in (3, 300))
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
    assert stacking_weights(np.array([[-np.inf, -3.0]]), 2.0)[1] == pytest.approx(2 / 3)
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
    assert all(0.05 < w < 0.95 for w in mixture.weights.values())  # 17/18 is what four windows can give
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
    for name, weight in json.loads(fc.attrs["weights"]).items():
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
    inside = mixture.held_at(0.0).weights  # no row lies beyond the fits' own
    wanted = logsumexp([h.log_joint for h in each], b=list(inside.values()))
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


# ---- weights by distance


def scored(scores, horizon, rows=None, laws=("a", "b")):
    """Scores as `stack` lays them out: of shape (laws, windows, blocks)."""
    scores, names = np.asarray(scores, dtype=float), [f"w{i}" for i in range(np.shape(scores)[1])]
    rows = np.full(len(names), 5) if rows is None else np.asarray(rows)
    return xr.Dataset(
        {
            "log_score_joint": (("law", "window"), np.diagonal(scores, axis1=1, axis2=2)),
            "log_score_block": (("law", "window", "block"), scores),
            "horizon": (("window", "block"), np.asarray(horizon, dtype=float)),
            "rows_held": ("window", rows), "rows_block": ("block", rows),
        },
        {"law": list(laws), "window": names, "block": names},
    )  # fmt: skip


NONE = np.nan
TURNS = scored(  # the first law wins near, the second far
    [[[0, -30, -30], [NONE, 0, -30], [NONE, NONE, 0]], [[-30, 0, 0], [NONE, -30, 0], [NONE, NONE, -30]]],
    [[0.1, 0.9, 1.8], [NONE, 0.1, 0.9], [NONE, NONE, 0.1]],
)


def test_weights_follow_the_targets_distance():
    near, far, beyond = weights_at(TURNS, np.array([0.1, 1.5, 50.0]))
    assert near[0] > 0.7 and far[1] > 0.7 and max(near[0], far[1]) < 1
    np.testing.assert_allclose(beyond, weights_at(TURNS, np.array([1.8]))[0])  # the farthest count most
    np.testing.assert_allclose(np.sum([near, far, beyond], axis=1), 1)
    several = weights_at(TURNS, np.linspace(0, 3, 40))
    assert (np.diff(several[:, 0]) < 0.01).all() and (several > 0).all()


def test_blocks_of_one_horizon_count_as_blocks_do():
    scores = scored([[[0, -1], [NONE, -2]], [[-1, 0], [NONE, 0]]], [[0.5, 0.5], [NONE, 0.5]])
    wanted = stacking_weights(np.array([[0.0, -1], [-1, 0], [-2, 0]]))
    np.testing.assert_allclose(weights_at(scores, np.array([0.0, 0.5, 4.0])), [wanted] * 3, atol=1e-9)


def test_blocks_of_few_rows_are_ignored():
    few = TURNS.assign(rows_block=("block", [5, 2, 2]))
    assert usable_blocks(few).sizes["trial"] == 1
    none = TURNS.assign(rows_block=("block", [2, 2, 1]))
    np.testing.assert_allclose(weights_at(none, np.array([1.0])), [[0.5, 0.5]])
    assert ahead_weights(none.assign(rows_held=("window", [2, 2, 1]))) == {"a": 0.5, "b": 0.5}


def test_a_mixture_without_blocks_says_so(fits):
    none = scored(np.zeros((2, 1, 1)), [[0.3]], [2], list(fits))
    mixture = bl.Mixture(fits, dict.fromkeys(fits, 0.5), none, by_distance=True)
    (check,) = [
        c for c in from_json(bl.forecast(mixture, {"x": [1e7]}).attrs["checks"]) if c.name == "weights"
    ]
    assert check.level == "warn" and "no block of 3 rows or more" in check.message


def test_default_blocks_have_rows_enough():
    for rows in (9, 12, 17, 30):
        data = xr.Dataset({"x": ("obs", np.geomspace(1, 1e4, rows))})
        blocks = _blocks(data, "x", None)
        assert all(len(b.held) >= 3 for b in blocks), rows
        assert sum(len(b.held) for b in blocks) + len(blocks[0].seen) == rows
    top = xr.Dataset({"x": ("obs", np.append(np.geomspace(1, 10, 20), [1e4, 2e4]))})
    assert len(_blocks(top, "x", None)[-1].held) >= 2  # two rows far away cannot be more


def test_laws_in_size_and_data_are_weighed_along_compute(data):
    spec, rows = noiseless("chinchilla")
    windowed, along = _windowed(rows, None, [spec])
    assert along == "compute"
    np.testing.assert_allclose(windowed["compute"], 6 * rows["params"] * rows["tokens"])
    assert _windowed(rows, "tokens", [spec])[1] == "tokens"
    assert _windowed(data, None, [bl.load_model("power")])[1] == "x"


def test_each_target_has_its_own_weights(fits):
    scores = TURNS.assign_coords(law=list(fits))
    mixture = bl.Mixture(fits, dict.fromkeys(fits, 0.5), scores, by_distance=True)
    targets = {"x": [1.2e6, 1e8]}
    fc = bl.forecast(mixture, targets)
    shown = np.stack([fc[f"weight_{name}"] for name in fits], axis=1)
    np.testing.assert_allclose(shown, mixture.weights_at(fc["orders_beyond"]))
    far = mixture.held_at(2.0)
    assert json.loads(fc.attrs["weights"]) == pytest.approx(far.weights) and not far.by_distance
    alone = bl.forecast(far, targets)
    for name in ("lower", "upper"):
        assert float(fc[name][2, 1]) == pytest.approx(float(alone[name][2, 1]), rel=0.01)
    drawn = bl.forecast(mixture, targets, draws=True)
    assert "weight_power" not in drawn.coords and drawn["draws"].sizes["target"] == 2


def test_the_variance_between_laws_is_a_part(fits):
    mixture = bl.Mixture(
        fits, dict.fromkeys(fits, 0.5), TURNS.assign_coords(law=list(fits)), by_distance=True
    )
    targets = {"x": [1.2e6, 1e8]}
    table = split(mixture, targets).set_index(["target", "component"])["share"]
    run = bl.forecast(mixture, targets)["law_share"].sel(kind="run").values
    np.testing.assert_allclose(table[:, "law choice"], run, atol=0.03)
    for target in (0, 1):
        assert table[target].drop("all").sum() == pytest.approx(1)


def test_draws_of_targets_with_weights_of_their_own():
    parts = [{"run": np.zeros((1000, 3))}, {"run": np.ones((400, 3))}]
    run = mixed(parts, np.array([[0.75, 0.25], [0.2, 0.8], [0.75, 0.25]]))["run"]
    np.testing.assert_allclose(run.mean(axis=0), [0.25, 0.8, 0.25], atol=2e-3)
    np.testing.assert_allclose(law_share([p["run"] for p in parts], np.full((3, 2), 0.5)), 1)


def test_a_mixture_by_distance_needs_its_scores(fits):
    with pytest.raises(bl.InputError, match="by_distance: found True"):
        bl.Mixture(fits, dict.fromkeys(fits, 0.5), SCORES, by_distance=True)
    with pytest.raises(bl.InputError, match="by_distance: found True"):
        bl.Mixture(fits, dict.fromkeys(fits, 0.5), TURNS, by_distance=True)


# ---- one call


def test_laws_are_fitted_and_weighed_in_one_call(data, mixture):
    law = bl.change(bl.load_model("power"), discrepancy=None)
    laws = {"power": law, "no-floor": bl.change(law, fix={"floor": 0.01})}
    found = bl.fit_laws(laws, data, **FAST)
    assert found.weights == mixture.weights and found.by_distance
    xr.testing.assert_identical(found.scores, mixture.scores)


@pytest.mark.parametrize(
    ("laws", "message"),
    [
        (["power", "powr"], "no model named 'powr'"),
        ("power", "laws: found 'power'"),
        ([], "laws: empty"),
        ([3], "laws: found 3"),
        ({1: "power"}, "laws: found 1"),
        (["power", "power"], "two are called 'power'"),
        (["power", "chinchilla"], r"law 'chinchilla': its output is loss, that of 'power' y"),
        ({"power": "power", "wide": bl.change(bl.load_model("power"), pool={"level": "family"})}, "law 'wide': .*'family'"),
    ],
)  # fmt: skip
def test_laws_that_cannot_be_fitted_are_named_before_anything_is(data, laws, message, monkeypatch):
    monkeypatch.setattr("bayeslaw.studies.laws.fit", lambda *_, **__: pytest.fail("fitted"))
    with pytest.raises(bl.InputError, match=message):
        bl.fit_laws(laws, data)


def test_the_law_that_lacks_a_column_is_named():
    rows = noiseless("chinchilla")[1]
    with pytest.raises(bl.InputError, match=r"fit_laws, law 'chinchilla': .*no column 'tokens'"):
        bl.fit_laws(["chinchilla", "coupled"], rows.drop_vars("tokens"))
