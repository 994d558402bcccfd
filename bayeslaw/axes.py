"""What all figures share: style, names and units on axes, legends, and the checks below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.check import LEVELS, Check
from bayeslaw.mixture import Mixture, members
from bayeslaw.result import Fit
from bayeslaw.spec import Spec

COLOURS = ("#1f5fa8", "#c8561b", "#2b8a57", "#7d4fa3", "#a8841f", "#b23a5e", "#3a8fa3", "#6b6b6b")
"""One colour a run, or a level of another input; used again from the start beyond eight."""
MARK = "#2b8a57"
"""Colour of what a posterior is held against: the truth, a published value."""
INK, GREY = "#222222", "#8a8a8a"
_LEVEL_INK = {"ok": "#2b8a57", "note": GREY, "warn": "#a85a00", "fail": "#b00020"}
STYLE = {
    "font.size": 9.0, "axes.titlesize": 10.0, "axes.titlelocation": "left", "axes.labelsize": 9.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555",
    "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 8.0, "lines.linewidth": 1.4, "savefig.dpi": 150,
    "svg.hashsalt": "bayeslaw", "axes.formatter.useoffset": False,
}  # fmt: skip


def new_figure(panels: int, width: tuple[float, ...] | None = None) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side."""
    figure = Figure(figsize=(7.2 if panels == 1 else 5.2 * panels, 4.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, width_ratios=width)
    return figure, list(axes[0])


def panel_grid(count: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of small panels for densities, at most four a row."""
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(2.5 * columns, 4.5), 2.3 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    for ax in axes[::columns]:
        ax.set_ylabel("density / its peak")
    return figure, list(axes[:count])


def finish_input_axes(ax: Axes, fit: Fit, name: str) -> None:
    """Name both axes of a panel that has an input across and the output up."""
    label_input(ax, fit.spec, name, fit.data[fit.spec.inputs[name].column].values)
    ax.set_ylabel(output_label(fit))
    if fit.spec.output.scale == "log":
        log_axis(ax, "y")


def label_input(ax: Axes, spec: Spec, name: str, values: np.ndarray) -> None:
    """Name the horizontal axis after an input, logarithmic where it can be."""
    entry = spec.inputs[name]
    ax.set_xlabel(plain(f"{name}: {entry.meaning or entry.column} ({entry.unit or '1'})"))
    if (values > 0).all():
        log_axis(ax, "x")


def log_axis(ax: Axes, which: str) -> None:
    """Make an axis logarithmic; plain numbers where powers of ten alone would leave it bare."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

    ax.set(**{f"{which}scale": "log"})
    axis = getattr(ax, f"{which}axis")
    low, high = axis.get_view_interval()
    if low > 1e-3 and high / low < 50 and high < 1e5:
        axis.set_major_locator(MaxNLocator(6) if high / low < 6 else LogLocator(subs=(1, 2, 3, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def frame_values(ax: Axes, values: np.ndarray) -> None:
    """Frame the output by what is to be seen: the first steps of a curve would squash the rest."""
    values = values[np.isfinite(values)]
    low, high = values.min(), np.quantile(values, 0.97)
    high = values.max() if values.max() - low < 3 * (high - low) else high
    pad = 0.06 * (high - low)
    ax.set_ylim(low - pad, high + pad)


def plain(text: object) -> str:
    """Return a text of the user's as figures must be given it: a dollar sign would open a formula."""
    return str(text).replace("$", r"\$")


def output_label(fit: Fit) -> str:
    """Return the output's name and unit, with the k of pass@k where there is one."""
    name, unit = plain(fit.spec.output.name), plain(fit.spec.output.unit)
    if name != "neg_log_pass_at_k":
        return f"{name.replace('_', ' ')} ({unit})"
    ks = np.unique(fit.data["k"].values) if "k" in fit.data else []
    return f"neg log pass@k ({unit})" + (f", k = {ks[0]:g}" if len(ks) == 1 else "")


def residual_unit(spec: Spec) -> str:
    """Return the unit of the scale on which errors are judged."""
    return {"log": "log observed/fitted", "logit": "logit"}.get(spec.output.scale, plain(spec.output.unit))


def unit_of(spec: Spec, name: str) -> str:
    """Return a parameter's unit; 1 where it has none."""
    if any(name in p.names for p in spec.parameters.values()):
        return "share"
    entry = spec.derived.get(name) or spec.parameters.get(name) or spec.noise.get(name)
    share = getattr(entry, "support", None) == "unit" and "share" in entry.meaning
    return plain(entry.unit if entry else "") or ("share" if share else "1")


def legends(axes: Sequence[Axes], above: bool = True) -> None:
    """Draw each panel's legend above it, where it hides no data."""
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
            place = (
                {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "ncols": 3 if len(axes) == 1 else 2}
                if above
                else {"loc": "best"}
            )
            ax.legend(**place, columnspacing=1.2, handlelength=1.6)


def figure_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """Draw one legend for all panels."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=len(handles))


def caption(figure: Figure, fit: Fit | Mixture, found: list[Check]) -> None:
    """Write the law, or a mixture's laws, above the figure, and below it what the checks found."""
    one, _ = members(fit)[0]
    if isinstance(fit, Mixture):
        title, kind = fit.name, "mixture"
    else:
        title, kind = fit.spec.title, "posterior" if fit.method == "nuts" else "point fit"
    figure.suptitle(f"{plain(title)}: {one.data.sizes['obs']} rows, {kind}", x=0.01, ha="left", fontsize=10.5)
    worst = max((c.level for c in found), key=LEVELS.index, default="ok")
    named = [f"{level}: {', '.join(dict.fromkeys(c.name for c in found if c.level == level))}"
             for level in reversed(LEVELS[1:]) if any(c.level == level for c in found)]  # fmt: skip
    text = "checks: " + ("; ".join(named) or "all ok")
    figure.supxlabel(
        textwrap.fill(text, int(13 * figure.get_figwidth())),
        x=0.01,
        ha="left",
        fontsize=8,
        color=_LEVEL_INK[worst],
    )
