"""The pilot before a discrepancy is sampled, and the weights after it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.inference import pilot
from bayeslaw.inference.machine import kernel, posterior
from bayeslaw.law.parse import parse_spec
from bayeslaw.observation.bound import bind
from bayeslaw.observation.discrepancy_grid import beyond, chances, misses


def test_weights_are_smoothed_and_not_turned_round():
    log_weights = np.random.default_rng(0).standard_normal(400)
    smooth, k = pilot._smoothed(log_weights)
    assert np.corrcoef(smooth, log_weights)[0, 1] > 0.99
    assert k < 0.7
    order = np.argsort(log_weights)
    assert (np.diff(smooth[order]) >= 0).all()


def test_draws_are_drawn_again_towards_the_exact_density():
    """Draws of a normal that is too wide, told how far its log density is off, become those of the right one."""
    x = np.random.default_rng(1).normal(0, 1.2, 4000)
    exact_less_used = -0.5 * x**2 + 0.5 * (x / 1.2) ** 2
    smooth, _ = pilot._smoothed(exact_less_used)
    weights = np.exp(smooth - smooth.max())
    assert np.average(x**2, weights=weights) == pytest.approx(1, rel=0.1)


def test_weights_of_few_draws_are_left_as_they_are():
    log_weights = np.linspace(0, 1, 24)
    smooth, k = pilot._smoothed(log_weights)
    assert (smooth == log_weights).all()
    assert np.isnan(k)


def test_as_few_draws_as_are_allowed_are_fitted():
    spec, data = noiseless("compute", noise=0.05)
    fit = bl.fit(spec, data, draws=4, tune=50, chains=1, progress=False)
    assert fit.draws.sizes["draw"] == 4


def test_a_density_without_a_value_somewhere_is_no_obstacle(monkeypatch):
    """Far from the mode a law may have no value; where it has none anywhere there is no pilot."""
    bound = bind(*noiseless("compute", noise=0.05))
    run, gone = kernel.run_program, np.arange(0)

    def holed(program, points):
        found = run(program, points)
        if len(points) > 100:  # the draws around the mode, which is the first of them
            found[gone % len(found), 0] = np.nan
        return found

    monkeypatch.setattr(kernel, "run_program", holed)
    whole = len(pilot._around_the_mode(bound)["sigma"])
    gone = np.arange(1, 60)
    assert 0 < len(pilot._around_the_mode(bound)["sigma"]) < whole
    gone = np.arange(1000)
    assert pilot._around_the_mode(bound) is None


def unequal(noise=0.03, count=16):
    """Rows whose known errors span two orders, run noise between them."""
    rng, spec = np.random.default_rng(4), bl.load_model("compute")
    compute, error = np.geomspace(1e18, 1e22, count), rng.permutation(np.geomspace(0.004, 0.4, count))
    y = 0.3 + 2.0 * (compute / 1e20) ** -0.15
    p = np.exp(-y * np.exp(noise * rng.standard_normal(count)))
    table = pd.DataFrame({"compute": compute, "pass_at_k": p, "sampling_error": error * -np.log(p), "k": 1})
    return bind(spec, bl.read_table(table, spec))


def test_draws_do_not_run_away_beyond_the_run_noises_that_are_known():
    """Between known run noises densities are blended; beyond them they were far too high where errors are unequal."""
    bound = pilot.settle_grid(unequal())
    low, high = np.exp(bound.terms["log_sigmas"])[[0, -1]]
    program = posterior.posterior_program(bound)
    points = np.random.default_rng(0).normal(0, 1.2, (4000, program.density.inputs))
    used = kernel.run_program(program.density, points)[:, 0]
    near = used > np.nanmax(used) - 30
    draws = {n: v[near].reshape(near.sum(), -1) for n, v in posterior.named_values(program, points).items()}
    seen = pilot._seen(bound, draws)
    found = misses(bound.spec, bound.rows, seen, chances(bound.spec, bound.rows, seen))
    outside = (seen.sigma < low) | (seen.sigma > high)
    assert outside.sum() > 20
    assert (found - np.median(found))[outside].max() < 0.5, "never likelier than they are"
    assert beyond(bound.rows, seen.sigma) == pytest.approx(outside.mean(), abs=0.1)


def test_a_fit_of_unequal_errors_is_that_of_pymc():
    bound = unequal()
    ours, theirs = (
        bl.fit(bound.spec, bound.data, sampler=s, progress=False).draws for s in ("nutpie", "pymc")
    )
    for name in ("alpha", "sigma", "floor"):
        a, b = (np.log(d[name].values.ravel()) for d in (ours, theirs))
        assert abs(a.mean() - b.mean()) < 0.25 * b.std()
        assert a.std() == pytest.approx(b.std(), rel=0.25)


def test_rows_that_never_vary_are_refused_in_words():
    spec = bl.load_model("power")
    table = pd.DataFrame({"x": np.logspace(1, 4, 14), "y": np.full(14, 2.0)})
    with pytest.raises(bl.InputError, match="same in every row"):
        bl.fit(spec, bl.read_table(table, spec), progress=False)


def test_a_sampler_is_no_part_of_a_point_fit():
    with pytest.raises(bl.InputError, match="sampler"):
        bl.fit(*noiseless("power", noise=0.05), "map", sampler="pymc", progress=False)


def test_a_law_without_a_gradient_is_refused_in_words():
    document = {**bl.load_model("power").document, "law": "E + A * (x / ref_x - 1)**alpha"}
    document["inputs"] = {"x": {**document["inputs"]["x"], "reference": "minimum"}}
    spec = parse_spec(document, "flat")
    table = pd.DataFrame({"x": np.logspace(1, 4, 14), "y": 2 + np.logspace(0, -1, 14)})
    with pytest.raises(bl.InputError, match="no finite value and gradient"):
        bl.fit(spec, bl.read_table(table, spec), progress=False)
