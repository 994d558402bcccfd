"""A discrepancy over inputs: its density, predictions and posterior against dense normals."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless
from dense_covariance import SLOPE, ahead, discrepancy, drifts, each, fine, integrated_wiener, middle, mixture
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from scipy.stats import t as student_t

import bayeslaw as bl
from bayeslaw.inference.fitting import settle_outliers
from bayeslaw.law.priors import link_normal
from bayeslaw.observation import discrepancy_grad
from bayeslaw.observation.base import NUMPY, Rows, observed_rows
from bayeslaw.observation.bound import bind
from bayeslaw.observation.discrepancy import observe
from bayeslaw.observation.discrepancy_grid import with_grid
from bayeslaw.observation.discrepancy_places import places
from bayeslaw.observation.discrepancy_shapes import lengths, scales
from bayeslaw.observation.discrepancy_terms import TERMS, offset_variance
from bayeslaw.observation.kernels import kernel, length_grid, scale_grid, variance
from bayeslaw.observation.outliers import outlying_shifts
from bayeslaw.observation.shifts import COLUMN, SHIFT

KERNELS = ("matern32", "matern52", "brownian")
SCALE, SIGMA = 2.0, 0.07


def _evaluate(name, *inputs):
    assert name == "covariance"
    return discrepancy_grad.evaluate(*(np.asarray(v) for v in inputs))[0]


OPS = SimpleNamespace(**vars(NUMPY), with_gradient=_evaluate)


LAWS = {"compute": ([0.7], [-0.12]), "chinchilla": ([0.5, -0.3], [-0.06, -0.08])}
"""A law of one input and one of two, and from where and how steeply its slope wanders."""


def law(
    kernel_name: str, outliers: bool = False, error: float | np.ndarray = 0.0, slope: bool = False,
    unit: str = "sigma", of: str = "compute",
):  # fmt: skip
    """Return a law with a discrepancy, 24 rows of data, and the rows."""
    spec, data = noiseless(of, noise=0.1)
    size = SIGMA if unit == "log" else 1.0
    spec = bl.change(
        spec,
        discrepancy={
            "kernel": kernel_name,
            **({"length": None} if kernel_name == "brownian" else {}),
            "scale": {"prior_90": [0.15 * size, 8 * size], "unit": unit},
            "slope": SLOPE if slope else None,
        },
        likelihood={"outliers": outliers},
    )
    data = data.isel(obs=slice(0, 24)).assign_attrs(middle(*LAWS[of]))
    spec = bl.resolve(spec, data)
    y = data[spec.output.name].values
    data = data.assign(sampling_error=("obs", np.broadcast_to(error, 24) * y))
    return spec, data, observed_rows(spec, data)


UNEQUAL = np.random.default_rng(7).permutation(np.geomspace(0.005, 0.2, 24))
WAYS = [
    *((kernel_name, {"error": 0.05}) for kernel_name in KERNELS),
    *((kernel_name, {"error": 0.05, "slope": True}) for kernel_name in KERNELS),
    ("matern32", {"slope": True}),
    ("matern32", {"slope": True, "error": 0.05, "unit": "log"}),
    ("matern32", {"slope": True, "error": UNEQUAL}),
    ("matern32", {"slope": True, "error": 0.05, "of": "chinchilla"}),
    ("matern32", {"error": UNEQUAL, "of": "chinchilla"}),
    ("matern32", {"slope": True, "error": UNEQUAL, "of": "chinchilla"}),
    ("matern32", {"slope": True, "of": "chinchilla", "unit": "log"}),
]
"""Kernels, and how the law is made."""


def each_normal(spec, rows, mean, sigma=SIGMA):
    """Log density of all rows together and the prior's weight, for each length, drift and scale."""
    return each(spec, rows, rows.y - mean, sigma, offset_variance(spec))[..., 0]


def whole(spec, rows, mean, sigma=SIGMA):
    """Log density of all rows together, length, drift and scale marginalised."""
    return mixture(spec, rows, rows.y - mean, sigma, offset_variance(spec))[0] + rows.log_slope.sum()


def joint(spec, rows, mean, sigma=SIGMA, exact_at=(), **more):
    model = observe(spec)
    terms = model.prepare(with_grid(rows, fine(spec, *exact_at)))
    return float(model.joint(mean, {"sigma": np.float64(sigma), **more}, terms, OPS))


