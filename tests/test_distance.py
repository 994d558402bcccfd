"""How far a target lies beyond the data: one number, in all places, and never less than it is."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.core.check import from_json
from bayeslaw.forecasts.distance import BUDGET, distance, hull_distance, orders_text
from bayeslaw.forecasts.targets import forecast_inputs
from bayeslaw.observation.bound import bind
from bayeslaw.reports import cases
from bayeslaw.reports.content import Content
from bayeslaw.reports.default_targets import default_targets
from bayeslaw.reports.sections.forecast import forecast_section
from bayeslaw.reports.terminal.fits import forecast_text

CHINCHILLA, PASSES = (bl.load_model(n) for n in ("chinchilla", "params-tokens"))


def iso_flop() -> pd.DataFrame:
    """Three budgets, five sizes each: the usual table, whose corner no budget pays for."""
    rows = [
        (n, c / (6 * n)) for c in (1e19, 1e20, 1e21) for n in np.sqrt(c / 120) * 10 ** np.linspace(-1, 1, 5)
    ]
    frame = pd.DataFrame(rows, columns=["params", "tokens"])
    loss = 1.7 + 400 * frame["params"] ** -0.34 + 410 * frame["tokens"] ** -0.28
    return frame.assign(loss=loss, neg_log_pass_at_k=loss)


@pytest.fixture(scope="module")
def fit():
    return bl.fit(PASSES, bl.read_table(iso_flop(), PASSES), "map", bootstrap=8)  # few starts, so quick


def stand_in(spec, data):
    """What a forecast's inputs need of a fit."""
    return SimpleNamespace(spec=spec, data=data, bound=bind(spec, data))


def away(table, targets, spec=CHINCHILLA):
    """Return the orders and the check of targets beyond a table, without a fit."""
    one = stand_in(spec, bl.read_table(table, spec))
    _, coords, checks = forecast_inputs([one], targets, None, None)
    return coords["orders_beyond"], checks


def test_the_corner_of_an_iso_flop_table_lies_beyond_the_data(fit):
    frame = iso_flop()
    corner = {"N": [frame["params"].max()], "D": [frame["tokens"].max()]}
    fc = bl.forecast(fit, corner)
    budget = np.log10(6 * corner["N"][0] * corner["D"][0] / 1e21)
    assert float(fc["orders_beyond"][0]) == pytest.approx(budget) and budget > 1.9
    (check,) = [c for c in from_json(fc.attrs["checks"]) if c.name == "extrapolation"]
    assert (check.level, check.value) == ("warn", pytest.approx(budget))
    assert "2.0 orders of magnitude beyond the data (compute 6·N·D)" in check.message


def test_every_place_says_the_same_number(fit):
    targets = {"N": [3e10, 4e9], "D": [2e12, 3e11]}
    fc = bl.forecast(fit, targets)
    told = [f"+{orders_text(v)} orders" for v in fc["orders_beyond"].values]
    for ax in plots.plot_forecast(fit, fc).axes[:2]:
        assert [t.get_text() for t in ax.texts] == told
    section = forecast_section(Content(cases.make_cases(fit, targets, None, 0.9), 0.9))
    assert section.tables[0].frame["orders beyond"].tolist() == [
        orders_text(v) for v in fc["orders_beyond"].values
    ]
    for value, card in zip(fc["orders_beyond"].values, section.headlines, strict=True):
        assert f"{value:.2g} orders of magnitude" in card.note
    assert f"{fc['orders_beyond'].values[0]:.5g}" in forecast_text(fc)


SQUARE = pd.DataFrame(
    {"params": [1e8, 1e9, 1e8, 1e9], "tokens": [1e10, 1e10, 1e11, 1e11], "loss": [4.0, 3.5, 3.4, 3.0]}
)
DIAGONAL = pd.DataFrame({"params": [1e7, 1e8, 1e9], "tokens": [2e8, 2e9, 2e10], "loss": [4.0, 3.5, 3.0]})
ONE = DIAGONAL.iloc[:1]
LINE = pd.DataFrame({"params": [1e8, 1e8, 1e8], "tokens": [1e9, 1e10, 1e11], "loss": [4.0, 3.5, 3.0]})
ANTI = pd.DataFrame({"params": [1e7, 1e8, 1e9], "tokens": [1e11, 1e10, 1e9], "loss": [4.0, 3.5, 3.4]})


