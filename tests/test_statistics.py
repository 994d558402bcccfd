"""Statistical claims: golden numbers, recovery, the Jacobian, seeds, clean sampling on real data."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import TRAINING_SCHEDULES, TRUTHS, noiseless, shared

import bayeslaw as bl
from bayeslaw.inference import compiled
from bayeslaw.inference.pymc_model import build_model
from bayeslaw.law import priors
from bayeslaw.law.evaluate import derive, law_inputs, law_on_scale
from bayeslaw.law.expression import evaluate
from bayeslaw.law.families import FAMILIES
from bayeslaw.observation.base import NUMPY, make_rows
from bayeslaw.observation.bound import bind
from bayeslaw.observation.registry import observation_of


def point(fit) -> dict[str, float]:
    return {name: float(v) for name, v in fit.tree["point"].data_vars.items() if v.ndim == 0}


def expect(found: dict[str, float], wanted: dict[str, float], rel: float) -> None:
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=rel, abs=1e-9), name


# -- published and re-computed numbers --------------------------------------------------------------


def test_annealing_point_fit_is_the_published_one(published_curves) -> None:
    fit = bl.fit(bl.load_model("annealing"), published_curves, "map", bootstrap=0)
    expect(point(fit), {"L0": 2.627797, "A": 0.429665, "C": 0.410772, "alpha": 0.549846}, 2e-6)
    assert point(fit)["objective"] == pytest.approx(1.62925e-5, rel=1e-5)
    y = published_curves["loss"].values
    residual = y - y * np.exp(-fit.tree["point"]["residual"].values)
    assert 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum() == pytest.approx(0.999634, abs=1e-6)
    assert np.mean(np.abs(residual) / y) == pytest.approx(0.000736, abs=1e-6)


@pytest.mark.parametrize(
    ("lam", "objective", "C"),
    [
        (0.95, 2.4221e-5, None),
        (0.99, 2.3171e-5, 3.9157),
        (0.995, 2.1936e-5, None),
        (0.9995, 1.8369e-5, 0.2207),
    ],
)
def test_annealing_objective_by_lam(published_curves, lam, objective, C) -> None:
    spec = bl.change(bl.load_model("annealing"), fix={"lam": lam})
    found = point(bl.fit(spec, published_curves, "map", bootstrap=0))
    assert found["objective"] == pytest.approx(objective, rel=5e-5)
    assert C is None or found["C"] == pytest.approx(C, rel=1e-3)


ALL_SCHEDULES = {
    **TRAINING_SCHEDULES,
    "constant_72000": "constant(peak=3e-4, warmup=2160, total=72000)",
    "cosine_72000": "cosine(peak=3e-4, end=3e-5, warmup=2160, total=72000)",
    "wsd_20000_24000": "wsd(peak=3e-4, end=3e-5, warmup=2160, stable=20000, total=24000, decay='exponential')",
    "wsdld_20000_24000": "wsd(peak=3e-4, end=3e-5, warmup=2160, stable=20000, total=24000)",
    "wsdcon_3": "step(peak=3e-4, at=8000, to=3e-5, warmup=2160, total=16000)",
    "wsdcon_18": "step(peak=3e-4, at=8000, to=18e-5, warmup=2160, total=16000)",
}


@pytest.mark.parametrize(
    ("size", "wanted", "error"),
    [
        ("25M", {"L0": 3.1583, "A": 0.5136, "alpha": 0.5134, "C": 0.4019}, 0.00141),
        ("100M", {"L0": 2.7889, "A": 0.5926, "alpha": 0.4550, "C": 0.4812}, 0.00153),
    ],
)
def test_annealing_point_fit_predicts_unseen_schedules(size, wanted, error) -> None:
    spec = bl.load_model("annealing")
    path = shared("schedules/loss_curves.csv")

    def read(schedules):
        where = [f"model_size={size}", "run=" + "|".join(schedules)]
        return bl.read_curves(path, spec, schedules, where=where, rename={"schedule": "run"})

    fit = bl.fit(spec, read(TRAINING_SCHEDULES), "map", bootstrap=0)
    expect(point(fit), wanted, 5e-4)
    values = {n: np.array([[point(fit)[n]]]) for n in fit.spec.scalar_names if n in point(fit)}
    errors = []
    for run in ALL_SCHEDULES.keys() - TRAINING_SCHEDULES.keys():
        data = read({run: ALL_SCHEDULES[run]})
        law = np.exp(law_on_scale(fit.spec, values, law_inputs(fit.spec, data)))[0]
        errors.append(np.mean(np.abs(law / data["loss"].values - 1)))
    assert np.mean(errors) == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize(
    ("k", "E0", "C0", "alpha"),
    [
        (1, 2.020, 1219, 0.1244),
        (4, 0.786, 1299, 0.1264),
        (16, 0, 2757, 0.1460),
        (64, 0, 5.44e4, 0.2202),
        (128, 0, 2.33e5, 0.2578),
    ],
)
def test_compute_point_fit(counts, k, E0, C0, alpha) -> None:
    spec = bl.load_model("compute")
    data = bl.read_table(counts, spec, k=k, where="lr_warming_up=0")
    expect(point(bl.fit(spec, data, "map", bootstrap=0)), {"E0": E0, "C0": C0, "alpha": alpha}, 6e-4)


def test_params_tokens_point_fit(counts) -> None:
    spec = bl.load_model("params-tokens")
    data = bl.read_table(counts, spec, k=1, where="lr_warming_up=0")
    wanted = {"E0": 4.024, "N0": 8.298e4, "beta": 0.5960, "D0": 5.01e5, "gamma": 0.5576}
    expect(point(bl.fit(spec, data, "map", bootstrap=0)), wanted, 5e-4)


def test_compute_backtest_errors_of_the_point_fit(counts) -> None:
    spec = bl.load_model("compute")
    data = bl.read_table(counts, spec, k=1, where="lr_warming_up=0")
    compute = data["compute"].values
    for cut, error in ((1e-4, 0.239), (1e-3, 0.689), (1e-2, 0.029), (10**-1.5, 0.125), (1e-1, 0.191)):
        seen = data.isel(obs=compute <= cut * compute.max())
        fit = bl.fit(spec, seen, "map", bootstrap=0)
        p = point(fit)
        predicted = p["E0"] + p["C0"] * compute.max() ** -p["alpha"]
        actual = float(data["neg_log_pass_at_k"].values[compute.argmax()])
        assert actual == pytest.approx(4.5167, abs=5e-5)
        assert abs(predicted / actual - 1) == pytest.approx(error, abs=6e-4), cut


def test_chinchilla_point_fit_and_bootstrap(chinchilla_runs) -> None:
    spec = bl.load_model("chinchilla")
    fit = bl.fit(spec, bl.read_table(chinchilla_runs, spec), "map", bootstrap=1000)
    wanted = {"A": 477.826, "B": 2143.42, "E": 1.817218, "alpha": 0.347310, "beta": 0.367172}
    expect(point(fit), wanted, 1e-3)
    assert point(fit)["objective"] == pytest.approx(0.00101827402, rel=1e-7)
    assert fit.tree["starts"].sizes["start"] == 4500
    published = {"A": 124.6, "E": 0.026, "alpha": 0.015, "beta": 0.021}
    for name, error in published.items():
        assert float(fit.draws[name].std()) == pytest.approx(error, rel=0.15), name


# -- recovery ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRUTHS)
def test_point_fit_recovers_noiseless_truth(name) -> None:
    spec, data = noiseless(name)
    expect(
        point(bl.fit(spec, data, "map", bootstrap=0)),
        {n: v for n, v in TRUTHS[name].items() if n != "lam"},
        2e-3,
    )


def test_every_shipped_model_has_a_truth() -> None:
    assert set(TRUTHS) == set(bl.models()["name"])


def test_posterior_recovers_truth(simulated_fit) -> None:
    truth = TRUTHS["compute"]
    for name, value in truth.items():
        draws = simulated_fit.draws[name].values.ravel()
        assert np.quantile(draws, 0.005) < value < np.quantile(draws, 0.995), name
    assert [c for c in bl.checks(simulated_fit) if c.level == "fail"] == []


# -- the density ------------------------------------------------------------------------------------


def _log_density(model, values: dict[str, float], terms=None):
    """Return the model's log density at values of its free variables, without transforms' Jacobians."""
    function = model.compile_logp(vars=terms, jacobian=False, mode="FAST_COMPILE", **IGNORE_UNUSED)
    inputs = {}
    for rv in model.free_RVs:
        variable = model.rvs_to_values[rv]
        transform = model.rvs_to_transforms[rv]
        value = values[rv.name]
        if transform is not None:
            value = transform.forward(np.float64(value), *rv.owner.inputs).eval()
        inputs[variable.name] = np.asarray(value, dtype=float)
    return float(function(inputs))


IGNORE_UNUSED = {"on_unused_input": "ignore"}


def test_density_in_natural_and_sampling_coordinates_agree_through_the_jacobian() -> None:
    """p(E0, C0, alpha) by hand, its Jacobian analytic, against the model's density through `derive`."""
    from scipy import stats

    spec, data = noiseless("compute", noise=0.05)
    frozen = bl.resolve(bl.change(spec, discrepancy=None), data)
    model = build_model(bind(frozen, data))
    observation = observation_of(frozen)
    rows = make_rows(frozen, data["neg_log_pass_at_k"].values, data["sampling_error"].values)
    ref = frozen.inputs["C"].reference
    prior = {
        n: stats.lognorm(s=priors.link_normal(p)[1], scale=np.exp(priors.link_normal(p)[0]))
        for n, p in priors.sampled(frozen).items()
        if n != "floor"
    }
    draws = priors.draw_priors(frozen, 6, np.random.default_rng(5))
    for i in range(6):
        s = {n: float(v[i]) for n, v in draws.items()}
        natural = {n: float(v) for n, v in derive(frozen, s).items()} | {"alpha": s["alpha"]}
        E0, C0, alpha = natural["E0"], natural["C0"], natural["alpha"]
        level = E0 + C0 * ref**-alpha
        by_hand = sum(prior[n].logpdf(v) for n, v in {**s, "level": level}.items() if n != "floor")
        by_hand += -alpha * np.log(ref) - np.log(level)  # |d (level, floor, alpha) / d (E0, C0, alpha)|
        law = E0 + C0 * data["compute"].values ** -alpha
        by_hand += observation.joint(np.log(law), s, observation.prepare(rows), NUMPY)
        # The model moves the floor by its normal score and alpha by the log of a product (a shear,
        # so its density is that of log alpha): back to densities of floor and alpha.
        score = float(stats.norm.ppf(s["floor"]))
        product = np.log(alpha) + np.log(1 - 0.9 * s["floor"])
        sampled = _log_density(model, {**s, "floor_normal": score, "alpha_sheared": product})
        sampled += -stats.norm.logpdf(score) - np.log(alpha)
        through_derive = sampled - np.log(abs(np.linalg.det(_jacobian_of_derive(frozen, s))))
        assert through_derive == pytest.approx(by_hand, abs=1e-5)


