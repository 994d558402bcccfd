"""Choose targets where none are asked for: one order of magnitude beyond the largest run seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayeslaw.data.columns import training_compute
from bayeslaw.forecasts.distance import BUDGET
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.forecasts.targets import forecast_inputs
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import used_inputs

_BETTER_IF_SMALLER = ("gold_nll",)
"""Columns that fall as checkpoints get better: beyond the data lies below them."""


def default_targets(fit: Fit | Mixture) -> dict[str, list[float]]:
    """Return a target one order of magnitude beyond the largest run seen, as `distance` counts orders.

    Parameters
    ----------
    fit : Fit or Mixture
        Of laws that forecast at targets.

    Returns
    -------
    dict of str to list of float
        By column. The row with the largest product of inputs, each input times one factor, such that
        ``orders_beyond`` is 1: with parameters and tokens that is ten times its compute. A column that
        falls as checkpoints get better (gold NLL) is divided. Inputs that are not all positive have no
        orders of magnitude: they stay as they are there.
    """
    start: dict[str, float] = {}
    sign: dict[str, float] = {}
    for one, _ in members(fit):
        for column, (value, way) in _largest_run(one).items():
            start.setdefault(column, value)
            sign.setdefault(column, way)
    # A mixture's law in compute must not be asked twice, once by compute and once by its factors.
    twice = len(members(fit)) > 1 and {*BUDGET, "compute"} <= start.keys()

    def at(step: float) -> dict[str, list[float]]:
        out = {c: [_rounded(v * 10 ** (step * sign[c]))] for c, v in start.items()}
        return out | ({"compute": [training_compute(out["params"][0], out["tokens"][0])]} if twice else {})

    return at(_one_order([one for one, _ in members(fit)], at) if any(sign.values()) else 0.0)


def _largest_run(fit: Fit) -> dict[str, tuple[float, float]]:
    """Return value and direction of growth by column, of the row with the largest product of inputs."""
    names = [n for n in used_inputs(fit.spec) if not fit.spec.inputs[n].function]
    columns = dict.fromkeys(fit.spec.inputs[n].column for n in names)
    seen = {c: fit.data[c].values.astype(float) for c in columns}
    sign = {c: (-1.0 if c in _BETTER_IF_SMALLER else 1.0) * (seen[c] > 0).all() for c in columns}
    size = sum(sign[c] * np.log(np.where(seen[c] > 0, seen[c], 1.0)) for c in columns)
    row = int(np.argmax(size))
    return {c: (float(seen[c][row]), float(sign[c])) for c in columns}


def _one_order(fits: list[Fit], at: Callable[[float], dict[str, list[float]]]) -> float:
    """Return the step, in orders of each input, after which targets lie one order beyond the data."""
    low, high = 0.0, 1.0  # an order of every input is an order at least
    while high - low > 1e-4:
        middle = (low + high) / 2
        _, coords, _ = forecast_inputs(fits, at(middle), None, None)
        low, high = (low, middle) if coords["orders_beyond"][0] >= 1 else (middle, high)
    return high


def _rounded(value: float) -> float:
    """Return a number with three significant digits: a target is nobody's exact wish."""
    return float(f"{value:.3g}")
