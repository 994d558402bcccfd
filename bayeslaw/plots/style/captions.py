"""Write what stands above a figure, and below it what the checks found."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from bayeslaw.core.check import LEVELS, Check
from bayeslaw.core.errors import check_type, listed
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.style.look import GREY
from bayeslaw.plots.style.texts import LETTER, plain, wrapped

TITLE = 10.5
_LEVEL_INK = {"ok": "#2b8a57", "note": GREY, "warn": "#a85a00", "fail": "#b00020"}


def head(figure: Figure, text: str) -> None:
    """Write a figure's title, in as many lines as its width needs."""
    lines = wrapped(plain(text), int(figure.get_figwidth() / (LETTER * TITLE)))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=TITLE)


def foot(figure: Figure, text: str, colour: str) -> None:
    """Write below a figure what to know about it."""
    lines = wrapped(plain(text), int(figure.get_figwidth() / (LETTER * 8)))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8, color=colour)


def caption(figure: Figure, fit: Fit | Mixture, found: list[Check]) -> None:
    """Write the law, or a mixture's laws, above the figure, and below it what the checks found."""
    one, _ = members(fit)[0]
    if isinstance(fit, Mixture):
        title, kind = fit.name, "mixture"
    else:
        title, kind = fit.spec.title, "posterior" if fit.is_posterior else "point fit"
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
