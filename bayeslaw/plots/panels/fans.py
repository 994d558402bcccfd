"""Compute and draw fans: a line with the intervals of ``curve`` and ``run`` around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayeslaw.core.draws import over_draws
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.distance import distance, farthest
from bayeslaw.forecasts.evaluation import USUAL, Evaluation, evaluation_of
from bayeslaw.forecasts.mixture import Mixture, members, mixed
from bayeslaw.forecasts.posterior import PointPosterior, posterior_of
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.values import fit_values
from bayeslaw.law.evaluate import law_on_scale
from bayeslaw.law.spec import LARGEST
from bayeslaw.observation.base import to_output
from bayeslaw.plots.panels.rows import LONGEST_NAME
from bayeslaw.plots.style.look import COLOURS
from bayeslaw.plots.style.texts import abridged, plain

_REPEATED = 10_000
FAN_VALUES = 4_000_000


@dataclass(frozen=True)
class Fan:
    """A line and the intervals of ``curve`` and ``run`` around it, in the output's unit, shape (rows,)."""

    line: np.ndarray
    curve: tuple[np.ndarray, np.ndarray]
    run: tuple[np.ndarray, np.ndarray]


def fan_of(fit: Fit | Mixture, inputs: Mapping[str, np.ndarray], prob: float, seed: int = 0) -> Fan:
    """Compute line and intervals at inputs by symbol, and groups by column, of runs measured as the table's usually are."""
    return fans_of(fit, [inputs], prob, seed)[0]


def fans_of(
    fit: Fit | Mixture,
    places: Sequence[Mapping[str, np.ndarray]],
    prob: float,
    seed: int = 0,
    samples: int | str | None = USUAL,
) -> list[Fan]:
    """Compute several fans at once, which costs hardly more than one; `samples` as of `forecast`."""
    fits = [one for one, _ in members(fit)]
    spec = fits[0].spec
    ends = np.cumsum([len(next(iter(place.values()))) for place in places])
    inputs = {n: np.concatenate([place[n] for place in places]) for n in places[0]}
    evaluation = evaluation_of(fit, samples)
    draw = mixed([_draw_fan(one, inputs, seed, evaluation) for one in fits], _weights(fit, inputs))
    at = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    with np.errstate(all="ignore"):
        curve, run = (over_draws(d, np.isfinite(d), at)[1] for d in (draw["curve"], draw["run"]))
        line = law_on_scale(spec, point_values(fits[0]), inputs) if not fits[0].is_posterior else curve[1]
        line = np.broadcast_to(line, len(curve[1]))
        drawn = [drawable(to_output(spec, v)) for v in (line, curve[0], curve[2], run[0], run[2])]
    parts = [np.split(v, ends[:-1]) for v in drawn]
    return [Fan(one, (low, high), (least, most)) for one, low, high, least, most in zip(*parts, strict=True)]


def _weights(fit: Fit | Mixture, inputs: Mapping[str, np.ndarray]) -> np.ndarray | list[float]:
    """Return the laws' weights at inputs, as a forecast has them."""
    if not isinstance(fit, Mixture) or not fit.by_distance:
        return [weight for _, weight in members(fit)]
    orders = farthest([distance(one.bound, inputs) for one in fit.fits.values()]).orders
    along = needs_schedule(members(fit)[0][0].spec)
    return fit.weights_at(np.full(len(orders), orders[-1]) if along else orders)


def measured_as(fc: xr.Dataset) -> int | str | None:
    """Return the `samples` of a forecast, for fans that end in it; none where its targets state their errors."""
    text = fc.attrs.get("samples", USUAL)
    return int(text) if text.isdigit() else USUAL if text == USUAL else None


def drawable(values: np.ndarray) -> np.ndarray:
    """Return values that an axis can place, NaN for all others."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _draw_fan(
    fit: Fit, inputs: Mapping[str, np.ndarray], seed: int, evaluation: Evaluation | None
) -> dict[str, np.ndarray]:
    """Draw one law's ``curve`` and ``run`` at inputs, shape (draws, rows)."""
    rows = len(next(iter(inputs.values())))
    size = fit.draws.sizes.get("chain", 1) * fit.draws.sizes[list(fit.draws.dims)[-1]]
    thin = max(1, size * rows // FAN_VALUES)
    posterior = posterior_of(fit, thin, evaluation) if fit.is_posterior else _repeated(fit, thin, size, rows)
    given = {**inputs, "sampling_error": np.zeros(rows)}
    drawn = posterior.predict([given], np.random.default_rng(seed))
    return {kind: np.atleast_2d(drawn[kind]) for kind in ("curve", "run")}


def _repeated(fit: Fit, thin: int, size: int, rows: int) -> PointPosterior:
    """Repeat a point fit's few resamples, so that the residuals' quantiles are smooth; without any, its law is one line."""
    values = fit_values(fit, thin) if size else {n: np.full((1, 1), v) for n, v in point_values(fit).items()}
    repeats = min(_REPEATED // max(size, 1) + 1, FAN_VALUES // max(size * rows, 1) + 1)
    return PointPosterior(fit, values={n: np.tile(v, (repeats, 1)) for n, v in values.items() if np.ndim(v)})


def point_values(fit: Fit) -> dict[str, float]:
    """Return the sampled parameters of a point fit."""
    point = fit.tree["point"].to_dataset()
    return {n: float(point[n]) for n in fit.spec.scalar_names if n in point}


def draw_fan(
    ax: Axes,
    x: np.ndarray,
    fan: Fan,
    prob: float,
    colour: str,
    posterior: bool,
    name: str = "",
    label: bool = True,
    ls: str = "-",
) -> None:
    """Draw line, curve and run; `name` stands before the labels where there are several fans."""
    per = f"{100 * prob:g} %"
    what = ("curve: median", f"curve, {per}", f"run, {per}") if posterior else (
        "point fit", f"curve: bootstrap, {per}", f"run: with residuals, {per}")  # fmt: skip
    labels = what if label else (None, None, None)
    ax.fill_between(x, *fan.run, color=colour, alpha=0.14, lw=0, label=labels[2])
    ax.fill_between(x, *fan.curve, color=colour, alpha=0.32, lw=0, label=labels[1])
    ax.plot(x, fan.line, color=colour, ls=ls, label=name or labels[0])


def draw_laws(
    ax: Axes,
    mixture: Mixture,
    grid: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    prob: float,
    weights: Mapping[str, float] | None = None,
) -> None:
    """Draw each law's own median, thin, so that it shows where the laws part; by default with the weights at the far end."""
    styles = (":", "--", "-.")
    if weights is None:
        orders = farthest([distance(one.bound, inputs) for one in mixture.fits.values()]).orders
        weights = mixture.held_at(float(orders.max())).weights
    for i, (name, weight) in enumerate(weights.items()):
        line = fan_of(mixture.fits[name], inputs, prob).line
        told = f"{plain(abridged(name, LONGEST_NAME))}: median, weight {weight:.2f}"
        ax.plot(grid, line, color=COLOURS[(i + 2) % len(COLOURS)], lw=1, ls=styles[i % 3], label=told)
