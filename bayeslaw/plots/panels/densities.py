"""Draw densities of parameters: the prior behind the posterior, and the posterior alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayeslaw.core.numbers import percent
from bayeslaw.law.spec import Spec
from bayeslaw.observation.discrepancy_shapes import lengths
from bayeslaw.plots.panels.pairs import SMALL, label_of, pair_name
from bayeslaw.plots.style.axes import few_log_ticks
from bayeslaw.plots.style.look import COLOURS, GREY, MARK
from bayeslaw.plots.style.texts import plain

_BINS, _FINE_BINS = 28, 60
_SPAN = 0.003, 0.997
_PRIOR, _POSTERIOR = {"color": GREY, "alpha": 0.35}, {"color": COLOURS[0], "alpha": 0.75}


def grid_of(spec: Spec, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the few values that a parameter has, and the prior's mass at each; none if it has any value.

    A discrepancy's length is marginalised on a grid and drawn from it: a histogram would show the grid.
    """
    if name != "discrepancy_length" or not spec.marginalised:
        return None
    grid, log_weights = lengths(spec)
    return (grid, np.exp(log_weights)) if len(grid) > 1 else None


def masses(grid: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the share of draws at each value of a grid, the nearest one in the logarithm."""
    nearest = np.abs(np.log(draws)[:, None] - np.log(grid)).argmin(axis=1)
    return np.bincount(nearest, minlength=len(grid)) / max(len(draws), 1)


def draw_densities(ax: Axes, spec: Spec, name: str, prior: np.ndarray, posterior: np.ndarray) -> None:
    """Draw prior and posterior, each scaled to its peak; positive parameters on a log axis."""
    prior, posterior = prior[np.isfinite(prior)], posterior[np.isfinite(posterior)]
    ax.set(yticks=[], ylim=(0, 1.1))
    ax.set_xlabel(label_of(ax, spec, name), fontsize=SMALL)
    ax.grid(False)
    if not len(prior) or not len(posterior):
        ax.set_title("no finite draws", fontsize=SMALL)
        return
    log = not _bounded(spec, name) and min(prior.min(), posterior.min()) > 0
    forward = np.log if log else np.asarray
    spread, before = np.std(forward(posterior)), np.std(forward(prior))
    if (grid := grid_of(spec, name)) is not None:
        before = _draw_masses(ax, *grid, masses(grid[0], posterior))
    else:
        _draw_histograms(ax, prior, posterior, log)
    ax.plot(np.median(posterior), 1.05, "v", ms=4.5, color=COLOURS[0], lw=0)  # a spike is easily missed
    ax.set_title(
        f"sd {percent(spread / max(before, 1e-300))} % of prior's{' (log)' if log else ''}", fontsize=SMALL
    )


def _bounded(spec: Spec, name: str) -> bool:
    """Return whether a parameter is a share, which a log axis would not suit."""
    parameter = spec.parameters.get(name) or spec.noise.get(name)
    shares = any(name in p.names for p in spec.parameters.values())
    return shares or (parameter is not None and parameter.support == "unit")


def _draw_histograms(ax: Axes, prior: np.ndarray, posterior: np.ndarray, log: bool) -> None:
    forward, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    ends = []
    for values, look, label in ((prior, _PRIOR, "prior"), (posterior, _POSTERIOR, "posterior")):
        kept = forward(values)
        low, high = np.quantile(kept, _SPAN)
        heights, edges = np.histogram(kept, bins=_BINS, range=_range(low, high))
        ends += [edges[0], edges[-1]]
        shape = heights / max(heights.max(), 1)
        ax.stairs(shape, back(edges), fill=True, lw=0, label=label, **look)
    if log:
        few_log_ticks(ax, *back([min(ends), max(ends)]))
    else:
        ax.locator_params(axis="x", nbins=4)


def _draw_masses(ax: Axes, grid: np.ndarray, prior: np.ndarray, posterior: np.ndarray) -> float:
    """Draw a bar for each value, the prior's mass beside the posterior's; return the prior's sd of the logarithm."""
    width, peak = np.log(grid[1] / grid[0]), max(prior.max(), posterior.max())
    for mass, look, label, side in (
        (prior, _PRIOR, "prior", -0.4), (posterior, _POSTERIOR, "posterior", 0.0)
    ):  # fmt: skip
        left, right = (grid * np.exp(width * (side + w)) for w in (0.0, 0.4))
        ax.bar(left, mass / peak, right - left, align="edge", lw=0, label=label, **look)
    few_log_ticks(ax, grid[0] * np.exp(-width), grid[-1] * np.exp(width))
    logs = np.log(grid)
    return float(np.sqrt(prior @ (logs - prior @ logs) ** 2))


def draw_posterior(
    ax: Axes, spec: Spec, draws: xr.DataArray, marks: Mapping[str, float], prob: float
) -> None:
    """Draw a histogram of draws, the interval in full colour, and marked values as lines."""
    grid = grid_of(spec, str(draws.name))
    name = pair_name(draws) if grid is None else str(draws.name)
    forward = np.log10 if name != draws.name else np.asarray
    values = forward(draws.values.ravel()[np.isfinite(draws.values.ravel())])
    ax.set(yticks=[], ylim=(0, 1.1))
    ax.set_xlabel(label_of(ax, spec, name), fontsize=SMALL)
    ax.grid(False)
    if len(values):
        if grid is None:
            ends = np.quantile(values, [0.002, 0.998])
            heights, edges = np.histogram(values, bins=_FINE_BINS, range=_range(*ends))
            middle = (edges[1:] + edges[:-1]) / 2
            ax.locator_params(axis="x", nbins=4)
        else:
            heights, edges, middle = _bars(grid[0], masses(grid[0], values))
            few_log_ticks(ax, edges[0], edges[-1])
        low, high = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2])
        inside, heights = (middle >= low) & (middle <= high), heights / max(heights.max(), 1e-300)
        look = {"fill": True, "color": COLOURS[0], "lw": 0}
        ax.stairs(heights, edges, alpha=0.3, label="posterior", **look)
        ax.stairs(np.where(inside, heights, 0), edges, alpha=0.6, label=f"{100 * prob:g} %", **look)
    for i, (label, value) in enumerate(marks.items()):
        ax.axvline(forward(value), color=MARK, ls=("-", "--", ":")[i % 3], lw=1.8, label=plain(label))


def _bars(grid: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return heights, edges and middles of bars with gaps between them, as those of a histogram."""
    half = (grid[1] / grid[0]) ** 0.35
    heights = np.stack([mass, np.zeros_like(mass)], axis=1).ravel()[:-1]
    middle = np.repeat(grid, 2)[:-1]  # a gap belongs to the bar before it
    return heights, np.stack([grid / half, grid * half], axis=1).ravel(), middle


def _range(low: float, high: float) -> tuple[float, float]:
    """Return ends of a histogram; a value that never changes has a small one around it."""
    return (
        (low, high) if high > low else (low - max(abs(low), 1e-12) * 1e-3, low + max(abs(low), 1e-12) * 1e-3)
    )
