"""Forecasts with intervals: where the law, a noiseless curve and a real run will land."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.check import Check, to_json
from bayeslaw.curves import needs_schedule, schedule_inputs
from bayeslaw.errors import InputError, check_probability, check_whole, did_you_mean
from bayeslaw.families import observation_of
from bayeslaw.law import law_inputs, log_slope, used_inputs
from bayeslaw.membership import check_groups, named_group, schedule_groups
from bayeslaw.mixture import Mixture, law_share, members, mixed, weight_checks, weights_text
from bayeslaw.observation import Rows, error_on_scale, observed_rows, to_output
from bayeslaw.result import Fit, fit_values, fitted_mean, law_by_row, law_on_scale
from bayeslaw.schedules import parse_schedule
from bayeslaw.spec import Spec
from bayeslaw.tables import training_compute

KINDS = ("law", "curve", "run")
FAR = 1.0
"""Orders of magnitude beyond the data from which a forecast is called far."""
_VALUES = 20_000_000
_BLOCK = 4_000_000


def forecast(
    fit: Fit | Mixture,
    targets: Mapping[str, Any] | pd.DataFrame | None = None,
    prob: float = 0.9,
    *,
    schedule: str | None = None,
    steps: Sequence[int] | None = None,
    seed: int = 0,
    new_group: bool = False,
    group: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Forecast the output at new inputs, or along a schedule that was never run.

    Parameters
    ----------
    fit : Fit or Mixture
        From `fit` or `load_fit`; or from `stack`: several laws, weighted.
    targets : mapping or DataFrame, optional
        One row a target: the law's inputs by symbol or column, ``{"C": [1e24]}``. Columns go
        together row by row, never as a grid. ``compute`` may be given as ``params`` and ``tokens``;
        ``sampling_error`` (a standard error in the output's unit) adds evaluation noise to ``run``.
    prob : float
        Probability of the interval, in (0, 1).
    schedule : str, optional
        A schedule's text (see `parse_schedule`), for laws along a schedule.
    steps : sequence of int, optional
        Steps of the schedule; by default all behind its warm-up.
    seed : int
    new_group : bool
        Forecast a group that was not seen, where parameters are pooled over groups: its deviation is
        as spread as theirs. Else targets name their group, ``{"C": [1e24], "family": ["Llama"]}``, by
        every column over which parameters are pooled.
    group : mapping of str to str, optional
        The group of a run along a schedule, a label for each such column: ``{"model_size": "100M"}``.

    Returns
    -------
    xarray.Dataset
        ``mean``, ``median``, ``lower``, ``upper``, in the output's unit, over (kind, target) or
        (kind, step). Kinds: ``law``, the formula alone; ``curve``, where a noiseless run lands;
        ``run``, where a run lands: the headline. ``mean`` is taken on the scale of errors and mapped
        back, since heavy tails have no mean otherwise. ``orders_beyond`` says how many orders of
        magnitude a target lies beyond the data. ``attrs["checks"]`` travels along. Of a mixture also
        ``law_share``, the share of the variance on the scale of errors that is the choice of law,
        and ``attrs["weights"]``, JSON.

    Raises
    ------
    InputError
        If targets or a schedule do not fit the law.

    Notes
    -----
    A point fit's intervals come from its bootstrap and the quantiles of its residuals.
    """
    check_probability("prob", prob)
    check_whole("seed", seed, 0)
    fits = [one for one, _ in members(fit)]
    if not all(one.draws.sizes["draw"] for one in fits):
        raise InputError(
            "forecast: this point fit has no bootstrap, so no interval; fit with bootstrap=1000 (--bootstrap 1000)."
        )
    spec = fits[0].spec
    dim = "step" if needs_schedule(spec) else "target"
    inputs, coords, checks = forecast_inputs(fits, targets, schedule, steps, group)
    for one, given in zip(fits, inputs, strict=True):
        if one.method == "nuts":
            check_groups(one, given, new_group)
    unit = {"units": spec.output.unit}
    attrs = {"law_share": {"units": "share"}}
    quantities = _quantiles(fit, inputs, prob, seed)
    out = xr.Dataset(
        {n: (("kind", dim), v, attrs.get(n, unit)) for n, v in quantities.items()}, {"kind": list(KINDS)}
    )
    out = out.assign_coords({name: (dim, values) for name, values in coords.items()})
    if dim == "target":
        out = out.assign_coords(target=np.arange(out.sizes["target"]))
    about = {"model": spec.name, "method": fits[0].method}
    if isinstance(fit, Mixture):
        about = {"model": fit.name, "method": "mixture", "weights": weights_text(fit)}
        checks = [*checks, *weight_checks(fit)]
    return out.assign_attrs(
        output=spec.output.name, units=spec.output.unit, prob=float(prob), **about, checks=to_json(checks)
    )


