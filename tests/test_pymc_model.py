"""`pymc_model`: a PyMC model with names, dims, data and observed variables, whose density is the package's own."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import TRUTHS, noiseless

import bayeslaw as bl
from bayeslaw.inference.fitting import settle_outliers
from bayeslaw.inference.pymc_model import build_model
from bayeslaw.observation.bound import bind

BROWNIAN = {"kernel": "brownian", "length": None}
INDEPENDENT = {"discrepancy": None}
COUNTED = {"likelihood": "Binomial"}
POOLED = {"pool": {"level": "family"}}
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
def test_its_density_is_that_of_fits(law, way, change):
    """Up to a constant, at draws from the prior; and both it and its gradient are finite there."""
    spec, data = rows_of(law, change)
    model, fitted = bl.pymc_model(spec, data), build_model(settle_outliers(bind(spec, data)))
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
