"""Find which way a law goes, and whether a table clearly goes the other way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import stdtr

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError
from bayeslaw.law.catalogue import resolve
from bayeslaw.law.evaluate import evaluate_law, law_inputs, to_scale
from bayeslaw.law.priors import draw_priors
from bayeslaw.law.spec import Spec

SURE = 1e-4
"""Chance, in a table of noise, of coefficients as clear as those that are called against the law."""
WITH = 0.05
"""Chance of a coefficient as clear as one that speaks for the law, where inputs that grow together hide each other's."""
_ROUNDING = 1e-9
_COLLINEAR = 1e-6
_DRAWS = 64


def directions(spec: Spec, data: xr.Dataset) -> dict[str, float]:
    """Say which way a law goes when one column alone grows, whatever its parameters.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset

    Returns
    -------
    dict of str to float
        By column of the inputs that vary: 1 up, −1 down, 0 where that depends on the parameters.
    """
    try:
        frozen = resolve(spec, data)
        inputs = law_inputs(frozen, data)
    except InputError:  # said when the law is fitted
        return {}
    values = {n: v[:, None] for n, v in draw_priors(frozen, _DRAWS, np.random.default_rng(0)).items()}
    middle = {n: np.repeat(v[[len(v) // 2]], 2, axis=0) for n, v in inputs.items()}
    out = {}
    for column in dict.fromkeys(spec.inputs[n].column for n, v in inputs.items() if v.ndim == 1):
        ends = np.quantile(data[column].values.astype(float), [0.0, 1.0])
        if ends[0] == ends[1]:
            continue
        moved = {n: ends if spec.inputs[n].column == column else v for n, v in middle.items()}
        with np.errstate(all="ignore"):
            law = np.broadcast_to(evaluate_law(frozen, values, moved), (_DRAWS, 2))
            ways = np.sign(law[:, 1] - law[:, 0])
        told = set(ways[np.isfinite(ways)]) - {0.0}
        out[column] = told.pop() if len(told) == 1 else 0.0
    return out


def against_law(spec: Spec, data: xr.Dataset, names: Sequence[str]) -> list[Check]:
    """Say when the output clearly goes the other way than the law can, in every input."""
    ways = directions(spec, data)
    if not ways or not all(ways.values()):
        return []
    name, columns = spec.output.name, list(ways)
    y = data[name].values
    z = to_scale(y, spec.output.scale)
    if np.ptp(z) <= _ROUNDING * max(1.0, np.abs(z).max()):  # what is all one value goes nowhere
        return []
    # Whatever grows along x grows with the law: against it are coefficients that are clearly negative.
    x = np.stack([_logs(data[c].values.astype(float)) * ways[c] for c in columns], axis=1)
    if not _clearly_negative(x, z):
        return []
    size = ((x - x.mean(axis=0)) / x.std(axis=0)).sum(axis=1)
    ends = [int(i) for i in (size.argmin(), size.argmax())]
    seen = " but ".join(
        f"{y[i]:.3g} at {' and '.join(f'{c} = {data[c].values[i]:.3g}' for c in columns)} ({names[i]})"
        for i in ends
    )
    goes, law = ("rises", "falls") if set(ways.values()) == {-1.0} else ("falls", "rises")
    if len(set(ways.values())) > 1:
        goes, law = "goes the other way", "does not"
    message = (
        f"{name} {goes} with {' and with '.join(columns)}, where model '{spec.name}' {law}: {seen}. Is it another "
        "quantity (an accuracy, say), or a column in the wrong order? The fit can only call the rows noise."
    )
    return [Check("against-law", "warn", float(len(z)), message)]


def _logs(values: np.ndarray) -> np.ndarray:
    return np.log(values) if (values > 0).all() else values


def _clearly_negative(x: np.ndarray, z: np.ndarray) -> bool:
    """Return whether all coefficients are negative, in the values and in their ranks: jointly, or one by one and none jointly is not.

    Inputs that grow together each leave a joint coefficient that nobody can tell, though z goes with all of them.
    """
    both = (x, z), (pd.DataFrame(x).rank().to_numpy(), pd.Series(z).rank().to_numpy())
    jointly = max(_least_negative(*pair) for pair in both)
    alone = max(_least_negative(a[:, [i]], b) for a, b in both for i in range(a.shape[1]))
    return jointly <= SURE or (alone <= SURE and jointly < 1 - WITH)


def _least_negative(x: np.ndarray, z: np.ndarray) -> float:
    """Return the largest p-value of a negative coefficient, in a regression on all columns; 1 if it can't be told."""
    x = x - x.mean(axis=0)
    kept: list[int] = []
    for column in range(x.shape[1]):  # columns that others make up tell nothing of their own
        others = x[:, kept]
        rest = x[:, column] - others @ np.linalg.lstsq(others, x[:, column])[0] if kept else x[:, column]
        if np.linalg.norm(rest) > _COLLINEAR * np.linalg.norm(x[:, column]):
            kept.append(column)
    x, free = x[:, kept], len(z) - len(kept) - 1
    if free < 2 or not kept:
        return 1.0
    coefficients = np.linalg.lstsq(x, z - z.mean())[0]
    left = z - z.mean() - x @ coefficients
    spread = np.sqrt((left @ left) / free * np.diag(np.linalg.inv(x.T @ x)))
    with np.errstate(all="ignore"):
        return float(
            stdtr(free, np.where(spread > 0, coefficients / spread, np.sign(coefficients) * np.inf)).max()
        )