def forecast_inputs(
    fits: list[Fit],
    targets: Any,
    schedule: str | None,
    steps: Sequence[int] | None,
    group: Mapping[str, str] | None = None,
) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray], list[Check]]:
    """Read targets or a schedule, for `forecast` and whoever shares its arguments.

    Parameters
    ----------
    fits : list of Fit
        The laws of a mixture, or one fit.
    targets, schedule, steps, group
        As of `forecast`.

    Returns
    -------
    inputs : list of dict of str to numpy.ndarray
        Each law's own, by symbol.
    coords : dict of str to numpy.ndarray
        What to show of the targets or steps.
    checks : list of Check
        How far they lie beyond the data.

    Raises
    ------
    InputError
        If the law needs the other of the two, or a target is not allowed.
    """
    spec = fits[0].spec
    if needs_schedule(spec):
        if schedule is None or targets is not None:
            raise InputError(
                f"model '{spec.name}' forecasts along a schedule: forecast(fit, schedule='cosine(…)') / --schedule."
            )
        named = named_group([one.spec for one in fits], group)
        parts = [_along_schedule(one, schedule, steps, named) for one in fits]
        return [inputs for inputs, _, _ in parts], *parts[0][1:]
    if targets is None or schedule is not None:
        names = ", ".join(n for n, i in spec.inputs.items() if not i.function)
        raise InputError(
            f"model '{spec.name}' forecasts at targets: forecast(fit, {{…}}) / --at with a value for {names}."
        )
    if group is not None:
        raise InputError(
            f"group: found {group!r}, which goes with a schedule; targets name their group among themselves, "
            "{…, 'family': ['Llama']} / --at family=Llama."
        )
    labels = {column for one in fits for column in one.spec.group_columns}
    allowed = [target_names(one.spec) for one in fits]
    columns = _zip_columns(targets, labels, set().union(*allowed))
    # Each law takes the columns it knows: another of a mixture may need more.
    own = [{n: v for n, v in columns.items() if n in names} for names in allowed]
    parts = [_at_targets(one, part) for one, part in zip(fits, own, strict=True)]
    beyond = np.max([away for _, away in parts], axis=0)
    shown = {n: v for inputs, _ in reversed(parts) for n, v in inputs.items() if n != "sampling_error"}
    return [inputs for inputs, _ in parts], {**shown, "orders_beyond": beyond}, _distance_checks(beyond)


