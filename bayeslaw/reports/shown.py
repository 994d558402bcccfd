"""How a fit and a mixture show themselves: ten lines of text, and a small piece of HTML for notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw.assess.checks import checks, summary
from bayeslaw.assess.convergence import sampler_checks
from bayeslaw.core.check import LEVELS, Check, from_json
from bayeslaw.core.numbers import show
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture, members, weight_checks
from bayeslaw.inference.fit import Fit, fitted_mean, natural_names
from bayeslaw.law.evaluate import used_inputs
from bayeslaw.observation.base import observed_rows, to_output
from bayeslaw.reports.page import Picture, Section, Table, fragment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROB = 0.9
"""Probability of the intervals that are shown."""
MOST_LINES = 10
MOST_ROWS = 300
"""More rows than this, and some checks and the fan take seconds (they grow with the cube of the rows): they are left out."""
_WIDTH = 110
_METHOD = {"nuts": "posterior (NUTS)", "map": "point fit"}
_SIZE, _GRID, _DRAWS = (3.3, 1.5), 40, 100


def text(shown: Fit | Mixture) -> str:
    """Describe a fit or a mixture in ten lines at most.

    Parameters
    ----------
    shown : Fit or Mixture

    Returns
    -------
    str
        Law, rows, how it was fitted, the paper's parameters (median and 90 % interval; of a point fit
        the point and its bootstrap's), and the checks that are not fine. Of a mixture its laws'
        weights. What cannot be told of a damaged fit is said in its place.
    """
    parts = _mixture_lines(shown) if isinstance(shown, Mixture) else _fit_lines(shown)
    return "\n".join(line for what, part in parts for line in _guarded(what, part))


def html(shown: Fit | Mixture) -> str:
    """Show a fit or a mixture in a notebook: parameters, checks, and a small figure.

    Parameters
    ----------
    shown : Fit or Mixture

    Returns
    -------
    str
        HTML, below 60 kB; all text is escaped, nothing is fetched.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        section = _mixture_section(shown) if isinstance(shown, Mixture) else _fit_section(shown)
        return fragment(section)


