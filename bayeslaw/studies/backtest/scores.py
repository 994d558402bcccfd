"""What a back-test says of one window: its forecast of the held-out rows, scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayeslaw.assess.checks import checks
from bayeslaw.forecasts.heldout import HeldOut, held_out
from bayeslaw.forecasts.intervals import VALUELESS
from bayeslaw.forecasts.scores import (
    central_interval,
    coverage,
    crps,
    interval_score,
    middle,
    own_coverage_range,
    own_pit_range,
    pit,
)
from bayeslaw.inference.fit import Fit

LEVELS = (0.5, 0.8, 0.9, 0.95)
SCORED = 0.9
"""Probability of the intervals that are scored and whose width is told."""
_EXPECTED = {"pit_mean_low": 0.05, "pit_mean_high": 0.95, "pit_mean_lowest": 0.01, "pit_mean_highest": 0.99}
"""Points of the mean PIT that a forecast itself expects."""
_SCORE_DRAWS = 2000


def window_scores(fitted: Fit, given: Mapping[str, Any]) -> dict[str, Any]:
    """Score a window's forecast of the rows that it did not see.

    Parameters
    ----------
    fitted : Fit
        To the window's rows.
    given : mapping
        ``held``, the held-out rows, and ``places``, their numbers in the table of ``size`` rows;
        ``target``, which of them is the target, or None; ``seed``, and ``seeds`` of what is drawn in scoring.

    Returns
    -------
    dict of str to object
        By the names of `bayeslaw.studies.backtest.variables.VARIABLES`; ``failed``, the checks that failed.
    """
    rng = np.random.default_rng(given["seeds"])
    held = _in_one_unit(fitted, held_out(fitted, given["held"], _SCORE_DRAWS, given["seed"]))
    scores = row_scores(held, rng)
    places = np.full(given["size"], np.nan)
    places[given["places"]] = scores["pit"]
    if given["target"] is not None:
        scores |= target_scores(held, given["target"], scores["pit"])
    failed = [c.name for c in checks(fitted) if c.level == "fail"]
    if (~np.isfinite(held.draws)).mean(axis=0).max() > VALUELESS:
        failed.append("finite")  # as a forecast of these rows would say
    return {**scores, "pit": places, "failed": ", ".join(failed)}


def _in_one_unit(fitted: Fit, held: HeldOut) -> HeldOut:
    """Return counts' shares from a point fit, too, whose output is their logarithm and density another."""
    if not fitted.spec.traits.counts or fitted.is_posterior:
        return held
    none, to_shown = np.full(len(held.observed), np.nan), fitted.spec.traits.to_shown
    return replace(
        held, observed=to_shown(held.observed), draws=to_shown(held.draws), log_joint=np.nan, log_rows=none
    )


def row_scores(held: HeldOut, rng: np.random.Generator) -> dict[str, Any]:
    """Score the held-out rows of a window."""
    y, draws = held.observed, held.draws
    lower, upper = central_interval(draws, SCORED)
    relative = width = np.nan
    if (y > 0).all() and (lower > 0).all():  # one draw of heavy tails may underflow to zero
        ends = np.log(lower), np.log(upper)
        relative = interval_score(np.log(y), *ends, SCORED).mean()
        width = (ends[1] - ends[0]).mean()
    low, high = own_coverage_range(draws, LEVELS, rng)
    places = pit(draws, y, rng)
    expected = own_pit_range(draws, rng, tuple(_EXPECTED.values()))
    return {
        "error": _relative_error(middle(draws), y).mean(),
        "crps": crps(draws, y).mean(),
        "log_score_joint": held.log_joint,
        "log_score_row": held.log_rows.mean(),
        "interval_score": interval_score(y, lower, upper, SCORED).mean(),
        "interval_score_relative": relative,
        "width_relative": width,
        "coverage": np.array([coverage(y, *central_interval(draws, p)) for p in LEVELS]),
        "coverage_low": low,
        "coverage_high": high,
        "pit": places,
        "pit_mean": places.mean(),
        **dict(zip(_EXPECTED, expected, strict=True)),
    }


def target_scores(held: HeldOut, at: int, places: np.ndarray) -> dict[str, Any]:
    """Say what was predicted of the target row."""
    draws, y = held.draws[:, [at]], held.observed[at]
    lower, upper = np.transpose([np.ravel(central_interval(draws, p)) for p in LEVELS])
    median = middle(draws)[0]
    return {
        "target_error": _relative_error(median, y), "target_median": median,
        "target_lower": lower, "target_upper": upper, "target_pit": places[at],
    }  # fmt: skip


def _relative_error(median: Any, observed: Any) -> Any:
    with np.errstate(all="ignore"):  # of a value of zero there is no relative error: inf or NaN
        return np.abs(median - observed) / np.abs(observed)