# -- kernels ----------------------------------------------------------------------------------------


def test_kernels_are_what_their_names_say():
    a, b = np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0]])
    far = np.sqrt(3) * np.array([5.0, np.sqrt(8)]) / 2
    np.testing.assert_allclose(kernel("matern32", a, b, 2.0)[:, 0], (1 + far) * np.exp(-far))
    far = far * np.sqrt(5 / 3)
    np.testing.assert_allclose(kernel("matern52", a, b, 2.0)[:, 0], (1 + far + far**2 / 3) * np.exp(-far))
    # On one axis Lévy's is a Brownian motion to either side: the smaller distance, or nothing.
    x = np.array([[-2.0], [1.0], [3.0]])
    np.testing.assert_allclose(kernel("brownian", x, x, 1.0), [[2, 0, 0], [0, 1, 1], [0, 1, 3]], atol=1e-12)
    for name in KERNELS:
        np.testing.assert_allclose(variance(name, x), np.diag(kernel(name, x, x, 1.0)))


@pytest.mark.parametrize("make", [length_grid, scale_grid])
def test_grids_are_the_prior(make):
    grid, weights = make(1.2, 0.5)
    chance = np.exp(weights)
    assert chance.sum() == pytest.approx(1)
    # Cut off where nothing changes any more: far short of run noise, or straight over any real data.
    assert chance @ np.log(grid) == pytest.approx(1.2, abs=0.03)
    assert np.sqrt(chance @ (np.log(grid) - 1.2) ** 2) == pytest.approx(0.5, abs=0.03)


# -- the density ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("error", [0.0, 0.05])
@pytest.mark.parametrize("name", KERNELS)
def test_the_density_is_the_dense_mixture(name, error, slope):
    spec, _, rows = law(name, error=error, slope=slope)
    for scale, sigma in ((None, 0.07), (None, 0.2), (2.0, 0.07), (0.3, 0.2), (10.0, 0.03)):
        # A fixed scale and one that is marginalised; in units of run noise and plain.
        for unit, size in (("sigma", 1.0), ("log", sigma)):
            entry = {"fixed": scale * size} if scale else {"prior_90": [0.15 * size, 8 * size]}
            one = bl.change(spec, discrepancy={"scale": {**entry, "unit": unit}})
            expected = whole(one, rows, rows.y - 0.1, sigma)
            assert joint(one, rows, rows.y - 0.1, sigma) == pytest.approx(expected, abs=TOLERANCE[name])


# What eigenvalues that are cut off cost; Brownian motion has hardly any small ones.
TOLERANCE = {"matern32": 3e-2, "matern52": 3e-2, "brownian": 5e-3}


@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("unit", ["sigma", "log"])
@pytest.mark.parametrize("of", LAWS)
def test_without_the_cut_the_density_is_exact(monkeypatch, of, unit, slope):
    monkeypatch.setattr("bayeslaw.observation.discrepancy_terms._TOLD", 0.0)
    for name in KERNELS:
        spec, _, rows = law(name, error=0.05, slope=slope, unit=unit, of=of)
        for sigma in (0.04, SIGMA):
            expected = whole(spec, rows, rows.y + 0.05, sigma)
            assert joint(spec, rows, rows.y + 0.05, sigma) == pytest.approx(expected, abs=1e-7)
    spec, _, rows = law("matern32", error=UNEQUAL, slope=slope, unit=unit, of=of)
    found = joint(spec, rows, rows.y + 0.05, exact_at=[SIGMA])
    assert found == pytest.approx(whole(spec, rows, rows.y + 0.05), abs=1e-7)


@pytest.mark.parametrize("slope", [False, True])
def test_two_inputs(slope):
    spec, data = noiseless("chinchilla", noise=0.02)
    spec = bl.change(spec, discrepancy={"slope": SLOPE if slope else None}, likelihood={"outliers": False})
    spec, data = bl.resolve(spec, data), data.assign_attrs(middle(*LAWS["chinchilla"]))
    rows = observed_rows(spec, data)
    expected = whole(spec, rows, rows.y - 0.01, 0.02)
    assert joint(spec, rows, rows.y - 0.01, 0.02) == pytest.approx(expected, abs=3e-2)