def _jacobian_of_derive(spec, sampled: dict[str, float]) -> np.ndarray:
    """d (E0, C0, alpha) / d (level, floor, alpha) of the package's own `derive`, by differences."""
    names = ("level", "floor", "alpha")
    columns = []
    for name in names:
        h = 1e-6 * max(abs(sampled[name]), 1e-3)
        up, down = ({**sampled, name: sampled[name] + sign * h} for sign in (1, -1))
        ends = [[*derive(spec, v).values(), v["alpha"]] for v in (up, down)]
        columns.append((np.array(ends[0]) - np.array(ends[1])) / (2 * h))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", TRUTHS)
def test_pymc_priors_are_the_stated_ones(name) -> None:
    """Draws by PyMC from the model's own priors have the quantiles that the file states."""
    import pymc as pm

    spec, data = noiseless(name)
    model = build_model(bind(spec, data))
    names = priors.scalar_names(priors.walked(spec))
    drawn = pm.draw([model[n] for n in names], draws=4000, random_seed=3, mode="FAST_COMPILE")
    ours = priors.draw_priors(spec, 4000, np.random.default_rng(4))
    for n, theirs in zip(names, drawn, strict=True):
        for q in (0.05, 0.5, 0.95):
            share = np.mean(ours[n] < np.quantile(theirs, q))
            assert abs(share - q) < 5 * np.sqrt(2 * q * (1 - q) / 4000), (n, q)


