"""Figures of a fit and of a forecast: each a matplotlib `Figure` that nothing shows by itself.

Every axis has a name and a unit, every fan says its probability, and what the checks found stands
under the figure, so that a picture never travels without it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.check import LEVELS, Check, from_json
from bayeslaw.curves import needs_schedule
from bayeslaw.errors import InputError
from bayeslaw.files import written_whole
from bayeslaw.forecasting import predictor
from bayeslaw.law import law_inputs, to_scale, used_inputs
from bayeslaw.observation import to_output
from bayeslaw.result import Fit, flat_values, law_on_scale
from bayeslaw.spec import Spec

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = ("#1f5fa8", "#c8561b", "#2b8a57", "#7d4fa3", "#a8841f", "#b23a5e", "#3a8fa3", "#6b6b6b")
"""One colour a run, or a level of another input; used again from the start beyond eight."""
INK, GREY = "#222222", "#8a8a8a"
_LEVEL_INK = {"ok": "#2b8a57", "note": GREY, "warn": "#a85a00", "fail": "#b00020"}
_STYLE = {
    "font.size": 9.0, "axes.titlesize": 10.0, "axes.titlelocation": "left", "axes.labelsize": 9.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555",
    "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 8.0, "lines.linewidth": 1.4, "savefig.dpi": 150,
    "svg.hashsalt": "bayeslaw", "axes.formatter.useoffset": False,
}  # fmt: skip
_GRID = 120
_FAN_VALUES = 4_000_000
_MAX_PAIRS = 7


@dataclass(frozen=True)
class _Fan:
    """A line and the intervals of ``law`` and ``run`` around it, in the output's unit, shape (rows,)."""

    line: np.ndarray
    law: tuple[np.ndarray, np.ndarray]
    run: tuple[np.ndarray, np.ndarray]


def plot_fit(fit: Fit, prob: float = 0.9, *, found: Iterable[Check] | None = None) -> Figure:
    """Draw the data with the fans of ``law`` and ``run``.

    Parameters
    ----------
    fit : Fit
        By either method. A point fit's line is the point, its fans come from the bootstrap and the
        quantiles of its residuals.
    prob : float
        Probability of the fans, in (0, 1).
    found : iterable of Check, optional
        What stands under the figure; by default ``checks(fit)``.

    Returns
    -------
    matplotlib.figure.Figure
        One input: the output against it. Two: against the second, with fans at four values of the
        first, and observed against fitted. More: observed against fitted. Along a schedule: loss
        against step, a colour a run.

    Raises
    ------
    InputError
        If `prob` is not a probability.
    """
    _check_prob(prob)
    inputs = _plain_inputs(fit.spec)
    with mpl.rc_context(_STYLE):
        if needs_schedule(fit.spec):
            figure, axes = _figure(1)
            _draw_curves(axes[0], fit, prob)
        elif len(inputs) == 1:
            figure, axes = _figure(1)
            _draw_data(axes[0], fit, inputs[0])
            grid = _grid(fit, inputs[0])
            _draw_fan(axes[0], grid, _fan(fit, {inputs[0]: grid}, prob), prob, COLOURS[0], fit.method)
            _finish_input_axes(axes[0], fit, inputs[0])
        else:
            figure, axes = _figure(2 if len(inputs) == 2 else 1)
            if len(inputs) == 2:
                _draw_levels(axes[0], fit, inputs, prob)
            _draw_observed_fitted(axes[-1], fit, prob)
        _legend(axes)
        _caption(figure, fit, _checks(fit, found))
    return figure


def plot_residuals(fit: Fit, prob: float = 0.9, *, found: Iterable[Check] | None = None) -> Figure:
    """Draw residuals, where they lie and how they are distributed.

    Parameters
    ----------
    fit : Fit
        By either method.
    prob : float
        Probability of the band in which a run's noise is expected.
    found : iterable of Check, optional
        What stands under the figure; by default ``checks(fit)``.

    Returns
    -------
    matplotlib.figure.Figure
        Left: residuals on the scale of errors against the first input, or the step with a colour a
        run. Right: their quantiles against those that the fit's noise expects (for a point fit,
        which has no model of noise, a normal with the residuals' standard deviation).

    Raises
    ------
    InputError
        If `prob` is not a probability.
    """
    _check_prob(prob)
    residual, expected = _residuals(fit)
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(2, width=(1.7, 1.0))
        _draw_residuals(axes[0], fit, residual, expected, prob)
        _draw_quantiles(axes[1], fit, residual, expected)
        _legend(axes)
        _caption(figure, fit, _checks(fit, found))
    return figure