@pytest.mark.parametrize(
    ("table", "target", "orders", "reason"),
    [
        (SQUARE, (3e8, 3e10), 0.0, ""),
        (SQUARE, (1e9, 1e11), 0.0, ""),  # a row
        (SQUARE, (1e10, 3e10), 1.0, "params"),
        (SQUARE, (3e8, 1e9), 1.0, "tokens"),
        (SQUARE, (1e10, 1e12), 2.0, "compute 6·N·D"),
        (DIAGONAL, (1e10, 2e11), 2.0, "compute 6·N·D"),
        (DIAGONAL, (1e8, 2e9), 0.0, ""),
        (DIAGONAL, (1e7, 2e10), np.sqrt(2), "no run has this combination of N and D"),
        (LINE, (1e8, 1e12), 1.0, "tokens"),
        (LINE, (1e9, 1e10), 1.0, "params"),  # a column that never changes
        (ONE, (1e8, 2e8), 1.0, "params"),
        (ONE, (1e8, 2e9), 2.0, "compute 6·N·D"),
        (ONE, (1e7, 2e8), 0.0, ""),
        (ANTI, (1e8, 1e10), 0.0, ""),
        (ANTI, (1e9, 1e11), 2.0, "compute 6·N·D"),
        (ANTI, (1e7, 1e9), 2.0, "compute 6·N·D"),  # less compute than any run
        (SQUARE.assign(compute=[6e18, 6e19, 6e19, 6e21]), (3e9, 1e12), np.hypot(np.log10(3), 1), "tokens"),
        (SQUARE.assign(compute=[6e18, 6e19, 6e19, 6e22]), (1e9, 1e12), 1.0, "tokens"),
        (SQUARE.assign(compute=[6e18, np.nan, 6e19, 6e20]), (1e10, 1e12), 2.0, "compute 6·N·D"),
    ],
)  # fmt: skip
def test_the_farthest_of_inputs_compute_and_combination(table, target, orders, reason):
    found, checks = away(table, {"params": [target[0]], "tokens": [target[1]]})
    assert found[0] == pytest.approx(orders, abs=1e-9)
    assert f"({reason})" in checks[0].message if reason else checks[0].level == "ok"


def test_compute_of_a_table_or_target_that_has_it_counts():
    table = SQUARE.assign(compute=[6e18, 6e19, 6e19, 6e20])
    target = {"N": [1e9], "D": [1e11]}
    found, checks = away(table, {**target, "compute": [6e23]})
    assert found[0] == pytest.approx(3.0) and "(compute)" in checks[0].message
    assert away(table.assign(compute=6e18), target)[0][0] == pytest.approx(2.0)
    for bad, words in (([-1.0], "compute = -1"), ([0.0], "greater than 0")):
        with pytest.raises(bl.InputError, match=words):
            away(table, {**target, "compute": bad})


def test_parameters_and_tokens_are_known_by_their_columns():
    from bayeslaw.law.catalogue import parse_toml

    renamed = CHINCHILLA.to_toml()
    for old, new in ((r"\bN\b", "size"), (r"\bD\b", "seen"), ("ref_N", "ref_size"), ("ref_D", "ref_seen")):
        renamed = re.sub(old, new, renamed)
    spec = parse_toml(renamed, "renamed")
    target = {"params": [1e10], "tokens": [1e12]}
    assert away(SQUARE, target, spec)[0] == pytest.approx(away(SQUARE, target)[0])
    # The other way round, symbols N and D that are no parameters and tokens have no budget.
    other = parse_toml(bl.load_model("chinchilla").to_toml().replace('"params"', '"width"').replace('"tokens"', '"depth"'), "other")  # fmt: skip
    table = SQUARE.rename(columns={"params": "width", "tokens": "depth"})
    assert away(table, {"N": [1e10], "D": [1e12]}, other)[0][0] == pytest.approx(np.sqrt(2))


def line(reference: str = "") -> bl.Spec:
    """A law in two inputs without a reference: they may be zero or negative."""
    from bayeslaw.law.catalogue import parse_toml

    text = """
        law = "a + b * u + c * v"
        [inputs]
        u = { column = "u" }
        v = { column = "v" }
        [output]
        name = "y"
        unit = "1"
        [parameters]
        a = { prior_90 = [-5, 5] }
        b = { prior_90 = [-5, 5] }
        c = { prior_90 = [-5, 5] }
        [likelihood]
        family = "Normal"
        sigma = { prior_90 = [0.01, 1] }
    """
    return parse_toml(text, "line")


@pytest.mark.parametrize(
    ("u", "target", "orders", "outside"),
    [
        ([0.0, 1.0, 10.0], 100.0, 1.0, False),  # a zero among the rows: the upper side still has orders
        ([0.0, 1.0, 10.0], 0.5, 0.0, False),
        ([0.0, 0.0, 0.0], 3.0, 0.0, True),
        ([-2.0, -1.0, 3.0], -5.0, 0.0, True),
        ([1.0, 2.0, 3.0], 0.0, 0.0, True),
        ([-2.0, -1.0, 3.0], 30.0, 1.0, False),
        ([2.0, 2.0, 2.0], 20.0, 1.0, False),
    ],
)
def test_inputs_that_are_not_all_positive(u, target, orders, outside):
    table = pd.DataFrame({"u": u, "v": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]})
    found, checks = away(table, {"u": [target], "v": [2.0]}, line())
    assert found[0] == pytest.approx(orders, abs=1e-9)
    told = {c.name: c for c in checks}
    assert ("outside-range" in told) == outside
    if outside:
        assert f"u = {target:g} lies outside" in told["outside-range"].message
        assert "inside the range" not in " ".join(c.message for c in checks)