@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_errors_that_differ_cost_little(name, slope):
    """Exact where the run noise is the prior's middle; elsewhere a small fraction of a nat in all 24 rows."""
    error = np.random.default_rng(2).uniform(0.0, SIGMA, 24)
    spec, _, rows = law(name, error=error, slope=slope)
    usual = float(np.exp(link_normal(spec.noise["sigma"])[0]))
    mean = rows.y - 0.1 * np.sin(np.arange(24))
    assert joint(spec, rows, mean, usual) == pytest.approx(whole(spec, rows, mean, usual), abs=3e-2)
    # Below the sampling errors it becomes worse: 0.7 nats at a sigma of 0.05 beside errors up to 0.07.
    off = [joint(spec, rows, mean, s) - whole(spec, rows, mean, s) for s in (0.07, 0.1, 0.15)]
    assert np.abs(off).max() < 0.15


@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("unit", ["sigma", "log"])
@pytest.mark.parametrize("name", KERNELS)
def test_slopes_against_differences(name, unit, slope):
    spec, _, rows = law(name, error=np.linspace(0, 0.1, 24), slope=slope)
    spec = bl.change(spec, discrepancy={"scale": {"prior_90": [0.15, 8], "unit": unit}})
    terms = observe(spec).prepare(with_grid(rows, fine(spec)))
    data = [np.asarray(terms[n]) for n in TERMS]

    def value(residual, sigma):
        return float(discrepancy_grad.evaluate(residual, np.asarray(sigma), *data)[0])

    residual, sigma, h = 0.1 * np.cos(np.arange(24.0)), 0.07, 1e-6
    _, by_residual, by_sigma = discrepancy_grad.evaluate(residual, np.asarray(sigma), *data)
    for i in range(24):
        step = h * (np.arange(24) == i)
        slope = (value(residual + step, sigma) - value(residual - step, sigma)) / (2 * h)
        assert by_residual[i] == pytest.approx(slope, rel=1e-5, abs=1e-5)
    slope = (value(residual, sigma + h) - value(residual, sigma - h)) / (2 * h)
    assert float(by_sigma) == pytest.approx(slope, rel=1e-5)


def test_a_shift_moves_its_row_and_pays_for_it():
    spec, data, rows = law("matern32", outliers=True, slope=True)
    shift = np.zeros(24)
    shift[[3, 17]] = 1.5, -0.8
    rows = observed_rows(spec, data.assign({COLUMN: ("obs", shift)}))
    score = np.zeros(2)
    score[:2] = 0.4, -1.1
    width = float(np.exp(link_normal(spec.noise["sigma"])[0]))
    size = SIGMA * 0.1
    found = joint(spec, rows, rows.y - 0.1, shift_scale=0.1, **{SHIFT: score})
    moved = np.array([1.5, -0.8]) + width * score[:2]
    y = rows.y.copy()
    y[[3, 17]] -= moved
    plain = bl.change(spec, likelihood={"outliers": False})
    expected = joint(plain, Rows(y, rows.error, rows.log_slope, rows.columns, rows.attrs), rows.y - 0.1)
    expected += student_t(2, scale=size).logpdf(moved).sum() + 2 * np.log(width)
    # The scores' own standard normal density is the model's: taken out here.
    expected += (0.5 * score[:2] ** 2 + 0.5 * np.log(2 * np.pi)).sum()
    assert found == pytest.approx(expected, rel=1e-10)


# -- given the data ---------------------------------------------------------------------------------

DRAWS = 20_000


def noise(rows, sigma=SIGMA):
    return np.diag(sigma**2 + rows.error**2)


