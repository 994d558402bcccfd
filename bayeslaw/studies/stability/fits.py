"""The fits of a study's windows: with which noise and references, and what is kept of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import wasserstein_distance

from bayeslaw.assess.convergence import sampler_checks
from bayeslaw.assess.few_inputs import few_inputs
from bayeslaw.assess.prior_checks import prior_sensitivity
from bayeslaw.core.draws import over_draws
from bayeslaw.core.errors import InputError
from bayeslaw.data.windows import Window
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import fitted_mean
from bayeslaw.law.catalogue import change
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.studies.stability.quantities import Quantity, quantities
from bayeslaw.studies.tasks import Outcome, Task

LEAST_ROWS = 3
_CAREFUL = 0.98
"""NUTS' target acceptance for short windows, which leave much to the priors; these fits are quick."""
_ENOUGH_ROWS = 20
"""From here on run noise is told by neighbours rather than by a fit."""
_PER_PARAMETER = {
    "median": ("own", "posterior median"),
    "lower": ("own", "lower end of the posterior's central interval"),
    "upper": ("own", "upper end of the posterior's central interval"),
    "sd": ("scale", "posterior standard deviation on the parameter's scale"),
    "sd_prior": ("scale", "the prior's standard deviation on that scale"),
    "sensitivity": ("1", "how much a stronger prior would move it; from 0.05 on the prior has a say"),
    "distance": ("own", "Wasserstein distance to the posterior of all rows"),
    "distance_sd": ("sd", "the same on the parameter's scale, in standard deviations of all rows' posterior"),
}
_PER_WINDOW = {
    "target_median": "median of the forecast of the target",
    "target_lower": "lower end of the forecast's interval",
    "target_upper": "upper end of the forecast's interval",
}


def first_rows(data: xr.Dataset, windows: Sequence[Window]) -> xr.Dataset:
    """Return the rows of the shortest window that is fitted: every longer one contains them."""
    return data.isel(obs=next(w.seen for w in windows if len(w.seen) >= LEAST_ROWS))


def middle_place(target: BoundLaw) -> dict[str, np.ndarray]:
    """Return the middle of the shortest trailing window: there its slope is known best."""
    columns = target.rows.columns
    middle = {n: i.reference for n, i in target.spec.inputs.items() if isinstance(i.reference, float)}
    return {n: np.array([middle[n]]) if n in middle else v for n, v in columns.items()}


def needs_noise(spec: Spec) -> bool:
    """Return whether trailing windows take the run noise of all rows; curves and counts keep their own."""
    return (spec.discrepancy is None or spec.marginalised) and not spec.traits.counts


def without_discrepancy(spec: Spec, noise: float | None) -> Spec:
    """Return the law with independent errors, and the run noise that the whole table shows.

    One noise for all windows: else a window of a few rows that happen to lie well would make all
    longer ones look as if they had drifted, and a drift would hide in its own noise.

    Parameters
    ----------
    spec : Spec
    noise : float or None
        From `run_noise`, where `needs_noise`.

    Returns
    -------
    Spec
    """
    if spec.discrepancy is not None and not spec.marginalised:
        return spec  # curves keep their correlated errors: those are noise
    spec = change(spec, discrepancy=None)
    if noise is None:
        return spec
    # Heavy tails would call the rows that speak against the law outliers, and be sure of the rest.
    return change(spec, likelihood={"family": "Normal", "sigma": {"fixed": noise}})


def run_noise(fitted: Fit, along: str) -> float:
    """Return the run noise that all rows show: between neighbours, or of few rows by the fit."""
    if fitted.data.sizes["obs"] >= _ENOUGH_ROWS:
        return neighbours_noise(fitted, along)
    return float(fitted.draws["sigma"].median())


