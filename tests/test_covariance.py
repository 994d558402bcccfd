"""A discrepancy over inputs: its density, predictions and posterior against dense normals."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless
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


def law(kernel_name: str, outliers: bool = False, error: float | np.ndarray = 0.0):
    """Return the compute law with a discrepancy, 24 rows of data, and the rows."""
    spec, data = noiseless("compute", noise=0.1)
    spec = bl.change(
        spec,
        discrepancy={"kernel": kernel_name, **({"length": None} if kernel_name == "brownian" else {})},
        likelihood={"outliers": outliers},
    )
    data = data.isel(obs=slice(0, 24))
    spec = bl.resolve(spec, data)
    y = data["neg_log_pass_at_k"].values
    data = data.assign(sampling_error=("obs", np.broadcast_to(error, 24) * y))
    return spec, data, observed_rows(spec, data)


def dense(spec, rows, length, other=None, scale=SCALE * SIGMA):
    """Covariance of the discrepancy between rows and others, by the kernel itself."""
    a = places(spec, rows)
    b = a if other is None else places(spec, other)
    return scale**2 * kernel(spec.discrepancy.kernel, a, b, length)


def noise(rows, sigma=SIGMA):
    return np.diag(sigma**2 + rows.error**2)


def each_normal(spec, rows, mean, sigma=SIGMA):
    """Log density of all rows together and the prior's weight, for each length and scale."""
    (grid, by_length), (sizes, by_scale) = lengths(spec), scales(spec)
    unit = sigma if spec.discrepancy.relative else 1.0
    each = [
        [
            multivariate_normal(
                mean, dense(spec, rows, j, scale=s * unit) + noise(rows, sigma) + offset_variance(spec)
            ).logpdf(rows.y)
            for s in sizes
        ]
        for j in grid
    ]
    return np.array(each) + by_length[:, None] + by_scale


def mixture(spec, rows, mean, sigma=SIGMA):
    """Log density of all rows together: a normal for each length and scale, summed over both."""
    return logsumexp(each_normal(spec, rows, mean, sigma)) + rows.log_slope.sum()


def joint(spec, rows, mean, sigma=SIGMA, **more):
    model = observe(spec)
    return float(model.joint(mean, {"sigma": np.float64(sigma), **more}, model.prepare(rows), OPS))


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


@pytest.mark.parametrize("error", [0.0, 0.05])
@pytest.mark.parametrize("name", KERNELS)
def test_the_density_is_the_dense_mixture(name, error):
    spec, _, rows = law(name, error=error)
    for scale, sigma in ((None, 0.07), (None, 0.2), (2.0, 0.07), (0.3, 0.2), (10.0, 0.03)):
        # A fixed scale and one that is summed out; in units of run noise and plain.
        for unit, size in (("sigma", 1.0), ("log", sigma)):
            entry = {"fixed": scale * size} if scale else {"prior_90": [0.15 * size, 8 * size]}
            one = bl.change(spec, discrepancy={"scale": {**entry, "unit": unit}})
            expected = mixture(one, rows, rows.y - 0.1, sigma)
            assert joint(one, rows, rows.y - 0.1, sigma) == pytest.approx(expected, abs=TOLERANCE[name])


# What eigenvalues that are cut off cost; Brownian motion has hardly any small ones.
TOLERANCE = {"matern32": 3e-2, "matern52": 3e-2, "brownian": 5e-3}


def test_without_the_cut_the_density_is_exact(monkeypatch):
    monkeypatch.setattr("bayeslaw.observation.discrepancy_terms._TOLD", 0.0)
    for name in KERNELS:
        spec, _, rows = law(name, error=0.05)
        expected = mixture(spec, rows, rows.y + 0.05)
        assert joint(spec, rows, rows.y + 0.05) == pytest.approx(expected, abs=1e-7)


def test_two_inputs():
    spec, data = noiseless("chinchilla", noise=0.02)
    spec = bl.resolve(bl.change(spec, likelihood={"outliers": False}), data)
    rows = observed_rows(spec, data)
    expected = mixture(spec, rows, rows.y - 0.01, 0.02)
    assert joint(spec, rows, rows.y - 0.01, 0.02) == pytest.approx(expected, abs=3e-2)


