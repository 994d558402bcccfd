"""`pymc_model`: a PyMC model with names, dims, data and observed variables, whose density is the package's own."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import TRUTHS, noiseless
from scipy import stats
from scipy.special import logsumexp

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.inference import samplers
from bayeslaw.inference.coordinates import latent_vectors
from bayeslaw.inference.fitting import settle_outliers
from bayeslaw.inference.pilot import settle_around
from bayeslaw.inference.predictive import draw_prior
from bayeslaw.inference.pymc_model import build_model
from bayeslaw.law.catalogue import parse_toml
from bayeslaw.law.evaluate import derive, to_scale
from bayeslaw.law.priors import draw_priors, sampled, scalar_names
from bayeslaw.observation.base import NUMPY
from bayeslaw.observation.bound import bind
from bayeslaw.observation.independent import Independent

BROWNIAN = {"kernel": "brownian", "length": None}
INDEPENDENT = {"discrepancy": None}
COUNTED = {"likelihood": "Binomial"}
POOLED = {"pool": {"level": "family"}}
SLOPED = {"over": "x", "prior_90": [-0.3, 0.3]}
# How rows scatter: what `change` is given, and whether the laws of counts have it alone.
WAYS = {
    "as shipped": {},
    "StudentT": INDEPENDENT,
    "Normal": INDEPENDENT | {"likelihood": "Normal"},
    "counts": COUNTED,
    "counts, independent": COUNTED | INDEPENDENT,
}
OF_COUNTS = ("compute", "params-tokens", "gold-likelihood")
CASES = [
    *((law, way, change) for law in TRUTHS for way, change in WAYS.items() if law in OF_COUNTS or "counts" not in way),
    ("chinchilla", "brownian", {"discrepancy": BROWNIAN}),
    ("compute", "matern52", {"discrepancy": {"kernel": "matern52"}}),
    ("compute", "shifts", {"likelihood": {"outliers": True}}),
    ("compute", "pooled", POOLED),
    ("compute", "pooled, independent", POOLED | INDEPENDENT),
    ("compute", "pooled by two", {"pool": {"level": ["family", "size"]}} | INDEPENDENT),
    ("compute", "pooled counts", POOLED | COUNTED),
    ("compute", "fixed", {"fix": {"floor": 0.1}}),
    ("power", "noise along x", INDEPENDENT | {"likelihood": {"sigma_slope": SLOPED}}),
    ("chinchilla", "normal noise along N", INDEPENDENT | {"likelihood": {"family": "Normal", "sigma_slope": {**SLOPED, "over": "N"}}}),
]  # fmt: skip
IDS = [f"{law}, {way}" for law, way, _ in CASES]
MODE = "FAST_COMPILE"


def rows_of(law: str, change: dict):
    """Return a law and rows for it: with families and sizes, two far out, and counts where they are counted."""
    spec, data = noiseless(law, noise=0.05, seed=2)
    spec, n = bl.change(spec, **change), data.sizes["obs"]
    rng = np.random.default_rng(0)
    if "pool" in change:
        data = data.assign_coords(
            family=("obs", np.tile(["a", "b", "c", "d"], n // 4)), size=("obs", np.repeat(["s", "m"], n // 2))
        )
    if change.get("likelihood") == "Binomial":
        samples = np.full(n, 500)
        rate = np.exp(-data[spec.output.name].values)
        data = data.assign(n=("obs", samples), c=("obs", rng.binomial(samples, rate)))
    if change.get("likelihood") == {"outliers": True}:
        y = data[spec.output.name].values * np.exp(np.isin(np.arange(n), (7, 20)) * 0.9)
        data = data.assign({spec.output.name: ("obs", y)})
    return spec, data


def model_of(law: str, change: dict):
    return bl.pymc_model(*rows_of(law, change))


def old_name(name: str) -> str:
    """Return the name of a free variable's value in the model that nutpie compiles."""
    if name.endswith("_deviation_walked__"):
        return name.replace("_deviation_walked__", "_score")
    return "rate_score" if name.endswith("_scored__") else name