def neighbours_noise(fitted: Fit, along: str) -> float:
    """Estimate run noise from how far rows lie off the line between their neighbours.

    Parameters
    ----------
    fitted : Fit
        Of all rows.
    along : str

    Returns
    -------
    float
        On the scale of errors, sampling errors taken out. A law that bends away from the data does
        not add to it, as it does to a fitted noise.

    References
    ----------
    Gasser, Sroka, Jennen-Steinmetz (1986), doi:10.1093/biomet/73.3.625
    """
    rows = fitted.bound.rows
    order = np.argsort(fitted.data[along].values, kind="stable")
    x = np.log(fitted.data[along].values[order])
    own = (rows.y - np.median(fitted_mean(fitted, thin=8), axis=0))[order]
    gap = x[2:] - x[:-2]
    share = np.where(gap > 0, (x[2:] - x[1:-1]) / np.where(gap > 0, gap, 1.0), 0.5)
    off = share * own[:-2] + (1 - share) * own[2:] - own[1:-1]
    off = off / np.sqrt(share**2 + (1 - share) ** 2 + 1)
    wide = 3 * 1.4826 * np.median(np.abs(off))  # outliers must not decide
    least = fitted.spec.noise["sigma"].prior_90
    noise = np.mean(np.clip(off, -wide, wide) ** 2) - np.mean(rows.error**2)
    return float(np.sqrt(max(noise, (least[0] if least else 1e-4) ** 2)))


def window_tasks(
    whole: Task, windows: Sequence[Window], row: int, noise_along: str | None = None
) -> list[Task]:
    """Return what is to be fitted: every window that has rows enough.

    Parameters
    ----------
    whole : Task
        Of the whole table; its law and settings are those of every window, and what is given to
        `window_said` but for the window's own.
    windows : sequence of Window
    row : int
        The row that is forecast where a window does not see it.
    noise_along : str, optional
        The column along which the last window's run noise is measured.

    Returns
    -------
    list of Task
        Windows half an order apart may see the same rows: they share a fit.
    """
    independent, data = whole.spec.discrepancy is None, whole.data
    return [
        replace(
            whole, data=data.isel(obs=w.seen),
            settings={**whole.settings, "target_accept": _CAREFUL if independent else None},
            given={
                **whole.given, "target": None if row in w.seen else data.isel(obs=[row]),
                "noise_along": noise_along if w is windows[-1] else None,
            },
            key=w.seen.tobytes(),
        )
        for w in windows
        if len(w.seen) >= LEAST_ROWS
    ]  # fmt: skip


