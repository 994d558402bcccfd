"""Draw laws with two inputs, one of them as colour: a row compares only with a fan of its own colour."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize

from bayeslaw.core.numbers import short
from bayeslaw.forecasts.evaluation import USUAL
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.fans import draw_fan, draw_laws, fans_of
from bayeslaw.plots.panels.rows import draw_rows, group_text, groups_of, spread
from bayeslaw.plots.panels.views import View
from bayeslaw.plots.style.axes import few_ticks, log_axis
from bayeslaw.plots.style.labels import output_label
from bayeslaw.plots.style.texts import fitted

_GRID = 80
_MOST_FANS = 3
_ALIKE = 0.05
"""Colours closer than this share of their scale cannot be told apart."""
_SHADES = ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 0.92, 256)))
"""Without the palest yellow, which white paper swallows."""
_STYLES = ("-", "--", ":")
_NEAR = 0.25
"""Share of the rows, the nearest in colour, whose width a fan has where no target asks for more."""


def shades(values: np.ndarray) -> ScalarMappable:
    """Return the scale of colours from end to end of values, logarithmic where it can be."""
    low, high = float(values.min()), float(values.max())
    if low > 0:
        return ScalarMappable(LogNorm(low, high if high > low else 1.01 * low), _SHADES)
    return ScalarMappable(Normalize(low, high if high > low else low + 1.0), _SHADES)


def draw_view(
    ax: Axes,
    whole: Fit | Mixture,
    view: View,
    prob: float,
    targets: Mapping[str, np.ndarray] | None = None,
    samples: int | str | None = USUAL,
) -> ScalarMappable:
    """Draw rows and fans, a fan only as far as rows of about its colour reach, or its targets.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    whole : Fit or Mixture
    view : View
    prob : float
    targets : mapping of str to numpy.ndarray, optional
        Inputs by symbol that the fans go to, and groups by column; without them fans stand at three values
        of the rows' colour.
    samples : "usual", int or None
        How runs are measured, as of `forecast`.

    Returns
    -------
    matplotlib.cm.ScalarMappable
        The scale of colours.
    """
    fit, _ = members(whole)[0]
    spec = fit.spec
    rows = {s: fit.data[spec.inputs[s].column].values for s in view.inputs(np.ones(1), np.ones(1))}
    x, colour = view.across.of(rows), view.colour.of(rows)
    goals = (view.across.of(targets), view.colour.of(targets)) if targets else (np.empty(0), np.empty(0))
    scale = shades(np.concatenate([colour, goals[1]]))
    lines = _lines(colour, goals[1], groups_of(spec, targets or {}, len(goals[1])))
    grids = [_reach(x, colour, level, goals[0][own]) for level, _, own in lines]
    places = [
        view.inputs(grid, np.full(_GRID, level)) | {c: np.full(_GRID, label) for c, label in group.items()}
        for grid, (level, group, _) in zip(grids, lines, strict=True)
    ]
    for i, fan in enumerate(fans_of(whole, places, prob, samples=samples)):
        level, group, _ = lines[i]
        name = f"curve at {view.colour.name} = {short(level)}{group_text(spec, group)}"
        style = _STYLES[[g for _, g, _ in lines].index(group) % len(_STYLES)]  # groups may share a colour
        draw_fan(ax, grids[i], fan, prob, scale.to_rgba(level), fit.is_posterior, name, i == 0, style)
    if isinstance(whole, Mixture):
        draw_laws(ax, whole, grids[0], places[0], prob)
    draw_rows(ax, fit, x, cmap=scale.cmap, norm=scale.norm, c=colour)
    return scale


def _lines(
    colour: np.ndarray, goals: np.ndarray, groups: list[dict[str, str]]
) -> list[tuple[float, dict[str, str], np.ndarray]]:
    """Return colour, group and targets of each fan.

    Targets share one whose colours nobody could tell apart; of too many fans the outer ones and some in
    between are drawn. Without targets fans stand at three of the rows' colours.
    """
    if not len(goals):
        levels = np.unique(np.quantile(colour, [0.1, 0.5, 0.9], method="nearest"))
        return [(float(level), {}, np.empty(0, dtype=int)) for level in levels]
    alike = _ALIKE * apart(np.concatenate([colour, goals]), min(colour.min(), goals.min())).max()
    bundles: list[list[int]] = []
    for i in np.argsort(goals, kind="stable"):
        own = [b for b in bundles if groups[b[0]] == groups[i]]
        if own and apart(goals[[own[-1][0]]], goals[i])[0] <= alike:
            own[-1].append(int(i))
        else:
            bundles.append([int(i)])
    chosen = np.linspace(0, len(bundles) - 1, min(len(bundles), _MOST_FANS)).round().astype(int)
    picked = [bundles[i] for i in chosen]
    return [(float(goals[b[len(b) // 2]]), groups[b[0]], np.array(b)) for b in picked]


def apart(colours: np.ndarray, level: float) -> np.ndarray:
    """Return how far colours are from one, in e-folds where they have a logarithm."""
    if level > 0 and (colours > 0).all():
        return np.abs(np.log(colours / level))
    return np.abs(colours - level)


def _reach(x: np.ndarray, colour: np.ndarray, level: float, own: np.ndarray) -> np.ndarray:
    """Return places across for a fan: as far as rows of about its colour lie, and on to its own targets."""
    near = np.argsort(apart(colour, level), kind="stable")[: max(2, round(_NEAR * len(x)))]
    seen = np.concatenate([x[near], own])
    return spread(seen.min(), seen.max(), _GRID)


def finish_view(ax: Axes, fit: Fit, view: View, scale: ScalarMappable, seen: np.ndarray) -> None:
    """Name both axes once all is drawn, frame what was seen and predicted, and put the scale of colours beside it."""
    ax.set_xlabel(fitted(ax, view.across.label))
    ax.set_ylabel(fitted(ax, output_label(fit), "y"))
    drawn = np.concatenate([line.get_xdata() for line in ax.get_lines()])
    if (drawn > 0).all():
        log_axis(ax, "x")
    seen, log = seen[np.isfinite(seen)], fit.spec.output.scale == "log"
    low, high = (np.log(seen.min()), np.log(seen.max())) if log else (seen.min(), seen.max())
    ends = np.array([low, high]) + 0.06 * max(high - low, 1e-3) * np.array([-1, 1])
    ax.set_ylim(np.exp(ends) if log else ends)
    if log:
        log_axis(ax, "y")
    bar = ax.get_figure().colorbar(scale, ax=ax, pad=0.02, aspect=30)
    bar.set_label(fitted(ax, view.colour.label, "y"))
    bar.outline.set_visible(False)
    if isinstance(scale.norm, LogNorm):
        ticks = few_ticks(scale.norm.vmin, scale.norm.vmax)
        bar.set_ticks(ticks, labels=[short(tick) for tick in ticks])
        bar.minorticks_off()
