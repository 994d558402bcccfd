"""Each group's own value of a parameter that is partially pooled."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.core.errors import InputError, check_probability, check_type, did_you_mean
from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.inference.values import fit_values
from bayeslaw.law.evaluate import derive
from bayeslaw.law.spec import Spec
from bayeslaw.observation.pooling import by_row, row_scores


def groups(fit: Fit, parameter: str, prob: float = 0.9) -> pd.DataFrame:
    """Return each group's own value of a parameter, and how the groups compare.

    Parameters
    ----------
    fit : Fit
        With method "nuts", of a law that pools a parameter over groups.
    parameter : str
        A parameter that is pooled, or one of the paper's that follows from it, such as ``"C0"``.
    prob : float
        Probability of the central interval.

    Returns
    -------
    pandas.DataFrame
        A row a group that the table has, in its order; where groups are combinations of several columns'
        labels, these joined by commas. Columns median, lower, upper, mean, sd, rows (of the table),
        unit, and ``> other`` for each group: the probability that this row's group has the larger
        value, NaN against itself. ``attrs["parameter"]`` and ``attrs["prob"]`` say what was asked.

    Raises
    ------
    InputError
        If the fit is no posterior, pools nothing, or the parameter does not differ between groups.

    Notes
    -----
    All groups are drawn together, so that what they share (the law's own value, the spread between groups)
    moves them alike: two groups whose intervals overlap may still differ surely.
    """
    check_fit("groups(fit, parameter)", fit, posterior=True)
    check_type("parameter", parameter, str, "a parameter's name")
    check_probability("prob", prob)
    spec = fit.spec
    pooled = _pooled_behind(spec, parameter)
    columns = list(dict.fromkeys(c for name in pooled for c in spec.pool_columns[spec.pooled[name]]))
    labels = list(zip(*(np.asarray(fit.bound.rows.columns[c]).tolist() for c in columns), strict=True))
    seen = list(dict.fromkeys(labels))
    values = _own_values(
        fit, parameter, dict(zip(columns, map(np.array, zip(*seen, strict=True)), strict=True))
    )
    values = values[np.isfinite(values).all(axis=1)]  # draws in which some group has no value compare nothing
    if not len(values):
        raise InputError(f"groups: {parameter!r} has no finite value in any draw; look at the fit's checks.")
    names = [", ".join(label) for label in seen]
    if len(set(names)) < len(names):  # labels that hold commas themselves
        names = [" | ".join(map(repr, label)) for label in seen]
    low, middle, high = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    entry = spec.derived.get(parameter) or spec.parameters[parameter]
    table = pd.DataFrame(
        {
            "median": middle, "lower": low, "upper": high, "mean": values.mean(axis=0), "sd": values.std(axis=0),
            "rows": [labels.count(label) for label in seen], "unit": entry.unit or "1",
            **{f"> {other}": _larger(values, i) for i, other in enumerate(names)},
        },
        index=pd.Index(names, name="group"),
    )  # fmt: skip
    table.attrs |= {"parameter": parameter, "prob": float(prob), "columns": columns}
    return table


def _pooled_behind(spec: Spec, parameter: str) -> list[str]:
    """Return the pooled parameters that a parameter is or follows from."""
    if not spec.pooled:
        raise InputError(
            f"groups: the law '{spec.name}' pools no parameter over groups; fit change(spec, pool={{…}}) / --pool."
        )
    known = [*spec.scalar_names, *spec.constants]
    if parameter not in known:
        raise InputError(f"groups: unknown parameter {parameter!r}{did_you_mean(parameter, known)}")
    behind, waiting = set(), [parameter]
    while waiting:
        name = waiting.pop()
        behind.add(name)
        if name in spec.derived:
            waiting += spec.derived[name].formula.symbols - behind
    if not (found := [name for name in spec.pooled if name in behind]):
        told = ", ".join(spec.pooled)
        raise InputError(
            f"groups: {parameter!r} is the same in all groups; allowed: {told}, which the law pools, and what follows from it."
        )
    return found


def _own_values(fit: Fit, parameter: str, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return draws of each group's own value, shape (draws, groups)."""
    spec, values = fit.spec, fit_values(fit)
    scores = row_scores(spec, values, fit.bound.labels, columns)
    own = {n: v for n, v in by_row(spec, values, scores, np).items() if n in spec.scalar_names}
    with np.errstate(all="ignore"):
        own |= derive(spec, own)
    return np.asarray(own[parameter])


def _larger(values: np.ndarray, other: int) -> np.ndarray:
    """Return the probability that each group's value is larger than another's; NaN for that one."""
    larger = (values > values[:, [other]]).mean(axis=0)
    larger[other] = np.nan
    return larger