@pytest.mark.parametrize("name", KERNELS)
def test_errors_that_differ_cost_little(name):
    """Exact where the run noise is the prior's middle; elsewhere a small fraction of a nat in all 24 rows."""
    error = np.random.default_rng(2).uniform(0.0, SIGMA, 24)
    spec, _, rows = law(name, error=error)
    middle = float(np.exp(link_normal(spec.noise["sigma"])[0]))
    mean = rows.y - 0.1 * np.sin(np.arange(24))
    assert joint(spec, rows, mean, middle) == pytest.approx(mixture(spec, rows, mean, middle), abs=3e-2)
    # Below the sampling errors it becomes worse: 0.7 nats at a sigma of 0.05 beside errors up to 0.07.
    off = [joint(spec, rows, mean, s) - mixture(spec, rows, mean, s) for s in (0.07, 0.1, 0.15)]
    assert np.abs(off).max() < 0.15


@pytest.mark.parametrize("unit", ["sigma", "log"])
@pytest.mark.parametrize("name", KERNELS)
def test_slopes_against_differences(name, unit):
    spec, _, rows = law(name, error=np.linspace(0, 0.1, 24))
    spec = bl.change(spec, discrepancy={"scale": {"prior_90": [0.15, 8], "unit": unit}})
    terms = observe(spec).prepare(rows)
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
    spec, data, rows = law("matern32", outliers=True)
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
    expected = joint(plain, Rows(y, rows.error, rows.log_slope, rows.columns), rows.y - 0.1)
    expected += student_t(2, scale=size).logpdf(moved).sum() + 2 * np.log(width)
    # The scores' own standard normal density is the model's: taken out here.
    expected += (0.5 * score[:2] ** 2 + 0.5 * np.log(2 * np.pi)).sum()
    assert found == pytest.approx(expected, rel=1e-10)


# -- given the data ---------------------------------------------------------------------------------

DRAWS = 20_000


def given(spec, draws):
    """Return parameters that are the same in all draws, with a length of the grid."""
    grid, _ = lengths(spec)
    length = grid[len(grid) // 2]
    values = {"sigma": SIGMA, "discrepancy_scale": SCALE, "discrepancy_length": length}
    return length, {n: np.full((draws, 1), v) for n, v in values.items()}


def beyond(spec, count=4):
    """Return new rows inside and beyond the data."""
    C = spec.inputs["C"].reference * np.exp(np.linspace(-3, 9, count))
    return Rows(np.linspace(0.5, 1.5, count), np.full(count, 0.02), np.full(count, 0.3), {"C": C})


def conditional(spec, rows, new, mean, length):
    """Return mean and covariance of the discrepancy at new rows given seen ones."""
    total = dense(spec, rows, length) + noise(rows)
    gain = np.linalg.solve(total, dense(spec, rows, length, new)).T
    return gain @ (rows.y - mean), dense(spec, new, length) - gain @ dense(spec, rows, length, new)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", KERNELS)
def test_predictions_are_the_dense_conditional(name, together):
    spec, _, rows = law(name, error=0.05)
    new, mean = beyond(spec), rows.y - 0.2
    length, values = given(spec, DRAWS)
    new_mean = np.linspace(0, 1, 4)
    seen = np.broadcast_to(mean, (DRAWS, 24))
    ahead = np.broadcast_to(new_mean, (DRAWS, 4))
    given_rows = observe(spec).condition(rows, seen, values)
    drawn = given_rows.predict(ahead, new, np.random.default_rng(0), together)
    centre, cov = conditional(spec, rows, new, mean, length)
    for kind, wanted in (("curve", cov), ("run", cov + noise(new))):
        sd = np.sqrt(np.diag(wanted))
        wanted = wanted if together else np.diag(np.diag(wanted))
        assert np.abs((drawn[kind].mean(axis=0) - new_mean - centre) / sd).max() < 5 / np.sqrt(DRAWS)
        assert np.abs((np.cov(drawn[kind].T) - wanted) / np.outer(sd, sd)).max() < 8 / np.sqrt(DRAWS)
    alone = observe(spec).unconditioned(values).predict(ahead, new, np.random.default_rng(0), True)
    prior = dense(spec, new, length)
    sd = np.sqrt(np.diag(prior))
    assert np.abs((np.cov(alone["curve"].T) - prior) / np.outer(sd, sd)).max() < 8 / np.sqrt(DRAWS)


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_said_of_seen_rows_is_the_dense_conditional(name):
    spec, _, rows = law(name, error=0.05)
    mean = rows.y - 0.1 * np.cos(np.arange(24))
    length, values = given(spec, 2)
    two = np.broadcast_to(mean, (2, 24))
    K = dense(spec, rows, length)
    smooth = mean + K @ np.linalg.solve(K + noise(rows), rows.y - mean)
    np.testing.assert_allclose(observe(spec).condition(rows, two, values).fitted()[1], smooth, rtol=1e-8)
    found = observe(spec).condition(rows, two, values).leave_one_out()
    for i in (0, 7, 23):
        keep = np.arange(24) != i
        total = K + noise(rows)
        gain = np.linalg.solve(total[np.ix_(keep, keep)], total[keep, i])
        spread = total[i, i] - gain @ total[keep, i]
        own = (rows.y - mean)[i] - gain @ (rows.y - mean)[keep]
        expected = -0.5 * (np.log(2 * np.pi * spread) + own**2 / spread) + rows.log_slope[i]
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-8)


