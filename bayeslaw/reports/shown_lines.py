"""Write the lines in which a fit or a mixture shows itself: law, rows, settings, parameters, checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bayeslaw.assess.checks import checks
from bayeslaw.assess.convergence import sampler_checks
from bayeslaw.core.check import LEVELS, Check, from_json
from bayeslaw.core.numbers import show
from bayeslaw.forecasts.mixture import Mixture, members, weight_checks
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.methods import METHODS
from bayeslaw.inference.values import natural_names

PROB = 0.9
"""Probability of the intervals that are shown."""
MOST_LINES = 10
MOST_ROWS = 300
"""More rows than this, and some checks and the fan take seconds (they grow with the cube of the rows): they are left out."""


def fit_lines(fit: Fit) -> list[tuple[str, Callable[[], list[str]]]]:
    """Return the parts that describe a fit: what each is called, and a function that writes its lines."""
    return [
        ("title", lambda: [f"Fit of {_line(fit.spec.name)}: {_line(fit.spec.title)}"]),
        ("law", lambda: [f"  {law_line(fit)}"]),
        ("rows and settings", lambda: [f"  {fit.data.sizes['obs']} rows; {how_line(fit)}"]),
        ("parameters", lambda: _parameter_lines(fit)),
        ("checks", lambda: [f"  {checks_line(*known_checks(fit))}"]),
    ]


def mixture_lines(mixture: Mixture) -> list[tuple[str, Callable[[], list[str]]]]:
    """Return the same of a mixture."""
    return [
        ("laws", lambda: [f"Mixture of {len(mixture.weights)} laws: {_line(mixture.name)}"]),
        ("rows", lambda: [f"  {next(iter(mixture.fits.values())).data.sizes['obs']} rows"]),
        ("weights", lambda: _weight_lines(mixture)),
        ("checks", lambda: [f"  {checks_line(*known_checks(mixture))}"]),
    ]


def _line(text: str) -> str:
    return " ".join(str(text).split())


def law_line(fit: Fit) -> str:
    """Write the law as a formula of its output."""
    return f"{_line(fit.spec.output.name)} = {_line(fit.spec.law.text)}"


def how_line(fit: Fit) -> str:
    """Say how a fit was made: method and settings."""
    asked = ", ".join(f"{name} {value}" for name, value in fit.settings.items())
    return f"{METHODS[fit.method].title}, {asked}" if asked else METHODS[fit.method].title


def _parameter_lines(fit: Fit) -> list[str]:
    """Write one line for each of the paper's parameters: median and interval, or the point and its bootstrap's."""
    point = fit.tree["point"].to_dataset() if not fit.is_posterior else {}
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
    lines = [f"  {w:.3f}  {_line(n)}: {law_line(mixture.fits[n])}" for n, w in mixture.weights.items()]
    lines[0] += "  (weight, law)"
    return _cut(lines, "laws: mixture.weights")


def _cut(lines: list[str], more: str) -> list[str]:
    """Leave out what does not fit into ten lines, and say how much."""
    most = MOST_LINES - 4
    return lines if len(lines) <= most else [*lines[: most - 1], f"  and {len(lines) - most + 1} more {more}"]


def known_checks(shown: Fit | Mixture) -> tuple[list[Check], bool]:
    """Return what the checks found, and whether these are all checks: not where that takes seconds."""
    if isinstance(shown, Mixture):
        parts = [known_checks(one) for one, _ in members(shown)]
        found = [*weight_checks(shown), *(check for part, _ in parts for check in part)]
        return found, all(whole for _, whole in parts)
    if not shown.is_posterior or shown.data.sizes["obs"] <= MOST_ROWS:
        return checks(shown), True
    return [*from_json(shown.data.attrs.get("checks", "[]")), *sampler_checks(shown)], False


def checks_line(found: Iterable[Check], whole: bool) -> str:
    """Say which checks are not fine, the gravest level first."""
    found = list(found)
    named = []
    for level in reversed(LEVELS[1:]):
        names = dict.fromkeys(check.name for check in found if check.level == level)
        named += [f"{level} ({', '.join(names)})"] if names else []
    kind = "checks" if whole else "checks of data and sampler (all, which takes time: bl.checks(fit))"
    return f"{kind}: {'; '.join(named) or 'ok'}"
