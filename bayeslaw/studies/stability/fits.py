"""The fits of a study's windows: with which noise and references, and what is kept of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import wasserstein_distance

from bayeslaw.assess.convergence import sampler_checks
from bayeslaw.assess.few_inputs import few_inputs
from bayeslaw.assess.prior_checks import prior_sensitivity
from bayeslaw.core.draws import over_draws
from bayeslaw.data.windows import Window
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import fitted_mean
from bayeslaw.inference.fitting import fit
from bayeslaw.law.catalogue import change
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.studies.stability.quantities import Quantity, quantities

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


def without_discrepancy(spec: Spec, fitted: Fit, along: str) -> Spec:
    """Return the law with independent errors, and the run noise that the whole table shows.

    One noise for all windows: else a window of a few rows that happen to lie well would make all
    longer ones look as if they had drifted, and a drift would hide in its own noise.
    """
    if spec.discrepancy is not None and not spec.marginalised:
        return spec  # curves keep their correlated errors: those are noise
    spec = change(spec, discrepancy=None)
    if spec.traits.counts:
        return spec
    noise = float(fitted.draws["sigma"].median())
    if fitted.data.sizes["obs"] >= _ENOUGH_ROWS:
        noise = neighbours_noise(fitted, along)
    # Heavy tails would call the rows that speak against the law outliers, and be sure of the rest.
    return change(spec, likelihood={"family": "Normal", "sigma": {"fixed": noise}})


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


class Study:
    """The fits of all windows, boiled down to what is kept of them."""

    def __init__(self, data: xr.Dataset, row: int, settings: Mapping[str, int], prob: float) -> None:
        self.data, self.row, self.settings = data, row, settings
        self.ends = [(1 - prob) / 2, (1 + prob) / 2]
        self.records: list[dict[str, Any]] = []
        self.found: list[dict[str, Quantity] | None] = []
        self.place: Mapping[str, np.ndarray] = {}
        self.last: Fit | None = None
        self._fits: dict[Any, tuple[Fit, dict[str, Quantity]]] = {}

    def add(self, spec: Spec, window: Window) -> None:
        """Fit a window and keep its quantities and its forecast."""
        here = self._fitted(spec, window.seen)
        self.found.append(here and here[1])
        self.last = here and here[0]
        if here is None:
            self.records.append({"failed": f"fewer than {LEAST_ROWS} rows"})
            return
        fitted, kept = here
        record = {"failed": ", ".join(c.name for c in sampler_checks(fitted) if c.level == "fail")}
        record["few_inputs"] = few_inputs(fitted.bound).level == "fail"
        record["sensitivity"] = prior_sensitivity(fitted, xr.Dataset({n: q.draws for n, q in kept.items()}))
        if self.row not in window.seen:
            told = held_out(fitted, self.data.isel(obs=[self.row]), seed=self.settings["seed"]).draws
            _, ends = over_draws(told, np.isfinite(told), [self.ends[0], 0.5, self.ends[1]])
            low, middle, high = ends[:, 0]
            record |= {"target_lower": low, "target_median": middle, "target_upper": high}
        self.records.append(record)

    def _fitted(self, spec: Spec, rows: np.ndarray) -> tuple[Fit, dict[str, Quantity]] | None:
        if len(rows) < LEAST_ROWS:
            return None
        key = (spec.discrepancy is None, rows.tobytes())
        if key not in self._fits:  # windows half an order apart may see the same rows
            accept = _CAREFUL if spec.discrepancy is None else None
            fitted = fit(
                spec, self.data.isel(obs=rows), **self.settings, target_accept=accept, progress=False
            )
            self._fits[key] = fitted, quantities(fitted, self.place)
        return self._fits[key]

    def dataset(self, views: list[str], windows: list[Window], orders: np.ndarray) -> xr.Dataset:
        """Lay everything out over windows and parameters; of each view the last window has all rows."""
        one = next(f for f in self.found if f)
        last = {view: self.found[max(i for i, v in enumerate(views) if v == view)] for view in set(views)}
        cells = [
            {n: self._cell(f[n], last[v][n], r["sensitivity"][n]) for n in one} if f else {}
            for f, v, r in zip(self.found, views, self.records, strict=True)
        ]
        out: dict[str, Any] = {}
        for key, (unit, meaning) in _PER_PARAMETER.items():
            table = [[cell.get(n, {}).get(key, np.nan) for n in one] for cell in cells]
            out[key] = (("window", "parameter"), np.array(table), {"units": unit, "long_name": meaning})
        for key, meaning in _PER_WINDOW.items():
            told = np.array([r.get(key, np.nan) for r in self.records])
            out[key] = ("window", told, {"units": "as the output", "long_name": meaning})
        out["rows"] = ("window", [len(w.seen) for w in windows], {"units": "1"})
        out["fitted"] = ("window", np.array([f is not None for f in self.found]))
        out["failed"] = ("window", np.array([r["failed"] for r in self.records], dtype=object))
        few = np.array([r.get("few_inputs", True) for r in self.records])
        meaning = (
            "too few different inputs for the free parameters: what the window says is largely the prior's"
        )
        out["few_inputs"] = ("window", few, {"long_name": meaning})
        out["unit"] = ("parameter", np.array([q.unit for q in one.values()], dtype=object))
        out["scale"] = ("parameter", np.array([q.scale for q in one.values()], dtype=object))
        coords = {
            "window": [w.label for w in windows], "parameter": list(one), "view": ("window", views),
            "orders": ("window", orders, {"units": "orders of magnitude"}),
            "end": ("window", [w.end for w in windows]),
        }  # fmt: skip
        return xr.Dataset(out, coords)

    def _cell(self, here: Quantity, full: Quantity, sensitivity: float) -> dict[str, float]:
        """Say what a window knows of one quantity."""
        own, scaled = here.draws.values.ravel(), here.scaled.values.ravel()
        whole, whole_scaled = full.draws.values.ravel(), full.scaled.values.ravel()
        low, middle, high = np.quantile(own, [self.ends[0], 0.5, self.ends[1]])
        return {
            "median": middle, "lower": low, "upper": high, "sd": scaled.std(), "sd_prior": here.prior_sd,
            "sensitivity": sensitivity, "distance": wasserstein_distance(own, whole),
            "distance_sd": wasserstein_distance(scaled, whole_scaled) / whole_scaled.std(),
        }  # fmt: skip
