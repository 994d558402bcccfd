"""Over how many orders of magnitude a law's parameters are stable, and how early one would have known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import wasserstein_distance

from bayeslaw.catalogue import change, resolve
from bayeslaw.diagnostics import checks, prior_sensitivity
from bayeslaw.drift import LEAST_ORDERS, Span, drift, span, threshold
from bayeslaw.errors import InputError, check_probability
from bayeslaw.files import write_text, written_whole
from bayeslaw.heldout import held_out
from bayeslaw.inference import fit, visible
from bayeslaw.law import row_columns
from bayeslaw.observation import observed_rows
from bayeslaw.priors import summed_out
from bayeslaw.progress import bar
from bayeslaw.quantities import Quantity, quantities
from bayeslaw.result import Fit, data_hash, fitted_mean
from bayeslaw.spec import Spec
from bayeslaw.windows import Window, growing_windows, trailing_windows

LEAST_ROWS = 3
_CAREFUL = 0.98
"""NUTS' target acceptance for short windows, which leave much to the priors; these fits are quick."""
_ENOUGH_ROWS = 20
"""From here on run noise is told by neighbours rather than by a fit."""
_Z95 = 1.6448536269514722
_DELTA = 0.3

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


def stability(
    spec: Spec,
    data: xr.Dataset,
    along: str = "compute",
    *,
    every: float = 0.5,
    target: float | None = None,
    delta: float | Mapping[str, float] = _DELTA,
    width: float = 1.0,
    early: bool = True,
    claim: float | None = None,
    prob: float = 0.9,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    """Say over how many orders of magnitude a law's parameters hold, and how early its forecast did.

    Two views of the same table. *Trailing* windows [C_min, target] reach further and further down; a
    parameter is stable over the longest span such that it and every shorter one of at least one order
    is resolved and shows no drift (see `bayeslaw.drift`). They are fitted without a discrepancy over
    inputs, which exists to take up what is sought here, and with one run noise: what the whole table
    shows beside a discrepancy. *Growing* windows C ≤ C_max ask how early one would have known: they are
    fitted as the spec says, and forecast the target. Priors are the same in all windows, and so are
    references: those of a view's shortest window, which every other one contains.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset
        From `read_table` or `read_curves`.
    along : str
        A column of positive numbers.
    every : float
        Orders of magnitude from one window to the next.
    target : float, optional
        Value of `along` at which trailing windows end and which growing ones forecast; the row nearest
        to it, by default the largest.
    delta : float or mapping of parameter to float
        A parameter is resolved if its posterior sd is at most delta / 1.645 (it is known to ± delta
        nine times in ten) and less than half its prior's. On the parameter's scale: for all that has
        one sign the logarithm, so that 0.3 is about 30 % either way.
    width : float
        A forecast is of use while the logarithm of upper over lower end is at most this.
    early : bool
        Whether to ask how early one would have known; without it half the fits are saved.
    claim : float, optional
        A published claim, "stable over so many orders", to be judged: ``claim_verdict`` among the
        attributes says supported, contradicted, not resolved, or untestable on these rows.
    prob : float
        Probability of all intervals.
    draws, tune, chains, seed, progress
        As of `fit`, for every fit.

    Returns
    -------
    xarray.Dataset
        Dims window and parameter: the paper's parameters, ``slope_<input>`` (the local exponent
        d log y / d log input in the middle of the shortest window) and ``value`` (the law there). ``view`` is trailing or
        growing; ``orders`` how far a window reaches below the target, or how far below it ends. Per
        parameter ``stable_orders``, ``drift_at``, ``resolved_from`` and ``verdict``, see
        `bayeslaw.drift.Span`, and `stable_spans` as a table. ``failed`` names fits that are not clean.
        Attributes: ``law_orders`` and ``law_verdict`` over all resolved parameters, ``early_orders``.
        `bayeslaw.text.stability_text` says it in words.

    Raises
    ------
    InputError
        If a setting is not allowed, or the column has no rows for one window.

    References
    ----------
    The published question, with point fits: arXiv:2509.24012, section 5.
    """
    _check_arguments(spec, data, along, every, delta, width, prob, claim)
    values = data[along].values
    row = int(np.abs(values - (values.max() if target is None else target)).argmin())
    trailing = trailing_windows(data, along, every, float(values[row]), LEAST_ROWS)
    growing = _growing(data, along, every, float(values[row]))[0 if early else -1 :]
    study = _Study(data, row, {"draws": draws, "tune": tune, "chains": chains, "seed": seed}, prob)
    views = ["growing"] * len(growing) + ["trailing"] * len(trailing)
    with bar("stability", len(views), visible() if progress is None else progress) as on_step:
        as_given, near = (resolve(spec, _first_rows(data, view)) for view in (growing, trailing))
        study.place = _place(near, data.isel(obs=[row]))
        for window in growing:
            study.add(as_given, window)
            on_step(len(study.found))
        plain = _without_discrepancy(near, study.last, along)
        for window in trailing:
            study.add(plain, window)
            on_step(len(study.found))
    orders = np.log10([values[row] / w.end for w in (*growing, *trailing)])
    out = study.dataset(views, [*growing, *trailing], orders)
    out = out.assign(_spans(out, study, delta))
    y = data[spec.output.name].values[row]
    observed = float(np.exp(-y) if spec.family == "Binomial" else y)
    out = out.assign_attrs(_law_verdict(out), observed=observed)
    if claim is not None:
        out = out.assign_attrs(claim=float(claim), claim_verdict=judge_claim(out, float(claim)))
    return out.assign_attrs(
        early_orders=_early(out, width), model=spec.name, title=spec.title, along=along,
        output=spec.output.name, units=spec.output.unit, target=float(values[row]), prob=prob, width=width,
        delta=json.dumps(delta), settings=json.dumps(study.settings), data_hash=data_hash(data),
    )  # fmt: skip


def stable_spans(st: xr.Dataset) -> pd.DataFrame:
    """Lay the spans out as a table, one row a parameter.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.

    Returns
    -------
    pandas.DataFrame
        Columns verdict, stable_orders, drift_at, resolved_from (orders of magnitude), median, lower,
        upper, sensitivity (all rows) and unit.
    """
    full = st.isel(window=int(np.flatnonzero(st["view"].values == "trailing")[-1]))
    columns = ["verdict", "stable_orders", "drift_at", "resolved_from"]
    columns += ["median", "lower", "upper", "sensitivity", "unit"]
    return pd.DataFrame({n: full[n].values for n in columns}, index=pd.Index(full["parameter"].values))


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


def write_stability(st: xr.Dataset, path: str | Path) -> Path:
    """Write a study of stability, whole or not at all.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.
    path : path
        ``.csv``: the table of `stable_spans`. Anything else: netCDF, for `xarray.open_dataset`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".csv":
        write_text(path, stable_spans(st).to_csv(index_label="parameter"))
        return path
    with written_whole(path) as temporary:
        st.to_netcdf(temporary, engine="h5netcdf")
    return path


def _check_arguments(
    spec: Any, data: Any, along: Any, every: Any, delta: Any, width: Any, prob: Any, claim: Any
) -> None:
    if not isinstance(spec, Spec) or not isinstance(data, xr.Dataset):
        raise InputError(
            "stability(spec, data): spec comes from load_model, data from read_table or read_curves."
        )
    check_probability("prob", prob)
    if claim is not None and not (isinstance(claim, int | float) and 0 < claim < np.inf):
        raise InputError(f"claim: found {claim!r}, allowed: a positive number, orders of magnitude.")
    given = list(delta.values()) if isinstance(delta, Mapping) else [delta]
    for name, value in (("every", every), ("width", width), *(("delta", v) for v in given)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
            raise InputError(f"{name}: found {value!r}, allowed: a positive number.")
    trailing_windows(data, along)  # refuses a column that is none


def _first_rows(data: xr.Dataset, windows: Sequence[Window]) -> xr.Dataset:
    """Return the rows of the shortest window that is fitted: every longer one contains them."""
    return data.isel(obs=next(w.seen for w in windows if len(w.seen) >= LEAST_ROWS))


def _place(spec: Spec, target: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the middle of the shortest trailing window: there its slope is known best."""
    columns = row_columns(spec, target)
    middle = {n: i.reference for n, i in spec.inputs.items() if isinstance(i.reference, float)}
    return {n: np.array([middle[n]]) if n in middle else v for n, v in columns.items()}


def _without_discrepancy(spec: Spec, fitted: Fit, along: str) -> Spec:
    """Return the law with independent errors, and the run noise that the whole table shows.

    One noise for all windows: else a window of a few rows that happen to lie well would make all
    longer ones look as if they had drifted, and a drift would hide in its own noise.
    """
    if spec.discrepancy is not None and not summed_out(spec):
        return spec  # curves keep their correlated errors: those are noise
    spec = change(spec, discrepancy=None)
    if spec.family == "Binomial":
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
    rows = observed_rows(fitted.spec, fitted.data)
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


def _growing(data: xr.Dataset, along: str, every: float, target: float) -> list[Window]:
    """Return the windows that end below the target, and at last all rows up to it."""
    low = float(data[along].values.min())
    steps = int(np.ceil(np.log10(target / low) / every)) if target > low else 0
    ends = [target / 10 ** (every * i) for i in range(steps, 0, -1)]
    try:
        out = growing_windows(data, along, ends)
    except InputError:
        out = []
    seen = data[along].values <= target * (1 + 1e-12)
    return [*out, Window(f"{along} <= {target:.3g}", target, np.flatnonzero(seen), np.flatnonzero(~seen))]


class _Study:
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
        record = {"failed": ", ".join(c.name for c in checks(fitted) if c.level == "fail")}
        record["sensitivity"] = prior_sensitivity(fitted, xr.Dataset({n: q.draws for n, q in kept.items()}))
        if self.row not in window.seen:
            told = held_out(fitted, self.data.isel(obs=[self.row]), seed=self.settings["seed"]).draws[:, 0]
            low, middle, high = np.quantile(told, [self.ends[0], 0.5, self.ends[1]])
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
        out["failed"] = ("window", np.array([r["failed"] for r in self.records], dtype=object))
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


def _spans(out: xr.Dataset, study: _Study, delta: float | Mapping[str, float]) -> dict[str, Any]:
    """Judge the trailing windows of every parameter."""
    at = np.flatnonzero(out["view"].values == "trailing")
    names = [str(n) for n in out["parameter"].values]
    limits = np.array([delta.get(n, _DELTA) if isinstance(delta, Mapping) else delta for n in names])
    sd = out["sd"].values[at]
    resolved = (sd <= limits / _Z95) & (sd < out["sd_prior"].values[at] / 2)
    found = [study.found[i] for i in at]
    mean, error = (_per_window(found, names, f) for f in (_mean, _mcse))
    orders = out["orders"].values[at]
    judged = resolved & (orders >= LEAST_ORDERS - 1e-9)[:, None]
    paths = [drift(mean[:, j], sd[:, j] ** 2, error[:, j], judged[:, j]) for j in range(len(names))]
    statistic, clock = (np.stack(each, axis=1) for each in zip(*paths, strict=True))
    full = next(f for f in reversed(found) if f)
    correlation = np.atleast_2d(np.corrcoef([full[n].scaled.values.ravel() for n in names]))
    limit = threshold(clock, np.nan_to_num(correlation) + 1e-9 * np.eye(len(names)), study.settings["seed"])
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
    import arviz_stats as azs

    return float(azs.mcse(scaled.to_dataset(name="x"))["x"])


def _law_verdict(out: xr.Dataset) -> dict[str, Any]:
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
    drifting = [str(n) for n, d in zip(names, out["drift_at"].values, strict=True) if np.isfinite(d)]
    text = f"stable over ≥ {least:.1f} orders"
    if any(np.isfinite(out["drift_at"].values[known])):
        text = f"drifts beyond {least:.1f} orders ({', '.join(drifting)})"
    return {"law_orders": least, "law_verdict": text + (f"; not resolved: {open_ones}" if open_ones else "")}


def _early(out: xr.Dataset, width: float) -> float:
    """Return how far below the target one would have known: inside its interval, narrow enough, from there on."""
    y, best = out.attrs["observed"], 0.0
    told = out.isel(window=np.flatnonzero(out["target_median"].notnull().values))
    for i in np.argsort(told["orders"].values):
        low, high = float(told["target_lower"][i]), float(told["target_upper"][i])
        if not (low <= y <= high and low > 0 and np.log(high / low) <= width):
            break
        best = float(told["orders"][i])
    return best
