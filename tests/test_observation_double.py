"""An observation model is one module and one row of a table: shown with one that the package does not have."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import handmade, noiseless
from scipy import stats
from test_statistics import _coordinates, _log_density

import bayeslaw as bl
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.variance import split
from bayeslaw.inference.predictive import draw_prior
from bayeslaw.inference.pymc_model import build_model
from bayeslaw.law import families
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.base import NUMPY, Array, Draws, Rows
from bayeslaw.observation.bound import bind
from bayeslaw.observation.registry import observation_of

# ---- the module: skewed Laplace errors around the law


def observe(spec: bl.Spec) -> Laplace:
    return Laplace()


@dataclass(frozen=True)
class Laplace:
    """Errors of scale ``sigma`` that fall as exp(−lean · r) above the law and as exp(r / lean) below it."""

    def latents(self, rows: Rows) -> dict[str, int]:
        return {}

    def prepare(self, rows: Rows) -> dict[str, Array]:
        return {"observed": rows.y, "sampling_error": rows.error, "log_slope": rows.log_slope}

    def joint(self, mean: Any, values: Draws, terms: Mapping[str, Any], ops: Any) -> Any:
        error, log_slope = terms["sampling_error"], terms["log_slope"]
        return self.each(terms["observed"] - mean, values, error, log_slope, ops).sum()

    def each(self, residual: Any, values: Draws, error: Any, log_slope: Any, ops: Any) -> Any:
        lean, scale = values["lean"], ops.sqrt(values["sigma"] ** 2 + error**2)
        steep = ((lean + 1 / lean) * abs(residual) + (lean - 1 / lean) * residual) / (2 * scale)
        return log_slope - ops.log(scale * (lean + 1 / lean)) - steep

    def scatter(self, rows: Rows) -> Array | None:
        return None

    def unconditioned(self, values: Draws) -> NewRows:
        return NewRows(self, values)

    def condition(self, rows: Rows, mean: Array, values: Draws) -> GivenRows:
        return GivenRows(self, values, rows, mean)


@dataclass(frozen=True)
class NewRows:
    model: Laplace
    values: Draws

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        scale, lean = np.sqrt(self.values["sigma"] ** 2 + new_rows.error**2), self.values["lean"]
        above, below = rng.standard_exponential((2, *new_mean.shape))
        return {"curve": new_mean, "run": new_mean + scale * (above / lean - below * lean)}


@dataclass(frozen=True)
class GivenRows(NewRows):
    rows: Rows
    mean: Array

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        residual = new_rows.y - new_mean
        each = self.model.each(residual, self.values, new_rows.error, new_rows.log_slope, NUMPY)
        return each.sum(axis=-1), each

    def fitted(self) -> Array:
        return self.mean

    def leave_one_out(self) -> Array:
        residual = self.rows.y - self.mean
        return self.model.each(residual, self.values, self.rows.error, self.rows.log_slope, NUMPY)

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        return {}


# ---- the row, and what then works without another change

NOISE = {"sigma": {"meaning": "run noise", "unit": "log", "prior_90": [0.005, 0.05]},
         "lean": {"meaning": "how much steeper above the law than below", "prior_90": [0.8, 1.25]}}  # fmt: skip


@pytest.fixture
def spec(monkeypatch) -> bl.Spec:
    module = ModuleType("bayeslaw.observation.laplace")
    module.observe = observe
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(families.FAMILIES, "Laplace", families.Family("laplace", ("sigma", "lean")))
    return bl.change(bl.load_model("compute"), discrepancy=None, likelihood={"family": "laplace", **NOISE})


@pytest.fixture
def data():
    return noiseless("compute", noise=0.01)[1]


def by_hand(y: np.ndarray, law: np.ndarray, sigma: np.ndarray, lean: np.ndarray) -> np.ndarray:
    """Log densities of the output itself, whose logarithm scatters around the law's."""
    return stats.laplace_asymmetric(kappa=lean, loc=np.log(law), scale=sigma).logpdf(np.log(y)) - np.log(y)


def law_of(fit: bl.Fit, C: np.ndarray) -> np.ndarray:
    E0, C0, alpha = (fit.draws[n].values.reshape(-1, 1) for n in ("E0", "C0", "alpha"))
    return E0 + C0 * C**-alpha