@pytest.mark.parametrize("name", TRUTHS)
def test_prior_densities_are_the_stated_ones(name) -> None:
    """The model's prior terms at random points, against densities written by hand."""
    spec, data = noiseless(name)
    frozen = bl.resolve(spec, data)
    model = build_model(bind(frozen, data))
    terms = [*model.free_RVs, *(p for p in model.potentials if p.name != "likelihood")]
    draws = priors.draw_priors(frozen, 3, np.random.default_rng(8))
    for i in range(3):
        values, by_hand = _coordinates(frozen, {n: float(v[i]) for n, v in draws.items()})
        assert _log_density(model, values, terms) == pytest.approx(by_hand, abs=1e-6)


def _coordinates(spec, s: dict[str, float]) -> tuple[dict[str, float], float]:
    """Return the model's free variables at sampled parameters, and the log prior density there."""
    from scipy import stats

    values, total = {}, 0.0
    for p in priors.walked(spec).values():
        if p.names:
            rest = 1.0
            for j, share in enumerate(p.names[:-1]):
                to_come = len(p.names) - 1 - j
                score = stats.norm.ppf(1 - (1 - s[share] / rest) ** to_come)
                values[f"{share}_normal"] = score
                total += stats.norm.logpdf(score)
                rest -= s[share]
        elif p.prior_90 is None:
            values[f"{p.name}_normal"] = stats.norm.ppf(s[p.name])
            total += stats.norm.logpdf(values[f"{p.name}_normal"])
        else:
            mean, sd = priors.link_normal(p)
            link = float(priors.to_link(p, np.float64(s[p.name])))
            if p.bounds:
                ends = (np.array(priors.link_bounds(p)) - mean) / sd
                values[f"{p.name}_link"] = link
                total += stats.truncnorm.logpdf(link, *ends, loc=mean, scale=sd)
            elif p.ridge is not None:
                values[f"{p.name}_sheared"] = link + np.log(evaluate(p.ridge, s, np))
                total += stats.norm.logpdf(link, mean, sd)
            elif p.support == "unit":
                values[f"{p.name}_link"] = link
                total += stats.norm.logpdf(link, mean, sd)
            else:
                values[p.name] = s[p.name]
                total += stats.norm.logpdf(link, mean, sd) - link
    return values, total


