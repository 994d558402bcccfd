"""Branching curves: against dense normals, and against eighty-digit arithmetic where digits get lost."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayeslaw.observation import run_tree as forest_module
from bayeslaw.observation.run_tree import Forest, draw_states, leave_one_out, log_density

DRAWS = 3
DATA = ("residual", "scale", "length", "sigma", "error", "parent", "gap")


def random_forest(rng, rows=14):
    """Two roots, rows that branch two and three ways, and one that follows at no distance."""
    parent = np.array([-1, 0, 1, 1, -1, *(rng.integers(0, i) for i in range(5, rows - 2)), 1, 2])
    gap = np.where(parent < 0, 0.0, rng.exponential(0.3, rows))
    gap[2] = 0.0
    return Forest(parent, gap)


def correlation(parent, gap, length, exp=np.exp):
    """Correlations of x by the paths from row to row; floats or decimals."""
    zero, n = 0 * length, len(parent)
    result = [[zero] * n for _ in range(n)]
    for i, j in enumerate(parent):
        for k in range(i if j >= 0 else 0):
            result[i][k] = result[k][i] = result[j][k] * exp(-gap[i] / length)
        result[i][i] = exp(zero)
    return result


def dense(forest, scale, length):
    """Covariance of x for one draw of the parameters."""
    return float(scale) ** 2 * np.array(correlation(forest.parent, forest.gap, float(length)))


@pytest.fixture
def case(rng):
    forest = random_forest(rng)
    n = len(forest.parent)
    return {
        "residual": rng.normal(0, 0.6, (DRAWS, n)),
        "scale": rng.uniform(0.3, 1, (DRAWS, 1)),
        "length": rng.uniform(0.2, 2, (DRAWS, 1)),
        "variance": rng.uniform(0.1, 0.4, (DRAWS, 1)) ** 2 + rng.uniform(0, 0.5, n) ** 2,
        "forest": forest,
    }


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def covariances(case):
    """For each draw: covariance of x, and of the residuals."""
    for d in range(DRAWS):
        states = dense(case["forest"], case["scale"][d, 0], case["length"][d, 0])
        yield d, states, states + np.diag(case["variance"][d])


@pytest.mark.parametrize("kept", [1.0, 0.6, 0.0])
def test_log_density_is_the_dense_one(case, rng, kept):
    observed = rng.random(len(case["forest"].parent)) < kept
    found = log_density(**case, observed=observed)
    assert found.shape == (DRAWS,)
    for d, _, total in covariances(case):
        expected = 0.0
        if observed.any():
            part = total[np.ix_(observed, observed)]
            expected = multivariate_normal(np.zeros(len(part)), part).logpdf(case["residual"][d, observed])
        assert found[d] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    if kept == 1:
        np.testing.assert_array_equal(found, log_density(**case))


def test_where_nothing_is_observed_values_do_not_matter(case):
    observed = np.arange(len(case["forest"].parent)) % 3 > 0
    blank = np.where(observed, case["residual"], np.nan)
    expected = log_density(**case, observed=observed)
    np.testing.assert_array_equal(log_density(**case | {"residual": blank}, observed=observed), expected)


def test_draws_have_the_conditional_mean_and_covariance(case, rng):
    n, draws = len(case["forest"].parent), 40_000
    observed = rng.random(n) < 0.6
    one = {k: np.repeat(v[:1], draws, axis=0) for k, v in case.items() if k != "forest"}
    x = draw_states(**one, forest=case["forest"], observed=observed, rng=rng)
    assert x.shape == (draws, n)
    _, states, total = next(covariances(case))
    gain = np.linalg.solve(total[np.ix_(observed, observed)], states[observed]).T
    mean = gain @ case["residual"][0, observed]
    cov = states - gain @ states[observed]
    sd = np.sqrt(np.diag(cov))
    assert np.abs((x.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(draws)
    assert np.abs((np.cov(x.T) - cov) / np.outer(sd, sd)).max() < 6 / np.sqrt(draws)


def test_leave_one_out_is_the_dense_conditional(case):
    mean, variance = leave_one_out(**case)
    for d, _, total in covariances(case):
        precision = np.linalg.inv(total)
        expected = 1 / np.diag(precision)
        np.testing.assert_allclose(variance[d], expected, rtol=1e-11)
        pull = expected * (precision @ case["residual"][d])
        np.testing.assert_allclose(mean[d], case["residual"][d] - pull, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
def test_small_forests(rows, rng):
    forest = Forest(np.full(rows, -1), np.zeros(rows))
    one = {"scale": np.ones((1, 1)), "length": np.ones((1, 1)), "variance": np.ones((1, rows))}
    mean, variance = leave_one_out(np.ones((1, rows)), **one, forest=forest)
    assert (mean == 0).all() and (variance == 2).all()
    density = log_density(np.ones((1, rows)), **one, forest=forest)
    assert density == pytest.approx(rows * (-0.25 - np.log(4 * np.pi) / 2))


@pytest.mark.parametrize(
    ("parent", "gap"), [([-1, 1], [0, 1]), ([1, -1], [1, 0]), ([-1, 0], [0, -1]), ([-1, 0], [0])]
)
def test_what_is_no_forest_is_refused(parent, gap):
    with pytest.raises(ValueError, match="forest"):
        Forest(np.array(parent), np.array(gap))


def test_work_is_linear(rng, monkeypatch):
    """Each row is observed and carried at most once; only further children are merged."""
    counts = {}
    for name in ("observe", "carry", "merge"):
        plain = getattr(forest_module, name)

        def counted(*args, plain=plain, name=name):
            counts[name] = counts.get(name, 0) + 1
            return plain(*args)

        monkeypatch.setattr(forest_module, name, counted)
    n = 200
    chain = Forest(np.arange(n) - 1, np.full(n, 0.1))
    one = np.ones((1, 1))
    log_density(rng.normal(size=(1, n)), one, one, one, chain)
    assert counts == {"observe": n, "carry": n - 1}


# -- eighty digits -------------------------------------------------------------------------------

EXTREMES = {
    "as in practice": {},
    "scale tiny": {"scale": 1e-6},
    "scale huge": {"scale": 1e6},
    "sigma tiny": {"sigma": 1e-6},
    "sigma huge": {"sigma": 1e6},
    "length huge": {"length": 1e3},
    "length tiny": {"length": 1e-3},
    "gap tiny": {"gap": 1e-8},
    "nearly one state": {"gap": 1e-8, "length": 1e3, "sigma": 1e-3},
    "all at once": {"gap": 1e-8, "length": 1e3, "sigma": 1e-6, "scale": 1e-6},
}


def extreme(rng, scale=0.03, length=0.7, sigma=0.01, gap=0.2):
    """Residuals that the parameters could have given, on a small forest."""
    parent = np.array([-1, 0, 1, 1, 1, 3, -1, 6])
    forest = Forest(parent, np.where(parent < 0, 0.0, gap * rng.uniform(0.5, 1.5, len(parent))))
    error = rng.uniform(0, sigma, len(parent))
    total = dense(forest, scale, length) + np.diag(sigma**2 + error**2)
    residual = np.linalg.cholesky(total) @ rng.normal(size=len(parent))
    values = (residual, scale, length, sigma, error, parent, forest.gap)
    return dict(zip(DATA, values, strict=True))


def exactly(residual, scale, length, sigma, error, parent, gap):
    """Compute the dense log density by Cholesky factors in decimal arithmetic, constant left out."""
    cov = correlation(parent, [Decimal(float(g)) for g in gap], length, Decimal.exp)
    n, result, white = len(residual), Decimal(0), []
    factor = [[Decimal(0)] * n for _ in range(n)]
    for i in range(n):
        cov[i] = [scale**2 * c for c in cov[i]]
        cov[i][i] += sigma**2 + error[i] ** 2
        for j in range(i + 1):
            rest = cov[i][j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = rest.sqrt() if i == j else rest / factor[j][j]
        white.append((residual[i] - sum(factor[i][k] * white[k] for k in range(i))) / factor[i][i])
        result -= factor[i][i].ln() + white[i] ** 2 / 2
    return result


def exact_slopes(values):
    """Log density and its slopes by residual, scale, length and sigma, exact to double precision."""
    with localcontext() as context:
        context.prec = 80
        exact = {k: [Decimal(float(x)) for x in np.atleast_1d(v)] for k, v in values.items()}
        exact |= {k: exact[k][0] for k in ("scale", "length", "sigma")}
        exact |= {k: values[k] for k in ("parent", "gap")}
        constant = -len(values["residual"]) * np.log(2 * np.pi) / 2

        def slope(name, row=None):
            old, ends = exact[name], []
            step = Decimal("1e-25") * abs(old if row is None else old[row])
            for shift in (step, -step):
                new = old + shift if row is None else [x + shift * (k == row) for k, x in enumerate(old)]
                ends.append(exactly(**exact | {name: new}))
            return float((ends[0] - ends[1]) / (2 * step))

        by_residual = np.array([slope("residual", i) for i in range(len(values["residual"]))])
        scalars = [slope(name) for name in ("scale", "length", "sigma")]
        return float(exactly(**exact)) + constant, by_residual, *scalars


@pytest.fixture(scope="module")
def operation():
    """The symbolic log density and its gradient, by mode."""
    import pytensor
    import pytensor.tensor as pt

    from bayeslaw.inference.pytensor_op import log_density_with_gradient

    kinds = (pt.dvector, pt.dscalar, pt.dscalar, pt.dscalar, pt.dvector, pt.lvector, pt.dvector)
    inputs = [kind(name) for kind, name in zip(kinds, DATA, strict=True)]
    value = log_density_with_gradient("forest", *inputs)
    outputs = [value, *pytensor.grad(value, inputs[:4])]
    modes = {"perform": pytensor.compile.mode.Mode("py", "fast_compile"), "NUMBA": "NUMBA"}
    # Kept on disk or not: code that refers to other compiled functions must be fit for both
    compiled = {name: pytensor.function(inputs, outputs, mode=mode) for name, mode in modes.items()}
    with pytensor.config.change_flags(numba__cache=False):
        compiled["NUMBA, no cache"] = pytensor.function(inputs, outputs, mode="NUMBA")
        compiled["NUMBA, no cache"](**extreme(np.random.default_rng(0)))
    return compiled


@pytest.mark.parametrize("name", EXTREMES)
def test_no_digits_are_lost(name, rng, operation):
    values = extreme(rng, **EXTREMES[name])
    expected = exact_slopes(values)
    # Rounding the residuals themselves already costs this much
    blur = 1e-16 * np.abs(values["residual"] * expected[1]).sum()
    found = operation["perform"](**values)
    forest = Forest(values["parent"], values["gap"])
    plain = log_density(
        values["residual"][None], np.array([[values["scale"]]]), np.array([[values["length"]]]),
        values["sigma"] ** 2 + values["error"] ** 2, forest,
    )  # fmt: skip
    assert plain == pytest.approx([expected[0]], rel=1e-12, abs=1e-12 + 10 * blur)
    assert found[0] == pytest.approx(expected[0], rel=1e-12, abs=1e-12 + 10 * blur)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-7, atol=1e-10 * np.abs(expected[1]).max())
    for of, slope, exact in zip(("scale", "length", "sigma"), found[2:], expected[2:], strict=True):
        # On the log scale, on which they are sampled
        assert slope * values[of] == pytest.approx(exact * values[of], rel=1e-8, abs=1e-8), of


@pytest.mark.parametrize("mode", ["NUMBA", "NUMBA, no cache"])
def test_every_mode_gives_the_same(mode, rng, operation):
    for seed in range(3):
        values = extreme(np.random.default_rng(seed))
        for found, expected in zip(operation[mode](**values), operation["perform"](**values), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gradient_on_random_forests(rng, operation):
    """Against finite differences of the NumPy code, with forests that branch more."""
    forest = random_forest(rng, 30)
    values = dict(zip(DATA, (rng.normal(size=30), 0.8, 0.5, 0.3, rng.random(30), forest.parent, forest.gap)))

    def density(residual, scale, length, sigma):
        columns = [np.atleast_1d(p)[:, None] for p in (scale, length)]
        return log_density(
            residual, *columns, np.atleast_1d(sigma)[:, None] ** 2 + values["error"] ** 2, forest
        )

    found = operation["NUMBA"](**values)
    at = {k: values[k] for k in DATA[:4]}
    assert found[0] == pytest.approx(density(**at | {"residual": at["residual"][None]})[0])
    h = 1e-5
    steps = at["residual"] + h * np.stack([np.eye(30), -np.eye(30)])
    ends = [density(**at | {"residual": s, "sigma": np.full(30, at["sigma"])}) for s in steps]
    np.testing.assert_allclose(found[1], (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-7)
    for slope, name in zip(found[2:], DATA[1:4], strict=True):
        ends = [density(**at | {"residual": at["residual"][None], name: at[name] + s}) for s in (h, -h)]
        assert slope == pytest.approx((ends[0] - ends[1])[0] / (2 * h), rel=1e-6)


@pytest.mark.parametrize("mode", ["perform", "NUMBA"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"parent": np.arange(8)}, "before their children"), ({"gap": np.ones(7)}, "one entry a row")],
)
def test_rows_that_do_not_exist_are_not_read(wrong, message, mode, rng, operation):
    with pytest.raises(ValueError, match=message):
        operation[mode](**extreme(rng) | wrong)


def test_gradients_go_no_further():
    import pytensor
    import pytensor.tensor as pt
    from pytensor.gradient import DisconnectedInputError, NullTypeGradError

    from bayeslaw.inference.pytensor_op import log_density_with_gradient

    x, gap = pt.dscalar("x"), pt.dvector("gap")
    value = log_density_with_gradient(
        "forest", pt.ones(3), x, 1.0, 1.0, pt.zeros(3), np.array([-1.0, 0, 1]), gap
    )
    with pytest.raises(NullTypeGradError):
        pytensor.grad(pytensor.grad(value, x), x)
    with pytest.raises(DisconnectedInputError):
        pytensor.grad(value, gap)


def test_wrong_ranks_are_refused():
    from bayeslaw.inference.pytensor_op import log_density_with_gradient

    with pytest.raises(TypeError, match="ranks"):
        log_density_with_gradient("forest", *[np.ones(2)] * 7)


def toy(n, seed=0):
    """Return data of a chain and a branch off its middle."""
    rng = np.random.default_rng(seed)
    step = np.concatenate([np.linspace(500, 20000, n // 2), np.linspace(10000, 24000, n - n // 2)])
    parent = np.arange(n) - 1
    parent[n // 2] = n // 4
    gap = np.where(parent < 0, 0.0, np.maximum(np.log(step) - np.log(step[parent]), 1e-4))
    total = dense(Forest(parent, gap), 0.02, 0.5) + 0.01**2 * np.eye(n)
    y = 1.3 + np.linalg.cholesky(total) @ rng.normal(size=n)
    return {"y": y, "error": np.full(n, 0.002), "parent": parent, "gap": gap}


def toy_model(data):
    import pymc as pm

    from bayeslaw.inference.pytensor_op import log_density_with_gradient

    with pm.Model() as model:
        given = {name: pm.Data(name, value) for name, value in data.items()}
        z = pm.Normal("z", 0, 1, shape=4)  # the level, and three logs
        noise = [typical * pm.math.exp(z[i + 1]) for i, typical in enumerate((0.02, 0.5, 0.01))]
        rest = (given[name] for name in ("error", "parent", "gap"))
        pm.Potential(
            "likelihood", log_density_with_gradient("forest", given["y"] - 1.3 - z[0], *noise, *rest)
        )
    return model


def test_nutpie_samples_it_and_takes_other_data():
    import warnings

    import arviz as az
    import nutpie
    import pytensor

    with warnings.catch_warnings(), pytensor.config.change_flags(numba__cache=False):
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(toy_model(toy(20)))
        compiled = compiled.with_data(**toy(61))
        trace = nutpie.sample(compiled, draws=300, tune=300, chains=2, cores=2, seed=1, progress_bar=False)
    assert float(az.rhat(trace)["z"].max()) < 1.05
    assert trace.sample_stats["diverging"].sum() == 0
    z = trace.posterior["z"]
    assert (abs(z.mean(("chain", "draw"))) < 4 * z.std(("chain", "draw"))).all()
    assert z.std(("chain", "draw"))[0] < 0.1 and z.std(("chain", "draw"))[3] < 0.3
