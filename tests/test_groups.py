"""Parameters pooled over groups: one value a group, new groups as spread as the seen ones."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import noiseless
from scipy.special import expit, logit

import bayeslaw as bl
from bayeslaw.inference.pymc_model import build_model
from bayeslaw.law.parse import SPREAD_90
from bayeslaw.law.priors import link_normal
from bayeslaw.observation.base import NUMPY, observed_rows
from bayeslaw.observation.bound import bind
from bayeslaw.observation.pooling import (
    by_row,
    group_index,
    group_labels,
    row_scores,
    score_name,
    score_sizes,
)
from bayeslaw.observation.walks import centring, directions, scores_from

POOLED = {"level": "family", "floor": "family"}
SPEC = bl.change(bl.load_model("compute"), pool=POOLED)


def test_a_pooled_parameter_has_a_spread():
    assert SPEC.pooled == POOLED
    assert {"level_spread", "floor_spread"} <= set(SPEC.noise)
    assert SPEC.noise["level_spread"].prior_90 == SPREAD_90
    assert (SPEC.noise["level_spread"].unit, SPEC.noise["floor_spread"].unit) == ("log", "logit")
    undone = bl.change(SPEC, pool={"level": None, "floor": None})
    assert undone == bl.load_model("compute")
    own = bl.change(SPEC, pool={"floor": None})
    assert set(own.pooled) == {"level"} and "floor_spread" not in own.noise


def test_each_row_has_its_groups_own_value():
    values = {"level": np.full((2, 1), 2.0), "floor": np.full((2, 1), 0.3), "alpha": np.full((2, 1), 0.1),
              "level_spread": np.array([[0.1], [0.5]]), "floor_spread": np.full((2, 1), 0.2)}  # fmt: skip
    scores = {"level": np.array([[1.0, -1.0, 0.0]] * 2), "floor": np.array([[0.0, 2.0, -2.0]] * 2)}
    rows = by_row(SPEC, values, scores, np)
    np.testing.assert_allclose(rows["level"], 2 * np.exp(values["level_spread"] * scores["level"]))
    np.testing.assert_allclose(rows["floor"], expit(logit(0.3) + 0.2 * scores["floor"]))
    np.testing.assert_array_equal(rows["alpha"], values["alpha"])


def test_groups_in_the_order_of_the_table():
    columns = {"family": np.array(["b", "a", "b", "c"])}
    labels = group_labels(SPEC, columns)
    assert labels == {"family": ["b", "a", "c"]}
    assert group_index(labels["family"], np.array(["c", "b", "x"])).tolist() == [2, 0, -1]
    assert score_sizes(SPEC, labels) == {"level_score": 3, "floor_score": 3}
    assert score_sizes(SPEC, {"family": list(map(str, range(17)))}) == {"level_score": 17, "floor_score": 17}


def test_how_near_the_walk_is_to_a_groups_value_is_what_its_rows_tell():
    rng = np.random.default_rng(0)
    column = np.repeat(list("abcdefghij"), [1, 2, 4, 8, 8, 8, 8, 8, 8, 8])
    x = np.exp(rng.uniform(0, 5, len(column)))
    noise = 0.1 * rng.standard_normal(len(column))
    groups = 0.5 * rng.standard_normal(10)[np.unique(column, return_inverse=True)[1]]
    trend = 2 - 0.3 * np.log(x)
    apart = centring(list("abcdefghij"), column, trend + noise + groups, [x])
    assert (np.diff(apart[:4]) > 0).all() and apart[0] > 0.8 and apart[9] > 0.98
    alike = centring(list("abcdefghij"), column, trend + noise, [x])
    assert alike.max() < 0.6 and len(alike) == 10
    assert (centring(["a", "b"], np.array(["a", "b"]), np.zeros(2), [x[:2]]) == 0).all()


def test_few_rows_leave_the_score_and_many_the_groups_own_deviation():
    usual = np.sqrt(np.prod(SPEC.noise["level_spread"].prior_90))
    how, walk = {"near": np.array([0.0, 1.0]), "along": np.eye(2)}, np.array([0.7, 0.7])
    for spread in (0.1, 0.5):
        scores, slopes = scores_from(SPEC, "level", walk, spread, how, NUMPY)
        assert scores[0] == 0.7 and slopes[0] == 0
        # Walked along its own deviation, a group stays where it is whatever the spread.
        assert spread * scores[1] == pytest.approx(usual * 0.7)
        step = scores_from(SPEC, "level", walk + 1e-6, spread, how, NUMPY)[0] - scores
        np.testing.assert_allclose(np.log(step / 1e-6), slopes, atol=1e-8)


def test_directions_are_those_that_rows_together_leave_open():
    """Two pairs of groups whose rows wander together by pairs: within a pair groups are told apart, pairs are not."""
    column = np.array(list("abcd"))
    scatter = np.kron(np.eye(2), np.full((2, 2), 9.0)) + np.eye(4)
    along = directions(list("abcd"), column, scatter)
    np.testing.assert_allclose(along @ along.T, np.eye(4), atol=1e-12)
    told = along[-2:, :4]  # known best
    np.testing.assert_allclose(told @ np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), 0, atol=1e-12)
    # All alike is no direction that rows tell, whether they wander together or not.
    for rows in (scatter, None):
        worst = directions(list("abcd"), column, rows)[0]
        np.testing.assert_allclose(np.abs(worst), 0.5, atol=1e-9)


def test_however_groups_are_walked_the_posterior_is_one():
    """The model's log density, less the walk's slope, does not depend on how near the walk is."""
    spec, data = noiseless("compute", noise=0.05)
    data = data.assign_coords(family=("obs", np.repeat(list("abcd"), 10)))
    spec = bl.resolve(bl.change(spec, pool=POOLED, discrepancy=None), data)
    model = build_model(bind(spec, data))
    density = model.compile_logp()
    rng = np.random.default_rng(3)
    start = {n: v + 0.3 * rng.standard_normal(np.shape(v)) for n, v in model.initial_point().items()}
    spread = {n: np.exp(start[f"{n}_spread_log__"]) for n in POOLED}
    scores = rng.standard_normal((2, 4))
    found = []
    turned = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    for near, share, along in ((0.0, 1 / 16, np.eye(4)), (0.5, 1 / 4, turned), (0.9, 0.0, turned)):
        slopes, point, how = 0.0, dict(start), {"near": near * np.linspace(0.5, 1, 4), "along": along}
        for name, wanted in zip(POOLED, scores, strict=True):
            model.set_data(f"near_{name}", how["near"])
            model.set_data(f"share_{name}", np.full(4, share))
            model.set_data(f"along_{name}", along)
            _, slope = scores_from(SPEC, name, np.zeros(4), spread[name], how, NUMPY)
            point[score_name(name)] = along @ (wanted / np.exp(slope))
            slopes += slope.sum()
        point["level_sheared"] = np.log(2.2) + spread["level"] * share * scores[0].sum()
        found.append(float(density(point)) - slopes)
    np.testing.assert_allclose(found, found[0], rtol=1e-10)


def test_new_groups_are_drawn_and_one_group_is_one():
    draws = 20_000
    rng = np.random.default_rng(0)
    seen = {score_name(n): rng.normal(5, 0.1, (draws, 3)) for n in POOLED}
    columns = {"family": np.array(["a", "new", "b", "new", "other"])}
    scores = row_scores(SPEC, seen, {"family": ["b", "a"]}, columns, np.random.default_rng(1))
    for name in POOLED:
        found = scores[name]
        np.testing.assert_array_equal(found[:, 0], seen[score_name(name)][:, 1])
        np.testing.assert_array_equal(found[:, 2], seen[score_name(name)][:, 0])
        np.testing.assert_array_equal(found[:, 1], found[:, 3])
        fresh = found[:, [1, 4]]
        assert np.abs(fresh.mean(axis=0)).max() < 5 / np.sqrt(draws)
        assert np.abs(np.cov(fresh.T) - np.eye(2)).max() < 7 / np.sqrt(draws)
    nobody = row_scores(SPEC, seen, {"family": ["b", "a"]}, {"C": np.ones(3)}, np.random.default_rng(1))
    assert abs(nobody["level"].mean()) < 0.1 and (np.ptp(nobody["level"], axis=1) == 0).all()


def test_an_unknown_column_is_named():
    spec, data = noiseless("compute", noise=0.05)
    spec = bl.resolve(bl.change(spec, pool={"level": "famly"}), data)
    data = data.assign_coords(family=("obs", np.repeat(["a", "b"], 20)))
    with pytest.raises(bl.InputError, match="pools 'level' over the column 'famly', which the data lack"):
        group_labels(spec, observed_rows(spec, data).columns)
    with pytest.raises(bl.InputError, match="column 'famly'"):
        bl.fit(spec, data, draws=4, tune=50, chains=1, progress=False)


def test_pooling_what_is_none_is_refused():
    with pytest.raises(bl.InputError, match="did you mean 'level'"):
        bl.change(bl.load_model("compute"), pool={"levl": "family"})
    with pytest.raises(bl.InputError, match="'E0' is derived"):
        bl.change(bl.load_model("compute"), pool={"E0": "family"})


def test_the_spreads_prior_can_be_stated():
    import copy

    from bayeslaw.law.parse import parse_spec

    document = copy.deepcopy(dict(SPEC.document))
    document["parameters"]["level"]["spread"] = [0.1, 0.4]
    spread = parse_spec(document, "mine").noise["level_spread"]
    assert spread.prior_90 == (0.1, 0.4)
    assert np.exp(link_normal(spread)[0]) == pytest.approx(0.2)