def test_stated_intervals_are_the_priors_central_ninety_percent() -> None:
    for name in TRUTHS:
        for p in priors.sampled(bl.load_model(name)).values():
            if p.prior_90 and not p.bounds:
                assert priors.prior_quantile(p, np.array([0.05, 0.95])) == pytest.approx(p.prior_90)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("wanders", [True, False])
def test_families_are_implemented(family, wanders) -> None:
    spec = bl.change(bl.load_model("compute"), likelihood={"family": family})
    observation = observation_of(spec if wanders else bl.change(spec, discrepancy=None))
    wanted = ("latents", "prepare", "joint", "scatter", "unconditioned", "condition")
    assert all(callable(getattr(observation, name)) for name in wanted)


# -- sampling ---------------------------------------------------------------------------------------


def test_same_seed_same_bits(simulated_fit) -> None:
    again = bl.fit(simulated_fit.spec, simulated_fit.data, seed=1)
    assert again.tree.identical(simulated_fit.tree)


def test_new_data_reuse_the_compiled_model(simulated_fit) -> None:
    before = compiled.compile_count
    spec, data = noiseless("compute", noise=0.1, seed=3)
    bl.fit(spec, data.isel(obs=slice(5, None)), draws=50, tune=50)
    bl.fit(simulated_fit.spec, data, draws=50, tune=50)
    assert compiled.compile_count == before