def points(model, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Draw from the priors, in the coordinates that NUTS walks."""
    import pymc as pm

    rng = np.random.default_rng(seed)
    wanted, drawable = [], []
    for rv in model.free_RVs:
        transform, value = model.rvs_to_transforms[rv], model.rvs_to_values[rv]
        if value.name.endswith("_scored__"):
            continue
        drawable.append(value.name)
        wanted.append(rv if transform is None else transform.forward(rv, *rv.owner.inputs))
    drawn = pm.draw(wanted, draws=count, random_seed=seed, mode=MODE)
    shapes = {name: np.shape(v) for name, v in model.initial_point().items()}
    out = []
    for i in range(count):
        point = {n: v[i] for n, v in zip(drawable, drawn, strict=True)}
        out.append({n: point[n] if n in point else rng.standard_normal(s) for n, s in shapes.items()})
    return out


def compiled(model, gradient: bool = False):
    """Return log density, and gradient, as a function of a point."""
    import pytensor
    import pytensor.tensor as pt

    total = model.logp()
    out = [total, *(pt.grad(total, model.value_vars) if gradient else ())]
    run = pytensor.function(model.value_vars, out, mode=MODE, on_unused_input="ignore")
    return lambda point: run(*(point[v.name] for v in model.value_vars))


@pytest.mark.parametrize(("law", "way", "change"), CASES, ids=IDS)
def test_its_density_is_that_of_fits(law, way, change, monkeypatch):
    """Up to a constant, at draws from the prior; and both it and its gradient are finite there."""
    spec, data = rows_of(law, change)
    model, bound = bl.pymc_model(spec, data), settle_around(settle_outliers(bind(spec, data)))
    with monkeypatch.context() as patch:  # fits integrate the level out: the next test has that
        for where in ("law.priors", "observation.discrepancy_terms", "observation.discrepancy_rows"):
            patch.setattr(f"bayeslaw.{where}.offset", lambda spec: None)
        fitted = build_model(bound)
    assert len(model.observed_RVs) == 1 and not model.potentials
    ours, theirs = compiled(model, gradient=True), compiled(fitted)
    apart, sizes = [], []
    for point in points(model, 12):
        (other,) = theirs({old_name(n): v for n, v in point.items()})
        if not np.isfinite(other):  # a law may be negative far out in its prior: no draw can come from there
            assert not np.isfinite(ours(point)[0])
            continue
        value, *gradient = ours(point)
        assert all(np.isfinite(g).all() for g in gradient)
        apart.append(value - other)
        sizes.append(max(1.0, abs(other)))
    assert len(apart) >= 4
    assert np.abs(np.subtract(apart, np.median(apart)) / sizes).max() < 1e-9


def test_integrated_over_the_level_it_is_that_of_fits():
    spec, data = rows_of("compute", {})
    model, fitted = bl.pymc_model(spec, data), build_model(settle_around(bind(spec, data)))
    assert "level_log__" not in {v.name for v in fitted.value_vars}
    ours, theirs = compiled(model), compiled(fitted)
    middle, apart = np.log(bind(spec, data).rows.y.mean()), []
    grid, step = np.linspace(-10, 10, 4001, retstep=True)
    for drawn in points(model, 2):
        point = {**drawn, "sigma_log__": np.log(0.1)}  # wider than the grid's step
        each = [float(ours({**point, "level_log__": at})[0]) for at in middle + grid]
        apart.append(logsumexp(each) + np.log(step) - float(theirs(point)[0]))
    np.testing.assert_allclose(apart, apart[0], atol=1e-8)


# ---- what is in it


def test_names_dims_and_labels_are_those_of_the_law_and_its_data():
    spec, data = rows_of("compute", POOLED | COUNTED)
    data = data.isel(obs=slice(3, 31))
    model = bl.pymc_model(spec, data)
    assert list(model.coords["obs"]) == data["obs"].values.tolist()
    assert list(model.coords["family"]) == ["d", "a", "b", "c"]
    dims = {n: tuple(d) for n, d in model.named_vars_to_dims.items()}
    for name in ("C", "mean", "log_neg_log_pass_at_k", "n", "c", "family_index"):
        assert dims[name] == ("obs",), name
    for name in ("level_deviation", "level_score", "level_of_family"):
        assert dims[name] == ("family",), name
    parameters = {"level", "floor", "alpha", "sigma", "level_spread", "E0", "C0"}
    assert parameters <= set(model.named_vars)
    assert {"C", "ref_C", "n", "c_data", "family_index"} == {v.name for v in model.data_vars}
    assert [v.name for v in model.observed_RVs] == ["c"]


def test_two_pooled_columns_are_one_dim_and_rows_with_a_shift_another():
    both = model_of("compute", {"pool": {"level": ["family", "size"]}} | INDEPENDENT)
    assert both.coords["family_size"][0] == "a, s"
    shifted = model_of("compute", {"likelihood": {"outliers": True}})
    assert list(shifted.coords["outlying"]) == [7, 20]
    assert shifted.named_vars_to_dims["shift_score"] == ("outlying",)


def test_a_name_that_the_law_has_stays_the_laws():
    document = bl.load_model("power").to_toml().replace("alpha", "mean")
    spec = parse_toml(document, "power")
    _, data = noiseless("power")
    model = bl.pymc_model(spec, data)
    assert {"mean", "mean_"} <= set(model.named_vars)
    assert model.named_vars_to_dims["mean_"] == ("obs",)


@pytest.mark.parametrize("law", ["chinchilla", "annealing"])
def test_mean_and_the_papers_parameters_are_the_laws(law):
    import pymc as pm

    spec, data = noiseless(law)
    bound, model = bind(spec, data), bl.pymc_model(spec, data)
    names = [*scalar_names(sampled(bound.spec)), *bound.spec.constants]
    names = [n for n in names if n in model.named_vars]
    *drawn, mean = pm.draw([*(model[n] for n in names), model["mean"]], draws=20, random_seed=1, mode=MODE)
    values = dict(zip(names, drawn, strict=True))
    for name, value in derive(bound.spec, values).items():
        np.testing.assert_allclose(values[name], value, rtol=1e-9)
    expected = bound.law({n: v[:, None] for n, v in values.items()})
    np.testing.assert_allclose(mean, expected, rtol=1e-9)


def test_groups_have_values_of_their_own():
    import pymc as pm

    model = model_of("compute", POOLED | INDEPENDENT)
    names = ("level", "level_of_family", "level_deviation", "level_score", "level_spread")
    drawn = pm.draw([model[n] for n in names], draws=2000, random_seed=1, mode=MODE)
    level, own, deviation, score, spread = drawn
    np.testing.assert_allclose(own, level[:, None] * np.exp(deviation), rtol=1e-9)
    np.testing.assert_allclose(deviation, spread[:, None] * score, rtol=1e-9)
    assert np.abs(score.mean(axis=0)).max() < 0.1 and np.abs(score.std(axis=0) - 1).max() < 0.1


def drawn_posterior(model, draws: int):
    """Return draws of the priors as a posterior, so that PyMC's functions of one can be called."""
    import pymc as pm

    names = [v.name for v in model.free_RVs]
    found = pm.draw([model[n] for n in names], draws=draws, random_seed=3, mode=MODE)
    own = {v.name: model.named_vars_to_dims.get(v.name, ()) for v in (*model.free_RVs, *model.data_vars)}
    group = {n: (("chain", "draw", *own[n]), v[None]) for n, v in zip(names, found, strict=True)}
    given = {v.name: (own[v.name], v.get_value()) for v in model.data_vars}
    coords = {"obs": list(model.coords["obs"])}
    return xr.DataTree.from_dict({
        "posterior": xr.Dataset(group, coords), "constant_data": xr.Dataset(given, coords),
    })  # fmt: skip


@pytest.mark.parametrize("way", ["StudentT", "Normal"])
def test_independent_rows_have_log_likelihoods_and_replicates(way):
    import pymc as pm

    spec, data = rows_of("chinchilla", WAYS[way])
    errors = data["loss"] * np.linspace(0.0, 0.1, data.sizes["obs"])
    bound = bind(spec, data.assign(sampling_error=errors))
    model = bl.pymc_model(spec, bound.data)
    tree = drawn_posterior(model, 5)
    quick = {"progressbar": False, "compile_kwargs": {"mode": MODE}}
    told = pm.compute_log_likelihood(tree, model=model, extend_inferencedata=False, **quick)
    wanted = [n for n in (*spec.scalar_names, *spec.noise) if n in model.named_vars]
    with model:
        again = pm.sample_posterior_predictive(tree, var_names=["log_loss", *wanted], random_seed=1, **quick)[
            "posterior_predictive"
        ]
    values = {n: again[n].values.reshape(-1, 1) for n in wanted}
    mean, rows = bound.law(values), bound.rows
    each = bound.observation.each(mean, values, rows.y, rows.error, 0.0 * rows.y, NUMPY)
    np.testing.assert_allclose(told["log_loss"].values[0], each, rtol=1e-8)
    assert again["log_loss"].dims == ("chain", "draw", "obs")


def test_counts_have_replicates():
    import pymc as pm

    spec, data = rows_of("compute", COUNTED | INDEPENDENT)
    model = bl.pymc_model(spec, data)
    with model:
        tree = drawn_posterior(model, 5)
        again = pm.sample_posterior_predictive(
            tree, progressbar=False, random_seed=1, compile_kwargs={"mode": MODE}
        )["posterior_predictive"]
    assert again["c"].sizes == {"chain": 1, "draw": 5, "obs": 40}
    assert (again["c"] <= 500).all()


@pytest.mark.parametrize("ways", [COUNTED, COUNTED | INDEPENDENT])
def test_outputs_behind_counts_are_walked_back_and_forth(ways):
    spec, data = rows_of("compute", ways)
    bound, rng = bind(spec, data), np.random.default_rng(0)
    values = {n: v[:, None] for n, v in draw_priors(bound.spec, 6, rng).items()}
    score, given = rng.standard_normal((6, len(bound.rows))), (bound.law(values), values, bound.terms, NUMPY)
    y, _ = bound.observation.outputs(score, *given)
    np.testing.assert_allclose(bound.observation.scored(y, *given), score, rtol=1e-6, atol=1e-6)


def test_the_graph_shows_data_parameters_and_what_is_observed():
    from pymc.model_graph import ModelGraph

    model = model_of("compute", POOLED)
    graph = ModelGraph(model).make_compute_graph()
    assert {"C", "alpha", "level_of_family", "family_index"} <= graph["mean"]
    assert {"level", "level_score", "level_spread"} <= graph["level_of_family"]
    assert "mean" in graph["log_neg_log_pass_at_k"] and "sigma" in graph["log_neg_log_pass_at_k"]
    assert graph["log_neg_log_pass_at_k_data"] == {"log_neg_log_pass_at_k"}


@pytest.mark.parametrize(("ways", "how"), [(INDEPENDENT, "~\nT"), ({}, "GaussianProcess")])
def test_it_is_drawn_by_graphviz(ways, how):
    pytest.importorskip("graphviz")
    import pymc as pm

    source = pm.model_to_graphviz(model_of("chinchilla", ways)).source
    assert all(name in source for name in ("level", "alpha", "sigma", "mean", "log_loss", how, "obs"))


@pytest.mark.parametrize(
    ("law", "change"),
    [
        ("chinchilla", {}),
        ("annealing", {}),
        ("compute", {"likelihood": {"outliers": True}}),
    ],
)
def test_rows_of_a_joint_density_are_drawn_as_fits_draw_them_a_priori(law, change):
    """Quantiles of the prior predictive, beside those of a fit."""
    import pymc as pm

    spec, data = rows_of(law, change)
    model, bound = bl.pymc_model(spec, data), settle_outliers(bind(spec, data))
    (joint,) = (v for v in model.basic_RVs if type(v.owner.op).__name__ in ("GaussianProcess", "Runs"))
    theirs = pm.draw(joint, draws=1500, random_seed=1, mode=MODE)
    ours = to_scale(
        draw_prior(bound, np.random.default_rng(2))["prior_predictive"][spec.output.name].values[0], "log"
    )
    ours, theirs = (v[np.isfinite(v).all(axis=1)] for v in (ours, theirs))
    for row in (0, -1):
        found = stats.ks_2samp(ours[:, row], theirs[:, row])
        assert found.pvalue > 1e-3


def test_a_user_extends_it():
    import pymc as pm

    spec, data = rows_of("compute", {})
    plain, model = bl.pymc_model(spec, data), bl.pymc_model(spec, data)
    with model:
        pm.Potential("known_elsewhere", -0.5 * ((model["E0"] - 0.9) / 0.2) ** 2)
        elsewhere = model["E0"] + model["C0"] * 1e21 ** -model["alpha"]
        pm.Normal("seen_elsewhere", elsewhere, 0.05, observed=1.4)
    at = points(plain, 2)[0]
    level, floor, alpha = (
        np.exp(at["level_log__"]), stats.norm.cdf(at["floor_normal"]),
        np.exp(at["alpha_sheared"]) / (1 - 0.9 * stats.norm.cdf(at["floor_normal"])),
    )  # fmt: skip
    ref = bind(spec, data).spec.inputs["C"].reference
    law = level * (floor + (1 - floor) * (1e21 / ref) ** -alpha)
    more = -0.5 * ((level * floor - 0.9) / 0.2) ** 2 + stats.norm.logpdf(1.4, law, 0.05)
    assert compiled(model)(at)[0] - compiled(plain)(at)[0] == pytest.approx(more, rel=1e-8)


def test_an_observation_model_that_observes_nothing_by_name_is_a_potential(monkeypatch):
    spec, data = rows_of("compute", INDEPENDENT)
    prepare, joint = Independent.prepare, Independent.joint
    monkeypatch.setattr(
        Independent, "prepare", lambda self, rows: {f"{n}_": v for n, v in prepare(self, rows).items()}
    )
    monkeypatch.setattr(
        Independent, "joint", lambda self, mean, values, terms, ops: joint(self, mean, values, {n[:-1]: v for n, v in terms.items()}, ops)
    )  # fmt: skip
    model = bl.pymc_model(spec, data)
    assert [p.name for p in model.potentials] == ["likelihood"] and not model.observed_RVs


# ---- what is refused


def test_what_is_no_law_and_what_lacks_a_column_is_refused():
    spec, data = noiseless("compute")
    with pytest.raises(bl.InputError, match=r"pymc_model\(spec, data\): found 'compute', allowed"):
        bl.pymc_model("compute", data)
    with pytest.raises(bl.InputError, match="no column 'compute'"):
        bl.pymc_model(spec, data.drop_vars("compute"))
    with pytest.raises(bl.InputError, match="sampler: found 'numpyro'"):
        bl.fit(spec, data, sampler="numpyro")
    with pytest.raises(bl.InputError, match="no columns n and c"):
        bl.pymc_model(bl.change(spec, **COUNTED), data)


# ---- sampled


QUICK = {"draws": 8, "tune": 50, "chains": 2, "seed": 5}


@pytest.fixture
def interpreted(monkeypatch):
    """Run PyMC without compiling: at once, at a hundredth of the speed, hence few steps a draw."""
    import pymc as pm
    import pytensor

    monkeypatch.setattr(pm, "sample", partial(pm.sample, max_treedepth=3, early_max_treedepth=3))
    with pytensor.config.change_flags(mode=MODE):
        yield


@pytest.mark.parametrize("change", [{}, POOLED | COUNTED | INDEPENDENT], ids=["as shipped", "pooled counts"])
def test_a_fit_by_pymc_is_a_fit_like_any_other(change, interpreted, capfd, tmp_path):
    spec, data = rows_of("compute", change)
    fit = bl.fit(spec, data, sampler="pymc", progress=False, **QUICK)
    assert capfd.readouterr() == ("", "")
    assert fit.settings["sampler"] == "pymc"
    names = {*scalar_names(sampled(fit.spec)), *fit.spec.constants}
    assert set(fit.draws.data_vars) == names
    assert fit.draws.sizes == {"chain": 2, "draw": 8}
    told = fit.tree["sample_stats"]
    assert set(told.data_vars) == {
        "diverging", "energy", "n_steps", "depth", "step_size", "mean_tree_accept", "logp",
    }  # fmt: skip
    latent = latent_vectors(fit.bound)
    assert ("latent" in fit.tree.children) == bool(latent)
    for name, size in latent.items():
        assert fit.tree["latent"][name].sizes == {"chain": 2, "draw": 8, f"{name}_dim": size}
    assert all(np.isfinite(v).all() for v in fit.draws.data_vars.values())
    assert np.isfinite(bl.log_likelihood(fit)).all()
    assert np.isfinite(bl.forecast(bl.load_fit(fit.save(tmp_path / "fit.nc")), ahead(change))["median"]).all()


def ahead(change: dict) -> dict:
    return {"C": [1e24], **({"family": ["a"]} if "pool" in change else {})}


def test_the_same_seed_gives_the_same_bits(interpreted):
    spec, data = rows_of("compute", INDEPENDENT)
    asked = {**QUICK, "chains": 1, "draws": 4}
    first, again = (bl.fit(spec, data, sampler="pymc", progress=False, **asked) for _ in range(2))
    xr.testing.assert_identical(first.draws, again.draws)


def test_stopped_before_a_draw_was_kept_it_says_that_it_was_stopped(monkeypatch):
    def stopped(*_, callback, **__):
        callback(trace=None, draw=None)
        raise ValueError("Not enough samples to build a trace.")

    monkeypatch.setattr("pymc.sample", stopped)
    spec, data = rows_of("compute", INDEPENDENT)
    with pytest.raises(KeyboardInterrupt, match="nothing was kept"):
        bl.fit(spec, data, sampler="pymc", progress=False, **QUICK)


def test_the_command_line_hands_the_sampler_on(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(samplers, "SAMPLERS", {"pymc": lambda *a: asked.append(a) or stop()})
    monkeypatch.setattr("bayeslaw.inference.fitting.SAMPLERS", samplers.SAMPLERS)
    table = tmp_path / "rows.csv"
    pd.DataFrame({"x": np.geomspace(1, 1e3, 20), "y": 1 + np.geomspace(1, 1e3, 20) ** -0.5}).to_csv(
        table, index=False
    )
    done = CliRunner().invoke(
        main, ["fit", "power", str(table), "-o", str(tmp_path / "fit.nc"), "--sampler", "pymc"]
    )
    assert asked and done.exit_code == 2
    done = CliRunner().invoke(
        main, ["fit", "power", str(table), "-o", str(tmp_path / "fit.nc"), "--sampler", "stan"]
    )
    assert done.exit_code == 2 and done.stderr.startswith("bayeslaw: sampler: found 'stan'")


def stop():
    raise bl.InputError("far enough")
