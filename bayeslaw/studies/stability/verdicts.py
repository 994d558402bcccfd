"""What windows say of a law: each parameter's span, the law's, how early, and whether a claim holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.studies.stability.drift import LEAST_ORDERS, Span, drift, span, threshold
from bayeslaw.studies.stability.quantities import Quantity

DELTA = 0.3
_Z95 = 1.6448536269514722


def judged(
    out: xr.Dataset,
    kept: Sequence[dict[str, Quantity] | None],
    delta: float | Mapping[str, float],
    seed: int,
) -> dict[str, Any]:
    """Judge the trailing windows of every parameter.

    Parameters
    ----------
    out : xarray.Dataset
        As `bayeslaw.studies.stability.fits.Study.dataset` lays it out.
    kept : sequence of dict of str to Quantity
        Of each window; None where there was no fit.
    delta : float or mapping of str to float
        See `bayeslaw.studies.stability.study.stability`.
    seed : int

    Returns
    -------
    dict
        Variables for the dataset: spans and verdicts over parameter, ``resolved`` and ``drift`` over
        window and parameter, and ``drift_limit``.
    """
    at = np.flatnonzero(out["view"].values == "trailing")
    names = [str(n) for n in out["parameter"].values]
    limits = np.array([delta.get(n, DELTA) if isinstance(delta, Mapping) else delta for n in names])
    sd = out["sd"].values[at]
    resolved = (sd <= limits / _Z95) & (sd < out["sd_prior"].values[at] / 2)
    found = [kept[i] for i in at]
    mean, error = (_per_window(found, names, f) for f in (_mean, _mcse))
    orders = out["orders"].values[at]
    # A parameter that becomes known only further down is first resolved where it happens to look well
    # known, and would seem to drift from there: it is not judged.
    counted = orders >= LEAST_ORDERS - 1e-9
    judged = counted[:, None] & resolved[counted].all(axis=0)
    paths = [drift(mean[:, j], sd[:, j] ** 2, error[:, j], judged[:, j]) for j in range(len(names))]
    statistic, clock = (np.stack(each, axis=1) for each in zip(*paths, strict=True))
    full = next(f for f in reversed(found) if f)
    correlation = np.atleast_2d(np.corrcoef([full[n].scaled.values.ravel() for n in names]))
    limit = threshold(clock, np.nan_to_num(correlation) + 1e-9 * np.eye(len(names)), seed)
    spans: list[Span] = [span(orders, resolved[:, j], statistic[:, j], limit) for j in range(len(names))]
    whole = np.full((out.sizes["window"], len(names)), np.nan)
    whole[at] = statistic
    known = np.zeros(whole.shape, dtype=bool)
    known[at] = resolved
    unit = {"units": "orders of magnitude"}
    return {
        "stable_orders": ("parameter", [s.orders for s in spans], unit),
        "drift_at": ("parameter", [s.drift_at for s in spans], unit),
        "resolved_from": ("parameter", [s.resolved_from for s in spans], unit),
        "verdict": ("parameter", np.array([s.verdict for s in spans], dtype=object)),
        "resolved": (("window", "parameter"), known),
        "drift": (("window", "parameter"), whole, {"units": "sd", "long_name": "standardised move since the top"}),
        "drift_limit": ((), limit, {"units": "sd", "long_name": "what it stays under, 95 in 100, all together"}),
    }  # fmt: skip


def _per_window(found: Sequence[dict[str, Quantity] | None], names: list[str], of: Any) -> np.ndarray:
    return np.array([[of(f[n].scaled) if f else np.nan for n in names] for f in found])


def _mean(scaled: xr.DataArray) -> float:
    return float(scaled.mean())


def _mcse(scaled: xr.DataArray) -> float:
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(scaled.transpose("chain", "draw").values))


def law_verdict(out: xr.Dataset) -> dict[str, Any]:
    """Sum the parameters up: the shortest span of those that are resolved, and which are not."""
    orders, names = out["stable_orders"].values, out["parameter"].values
    known = np.isfinite(orders)
    open_ones = ", ".join(map(str, names[~known]))
    moved = [
        f"{n} drifts at {d:.1f} orders"
        for n, d in zip(names, out["drift_at"].values, strict=True)
        if np.isfinite(d)
    ]
    if not known[names != "value"].any():  # that the law's level is known says nothing of its shape
        text = "; ".join([f"not resolved ({open_ones})", *moved])
        return {"law_orders": np.nan, "law_verdict": text}
    least = float(orders[known].min())
    text = f"stable over ≥ {least:.1f} orders"
    if moved:
        text = f"drifts beyond {least:.1f} orders ({', '.join(moved)})"
    return {"law_orders": least, "law_verdict": text + (f"; not resolved: {open_ones}" if open_ones else "")}


def early_orders(out: xr.Dataset, width: float) -> float:
    """Return how far below the target one would have known: inside its interval, narrow enough, from there on."""
    y, best = out.attrs["observed"], 0.0
    told = out.isel(window=np.flatnonzero(out["target_median"].notnull().values))
    for i in np.argsort(told["orders"].values):
        low, high = float(told["target_lower"][i]), float(told["target_upper"][i])
        if not (low <= y <= high and low > 0 and np.log(high / low) <= width):
            break
        best = float(told["orders"][i])
    return best


def judge_claim(st: xr.Dataset, claim: float) -> str:
    """Hold a claim that a law is stable over some orders of magnitude against what was found.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.
    claim : float
        Orders of magnitude.

    Returns
    -------
    str
    """
    reach = float(st["orders"].sel(window=st["view"] == "trailing").max())
    told = f"stable over {claim:g} orders: "
    early = st["drift_at"].min()
    if np.isfinite(early) and float(early) <= claim + 1e-9:
        names = ", ".join(map(str, st["parameter"].values[st["drift_at"].values <= claim + 1e-9]))
        return told + f"contradicted, {names} drifts at {float(early):.1f}"
    if reach < claim - 0.05:
        return told + f"untestable, the rows span {reach:.1f} orders"
    if np.isnan(st.attrs["law_orders"]):
        return told + "not resolved, the rows cannot tell"
    return told + "supported"