def given(spec, draws):
    """Return a length, a scale and a drift of the grid, the scale on the scale of errors, and draws that are all these."""
    length, drift = lengths(spec)[0][len(lengths(spec)[0]) // 2], drifts(spec)[len(drifts(spec)) // 2]
    scale = SCALE * SIGMA
    values = {
        "sigma": SIGMA, "discrepancy_scale": SCALE if spec.discrepancy.relative else scale,
        "discrepancy_length": length, "discrepancy_slope": drift * scale,
    }  # fmt: skip
    return (length, scale, drift), {n: np.full((draws, 1), v) for n, v in values.items()}


def beyond(spec, count=4):
    """Return new rows inside and beyond the data."""
    reach = {n: np.exp(np.linspace(-3, 9 - 2 * i, count)) for i, n in enumerate(spec.discrepancy.over)}
    columns = {n: spec.inputs[n].reference * v for n, v in reach.items()}
    return Rows(np.linspace(0.5, 1.5, count), np.full(count, 0.02), np.full(count, 0.3), columns)


def conditional(spec, rows, new, mean, shape):
    """Return mean and covariance of the discrepancy at new rows given seen ones."""
    total = discrepancy(spec, rows, *shape) + noise(rows)
    cross = discrepancy(spec, rows, *shape, other=new)
    gain = np.linalg.solve(total, cross).T
    own = discrepancy(spec, Rows(new.y, new.error, new.log_slope, new.columns, rows.attrs), *shape)
    return gain @ (rows.y - mean), own - gain @ cross


def conditioned(spec, rows, mean, values):
    """Return what an observation model says, given rows; known errors that differ cost nothing at this run noise."""
    return observe(spec).condition(with_grid(rows, fine(spec, SIGMA)), mean, values)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("name", "made"), WAYS)
def test_predictions_are_the_dense_conditional(name, made, together):
    spec, _, rows = law(name, **made)
    new, mean = beyond(spec), rows.y - 0.2
    shape, values = given(spec, DRAWS)
    new_mean = np.linspace(0, 1, 4)
    seen = np.broadcast_to(mean, (DRAWS, 24))
    ahead = np.broadcast_to(new_mean, (DRAWS, 4))
    given_rows = conditioned(spec, rows, seen, values)
    drawn = given_rows.predict(ahead, new, np.random.default_rng(0), together)
    centre, cov = conditional(spec, rows, new, mean, shape)
    for kind, wanted in (("curve", cov), ("run", cov + noise(new))):
        sd = np.sqrt(np.diag(wanted))
        wanted = wanted if together else np.diag(np.diag(wanted))
        assert np.abs((drawn[kind].mean(axis=0) - new_mean - centre) / sd).max() < 5 / np.sqrt(DRAWS)
        assert np.abs((np.cov(drawn[kind].T) - wanted) / np.outer(sd, sd)).max() < 8 / np.sqrt(DRAWS)
    own = Rows(new.y, new.error, new.log_slope, new.columns, rows.attrs)
    alone = observe(spec).unconditioned(values).predict(ahead, own, np.random.default_rng(0), True)
    prior = discrepancy(spec, own, *shape)
    sd = np.sqrt(np.diag(prior))
    assert np.abs((np.cov(alone["curve"].T) - prior) / np.outer(sd, sd)).max() < 8 / np.sqrt(DRAWS)


@pytest.mark.parametrize(("name", "made"), WAYS)
def test_what_is_said_of_seen_rows_is_the_dense_conditional(name, made):
    spec, _, rows = law(name, **made)
    mean = rows.y - 0.1 * np.cos(np.arange(24))
    shape, values = given(spec, 2)
    two = np.broadcast_to(mean, (2, 24))
    K = discrepancy(spec, rows, *shape)
    smooth = mean + K @ np.linalg.solve(K + noise(rows), rows.y - mean)
    np.testing.assert_allclose(conditioned(spec, rows, two, values).fitted()[1], smooth, rtol=1e-8)
    found = conditioned(spec, rows, two, values).leave_one_out()
    for i in (0, 7, 23):
        keep = np.arange(24) != i
        total = K + noise(rows)
        gain = np.linalg.solve(total[np.ix_(keep, keep)], total[keep, i])
        spread = total[i, i] - gain @ total[keep, i]
        own = (rows.y - mean)[i] - gain @ (rows.y - mean)[keep]
        expected = -0.5 * (np.log(2 * np.pi * spread) + own**2 / spread) + rows.log_slope[i]
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-8)


