"""A discrepancy stated in a file, changed, refused, and checked in a fit."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import bayeslaw as bl
from bayeslaw.assess.discrepancy_checks import discrepancy_checks
from bayeslaw.assess.residual_checks import residual_correlation
from bayeslaw.law.parse import parse_spec
from bayeslaw.observation.shifts import COLUMN

COMPUTE, ANNEALING = bl.load_model("compute"), bl.load_model("annealing")


def test_every_shipped_law_wanders_and_can_be_kept_from_it():
    for name in bl.models()["name"]:
        spec = bl.load_model(name)
        assert spec.discrepancy is not None, name
        assert "discrepancy_scale" in spec.noise
        plain = bl.change(spec, discrepancy=None)
        assert plain.discrepancy is None
        assert set(plain.noise) == set(plain.likelihood) == {"sigma", "nu"}
        assert bl.change(plain, discrepancy=spec.document["discrepancy"]) == spec


def test_run_noise_beside_a_discrepancy_is_normal():
    assert set(COMPUTE.noise) == {"sigma", "discrepancy_scale", "discrepancy_length", "discrepancy_slope"}
    assert set(bl.change(COMPUTE, likelihood={"outliers": True}).noise) == {*COMPUTE.noise, "shift_scale"}
    assert ANNEALING.noise["sigma"].fixed is not None  # [discrepancy] sigma stands in for the likelihood's
    assert ANNEALING.likelihood["sigma"].fixed is None


def test_changes():
    brown = bl.change(COMPUTE, discrepancy={"kernel": "brownian", "length": None})
    assert brown.discrepancy.kernel == "brownian" and "discrepancy_length" not in brown.noise
    wide = bl.change(COMPUTE, prior={"discrepancy_scale": (1, 20)}, fix={"discrepancy_length": 3.0})
    assert wide.noise["discrepancy_scale"].prior_90 == (1, 20)
    assert wide.noise["discrepancy_length"].fixed == 3.0
    assert COMPUTE.discrepancy.relative
    plain = bl.change(COMPUTE, discrepancy={"scale": {"prior_90": [0.01, 0.3], "unit": "log"}})
    assert not plain.discrepancy.relative
    free = bl.change(ANNEALING, prior={"sigma": (0.001, 0.01)})
    assert free.noise["sigma"].prior_90 == (0.001, 0.01)


def test_other_malformed_entries_are_refused():
    with pytest.raises(bl.InputError, match="discrepancy: found 'none', allowed: None, or a table"):
        bl.change(COMPUTE, discrepancy="none")
    for value in ("yes", "Auto", []):
        with pytest.raises(bl.InputError, match=r"\[likelihood\] outliers: found"):
            bl.change(COMPUTE, likelihood={"outliers": value})
    with pytest.raises(bl.InputError, match=r"\[likelihood\] shift_scale"):
        bl.change(COMPUTE, likelihood={"outliers": True, "shift_scale": {"fixed": -1.0}})
    document = copy.deepcopy(dict(COMPUTE.document))
    document["parameters"]["discrepancy_scale"] = {"support": "positive", "prior_90": [1, 2]}
    with pytest.raises(bl.InputError, match="'discrepancy_scale' is taken"):
        parse_spec(document, "mine")
    document = copy.deepcopy(dict(COMPUTE.document))
    document["discrepancy"] = []
    with pytest.raises(bl.InputError, match=r"\[discrepancy\]: expected a table"):
        parse_spec(document, "mine")


# -- checks -----------------------------------------------------------------------------------------


def altered(fit, **draws):
    """Return the fit with other draws of some parameters."""
    tree = fit.tree.copy(deep=True)
    changed = fit.draws.assign({n: (("chain", "draw"), np.asarray(v)) for n, v in draws.items()})
    tree["posterior"] = xr.DataTree(changed)
    return bl.Fit(fit.spec, tree)


def levels(fit):
    return {c.name: c.level for c in discrepancy_checks(fit)}


def test_what_the_data_cannot_tell_is_said(simulated_fit):
    names = [c.name for c in bl.checks(simulated_fit)]
    assert {"discrepancy-size", "discrepancy-noise", "law-misfit", "prior-data"} <= set(names)
    assert "tails" not in names and "outliers" not in names
    rng, shape = np.random.default_rng(0), simulated_fit.draws["sigma"].shape
    score = rng.standard_normal(shape)
    sure = altered(simulated_fit, discrepancy_slope=0.1 * np.exp(0.1 * score))
    assert levels(sure)["discrepancy-size"] == "ok"
    unsure = altered(simulated_fit, discrepancy_slope=0.1 * np.exp(1.4 * score))
    assert levels(unsure)["discrepancy-size"] == "note"
    (check,) = [c for c in discrepancy_checks(unsure) if c.name == "discrepancy-size"]
    assert "[0.01, 1.2] per root e-fold" in check.message
    # Its size in units of the run noise: the two trade off where one falls as the other rises.
    tied = altered(
        simulated_fit, sigma=0.05 * np.exp(0.3 * score), discrepancy_scale=3 * np.exp(-0.9 * score)
    )
    assert levels(tied)["discrepancy-noise"] == "note"
    apart = altered(simulated_fit, sigma=0.05 * np.exp(0.3 * score), discrepancy_scale=np.full(shape, 3.0))
    assert levels(apart)["discrepancy-noise"] == "ok"


def test_rows_with_shifts_are_named(simulated_fit):
    shift = np.zeros(40)
    shift[[4, 30]] = 0.4, -0.9
    tree = simulated_fit.tree.copy(deep=True)
    marked = tree["constant_data"].to_dataset().assign({COLUMN: ("obs", shift)})
    tree["constant_data"] = xr.DataTree(marked)
    (check,) = [c for c in discrepancy_checks(bl.Fit(simulated_fit.spec, tree)) if c.name == "outliers"]
    assert (check.level, check.value) == ("warn", 2.0)
    assert "row 31 (-0.9), row 5 (+0.4)" in check.message


def test_without_a_discrepancy_there_is_nothing_to_check(annealing_fit):
    assert discrepancy_checks(annealing_fit) == []
    assert "tails" in [c.name for c in bl.checks(annealing_fit)]


@pytest.mark.parametrize(
    ("method", "spec", "said", "not_said"),
    [
        ("map", COMPUTE, "this point fit's bootstrap", "independent errors"),
        ("nuts", bl.change(COMPUTE, discrepancy=None), "this fit of independent errors", "discrepancy"),
        ("nuts", COMPUTE, "whose discrepancy over C does not take up", "independent errors"),
    ],
)
def test_correlated_residuals_are_judged_by_what_the_fit_believes(monkeypatch, method, spec, said, not_said):
    data = xr.Dataset({"compute": ("obs", np.geomspace(1e18, 1e22, 40))})
    fit = SimpleNamespace(is_posterior=method == "nuts", spec=spec, data=data)
    monkeypatch.setattr("bayeslaw.assess.residual_checks.residuals", lambda fit: np.sin(np.arange(40) / 6))
    (check,) = residual_correlation(fit)
    assert check.level == "warn"
    assert said in check.message
    assert not_said not in check.message