def plot_prior_posterior(
    fit: Fit,
    names: Iterable[str] | None = None,
    marks: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """Draw the prior of each parameter behind its posterior.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    names : iterable of str, optional
        Sampled or derived parameters; by default all that were sampled, noise included.
    marks : mapping of str to mapping of str to float, optional
        Values to draw as lines, by label and parameter: ``{"truth": {"alpha": 0.3}}``.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a parameter. Posteriors are often a hundred times narrower than priors, so each
        density is scaled to its own peak, and the title says how much narrower.

    Raises
    ------
    InputError
        If the fit has no posterior, or not a parameter of that name.
    """
    _need_posterior(fit, "plot_prior_posterior")
    prior, posterior = fit.tree["prior"].to_dataset(), fit.draws
    sampled = [*fit.spec.scalar_names, *fit.spec.likelihood]
    names = [n for n in sampled if n in posterior] if names is None else list(names)
    for name in names:
        if name not in posterior or name not in prior:
            raise InputError(f"plot_prior_posterior: no parameter {name!r}; allowed: {', '.join(map(str, posterior.data_vars))}.")
    with mpl.rc_context(_STYLE):
        columns = min(len(names), 4)
        rows = -(-len(names) // columns)
        figure = Figure(figsize=(max(2.5 * columns, 4.5), 2.3 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            _draw_densities(ax, fit.spec, name, prior[name].values.ravel(), posterior[name].values.ravel())
            for i, (label, values) in enumerate((marks or {}).items()):
                if name in values:
                    ax.axvline(values[name], color=COLOURS[1 + i], ls=("-", "--")[i % 2], lw=1.6, label=label)
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        for ax in axes[::columns]:
            ax.set_ylabel("density / its peak")
        _figure_legend(figure, axes[: len(names)])
    return figure


def plot_pair(fit: Fit) -> Figure:
    """Draw the posterior of every pair of the paper's parameters, divergent draws marked.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    matplotlib.figure.Figure
        Parameters that span more than a factor of twenty are drawn as their log10. At most seven.

    Raises
    ------
    InputError
        If the fit has no posterior.
    """
    import arviz_plots
    from matplotlib import pyplot

    _need_posterior(fit, "plot_pair")
    names = _natural(fit.spec, fit.draws)[:_MAX_PAIRS]
    data = xr.Dataset({_log_name(v): v if _log_name(v) == v.name else np.log10(v) for v in (fit.draws[n] for n in names)})
    stats = fit.tree["sample_stats"].to_dataset()
    tree = xr.DataTree.from_dict({"posterior": data, "sample_stats": stats})
    divergent = bool(stats["diverging"].any()) if "diverging" in stats else False
    with mpl.rc_context({**_STYLE, "axes.grid": False}):
        matrix = arviz_plots.plot_pair(
            tree, backend="matplotlib", marginal=len(names) > 1,
            visuals={
                "divergence": {"color": COLOURS[1], "alpha": 0.9} if divergent else False,
                "scatter": {"color": COLOURS[0], "alpha": 0.15, "size": 5, "width": 0},
                "dist": {"color": COLOURS[0]},
            },
            figure_kwargs={"figsize": (1.9 * len(names) + 0.8,) * 2, "sharex": "col"},
        )  # fmt: skip
        figure = matrix.viz["figure"].item()
        pyplot.close(figure)  # pyplot must not keep it: the caller owns it
        _dress_pairs(figure, fit.spec, list(data.data_vars), divergent)
    return figure


def plot_forecast(fit: Fit, fc: xr.Dataset, *, found: Iterable[Check] | None = None) -> Figure:
    """Draw a forecast beyond the data it comes from.

    Parameters
    ----------
    fit : Fit
    fc : xarray.Dataset
        As `forecast` returned it for this fit.
    found : iterable of Check, optional
        The fit's checks, to stand under the figure with the forecast's own; by default
        ``checks(fit)``.

    Returns
    -------
    matplotlib.figure.Figure
        At targets: a panel an input, with the data, the fan up to the targets (other inputs held at
        the target's) and the targets' intervals, each with its distance from the data in orders of
        magnitude. Along a schedule: loss above, learning rate below.

    Raises
    ------
    InputError
        If `fc` is not a forecast of this law.
    """
    if not isinstance(fc, xr.Dataset) or fc.attrs.get("model") != fit.spec.name or "kind" not in fc.dims:
        raise InputError(f"plot_forecast(fit, fc): fc must be what forecast(fit, …) returned for model '{fit.spec.name}'.")
    with mpl.rc_context(_STYLE):
        if "step" in fc.dims:
            figure = Figure(figsize=(7.2, 5.4), layout="constrained")
            axes = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
            _draw_schedule_forecast(axes, fit, fc)
        else:
            inputs = _plain_inputs(fit.spec)
            figure, axes = _figure(len(inputs))
            for ax, name in zip(axes, inputs, strict=True):
                _draw_target_forecast(ax, fit, fc, name)
        _legend(axes)
        _caption(figure, fit, [*from_json(fc.attrs["checks"]), *_checks(fit, found)])
    return figure


def save(fig: Figure, path: str | Path) -> Path:
    """Write a figure, whole or not at all.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    path : path
        Ends in .png, .svg or .pdf.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a figure's name ends in {', '.join(SUFFIXES)}; found {path.suffix or 'no suffix'!r}.")
    with mpl.rc_context(_STYLE), written_whole(path) as temporary:
        fig.savefig(temporary, format=path.suffix.lower()[1:])
    return path


def save_all(fit: Fit, folder: str | Path) -> list[Path]:
    """Write every figure of a fit as PNG.

    Parameters
    ----------
    fit : Fit
        A point fit has no prior and no posterior: those figures are left out.
    folder : path
        Made if it is not there.

    Returns
    -------
    list of pathlib.Path
        fit.png, residuals.png and, with a posterior, prior-posterior.png and pair.png.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({error.strerror}); choose another place.") from None
    found = _checks(fit, None)
    figures = {"fit": lambda: plot_fit(fit, found=found), "residuals": lambda: plot_residuals(fit, found=found)}
    if fit.method == "nuts":
        figures |= {"prior-posterior": lambda: plot_prior_posterior(fit), "pair": lambda: plot_pair(fit)}
    return [save(draw(), folder / f"{name}.png") for name, draw in figures.items()]


# ---------------------------------------------------------------- what is drawn


def _fan(fit: Fit, inputs: Mapping[str, np.ndarray], prob: float, seed: int = 0) -> _Fan:
    """Compute line and intervals at inputs by symbol, without evaluation noise."""
    rows = len(next(iter(inputs.values())))
    size = fit.draws.sizes.get("chain", 1) * fit.draws.sizes[list(fit.draws.dims)[-1]]
    thin = max(1, size * rows // _FAN_VALUES)
    values = flat_values(fit.draws, thin)
    if not size:  # a point fit without a bootstrap: the law is one line
        thin, values = 1, {n: np.full((400, 1), v) for n, v in _point_values(fit).items()}
    draw = predictor(fit, thin)(values, {**inputs, "sampling_error": np.zeros(rows)}, np.random.default_rng(seed))
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    with np.errstate(all="ignore"):
        law = to_output(fit.spec, np.quantile(draw["law"], ends, axis=0))
        run = to_output(fit.spec, np.quantile(draw["run"], ends, axis=0))
        line = np.median(draw["law"], axis=0)
        if fit.method == "map":
            line = law_on_scale(fit.spec, _point_values(fit), inputs)
        line = to_output(fit.spec, np.broadcast_to(line, rows))
    return _Fan(line, (law[0], law[1]), (run[0], run[1]))


def _point_values(fit: Fit) -> dict[str, float]:
    point = fit.tree["point"].to_dataset()
    return {n: float(point[n]) for n in fit.spec.scalar_names if n in point}


def _residuals(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals on the scale of errors, and draws of the noise the fit expects at each row."""
    spec, data = fit.spec, fit.data
    rng = np.random.default_rng(0)
    if fit.method == "map":
        residual = fit.tree["point"]["residual"].values
        return residual, residual.std() * rng.standard_normal((500, len(residual)))
    size = fit.draws.sizes["chain"] * fit.draws.sizes["draw"]
    thin = max(1, size * data.sizes["obs"] // _FAN_VALUES)
    inputs = {**law_inputs(spec, data), "sampling_error": data["sampling_error"].values}
    draw = predictor(fit, thin)(flat_values(fit.draws, thin), inputs, rng)
    y = to_scale(data[spec.output.name].values, spec.output.scale)
    return y - np.median(draw["law"], axis=0), draw["run"] - draw["curve"]


def _plain_inputs(spec: Spec) -> list[str]:
    """Return the inputs that are one number a row, by symbol."""
    return [n for n in used_inputs(spec) if not spec.inputs[n].function]


def _natural(spec: Spec, draws: xr.Dataset) -> list[str]:
    """Return the paper's parameters: derived constants, and what the law itself names."""
    used = set(spec.law.symbols).union(*(d.formula.symbols for n, d in spec.derived.items() if n not in spec.constants))
    names = [*spec.constants, *(n for n in spec.scalar_names if n in used)]
    return [n for n in names if n in draws]


def _log_name(values: xr.DataArray) -> str:
    low, high = np.quantile(values, [0.005, 0.995])
    return f"log10 {values.name}" if low > 0 and high / low > 20 else str(values.name)


def _grid(fit: Fit, name: str, reach: Iterable[float] = ()) -> np.ndarray:
    """Return values of an input from end to end of the data, and on to what must be reached."""
    seen = np.concatenate([fit.data[fit.spec.inputs[name].column].values, np.asarray(list(reach), dtype=float)])
    low, high = seen.min(), seen.max()
    if low <= 0:
        return np.linspace(low, high, _GRID)
    pad = (high / low) ** 0.03 if high > low else 1.2
    return np.geomspace(low / pad, high * pad, _GRID)


# ---------------------------------------------------------------- panels


def _draw_fan(ax: Axes, x: np.ndarray, fan: _Fan, prob: float, colour: str, method: str, name: str = "", label: bool = True) -> None:
    """Draw line, law and run; `name` stands before the labels where there are several fans."""
    per = f"{100 * prob:g} %"
    what = ("point fit", f"law: bootstrap, {per}", f"run: with residuals, {per}") if method == "map" else (
        "law: median", f"law, {per}", f"run, {per}")  # fmt: skip
    labels = what if label else (None, None, None)
    ax.fill_between(x, *fan.run, color=colour, alpha=0.14, lw=0, label=labels[2])
    ax.fill_between(x, *fan.law, color=colour, alpha=0.32, lw=0, label=labels[1])
    ax.plot(x, fan.line, color=colour, label=name or labels[0])


def _draw_data(ax: Axes, fit: Fit, name: str, colour: Any = INK, label: str = "data") -> None:
    data, output = fit.data, fit.spec.output.name
    x, y, error = data[fit.spec.inputs[name].column].values, data[output].values, data["sampling_error"].values
    if (error > 0).any():
        # A log axis has no place for what lies below zero.
        below = np.minimum(error, 0.95 * y) if fit.spec.output.scale == "log" else error
        ax.errorbar(x, y, (below, error), fmt="none", ecolor=GREY, elinewidth=0.8, zorder=3)
        label = f"{label} ± 1 sampling error"
    ax.scatter(x, y, s=14, color=colour, zorder=4, lw=0, label=label)


def _draw_curves(ax: Axes, fit: Fit, prob: float) -> None:
    """Draw every run's data and fan against the step."""
    data = fit.data
    inputs = law_inputs(fit.spec, data)
    for i, (run, rows) in enumerate(_runs(data).items()):
        colour, step = COLOURS[i % len(COLOURS)], data["step"].values[rows]
        fan = _fan(fit, {n: v[rows] for n, v in inputs.items()}, prob)
        _draw_fan(ax, step, fan, prob, colour, fit.method, label=i == 0)
        size = 14 if len(rows) < 100 else 4
        ax.scatter(step, data[fit.spec.output.name].values[rows], s=size, color=colour, ec="white", lw=0.3, zorder=4, label=f"data: {run}")
    ax.set(xlabel="step (optimiser steps)", ylabel=_output_label(fit))
    _frame_values(ax, data[fit.spec.output.name].values)


def _runs(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Return each run's rows in the order of steps."""
    if "run" not in data.coords:
        return {"all rows": np.argsort(data["step"].values, kind="stable")}
    runs = data["run"].values.astype(str)
    steps = data["step"].values
    found = {run: np.flatnonzero(runs == run) for run in dict.fromkeys(runs)}
    return {run: rows[np.argsort(steps[rows], kind="stable")] for run, rows in found.items()}


def _draw_levels(ax: Axes, fit: Fit, inputs: list[str], prob: float) -> None:
    """Draw data and fans against the second input, coloured by the first at four of its values."""
    first, second = inputs
    values = np.sort(fit.data[fit.spec.inputs[first].column].values)
    levels = np.unique(np.quantile(values, [0.05, 0.35, 0.65, 0.95], method="nearest"))
    mids = np.sqrt(levels[1:] * levels[:-1]) if levels[0] > 0 else (levels[1:] + levels[:-1]) / 2
    nearest = np.searchsorted(mids, fit.data[fit.spec.inputs[first].column].values)
    _draw_data(ax, fit, second, [COLOURS[i] for i in nearest], "data, coloured by the nearest")
    grid = _grid(fit, second)
    for i, level in enumerate(levels):
        fan = _fan(fit, {first: np.full(_GRID, level), second: grid}, prob)
        _draw_fan(ax, grid, fan, prob, COLOURS[i], fit.method, name=f"law at {first} = {level:.3g}", label=i == 0)
    _finish_input_axes(ax, fit, second)


def _draw_observed_fitted(ax: Axes, fit: Fit, prob: float) -> None:
    fan = _fan(fit, law_inputs(fit.spec, fit.data), prob)
    observed = fit.data[fit.spec.output.name].values
    ax.vlines(fan.line, *fan.run, color=COLOURS[0], alpha=0.22, lw=2, label=f"run, {100 * prob:g} %")
    ax.scatter(fan.line, observed, s=12, color=INK, lw=0, zorder=4, label="data")
    ends = [min(fan.line.min(), observed.min()), max(fan.line.max(), observed.max())]
    ax.plot(ends, ends, color=COLOURS[0], lw=1, label="observed = fitted")
    name, unit = _output_name(fit), fit.spec.output.unit
    ax.set(xlabel=f"fitted {name} ({unit})", ylabel=f"observed {name} ({unit})")
    if fit.spec.output.scale == "log":
        _log_axis(ax.xaxis)
        _log_axis(ax.yaxis)


def _draw_residuals(ax: Axes, fit: Fit, residual: np.ndarray, expected: np.ndarray, prob: float) -> None:
    data, spec = fit.data, fit.spec
    curves = needs_schedule(spec)
    name = None if curves else _plain_inputs(spec)[0]
    x = data["step"].values if curves else data[spec.inputs[name].column].values
    low, high = np.quantile(expected, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    order = np.argsort(x, kind="stable")
    what = "residuals' normal" if fit.method == "map" else "noise the fit expects"
    if np.ptp(high) <= 0.2 * high.max():  # one noise for all rows: a band; else a bar a row
        low, high = (np.quantile(expected, q) for q in ((1 - prob) / 2, (1 + prob) / 2))
        ax.axhspan(low, high, color=COLOURS[0] if not curves else GREY, alpha=0.14, lw=0, label=f"{what}, {100 * prob:g} %")
    else:
        ax.vlines(x[order], low[order], high[order], color=COLOURS[0], alpha=0.2, lw=3, label=f"{what}, {100 * prob:g} %")
    ax.axhline(0, color=INK, lw=0.8)
    if curves:
        for i, (run, rows) in enumerate(_runs(data).items()):
            ax.plot(x[rows], residual[rows], ".-", ms=4, lw=0.7, color=COLOURS[i % len(COLOURS)], label=run)
        ax.set_xlabel("step (optimiser steps)")
    else:
        ax.scatter(x, residual, s=13, color=INK, lw=0, zorder=4, label="rows")
        _label_input(ax, spec, name, x)
    ax.set_ylabel(f"residual ({_residual_unit(spec)})")


def _draw_quantiles(ax: Axes, fit: Fit, residual: np.ndarray, expected: np.ndarray) -> None:
    """Draw the residuals' quantiles against those of replicated noise, with its central 90 %."""
    count = len(residual)
    again = np.sort(expected[:: max(1, len(expected) // 500)], axis=1)
    low, middle, high = np.quantile(again, [0.05, 0.5, 0.95], axis=0)
    seen = np.sort(residual)
    ax.fill_between(middle, low, high, color=COLOURS[0], alpha=0.18, lw=0, label="replicated, 90 %")
    ax.plot(middle, middle, color=COLOURS[0], lw=1, label="as expected")
    ax.scatter(middle, seen, s=10 if count < 200 else 4, color=INK, lw=0, zorder=4, label="residuals")
    reach = 1.15 * max(np.abs(seen).max(), 1e-300)
    ax.set_ylim(-reach, reach)  # heavy tails' replicates must not shrink the data to a point
    ax.set_xlim(*(np.clip([1.05 * middle[0], 1.05 * middle[-1]], -1.5 * reach, 1.5 * reach)))
    unit = _residual_unit(fit.spec)
    kind = "normal" if fit.method == "map" else "fit's noise"
    ax.set(xlabel=f"quantile of the {kind} ({unit})", ylabel=f"quantile of the residuals ({unit})")


def _draw_densities(ax: Axes, spec: Spec, name: str, prior: np.ndarray, posterior: np.ndarray) -> None:
    """Draw two histograms, each scaled to its peak; positive parameters on a log axis."""
    parameter = spec.parameters.get(name) or spec.likelihood.get(name)
    bounded = (parameter is not None and parameter.support == "unit") or any(name in p.names for p in spec.parameters.values())
    log = not bounded and min(prior.min(), posterior.min()) > 0
    forward, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    for values, colour, alpha, label in ((prior, GREY, 0.35, "prior"), (posterior, COLOURS[0], 0.75, "posterior")):
        kept = forward(values)
        low, high = np.quantile(kept, [0.003, 0.997])
        heights, edges = np.histogram(kept, bins=28, range=(low, high if high > low else low + 1e-12))
        ax.stairs(heights / max(heights.max(), 1), back(edges), fill=True, color=colour, alpha=alpha, lw=0, label=label)
    if log:
        ax.set_xscale("log")
    narrower = np.std(forward(posterior)) / max(np.std(forward(prior)), 1e-300)
    ax.set_title(f"{name}: sd {100 * narrower:.2g} % of prior's{' (log)' if log else ''}", fontsize=8.5)
    ax.set(xlabel=f"{name} ({_unit(spec, name)})", yticks=[], ylim=(0, 1.08))
    ax.grid(False)


def _dress_pairs(figure: Figure, spec: Spec, names: list[str], divergent: bool) -> None:
    """Name the axes with units, and thin out what a matrix of panels repeats."""
    count = len(names)
    axes = np.array(figure.axes[: count * count]).reshape(count, count)
    for row in range(count):
        for column in range(row + 1):
            ax = axes[row, column]
            ax.locator_params(nbins=4)
            ax.tick_params(labelsize=7, labelleft=column == 0 and row > 0, labelbottom=row == count - 1)
            ax.set_xlabel(_pair_label(spec, names[column]) if row == count - 1 else "", fontsize=8)
            ax.set_ylabel(_pair_label(spec, names[row]) if column == 0 and row > 0 else "", fontsize=8)
            if row == column:
                ax.set_yticks([])
            ax.tick_params(axis="x", labelrotation=30)
    axes[0, 0].set_ylabel("density", fontsize=8)
    figure.suptitle(f"{spec.title}: posterior" + (", divergent draws in orange" if divergent else ""), fontsize=10, x=0.02, ha="left")
    figure.set_layout_engine("constrained")


def _pair_label(spec: Spec, name: str) -> str:
    unit = textwrap.fill(f"({_unit(spec, name.removeprefix('log10 '))})", 24)
    return f"{name}\n{unit}"


def _draw_target_forecast(ax: Axes, fit: Fit, fc: xr.Dataset, name: str) -> None:
    """Draw data, fans up to the targets with the other inputs held there, and the targets."""
    others = [n for n in _plain_inputs(fit.spec) if n != name]
    prob, run = fc.attrs["prob"], fc.sel(kind="run")
    held = sorted({tuple(float(fc[o].values[i]) for o in others) for i in range(fc.sizes["target"])})[:4]
    _draw_data(ax, fit, name)
    for i, combination in enumerate(held):
        same = [t for t in range(fc.sizes["target"]) if tuple(float(fc[o].values[t]) for o in others) == combination]
        grid = _grid(fit, name, fc[name].values[same])
        inputs = {name: grid, **{o: np.full(_GRID, v) for o, v in zip(others, combination, strict=True)}}
        where = ", ".join(f"{o} = {v:.3g}" for o, v in zip(others, combination, strict=True))
        _draw_fan(ax, grid, _fan(fit, inputs, prob), prob, COLOURS[i], fit.method, name=where and f"law at {where}", label=i == 0)
    middle, low, high = (run[q].values for q in ("median", "lower", "upper"))
    ax.errorbar(fc[name].values, middle, (middle - low, high - middle), fmt="D", ms=4.5, mfc="white", mec=COLOURS[1],
                ecolor=COLOURS[1], capsize=3, zorder=6, label=f"target: run, {100 * prob:g} %")  # fmt: skip
    _finish_input_axes(ax, fit, name)
    _mark_distance(ax, fit, fc, name)


def _mark_distance(ax: Axes, fit: Fit, fc: xr.Dataset, name: str) -> None:
    """Shade what lies beyond the data, and say by how many orders of magnitude."""
    seen, at = fit.data[fit.spec.inputs[name].column].values, fc[name].values
    beyond = [t for t in range(len(at)) if at[t] > seen.max() or at[t] < seen.min()]
    limits = ax.get_xlim()
    if at.max() > seen.max():
        ax.axvspan(seen.max(), limits[1], color=GREY, alpha=0.08, lw=0, label="beyond the data")
    if at.min() < seen.min():
        ax.axvspan(limits[0], seen.min(), color=GREY, alpha=0.08, lw=0, label=None if at.max() > seen.max() else "beyond the data")
    ax.set_xlim(limits)
    for t in beyond[:6]:
        edge = seen.max() if at[t] > seen.max() else seen.min()
        if at[t] > 0 and edge > 0:
            ax.annotate(f"{np.log10(at[t] / edge):+.1f} orders", (at[t], float(fc["upper"].sel(kind="run").values[t])),
                        xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7.5, color=COLOURS[1])  # fmt: skip


def _draw_schedule_forecast(axes: Iterable[Axes], fit: Fit, fc: xr.Dataset) -> None:
    top, bottom = axes
    prob, step = fc.attrs["prob"], fc["step"].values
    kinds = {kind: fc.sel(kind=kind) for kind in ("law", "run")}
    fan = _Fan(kinds["law"]["median"].values, *((k["lower"].values, k["upper"].values) for k in kinds.values()))
    for i, (run, rows) in enumerate(_runs(fit.data).items()):
        colour, x = COLOURS[(i + 1) % len(COLOURS)], fit.data["step"].values[rows]
        top.scatter(x, fit.data[fit.spec.output.name].values[rows], s=9 if len(rows) < 100 else 3, color=colour, alpha=0.7, lw=0, label=f"trained: {run}")
        bottom.plot(x, fit.data["lr"].values[rows], color=colour, lw=1, alpha=0.8)
    _draw_fan(top, step, fan, prob, COLOURS[0], fit.method, name="forecast: median")
    bottom.plot(step, fc["lr"].values, color=COLOURS[0], lw=1.8)
    beyond = fc["orders_beyond"].values
    if beyond[-1] > 1e-6:
        first = step[np.argmax(beyond > 1e-6)]
        top.axvspan(first, step[-1], color=GREY, alpha=0.08, lw=0, label=f"beyond the data: {beyond[-1]:+.2f} orders of S1 at the end")
    last = [float(kinds["run"][q].values[-1]) for q in ("median", "lower", "upper")]
    top.set_title(f"end: {last[0]:.4g} [{last[1]:.4g}, {last[2]:.4g}] {fit.spec.output.unit}, {100 * prob:g} % of a run")
    top.set_ylabel(_output_label(fit))
    _frame_values(top, np.concatenate([fit.data[fit.spec.output.name].values, fan.line[step > fit.data["step"].values.min()]]))
    bottom.set(xlabel="step (optimiser steps)", ylabel="learning rate (per step)")


# ---------------------------------------------------------------- axes, labels, captions


def _figure(panels: int, width: tuple[float, ...] | None = None) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.2 if panels == 1 else 5.2 * panels, 4.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, width_ratios=width)
    return figure, list(axes[0])


def _finish_input_axes(ax: Axes, fit: Fit, name: str) -> None:
    _label_input(ax, fit.spec, name, fit.data[fit.spec.inputs[name].column].values)
    ax.set_ylabel(_output_label(fit))
    if fit.spec.output.scale == "log":
        _log_axis(ax.yaxis)


def _label_input(ax: Axes, spec: Spec, name: str, values: np.ndarray) -> None:
    entry = spec.inputs[name]
    ax.set_xlabel(f"{name}: {entry.meaning or entry.column} ({entry.unit or '1'})")
    if (values > 0).all():
        _log_axis(ax.xaxis)


def _log_axis(axis: Any) -> None:
    """Make an axis logarithmic with plain numbers where it spans less than two decades."""
    from matplotlib.ticker import LogFormatter, LogLocator, NullFormatter, ScalarFormatter

    axis._set_axes_scale("log") if not hasattr(axis.axes, "set_xscale") else (
        axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log"))  # fmt: skip
    low, high = axis.get_view_interval()
    if low > 0 and high / low < 100 and high < 1e5 and low > 1e-4:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 4 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_minor_formatter(LogFormatter(labelOnlyBase=True))


def _frame_values(ax: Axes, values: np.ndarray) -> None:
    """Frame the output by what is to be seen: the first steps of a curve would squash the rest."""
    low, high = values.min(), np.quantile(values, 0.97)
    high = values.max() if values.max() - low < 3 * (high - low) else high
    pad = 0.06 * (high - low)
    ax.set_ylim(low - pad, high + pad)


def _output_name(fit: Fit) -> str:
    name = fit.spec.output.name
    if name != "neg_log_pass_at_k":
        return name.replace("_", " ")
    ks = np.unique(fit.data["k"].values) if "k" in fit.data else []
    return "neg log pass@k" + (f", k = {ks[0]:g}," if len(ks) == 1 else "")


def _output_label(fit: Fit) -> str:
    return f"{_output_name(fit)} ({fit.spec.output.unit})".replace(", (", " (")


def _residual_unit(spec: Spec) -> str:
    return {"log": "log observed/fitted", "logit": "logit"}.get(spec.output.scale, spec.output.unit)


def _unit(spec: Spec, name: str) -> str:
    if any(name in p.names for p in spec.parameters.values()):
        return "share"
    entry = spec.derived.get(name) or spec.parameters.get(name) or spec.likelihood.get(name)
    share = getattr(entry, "support", None) == "unit" and "share" in entry.meaning
    return (entry.unit if entry else "") or ("share" if share else "1")


def _legend(axes: Iterable[Axes]) -> None:
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="best")


def _figure_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """Draw one legend for all panels."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=len(handles))


def _checks(fit: Fit, found: Iterable[Check] | None) -> list[Check]:
    if found is not None:
        return list(found)
    from bayeslaw.diagnostics import checks

    return checks(fit)


def _caption(figure: Figure, fit: Fit, found: list[Check]) -> None:
    """Write the law above the figure, and below it what the checks found."""
    figure.suptitle(f"{fit.spec.title}: {fit.data.sizes['obs']} rows, {'posterior' if fit.method == 'nuts' else 'point fit'}", x=0.01, ha="left", fontsize=10.5)
    worst = max((c.level for c in found), key=LEVELS.index, default="ok")
    named = [f"{level}: {', '.join(dict.fromkeys(c.name for c in found if c.level == level))}"
             for level in reversed(LEVELS[1:]) if any(c.level == level for c in found)]  # fmt: skip
    text = "checks: " + ("; ".join(named) or "all ok")
    figure.supxlabel(textwrap.fill(text, int(13 * figure.get_figwidth())), x=0.01, ha="left", fontsize=8, color=_LEVEL_INK[worst])


def _check_prob(prob: float) -> None:
    if isinstance(prob, bool) or not isinstance(prob, float | int) or not 0 < prob < 1:
        raise InputError(f"prob: found {prob!r}, allowed: a number between 0 and 1, such as 0.9.")


def _need_posterior(fit: Fit, what: str) -> None:
    if fit.method != "nuts":
        raise InputError(f"{what}: a point fit has no posterior; fit with method='nuts'.")
