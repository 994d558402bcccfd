"""What all figures share: style, names and units on axes, legends, and the checks below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)

from bayeslaw.core.check import LEVELS, Check
from bayeslaw.core.errors import check_type, listed
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.law.spec import Spec

COLOURS = ("#1f5fa8", "#c8561b", "#2b8a57", "#7d4fa3", "#a8841f", "#b23a5e", "#3a8fa3", "#6b6b6b")
"""One colour a run, or a level of another input; used again from the start beyond eight."""
MARK = "#2b8a57"
"""Colour of what a posterior is held against: the truth, a published value."""
INK, GREY = "#222222", "#8a8a8a"
_LETTER = 0.0083
"""Width of a letter in inches, a point of its size: the font's mean, and a little."""
_FEW = 4
_TITLE = 10.5
_GROWS = 1.25
"""How much wider than before the layout a panel is with all that stands beside it."""
_LEGEND: dict[str, Any] = {"columnspacing": 1.2, "handlelength": 1.6}
WIDE = 10.0
"""Inches of a figure with panels side by side: what a report's page shows without shrinking it."""
_LEVEL_INK = {"ok": "#2b8a57", "note": GREY, "warn": "#a85a00", "fail": "#b00020"}
STYLE = {
    "font.size": 9.0, "axes.titlesize": 10.0, "axes.titlelocation": "left", "axes.labelsize": 9.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555",
    "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 8.0, "lines.linewidth": 1.4, "savefig.dpi": 150,
    "svg.hashsalt": "bayeslaw", "axes.formatter.useoffset": False,
}  # fmt: skip