def window_said(fitted: Fit, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a window's fit.

    Parameters
    ----------
    fitted : Fit
    given : mapping
        ``place``, where slopes and the law's value are taken; ``target``, the row to be forecast, or None;
        ``ends``, of its interval; ``noise_along``, the column along which run noise is measured, or None;
        ``seed``.

    Returns
    -------
    dict of str to object
        ``quantities``, each as the fields of a `Quantity`; ``failed``, the sampler's checks; ``few_inputs``; ``sensitivity`` by quantity; the
        target's forecast; ``noise``.
    """
    kept = quantities(fitted, given["place"])
    record: dict[str, Any] = {"quantities": {n: vars(q) for n, q in kept.items()}, "noise": None}
    record["failed"] = ", ".join(c.name for c in sampler_checks(fitted) if c.level == "fail")
    record["few_inputs"] = few_inputs(fitted.bound).level == "fail"
    record["sensitivity"] = prior_sensitivity(fitted, xr.Dataset({n: q.draws for n, q in kept.items()}))
    if given["target"] is not None:
        told = held_out(fitted, given["target"], seed=given["seed"]).draws
        low, high = given["ends"]
        _, ends = over_draws(told, np.isfinite(told), [low, 0.5, high])
        names = ("target_lower", "target_median", "target_upper")
        record |= dict(zip(names, ends[:, 0], strict=True))
    if given["noise_along"] is not None:
        record["noise"] = run_noise(fitted, given["noise_along"])
    return record


def records_of(windows: Sequence[Window], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return a record of every window; of one that has no fit, why.

    Raises
    ------
    InputError
        If the last window, which sees all rows, has none.
    """
    waiting, records = list(outcomes), []
    for window in windows:
        if len(window.seen) < LEAST_ROWS:
            records.append({"failed": f"fewer than {LEAST_ROWS} rows"})
            continue
        outcome = waiting.pop(0)
        records.append({"failed": outcome.failed} if outcome.failed else _with_quantities(outcome.value))
    if "quantities" not in records[-1]:
        raise InputError(f"stability: the window of all rows could not be fitted: {records[-1]['failed']}")
    return records


def _with_quantities(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "quantities": {n: Quantity(**fields) for n, fields in record["quantities"].items()}}


def laid_out(
    records: Sequence[Mapping[str, Any]],
    views: list[str],
    windows: Sequence[Window],
    orders: np.ndarray,
    ends: tuple[float, float],
) -> xr.Dataset:
    """Lay everything out over windows and parameters; of each view the last window has all rows."""
    found = [record.get("quantities") for record in records]
    one = next(f for f in found if f)
    last = {view: found[max(i for i, v in enumerate(views) if v == view)] for view in set(views)}
    cells = [
        {n: _cell(f[n], last[v][n], r["sensitivity"][n], ends) for n in one} if f else {}
        for f, v, r in zip(found, views, records, strict=True)
    ]
    out: dict[str, Any] = {}
    for key, (unit, meaning) in _PER_PARAMETER.items():
        table = [[cell.get(n, {}).get(key, np.nan) for n in one] for cell in cells]
        out[key] = (("window", "parameter"), np.array(table), {"units": unit, "long_name": meaning})
    for key, meaning in _PER_WINDOW.items():
        told = np.array([r.get(key, np.nan) for r in records])
        out[key] = ("window", told, {"units": "as the output", "long_name": meaning})
    out["rows"] = ("window", [len(w.seen) for w in windows], {"units": "1"})
    out["fitted"] = ("window", np.array([f is not None for f in found]))
    out["failed"] = ("window", np.array([r["failed"] for r in records], dtype=object))
    few = np.array([r.get("few_inputs", True) for r in records])
    meaning = "too few different inputs for the free parameters: what the window says is largely the prior's"
    out["few_inputs"] = ("window", few, {"long_name": meaning})
    out["unit"] = ("parameter", np.array([q.unit for q in one.values()], dtype=object))
    out["scale"] = ("parameter", np.array([q.scale for q in one.values()], dtype=object))
    coords = {
        "window": [w.label for w in windows], "parameter": list(one), "view": ("window", views),
        "orders": ("window", orders, {"units": "orders of magnitude"}),
        "end": ("window", [w.end for w in windows]),
    }  # fmt: skip
    return xr.Dataset(out, coords)


def _cell(here: Quantity, full: Quantity, sensitivity: float, ends: tuple[float, float]) -> dict[str, float]:
    """Say what a window knows of one quantity."""
    own, scaled = here.draws.values.ravel(), here.scaled.values.ravel()
    whole, whole_scaled = full.draws.values.ravel(), full.scaled.values.ravel()
    low, middle, high = np.quantile(own, [ends[0], 0.5, ends[1]])
    return {
        "median": middle, "lower": low, "upper": high, "sd": scaled.std(), "sd_prior": here.prior_sd,
        "sensitivity": sensitivity, "distance": _distance(own, whole),
        "distance_sd": _distance(scaled, whole_scaled) / whole_scaled.std(),
    }  # fmt: skip


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return Wasserstein's distance: of as many draws each, sorted ones lie opposite each other."""
    if len(a) != len(b):
        return float(wasserstein_distance(a, b))
    with np.errstate(invalid="ignore"):  # two draws without a bound
        return float(np.abs(np.sort(a) - np.sort(b)).mean())