def test_saved_fit_forecasts_the_same(simulated_fit, tmp_path) -> None:
    loaded = bl.load_fit(simulated_fit.save(tmp_path / "fit.nc"))
    assert loaded.spec == simulated_fit.spec
    assert loaded.tree.identical(simulated_fit.tree)
    target = {"C": [1e24]}
    assert bl.forecast(loaded, target).identical(bl.forecast(simulated_fit, target))


def test_iid_fit_of_published_curves_passes_the_sampler_and_excludes_the_point_fit(annealing_fit) -> None:
    """Sure, clean, and wrong: the lesson of the demo."""
    assert [c for c in bl.checks(annealing_fit) if c.level == "fail"] == []
    low, high = np.quantile(annealing_fit.draws["L0"].values, [0.025, 0.975])
    assert 2.56 < low < high < 2.60 < 2.6278


def test_real_data_sample_cleanly_by_default(counts, chinchilla_runs) -> None:
    gold = shared("pythia/gsm8k_gold_nll.csv")
    cases = [("compute", {"k": 1}), ("params-tokens", {"k": 1}), ("gold-likelihood", {"k": 1, "join": gold})]
    datasets = [
        (spec := bl.load_model(name), bl.read_table(counts, spec, where="lr_warming_up=0", **options))
        for name, options in cases
    ]
    spec = bl.load_model("chinchilla")
    datasets.append((spec, bl.read_table(chinchilla_runs, spec)))
    for spec, data in datasets:
        # At default settings one fit in fifty fails a check, of the nine gold rows one in twelve: R-hat just
        # above 1.01. Two failures of three fits happen by chance in 2 % of runs at worst.
        fits = [bl.fit(spec, data, seed=seed) for seed in range(3)]
        failed = [[c for c in bl.checks(fit) if c.level == "fail"] for fit in fits]
        assert sum(map(bool, failed)) <= 1, (spec.name, failed)
        assert all(c.name == "rhat" and c.value < 1.03 for found in failed for c in found), (
            spec.name,
            failed,
        )
        rows = {n: [float(v) for v in data[i.column].values[:2]] for n, i in spec.inputs.items()}
        assert np.isfinite(bl.forecast(fits[0], rows)["upper"]).all()


def test_training_schedules_sample_cleanly_and_name_the_correlation(annealing_fit) -> None:
    spec = annealing_fit.spec
    data = bl.read_curves(
        shared("schedules/loss_curves.csv"),
        spec,
        TRAINING_SCHEDULES,
        where=["model_size=25M", "run=" + "|".join(TRAINING_SCHEDULES)],
        rename={"schedule": "run"},
    )
    before = compiled.compile_count
    fit = bl.fit(spec, data)
    checks = {c.name: c for c in bl.checks(fit)}
    assert compiled.compile_count == before
    assert all(c.level != "fail" for c in checks.values())
    assert checks["residual-correlation"].level == "warn"
    forecast = bl.forecast(fit, schedule=ALL_SCHEDULES["wsdld_20000_24000"], steps=[20000, 24000])
    assert forecast["median"].sel(kind="run", step=24000) < forecast["median"].sel(kind="run", step=20000)


def test_chinchilla_posterior_is_the_reference(chinchilla_runs) -> None:
    spec = bl.change(bl.load_model("chinchilla"), discrepancy=None)
    draws = bl.fit(spec, bl.read_table(chinchilla_runs, spec), seed=7).draws
    for name, low, high in (("E", 1.777, 1.836), ("alpha", 0.327, 0.364), ("beta", 0.340, 0.380)):
        assert np.quantile(draws[name], [0.025, 0.975]) == pytest.approx([low, high], abs=0.004)


def test_lone_rows_do_not_break_a_fit(simulated_fit) -> None:
    fit = bl.fit(simulated_fit.spec, simulated_fit.data.isel(obs=[0, 20, 39]), draws=200, tune=400)
    assert np.isfinite(bl.summary(fit)["mean"]).all()