@pytest.mark.parametrize("name", KERNELS)
def test_the_density_of_new_rows_is_all_less_seen(name):
    spec, _, rows = law(name, error=0.05)
    new, mean, new_mean = beyond(spec), rows.y - 0.2, np.linspace(0, 1, 4)
    length, values = given(spec, 2)
    both = Rows(
        np.concatenate([rows.y, new.y]), np.concatenate([rows.error, new.error]),
        np.concatenate([rows.log_slope, new.log_slope]),
        {"C": np.concatenate([rows.columns["C"], new.columns["C"]])},
    )  # fmt: skip

    def log_p(part, centre):
        total = dense(spec, part, length) + noise(part)
        return multivariate_normal(centre, total).logpdf(part.y) + part.log_slope.sum()

    expected = log_p(both, np.concatenate([mean, new_mean])) - log_p(rows, mean)
    seen, ahead = np.broadcast_to(mean, (2, 24)), np.broadcast_to(new_mean, (2, 4))
    given_rows = observe(spec).condition(rows, seen, values)
    together, each = given_rows.density(ahead, new, np.random.default_rng(0))
    np.testing.assert_allclose(together, expected, rtol=1e-7)
    centre, cov = conditional(spec, rows, new, mean, length)
    sd = np.sqrt(np.diag(cov + noise(new)))
    alone = -0.5 * ((new.y - new_mean - centre) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(each, np.broadcast_to(alone + new.log_slope, (2, 4)), rtol=1e-7)


def test_length_and_scale_are_drawn_from_their_conditional_distribution(monkeypatch):
    monkeypatch.setattr("bayeslaw.observation.discrepancy_terms._TOLD", 0.0)
    spec, _, rows = law("matern32")
    mean, draws = rows.y - 0.3 * np.sin(np.arange(24) / 6), 20_000
    _, values = given(spec, draws)
    drawn = observe(spec).condition(rows, np.broadcast_to(mean, (draws, 24)), values)
    drawn = drawn.complete(np.random.default_rng(0))
    each = each_normal(spec, rows, mean)
    chance = np.exp(each - logsumexp(each))
    found = np.array([(drawn["discrepancy_length"] == j).mean() for j in lengths(spec)[0]])
    assert np.abs(found - chance.sum(axis=1)).max() < 4 * 0.5 / np.sqrt(draws)
    # Scales lie between the grid's: their mean and spread are the grid's, which is an integral as good.
    logs, grid, chance = np.log(drawn["discrepancy_scale"]), np.log(scales(spec)[0]), chance.sum(axis=0)
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
        pm.MvNormal("y", mean, cov=K + pt.diag(v["sigma"] ** 2 + rows.error**2), observed=rows.y)
    with warnings.catch_warnings(), pytensor.config.change_flags(numba__cache=False):
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(model)
        return nutpie.sample(
            compiled, draws=2000, tune=1000, chains=4, cores=2, seed=3, target_accept=0.95, progress_bar=False
        ).posterior


def test_the_posterior_is_that_of_the_dense_model():
    import arviz_stats as azs

    spec, data = noiseless("compute", noise=0.05, seed=4)
    data = data.isel(obs=slice(0, None, 2))
    wander = 0.1 * np.sin(np.arange(20) / 3)
    data = data.assign(neg_log_pass_at_k=data["neg_log_pass_at_k"] * np.exp(wander))
    fit = bl.fit(bl.change(spec, likelihood={"outliers": False}), data, draws=2000, seed=5, progress=False)
    ours, theirs = fit.draws, dense_posterior(fit.spec, data)
    for name in ("level", "alpha", "sigma", "discrepancy_scale"):
        pair = [np.log(x[name]) for x in (ours, theirs)]
        means, sds = [float(x.mean()) for x in pair], [float(x.std()) for x in pair]
        error = sum(float(azs.mcse(x.to_dataset(name=name))[name]) ** 2 for x in pair) ** 0.5
        assert abs(means[0] - means[1]) < 5 * error + 0.03 * sds[1], name
        assert sds[0] == pytest.approx(sds[1], rel=0.15), name