def brute(points: np.ndarray, x: np.ndarray) -> float:
    """Return the distance to the nearest point of any simplex of the points that holds its projection."""
    best = np.inf
    for size in range(1, min(len(points), points.shape[1] + 1) + 1):
        for chosen in itertools.combinations(points, size):
            first = chosen[0]
            edges = np.array([p - first for p in chosen[1:]]).reshape(size - 1, len(first)).T
            if size > 1 and np.linalg.matrix_rank(edges) < size - 1:
                continue
            weights = np.linalg.lstsq(edges, x - first)[0] if size > 1 else np.zeros(0)
            if (weights >= -1e-12).all() and weights.sum() <= 1 + 1e-12:
                best = min(best, float(np.linalg.norm(x - first - edges @ weights)))
    return best


@pytest.mark.parametrize("kind", ["full", "line", "constant", "twice", "thin"])
@pytest.mark.parametrize("dims", [1, 2, 3, 4])
def test_distance_from_a_hull_is_that_of_brute_force(kind, dims):
    rng = np.random.default_rng([dims, len(kind)])
    for _ in range(12):
        rows = int(rng.integers(1, 8))
        points = rng.standard_normal((rows, dims)) * rng.uniform(0.1, 3) + 10
        if kind == "line":
            points = np.outer(rng.standard_normal(rows), rng.standard_normal(dims)) + 5
        if kind == "constant":
            points[:, rng.integers(dims)] = 7.0
        if kind == "twice":
            points = np.repeat(points, 2, axis=0)
        if kind == "thin":
            points[:, 0] = 8 + 1e-7 * points[:, 0]
        near = points[:2] + 1e-6 * rng.standard_normal(points[:2].shape)
        at = np.concatenate(
            [
                points.mean(axis=0) + 4 * rng.standard_normal((4, dims)),
                points[:2],
                near,
                points.mean(axis=0)[None],
            ]
        )
        found = hull_distance(points, at)
        np.testing.assert_allclose(found, [brute(np.unique(points, axis=0), x) for x in at], atol=1e-9)
        assert (found[4 : 4 + len(points[:2])] == 0).all() and found[-1] == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_ten_thousand_rows_and_targets_are_quick(dims):
    import time

    rng = np.random.default_rng(dims)
    rows, at = rng.standard_normal((10_000, dims)), 3 * rng.standard_normal((10_000, dims))
    start = time.perf_counter()
    found = hull_distance(rows, at)
    assert time.perf_counter() - start < 10
    # Never less than from a half-space that holds all rows, never more than to the nearest row.
    for x, value in zip(at[:200], found[:200], strict=True):
        assert value <= np.linalg.norm(rows - x, axis=1).min() + 1e-9
        way = (x - rows.mean(axis=0)) / np.linalg.norm(x - rows.mean(axis=0))
        assert value >= x @ way - (rows @ way).max() - 1e-9


def test_a_mixture_says_the_farthest_of_its_laws():
    laws = [noiseless(n) for n in ("compute", "params-tokens")]
    fits = [stand_in(spec, data) for spec, data in laws]
    seen = laws[1][1]
    targets = {"params": [seen["params"].values.min()], "tokens": [1e13]}
    _, coords, _ = forecast_inputs(fits, targets, None, None)
    own = [forecast_inputs([one], targets, None, None)[1]["orders_beyond"][0] for one in fits]
    assert coords["orders_beyond"][0] == max(own) > min(own)
    # Compute itself goes to the law in compute, its factors to the other.
    inputs, coords, _ = forecast_inputs(fits, {**targets, "compute": [1e25]}, None, None)
    assert inputs[0]["C"].tolist() == [1e25]
    with pytest.raises(bl.InputError, match="found compute and params and tokens"):
        forecast_inputs(fits[:1], {**targets, "compute": [1e25]}, None, None)


@pytest.mark.parametrize(
    "name", ["compute", "params-tokens", "gold-likelihood", "power", "broken-power", "chinchilla", "slab"]
)
def test_the_default_target_lies_one_order_beyond(name, monkeypatch):
    if name == "slab":  # three inputs, two of which make compute
        from bayeslaw.law.catalogue import parse_toml

        text = CHINCHILLA.to_toml().replace('law = "E + ', 'law = "0.1 * log(u) + E + ').replace("[inputs.N]", '[inputs.u]\ncolumn = "u"\n\n[inputs.N]')  # fmt: skip
        spec, data = parse_toml(text, "slab"), noiseless("chinchilla")[1]
        data = data.assign(u=("obs", np.geomspace(1, 50, data.sizes["obs"])))
    else:
        spec, data = noiseless(name)
    one = stand_in(bl.resolve(spec, data), data)
    monkeypatch.setattr("bayeslaw.reports.default_targets.members", lambda fit: [(fit, 1.0)])
    _, coords, (check,) = forecast_inputs([one], default_targets(one), None, None)
    assert coords["orders_beyond"][0] == pytest.approx(1.0, abs=0.005)
    assert check.level == "note" and "1.0 orders" in check.message
    if set(BUDGET) <= {i.column for i in spec.inputs.values()}:
        assert (
            distance(bind(spec, data), {"N": data["params"].values, "D": data["tokens"].values}).orders.max()
            == 0
        )