def new_figure(
    panels: int, width: tuple[float, ...] | None = None, tall: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side, as wide as a page shows it in full size; `tall` in inches or more."""
    figure = Figure(figsize=(7.2 if panels == 1 else WIDE, max(4.6, tall)), layout="constrained")
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


def run_grid(count: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of small panels, one a run."""
    columns = 3 if count <= 9 else 4
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDE, 1.8 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, list(axes[:count])


def finish_input_axes(ax: Axes, fit: Fit, name: str) -> None:
    """Name both axes of a panel that has an input across and the output up."""
    label_input(ax, fit.spec, name, fit.data[fit.spec.inputs[name].column].values)
    ax.set_ylabel(fitted(ax, output_label(fit), "y"))
    if fit.spec.output.scale == "log":
        log_axis(ax, "y")


def label_input(ax: Axes, spec: Spec, name: str, values: np.ndarray) -> None:
    """Name the horizontal axis after an input, logarithmic where it can be."""
    entry = spec.inputs[name]
    ax.set_xlabel(fitted(ax, plain(f"{name}: {entry.meaning or entry.column} ({entry.unit or '1'})")))
    if (values > 0).all():
        log_axis(ax, "x")


def log_axis(ax: Axes, which: str) -> None:
    """Make an axis logarithmic; plain numbers where powers of ten alone would leave it bare."""
    ax.set(**{f"{which}scale": "log"})
    axis = getattr(ax, f"{which}axis")
    low, high = axis.get_view_interval()
    if low > 1e-3 and high / low < 50 and high < 1e5:
        axis.set_major_locator(MaxNLocator(6) if high / low < 6 else LogLocator(subs=(1, 2, 3, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def few_ticks(low: float, high: float) -> np.ndarray:
    """Return at most four round numbers for a logarithmic scale: decades, or 1, 2 and 5 of each, or what there is."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for ticks in (
        10.0**decades,
        np.sort([f * 10.0**d for d in decades for f in (1, 2, 5)]),
        MaxNLocator(3).tick_values(low, high),
    ):
        inside = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if len(inside) >= _FEW - 1:
            break
    return inside[:: max(1, -(-len(inside) // _FEW))]


def few_log_ticks(ax: Axes, low: float, high: float) -> None:
    """Make the horizontal axis of a small panel logarithmic, with few ticks."""
    ax.set_xscale("log")
    ticks = few_ticks(low, high)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    if len(ticks) and ticks[0] >= 1e-3 and ticks[-1] < 1e4:
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def frame_values(ax: Axes, values: np.ndarray) -> None:
    """Frame the output by what is to be seen: the first steps of a curve would squash the rest."""
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = values.min(), np.quantile(values, 0.97)
    high = values.max() if values.max() - low < 3 * (high - low) else high
    pad = 0.06 * (high - low)
    ax.set_ylim(low - pad, high + pad)


def plain(text: object) -> str:
    """Return a text of the user's as figures must be given it: a dollar sign would open a formula."""
    return re.sub(r"(?<!\\)\$", r"\\$", str(text))


def abridged(text: str, length: int) -> str:
    """Cut a long text in its middle: names of runs tend to differ at their ends."""
    if len(text) <= length:
        return text
    return f"{text[: (length - 1) // 2]}…{text[-(length // 2) :]}"


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters, a long word behind what joins its parts."""
    lines = [""]
    for word in text.split(" "):
        gap = " " if lines[-1] else ""
        if len(lines[-1]) + len(gap) + len(word) <= width:
            lines[-1] += gap + word
            continue
        pieces = (
            [word] if len(word) <= width else re.findall(rf"[^_/^*·]{{1,{width - 1}}}[_/^*·]?|[_/^*·]", word)
        )
        for i, piece in enumerate(pieces):
            gap = " " if i == 0 and lines[-1] else ""
            if lines[-1] and (len(lines[-1]) + len(gap) + len(piece) > width or len(pieces) == 1):
                lines.append(piece)
            else:
                lines[-1] += gap + piece
    return "\n".join(lines)


def fitted(ax: Axes, text: str, which: str = "x", size: float = 9.0) -> str:
    """Break a text into lines no longer than the side of the panel at which it stands."""
    width, height = _inches(ax)
    side = width if which == "x" else 0.9 * height
    return wrapped(text, max(int(side / (_LETTER * size)), 12))


def _inches(ax: Axes) -> tuple[float, float]:
    """Return the size of a panel before the layout, and before a scale of colours took its share."""
    figure, place = ax.get_figure(), ax.get_subplotspec()
    box = ax.get_position() if place is None else place.get_position(figure)
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()


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


def legends(axes: Sequence[Axes]) -> None:
    """Draw each panel's legend above it, where it hides no data, in as many columns as its texts allow."""
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        if labels:
            columns = _legend_columns(labels, _GROWS * _inches(ax)[0])
            ax.legend(
                handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, **_LEGEND
            )


def figure_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """Draw one legend for all panels, below the figure's title if it has one by now."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    columns = _legend_columns(list(handles), figure.get_figwidth())
    title, look = figure.get_suptitle(), {"ncols": columns, **_LEGEND}
    if not title:
        figure.legend(handles.values(), handles, loc="outside upper left", **look)
        return
    # The layout would give title and legend one place, so they get a strip of their own above it.
    high, rows = figure.get_figheight(), -(-len(handles) // columns)
    below = (1.25 * _TITLE * (title.count("\n") + 1) + 8) / 72 / high
    strip = below + (14 * rows + 10) / 72 / high
    figure.suptitle(title, x=0.01, y=1 - 4 / 72 / high, ha="left", fontsize=_TITLE).set_in_layout(False)
    figure.legend(handles.values(), handles, loc="upper left", bbox_to_anchor=(0, 1 - below), **look)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - strip))


def _legend_columns(labels: list[str], width: float) -> int:
    """Return how many columns of the longest label fit into a width in inches; at most four."""
    one = max(text_width(label, 8) for label in labels) + 0.42
    return int(np.clip(width / one, 1, min(4, len(labels))))


def text_width(text: str, size: float) -> float:
    """Return how wide one line of text is, in inches."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0] / 72


def head(figure: Figure, text: str) -> None:
    """Write a figure's title, in as many lines as its width needs."""
    lines = wrapped(plain(text), int(figure.get_figwidth() / (_LETTER * _TITLE)))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=_TITLE)


def foot(figure: Figure, text: str, colour: str) -> None:
    """Write what is to be known of a figure below it."""
    lines = wrapped(plain(text), int(figure.get_figwidth() / (_LETTER * 8)))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8, color=colour)


def caption(figure: Figure, fit: Fit | Mixture, found: list[Check]) -> None:
    """Write the law, or a mixture's laws, above the figure, and below it what the checks found."""
    one, _ = members(fit)[0]
    if isinstance(fit, Mixture):
        title, kind = fit.name, "mixture"
    else:
        title, kind = fit.spec.title, "posterior" if fit.method == "nuts" else "point fit"
    head(figure, f"{title}: {one.data.sizes['obs']} rows, {kind}")
    worst = max((c.level for c in found), key=LEVELS.index, default="ok")
    named = [f"{level}: {', '.join(dict.fromkeys(c.name for c in found if c.level == level))}"
             for level in reversed(LEVELS[1:]) if any(c.level == level for c in found)]  # fmt: skip
    foot(figure, "checks: " + ("; ".join(named) or "all ok"), _LEVEL_INK[worst])


def checks_of(fit: Fit | Mixture, found: Iterable[Check] | None) -> list[Check]:
    """Return the checks that stand under a figure: those that are given, or those of each fit."""
    if found is not None:
        given = listed("found", found, "a list of checks, as of checks(fit)")
        for check in given:
            check_type("found", check, Check, "checks, as of checks(fit)")
        return given
    from bayeslaw.assess.checks import checks

    return [check for one, _ in members(fit) for check in checks(one)]
