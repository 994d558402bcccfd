"""What a law says in terms that windows can be compared by: its parameters, local exponents, its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayeslaw.inference.fit import Fit
from bayeslaw.inference.values import fit_values, flat_values, natural_names, noise_values
from bayeslaw.law.evaluate import evaluate_law
from bayeslaw.law.spec import Spec

_STEP = 1e-4


@dataclass(frozen=True)
class Quantity:
    """Draws of one quantity.

    Attributes
    ----------
    draws : xarray.DataArray
        Dims (chain, draw), in its own unit.
    scaled : xarray.DataArray
        The same on the scale on which it is judged.
    prior_sd : float
        Of the prior on that scale.
    unit, scale : str
        ``scale`` is log or identity.
    """

    draws: xr.DataArray
    scaled: xr.DataArray
    prior_sd: float
    unit: str
    scale: str


def quantities(fit: Fit, place: Mapping[str, np.ndarray]) -> dict[str, Quantity]:
    """Return a fit's comparable quantities.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    place : mapping of str to numpy.ndarray
        The law's inputs where local exponents and its value are taken, as `row_columns` has them, of
        one row.

    Returns
    -------
    dict of str to Quantity
        The paper's parameters, ``slope_<input>`` for inputs that are plain columns of positive
        numbers (d log y / d log input), and ``value``, the law at the place. What has one sign under
        the prior is judged by its logarithm.
    """
    spec, columns = fit.spec, place
    prior = fit.tree["prior"].to_dataset()
    shape = fit.draws.sizes["chain"], fit.draws.sizes["draw"]
    ours, theirs = (
        {**_parameters(spec, draws), **_local(spec, values, columns)}
        for draws, values in ((fit.draws, fit_values(fit)), (prior, noise_values(spec, flat_values(prior))))
    )
    out = {}
    for name, values in ours.items():
        if (values == values[0]).all():  # fixed, or it follows from what is
            continue
        before = theirs[name][np.isfinite(theirs[name])]
        one_sign = (before > 0).all() or (before < 0).all()
        with np.errstate(all="ignore"):
            scaled, width = (np.log(np.abs(v)) if one_sign else v for v in (values, before))
        draws, scaled = (
            xr.DataArray(v.reshape(shape), fit.draws.coords, ("chain", "draw"), name)
            for v in (values, scaled)
        )
        width = float(width[np.isfinite(width)].std())
        out[name] = Quantity(draws, scaled, width, _unit(spec, name), "log" if one_sign else "identity")
    return out


def _parameters(spec: Spec, draws: xr.Dataset) -> dict[str, np.ndarray]:
    return {n: draws[n].values.ravel() for n in natural_names(spec, draws)}


def _local(
    spec: Spec, values: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the law at the one row and its local exponents, shape (draws,)."""
    kept = {n: v for n, v in values.items() if n not in spec.derived and np.shape(v)[-1:] in ((), (1,))}

    def law(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        size = max((np.size(v) for v in kept.values()), default=1)
        with np.errstate(all="ignore"):
            return np.broadcast_to(evaluate_law(spec, kept, inputs), (size, 1))[:, 0]

    out = {}
    for name, entry in spec.inputs.items():
        if entry.function or name not in columns or not (columns[name] > 0).all():
            continue
        ends = [law({**columns, name: columns[name] * np.exp(sign * _STEP)}) for sign in (1, -1)]
        with np.errstate(all="ignore"):
            out[f"slope_{name}"] = (np.log(np.abs(ends[0])) - np.log(np.abs(ends[1]))) / (2 * _STEP)
    return {**out, "value": law(columns)}


def _unit(spec: Spec, name: str) -> str:
    if name == "value":
        return spec.output.unit
    entry = spec.derived.get(name) or spec.parameters.get(name)
    return getattr(entry, "unit", "") or "1"
