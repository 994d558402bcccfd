"""The pilot before a discrepancy is sampled, and the weights after it."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.inference import pilot
from bayeslaw.inference.machine import kernel
from bayeslaw.observation.bound import bind


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
