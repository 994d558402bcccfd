"""A fit's parameters in one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.assess.convergence import convergence
from bayeslaw.core.errors import check_probability
from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.inference.values import flat_values
from bayeslaw.law.spec import Parameter


def summary(fit: Fit, prob: float = 0.9) -> pd.DataFrame:
    """Summarise the parameters: the paper's first, then those that were sampled.

    Parameters
    ----------
    fit : Fit
    prob : float
        Probability of the central interval.

    Returns
    -------
    pandas.DataFrame
        Index parameter; columns median, lower, upper, mean, sd, rhat, ess_bulk, ess_tail, unit,
        meaning. A point fit has ``point`` first, and the rest, R-hat and ESS aside, of its bootstrap.
        The median comes first since heavy tails have no telling mean. ``attrs["prob"]`` is `prob`.

    Raises
    ------
    InputError
        If `prob` is no probability.
    """
    check_fit("summary(fit)", fit)
    check_probability("prob", prob)
    draws = fit.draws
    flat = {n: v[:, 0] for n, v in flat_values(draws).items()}
    names = [*fit.spec.constants, *(n for n in flat if n not in fit.spec.derived)]
    statistics = convergence(draws) if fit.is_posterior else {}
    rows = []
    for name in names:
        values = flat[name]
        row: dict = {"parameter": name}
        if not fit.is_posterior:
            row["point"] = float(fit.tree["point"][name])
        row |= _located(values, prob)
        row |= {key: float(per[name]) for key, per in statistics.items()}
        rows.append({**row, **_describe(fit, name)})
    table = pd.DataFrame(rows).set_index("parameter")
    table.attrs["prob"] = float(prob)
    return table


def _located(values: np.ndarray, prob: float) -> dict[str, float]:
    """Locate draws: median, ends of the central interval, mean, sd; NaN where there are none."""
    if not len(values):
        return dict.fromkeys(("median", "lower", "upper", "mean", "sd"), np.nan)
    low, median, high = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
    return {"median": median, "lower": low, "upper": high, "mean": values.mean(), "sd": values.std()}


def _describe(fit: Fit, name: str) -> dict[str, str]:
    spec = fit.spec
    owner = next((p for p in spec.parameters.values() if name in p.names), None)
    if owner is not None:
        return {"unit": "share", "meaning": f"{owner.meaning}: {name}"}
    entry = spec.derived.get(name) or spec.parameters.get(name) or spec.noise[name]
    share = isinstance(entry, Parameter) and entry.support == "unit"
    unit = entry.unit or ("share" if share else "1")  # "1": a pure number
    return {"unit": unit, "meaning": entry.meaning}