def test_a_spec_says_it_and_is_written_and_read(spec, tmp_path):
    assert (spec.family, set(spec.noise)) == ("Laplace", {"sigma", "lean"})
    path = tmp_path / "law.toml"
    path.write_text(spec.to_toml(), encoding="utf-8")
    again = bl.load_model(path)
    assert again.noise == spec.noise
    assert set(bl.change(again, likelihood="Normal").noise) == {"sigma"}
    with pytest.raises(bl.InputError, match="Laplace"):
        bl.change(spec, likelihood="Cauchy")


def test_beside_a_discrepancy_run_noise_is_normal(spec):
    found = bl.change(bl.load_model("compute"), likelihood={"family": "Laplace", **NOISE})
    assert set(found.noise) == {"sigma", "discrepancy_scale", "discrepancy_length", "discrepancy_slope"}
    assert not isinstance(observation_of(found), Laplace)


@pytest.mark.parametrize("family", families.FAMILIES.values())
def test_every_likelihood_has_a_scale_of_run_noise(family):
    assert "sigma" in family.noise


def test_it_is_bound_and_its_prior_predicts(spec, data):
    bound = bind(spec, data)
    assert isinstance(bound.observation, Laplace)
    assert isinstance(observation_of(bound.spec), Laplace)
    groups = draw_prior(bound, np.random.default_rng(0))
    assert {"sigma", "lean"} <= set(groups["prior"].data_vars)
    assert np.isfinite(groups["prior_predictive"]["neg_log_pass_at_k"]).all()


def test_the_compiled_density_is_the_one_by_hand(spec, data):
    bound = bind(spec, data)
    model = build_model(bound)
    likelihood = [p for p in model.potentials if p.name == "likelihood"]
    drawn = {n: float(v[0]) for n, v in draw_priors(bound.spec, 1, np.random.default_rng(3)).items()}
    values, _ = _coordinates(bound.spec, drawn)
    C, y, ref = data["compute"].values, data["neg_log_pass_at_k"].values, bound.spec.inputs["C"].reference
    law = drawn["level"] * (drawn["floor"] + (1 - drawn["floor"]) * (C / ref) ** -drawn["alpha"])
    expected = by_hand(y, law, drawn["sigma"], drawn["lean"]).sum()
    assert _log_density(model, values, likelihood) == pytest.approx(expected, rel=1e-8)


def test_a_fit_of_it_is_checked_scored_and_forecast(spec, data, tmp_path):
    fit = handmade("compute", spec, data)
    sigma, lean = (fit.draws[n].values.reshape(-1, 1) for n in ("sigma", "lean"))
    C, y = data["compute"].values, data["neg_log_pass_at_k"].values
    each = by_hand(y, law_of(fit, C), sigma, lean)
    np.testing.assert_allclose(bl.log_likelihood(fit).values.reshape(each.shape), each, rtol=1e-8)

    seen = {c.name for c in bl.checks(fit)}
    assert {"few-inputs", "rhat", "prior-conflict", "residual-correlation", "predictive-spread"} <= seen
    assert {"sigma", "lean"} <= set(bl.summary(fit).index)
    assert np.isfinite(fit.bound.rows.y).all()

    ahead = bl.forecast(fit, {"C": [1e23, 1e25]}, draws=True)
    law = law_of(fit, np.array([1e23, 1e25]))
    said = ahead["median"].sel(kind="law").values
    np.testing.assert_allclose(said, np.median(law, axis=0), rtol=1e-6)
    assert (ahead["upper"] > ahead["lower"]).sel(kind="run").all()

    shares = split(fit, {"C": [1e25]}).set_index("component")["share"]
    assert shares.drop("all").sum() == pytest.approx(1.0)

    new = data.isel(obs=slice(0, 5))
    held = held_out(fit, new)
    expected = np.log(np.mean(np.exp(by_hand(y[:5], law_of(fit, C[:5]), sigma, lean)), axis=0))
    np.testing.assert_allclose(held.log_rows, expected, rtol=1e-6)

    again = bl.load_fit(fit.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(bl.log_likelihood(again), bl.log_likelihood(fit))