@pytest.mark.parametrize(("name", "made"), WAYS)
def test_the_density_of_new_rows_is_all_less_seen(name, made):
    spec, _, rows = law(name, **made)
    new, mean, new_mean = beyond(spec), rows.y - 0.2, np.linspace(0, 1, 4)
    shape, values = given(spec, 2)
    both = Rows(
        np.concatenate([rows.y, new.y]), np.concatenate([rows.error, new.error]),
        np.concatenate([rows.log_slope, new.log_slope]),
        {n: np.concatenate([rows.columns[n], new.columns[n]]) for n in spec.discrepancy.over}, rows.attrs,
    )  # fmt: skip

    def log_p(part, centre):
        total = discrepancy(spec, part, *shape) + noise(part)
        return multivariate_normal(centre, total).logpdf(part.y) + part.log_slope.sum()

    expected = log_p(both, np.concatenate([mean, new_mean])) - log_p(rows, mean)
    seen, ahead = np.broadcast_to(mean, (2, 24)), np.broadcast_to(new_mean, (2, 4))
    given_rows = conditioned(spec, rows, seen, values)
    together, apart = given_rows.density(ahead, new, np.random.default_rng(0))
    np.testing.assert_allclose(together, expected, rtol=1e-7)
    centre, cov = conditional(spec, rows, new, mean, shape)
    sd = np.sqrt(np.diag(cov + noise(new)))
    alone = -0.5 * ((new.y - new_mean - centre) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(apart, np.broadcast_to(alone + new.log_slope, (2, 4)), rtol=1e-7)


@pytest.mark.parametrize("slope", [False, True])
def test_shape_and_scale_are_drawn_from_their_conditional_distribution(monkeypatch, slope):
    monkeypatch.setattr("bayeslaw.observation.discrepancy_terms._TOLD", 0.0)
    spec, _, rows = law("matern32", slope=slope)
    mean, draws = rows.y - 0.3 * np.sin(np.arange(24) / 6), 20_000
    _, values = given(spec, draws)
    drawn = conditioned(spec, rows, np.broadcast_to(mean, (draws, 24)), values)
    drawn = drawn.complete(np.random.default_rng(0))
    logs = each_normal(spec, rows, mean)
    chance = np.exp(logs - logsumexp(logs))
    found = np.array([(drawn["discrepancy_length"] == j).mean() for j in lengths(spec)[0]])
    assert np.abs(found - chance.sum(axis=(1, 2))).max() < 4 * 0.5 / np.sqrt(draws)
    assert ("discrepancy_slope" in drawn) == slope
    if slope:  # a share of the law's own slope, of which run noise and scale make the drift
        drift = drawn["discrepancy_slope"] / (drawn["discrepancy_scale"] * SIGMA)
        found = np.array([np.isclose(drift, d, rtol=1e-9).mean() for d in drifts(spec)])
        assert found.sum() == pytest.approx(1)
        assert np.abs(found - chance.sum(axis=(0, 2))).max() < 4 * 0.5 / np.sqrt(draws)
    # Scales lie between the grid's: their mean and spread are the grid's, which is an integral as good.
    logs, grid, chance = np.log(drawn["discrepancy_scale"]), np.log(scales(spec)[0]), chance.sum(axis=(0, 1))
    mean, sd = chance @ grid, np.sqrt(chance @ (grid - chance @ grid) ** 2)
    assert logs.mean() == pytest.approx(mean, abs=0.05 * sd)
    assert logs.std() == pytest.approx(sd, rel=0.05)


# -- rows that are out ------------------------------------------------------------------------------


def drifting(outliers: int, seed: int = 0):
    """Return 60 rows of the compute law that drift smoothly away from it, some of them far out."""
    rng = np.random.default_rng(seed)
    C, sigma = np.geomspace(1e18, 1e22, 60), 0.05
    wander = 0.2 * np.sin(np.log(C / 1e20) / 2)
    at = rng.choice(np.arange(2, 58), outliers, replace=False)  # one at the very edge may be a bend
    scatter = sigma * rng.standard_normal(60)
    scatter[at] += 20 * sigma * rng.choice([-1, 1], outliers)
    y = (1.2 + 900 * C**-0.125) * np.exp(wander + scatter)
    spec = bl.load_model("compute")
    return spec, bl.read_table(pd.DataFrame({"compute": C, "neg_log_pass_at_k": y}), spec), np.sort(at)


@pytest.mark.parametrize("seed", range(5))
def test_outliers_are_found_and_drift_is_none(seed):
    for count in (0, 5):
        spec, data, at = drifting(count, seed)
        settled = settle_outliers(bind(spec, data))
        marked = settled.data
        assert settled.spec.outliers is (count > 0)
        found = np.flatnonzero(marked[COLUMN]) if COLUMN in marked else np.zeros(0)
        assert found.tolist() == at.tolist()
    assert np.abs(marked[COLUMN].values[at]) == pytest.approx(1.0, abs=0.35)  # 20 sigma on the log scale


def test_few_rows_are_not_out():
    spec, data, _ = drifting(0)
    spec = bl.resolve(spec, data)
    for rows, residual in (([0], [5.0]), ([0, 20, 40, 59], [0.0, 0.0, 0.0, 0.1])):
        few = bind(spec, data.isel(obs=rows))
        assert not np.any(outlying_shifts(few, np.array(residual)))


def test_outliers_widen_nothing():
    """A fit of rows with five outliers is as sure as one without, and names them."""
    ends, found = [], {}
    for count in (0, 5):
        spec, data, at = drifting(count)
        fit = bl.fit(spec, data, draws=250, tune=400, seed=2, progress=False)
        found[count] = {c.name: c for c in bl.checks(fit)}
        ahead = np.log(bl.forecast(fit, {"C": [1e23]}).sel(kind="run"))
        ends.append(float((ahead["upper"] - ahead["lower"])[0]))
    assert 1 / 1.5 < ends[1] / ends[0] < 1.5
    assert "outliers" not in found[0]
    assert (found[5]["outliers"].level, found[5]["outliers"].value) == ("warn", 5.0)
    assert all(f"row {i + 1} (" in found[5]["outliers"].message for i in at)


# -- the posterior ----------------------------------------------------------------------------------


def dense_posterior(spec, data):
    """Sample the same model stated plainly: a multivariate normal, and a length that is sampled too."""
    import nutpie
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    rows = observed_rows(spec, data)
    place = places(spec, rows)[:, 0]
    apart = np.sqrt(3.0) * np.abs(place[:, None] - place)
    with pm.Model() as model:
        prior = {**spec.parameters, **spec.noise}
        names = ("level", "alpha", "sigma", "discrepancy_scale", "discrepancy_length")
        v = {n: pm.LogNormal(n, *link_normal(prior[n])) for n in names}
        floor = pm.Uniform("floor", 0, 1)
        mean = pt.log(v["level"] * (floor + (1 - floor) * pt.exp(-v["alpha"] * place)))
        r = apart / v["discrepancy_length"]
        K = (v["discrepancy_scale"] * v["sigma"]) ** 2 * (1 + r) * pt.exp(-r)
        if "discrepancy_slope" in prior:
            far, steep = ahead(spec, rows)
            v["discrepancy_slope"] = pm.LogNormal(
                "discrepancy_slope", *link_normal(prior["discrepancy_slope"])
            )
            K += (v["discrepancy_slope"] * steep) ** 2 * integrated_wiener(far, far)
        pm.MvNormal("y", mean, cov=K + pt.diag(v["sigma"] ** 2 + rows.error**2), observed=rows.y)
    with warnings.catch_warnings(), pytensor.config.change_flags(numba__cache=False):
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(model)
        return nutpie.sample(
            compiled, draws=2000, tune=1000, chains=4, cores=2, seed=3, target_accept=0.95, progress_bar=False
        ).posterior


@pytest.mark.parametrize("slope", [False, True])
def test_the_posterior_is_that_of_the_dense_model(slope):
    import arviz_stats as azs

    spec, data = noiseless("compute", noise=0.05, seed=4)
    local = {"scale": {"unit": "sigma", "prior_90": [0.15, 8]}, "slope": None}
    spec = bl.change(spec, likelihood={"outliers": False}, **({} if slope else {"discrepancy": local}))
    data = data.isel(obs=slice(0, None, 2))
    wander = 0.1 * np.sin(np.arange(20) / 3)
    data = data.assign(neg_log_pass_at_k=data["neg_log_pass_at_k"] * np.exp(wander))
    fit = bl.fit(spec, data, draws=2000, seed=5, progress=False)
    ours, theirs = fit.draws, dense_posterior(fit.spec, fit.data)
    sizes = ("discrepancy_scale", *(["discrepancy_slope"] if slope else []))
    for name in ("level", "alpha", "sigma", *sizes):
        pair = [np.log(x[name]) for x in (ours, theirs)]
        means, sds = [float(x.mean()) for x in pair], [float(x.std()) for x in pair]
        error = sum(float(azs.mcse(x.to_dataset(name=name))[name]) ** 2 for x in pair) ** 0.5
        assert abs(means[0] - means[1]) < 5 * error + 0.03 * sds[1], (name, means, sds, error)
        assert sds[0] == pytest.approx(sds[1], rel=0.15), name