def _guarded(what: str, part: Callable[[], list[str]]) -> list[str]:
    """Return a part's lines; of a damaged fit, what is wrong with that part: a repr never raises."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in part()]
    except Exception as error:
        return [f"  ({what} cannot be told: {type(error).__name__})"]


# ---- lines


def _fit_lines(fit: Fit) -> list[tuple[str, Callable[[], list[str]]]]:
    return [
        ("title", lambda: [f"Fit of {_line(fit.spec.name)}: {_line(fit.spec.title)}"]),
        ("law", lambda: [f"  {_law(fit)}"]),
        ("rows and settings", lambda: [f"  {fit.data.sizes['obs']} rows; {_how(fit)}"]),
        ("parameters", lambda: _parameter_lines(fit)),
        ("checks", lambda: [f"  {_checks_line(*_known(fit))}"]),
    ]


def _mixture_lines(mixture: Mixture) -> list[tuple[str, Callable[[], list[str]]]]:
    return [
        ("laws", lambda: [f"Mixture of {len(mixture.weights)} laws: {_line(mixture.name)}"]),
        ("rows", lambda: [f"  {next(iter(mixture.fits.values())).data.sizes['obs']} rows"]),
        ("weights", lambda: _weight_lines(mixture)),
        ("checks", lambda: [f"  {_checks_line(*_known(mixture))}"]),
    ]


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _law(fit: Fit) -> str:
    return f"{_line(fit.spec.output.name)} = {_line(fit.spec.law.text)}"


def _how(fit: Fit) -> str:
    """Say how a fit was made: method and settings."""
    asked = ", ".join(f"{name} {value}" for name, value in fit.settings.items())
    return f"{_METHOD[fit.method]}, {asked}" if asked else _METHOD[fit.method]


def _parameter_lines(fit: Fit) -> list[str]:
    """Write the paper's parameters, a line each: median and interval, or the point and its bootstrap's."""
    point = fit.tree["point"].to_dataset() if fit.method == "map" else {}
    names = natural_names(fit.spec, fit.draws)
    width = max(map(len, names), default=0)
    lines = []
    for name in names:
        values = np.asarray(fit.draws[name].values, dtype=float).ravel()
        low, middle, high = (
            np.quantile(values, [(1 - PROB) / 2, 0.5, (1 + PROB) / 2]) if len(values) else (np.nan,) * 3
        )
        ends = f" [{show(low)}, {show(high)}]" if np.isfinite([low, high]).any() else ""
        lines.append(f"  {name:{width}}  {show(float(point[name]) if name in point else middle)}{ends}")
    if lines and len(values):
        lines[0] += f"  ({100 * PROB:g} % interval)"
    return _cut(lines, "parameters: bl.summary(fit)")


def _weight_lines(mixture: Mixture) -> list[str]:
    lines = [f"  {w:.3f}  {_line(n)}: {_law(mixture.fits[n])}" for n, w in mixture.weights.items()]
    lines[0] += "  (weight, law)"
    return _cut(lines, "laws: mixture.weights")


def _cut(lines: list[str], more: str) -> list[str]:
    """Leave out what does not fit into ten lines, and say how much."""
    most = MOST_LINES - 4
    return lines if len(lines) <= most else [*lines[: most - 1], f"  and {len(lines) - most + 1} more {more}"]


def _known(shown: Fit | Mixture) -> tuple[list[Check], bool]:
    """Return what the checks found, and whether these are all checks: not where that takes seconds."""
    if isinstance(shown, Mixture):
        parts = [_known(one) for one, _ in members(shown)]
        found = [*weight_checks(shown), *(check for part, _ in parts for check in part)]
        return found, all(whole for _, whole in parts)
    if shown.method != "nuts" or shown.data.sizes["obs"] <= MOST_ROWS:
        return checks(shown), True
    return [*from_json(shown.data.attrs.get("checks", "[]")), *sampler_checks(shown)], False


def _checks_line(found: Iterable[Check], whole: bool) -> str:
    """Say which checks are not fine, the gravest level first."""
    found = list(found)
    named = []
    for level in reversed(LEVELS[1:]):
        names = dict.fromkeys(check.name for check in found if check.level == level)
        named += [f"{level} ({', '.join(names)})"] if names else []
    kind = "checks" if whole else "checks of data and sampler (all, which takes time: bl.checks(fit))"
    return f"{kind}: {'; '.join(named) or 'ok'}"


# ---- HTML


def _fit_section(fit: Fit) -> Section:
    shown = summary(fit, PROB)
    named = shown["unit"].where(~shown["unit"].isin(["", "1"]), "")
    shown = shown.drop(columns=["mean", "sd", "ess_tail"], errors="ignore").assign(unit=named)
    shown = shown.assign(**{n: shown[n].round().astype("Int64") for n in ("ess_bulk",) if n in shown})
    shown = shown.rename(columns={"rhat": "R\u2011hat", "ess_bulk": "bulk ESS"})
    caption = f"Central {100 * PROB:g} % intervals{' of the bootstrap' if fit.method == 'map' else ''}."
    found, whole = _known(fit)
    return Section(
        f"{fit.spec.name}: {fit.spec.title}",
        (f"{_law(fit)}. {fit.data.sizes['obs']} rows; {_how(fit)}.", _checks_line(found, whole)),
        (Table(shown, caption),), _pictures(fit), tuple(c for c in found if c.level != "ok"),
    )  # fmt: skip


def _mixture_section(mixture: Mixture) -> Section:
    laws = {n: _law(fit) for n, fit in mixture.fits.items()}
    shown = pd.DataFrame({"weight": pd.Series(dict(mixture.weights)), "law": laws}).rename_axis("name")
    found, whole = _known(mixture)
    rows = next(iter(mixture.fits.values())).data.sizes["obs"]
    return Section(
        f"Mixture of {len(mixture.weights)} laws",
        (f"{rows} rows, fitted by each law.", _checks_line(found, whole)),
        (Table(shown, "How much each law counts."),), _pictures(mixture),
        tuple(c for c in dict.fromkeys(found) if c.level != "ok"),
    )  # fmt: skip


def _pictures(shown: Fit | Mixture) -> tuple[Picture, ...]:
    """Draw the fit as small as a word picture; what cannot be drawn is left out, and the rest stays."""
    try:
        return (_spark(shown),)
    except Exception:
        return ()


def _spark(shown: Fit | Mixture) -> Picture:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from bayeslaw.plots.style.look import STYLE

    fits = [fit for fit, _ in members(shown)]
    names = {name for fit in fits for name in used_inputs(fit.spec)}
    quick = all(fit.data.sizes["obs"] <= MOST_ROWS and not fit.spec.pooled for fit in fits)
    with rc_context({**STYLE, "font.size": 6, "axes.grid": False, "lines.linewidth": 1}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        ax = figure.subplots()
        if needs_schedule(fits[0].spec):
            words = _draw_runs(ax, fits[0])
        elif len(names) == 1 and quick:
            words = _draw_fan(ax, shown, names.pop())
        else:
            words = _draw_agreement(ax, fits[0])
        ax.tick_params(length=2, pad=1, which="both")
    return Picture(figure, words, words)


def _rows(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return what was observed, and the law's median beside it, in the output's unit."""
    thin = max(1, int(np.prod(list(fit.draws.sizes.values()))) // _DRAWS)
    law = np.median(fitted_mean(fit, thin), axis=0)
    return to_output(fit.spec, observed_rows(fit.spec, fit.data).y), to_output(fit.spec, law)


def _draw_fan(ax: Axes, shown: Fit | Mixture, symbol: str) -> str:
    """Draw the rows over their input, and where runs lie."""
    from bayeslaw.plots.panels.fans import fan_of
    from bayeslaw.plots.style.look import COLOURS, INK

    one, _ = members(shown)[0]
    column = one.spec.inputs[symbol].column
    x = one.data[column].values
    positive = (x > 0).all()
    grid = (np.geomspace if positive else np.linspace)(x.min(), x.max(), _GRID)
    fan = fan_of(shown, {symbol: grid}, PROB)
    ax.fill_between(grid, *fan.run, color=COLOURS[0], alpha=0.25, lw=0)
    ax.plot(grid, fan.line, color=COLOURS[0])
    ax.plot(x, one.data[one.spec.output.name].values, ".", ms=2.5, color=INK)
    if positive:
        ax.set_xscale("log")
    return f"{one.spec.output.name} over {column}: rows, median, {100 * PROB:g} % of a run."


def _draw_runs(ax: Axes, fit: Fit) -> str:
    """Draw the curves over the step, and the law's median through each."""
    from bayeslaw.plots.style.look import COLOURS, INK

    seen, law = _rows(fit)
    step = fit.data["step"].values
    runs = fit.data["run"].values if "run" in fit.data.coords else np.zeros(len(step))
    for run in dict.fromkeys(runs.tolist()):
        own = np.flatnonzero(runs == run)
        own = own[np.argsort(step[own])]
        ax.plot(step[own], seen[own], ".", ms=1.5, color=INK)
        ax.plot(step[own], law[own], color=COLOURS[0])
    return f"{fit.spec.output.name} over step: rows, and the law's median."


def _draw_agreement(ax: Axes, fit: Fit) -> str:
    """Draw what was observed against the law's median: several inputs share no axis."""
    from bayeslaw.plots.style.look import COLOURS, GREY

    seen, law = _rows(fit)
    fine = np.isfinite(seen) & np.isfinite(law)
    both = np.concatenate([seen[fine], law[fine]])
    ax.plot([both.min(), both.max()], [both.min(), both.max()], color=GREY, lw=0.8)
    ax.plot(law[fine], seen[fine], ".", ms=2.5, color=COLOURS[0])
    return f"{fit.spec.output.name}: rows over the law's median."
