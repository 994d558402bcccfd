"""Summaries of a forecast's draws: mean, median and interval, and where there is none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.core.draws import over_draws
from bayeslaw.law.spec import LARGEST, Spec
from bayeslaw.observation.base import to_output

KINDS = ("law", "curve", "run")
QUANTITIES = ("mean", "median", "lower", "upper")
VALUELESS = 0.01
"""A forecast of which a larger share of draws has no value is none; nor is an interval, where as many lie beyond an end."""


def summaries(spec: Spec, kinds: Mapping[str, np.ndarray], prob: float) -> dict[str, np.ndarray]:
    """Summarise draws of every kind.

    Parameters
    ----------
    spec : Spec
    kinds : mapping of str to numpy.ndarray, shape (draws, targets)
        On the scale of errors; those without a value there are left out.
    prob : float
        Of the interval.

    Returns
    -------
    dict of str to numpy.ndarray, shape (kinds, targets)
        Mean, median, lower and upper in the output's unit; ``valueless``, the share of draws that
        were left out.
    """
    done: dict[int, dict[str, np.ndarray]] = {}
    for draws in kinds.values():
        if id(draws) not in done:  # without a discrepancy, curve is law: summarised once
            valued = np.isfinite(draws)
            mean, (low, middle, high) = over_draws(draws, valued, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
            with np.errstate(all="ignore"):
                parts = zip(QUANTITIES, (mean, middle, low, high), strict=True)
                done[id(draws)] = {n: to_output(spec, v) for n, v in parts}
            done[id(draws)]["valueless"] = 1 - valued.mean(axis=0)
    return {n: np.stack([done[id(kinds[k])][n] for k in KINDS]) for n in (*QUANTITIES, "valueless")}


def finite_checks(
    told: Mapping[str, np.ndarray], steps: np.ndarray | None = None, prob: float = 0.9
) -> list[Check]:
    """Say where a run's forecast is no number, or rests on a part of the draws.

    Parameters
    ----------
    told : mapping of str to numpy.ndarray, shape (kinds, targets)
        As `summaries` returns them.
    steps : numpy.ndarray, shape (targets,), optional
        Of a schedule.
    prob : float
        Of the interval.

    Returns
    -------
    list of Check
        ``finite``, where that is so; else none.
    """
    run = KINDS.index("run")
    wrong = ~np.all([np.abs(told[n][run]) <= LARGEST for n in QUANTITIES], axis=0)
    lacking = told["valueless"][run]
    share = f"the law has no value on the scale of errors in up to {100 * lacking.max():.2g} % of the draws, which are left out"
    for level, odd, what in (
        ("fail", wrong, "the forecast is no finite number: there the law has no value, or one too large"),
        ("fail", lacking > VALUELESS, share),
        (
            "fail",
            lacking >= (1 - prob) / 2,
            f"{share}: no fewer than lie beyond an end of the {100 * prob:g} % interval",
        ),
        ("warn", lacking > 0, share),
    ):
        if odd.any():
            first = int(np.flatnonzero(odd)[0])
            where = f"number {first + 1}" if steps is None else f"step {steps[first]}"
            message = (
                f"At {int(odd.sum())} of {len(odd)} {'targets' if steps is None else 'steps'} (the first is {where}) "
                f"{what}. Look at the inputs and their units; the law breaks down so far from the data, so "
                "forecast nearer to them."
            )
            return [Check("finite", level, float(lacking.max()), message)]
    return []