def _at_targets(fit: Fit, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return a law's inputs at targets, and how many orders these lie beyond the data."""
    spec = fit.spec
    _check_names(spec, columns)
    if (
        "params" in columns
        and "tokens" in columns
        and any(i.column == "compute" for i in spec.inputs.values())
    ):
        for name in ("params", "tokens"):
            _refuse_not_positive(name, columns[name], name)
        columns.setdefault("compute", training_compute(columns["params"], columns["tokens"]))
    error = columns.get("sampling_error", np.zeros(len(next(iter(columns.values())))))
    if (error < 0).any():
        raise InputError(f"targets: sampling_error = {error.min():g}, allowed: numbers, 0 or more.")
    inputs = law_inputs(spec, columns)
    beyond = np.zeros(len(next(iter(columns.values()))))
    for name, values in inputs.items():
        entry = spec.inputs[name]
        # A reference that was a geometric mean is a number by now; the data behind it were positive.
        if entry.reference is not None:
            _refuse_not_positive(name, values, entry.unit)
        if (values > 0).all():
            beyond = np.maximum(beyond, _orders_beyond(fit.data[entry.column].values, values))
    groups = {c: columns[c] for c in spec.group_columns if c in columns}
    return {**inputs, **groups, "sampling_error": error}, beyond


def _zip_columns(targets: Any, labels: Set[str], allowed: Set[str]) -> dict[str, np.ndarray]:
    """Return columns of one length, of floats or of groups' labels; single values serve all rows."""
    wanted = f"targets: expected {{'input': [numbers]}}, found {targets!r}."
    try:
        given = {str(n): v for n, v in dict(targets).items()}
    except (TypeError, ValueError):
        raise InputError(wanted) from None
    for name in given:
        if name not in allowed:
            raise InputError(f"targets: unknown input {name!r}{did_you_mean(name, allowed)}")
    try:
        columns = {
            n: np.atleast_1d(np.asarray(v, dtype=str if n in labels else float)) for n, v in given.items()
        }
    except (TypeError, ValueError):
        raise InputError(wanted) from None
    if not columns:
        raise InputError("targets: empty; give a value for each input of the law.")
    length = max(len(v) for v in columns.values())
    for name, values in columns.items():
        if values.ndim != 1 or len(values) not in (1, length) or not length:
            raise InputError(
                f"targets: {name!r} has {len(values)} value(s), others have {length}; rows go together."
            )
        if name not in labels and not np.isfinite(values).all():
            raise InputError(f"targets: {name!r} holds a value that is not finite; all must be.")
    return {n: np.broadcast_to(v, length) for n, v in columns.items()}


def _aliases(spec: Spec) -> dict[str, list[str]]:
    """Return the names under which each input of a law may be given: its symbol, its column."""
    used = [spec.inputs[name] for name in used_inputs(spec)]
    return {i.name: [i.name, *([i.column] if i.column != i.name else [])] for i in used}


def target_names(spec: Spec) -> set[str]:
    """Return all names that targets of a law may have."""
    aliases = _aliases(spec)
    allowed = (
        {alias for names in aliases.values() for alias in names}
        | {"sampling_error"}
        | set(spec.group_columns)
    )
    return allowed | (
        {"params", "tokens"} if any(spec.inputs[n].column == "compute" for n in aliases) else set()
    )


def _check_names(spec: Spec, columns: Mapping[str, np.ndarray]) -> None:
    """Refuse targets that are given twice, or that are missing."""
    product = [n for n in used_inputs(spec) if spec.inputs[n].column == "compute"]
    for name, names in _aliases(spec).items():
        given = [n for n in names if n in columns]
        if name in product and {"params", "tokens"} <= columns.keys():
            given.append("params and tokens")
        if len(given) != 1:
            ways = " or ".join(names) + (" or params and tokens" if name in product else "")
            found = " and ".join(given) if given else "nothing"
            raise InputError(f"targets: {name} needs one of {ways}, found {found}.")


def _refuse_not_positive(name: str, values: np.ndarray, unit: str) -> None:
    if (values <= 0).any():
        raise InputError(
            f"targets: {name} = {values[values <= 0][0]:g}, allowed: numbers greater than 0 ({unit})."
        )


def _orders_beyond(seen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return how many orders of magnitude values lie outside the range of what was seen."""
    with np.errstate(divide="ignore"):
        low, high = np.log10(np.min(seen)), np.log10(np.max(seen))
        x = np.log10(values)
    return np.maximum(np.maximum(x - high, low - x), 0.0)


def _distance_checks(beyond: np.ndarray) -> list[Check]:
    farthest = float(beyond.max())
    if farthest < 1e-9:
        return [Check("extrapolation", "ok", 0.0, "All targets lie inside the range of the data.")]
    level = "warn" if farthest > FAR else "note"
    message = (
        f"The farthest target lies {farthest:.1f} orders of magnitude beyond the data: the interval holds "
        "only if the law does; fit on the lower part of the data and forecast the upper part to see."
    )
    return [Check("extrapolation", level, farthest, message)]


def _along_schedule(fit: Fit, text: str, steps: Sequence[int] | None, group: Mapping[str, str]):
    """Compute the law's inputs along a schedule, and what is to be known of it."""
    schedule = parse_schedule(text)
    first = schedule.warmup
    while first < schedule.total and schedule.lr[: first + 1].sum() <= 0:
        first += 1
    if steps is None:
        at = np.arange(first, schedule.total + 1)
    else:
        at = np.asarray(steps)
        if (
            at.ndim != 1
            or not len(at)
            or at.dtype.kind not in "iu"
            or at.min() < first
            or at.max() > schedule.total
        ):
            raise InputError(
                f"steps: found {steps!r}; allowed: whole numbers from {first} (behind warm-up) to {schedule.total}."
            )
    raw = schedule_inputs(fit.spec, schedule, at)
    inputs = law_inputs(fit.spec, raw)
    beyond = (
        _orders_beyond(fit.data["lr_area"].values, raw["lr_area"])
        if "lr_area" in fit.data
        else np.zeros(len(at))
    )
    groups = {c: np.full(len(at), group[c]) for c in schedule_groups(fit.spec) if c in group}
    coords = {"step": at, "lr": schedule.lr[at], **groups, "orders_beyond": beyond}
    checks = [*_distance_checks(beyond[-1:]), *_rate_checks(fit, schedule.lr, first)]
    own = {**inputs, **groups, "step": at.astype(float), "sampling_error": np.zeros(len(at))}
    return own, coords, checks


def _rate_checks(fit: Fit, lr: np.ndarray, first: int) -> list[Check]:
    """Name what the annealing law is known to get wrong."""
    checks = []
    trained, peak = float(fit.data["lr"].max()), float(lr.max())
    if abs(peak / trained - 1) > 0.01:
        checks.append(
            Check(
                "peak-rate",
                "warn",
                peak / trained,
                f"The schedule's peak rate {peak:g} is not the {trained:g} that was trained: the law holds for one peak rate; do not compare schedules of different peaks.",
            )
        )
    idle = int((lr[first:] == 0).sum())
    if idle > 1:
        checks.append(
            Check(
                "zero-rate",
                "warn",
                float(idle),
                f"{idle} steps run at a rate of zero: the law lets the loss fall there although nothing is trained; cut them off.",
            )
        )
    return checks


def _quantiles(
    fit: Fit | Mixture, inputs: list[dict[str, np.ndarray]], prob: float, seed: int
) -> dict[str, np.ndarray]:
    """Summarise draws of every kind at every target, a block of targets at a time."""
    rng = np.random.default_rng(seed)
    fits, weights = zip(*members(fit), strict=True)
    draws = sum(one.draws.sizes["chain"] * one.draws.sizes["draw"] for one in fits)
    targets = len(inputs[0]["sampling_error"])
    thin = max(1, draws * targets // _VALUES)
    values = [fit_values(one, thin) for one in fits]
    block = max(1, _BLOCK // (draws // thin))
    predict = [predictor(one, thin) for one in fits]
    pieces = []
    for start in range(0, targets, block):
        own = [{n: v[start : start + block] for n, v in part.items()} for part in inputs]
        kinds = [p(v, part, rng) for p, v, part in zip(predict, values, own, strict=True)]
        piece = _summaries(fits[0].spec, mixed(kinds, weights), prob)
        if isinstance(fit, Mixture):
            piece["law_share"] = np.stack([law_share([part[k] for part in kinds], weights) for k in KINDS])
        pieces.append(piece)
    return {n: np.concatenate([p[n] for p in pieces], axis=1) for n in pieces[0]}


def _summaries(spec: Spec, kinds: Mapping[str, np.ndarray], prob: float) -> dict[str, np.ndarray]:
    """Return mean, median and interval of each kind, in the output's unit, shape (kinds, targets)."""
    done: dict[int, dict[str, np.ndarray]] = {}
    for draws in kinds.values():
        if id(draws) not in done:  # without a discrepancy, curve is law: summarised once
            low, middle, high = np.quantile(draws, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
            with np.errstate(all="ignore"):
                parts = {"mean": draws.mean(axis=0), "median": middle, "lower": low, "upper": high}
                done[id(draws)] = {n: to_output(spec, v) for n, v in parts.items()}
    return {n: np.stack([done[id(kinds[k])][n] for k in KINDS]) for n in ("mean", "median", "lower", "upper")}


def predictor(fit: Fit, thin: int = 1):
    """Return a function that draws every kind of forecast.

    Parameters
    ----------
    fit : Fit
    thin : int
        Every how many-th draw is used.

    Returns
    -------
    callable
        (values, inputs, rng, together=False) -> dict of kind to draws on the scale of errors, shape
        (draws, targets). ``values`` is what `fit_values` returned for the same `thin`. Not
        ``together``, each target is drawn for itself.
    """
    spec = fit.spec
    seen = fitted_mean(fit, thin) if fit.method == "nuts" else None
    rows = observed_rows(spec, fit.data) if fit.method == "nuts" else None
    residual = fit.tree["point"]["residual"].values if fit.method == "map" else None

    def draw(
        values: Mapping[str, np.ndarray],
        inputs: Mapping[str, np.ndarray],
        rng: np.random.Generator,
        together: bool = False,
    ):
        law = law_on_scale(spec, values, inputs)
        law = np.broadcast_to(law, (len(next(iter(values.values()))), len(inputs["sampling_error"])))
        new = new_rows(spec, inputs, law)
        if residual is not None:
            noise = rng.choice(residual, size=law.shape) + new.error * rng.standard_normal(law.shape)
            return {"law": law, "curve": law, "run": law + noise}
        centre = law_by_row(spec, values, inputs, rows.columns, rng) if spec.pooled else law
        predicted = observation_of(spec).predict(seen, values, rows, centre, new, rng, together)
        return {"law": law, **predicted}

    return draw


def new_rows(spec: Spec, inputs: Mapping[str, np.ndarray], law: np.ndarray) -> Rows:
    """Describe rows that are not seen yet; their errors are taken at the law's median."""
    with np.errstate(all="ignore"):
        middle = to_output(spec, np.median(law, axis=0))
        error = error_on_scale(spec, middle, inputs["sampling_error"])
        slope = log_slope(middle, spec.output.scale)
    return Rows(np.zeros(law.shape[1]), error, slope, inputs)
